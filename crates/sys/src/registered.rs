//! Descriptors in the runtime's poll, for what they are wanted for and nothing else: each thing that is announced and that
//! nobody wants costs a wake-up.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers what owns a descriptor that does not block. Called within a runtime that has its I/O switched on.
///
/// # Errors
/// The process has no more descriptors, or this one cannot be polled.
#[expect(deprecated, reason = "its successor is unsafe for what might close its descriptor early: an owner does not")]
pub fn registered<T: AsRawFd + Into<OwnedFd>>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}
