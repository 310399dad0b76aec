//! `orch service start`, `stop` and `restart`: the supervisor is asked, and the daemon is waited for.

use super::checkup;
use super::definitions::Found;
use super::site::Site;
use crate::adapters::clock;
use crate::adapters::process::{Identity, signal, which};
use crate::api::status::StatusView;
use crate::api::switches::ShutdownOrder;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::leave::{self, Leaving};
use crate::domain::service::definition::UNIT;
use crate::domain::service::supervisor::Supervisor;
use crate::domain::service::{Leave, ServiceEntry, ServiceKind};
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long the daemon is waited for. A large journal that was damaged takes longer, and goes on all the same.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Arguments of `orch service start`.
#[derive(Debug, clap::Args)]
pub struct Start {
    /// Take the place of a daemon that was started by hand; agents go on
    #[arg(long)]
    replace: bool,
}

/// Arguments of `orch service stop`.
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// Wait until all that runs is finished, judged and integrated; nothing new begins
    #[arg(long)]
    drain: bool,
}

/// Arguments of `orch service restart`.
#[derive(Debug, clap::Args)]
pub struct Restart {
    /// Wait until all that runs is finished, judged and integrated; nothing new begins meanwhile
    #[arg(long)]
    drain: bool,
}

/// Starts it, unless it runs.
pub async fn start(args: Start, context: &Context) -> Result<Exit, CliError> {
    let site = Site::look(context)?;
    // Homebrew writes its definition when it starts the service.
    let is_brews = site.found.is_empty() && site.choose(None).is_ok_and(|one| one == Supervisor::Homebrew);
    let supervisor = if is_brews { Supervisor::Homebrew } else { startable(&site)?.supervisor };
    let standing = site.standing(supervisor).await;
    if let Some((client, status)) = site.daemon().await {
        if standing.pid == Some(status.pid) {
            return told(&site, supervisor, &status, "runs already");
        }
        if !args.replace {
            return Err(CliError::Refused {
                message: format!("orch {} runs already (pid {}), started by hand", status.version, status.pid),
                hint: Some("`orch service start --replace` takes its place; no run notices".to_owned()),
            });
        }
        let why = Some(format!("replaced by the service, by {}", context.person()));
        leave::ask(&client, &status, &ShutdownOrder { how: Leave::Stop, dry_run: false, why }).await?;
        gone(&site, &status).await?;
    }
    begin(&site, supervisor).await?;
    if let Some(found) = site.found.iter().find(|found| found.supervisor == supervisor) {
        checkup::warn(&site, found).await;
    }
    arrived(&site, supervisor, "runs", None).await
}

/// Stops it; agents go on.
pub async fn stop(args: Stop, context: &Context) -> Result<Exit, CliError> {
    let site = Site::look(context)?;
    let found = site.installed(None)?;
    let before = site.daemon().await;
    if args.drain {
        drain(&site).await?;
    }
    end(&site, found.supervisor).await?;
    let still = site.daemon().await.map(|(_, status)| status);
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
            Some(pid) => context.ui.data(&format!("orch (pid {pid}) has left; agents go on\n"))?,
            None => context.ui.data("it did not run\n")?,
        }
        context.ui.note("next: orch service start");
    }
    Ok(Exit::Done)
}

/// Starts it anew.
pub async fn restart(args: Restart, context: &Context) -> Result<Exit, CliError> {
    let site = Site::look(context)?;
    if site.found.is_empty() {
        return anew_by_hand(&site, args.drain).await;
    }
    let found = startable(&site)?;
    let standing = site.standing(found.supervisor).await;
    if let Some((_, status)) = site.daemon().await
        && standing.pid != Some(status.pid)
    {
        let who = found.supervisor.told();
        return Err(CliError::Refused {
            message: format!("orch (pid {}) was started by hand, and not by {who}", status.pid),
            hint: Some("`orch service start --replace` puts the service in its place; no run notices".to_owned()),
        });
    }
    if args.drain {
        drain(&site).await?;
    }
    let before = last_start(&site).await;
    match found.supervisor {
        Supervisor::Systemd => {
            site.order(found.supervisor, &["daemon-reload"]).await?;
            site.order(found.supervisor, &["restart", UNIT]).await?;
        }
        Supervisor::Homebrew => site.order(found.supervisor, &["restart", "orch"]).await?,
        Supervisor::Launchd => {
            end(&site, found.supervisor).await?;
            begin(&site, found.supervisor).await?;
        }
    }
    arrived(&site, found.supervisor, "runs anew", before).await
}

/// Nobody supervises it: the daemon that was started by hand becomes itself again.
async fn anew_by_hand(site: &Site<'_>, drains: bool) -> Result<Exit, CliError> {
    let Some((_, status)) = site.daemon().await else {
        return Err(site.installed(None).map_or_else(|e| e, |_| no_daemon()));
    };
    if drains {
        let hint = Some("orch shutdown --drain, then start it as before".to_owned());
        let message = format!("orch (pid {}) was started by hand: nobody would start it again", status.pid);
        return Err(CliError::Refused { message, hint });
    }
    let before = last_start(site).await;
    let told = Identity::of(status.pid).is_some_and(|daemon| signal(&daemon, Signal::HUP));
    if !told {
        let hint = Some("orch serve --replace".to_owned());
        return Err(CliError::Refused { message: format!("orch (pid {}) cannot be told to", status.pid), hint });
    }
    let status = again(site, before).await?;
    if site.context.ui.is_json() {
        site.context
            .ui
            .json(&serde_json::json!({ "supervisor": null, "pid": status.pid, "version": status.version }))?;
    } else {
        site.context.ui.data(&format!("orch {} runs anew (pid {}), started by hand\n", status.version, status.pid))?;
    }
    Ok(Exit::Done)
}

fn no_daemon() -> CliError {
    CliError::NotFound { message: "no daemon runs".to_owned(), hint: Some("orch service install".to_owned()) }
}

/// The service that may be started from here: it is the only one, of this home, and its program is there.
fn startable<'s>(site: &'s Site<'_>) -> Result<&'s Found, CliError> {
    let found = site.installed(None)?;
    let (there, here) = (site.home_of(found), site.setup.home.root());
    // What a package has brought serves the usual home, whatever this shell calls home.
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

async fn begin(site: &Site<'_>, supervisor: Supervisor) -> Result<(), CliError> {
    match supervisor {
        Supervisor::Systemd => {
            site.order(supervisor, &["daemon-reload"]).await?;
            site.order(supervisor, &["start", UNIT]).await
        }
        Supervisor::Homebrew => site.order(supervisor, &["start", "orch"]).await,
        Supervisor::Launchd => {
            let (domain, service) = (site.launchd_domain(), site.launchd_service());
            let file = site.installed(Some(supervisor))?.file.to_string_lossy().into_owned();
            if site.standing(supervisor).await.is_known {
                return site.order(supervisor, &["kickstart", &service]).await;
            }
            site.order(supervisor, &["bootstrap", &domain, &file]).await
        }
    }
}

async fn end(site: &Site<'_>, supervisor: Supervisor) -> Result<(), CliError> {
    match supervisor {
        Supervisor::Systemd => site.order(supervisor, &["stop", UNIT]).await,
        Supervisor::Homebrew => site.order(supervisor, &["stop", "orch"]).await,
        Supervisor::Launchd => {
            if site.standing(supervisor).await.is_known {
                return site.order(supervisor, &["bootout", &site.launchd_service()]).await;
            }
            Ok(())
        }
    }
}

/// Has the daemon finish what runs, and waits for its end, however long that takes.
async fn drain(site: &Site<'_>) -> Result<(), CliError> {
    let Some((client, status)) = site.daemon().await else { return Ok(()) };
    let leaving = Leaving::of(&status);
    let why = Some(format!("orch service --drain by {}", site.context.person()));
    let order = ShutdownOrder { how: Leave::Drain, dry_run: false, why };
    let answer = leave::ask(&client, &status, &order).await?;
    site.context.ui.note(&format!("waits for {} under way; orch status tells more", answer.under_way.len()));
    leave::gone(&site.setup, &leaving).await
}

async fn gone(site: &Site<'_>, status: &StatusView) -> Result<(), CliError> {
    let leaving = Leaving::of(status);
    if leave::gone_within(&site.setup, &leaving, PATIENCE).await? {
        return Ok(());
    }
    let (message, hint) = (format!("orch (pid {}) does not leave", status.pid), Some("orch status".to_owned()));
    Err(CliError::Refused { message, hint })
}

/// The last start that is written down.
async fn last_start(site: &Site<'_>) -> Option<ServiceEntry> {
    let client = site.setup.connect().await?;
    let lives: Vec<ServiceEntry> = client.get("/v1/service/history?limit=20").await.ok()?;
    lives.into_iter().rfind(|entry| entry.kind == ServiceKind::Start)
}

/// Waits for a daemon that has begun after `before`.
async fn again(site: &Site<'_>, before: Option<ServiceEntry>) -> Result<StatusView, CliError> {
    let deadline = Instant::from_std(clock::instant()) + PATIENCE;
    loop {
        let begun = last_start(site).await;
        if begun.is_some()
            && begun != before
            && let Some((_, status)) = site.daemon().await
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

/// Waits until the daemon serves, and tells.
async fn arrived(site: &Site<'_>, by: Supervisor, word: &str, before: Option<ServiceEntry>) -> Result<Exit, CliError> {
    let status = again(site, before).await?;
    told(site, by, &status, word)
}

fn told(site: &Site<'_>, supervisor: Supervisor, status: &StatusView, word: &str) -> Result<Exit, CliError> {
    let ui = site.context.ui;
    let (version, pid) = (&status.version, status.pid);
    if ui.is_json() {
        ui.json(&serde_json::json!({ "supervisor": supervisor, "pid": pid, "version": version }))?;
    } else {
        ui.data(&format!("orch {version} {word} (pid {pid}) under {}\n", supervisor.told()))?;
    }
    Ok(Exit::Done)
}
