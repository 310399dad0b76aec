//! A limit of memory that the kernel itself holds, for a process and all that come from it: a control group (cgroup v2) of
//! their own beside this program's group. It is there where this user may make one, as below systemd's user instance; where
//! it is not, somebody has to look and add up.

use rustix::process::Pid;
use std::io;
use std::path::{Path, PathBuf};

/// Where Linux shows its groups.
const ROOT: &str = "/sys/fs/cgroup";

/// A group with a limit. Dropped, it is removed, as far as nobody is in it any more.
#[derive(Debug)]
pub struct MemoryGroup {
    dir: PathBuf,
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Whoever survived in it keeps it, with its limit.
        std::fs::remove_dir(&self.dir).ok();
    }
}

impl MemoryGroup {
    /// Makes a group that may have so many bytes, and puts a process into it. `name` is one word, unique on this machine.
    /// `None`: there are no such groups here, this user may not make one, or memory cannot be limited by it.
    pub fn around(process: Pid, name: &str, bytes: u64) -> Option<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        Self::below(&beside(Path::new(ROOT), &own)?, process, name, bytes).ok()
    }

    fn below(parent: &Path, process: Pid, name: &str, bytes: u64) -> io::Result<Self> {
        let delegated = std::fs::read_to_string(parent.join("cgroup.subtree_control"))?;
        if !delegated.split_whitespace().any(|controller| controller == "memory") {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        let dir = parent.join(name);
        std::fs::create_dir(&dir)?;
        let group = Self { dir };
        group.set("memory.max", &bytes.to_string())?;
        // Swapped out, it would use what it is not allowed all the same; not every kernel has swap.
        group.set("memory.swap.max", "0").ok();
        // Half a tree of processes is worth nothing.
        group.set("memory.oom.group", "1").ok();
        group.set("cgroup.procs", &process.as_raw_nonzero().to_string())?;
        Ok(group)
    }

    /// Whether the kernel had to kill in it, because there was more to have than allowed.
    pub fn has_killed(&self) -> bool {
        let events = std::fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        let count = |line: &str| line.strip_prefix("oom_kill ").and_then(|count| count.trim().parse::<u64>().ok());
        events.lines().filter_map(count).any(|count| count > 0)
    }

    /// The files of a group are there when it is; the kernel takes each value in one write.
    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).open(self.dir.join(file))?;
        io::Write::write_all(&mut file, value.as_bytes())
    }
}

/// The group in which the group of this program lies, from the kernel's own list: a group with processes in it hands no
/// controllers on, so that one inside of its own would have none.
fn beside(root: &Path, own: &str) -> Option<PathBuf> {
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
        let found = beside(root, own);
        assert_eq!(found, Some(PathBuf::from("/groups/user.slice/user@1000.service/app.slice")));
        assert_eq!(beside(root, "0::/session.scope\n"), Some(PathBuf::from("/groups")));
        // In the root itself, or with the old groups alone, there is none.
        assert_eq!(beside(root, "0::/\n"), None);
        assert_eq!(beside(root, "4:memory:/x\n"), None);
    }

    #[test]
    fn where_memory_is_not_handed_on_there_is_no_group_and_nothing_is_left() {
        let parent = tempfile::tempdir().expect("a directory");
        assert!(MemoryGroup::below(parent.path(), getpid(), "run", 1).is_err(), "no groups here");
        std::fs::File::create(parent.path().join("cgroup.subtree_control")).expect("made");
        assert!(MemoryGroup::below(parent.path(), getpid(), "run", 1).is_err(), "no memory");
        std::fs::remove_file(parent.path().join("cgroup.subtree_control")).expect("removed");
        let mut file = std::fs::File::create(parent.path().join("cgroup.subtree_control")).expect("made");
        io::Write::write_all(&mut file, b"cpu memory pids\n").expect("written");
        // A plain directory has no files of a group: it cannot be limited, and it is gone again.
        assert!(MemoryGroup::below(parent.path(), getpid(), "run", 1).is_err(), "no limit");
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
