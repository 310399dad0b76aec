//! Probes of `orch doctor` beyond the checkup of the home: the author of commits, logins of agents, the API's port, and
//! the running engine. Each is short, so that all of them together take less than a second.

use super::VERSION_TIME;
use crate::cli::context::Context;
use crate::daemon::{Holder, Setup};
use orch_api::endpoint;
use orch_api::status::StatusView;
use orch_config::Config;
use orch_config::home::MAX_SOCKET_PATH;
use orch_config::http::loopback;
use orch_config::resolved_agent::AgentConfig;
use orch_engine::{Finding, Verdict, login_of};
use orch_sys::git::{Git, Repo};
use std::path::Path;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Checks the author of commits in this directory; the checkup does so for registered repositories.
pub(super) async fn author(git: Option<&Git>, dir: &Path) -> Option<Finding> {
    let repo = Repo::discover(git?, dir).await.ok()?;
    Some(Finding::new("author", Verdict::Ok, repo.author().await.ok()?))
}

/// Checks whether any agent can work: installed and, as far as that is known, logged in. `there` are the installed
/// ones.
pub(super) fn logins(context: &Context, there: &[(&str, &AgentConfig)]) -> Option<Finding> {
    let lacking: Vec<(&str, &str)> = there
        .iter()
        .map(|(name, agent)| Some((*name, login_of(&context.environment, agent)?.err()?)))
        .collect::<Option<_>>()?;
    let (first, remedy) = lacking.first()?;
    let names: Vec<&str> = lacking.iter().map(|(name, _)| *name).collect();
    let detail = format!("no agent has a login ({})", names.join(", "));
    Some(Finding::new("agents", Verdict::Bad, detail).remedy(format!("{first}: {remedy}")))
}

/// Checks whether the API can listen at `http.listen`. A running daemon reports that itself.
pub(super) async fn port(config: &Config, serves: Option<&StatusView>) -> Option<Finding> {
    let wanted = config.http.listen.as_deref()?;
    let bad = |why: String| {
        let remedy = "orch config set http.listen 127.0.0.1:PORT, with another port, or stop the program that has it";
        Some(Finding::new("http", Verdict::Bad, format!("http.listen {wanted}: {why}")).remedy(remedy))
    };
    if let Some(status) = serves {
        return match (&status.http, status.problems.iter().find(|problem| problem.starts_with("http.listen"))) {
            (_, Some(problem)) => bad(problem.trim_start_matches(&format!("http.listen {wanted}: ")).to_owned()),
            (Some(url), None) => Some(Finding::new("http", Verdict::Ok, url.clone())),
            (None, None) => None,
        };
    }
    let address = match loopback(wanted) {
        Ok(address) => address,
        Err(why) => return bad(why),
    };
    match TcpListener::bind(address).await {
        Ok(_) => Some(Finding::new("http", Verdict::Ok, format!("{wanted} is free"))),
        Err(error) => bad(error.to_string()),
    }
}

/// Checks which engine serves, and whether its socket is reachable.
pub(super) async fn engine(setup: &Setup) -> (Finding, Option<StatusView>) {
    let socket = setup.api_socket();
    if socket.as_os_str().len() > MAX_SOCKET_PATH {
        let finding =
            Finding::new("daemon", Verdict::Bad, format!("the path {} is too long for a socket", socket.display()));
        return (finding.remedy("set ORCH_HOME to a shorter path"), None);
    }
    let Some(client) = setup.connect().await else { return (unheard(setup), None) };
    let status = match timeout(VERSION_TIME, client.call(&endpoint::BriefStatus)).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return (mute(setup, &error.to_string()), None),
        Err(_) => return (mute(setup, "it does not answer"), None),
    };
    let detail = format!("orch {} runs as {} (pid {})", status.version, status.mode, status.pid);
    let finding = if status.version == env!("CARGO_PKG_VERSION") {
        Finding::new("daemon", Verdict::Ok, detail)
    } else {
        Finding::new("daemon", Verdict::Warning, detail).remedy("restart the daemon: it is of another version")
    };
    (finding, Some(status))
}

/// Nothing answers: the holder of the lock shows whether a daemon runs anyway.
fn unheard(setup: &Setup) -> Finding {
    match setup.holder().filter(Holder::is_daemon) {
        None => Finding::new("daemon", Verdict::Ok, "none runs; `orch serve` starts one"),
        Some(holder) => {
            mute(setup, &format!("orch ({holder}) runs, but nothing listens at {}", setup.api_socket().display()))
        }
    }
}

fn mute(setup: &Setup, why: &str) -> Finding {
    let who = setup.holder().map(|holder| format!(" ({holder})")).unwrap_or_default();
    let detail = if why.starts_with("orch (") { why.to_owned() } else { format!("orch{who}: {why}") };
    let remedy = "a removed socket is created again within seconds; else `orch serve --replace` replaces the daemon, agents keep running";
    Finding::new("daemon", Verdict::Bad, detail).remedy(remedy)
}
