//! Asks a daemon to stop, and waits until it has.

use super::error::CliError;
use crate::daemon::{Holder, Setup};
use orch_api::client::{Client, ClientError};
use orch_api::endpoint;
use orch_api::error::ErrorCode;
use orch_api::status::{EngineMode, StatusView};
use orch_api::switches::{ShutdownOrder, ShutdownView};
use orch_core::operations::service::ShutdownMode;
use orch_sys::clock;
use orch_sys::fs;
use orch_sys::process::{Identity, terminate};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// The polling interval.
const LOOK: Duration = Duration::from_millis(20);

/// How long to wait for a daemon that holds the home but does not answer: it may be starting.
const UNHEARD: Duration = Duration::from_secs(5);

/// The daemon of a home.
pub enum Found {
    /// A daemon that answers.
    Answers(Client, Box<StatusView>),
    /// A live daemon that holds the home, but does not answer at its socket.
    Unheard(Holder),
    /// No daemon.
    Nobody,
}

/// Looks for the daemon of this home at its socket, and then by the holder of the lock.
///
/// # Errors
/// It listens and does not answer.
pub async fn find(setup: &Setup) -> Result<Found, CliError> {
    let deadline = Instant::from_std(clock::instant()) + UNHEARD;
    loop {
        if let Some(client) = setup.connect().await {
            let status = client.call(&endpoint::BriefStatus).await?;
            return Ok(match status.mode == EngineMode::Command {
                true => Found::Nobody,
                false => Found::Answers(client, Box::new(status)),
            });
        }
        let Some(holder) = setup.holder().filter(Holder::is_daemon) else { return Ok(Found::Nobody) };
        if timeout_at(deadline, sleep(LOOK)).await.is_err() {
            return Ok(Found::Unheard(holder));
        }
    }
}

/// Ends a daemon that cannot be asked, by the signal that it treats as an order to stop at once; its agents continue.
pub fn end(holder: &Holder) -> Option<Leaving> {
    let process = holder.process.clone();
    terminate(&process).then_some(Leaving { pid: process.pid, process: Some(process) })
}

/// Asks a daemon to stop. A version that does not know the request gets the signal.
pub async fn ask(client: &Client, status: &StatusView, order: &ShutdownOrder) -> Result<ShutdownView, CliError> {
    let known = Leaving::new(status).process;
    match client.call(&endpoint::Shutdown { body: order.clone() }).await {
        Err(ClientError::Answered(view)) if view.code == ErrorCode::NotFound && order.how == ShutdownMode::Stop => {
            if !order.dry_run && !known.is_some_and(|daemon| terminate(&daemon)) {
                return Err(ClientError::Answered(view).into());
            }
            let (version, pid) = (status.version.clone(), status.pid);
            Ok(ShutdownView { how: order.how, dry_run: order.dry_run, version, pid, under_way: Vec::new() })
        }
        answer => Ok(answer?),
    }
}

/// A daemon that is to stop. Its process is identified before the request: afterwards its number may belong to another
/// process.
#[derive(Debug)]
pub struct Leaving {
    pid: u32,
    process: Option<Identity>,
}

impl Leaving {
    /// Returns the daemon that gave this answer.
    pub fn new(status: &StatusView) -> Self {
        Self { pid: status.pid, process: Identity::from_pid(status.pid) }
    }

    /// Returns whether it has ended. This checks the process and not the home's lock: taking the lock, even briefly,
    /// would turn away a daemon that starts at that moment.
    fn is_over(&self, setup: &Setup) -> Result<bool, CliError> {
        match &self.process {
            Some(process) => Ok(!process.is_alive()),
            // The process is not visible from here.
            None => Ok(fs::lock_exclusive(&setup.home.lock())?.is_some()),
        }
    }
}

/// Waits until the daemon has ended, or another process serves.
pub async fn gone(setup: &Setup, daemon: &Leaving) -> Result<(), CliError> {
    loop {
        if daemon.is_over(setup)? {
            return Ok(());
        }
        if let Some(client) = setup.connect().await
            && client.call(&endpoint::BriefStatus).await.is_ok_and(|status| status.pid != daemon.pid)
        {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

/// Waits with a time limit. Returns whether the daemon has ended.
pub async fn gone_within(setup: &Setup, daemon: &Leaving, patience: Duration) -> Result<bool, CliError> {
    let deadline = Instant::from_std(clock::instant()) + patience;
    match timeout_at(deadline, gone(setup, daemon)).await {
        Ok(waited) => waited.map(|()| true),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_config::home::Home;
    use orch_sys::process::{Invocation, start_piped};

    #[tokio::test]
    async fn waiting_for_a_daemon_to_stop_blocks_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let (home, environment) = (Home::new(dir.path().join("home"), None), std::collections::BTreeMap::new());
        let setup = Setup { home, environment, flags: Vec::new(), orch: "/nowhere/orch".into() };
        setup.prepare().expect("a home");
        let sleeper = Invocation::new("/bin/sh", "/").args(["-c", "exec sleep 100"]).env("PATH", "/usr/bin:/bin");
        let mut child = start_piped(&sleeper).expect("starts");
        let pid = child.id().expect("it runs");
        let daemon = Leaving { pid, process: Identity::from_pid(pid) };
        // Each look holds up the waiting one, so that a lock that it took would be met at some time.
        let waits = gone(&setup, &daemon);
        tokio::pin!(waits);
        for _ in 0..20 {
            let look = tokio::time::timeout(LOOK, &mut waits).await;
            assert!(look.is_err(), "the process lives");
            assert!(fs::lock_exclusive(&setup.home.lock()).expect("a lock").is_some(), "it is free");
        }
        child.kill().await.expect("is ours");
        tokio::time::timeout(Duration::from_secs(20), waits).await.expect("it is gone").expect("it can be told");
    }
}
