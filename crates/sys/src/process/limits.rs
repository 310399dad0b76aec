//! What this process uses and may use.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};

/// As many open files as a daemon with a thousand watchers needs. No more, because programs that it starts inherit it,
/// and some walk through all numbers that are allowed.
const FILES: u64 = 8192;

/// Allows this process more open files, as far as the system lets it.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        // With the old limit it works too, for fewer watchers.
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).ok();
    }
}

/// How many files this process may have open; `None`: as many as it likes.
pub fn file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Where this program can be started from: `known`, where it was when this process began, or, when an upgrade has taken
/// it away there, the kernel's own name for the file that this process runs, which holds as long as it lives.
pub fn own_program(known: &Path) -> PathBuf {
    let by_kernel = || PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    if known.exists() {
        known.to_owned()
    } else {
        Some(by_kernel()).filter(|own| own.exists()).unwrap_or(known.to_owned())
    }
}

/// Memory of this process that is in use, in bytes; `None` where the system does not tell it cheaply.
pub fn resident_memory() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_some_memory() {
        assert!(resident_memory().is_some_and(|bytes| bytes > 100_000));
    }
}
