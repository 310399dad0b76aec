//! Connections to the API over its Unix socket. They are registered for reading only: registration for writing would wake the
//! daemon each time the peer has read something, a second wake-up per line for a watcher. Writing blocks only for a peer
//! that does not read.

use axum::serve::Listener;
use orch_runner::SUBCOMMAND;
use orch_server::Peer;
use orch_sys::process;
use orch_sys::registered::registered;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

/// The listener of the API's socket.
pub(super) struct ApiListener {
    listener: UnixListener,
    /// Receives a new listener after the socket was removed.
    replaced: mpsc::Receiver<UnixListener>,
}

impl ApiListener {
    /// Creates the listener. `replaced` receives the listeners that replace it.
    pub(super) fn new(listener: UnixListener, replaced: mpsc::Receiver<UnixListener>) -> Self {
        Self { listener, replaced }
    }
}

/// A connection to the socket.
pub(super) struct Connection {
    stream: AsyncFd<UnixStream>,
    /// A duplicate that is registered for writing while the peer does not read.
    full: Option<AsyncFd<OwnedFd>>,
}

impl Listener for ApiListener {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        loop {
            let (stream, _) = tokio::select! {
                accepted = Listener::accept(&mut self.listener) => accepted,
                Some(listener) = self.replaced.recv() => {
                    self.listener = listener;
                    continue;
                }
            };
            let pid = stream.peer_cred().ok().and_then(|known| u32::try_from(known.pid()?).ok());
            match stream.into_std().and_then(Connection::new) {
                Ok(connection) => return (connection, pid.map_or(Peer::Unknown, Peer::Process)),
                Err(error) => tracing::warn!(%error, "a connection cannot be accepted"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::Own)
    }
}

/// Returns the run that the peer's process belongs to.
pub(super) fn run_of(peer: Peer) -> Result<Option<String>, String> {
    match peer {
        Peer::Own => process::run_of(std::process::id(), SUBCOMMAND),
        Peer::Process(pid) => process::run_of(pid, SUBCOMMAND),
        Peer::Unknown => Err("the system does not report the peer's process".to_owned()),
    }
}

impl Connection {
    /// Registers a non-blocking stream.
    fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self { stream: registered(stream, Interest::READABLE)?, full: None })
    }

    fn poll_with(
        &mut self,
        context: &mut Context<'_>,
        mut write: impl FnMut(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(full) = &self.full {
                // The readiness is consumed; the next write tests it again.
                ready!(full.poll_write_ready(context))?.clear_ready();
            }
            match write(self.stream.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.full.is_none() {
                        let again = OwnedFd::from(self.stream.get_ref().try_clone()?);
                        self.full = Some(registered(again, Interest::WRITABLE)?);
                    }
                }
                written => {
                    self.full = None;
                    return Poll::Ready(written);
                }
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut readable = ready!(self.stream.poll_read_ready(context))?;
            match readable.try_io(|stream| stream.get_ref().read(into.initialize_unfilled())) {
                Ok(Ok(count)) => {
                    into.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_nothing_there) => {}
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(context, |mut stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(context, |mut stream| stream.write_vectored(buffers))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn pair() -> (Connection, UnixStream) {
        let (here, there) = UnixStream::pair().expect("a pair");
        here.set_nonblocking(true).expect("set");
        (Connection::new(here).expect("taken"), there)
    }

    #[tokio::test]
    async fn incoming_data_is_read_to_the_end() {
        let (mut here, mut there) = pair();
        let mut text = [0; 3];
        for word in ["one", "two"] {
            there.write_all(word.as_bytes()).expect("sent");
            here.read_exact(&mut text).await.expect("read");
            assert_eq!(text, word.as_bytes());
        }
        drop(there);
        assert_eq!(here.read(&mut text).await.expect("the end"), 0);
        assert!(here.write_all(b"x").await.is_err(), "the peer is gone");
    }

    #[tokio::test]
    async fn a_reader_that_stops_holds_up_its_own_connection_and_gets_every_byte_later() {
        let (mut here, mut there) = pair();
        let sent: Vec<u8> = (0..8_000_000u32).map(|number| (number % 251) as u8).collect();
        let all = sent.clone();
        let writing = tokio::spawn(async move {
            here.write_all(&all).await.expect("sent");
            here.shutdown().await.expect("shut down");
        });
        // Several times full and empty again.
        let (mut got, mut buffer) = (Vec::new(), vec![0; 700_000]);
        let read = tokio::task::spawn_blocking(move || {
            while let count @ 1.. = there.read(&mut buffer).expect("read") {
                got.extend_from_slice(&buffer[..count]);
            }
            got
        });
        assert!(read.await.expect("read") == sent);
        writing.await.expect("written");
    }
}
