//! The state of the machine: load, memory, free disk space. Values are `None` where the kernel does not report them.
//! Never decides what is much or little.

use orch_core::planning::admission::Sample;
use std::path::Path;

/// Samples load and memory now.
pub fn sample() -> Sample {
    let read = |file: &str| std::fs::read_to_string(Path::new("/proc").join(file)).ok();
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    Sample {
        load: read("loadavg").as_deref().and_then(parse_load).map(|load| load / processors as f64),
        available: read("meminfo").as_deref().and_then(parse_available),
        pressure: read("pressure/memory").as_deref().and_then(parse_pressure),
    }
}

/// Returns the bytes available to this user on the disk of `path`, or of its nearest existing ancestor.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|dir| dir.is_dir())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Returns whether a TCP port of this machine is free now.
pub fn is_port_free(port: u16) -> bool {
    std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Returns the machine's host name without its domain.
pub fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    name.split('.').next().filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned()
}

/// Parses `/proc/loadavg`: `0.42 0.36 0.31 1/234 5678`, where the first number is the average of the last minute.
fn parse_load(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok().filter(|load: &f64| load.is_finite())
}

/// Parses `/proc/meminfo`: `MemAvailable` as a share of `MemTotal`.
fn parse_available(text: &str) -> Option<f64> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let (available, total) = (field("MemAvailable:")?, field("MemTotal:")?);
    (total > 0.0).then_some(available / total)
}

/// Parses `/proc/pressure/memory`: `some avg10=1.25 avg60=…`, percent of the last ten seconds.
fn parse_pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_parsed() {
        assert_eq!(parse_load("1.50 0.36 0.31 1/234 5678\n"), Some(1.5));
        assert_eq!(parse_available("MemTotal:  4000 kB\nMemFree: 1 kB\nMemAvailable:   1000 kB\n"), Some(0.25));
        assert_eq!(parse_pressure("some avg10=1.25 avg60=0.00 total=3\nfull avg10=9.00\n"), Some(1.25));
    }

    #[test]
    fn missing_values_are_unknown() {
        assert_eq!((parse_load(""), parse_load("NaN x")), (None, None));
        assert_eq!(
            (parse_available("MemTotal: 0 kB\nMemAvailable: 0 kB"), parse_available("MemTotal: 9 kB")),
            (None, None)
        );
        assert_eq!(parse_pressure("full avg10=9.00"), None);
    }

    #[test]
    fn free_space_is_known_for_a_directory_that_does_not_exist_yet() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(free_bytes(&dir.path().join("not/yet")).is_some_and(|free| free > 0));
    }
}
