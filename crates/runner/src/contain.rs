//! Runs one command (a check, the command of a job) so that no process of it is left behind. The container is the
//! subreaper of its descendants, so even a process that has left its session and cleared its environment is found. When
//! the command exits, or the container is asked to end, everything below it is ended. It shares the command's standard
//! streams, prints nothing, and exits with the command's exit code.

use super::carry_out::adopt_orphans;
use super::signals::Signals;
use orch_core::tasks::outcome::Exit;
use orch_sys::process::{Invocation, RUN_MARK, env_var, start_inherited, sweep_tree};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// The hidden subcommand: `orch __contain PROGRAM [ARGUMENT…]`.
pub const CONTAIN: &str = "__contain";
/// How long a process that the command leaves behind may take to exit when it is asked to.
const GRACE: Duration = Duration::from_millis(200);
/// The exit code with which shells report that a program cannot be run, and their base for the number of a signal.
const CANNOT_RUN: u8 = 126;
const BY_SIGNAL: i32 = 128;

/// Wraps a call so that it runs inside a container.
pub fn contained(call: Invocation, orch: &Path) -> Invocation {
    call.contained_by(orch, CONTAIN)
}

/// Runs the command to its end, and ends what it leaves behind. Returns its exit code as a shell reports it.
pub fn contain(program: &OsString, args: &[OsString]) -> u8 {
    let Ok(signals) = Signals::install() else { return CANNOT_RUN };
    adopt_orphans();
    let Ok(command) = start_inherited(program, args) else { return CANNOT_RUN };
    let exit = follow(command, &signals);
    // The mark also finds processes of the command that are not descendants.
    let mark = env_var(RUN_MARK).unwrap_or_else(|| format!("{CONTAIN}-{}", std::process::id()));
    sweep_tree(&mark, GRACE);
    exit.map_or(CANNOT_RUN, code)
}

/// Waits for the command to exit, and reaps the orphans that this process adopts. `None` when it was asked to end before.
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
        if signals.stop_source().is_some() {
            return None;
        }
        // An interruption is a reason to check again.
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
    fn a_signal_is_reported_as_shells_do() {
        assert_eq!(code(Exit { code: Some(3), signal: None }), 3);
        assert_eq!(code(Exit { code: None, signal: Some(9) }), 137);
        assert_eq!(code(Exit { code: None, signal: None }), CANNOT_RUN);
    }
}
