//! Tells the daemon to look. Carries no data, and nothing depends on it being heard.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// Sends one empty datagram. The daemon may be away, or its queue full: it will look by itself.
pub(super) fn wake(socket: Option<&Path>) {
    let Some(socket) = socket else { return };
    let _ = UnixDatagram::unbound().and_then(|sender| {
        sender.set_nonblocking(true)?;
        sender.send_to(&[], socket)
    });
}
