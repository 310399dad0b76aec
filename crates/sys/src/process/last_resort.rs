//! The two ways in which this process stops being what it is: it becomes another program, or it ends although something
//! hangs.

use super::identity::{Identity, signal};
use rustix::process::Signal;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Becomes this program, with the same process number, files and environment. Returns only when that did not work.
#[expect(clippy::disallowed_methods, reason = "the door to other programs")]
pub fn become_program(program: &Path, name: &OsString, args: &[OsString]) -> io::Error {
    std::process::Command::new(program).arg0(name).args(args).exec()
}

/// Becomes this program anew, where the C library keeps memory for each thread: told to keep it in two places only, and to give
/// back what is large. A daemon does each piece of work in whichever thread is free, and each keeps as much as the largest
/// piece took: a dozen times as much as is needed, and more with every task. The library can be told so only before it starts.
/// Comes back where that is not needed, and where it did not work.
pub fn with_few_arenas() -> io::Result<()> {
    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || super::env_var(ARENAS).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe()?;
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "orch".into());
    Err(few_arenas(&program, &name, ARENAS, args))
}

/// From so many bytes on, what is free goes back to the system.
const GIVE_BACK: [(&str, &str); 2] = [("MALLOC_TRIM_THRESHOLD_", "131072"), ("MALLOC_MMAP_THRESHOLD_", "131072")];

#[expect(clippy::disallowed_methods, reason = "the door to other programs")]
fn few_arenas(program: &Path, name: &OsString, variable: &str, args: impl Iterator<Item = OsString>) -> io::Error {
    std::process::Command::new(program).arg0(name).args(args).env(variable, "2").envs(GIVE_BACK).exec()
}

/// Asks a process to end.
pub fn terminate(process: &Identity) -> bool {
    signal(process, Signal::TERM)
}

/// Ends this process here and now: for who cannot go back to main, because something on the way there hangs.
#[expect(clippy::disallowed_methods, reason = "main is out of reach")]
pub fn exit_now(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

/// While it is held, the process ends at a certain time, whatever hangs.
pub struct LastResort {
    /// Dropped, it calls the end off.
    _off: Sender<()>,
}

/// Ends this process with this exit code, unless the answer is dropped before.
#[expect(clippy::disallowed_methods, reason = "main cannot leave the process while something hangs")]
pub fn exit_after(patience: Duration, code: u8) -> LastResort {
    let (off, waits) = channel::<()>();
    let waiting = std::thread::Builder::new().name("last resort".to_owned()).spawn(move || {
        if waits.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            std::process::exit(i32::from(code));
        }
    });
    if let Err(error) = waiting {
        tracing::warn!(%error, "nobody watches over the end of this process");
    }
    LastResort { _off: off }
}
