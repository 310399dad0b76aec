//! A memory limit that the kernel enforces on a process and its descendants: a control group (cgroup v2) beside this
//! program's group. It works where this user may create one, as below systemd's user instance; elsewhere the caller has
//! to measure and sum up.

use rustix::process::Pid;
use std::io;
use std::path::{Path, PathBuf};

/// Where Linux mounts its control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// A control group with a memory limit. It is removed when dropped, unless a process is still in it.
#[derive(Debug)]
pub struct MemoryGroup {
    dir: PathBuf,
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A surviving process keeps the group and its limit.
        std::fs::remove_dir(&self.dir).ok();
    }
}

impl MemoryGroup {
    /// Creates a group limited to `bytes` and moves a process into it. `name` is one word, unique on this machine.
    /// `None` where the system has no such groups, this user may not create one, or it cannot limit memory.
    pub fn create_for(process: Pid, name: &str, bytes: u64) -> Option<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        Self::create_below(&parent_group(Path::new(ROOT), &own)?, process, name, bytes).ok()
    }

    fn create_below(parent: &Path, process: Pid, name: &str, bytes: u64) -> io::Result<Self> {
        let delegated = std::fs::read_to_string(parent.join("cgroup.subtree_control"))?;
        if !delegated.split_whitespace().any(|controller| controller == "memory") {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        let dir = parent.join(name);
        std::fs::create_dir(&dir)?;
        let group = Self { dir };
        group.set("memory.max", &bytes.to_string())?;
        // Swapping would evade the limit; not every kernel has swap.
        group.set("memory.swap.max", "0").ok();
        // Kill the whole group: half a tree of processes is useless.
        group.set("memory.oom.group", "1").ok();
        group.set("cgroup.procs", &process.as_raw_nonzero().to_string())?;
        Ok(group)
    }

    /// Returns whether the kernel killed a process in the group for exceeding the limit.
    pub fn has_killed(&self) -> bool {
        let events = std::fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        let count = |line: &str| line.strip_prefix("oom_kill ").and_then(|count| count.trim().parse::<u64>().ok());
        events.lines().filter_map(count).any(|count| count > 0)
    }

    /// Writes a control file. The kernel creates them with the group and takes each value in one write.
    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).open(self.dir.join(file))?;
        io::Write::write_all(&mut file, value.as_bytes())
    }
}

/// Returns the parent of this program's group, from the kernel's own list: a group that contains processes delegates no
/// controllers, so a group inside it would have none.
fn parent_group(root: &Path, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let parent = Path::new(path.trim_end()).parent()?;
    Some(root.join(parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpid;

    #[test]
    fn the_group_is_beside_ones_own() {
        let root = Path::new("/groups");
        let own = "12:memory:/old\n0::/user.slice/user@1000.service/app.slice/tmux.scope\n";
        let found = parent_group(root, own);
        assert_eq!(found, Some(PathBuf::from("/groups/user.slice/user@1000.service/app.slice")));
        assert_eq!(parent_group(root, "0::/session.scope\n"), Some(PathBuf::from("/groups")));
        // In the root itself, or with the old groups alone, there is none.
        assert_eq!(parent_group(root, "0::/\n"), None);
        assert_eq!(parent_group(root, "4:memory:/x\n"), None);
    }

    #[test]
    fn where_memory_is_not_delegated_there_is_no_group_and_nothing_is_left() {
        let parent = tempfile::tempdir().expect("a directory");
        assert!(MemoryGroup::create_below(parent.path(), getpid(), "run", 1).is_err(), "no groups here");
        std::fs::File::create(parent.path().join("cgroup.subtree_control")).expect("made");
        assert!(MemoryGroup::create_below(parent.path(), getpid(), "run", 1).is_err(), "no memory");
        std::fs::remove_file(parent.path().join("cgroup.subtree_control")).expect("removed");
        let mut file = std::fs::File::create(parent.path().join("cgroup.subtree_control")).expect("made");
        io::Write::write_all(&mut file, b"cpu memory pids\n").expect("written");
        // A plain directory has no files of a group: it cannot be limited, and it is gone again.
        assert!(MemoryGroup::create_below(parent.path(), getpid(), "run", 1).is_err(), "no limit");
        assert!(!parent.path().join("run").exists());
    }

    #[test]
    fn a_kill_by_the_kernel_is_known() {
        let dir = tempfile::tempdir().expect("a directory");
        let group = MemoryGroup { dir: dir.path().join("run") };
        std::fs::create_dir(&group.dir).expect("made");
        assert!(!group.has_killed());
        for (events, killed) in [("low 0\noom 3\noom_kill 0\n", false), ("oom 1\noom_kill 2\noom_group_kill 1\n", true)]
        {
            let mut file = std::fs::File::create(group.dir.join("memory.events")).expect("made");
            io::Write::write_all(&mut file, events.as_bytes()).expect("written");
            assert_eq!(group.has_killed(), killed, "{events}");
        }
    }
}
