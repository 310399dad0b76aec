//! Acquires the home: waits for a short command's engine, and reports or replaces another daemon.

use crate::cli::error::CliError;
use crate::cli::stop;
use crate::daemon::{Holder, OpenError, Running, Setup};
use orch_api::endpoint;
use orch_api::status::{EngineMode, StatusView};
use orch_api::switches::ShutdownOrder;
use orch_core::operations::service::ShutdownMode;
use orch_engine::Mode;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long to wait for the engine of a short command, and for a daemon that was asked to stop.
const HANDOVER: Duration = Duration::from_secs(10);
/// The time after which a daemon that is to be replaced, and does not answer at its socket, is ended by a signal.
const UNHEARD: Duration = Duration::from_secs(5);
/// The interval between two attempts.
const LOOK: Duration = Duration::from_millis(20);

/// Opens the engine. With `replaces`, a running daemon is asked to stop first; its agents continue.
pub async fn open(setup: &Setup, mode: Mode, replaces: bool) -> Result<Running, CliError> {
    let patience = || Instant::from_std(orch_sys::clock::instant()) + HANDOVER;
    let (mut deadline, mut asked) = (patience(), None);
    let unheard = orch_sys::clock::instant() + UNHEARD;
    loop {
        let busy = match setup.open(mode).await {
            Err(error @ OpenError::Busy { .. }) => error,
            other => return Ok(other?),
        };
        if let Some(status) = who(setup).await
            && asked != Some(status.pid)
            && status.mode != EngineMode::Command
        {
            if !replaces || !is_daemon(&status) {
                return Err(occupied(&status, replaces));
            }
            make_room(setup, &status).await?;
            (deadline, asked) = (patience(), Some(status.pid));
        } else if replaces
            && asked.is_none()
            && orch_sys::clock::instant() >= unheard
            && let Some(holder) = setup.holder().filter(Holder::is_daemon)
        {
            setup.check_journal()?;
            stop::end(&holder);
            (deadline, asked) = (patience(), Some(holder.process.pid));
        }
        if timeout_at(deadline, sleep(LOOK)).await.is_err() {
            return Err(busy.into());
        }
    }
}

async fn who(setup: &Setup) -> Option<StatusView> {
    setup.connect().await?.call(&endpoint::BriefStatus).await.ok()
}

/// Returns whether it is a daemon, and not a command that runs one task.
fn is_daemon(status: &StatusView) -> bool {
    matches!(status.mode, EngineMode::Serve | EngineMode::Once | EngineMode::UntilIdle)
}

fn occupied(status: &StatusView, replaces: bool) -> CliError {
    let hint = if replaces {
        "wait until its task is at rest; it is not taken away from a terminal"
    } else {
        "orch status shows its state; there is one engine for each ORCH_HOME; `orch serve --replace` replaces it"
    };
    CliError::Refused {
        message: format!("orch runs already as {} (pid {})", status.mode, status.pid),
        hint: Some(hint.to_owned()),
    }
}

/// Asks a daemon to stop, unless this orch could not take its place.
async fn make_room(setup: &Setup, status: &StatusView) -> Result<(), CliError> {
    setup.check_journal()?;
    let Some(client) = setup.connect().await else { return Ok(()) };
    let why = format!("replaced by orch {} (pid {})", env!("CARGO_PKG_VERSION"), std::process::id());
    let order = ShutdownOrder { how: ShutdownMode::Stop, dry_run: false, why: Some(why) };
    stop::ask(&client, status, &order).await.map(drop)
}
