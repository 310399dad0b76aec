//! The home itself: who may read it, whether there is room, whether the clock goes on, and sockets without a server.

use super::finding::{Finding, Patient, Verdict};
use super::mend::Mend;
use jiff::SignedDuration;
use orch_store::journal::Glance;
use orch_stream::kept;
use orch_sys::machine::free_bytes;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixDatagram, UnixStream};

/// Small differences of clocks are not reported.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

pub(super) async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = permissions(patient);
    findings.extend(disk(patient));
    for socket in &patient.sockets {
        findings.extend(stale_socket(socket).await);
    }
    findings
}

/// Returns what others may read: the state directory is the owner's alone, with the files and sockets in it.
fn permissions(patient: &Patient<'_>) -> Vec<Finding> {
    let state = patient.home.state();
    // Directories below are behind this one.
    let below = std::fs::read_dir(&state).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = below.filter(|path| !path.is_dir());
    let open: Vec<(PathBuf, u32)> = [patient.home.root().to_owned(), state.clone()]
        .into_iter()
        .chain(below)
        .filter_map(|path| Some((mode_that_is_open(&path)?, path)))
        .map(|(mode, path)| (path, mode))
        .collect();
    if open.is_empty() {
        return vec![Finding::new("permissions", Verdict::Ok, "the home is yours alone")];
    }
    let one = |(path, mode): (PathBuf, u32)| {
        let shown = path.display();
        let (what, right) = if path.is_dir() { ("directory", 0o700) } else { ("file", 0o600) };
        Finding::new(
            &format!("permissions {shown}"),
            Verdict::Warning,
            format!("the {what} is open to others (mode {mode:o})"),
        )
        .remedy(format!("chmod {right:o} {shown}"))
        .mend(Mend::Private { path: path.clone() })
    };
    open.into_iter().map(one).collect()
}

/// Returns the mode of something that others can use; links are what they lead to.
pub(super) fn mode_that_is_open(path: &Path) -> Option<u32> {
    let meta = path.symlink_metadata().ok()?;
    let mode = meta.permissions().mode() & 0o777;
    let kind = meta.file_type();
    ((kind.is_dir() || kind.is_file() || kind.is_socket()) && mode & 0o077 != 0).then_some(mode)
}

/// Returns whether there is room, and how much of it runs may take.
pub(super) fn disk(patient: &Patient<'_>) -> Option<Finding> {
    let free = [patient.home.root(), patient.home.worktrees()].into_iter().filter_map(free_bytes).min()?;
    let floor = patient.config.engine.min_free_disk_mb.saturating_mul(1_000_000);
    let mb = |bytes: u64| format!("{} MB", bytes / 1_000_000);
    if free < floor {
        let detail = format!("{} are free, and nothing begins below engine.min_free_disk_mb {}", mb(free), mb(floor));
        return Some(Finding::new("disk", Verdict::Bad, detail).remedy("orch gc, or make room on the disk"));
    }
    let runs: u64 = kept(&patient.home.runs()).unwrap_or_default().iter().map(|run| run.raw + run.text).sum();
    let may = patient.config.retention.limits().total;
    let detail = format!("{} are free; what runs have said takes {}", mb(free), mb(runs));
    let space = free - floor;
    match may {
        Some(may) if may.saturating_sub(runs) > space => {
            let detail = format!("{detail} and may take {} by retention.total_mb, more than there is", mb(may));
            let remedy = format!("orch config set retention.total_mb {}", (runs + space / 2) / 1_000_000);
            Some(Finding::new("disk", Verdict::Warning, detail).remedy(remedy))
        }
        Some(_) | None => Some(Finding::new("disk", Verdict::Ok, detail)),
    }
}

/// The history goes on: what was written last was not written in the future.
pub(super) fn clock(patient: &Patient<'_>, known: &Glance) -> Option<Finding> {
    let last = known.last_at?;
    let behind = last.duration_since(patient.now);
    if behind <= TOLERANCE {
        return Some(Finding::new("clock", Verdict::Ok, "it is later than the last line of the history"));
    }
    let detail = format!(
        "it is {} s behind the last line of the history ({last}): what waits for a time waits longer",
        behind.as_secs()
    );
    Some(Finding::new("clock", Verdict::Warning, detail).remedy("date; timedatectl set-ntp true"))
}

/// Returns whether a process listens there, be it for requests or for being woken.
pub(super) async fn is_served(socket: &Path) -> bool {
    let wakes = || UnixDatagram::unbound().and_then(|own| own.connect(socket)).is_ok();
    UnixStream::connect(socket).await.is_ok() || wakes()
}

async fn stale_socket(socket: &Path) -> Option<Finding> {
    if socket.symlink_metadata().is_err() || is_served(socket).await {
        return None;
    }
    let shown = socket.display();
    let detail = format!("{shown} is there, and nobody answers");
    let finding = Finding::new("stale socket", Verdict::Warning, detail).remedy(format!("rm {shown}"));
    Some(finding.mend(Mend::Socket { path: socket.to_owned() }))
}
