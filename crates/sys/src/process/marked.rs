//! Finding and ending the processes of one run. They bear its mark in their environment; those that dropped it are
//! known by descent. Nothing else is ever signalled.

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
    /// Who it was.
    pub process: Identity,
    /// The short name of its program.
    pub name: String,
}

/// What the processes of a run use, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Processor time since their start. It may shrink when a process ends unseen.
    pub cpu: Duration,
    /// Memory of their own, in bytes.
    pub memory: u64,
    /// How many they are.
    pub processes: usize,
}

/// The running processes that bear the mark of this run, without the caller.
pub fn marked(run: &str) -> Vec<Identity> {
    targets(run, None).iter().map(Entry::identity).collect()
}

/// All marks that running processes bear, each once.
pub fn marks() -> BTreeSet<String> {
    table::values(&table::all(), RUN_MARK)
}

/// The running processes that work below a directory: in it, or with a file of it open. `None`: it cannot be told here.
/// Those of other people are not seen, nor are copies of the caller that are about to become another program: such a
/// copy has open, for a moment, what the caller had open when it was made.
pub fn working_in(dir: &Path) -> Option<Vec<u32>> {
    // The kernel tells places without links.
    let dir = dir.canonicalize().ok()?;
    let me = std::process::id();
    // Who has no row any more is gone.
    let found = placed_below(&dir)?.into_iter().filter_map(table::entry);
    let (own, mut others): (Vec<Entry>, Vec<Entry>) = found.partition(|entry| entry.parent == me);
    if !own.is_empty() {
        let programs = own.into_iter().filter(|entry| !is_copy(entry.pid)).collect::<Vec<_>>();
        // One that has become another program since it was seen keeps nothing open.
        let still = placed_below(&dir)?;
        others.extend(programs.into_iter().filter(|entry| still.contains(&entry.pid)));
    }
    let mut pids: Vec<u32> = others.into_iter().map(|entry| entry.pid).collect();
    pids.sort_unstable();
    Some(pids)
}

/// Who has its place below a directory, a file of it open, or its root there, without the caller.
fn placed_below(dir: &Path) -> Option<BTreeSet<u32>> {
    let me = std::process::id();
    let at = table::places()?;
    Some(at.into_iter().filter(|(pid, place)| *pid != me && place.starts_with(dir)).map(|(pid, _)| pid).collect())
}

/// Whether a child still is what its parent, the caller, is, or is becoming another program: the kernel takes the old program's
/// arguments away, closes files, and then sets the arguments of the new one.
fn is_copy(pid: u32) -> bool {
    let words = table::words(pid);
    words.is_empty() || words == table::words(std::process::id())
}

/// The short name of the program that a process runs.
pub fn program_of(pid: u32) -> String {
    table::name(pid)
}

/// Ends every process of a run: asks with TERM, and after `grace` kills, until none is left. With a `grace` of zero
/// it kills at once. Returns who was ended; it gives up after a few more seconds on what even KILL does not end.
pub fn sweep(run: &str, grace: Duration) -> Vec<Swept> {
    sweep_all(run, None, grace)
}

/// As [`sweep`], and also ends every descendant of the caller, marked or not: for a caller that adopts orphans.
pub fn sweep_tree(run: &str, grace: Duration) -> Vec<Swept> {
    sweep_all(run, Some(std::process::id()), grace)
}

/// What the descendants of the caller use, and what it has waited for.
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

/// How long KILL is repeated: a process deep in the kernel dies late, and one that forks on is chased.
const CHASE: Duration = Duration::from_secs(3);

/// How long to wait for the asked ones between two looks.
const LOOK: Duration = Duration::from_millis(10);

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
                // A stopped process hears the question only when it goes on.
                signal(&process, Signal::CONT);
            }
        }
        pause(LOOK.min(grace.saturating_sub(elapsed)).max(Duration::from_millis(1)));
    }
}

/// The running processes that bear the mark or descend from one that does or from `root`; never the caller, never `root`.
fn targets(run: &str, root: Option<u32>) -> Vec<Entry> {
    let all = table::all();
    let me = std::process::id();
    let mut heads: BTreeSet<u32> = table::bearing(&all, RUN_MARK, run).iter().map(|entry| entry.pid).collect();
    heads.remove(&me);
    heads.extend(root);
    let family = with_descendants(&all, heads);
    let spared = |entry: &Entry| entry.zombie || entry.pid == me || Some(entry.pid) == root;
    all.into_iter().filter(|entry| family.contains(&entry.pid) && !spared(entry)).collect()
}

/// `heads` and everything below them.
fn with_descendants(all: &[Entry], heads: BTreeSet<u32>) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in all {
        children.entry(entry.parent).or_default().push(entry.pid);
    }
    let mut open: Vec<u32> = heads.iter().copied().collect();
    let mut family = heads;
    while let Some(parent) = open.pop() {
        for &child in children.get(&parent).into_iter().flatten() {
            if family.insert(child) {
                open.push(child);
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

    fn wait_for(count: usize, run: &str) {
        let deadline = clock::instant() + Duration::from_secs(10);
        while marked(run).len() != count {
            assert!(clock::instant() < deadline, "{:?}", marked(run));
        }
    }

    #[test]
    fn everything_that_bears_the_mark_is_ended_and_nothing_else() {
        let run = format!("1-1-{:08x}", std::process::id());
        let mut own = start("trap '' TERM; setsid sleep 100 & env -i sleep 100 & wait; wait; sleep 100", &run);
        let mut other = start("exec sleep 100", "somebody-else");
        wait_for(3, &run);
        let swept = sweep(&run, Duration::from_millis(50));
        assert!(swept.len() >= 3 && swept.iter().any(|s| s.name == "sleep"), "{swept:?}");
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
