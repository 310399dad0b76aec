//! Who a process is. A number alone may belong to a stranger tomorrow; number, boot and time of start may not.

use super::table;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// A process of this machine, for good.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it started, in the system's own terms; on Linux with the boot it belongs to. To be compared only.
    pub started: String,
}

impl Identity {
    /// The process that has this number now; `None` when there is none, or only what is left of an ended one.
    pub fn of(pid: u32) -> Option<Self> {
        table::entry(pid).filter(|entry| !entry.zombie).map(|entry| entry.identity())
    }

    /// This very process.
    pub fn current() -> Self {
        let pid = std::process::id();
        Self::of(pid).unwrap_or(Self { pid, started: String::new() })
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
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
    // Asked after the handle was opened: if the number still means our process now, the handle does too.
    process.is_alive() && pidfd_send_signal(&handle, signal).is_ok()
}

/// Sends a signal to this process. Returns whether it was sent. Without process handles there is a moment between
/// looking and sending.
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
        while Identity::of(child.id()).is_some() {
            assert!(crate::clock::instant() < deadline);
        }
        child.wait().expect("waits");
    }
}
