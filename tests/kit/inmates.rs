//! Finds the processes of a box, whatever their parent, session or group. Uses `/proc`, so it works on Linux only.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A process of a box.
#[derive(Debug, Clone)]
pub struct Inmate {
    /// The process id.
    pub pid: i32,
    /// The command line, with spaces between the arguments.
    pub command: String,
}

/// Returns the processes with `root` in their environment, or with a working directory in it, except this one.
pub fn list(root: &Path) -> Vec<Inmate> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != own && belongs(*pid, root)).map(|pid| Inmate { pid, command: command_of(pid) }).collect()
}

fn belongs(pid: i32, root: &Path) -> bool {
    let mark = root.as_os_str().as_bytes();
    let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let stands_in = std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|dir| dir.starts_with(root));
    stands_in || environ.windows(mark.len()).any(|window| window == mark)
}

fn command_of(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ").trim_end().to_owned()
}
