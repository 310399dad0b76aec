//! How the machine stands: load, memory, room on a disk. Read where the kernel tells, `None` everywhere else. Never
//! decides what is much or little.

use orch_core::admission::Sample;
use std::path::Path;

/// Load and memory at this moment.
pub fn sample() -> Sample {
    let read = |file: &str| std::fs::read_to_string(Path::new("/proc").join(file)).ok();
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    Sample {
        load: read("loadavg").as_deref().and_then(load_of).map(|load| load / processors as f64),
        available: read("meminfo").as_deref().and_then(available_of),
        pressure: read("pressure/memory").as_deref().and_then(pressure_of),
    }
}

/// Bytes that are free for us on the disk of `path`, or of the nearest directory above it that is there.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|dir| dir.is_dir())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether nobody listens on a TCP port of this machine now.
pub fn is_port_free(port: u16) -> bool {
    std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// How the machine is called, without its domain.
pub fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    name.split('.').next().filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned()
}

/// `0.42 0.36 0.31 1/234 5678`: the first is of the last minute.
fn load_of(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok().filter(|load: &f64| load.is_finite())
}

/// `MemAvailable` as a share of `MemTotal`.
fn available_of(text: &str) -> Option<f64> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let (available, total) = (field("MemAvailable:")?, field("MemTotal:")?);
    (total > 0.0).then_some(available / total)
}

/// `some avg10=1.25 avg60=…`: percent of the last ten seconds.
fn pressure_of(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_understood() {
        assert_eq!(load_of("1.50 0.36 0.31 1/234 5678\n"), Some(1.5));
        assert_eq!(available_of("MemTotal:  4000 kB\nMemFree: 1 kB\nMemAvailable:   1000 kB\n"), Some(0.25));
        assert_eq!(pressure_of("some avg10=1.25 avg60=0.00 total=3\nfull avg10=9.00\n"), Some(1.25));
    }

    #[test]
    fn what_it_does_not_tell_is_unknown() {
        assert_eq!((load_of(""), load_of("NaN x")), (None, None));
        assert_eq!((available_of("MemTotal: 0 kB\nMemAvailable: 0 kB"), available_of("MemTotal: 9 kB")), (None, None));
        assert_eq!(pressure_of("full avg10=9.00"), None);
    }

    #[test]
    fn a_disk_is_found_by_a_directory_that_is_not_there_yet() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(free_bytes(&dir.path().join("not/yet")).is_some_and(|free| free > 0));
    }
}
