//! The kernel's table of processes, read from `/proc`.

use super::identity::Identity;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// Ended, but not yet waited for by its parent.
    pub(super) zombie: bool,
    /// It runs, or waits for a disk.
    is_busy: bool,
    /// Processor time of itself and of the children it has waited for.
    pub(super) cpu: Duration,
    /// Time of start, in clock ticks since boot.
    start: u64,
}

impl Entry {
    pub(super) fn identity(&self) -> Identity {
        Identity { pid: self.pid, started: format!("{}:{}", boot(), self.start) }
    }
}

/// One clock tick of `/proc`: 100 a second, part of the kernel's contract with programs.
const TICK: Duration = Duration::from_millis(10);

/// What tells this boot from others: ticks alone repeat after a restart of the machine.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.chars().take(8).collect()
    })
}

/// The row of one process.
pub(super) fn entry(pid: u32) -> Option<Entry> {
    parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// All rows. A process that ends while the table is read may be missing.
pub(super) fn all() -> Vec<Entry> {
    let Ok(dir) = fs::read_dir("/proc") else { return Vec::new() };
    dir.flatten().filter_map(|item| item.file_name().to_str()?.parse().ok()).filter_map(entry).collect()
}

/// The rows below a process, without a look at any other; `None` where the kernel does not tell a process's children.
pub(super) fn below(root: u32) -> Option<Vec<Entry>> {
    let mut found = Vec::new();
    let mut open = children(root)?;
    while let Some(pid) = open.pop() {
        // One that has ended meanwhile has no row and no children.
        found.extend(entry(pid));
        open.extend(children(pid).unwrap_or_default());
    }
    Some(found)
}

/// The kernel lists children by the thread that started them.
fn children(pid: u32) -> Option<Vec<u32>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let lists = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("children")));
    let lists: Vec<String> = lists.collect::<Result<_, _>>().ok()?;
    Some(lists.iter().flat_map(|list| list.split_ascii_whitespace()).filter_map(|pid| pid.parse().ok()).collect())
}

/// Fields of `stat` behind the name, which may itself hold spaces and parentheses.
fn parse_stat(pid: u32, stat: &[u8]) -> Option<Entry> {
    let text = String::from_utf8_lossy(stat);
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let ticks = (11..=14).filter_map(number).sum::<u64>();
    Some(Entry {
        pid,
        parent: number(1).and_then(|n| u32::try_from(n).ok())?,
        zombie: matches!(fields.first(), Some(&("Z" | "X"))),
        is_busy: matches!(fields.first(), Some(&("R" | "D"))),
        cpu: TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX)),
        start: number(19)?,
    })
}

/// The rows whose environment at their start holds `NAME=value` exactly.
pub(super) fn bearing<'a>(entries: &'a [Entry], name: &str, value: &str) -> Vec<&'a Entry> {
    let wanted = format!("{name}={value}").into_bytes();
    let bears = |entry: &&Entry| {
        let environ = fs::read(format!("/proc/{}/environ", entry.pid)).unwrap_or_default();
        environ.split(|&byte| byte == 0).any(|variable| variable == wanted)
    };
    entries.iter().filter(bears).collect()
}

/// All values of a variable in the environments of these rows, as they were at their start.
pub(super) fn values(entries: &[Entry], name: &str) -> BTreeSet<String> {
    let beginning = format!("{name}=").into_bytes();
    let value = |entry: &Entry| {
        let environ = fs::read(format!("/proc/{}/environ", entry.pid)).unwrap_or_default();
        let found = environ.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(beginning.as_slice()));
        found.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    entries.iter().filter(|entry| !entry.zombie).filter_map(value).collect()
}

/// The value of a variable in the environment of a row, as it was at its start.
pub(super) fn value(entry: &Entry, name: &str) -> Option<String> {
    values(std::slice::from_ref(entry), name).pop_first()
}

/// The words by which a process was started.
pub(super) fn words(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|&byte| byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Where processes work: their directories, and the files that they have open.
pub(super) fn places() -> Option<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for item in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = item.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let open = fs::read_dir(item.path().join("fd")).into_iter().flatten().flatten().map(|fd| fd.path());
        let places = open.chain(["cwd", "root"].map(|name| item.path().join(name)));
        found.extend(places.filter_map(|link| Some((pid, fs::read_link(link).ok()?))));
    }
    Some(found)
}

/// The short name of a program. Not its arguments: they may hold secrets.
pub(super) fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// How much a process has read and written so far, files and pipes alike.
pub(super) fn bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    of("rchar:").unwrap_or(0).saturating_add(of("wchar:").unwrap_or(0))
}

/// Whether a process runs, or waits for a disk.
pub(super) fn is_busy(entry: &Entry) -> bool {
    entry.is_busy
}

/// Memory of its own in bytes: resident and not shared with others.
pub(super) fn own_memory(entry: &Entry) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", entry.pid)).unwrap_or_default();
    let own =
        status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    own.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = b"42 (a) b (c) Z 7 1 1 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 555 1 2";
        let entry = parse_stat(42, stat).expect("parses");
        assert_eq!((entry.parent, entry.zombie, entry.start, entry.cpu), (7, true, 555, TICK * 100));
        assert!(parse_stat(1, b"").is_none());
        assert!(parse_stat(1, b"1 (x) S").is_none());
    }

    #[test]
    fn who_is_below_a_process_is_found_without_the_whole_table() {
        let call = super::super::Invocation::new("/bin/sh", "/").args(["-c", "sleep 100 & sleep 100 & wait"]);
        let mut child = call.env("PATH", "/usr/bin:/bin").group_command().spawn().expect("starts");
        let deadline = crate::clock::instant() + Duration::from_secs(10);
        while below(child.id()).is_some_and(|below| below.len() < 2) {
            assert!(crate::clock::instant() < deadline, "{:?}", below(child.id()));
        }
        if let Some(found) = below(std::process::id()) {
            assert!(found.iter().filter(|entry| entry.parent == child.id()).count() == 2, "{found:?}");
        }
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).expect("it is ours");
        child.wait().expect("was ended");
    }

    #[test]
    fn this_process_is_in_the_table_with_its_memory_and_environment() {
        let me = entry(std::process::id()).expect("it runs");
        assert!(own_memory(&me) > 0);
        assert!(all().iter().any(|entry| entry.pid == me.pid && entry.start == me.start));
        let path = super::super::env_var("PATH").expect("set");
        assert_eq!(bearing(std::slice::from_ref(&me), "PATH", &path).len(), 1);
        assert_eq!(bearing(&[me], "PATH", "other").len(), 0);
    }
}
