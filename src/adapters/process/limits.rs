//! What this process uses and may use.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
