//! Listeners with a limit of connections. A connection beyond the limit is refused at once with an error, and one that
//! sends nothing is dropped: connections must not take the descriptors that the engine needs for its own work.

use axum::serve::Listener;
use orch_sys::process::file_limit;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a new connection may send nothing.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long writing the refusal may take.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(100);
/// The body of the refusal, in the form of every other error.
const BODY: &str = r#"{"error":{"code":"failed","message":"too many connections to orch are open","hint":"close some of those that watch, or try again"}}"#;

/// A listener with a limit of connections.
pub(super) struct Bounded<L> {
    listener: L,
    permits: Arc<Semaphore>,
}

impl<L> Bounded<L> {
    /// Limits connections to one in `divisor` of the descriptors that this process may have, and to `most`.
    pub(super) fn new(listener: L, divisor: u64, most: usize) -> Self {
        let limit = file_limit().and_then(|limit| usize::try_from(limit / divisor).ok());
        let limit = limit.unwrap_or(most).min(most).clamp(1, Semaphore::MAX_PERMITS);
        Self { listener, permits: Arc::new(Semaphore::new(limit)) }
    }
}

/// A connection that holds a permit until it is closed.
pub(super) struct Permitted<S> {
    stream: S,
    /// The first byte, which was read before anything was allocated for the connection, until the server reads it.
    first: Option<u8>,
    _permit: OwnedSemaphorePermit,
}

impl<S: AsyncRead + Unpin> Permitted<S> {
    /// Waits for the first byte. Returns `false` when the peer has closed the connection or sent nothing for too long.
    pub(super) async fn first_byte(&mut self) -> bool {
        let read = tokio::time::timeout(FIRST_BYTE_TIMEOUT, self.stream.read_u8()).await;
        self.first = read.ok().and_then(Result::ok);
        self.first.is_some()
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Permitted<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (mut stream, address) = self.listener.accept().await;
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return (Permitted { stream, first: None, _permit: permit }, address);
            }
            let length = BODY.len();
            let text = format!(
                "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{BODY}"
            );
            // A peer that does not read these few bytes gets no refusal.
            tokio::time::timeout(REFUSAL_TIMEOUT, stream.write_all(text.as_bytes())).await.ok();
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Permitted<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Permitted<S> {
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
    async fn a_connection_beyond_the_limit_is_refused_and_a_later_one_gets_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let mut bounded = Bounded { listener, permits: Arc::new(Semaphore::new(1)) };
        let _first = UnixStream::connect(&path).await.expect("a listener");
        let (permitted, _) = bounded.accept().await;
        let mut second = UnixStream::connect(&path).await.expect("a listener");
        let accepting = tokio::spawn(async move { bounded.accept().await });
        let mut answer = String::new();
        second.read_to_string(&mut answer).await.expect("a word");
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with(BODY), "{answer}");
        serde_json::from_str::<serde_json::Value>(BODY).expect("a document");
        drop(permitted);
        let _third = UnixStream::connect(&path).await.expect("a listener");
        accepting.await.expect("the third gets the permit");
    }
}
