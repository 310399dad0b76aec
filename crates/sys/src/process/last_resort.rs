//! The two ways in which this process stops: it executes another program, or it exits although something hangs.

use super::identity::{Identity, signal};
use rustix::process::Signal;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Replaces this process by a program, keeping process number, files and environment. Returns only when that fails.
#[expect(clippy::disallowed_methods, reason = "the door to other programs")]
pub fn become_program(program: &Path, name: &OsString, args: &[OsString]) -> io::Error {
    std::process::Command::new(program).arg0(name).args(args).exec()
}

/// Re-executes this program with glibc limited to two malloc arenas and told to return large free blocks. By default
/// each thread of a daemon keeps as much memory as its largest job took, a dozen times what is needed and growing with
/// every task, and glibc reads the limit only at start. Returns where it is not needed, and with an error where it
/// failed.
pub fn with_few_arenas() -> io::Result<()> {
    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || super::env_var(ARENAS).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe()?;
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "orch".into());
    Err(execute_with_few_arenas(&program, &name, ARENAS, args))
}

/// Free blocks of at least this many bytes are returned to the system.
const MALLOC_THRESHOLDS: [(&str, &str); 2] =
    [("MALLOC_TRIM_THRESHOLD_", "131072"), ("MALLOC_MMAP_THRESHOLD_", "131072")];

#[expect(clippy::disallowed_methods, reason = "the door to other programs")]
fn execute_with_few_arenas(
    program: &Path,
    name: &OsString,
    variable: &str,
    args: impl Iterator<Item = OsString>,
) -> io::Error {
    std::process::Command::new(program).arg0(name).args(args).env(variable, "2").envs(MALLOC_THRESHOLDS).exec()
}

/// Asks a process to end, with TERM. Returns whether the signal was sent.
pub fn terminate(process: &Identity) -> bool {
    signal(process, Signal::TERM)
}

/// Exits immediately: for callers that cannot return to main, because something on the way hangs.
#[expect(clippy::disallowed_methods, reason = "main is out of reach")]
pub fn exit_now(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

/// A timer that exits the process unless it is dropped in time.
pub struct LastResort {
    /// Disconnecting the channel cancels the timer.
    _cancel: Sender<()>,
}

/// Exits the process with `code` after `patience`, unless the returned value is dropped before.
#[expect(clippy::disallowed_methods, reason = "main cannot leave the process while something hangs")]
pub fn exit_after(patience: Duration, code: u8) -> LastResort {
    let (cancel, cancelled) = channel::<()>();
    let thread = std::thread::Builder::new().name("last resort".to_owned()).spawn(move || {
        if cancelled.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            std::process::exit(i32::from(code));
        }
    });
    if let Err(error) = thread {
        tracing::warn!(%error, "the process has no time limit for its shutdown");
    }
    LastResort { _cancel: cancel }
}
