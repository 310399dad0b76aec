//! Wakes the daemon. The message carries no data, and nothing depends on its arrival.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// Sends one empty datagram. A daemon that is down or whose queue is full checks by itself later.
pub(super) fn wake(socket: Option<&Path>) {
    let Some(socket) = socket else { return };
    let _ = UnixDatagram::unbound().and_then(|sender| {
        sender.set_nonblocking(true)?;
        sender.send_to(&[], socket)
    });
}
