//! Prints the problems that a daemon finds at its start: an unreadable configuration, a port in use. The daemon runs
//! anyway; `orch status` and `orch doctor` repeat them.

use crate::cli::context::Context;
use crate::cli::settings;
use orch_api::client::Client;
use orch_api::endpoint;
use orch_config::home::Home;
use orch_sys::clock;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long to wait until the API listens or reports why not.
const LISTENING: Duration = Duration::from_secs(1);
/// The polling interval.
const LOOK: Duration = Duration::from_millis(20);

/// Prints all problems.
pub(super) async fn print(client: &Client, home: &Home, context: &Context) {
    let listens = settings::global(context, home).is_ok_and(|loaded| loaded.config.http.listen.is_some());
    let deadline = Instant::from_std(clock::instant()) + LISTENING;
    loop {
        let Ok(status) = client.call(&endpoint::BriefStatus).await else { return };
        let is_settled =
            !listens || status.http.is_some() || status.problems.iter().any(|p| p.starts_with("http.listen"));
        if is_settled || timeout_at(deadline, sleep(LOOK)).await.is_err() {
            status.problems.iter().for_each(|problem| context.ui.warning(problem));
            return;
        }
    }
}
