//! Reads the process table from `ps`, where there is no `/proc`. Best effort: the environment of a program that the
//! system protects stays hidden.

use super::blocking::run;
use super::identity::Identity;
use super::invocation::Invocation;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// One process.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// It has ended, but its parent has not waited for it yet.
    pub(super) zombie: bool,
    is_busy: bool,
    /// Processor time of the process alone.
    pub(super) cpu: Duration,
    /// Start date and time, as printed.
    start: String,
    /// Resident memory, in bytes.
    resident: u64,
}

impl Entry {
    pub(super) fn identity(&self) -> Identity {
        Identity { pid: self.pid, started: self.start.clone() }
    }
}

const COLUMNS: &str = "pid=,ppid=,stat=,rss=,time=,lstart=";

fn ps(args: &[&str]) -> String {
    let call = Invocation::new("/bin/ps", "/").args(args).env("LC_ALL", "C").time_limit(Duration::from_secs(5));
    run(&call).map(|output| output.text()).unwrap_or_default()
}

/// Reads one process.
pub(super) fn entry(pid: u32) -> Option<Entry> {
    ps(&["-o", COLUMNS, "-p", &pid.to_string()]).lines().find_map(parse_row)
}

/// Reads all processes.
pub(super) fn all() -> Vec<Entry> {
    ps(&["-ax", "-o", COLUMNS]).lines().filter_map(parse_row).collect()
}

/// Always `None`: `ps` cannot list descendants without the whole table.
pub(super) fn below(_root: u32) -> Option<Vec<Entry>> {
    None
}

fn parse_row(row: &str) -> Option<Entry> {
    let fields: Vec<&str> = row.split_ascii_whitespace().collect();
    let [pid, parent, state, resident, time, start @ ..] = fields.as_slice() else { return None };
    Some(Entry {
        pid: pid.parse().ok()?,
        parent: parent.parse().ok()?,
        zombie: state.starts_with('Z'),
        is_busy: state.starts_with(['R', 'D', 'U']),
        cpu: parse_time(time),
        start: start.join(" "),
        resident: resident.parse::<u64>().unwrap_or(0).saturating_mul(1024),
    })
}

/// Parses `[days-][hours:]minutes:seconds[.hundredths]`.
fn parse_time(text: &str) -> Duration {
    let (days, clock) = text.split_once('-').unwrap_or(("0", text));
    let number = |part: &str| part.parse::<f64>().unwrap_or(0.0);
    let seconds = clock.split(':').fold(0.0, |sum, part| sum * 60.0 + number(part));
    Duration::try_from_secs_f64(number(days) * 86_400.0 + seconds).unwrap_or_default()
}

/// Returns the processes whose environment contains `NAME=value`.
pub(super) fn with_variable<'a>(entries: &'a [Entry], name: &str, value: &str) -> Vec<&'a Entry> {
    let wanted = format!("{name}={value}");
    let listing = ps(&["-Eaxww", "-o", "pid=,command="]);
    let pids: Vec<u32> = listing
        .lines()
        .filter(|row| row.split_ascii_whitespace().any(|word| word == wanted))
        .filter_map(|row| row.split_ascii_whitespace().next()?.parse().ok())
        .collect();
    entries.iter().filter(|entry| pids.contains(&entry.pid)).collect()
}

/// Returns all values of a variable in the environments of these processes.
pub(super) fn values(_entries: &[Entry], name: &str) -> BTreeSet<String> {
    let beginning = format!("{name}=");
    let listing = ps(&["-Eaxww", "-o", "command="]);
    listing.split_ascii_whitespace().filter_map(|word| word.strip_prefix(&beginning)).map(str::to_owned).collect()
}

/// Returns the value of a variable in the environment of a process.
pub(super) fn value(entry: &Entry, name: &str) -> Option<String> {
    let beginning = format!("{name}=");
    let listing = ps(&["-Eww", "-o", "command=", "-p", &entry.pid.to_string()]);
    listing.split_ascii_whitespace().find_map(|word| word.strip_prefix(&beginning)).map(str::to_owned)
}

/// Returns the command line of a process, split at white space.
pub(super) fn arguments(pid: u32) -> Vec<String> {
    let line = ps(&["-ww", "-o", "command=", "-p", &pid.to_string()]);
    line.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Returns the directories and open files of all processes; `None` without `lsof`.
pub(super) fn paths_in_use() -> Option<Vec<(u32, PathBuf)>> {
    let call = Invocation::new("/usr/sbin/lsof", "/").args(["-w", "-n", "-P", "-Fpn"]);
    let text = run(&call.time_limit(Duration::from_secs(30))).ok()?.text();
    let (mut pid, mut found) = (None, Vec::new());
    for line in text.lines() {
        if let Some(number) = line.strip_prefix('p') {
            pid = number.parse().ok();
        } else if let (Some(pid), Some(path)) = (pid, line.strip_prefix('n')) {
            found.push((pid, PathBuf::from(path)));
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Returns the short name of a program. Not its arguments: they may hold secrets.
pub(super) fn name(pid: u32) -> String {
    let path = ps(&["-o", "comm=", "-p", &pid.to_string()]);
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Returns how many bytes a process has read and written; always 0, because `ps` does not report it.
pub(super) fn bytes(_pid: u32) -> u64 {
    0
}

/// Returns whether a process runs or waits for a disk.
pub(super) fn is_busy(entry: &Entry) -> bool {
    entry.is_busy
}

/// Returns the resident memory of a process, in bytes.
pub(super) fn own_memory(entry: &Entry) -> u64 {
    entry.resident
}
