//! Signals to the runner. All of those that an agent might inherit as ignored get a handler here, because a handled
//! signal is back to its default after the start of another program, and an ignored one stays ignored.

use signal_hook::consts::{
    SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::{flag, low_level::pipe};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A stream that is readable after each change of the terminal's size.
pub(super) fn window_changes() -> io::Result<UnixStream> {
    let (changes, sender) = UnixStream::pair()?;
    changes.set_nonblocking(true)?;
    pipe::register(SIGWINCH, sender)?;
    Ok(changes)
}

/// By what somebody asked for the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Ctrl-C, or its like, in the pane.
    Keys,
    /// A signal from elsewhere.
    Signal,
}

/// What has arrived so far.
pub(super) struct Signals {
    /// Readable after any signal that the runner acts on.
    pub(super) wake: UnixStream,
    /// The signal that asked for the end; 0: none has.
    stop: Arc<AtomicUsize>,
}

impl Signals {
    /// Takes over: INT, TERM and QUIT ask for the end of the run; HUP says that the terminal is gone, which stops
    /// nothing; CHLD wakes; the others are only brought back to default for the agent.
    pub(super) fn install() -> io::Result<Self> {
        let (wake, sender) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let stop = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGQUIT] {
            flag::register_usize(signal, Arc::clone(&stop), usize::try_from(signal).unwrap_or(usize::MAX))?;
            pipe::register(signal, sender.try_clone()?)?;
        }
        pipe::register(SIGCHLD, sender)?;
        let unused = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2] {
            flag::register(signal, Arc::clone(&unused))?;
        }
        Ok(Self { wake, stop })
    }

    /// By what somebody asked for the end.
    pub(super) fn stop_asked(&self) -> Option<Asked> {
        match i32::try_from(self.stop.load(Ordering::SeqCst)) {
            Ok(0) => None,
            Ok(SIGINT | SIGQUIT) => Some(Asked::Keys),
            Ok(_) | Err(_) => Some(Asked::Signal),
        }
    }

    /// Forgets the wake-ups so far; what they stand for is looked up by the caller.
    pub(super) fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.wake).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }
}
