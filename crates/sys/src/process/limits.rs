//! Resource limits and resource usage of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};

/// The open files that a daemon with a thousand watchers needs. No more, because programs that it starts inherit the
/// limit, and some iterate over all allowed descriptors.
const FILES: u64 = 8192;

/// Raises this process's limit of open files, as far as the system allows.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        // The old limit works too, for fewer watchers.
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).ok();
    }
}

/// Returns how many files this process may have open; `None` when unlimited.
pub fn file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Returns a path from which this program can be started: `known`, its path at start, or, when an upgrade has removed
/// that, the kernel's name for the running file, which is valid as long as this process lives.
pub fn own_program(known: &Path) -> PathBuf {
    let by_kernel = || PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    if known.exists() {
        known.to_owned()
    } else {
        Some(by_kernel()).filter(|own| own.exists()).unwrap_or(known.to_owned())
    }
}

/// Returns the resident memory of this process in bytes; `None` where the system does not report it cheaply.
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
