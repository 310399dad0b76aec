//! The API over TCP, if `http.listen` is set: the same routes behind an authentication gate. Follows the setting while the
//! daemon runs, and reports the address, or why it does not listen.

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

/// The most connections at the same time: any program on the machine may open them.
const MAX_CONNECTIONS: usize = 2048;
/// They may use one of this many descriptors.
const DESCRIPTOR_SHARE: u64 = 4;
/// How often a busy address is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// The shortest token that is accepted from a file written by hand, in characters.
const MIN_TOKEN: usize = 32;

/// Listens according to the settings.
pub(super) struct TcpService {
    pub(super) sources: Sources,
    pub(super) routes: Router,
    /// Reports the address in the API.
    pub(super) listening: Arc<Listening>,
    /// Notified when the settings may have changed.
    pub(super) changed: Arc<Notify>,
    pub(super) closing: CancellationToken,
}

/// An open listener.
struct Open {
    wanted: String,
    stop: CancellationToken,
}

impl TcpService {
    /// Listens until the daemon shuts down.
    pub(super) async fn run(self) {
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
                self.listening.closed();
                open = match wanted.clone() {
                    Some(wanted) => self.open(wanted).await,
                    None => None,
                };
            }
            let failed = wanted.is_some() && open.is_none();
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(RETRY), if failed => {}
            }
        }
    }

    async fn open(&self, wanted: String) -> Option<Open> {
        match self.listen(&wanted).await {
            Ok(stop) => Some(Open { wanted, stop }),
            Err(why) => {
                tracing::error!(listen = wanted, why, "http.listen has no effect");
                self.listening.failed(format!("http.listen {wanted}: {why}"));
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
        self.listening.open(address);
        tracing::info!(%address, "the API listens");
        tokio::spawn(async move {
            // Each line is sent at once; if that option fails, lines are delayed.
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            let bounded = Bounded::new(listener, DESCRIPTOR_SHARE, MAX_CONNECTIONS);
            serve(bounded, routes, stopping).await;
        });
        Ok(stop)
    }
}

/// Returns the token, which is created when it is first needed.
fn token(path: &Path) -> Result<String, FsError> {
    match fs::read_text(path, 4096) {
        Ok(text) if text.trim().len() >= MIN_TOKEN => return Ok(text.trim().to_owned()),
        // An emptied file is a request for a new token.
        Ok(_) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    fs::write_private(path, format!("{token}\n").as_bytes(), Durability::Synced)?;
    Ok(token)
}

impl Setup {
    /// Serves the API over TCP according to the settings, until `closing`.
    pub(super) fn keep_tcp(
        &self,
        routes: Router,
        listening: Arc<Listening>,
        changed: Arc<Notify>,
        closing: CancellationToken,
    ) {
        let sources = Sources::new(self.home.clone(), self.environment.clone(), self.flags.clone());
        tokio::spawn(TcpService { sources, routes, listening, changed, closing }.run());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_created_once_for_its_owner_alone_and_again_when_the_file_was_emptied() {
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
