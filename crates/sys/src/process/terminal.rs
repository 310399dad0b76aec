//! Programs that need a terminal: each gets a pseudo terminal with the caller on the other side. Passes bytes and sizes
//! on; never interprets them.

use super::invocation::Invocation;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::Pid;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns; at least 1.
    pub columns: u16,
    /// Rows; at least 1.
    pub rows: u16,
}

/// The caller's side of a program's terminal. Reads and writes never block. When it is dropped, the program loses its
/// terminal, which usually ends it.
pub struct Terminal(Pty);

impl Terminal {
    /// Reads what the program has printed: 0 bytes when it has closed its side, `WouldBlock` when there is nothing.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            // Linux reports EIO when no process has the other side open any more.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Ok(0),
            other => other,
        }
    }

    /// Writes input for the program. Returns the number of bytes that were accepted.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Changes the size; the kernel notifies the program with a signal.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        self.0.resize(pty_size(size)).map_err(into_io_error)
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
/// The error of the kernel: the caller distinguishes a missing program from an argument that is too long.
pub fn start_on_terminal(invocation: &Invocation, size: TerminalSize) -> io::Result<(Pid, Terminal)> {
    let (ours, theirs) = open().map_err(into_io_error)?;
    ours.resize(pty_size(size)).map_err(into_io_error)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    // A process group leader cannot start a session, so it is not put into a group here.
    let child = Command::from(invocation.command()).spawn(theirs).map_err(into_io_error)?;
    Ok((Pid::from_child(&child), Terminal(ours)))
}

fn pty_size(size: TerminalSize) -> pty_process::Size {
    pty_process::Size::new(size.rows.max(1), size.columns.max(1))
}

fn into_io_error(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(errno) => errno.into(),
    }
}
