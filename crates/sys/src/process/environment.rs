//! Reads orch's environment, and finds programs in a search path.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Returns the value of a variable; `None` when it is unset, empty or not valid UTF-8.
#[expect(clippy::disallowed_methods, reason = "the door to the environment")]
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns every variable whose name and value are valid UTF-8.
#[expect(clippy::disallowed_methods, reason = "the door to the environment")]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Returns the absolute path of the program `name`, searched in `path` (the value of a `PATH`).
///
/// A name with a slash is a path of its own, relative to the current directory. Empty and relative entries of `path`
/// are
/// skipped: a file in a checkout must not become a program.
pub fn which(name: &str, path: &str) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    if name.contains('/') {
        return std::path::absolute(name).ok().filter(|file| is_program(file));
    }
    path.split(':')
        .map(Path::new)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file.as_os_str().as_bytes(), rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_absolute_entries_only() {
        let sh = which("sh", "/nonexistent:relative::/bin:/usr/bin").expect("a machine with sh");
        assert!(sh.ends_with("sh") && sh.is_absolute());
        assert_eq!(which("sh", "bin:"), None);
        assert_eq!(which("", "/bin"), None);
        assert_eq!(which("surely-no-such-program", "/bin:/usr/bin"), None);
        assert_eq!(which("/bin/sh", ""), Some(PathBuf::from("/bin/sh")));
        assert_eq!(which("/etc/passwd", ""), None, "not executable");
    }

    #[test]
    fn the_environment_is_readable() {
        assert_eq!(env_var("PATH"), environment().get("PATH").cloned());
        assert_eq!(env_var("ORCH_SURELY_UNSET_VARIABLE"), None);
    }
}
