//! Serves the API on a listener. A connection without a complete request is dropped after seconds, and costs little until
//! then: nothing is allocated for it before its first byte, and its buffer is limited.

use super::bounded::Permitted;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use futures::{Stream, StreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// How long the head of each request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the body of a request may take; all of them are small.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 32 << 10;

/// Serves until `closing`; then open requests are answered, and the connections end. Handlers get the listener's address of
/// the peer.
pub(super) async fn serve<L, S>(mut listener: L, routes: Router, closing: CancellationToken)
where
    L: Listener<Io = Permitted<S>>,
    L::Addr: Clone + Send + Sync + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connections = TaskTracker::new();
    loop {
        let (connection, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => break,
        };
        connections.spawn(serve_connection(connection, peer, routes.clone(), closing.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn serve_connection<S, P>(mut connection: Permitted<S>, peer: P, routes: Router, closing: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    P: Clone + Send + Sync + 'static,
{
    let is_alive = tokio::select! {
       received = connection.first_byte() => received,
        () = closing.cancelled() => false,
    };
    if !is_alive {
        return;
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(with_timeout);
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        routes.clone().oneshot(request)
    });
    // Boxed, so that the memory is allocated only now.
    let mut served = Box::pin(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(connection), service),
    );
    let served = tokio::select! {
        served = served.as_mut() => served,
        () = closing.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Returns the body of a request, which ends in an error when it does not arrive in time.
fn with_timeout(body: Incoming) -> Body {
    if hyper::body::Body::is_end_stream(&body) { Body::empty() } else { Body::from_stream(until(body, BODY_TIMEOUT)) }
}

fn until(body: Incoming, timeout: Duration) -> impl Stream<Item = io::Result<axum::body::Bytes>> {
    let deadline = Instant::from_std(orch_sys::clock::instant()) + timeout;
    stream::unfold(Some(body.into_data_stream()), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout_at(deadline, body.next()).await {
            Ok(Some(chunk)) => Some((chunk.map_err(io::Error::other), Some(body))),
            Ok(None) => None,
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    })
}
