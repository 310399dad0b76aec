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
