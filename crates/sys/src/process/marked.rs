//! Finds and ends the processes of one run. They carry its mark in their environment; those that dropped it are found
//! by descent. Nothing else is ever signalled.

use super::RUN_MARK;
use super::blocking::pause;
use super::identity::{Identity, signal};
use super::table::{self, Entry};
use crate::clock;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// A process that had to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// The identity of the process.
    pub process: Identity,
    /// The short name of its program.
    pub name: String,
}

/// The resources that the processes of a run use in total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Processor time since their start. It may shrink when a process ends without being waited for.
    pub cpu: Duration,
    /// Resident unshared memory, in bytes.
    pub memory: u64,
    /// Number of running processes.
    pub processes: usize,
}

/// Returns the running processes that carry the mark of this run, without the caller.
pub fn marked(run: &str) -> Vec<Identity> {
    targets(run, None).iter().map(Entry::identity).collect()
}

/// Returns all marks of running processes, each once.
pub fn marks() -> BTreeSet<String> {
    table::values(&table::all(), RUN_MARK)
}

/// Returns the running processes that use a directory: their working directory, root or an open file is below it.
/// `None` where the system cannot tell. Processes of other users are not seen. Forked copies of the caller that are
/// about to execute another program are excluded: for a moment they have open what the caller had open.
pub fn working_in(dir: &Path) -> Option<Vec<u32>> {
    // The kernel reports paths with links resolved.
    let dir = dir.canonicalize().ok()?;
    let me = std::process::id();
    // A process without a row has ended. The row of one that is just being removed names no parent.
    let found = using_below(&dir)?.into_iter().filter_map(table::entry);
    let (own, mut others): (Vec<Entry>, Vec<Entry>) = found.partition(|entry| [0, me].contains(&entry.parent));
    if !own.is_empty() {
        let programs = own.into_iter().filter(|entry| !is_copy(entry.pid)).collect::<Vec<_>>();
        // One that has executed another program since keeps nothing open.
        let still = using_below(&dir)?;
        others.extend(programs.into_iter().filter(|entry| still.contains(&entry.pid)));
    }
    let mut pids: Vec<u32> = others.into_iter().map(|entry| entry.pid).collect();
    pids.sort_unstable();
    Some(pids)
}

/// Returns the processes whose working directory, root or open files are below a directory, without the caller.
fn using_below(dir: &Path) -> Option<BTreeSet<u32>> {
    let me = std::process::id();
    let uses = table::paths_in_use()?;
    Some(uses.into_iter().filter(|(pid, place)| *pid != me && place.starts_with(dir)).map(|(pid, _)| pid).collect())
}

/// Returns whether a child is still a copy of its parent, the caller, or is just executing another program: the kernel
/// removes the old program's arguments, closes files, and then sets the new arguments.
fn is_copy(pid: u32) -> bool {
    let arguments = table::arguments(pid);
    arguments.is_empty() || arguments == table::arguments(std::process::id())
}

/// Returns the short name of the program that a process runs.
pub fn program_of(pid: u32) -> String {
    table::name(pid)
}

/// Ends every process of a run: sends TERM, and after `grace` KILL, until none is left. With a `grace` of zero it kills
/// at once. Returns the processes that were ended; it gives up after a few more seconds on those that survive even
/// KILL.
pub fn sweep(run: &str, grace: Duration) -> Vec<Swept> {
    sweep_all(run, None, grace)
}

/// Ends what [`sweep`] ends, and every descendant of the caller, marked or not: for a caller that adopts orphans.
pub fn sweep_tree(run: &str, grace: Duration) -> Vec<Swept> {
    sweep_all(run, Some(std::process::id()), grace)
}

/// Returns the resources used by the caller's descendants and by the children it has waited for.
pub fn descendants_load() -> Load {
    let me = std::process::id();
    let family = table::below(me).unwrap_or_else(|| {
        let all = table::all();
        let family = with_descendants(&all, BTreeSet::from([me]));
        all.into_iter().filter(|entry| entry.pid != me && family.contains(&entry.pid)).collect()
    });
    family.iter().fold(Load::default(), |sum, entry| Load {
        cpu: sum.cpu.saturating_add(entry.cpu),
        memory: sum.memory.saturating_add(table::own_memory(entry)),
        processes: sum.processes + usize::from(!entry.zombie),
    })
}

/// How long KILL is repeated: a process deep in the kernel dies late, and one that keeps forking is chased.
const CHASE: Duration = Duration::from_secs(3);

/// Pause between two checks whether the signalled processes have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

fn sweep_all(run: &str, root: Option<u32>, grace: Duration) -> Vec<Swept> {
    let start = clock::instant();
    let mut seen: BTreeMap<Identity, String> = BTreeMap::new();
    loop {
        let found = targets(run, root);
        let elapsed = start.elapsed();
        if found.is_empty() || elapsed > grace.saturating_add(CHASE) {
            return seen.into_iter().map(|(process, name)| Swept { process, name }).collect();
        }
        for entry in &found {
            let process = entry.identity();
            let is_new = !seen.contains_key(&process);
            if is_new {
                seen.insert(process.clone(), table::name(process.pid));
            }
            if elapsed >= grace {
                signal(&process, Signal::KILL);
            } else if is_new {
                signal(&process, Signal::TERM);
                // A stopped process handles TERM only when it continues.
                signal(&process, Signal::CONT);
            }
        }
        pause(POLL_INTERVAL.min(grace.saturating_sub(elapsed)).max(Duration::from_millis(1)));
    }
}

/// Returns the running processes that carry the mark or descend from one that does or from `root`; never the caller,
/// never `root`.
fn targets(run: &str, root: Option<u32>) -> Vec<Entry> {
    let all = table::all();
    let me = std::process::id();
    let mut roots: BTreeSet<u32> = table::with_variable(&all, RUN_MARK, run).iter().map(|entry| entry.pid).collect();
    roots.remove(&me);
    roots.extend(root);
    let family = with_descendants(&all, roots);
    let spared = |entry: &Entry| entry.zombie || entry.pid == me || Some(entry.pid) == root;
    all.into_iter().filter(|entry| family.contains(&entry.pid) && !spared(entry)).collect()
}

/// Returns `roots` and all their descendants.
fn with_descendants(all: &[Entry], roots: BTreeSet<u32>) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in all {
        children.entry(entry.parent).or_default().push(entry.pid);
    }
    let mut pending: Vec<u32> = roots.iter().copied().collect();
    let mut family = roots;
    while let Some(parent) = pending.pop() {
        for &child in children.get(&parent).into_iter().flatten() {
            if family.insert(child) {
                pending.push(child);
            }
        }
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Invocation;

    fn start(script: &str, run: &str) -> std::process::Child {
        let call = Invocation::new("/bin/sh", "/").args(["-c", script]).env("PATH", "/usr/bin:/bin").env(RUN_MARK, run);
        call.group_command().spawn().expect("starts")
    }

    /// Waits until the processes with the mark run these programs: between fork and exec a child has the name of its
    /// parent.
    fn wait_for(programs: &[&str], run: &str) {
        let deadline = clock::instant() + Duration::from_secs(10);
        loop {
            let mut names: Vec<String> = marked(run).iter().map(|process| program_of(process.pid)).collect();
            names.sort_unstable();
            if names == programs {
                return;
            }
            assert!(clock::instant() < deadline, "{names:?}");
        }
    }

    #[test]
    fn everything_that_carries_the_mark_is_ended_and_nothing_else() {
        let run = format!("1-1-{:08x}", std::process::id());
        let mut own = start("trap '' TERM; setsid sleep 100 & env -i sleep 100 & wait; wait; sleep 100", &run);
        let mut other = start("exec sleep 100", "somebody-else");
        wait_for(&["sh", "sleep", "sleep"], &run);
        let swept = sweep(&run, Duration::from_millis(50));
        assert!(swept.iter().filter(|s| s.name == "sleep").count() >= 2, "{swept:?}");
        assert_eq!(marked(&run), []);
        own.wait().expect("was ended");
        assert_eq!(other.try_wait().expect("is ours"), None);
        other.kill().expect("is ours");
        other.wait().expect("is ours");
        assert_eq!(sweep(&run, Duration::from_secs(5)), [], "nothing is left, so nothing is waited for");
    }

    #[test]
    fn a_mark_that_only_begins_alike_is_another_mark() {
        let run = format!("2-1-{:08x}", std::process::id());
        let mut child = start("exec sleep 100", &format!("{run}0"));
        assert_eq!(sweep(&run, Duration::ZERO), []);
        assert_eq!(child.try_wait().expect("is ours"), None);
        child.kill().expect("is ours");
        child.wait().expect("is ours");
    }

    #[test]
    fn a_copy_of_the_caller_that_is_about_to_become_another_program_works_nowhere() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("open");
        std::fs::File::create(&file).expect("can be written");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            let begin = || {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let mut child =
                        Invocation::new("/bin/sh", "/").args(["-c", ":"]).group_command().spawn().expect("starts");
                    child.wait().expect("ends");
                }
            };
            for _ in 0..2 {
                threads.spawn(begin);
            }
            for _ in 0..500 {
                let held = std::fs::File::open(&file).expect("can be read");
                let found = working_in(dir.path());
                if found.as_ref().is_none_or(|found| !found.is_empty()) {
                    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                assert_eq!(found, Some(Vec::new()));
                drop(held);
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_child_of_the_caller_that_works_there_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let call = Invocation::new("/bin/sleep", dir.path()).args(["100"]);
        let mut child = call.group_command().spawn().expect("starts");
        let deadline = clock::instant() + Duration::from_secs(10);
        while working_in(dir.path()) != Some(vec![child.id()]) {
            assert!(clock::instant() < deadline, "{:?}", working_in(dir.path()));
        }
        child.kill().expect("is ours");
        child.wait().expect("is ours");
    }
}
