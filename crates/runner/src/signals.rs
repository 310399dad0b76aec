//! Signals to the runner. Every signal that an agent might inherit as ignored gets a handler here: `exec` resets a
//! handled signal to its default, but leaves an ignored one ignored.

use signal_hook::consts::{
    SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::{flag, low_level::pipe};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Returns a stream that is readable after each change of the terminal's size.
pub(super) fn window_changes() -> io::Result<UnixStream> {
    let (changes, sender) = UnixStream::pair()?;
    changes.set_nonblocking(true)?;
    pipe::register(SIGWINCH, sender)?;
    Ok(changes)
}

/// The kind of signal that asked for the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopSource {
    /// A key such as Ctrl-C in the pane.
    Keys,
    /// A signal from elsewhere.
    Signal,
}

/// The signals that have arrived so far.
pub(super) struct Signals {
    /// Readable after any signal that the runner acts on.
    pub(super) wake: UnixStream,
    /// The number of the signal that asked for the end; 0 for none.
    stop: Arc<AtomicUsize>,
}

impl Signals {
    /// Installs the handlers: INT, TERM and QUIT ask for the end of the run; HUP (the terminal is gone) stops nothing;
    /// CHLD wakes; the others are handled only so that the agent gets their defaults.
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

    /// Returns what kind of signal has asked for the end, if any has.
    pub(super) fn stop_source(&self) -> Option<StopSource> {
        match i32::try_from(self.stop.load(Ordering::SeqCst)) {
            Ok(0) => None,
            Ok(SIGINT | SIGQUIT) => Some(StopSource::Keys),
            Ok(_) | Err(_) => Some(StopSource::Signal),
        }
    }

    /// Discards the wake-ups so far; the caller then checks what has changed.
    pub(super) fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.wake).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }
}
