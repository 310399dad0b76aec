//! Registers file descriptors with the runtime's poll for the given interest only: each readiness event that no task
//! needs costs a wake-up.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers the owner of a non-blocking descriptor. Must be called within a runtime that has its I/O driver enabled.
///
/// # Errors
/// The process has no descriptors left, or this one cannot be polled.
#[expect(deprecated, reason = "its successor is unsafe for what might close its descriptor early: an owner does not")]
pub fn registered<T: AsRawFd + Into<OwnedFd>>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}
