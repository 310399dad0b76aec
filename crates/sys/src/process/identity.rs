//! The identity of a process. Its number alone may be reused; number, boot and start time together are unique.

use super::table;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// Identifies a process of this machine uniquely.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The process number.
    pub pid: u32,
    /// When it started, in a system-specific format; on Linux with the boot it belongs to. Only for comparison.
    pub started: String,
}

impl Identity {
    /// Returns the process that has this number now; `None` when there is none or only a zombie.
    pub fn from_pid(pid: u32) -> Option<Self> {
        table::entry(pid).filter(|entry| !entry.zombie).map(|entry| entry.identity())
    }

    /// Returns the identity of this process.
    pub fn current() -> Self {
        let pid = std::process::id();
        Self::from_pid(pid).unwrap_or(Self { pid, started: String::new() })
    }

    /// Returns whether the process still runs.
    pub fn is_alive(&self) -> bool {
        Self::from_pid(self.pid).as_ref() == Some(self)
    }

    pub(super) fn raw(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }
}

/// Sends a signal to exactly this process, never to one that got its number later. Returns whether it was sent.
#[cfg(target_os = "linux")]
pub fn signal(process: &Identity, signal: Signal) -> bool {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    let Some(handle) = process.raw().and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return false };
    // Checked after the handle was opened: if the number still identifies our process, so does the handle.
    process.is_alive() && pidfd_send_signal(&handle, signal).is_ok()
}

/// Sends a signal to this process. Returns whether it was sent. Without process handles there is a short race between
/// the check and the signal.
#[cfg(not(target_os = "linux"))]
pub fn signal(process: &Identity, signal: Signal) -> bool {
    process.is_alive() && process.raw().is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_a_stranger_with_its_number_is_not_signalled() {
        let me = Identity::current();
        assert!(me.is_alive());
        let stranger = Identity { started: "some other time".into(), ..me.clone() };
        assert!(!stranger.is_alive());
        assert!(!signal(&stranger, Signal::TERM));
        assert_eq!(serde_json::from_str::<Identity>(&serde_json::to_string(&me).expect("json")).expect("json"), me);
    }

    #[test]
    fn a_process_that_ended_is_not_alive_before_it_is_waited_for() {
        let call = super::super::Invocation::new("/bin/sh", "/").args(["-c", "exit 0"]);
        let mut child = call.command().spawn().expect("starts");
        let deadline = crate::clock::instant() + std::time::Duration::from_secs(10);
        while Identity::from_pid(child.id()).is_some() {
            assert!(crate::clock::instant() < deadline);
        }
        child.wait().expect("waits");
    }
}
