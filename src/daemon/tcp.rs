//! The API over TCP, where `http.listen` says so: the same routes behind a gate. Follows the setting while the daemon
//! runs, and tells where it listens, or why it does not.

use super::Setup;
use super::bounded::Bounded;
use super::connections::serve;
use axum::Router;
use axum::serve::ListenerExt;
use orch_config::http::loopback;
use orch_engine::{Settings, Sources};
use orch_server::{Gate, Listening};
use orch_sys::fs::{self, Durability, FsError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Connections at the same time: any program of the machine may open them, and none may take all descriptors.
const MOST: usize = 2048;
/// They may take one in so many of the descriptors.
const SHARE: u64 = 4;
/// How soon an address that was busy is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How short a token may be that somebody wrote by hand, in characters.
const SHORTEST_TOKEN: usize = 32;

/// What keeps listening as the settings say.
pub(super) struct TcpFace {
    pub(super) sources: Sources,
    pub(super) routes: Router,
    /// Told where it listens.
    pub(super) told: Arc<Listening>,
    /// The settings may have changed.
    pub(super) changed: Arc<Notify>,
    pub(super) closing: CancellationToken,
}

/// A listener at work.
struct Open {
    wanted: String,
    stop: CancellationToken,
}

impl TcpFace {
    /// Listens until the daemon leaves.
    pub(super) async fn keep(self) {
        let mut settings: Option<Settings> = None;
        let mut open: Option<Open> = None;
        loop {
            let read = self.sources.load(&[], settings.as_ref());
            let wanted = read.config.http.listen.clone();
            settings = Some(read);
            if open.as_ref().map(|open| &open.wanted) != wanted.as_ref() {
                if let Some(open) = open.take() {
                    open.stop.cancel();
                }
                self.told.closed();
                open = match wanted.clone() {
                    Some(wanted) => self.open(wanted).await,
                    None => None,
                };
            }
            let failed = wanted.is_some() && open.is_none();
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(AGAIN), if failed => {}
            }
        }
    }

    async fn open(&self, wanted: String) -> Option<Open> {
        match self.listen(&wanted).await {
            Ok(stop) => Some(Open { wanted, stop }),
            Err(why) => {
                tracing::error!(listen = wanted, why, "http.listen has no effect");
                self.told.failed(format!("http.listen {wanted}: {why}"));
                None
            }
        }
    }

    async fn listen(&self, wanted: &str) -> Result<CancellationToken, String> {
        let token = token(&self.sources.home.http_token()).map_err(|error| error.to_string())?;
        let listener = TcpListener::bind(loopback(wanted)?).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let routes = Gate::new(address, &token).before(self.routes.clone());
        let stop = self.closing.child_token();
        let stopping = stop.clone();
        self.told.open(address);
        tracing::info!(%address, "the API listens");
        tokio::spawn(async move {
            // A line must not wait for the next one; where that cannot be had, it waits.
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            let bounded = Bounded::new(listener, SHARE, MOST);
            serve(bounded, routes, stopping).await;
        });
        Ok(stop)
    }
}

/// The token: made when it is first needed, and kept.
fn token(path: &Path) -> Result<String, FsError> {
    match fs::read_text(path, 4096) {
        Ok(text) if text.trim().len() >= SHORTEST_TOKEN => return Ok(text.trim().to_owned()),
        // Somebody emptied it: that is how a new one is asked for.
        Ok(_) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    fs::write_private(path, format!("{token}\n").as_bytes(), Durability::Synced)?;
    Ok(token)
}

impl Setup {
    /// Keeps the API on TCP as the settings say, until `closing`.
    pub(super) fn keep_tcp(
        &self,
        routes: Router,
        told: Arc<Listening>,
        changed: Arc<Notify>,
        closing: CancellationToken,
    ) {
        let sources = Sources::new(self.home.clone(), self.environment.clone(), self.flags.clone());
        tokio::spawn(TcpFace { sources, routes, told, changed, closing }.keep());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_made_once_for_its_owner_alone_and_again_when_it_was_emptied() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("http-token");
        let first = token(&path).expect("a token");
        assert!(first.len() == 64 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
        assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(token(&path).expect("a token"), first);
        std::fs::File::create(&path).expect("emptied");
        assert_ne!(token(&path).expect("a token"), first);
    }
}
