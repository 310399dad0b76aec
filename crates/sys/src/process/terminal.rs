//! Programs that need a terminal: a pseudo terminal of their own, with the caller on its other side. It passes bytes
//! and sizes; what they mean is not known here.

use super::invocation::Invocation;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::Pid;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// How many characters a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns; at least 1.
    pub columns: u16,
    /// Rows; at least 1.
    pub rows: u16,
}

/// The caller's side of a program's terminal. Reading and writing never wait. When it is dropped, the program loses
/// its terminal, and with it usually its life.
pub struct Terminal(Pty);

impl Terminal {
    /// Takes what the program has printed: 0 bytes when it has closed its side, `WouldBlock` when there is nothing.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            // Linux says so when nobody has the other side open any more.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Ok(0),
            other => other,
        }
    }

    /// Types for the program. Returns how much there was room for.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Changes the size; the program is told by a signal.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        self.0.resize(of(size)).map_err(plain)
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Starts a program as the leader of a session of its own, on a terminal of its own that is also its controlling one,
/// and leaves it to the caller to wait for it. The limits and the stdin bytes of the invocation do not apply.
///
/// # Errors
/// The kernel's own: the caller tells a missing program from an argument that is too long.
pub fn start_on_terminal(invocation: &Invocation, size: TerminalSize) -> io::Result<(Pid, Terminal)> {
    let (ours, theirs) = open().map_err(plain)?;
    ours.resize(of(size)).map_err(plain)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    // The leader of a group could not begin a session, so it is not put into a group here.
    let child = Command::from(invocation.command()).spawn(theirs).map_err(plain)?;
    Ok((Pid::from_child(&child), Terminal(ours)))
}

fn of(size: TerminalSize) -> pty_process::Size {
    pty_process::Size::new(size.rows.max(1), size.columns.max(1))
}

fn plain(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(errno) => errno.into(),
    }
}
