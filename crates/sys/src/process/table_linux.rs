//! Reads the kernel's process table from `/proc`.

use super::identity::Identity;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// One process.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// It has ended, but its parent has not waited for it yet.
    pub(super) zombie: bool,
    /// It runs or waits for a disk.
    is_busy: bool,
    /// Processor time of the process and of the children it has waited for.
    pub(super) cpu: Duration,
    /// Start time, in clock ticks since boot.
    start: u64,
}

impl Entry {
    pub(super) fn identity(&self) -> Identity {
        Identity { pid: self.pid, started: format!("{}:{}", boot(), self.start) }
    }
}

/// One clock tick of `/proc`: 100 per second, part of the kernel's ABI.
const TICK: Duration = Duration::from_millis(10);

/// Returns an id of this boot: ticks alone repeat after a reboot.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.chars().take(8).collect()
    })
}

/// Reads one process.
pub(super) fn entry(pid: u32) -> Option<Entry> {
    parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads all processes. One that ends meanwhile may be missing.
pub(super) fn all() -> Vec<Entry> {
    let Ok(dir) = fs::read_dir("/proc") else { return Vec::new() };
    dir.flatten().filter_map(|item| item.file_name().to_str()?.parse().ok()).filter_map(entry).collect()
}

/// Reads the descendants of a process without reading any other; `None` where the kernel does not list children.
pub(super) fn below(root: u32) -> Option<Vec<Entry>> {
    let mut found = Vec::new();
    let mut pending = children(root)?;
    while let Some(pid) = pending.pop() {
        // A process that has ended meanwhile has no row and no children.
        found.extend(entry(pid));
        pending.extend(children(pid).unwrap_or_default());
    }
    Some(found)
}

/// Returns the children of a process; the kernel lists them by the thread that started them.
fn children(pid: u32) -> Option<Vec<u32>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let lists = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("children")));
    let lists: Vec<String> = lists.collect::<Result<_, _>>().ok()?;
    Some(lists.iter().flat_map(|list| list.split_ascii_whitespace()).filter_map(|pid| pid.parse().ok()).collect())
}

/// Parses `stat`. The fields follow the name, which may itself contain spaces and parentheses.
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

/// Returns the processes whose initial environment contains exactly `NAME=value`.
pub(super) fn with_variable<'a>(entries: &'a [Entry], name: &str, value: &str) -> Vec<&'a Entry> {
    let wanted = format!("{name}={value}").into_bytes();
    let matches = |entry: &&Entry| {
        let environ = fs::read(format!("/proc/{}/environ", entry.pid)).unwrap_or_default();
        environ.split(|&byte| byte == 0).any(|variable| variable == wanted)
    };
    entries.iter().filter(matches).collect()
}

/// Returns all values of a variable in the initial environments of these processes.
pub(super) fn values(entries: &[Entry], name: &str) -> BTreeSet<String> {
    let beginning = format!("{name}=").into_bytes();
    let value = |entry: &Entry| {
        let environ = fs::read(format!("/proc/{}/environ", entry.pid)).unwrap_or_default();
        let found = environ.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(beginning.as_slice()));
        found.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    entries.iter().filter(|entry| !entry.zombie).filter_map(value).collect()
}

/// Returns the value of a variable in the initial environment of a process.
pub(super) fn value(entry: &Entry, name: &str) -> Option<String> {
    values(std::slice::from_ref(entry), name).pop_first()
}

/// Returns the command line of a process.
pub(super) fn arguments(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments = line.split(|&byte| byte == 0).filter(|word| !word.is_empty());
    arguments.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Returns the directories and open files of all processes.
pub(super) fn paths_in_use() -> Option<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for item in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = item.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let files = fs::read_dir(item.path().join("fd")).into_iter().flatten().flatten().map(|fd| fd.path());
        let paths = files.chain(["cwd", "root"].map(|name| item.path().join(name)));
        found.extend(paths.filter_map(|link| Some((pid, fs::read_link(link).ok()?))));
    }
    Some(found)
}

/// Returns the short name of a program. Not its arguments: they may hold secrets.
pub(super) fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// Returns how many bytes a process has read and written so far, files and pipes alike.
pub(super) fn bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let counter = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    counter("rchar:").unwrap_or(0).saturating_add(counter("wchar:").unwrap_or(0))
}

/// Returns whether a process runs or waits for a disk.
pub(super) fn is_busy(entry: &Entry) -> bool {
    entry.is_busy
}

/// Returns its memory in bytes: resident and not shared with others.
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
    fn descendants_are_found_without_reading_the_whole_table() {
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
        assert_eq!(with_variable(std::slice::from_ref(&me), "PATH", &path).len(), 1);
        assert_eq!(with_variable(&[me], "PATH", "other").len(), 0);
    }
}
