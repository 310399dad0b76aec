//! What a daemon finds wrong at its start, said where it was started: a configuration that does not read, a port that is
//! taken. It serves all the same; `orch status` and `orch doctor` say it again.

use crate::cli::context::Context;
use crate::cli::settings;
use orch_api::client::Client;
use orch_api::endpoint;
use orch_config::home::Home;
use orch_sys::clock;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long it is waited for that the API listens, or says why not.
const LISTENING: Duration = Duration::from_secs(1);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Says all of it.
pub(super) async fn tell(client: &Client, home: &Home, context: &Context) {
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
