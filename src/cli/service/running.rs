//! `orch service start`, `stop` and `restart`: ask the supervisor, and wait for the daemon.

use super::checkup;
use super::definitions::Found;
use super::service_host::ServiceHost;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::stop::{self, Leaving};
use orch_api::endpoint;
use orch_api::queries::HistoryQuery;
use orch_api::status::StatusView;
use orch_api::switches::{ServiceEntryView, ShutdownOrder};
use orch_core::operations::service::definition::UNIT;
use orch_core::operations::service::supervisor::Supervisor;
use orch_core::operations::service::{ServiceKind, ShutdownMode};
use orch_sys::clock;
use orch_sys::process::{Identity, signal, which};
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long to wait for the daemon. Rebuilding a large damaged journal takes longer, and continues anyway.
const PATIENCE: Duration = Duration::from_secs(30);
/// The polling interval.
const LOOK: Duration = Duration::from_millis(20);

/// Arguments of `orch service start`.
#[derive(Debug, clap::Args)]
pub struct Start {
    /// Replace a daemon that was started by hand; agents continue
    #[arg(long)]
    replace: bool,
}

/// Arguments of `orch service stop`.
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// Wait until all running work is finished, judged and integrated; nothing new starts
    #[arg(long)]
    drain: bool,
}

/// Arguments of `orch service restart`.
#[derive(Debug, clap::Args)]
pub struct Restart {
    /// Wait until all running work is finished, judged and integrated; nothing new starts meanwhile
    #[arg(long)]
    drain: bool,
}

/// Starts the service, unless it runs.
pub async fn start(args: Start, context: &Context) -> Result<Exit, CliError> {
    let host = ServiceHost::new(context)?;
    // Homebrew writes its definition when it starts the service.
    let is_brews = host.found.is_empty() && host.choose(None).is_ok_and(|one| one == Supervisor::Homebrew);
    let supervisor = if is_brews { Supervisor::Homebrew } else { startable(&host)?.supervisor };
    let state = host.state(supervisor).await;
    if let Some((client, status)) = host.daemon().await {
        if state.pid == Some(status.pid) {
            return render(&host, supervisor, &status, "runs already");
        }
        if !args.replace {
            return Err(CliError::Refused {
                message: format!("orch {} runs already (pid {}), started by hand", status.version, status.pid),
                hint: Some("`orch service start --replace` takes its place; no run notices".to_owned()),
            });
        }
        let why = Some(format!("replaced by the service, by {}", context.person()));
        stop::ask(&client, &status, &ShutdownOrder { how: ShutdownMode::Stop, dry_run: false, why }).await?;
        gone(&host, &status).await?;
    }
    begin(&host, supervisor).await?;
    if let Some(found) = host.found.iter().find(|found| found.supervisor == supervisor) {
        checkup::warn(&host, found).await;
    }
    arrived(&host, supervisor, "runs", None).await
}

/// Stops the service; agents continue.
pub async fn stop(args: Stop, context: &Context) -> Result<Exit, CliError> {
    let host = ServiceHost::new(context)?;
    let found = host.installed(None)?;
    let before = host.daemon().await;
    if args.drain {
        drain(&host).await?;
    }
    end(&host, found.supervisor).await?;
    let still = host.daemon().await.map(|(_, status)| status);
    if let Some(status) = &still {
        let hint = Some("orch shutdown".to_owned());
        let message = format!("the service is stopped, but orch runs (pid {}), started by hand", status.pid);
        return Err(CliError::Refused { message, hint });
    }
    let pid = before.map(|(_, status)| status.pid);
    if context.ui.is_json() {
        context.ui.json(&serde_json::json!({ "supervisor": found.supervisor, "stopped": pid }))?;
    } else {
        match pid {
            Some(pid) => context.ui.data(&format!("orch (pid {pid}) has stopped; agents keep running\n"))?,
            None => context.ui.data("it did not run\n")?,
        }
        context.ui.note("next: orch service start");
    }
    Ok(Exit::Done)
}

/// Restarts the service.
pub async fn restart(args: Restart, context: &Context) -> Result<Exit, CliError> {
    let host = ServiceHost::new(context)?;
    if host.found.is_empty() {
        return anew_by_hand(&host, args.drain).await;
    }
    let found = startable(&host)?;
    let state = host.state(found.supervisor).await;
    if let Some((_, status)) = host.daemon().await
        && state.pid != Some(status.pid)
    {
        let who = found.supervisor.describe();
        return Err(CliError::Refused {
            message: format!("orch (pid {}) was started by hand, and not by {who}", status.pid),
            hint: Some("`orch service start --replace` puts the service in its place; no run notices".to_owned()),
        });
    }
    if args.drain {
        drain(&host).await?;
    }
    let before = last_start(&host).await;
    match found.supervisor {
        Supervisor::Systemd => {
            host.order(found.supervisor, &["daemon-reload"]).await?;
            host.order(found.supervisor, &["restart", UNIT]).await?;
        }
        Supervisor::Homebrew => host.order(found.supervisor, &["restart", "orch"]).await?,
        Supervisor::Launchd => {
            end(&host, found.supervisor).await?;
            begin(&host, found.supervisor).await?;
        }
    }
    arrived(&host, found.supervisor, "was restarted", before).await
}

/// Restarts a daemon without a supervisor: it replaces itself.
async fn anew_by_hand(host: &ServiceHost<'_>, drains: bool) -> Result<Exit, CliError> {
    let Some((_, status)) = host.daemon().await else {
        return Err(host.installed(None).map_or_else(|e| e, |_| no_daemon()));
    };
    if drains {
        let hint = Some("orch shutdown --drain, then start it as before".to_owned());
        let message = format!("orch (pid {}) was started by hand: no supervisor would start it again", status.pid);
        return Err(CliError::Refused { message, hint });
    }
    let before = last_start(host).await;
    let is_signalled = Identity::from_pid(status.pid).is_some_and(|daemon| signal(&daemon, Signal::HUP));
    if !is_signalled {
        let hint = Some("orch serve --replace".to_owned());
        return Err(CliError::Refused { message: format!("orch (pid {}) cannot be signalled", status.pid), hint });
    }
    let status = again(host, before).await?;
    if host.context.ui.is_json() {
        host.context
            .ui
            .json(&serde_json::json!({ "supervisor": null, "pid": status.pid, "version": status.version }))?;
    } else {
        host.context
            .ui
            .data(&format!("orch {} was restarted (pid {}), started by hand\n", status.version, status.pid))?;
    }
    Ok(Exit::Done)
}

fn no_daemon() -> CliError {
    CliError::NotFound { message: "no daemon runs".to_owned(), hint: Some("orch service install".to_owned()) }
}

/// Returns the service that can be started: the only one, of this home, whose program exists.
fn startable<'s>(host: &'s ServiceHost<'_>) -> Result<&'s Found, CliError> {
    let found = host.installed(None)?;
    let (there, here) = (host.home_of(found), host.setup.home.root());
    // A packaged service uses the default home, regardless of this shell's.
    if there != here {
        return Err(CliError::Refused {
            message: format!("the service serves the home {}, and this is {}", there.display(), here.display()),
            hint: Some(format!("ORCH_HOME='{}' orch service …; `orch serve` serves this one", there.display())),
        });
    }
    if which(&found.definition.program, "").is_none() {
        return Err(CliError::Refused {
            message: format!("the service starts {}, which is no program any more", found.definition.program),
            hint: Some("orch service install writes it for the orch that you call".to_owned()),
        });
    }
    Ok(found)
}

async fn begin(host: &ServiceHost<'_>, supervisor: Supervisor) -> Result<(), CliError> {
    match supervisor {
        Supervisor::Systemd => {
            host.order(supervisor, &["daemon-reload"]).await?;
            host.order(supervisor, &["start", UNIT]).await
        }
        Supervisor::Homebrew => host.order(supervisor, &["start", "orch"]).await,
        Supervisor::Launchd => {
            let (domain, service) = (host.launchd_domain(), host.launchd_service());
            let file = host.installed(Some(supervisor))?.file.to_string_lossy().into_owned();
            if host.state(supervisor).await.is_known {
                return host.order(supervisor, &["kickstart", &service]).await;
            }
            host.order(supervisor, &["bootstrap", &domain, &file]).await
        }
    }
}

async fn end(host: &ServiceHost<'_>, supervisor: Supervisor) -> Result<(), CliError> {
    match supervisor {
        Supervisor::Systemd => host.order(supervisor, &["stop", UNIT]).await,
        Supervisor::Homebrew => host.order(supervisor, &["stop", "orch"]).await,
        Supervisor::Launchd => {
            if host.state(supervisor).await.is_known {
                return host.order(supervisor, &["bootout", &host.launchd_service()]).await;
            }
            Ok(())
        }
    }
}

/// Makes the daemon finish all running work, and waits for its end without a time limit.
async fn drain(host: &ServiceHost<'_>) -> Result<(), CliError> {
    let Some((client, status)) = host.daemon().await else { return Ok(()) };
    let leaving = Leaving::new(&status);
    let why = Some(format!("orch service --drain by {}", host.context.person()));
    let order = ShutdownOrder { how: ShutdownMode::Drain, dry_run: false, why };
    let answer = stop::ask(&client, &status, &order).await?;
    host.context.ui.note(&format!("waits for {} running; orch status shows more", answer.under_way.len()));
    stop::gone(&host.setup, &leaving).await
}

async fn gone(host: &ServiceHost<'_>, status: &StatusView) -> Result<(), CliError> {
    let leaving = Leaving::new(status);
    if stop::gone_within(&host.setup, &leaving, PATIENCE).await? {
        return Ok(());
    }
    let (message, hint) = (format!("orch (pid {}) does not stop", status.pid), Some("orch status".to_owned()));
    Err(CliError::Refused { message, hint })
}

/// Returns the last recorded start.
async fn last_start(host: &ServiceHost<'_>) -> Option<ServiceEntryView> {
    let client = host.setup.connect().await?;
    let query = HistoryQuery { limit: Some(20) };
    let lives = client.call(&endpoint::ServiceHistory { query }).await.ok()?;
    lives.into_iter().rfind(|entry| entry.kind == ServiceKind::Start)
}

/// Waits for a daemon that started after `before`.
async fn again(host: &ServiceHost<'_>, before: Option<ServiceEntryView>) -> Result<StatusView, CliError> {
    let deadline = Instant::from_std(clock::instant()) + PATIENCE;
    loop {
        let begun = last_start(host).await;
        if begun.is_some()
            && begun != before
            && let Some((_, status)) = host.daemon().await
        {
            return Ok(status);
        }
        if timeout_at(deadline, sleep(LOOK)).await.is_err() {
            return Err(CliError::Refused {
                message: format!("no daemon answers within {} s", PATIENCE.as_secs()),
                hint: Some("orch service status; orch service logs".to_owned()),
            });
        }
    }
}

/// Waits until the daemon serves, and prints it.
async fn arrived(
    host: &ServiceHost<'_>,
    by: Supervisor,
    word: &str,
    before: Option<ServiceEntryView>,
) -> Result<Exit, CliError> {
    let status = again(host, before).await?;
    render(host, by, &status, word)
}

fn render(host: &ServiceHost<'_>, supervisor: Supervisor, status: &StatusView, word: &str) -> Result<Exit, CliError> {
    let ui = host.context.ui;
    let (version, pid) = (&status.version, status.pid);
    if ui.is_json() {
        ui.json(&serde_json::json!({ "supervisor": supervisor, "pid": pid, "version": version }))?;
    } else {
        ui.data(&format!("orch {version} {word} (pid {pid}) under {}\n", supervisor.describe()))?;
    }
    Ok(Exit::Done)
}
