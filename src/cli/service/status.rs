//! `orch service status`: shows which supervisor runs the daemon, and whether a newer program is installed. Changes
//! nothing.

use super::checkup::lacking;
use super::definitions::Found;
use super::service_host::ServiceHost;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exe_path;
use crate::cli::exit::Exit;
use crate::cli::settings;
use crate::cli::ui::text::line;
use crate::cli::ui::time::{Now, short};
use jiff::{SignedDuration, Timestamp};
use orch_api::endpoint;
use orch_api::queries::HistoryQuery;
use orch_api::status::StatusView;
use orch_api::switches::ServiceEntryView;
use orch_core::operations::service::ServiceKind;
use orch_core::operations::service::release::{OnDisk, on_disk};
use orch_core::operations::service::supervisor::{Standing, Supervisor, decide};
use orch_sys::process::{Invocation, run_async, which};
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a program may take to report its version.
const VERSION_TIME: Duration = Duration::from_secs(10);

/// The answer. Part of the JSON contract.
#[derive(Debug, Serialize)]
struct View {
    /// The supervisor that has the service; `null` if none has.
    supervisor: Option<Supervisor>,
    /// Its definition.
    file: Option<PathBuf>,
    /// Whether it starts at the next login or boot, as far as the supervisor reports it.
    enabled: Option<bool>,
    /// The supervisor's name of the state.
    state: Option<String>,
    /// How often the supervisor has restarted it.
    restarts: Option<u64>,
    /// Whether the supervisor started the running daemon.
    in_charge: bool,
    home: PathBuf,
    daemon: Option<Daemon>,
    /// How the previous daemon ended.
    last_exit: Option<LastExit>,
    program: Option<Waiting>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Daemon {
    pid: u32,
    version: String,
    since: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct LastExit {
    at: Option<Timestamp>,
    kind: Option<ServiceKind>,
    why: String,
}

/// The program that a restart would use.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// Its path.
    pub path: PathBuf,
    /// Its version, if it reports one.
    pub version: Option<String>,
    /// How it compares to the running one.
    pub on_disk: OnDisk,
}

impl Waiting {
    /// Describes it for a person.
    pub fn describe(&self) -> String {
        let (path, version) = (self.path.display(), self.version.as_deref().unwrap_or("unknown"));
        match self.on_disk {
            OnDisk::Same => format!("{path} {version}, as it runs"),
            OnDisk::Newer => format!("{path} {version}: newer than what runs"),
            OnDisk::Older => format!("{path} {version}: older than what runs"),
            OnDisk::OtherBuild => format!("{path} {version}: another build than the one that runs"),
            OnDisk::Missing => format!("{path}: not there any more"),
            OnDisk::Unknown => format!("{path}: of no known version"),
        }
    }
}

/// Compares the program on the disk with the running daemon.
pub async fn waiting(context: &Context, status: &StatusView) -> Waiting {
    let found = ServiceHost::new(context).ok().and_then(|host| {
        let home = host.setup.home.root().to_owned();
        let program = |found: &Found| PathBuf::from(&found.definition.program);
        host.found.iter().find(|found| host.home_of(found) == home).map(program)
    });
    compared(found, context, status).await
}

/// Without a definition, this is the file that the daemon was started from, or else this orch.
async fn compared(program: Option<PathBuf>, context: &Context, status: &StatusView) -> Waiting {
    let link = PathBuf::from(format!("/proc/{}/exe", status.pid));
    let by_kernel = || {
        let target = std::fs::read_link(&link).ok()?.to_string_lossy().into_owned();
        Some(PathBuf::from(target.strip_suffix(" (deleted)").unwrap_or(&target)))
    };
    let path = program.or_else(by_kernel).unwrap_or_else(|| exe_path::own(context));
    if which(&path.to_string_lossy(), "").is_none() {
        return Waiting { path, version: None, on_disk: OnDisk::Missing };
    }
    let number = |file: &Path| file.metadata().ok().map(|found| (found.dev(), found.ino()));
    let same = number(&link).zip(number(&path)).map(|(running, disk)| running == disk);
    let version = match same {
        Some(true) => Some(status.version.clone()),
        Some(false) | None => version_of(&path, context).await,
    };
    let on_disk = on_disk(&status.version, version.as_deref(), same);
    Waiting { path, version, on_disk }
}

/// Returns the version that a program reports.
async fn version_of(program: &Path, context: &Context) -> Option<String> {
    let call = Invocation::new(program, "/").args(["version", "--json"]).env("PATH", context.path());
    let output = run_async(&call.time_limit(VERSION_TIME)).await.ok().filter(|output| output.success())?;
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    document.get("version")?.as_str().map(str::to_owned)
}

/// Prints the state; the exit code is 4 if no daemon runs.
pub async fn run(context: &Context) -> Result<Exit, CliError> {
    let host = ServiceHost::new(context)?;
    let view = collect(&host).await;
    if context.ui.is_json() {
        context.ui.json(&view)?;
    } else {
        context.ui.data(&render(&view, &context.now()))?;
        let unsupervised = || decide(&host.around).err().map(|none| format!("{}: {}", none.why, none.advice));
        match (&view.supervisor, &view.daemon, &view.program) {
            (None, _, _) => context.ui.note(&unsupervised().unwrap_or_else(|| "next: orch service install".to_owned())),
            (Some(_), None, _) => context.ui.note("next: orch service start"),
            (Some(_), Some(_), _) if !view.in_charge => context.ui.note("next: orch service start --replace"),
            (Some(_), Some(_), Some(program)) if program.on_disk.waits() => {
                context.ui.note("next: orch service restart")
            }
            (Some(_), Some(_), _) => {}
        }
    }
    Ok(if view.daemon.is_some() { Exit::Done } else { Exit::NoDaemon })
}

async fn collect(host: &ServiceHost<'_>) -> View {
    let served = host.daemon().await;
    let home = host.setup.home.root().to_owned();
    let mut states = Vec::new();
    for found in &host.found {
        states.push((found, host.state(found.supervisor).await));
    }
    let pid = served.as_ref().map(|(_, status)| status.pid);
    let is_of = |(_, state): &&(&Found, Standing)| pid.is_some() && state.pid == pid;
    let in_charge = states.iter().find(is_of);
    let shown = in_charge.or(states.first());
    let history = history(host, served.as_ref().map(|(client, _)| client)).await;
    let since = |pid: u32| {
        history.iter().rfind(|entry| entry.pid == pid && entry.kind == ServiceKind::Start).map(|entry| entry.at)
    };
    let program = match (&served, shown) {
        (Some((_, status)), shown) => {
            let program = shown.map(|(found, _)| PathBuf::from(&found.definition.program));
            Some(compared(program, host.context, status).await)
        }
        (None, Some((found, _))) => Some(alone(&found.definition.program, host.context).await),
        (None, None) => None,
    };
    let last = history.iter().rfind(|entry| entry.kind != ServiceKind::Start);
    let supervisors_word = || shown.and_then(|(_, state)| state.last_exit.clone());
    let last_exit = match last {
        Some(entry) => Some(LastExit { at: Some(entry.at), kind: Some(entry.kind), why: entry.why.clone() }),
        None => supervisors_word().map(|why| LastExit { at: None, kind: None, why }),
    };
    View {
        supervisor: shown.map(|(found, _)| found.supervisor),
        file: shown.map(|(found, _)| found.file.clone()),
        enabled: shown.and_then(|(_, state)| state.is_enabled),
        state: shown.map(|(_, state)| state.word.clone()).filter(|word| !word.is_empty()),
        restarts: shown.and_then(|(_, state)| state.restarts),
        in_charge: in_charge.is_some(),
        problems: problems(host, &states, pid).await,
        daemon: served.map(|(_, status)| Daemon { since: since(status.pid), pid: status.pid, version: status.version }),
        home,
        last_exit,
        program,
    }
}

/// Describes the program that the service would start while no daemon runs.
async fn alone(program: &str, context: &Context) -> Waiting {
    let path = PathBuf::from(program);
    if which(program, "").is_none() {
        return Waiting { path, version: None, on_disk: OnDisk::Missing };
    }
    let version = version_of(&path, context).await;
    Waiting { path, on_disk: if version.is_some() { OnDisk::Same } else { OnDisk::Unknown }, version }
}

async fn problems(host: &ServiceHost<'_>, states: &[(&Found, Standing)], pid: Option<u32>) -> Vec<String> {
    let mut problems = Vec::new();
    if let [(one, _), (other, _), ..] = states {
        problems.push(super::service_host::two(one, other).to_string());
    }
    for (found, state) in states {
        let who = found.supervisor.describe();
        let home = host.home_of(found);
        if home != host.setup.home.root() {
            problems.push(format!("{who} serves another home: {}", home.display()));
        } else if pid.is_some() && state.pid != pid {
            problems.push(format!("the daemon that runs was started by hand, and not by {who}"));
        }
        if let Ok(loaded) = settings::global(host.context, &host.setup.home) {
            problems.extend(lacking(&found.definition, &host.path_of(found).await, &loaded.config));
        }
        if found.supervisor == Supervisor::Systemd && !host.lingers() {
            let user = &host.around.user;
            problems
                .push(format!("it ends when {user} logs out, and the agents with it: loginctl enable-linger {user}"));
        }
    }
    problems
}

/// Returns the daemon's history; empty without a daemon and without a home.
async fn history(host: &ServiceHost<'_>, client: Option<&orch_api::client::Client>) -> Vec<ServiceEntryView> {
    let request = endpoint::ServiceHistory { query: HistoryQuery { limit: Some(100) } };
    match client {
        Some(client) => client.call(&request).await.unwrap_or_default(),
        None if host.setup.home.journal().exists() => match host.context.link().await {
            Ok(mut link) => {
                let lives = link.call(&request).await.unwrap_or_default();
                // It has only read.
                link.close().await.ok();
                lives
            }
            Err(_) => Vec::new(),
        },
        None => Vec::new(),
    }
}

fn render(view: &View, now: &Now) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let service = match (&view.supervisor, &view.file) {
        (Some(supervisor), Some(file)) => {
            let enabled = match view.enabled {
                Some(false) => ", but it does not start by itself",
                Some(true) | None => "",
            };
            format!("{}: {}{enabled}", supervisor.describe(), file.display())
        }
        _ => "none is installed".to_owned(),
    };
    rows.push(("service", service));
    if let Some(state) = &view.state {
        let again = match view.restarts {
            Some(times @ 1..) => format!("; started again by itself {times} times"),
            Some(0) | None => String::new(),
        };
        rows.push(("state", format!("{state}{again}")));
    }
    rows.push((
        "daemon",
        view.daemon.as_ref().map_or_else(|| "none runs".to_owned(), |daemon| describe_daemon(daemon, view, now)),
    ));
    if let Some(program) = &view.program {
        rows.push(("program", program.describe()));
    }
    if let Some(exit) = &view.last_exit {
        let kind = exit.kind.map(|kind| format!("{}, ", kind.as_str())).unwrap_or_default();
        let at = exit.at.map(|at| format!(", {}", now.past(at))).unwrap_or_default();
        rows.push(("ended", format!("{kind}{}{at}", exit.why)));
    }
    rows.push(("home", view.home.display().to_string()));
    rows.extend(view.problems.iter().map(|problem| ("problem", problem.clone())));
    rows.iter().map(|(name, value)| format!("{:<9}{}\n", format!("{name}:"), line(value))).collect()
}

fn describe_daemon(daemon: &Daemon, view: &View, now: &Now) -> String {
    let since = daemon.since.map(|since| {
        let lasted = now.at.duration_since(since).max(SignedDuration::ZERO);
        format!(", for {}", short(lasted))
    });
    let by = match (view.in_charge, view.supervisor) {
        (true, Some(supervisor)) => format!("under {}", supervisor.describe()),
        (true, None) | (false, _) => "started by hand".to_owned(),
    };
    format!("orch {} (pid {}), {by}{}", daemon.version, daemon.pid, since.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::now;

    #[test]
    fn a_status_reads_like_this() {
        let at = "2026-03-01T10:00:00Z".parse().expect("a time");
        let view = View {
            supervisor: Some(Supervisor::Systemd),
            file: Some("/h/.config/systemd/user/orch.service".into()),
            enabled: Some(true),
            state: Some("active/running".to_owned()),
            restarts: Some(2),
            in_charge: true,
            home: "/h/.orch".into(),
            daemon: Some(Daemon { pid: 7, version: "0.1.0".to_owned(), since: Some(at) }),
            last_exit: Some(LastExit { at: Some(at), kind: Some(ServiceKind::Stop), why: "SIG\u{1b}TERM".to_owned() }),
            program: Some(Waiting { path: "/bin/orch".into(), version: Some("0.2.0".into()), on_disk: OnDisk::Newer }),
            problems: vec!["it ends when ada logs out".to_owned()],
        };
        let text = render(&view, &now());
        for part in [
            "service: systemd --user: /h/.config/systemd/user/orch.service\n",
            "state:   active/running; started again by itself 2 times\n",
            "daemon:  orch 0.1.0 (pid 7), under systemd --user, for ",
            "program: /bin/orch 0.2.0: newer than what runs\n",
            "ended:   stop, SIG\\u{1b}TERM",
            "problem: it ends when ada logs out\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
