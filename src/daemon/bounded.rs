//! Listeners with room for so many connections. Whoever comes beyond them is told so at once, and whoever connects and
//! says nothing is let go of: connections must not take the descriptors that the engine needs for its own work.

use axum::serve::Listener;
use orch_sys::process::file_limit;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long somebody who has connected may say nothing.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// How long it may take to tell somebody that there is no room.
const LAST_WORD: Duration = Duration::from_millis(100);
/// What they are told, in the form of every other error.
const BODY: &str = r#"{"error":{"code":"failed","message":"too many connections to orch are open","hint":"close some of those that watch, or try again"}}"#;

/// A listener with room for so many.
pub(super) struct Bounded<L> {
    listener: L,
    room: Arc<Semaphore>,
}

impl<L> Bounded<L> {
    /// One in `divisor` of the descriptors that this process may have, and never more than `most`.
    pub(super) fn new(listener: L, divisor: u64, most: usize) -> Self {
        let part = file_limit().and_then(|limit| usize::try_from(limit / divisor).ok());
        let part = part.unwrap_or(most).min(most).clamp(1, Semaphore::MAX_PERMITS);
        Self { listener, room: Arc::new(Semaphore::new(part)) }
    }
}

/// A connection that holds its place.
pub(super) struct Placed<S> {
    stream: S,
    /// Read before anything was made for the connection, and not handed on yet.
    first: Option<u8>,
    _place: OwnedSemaphorePermit,
}

impl<S: AsyncRead + Unpin> Placed<S> {
    /// Waits for the first byte. `false`: the peer has left or said nothing for too long.
    pub(super) async fn first_byte(&mut self) -> bool {
        let read = tokio::time::timeout(FIRST_BYTE, self.stream.read_u8()).await;
        self.first = read.ok().and_then(Result::ok);
        self.first.is_some()
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Placed<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (mut stream, address) = self.listener.accept().await;
            if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
                return (Placed { stream, first: None, _place: place }, address);
            }
            let length = BODY.len();
            let text = format!(
                "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{BODY}"
            );
            // Who does not take so few bytes is not told.
            tokio::time::timeout(LAST_WORD, stream.write_all(text.as_bytes())).await.ok();
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Placed<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if into.remaining() > 0
            && let Some(first) = self.first.take()
        {
            into.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Placed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{UnixListener, UnixStream};

    #[tokio::test]
    async fn who_comes_beyond_the_room_is_told_so_and_who_comes_later_gets_the_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let mut bounded = Bounded { listener, room: Arc::new(Semaphore::new(1)) };
        let _first = UnixStream::connect(&path).await.expect("a listener");
        let (placed, _) = bounded.accept().await;
        let mut second = UnixStream::connect(&path).await.expect("a listener");
        let accepting = tokio::spawn(async move { bounded.accept().await });
        let mut told = String::new();
        second.read_to_string(&mut told).await.expect("a word");
        assert!(told.starts_with("HTTP/1.1 503 ") && told.ends_with(BODY), "{told}");
        serde_json::from_str::<serde_json::Value>(BODY).expect("a document");
        drop(placed);
        let _third = UnixStream::connect(&path).await.expect("a listener");
        accepting.await.expect("the third gets the place");
    }
}
