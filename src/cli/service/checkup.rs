//! Checks whether an installed service finds its program, tmux, git and the agents in its `PATH`.

use super::definitions::Found;
use super::service_host::ServiceHost;
use crate::cli::context::Context;
use crate::cli::settings;
use orch_config::Config;
use orch_core::operations::service::definition::Definition;
use orch_engine::{Finding, Verdict};
use orch_sys::process::which;

/// Returns what the service would lack with this `PATH`.
pub fn lacking(definition: &Definition, path: &str, config: &Config) -> Vec<String> {
    let mut lacks = Vec::new();
    if which(&definition.program, "").is_none() {
        lacks.push(format!("the service starts {}, which is no program (any more)", definition.program));
    }
    let whose = if definition.path.is_some() {
        "the PATH of the service"
    } else {
        "the service has the PATH of its supervisor, which"
    };
    let lost: Vec<&str> = ["tmux", "git"].into_iter().filter(|name| which(name, path).is_none()).collect();
    if !lost.is_empty() {
        lacks.push(format!("{whose} has no {}", lost.join(" and no ")));
    }
    let agents: Vec<&str> = config.agents.names().collect();
    let program = |name: &str| config.agent(name).and_then(|agent| which(&agent.command, path));
    if agents.iter().all(|name| program(name).is_none()) {
        lacks.push(format!("{whose} has none of the agents"));
    }
    lacks
}

/// Returns the agents that are in the person's `PATH` but not in the service's.
fn lost_agents(path: &str, config: &Config, own: &str) -> Vec<String> {
    let is_lost = |name: &&str| {
        let command = config.agent(name).map(|agent| agent.command.clone()).unwrap_or_default();
        which(&command, own).is_some() && which(&command, path).is_none()
    };
    config.agents.names().filter(is_lost).map(str::to_owned).collect()
}

/// Returns everything that an installed service would lack.
async fn misses(host: &ServiceHost<'_>, found: &Found, config: &Config) -> Vec<String> {
    let path = host.path_of(found).await;
    let mut lacks = lacking(&found.definition, &path, config);
    let lost = lost_agents(&path, config, host.context.path());
    if !lost.is_empty() {
        lacks.push(format!("your PATH finds {}, and the service's does not", lost.join(", ")));
    }
    lacks
}

/// Warns about what a service that is being started will lack.
pub async fn warn(host: &ServiceHost<'_>, found: &Found) {
    let Ok(loaded) = settings::global(host.context, &host.setup.home) else { return };
    let misses = misses(host, found, &loaded.config).await;
    misses.iter().for_each(|miss| host.context.ui.warning(miss));
    if !misses.is_empty() {
        host.context.ui.note(REMEDY);
    }
}

/// The remedy.
const REMEDY: &str = "orch service install, from a shell whose PATH finds them, then orch service restart";

/// Returns the findings of `orch doctor` on the installed services. Without settings, the needed programs are unknown.
pub async fn checkup(context: &Context, config: Option<&Config>) -> Vec<Finding> {
    let Ok(host) = ServiceHost::new(context) else { return Vec::new() };
    let mut findings = Vec::new();
    for found in host.found.iter().filter(|found| host.home_of(found) == host.setup.home.root()) {
        findings.push(one(&host, found, config).await);
    }
    let first = host.found.first().map(|found| found.supervisor);
    if host.found.iter().any(|found| Some(found.supervisor) != first) {
        let remedy = "orch service uninstall --supervisor NAME, for all but one";
        findings.push(Finding::new("services", Verdict::Bad, "two supervisors have the service").remedy(remedy));
    }
    findings
}

async fn one(host: &ServiceHost<'_>, found: &Found, config: Option<&Config>) -> Finding {
    let place = format!("{} ({})", found.supervisor.describe(), found.file.display());
    let misses = match config {
        Some(config) => misses(host, found, config).await,
        None => Vec::new(),
    };
    if misses.is_empty() {
        return Finding::new("service", Verdict::Ok, place);
    }
    let detail = format!("{place}: {}", misses.join("; "));
    if found.is_packaged {
        let state = host.state(found.supervisor).await;
        if state.is_enabled != Some(true) && state.pid.is_none() {
            // It is installed for everybody on the machine; this person did not ask for it.
            let detail = format!(
                "{place}: brought by a package, and not in use; orch service install sets it up with your PATH"
            );
            return Finding::new("service", Verdict::Ok, detail);
        }
    }
    Finding::new("service", Verdict::Bad, detail).remedy(REMEDY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_misses_something_says_what() {
        let bare = Definition {
            program: "/nowhere/orch".to_owned(),
            path: Some("/nowhere".to_owned()),
            ..Definition::default()
        };
        let text = lacking(&bare, "/nowhere", &Config::default()).join("\n");
        for part in ["/nowhere/orch", "the PATH of the service has no tmux and no git", "none of the agents"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let own = Definition { program: "/bin/sh".to_owned(), ..Definition::default() };
        let text = lacking(&own, "/nowhere", &Config::default()).join("\n");
        assert!(text.contains("the PATH of its supervisor, which has none of the agents"), "{text}");
    }
}
