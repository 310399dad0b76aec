//! Runs one command so that nothing of it is left: a check, the command of a job. The container is the parent that the
//! kernel gives to every orphan below it, so a process that forgets its parents and its environment is still found; when
//! the command ends, or the container is asked to end, everything below it is ended. It has the command's own standard
//! streams, says nothing, and ends with the command's exit code.

use super::carry_out::adopt_orphans;
use super::signals::Signals;
use orch_core::outcome::Exit;
use orch_sys::process::{Invocation, RUN_MARK, env_var, start_inherited, sweep_tree};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// The hidden subcommand: `orch __contain PROGRAM [ARGUMENT…]`.
pub const CONTAIN: &str = "__contain";
/// How long what a command leaves behind may take to end when it is asked to.
const GRACE: Duration = Duration::from_millis(200);
/// The exit codes by which shells tell that a program cannot be run, and that a signal ended it.
const CANNOT_RUN: u8 = 126;
const BY_SIGNAL: i32 = 128;

/// The same call, inside a container of this orch.
pub fn contained(call: Invocation, orch: &Path) -> Invocation {
    call.contained_by(orch, CONTAIN)
}

/// Runs the command to its end, and ends what it leaves behind. Returns its exit code, as a shell tells it.
pub fn contain(program: &OsString, args: &[OsString]) -> u8 {
    let Ok(signals) = Signals::install() else { return CANNOT_RUN };
    adopt_orphans();
    let Ok(command) = start_inherited(program, args) else { return CANNOT_RUN };
    let exit = follow(command, &signals);
    // The mark also finds what belongs to the command and is no descendant.
    let mark = env_var(RUN_MARK).unwrap_or_else(|| format!("{CONTAIN}-{}", std::process::id()));
    sweep_tree(&mark, GRACE);
    exit.map_or(CANNOT_RUN, code)
}

/// Waits for the end of the command, and for the orphans that come to this process. `None`: it was asked to end before.
fn follow(command: Pid, signals: &Signals) -> Option<Exit> {
    loop {
        signals.drain();
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == command => {
                return Some(Exit { code: status.exit_status(), signal: status.terminating_signal() });
            }
            Ok(Some(_)) | Err(Errno::INTR) => continue,
            Ok(None) => {}
            Err(_) => return None,
        }
        if signals.stop_asked().is_some() {
            return None;
        }
        // An interruption is a reason to look again.
        let _ = poll(&mut [PollFd::new(&signals.wake, PollFlags::IN)], None);
    }
}

fn code(exit: Exit) -> u8 {
    let code = exit.code.or_else(|| exit.signal.map(|signal| BY_SIGNAL + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(CANNOT_RUN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_as_shells_do() {
        assert_eq!(code(Exit { code: Some(3), signal: None }), 3);
        assert_eq!(code(Exit { code: None, signal: Some(9) }), 137);
        assert_eq!(code(Exit { code: None, signal: None }), CANNOT_RUN);
    }
}
