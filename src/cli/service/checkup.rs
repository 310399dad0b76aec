//! Whether the service finds what it needs: its own program, tmux, git and the agents in the `PATH` that it carries.

use super::site::Site;
use crate::adapters::process::which;
use crate::cli::context::Context;
use crate::config::Config;
use crate::domain::service::definition::Definition;
use crate::engine::{Finding, Verdict};

/// What the service would miss. A unit without a `PATH` of its own has its supervisor's, which cannot be looked at from here.
pub fn lacking(definition: &Definition, config: &Config) -> Vec<String> {
    let mut lacks = Vec::new();
    if which(&definition.program, "").is_none() {
        lacks.push(format!("the service starts {}, which is no program (any more)", definition.program));
    }
    let Some(path) = &definition.path else { return lacks };
    let lost: Vec<&str> = ["tmux", "git"].into_iter().filter(|name| which(name, path).is_none()).collect();
    if !lost.is_empty() {
        lacks.push(format!("the PATH of the service has no {}", lost.join(" and no ")));
    }
    let agents: Vec<&str> = config.agents.names().collect();
    let program = |name: &str| config.agent(name).and_then(|agent| which(&agent.command, path));
    if agents.iter().all(|name| program(name).is_none()) {
        lacks.push("the PATH of the service has none of the agents".to_owned());
    }
    lacks
}

/// Agents that a person's `PATH` has and the service's has not.
fn lost_agents(definition: &Definition, config: &Config, own: &str) -> Vec<String> {
    let Some(path) = &definition.path else { return Vec::new() };
    let is_lost = |name: &&str| {
        let command = config.agent(name).map(|agent| agent.command.clone()).unwrap_or_default();
        which(&command, own).is_some() && which(&command, path).is_none()
    };
    config.agents.names().filter(is_lost).map(str::to_owned).collect()
}

/// What `orch doctor` says of the services that are installed.
pub fn checkup(context: &Context, config: &Config) -> Vec<Finding> {
    let Ok(site) = Site::look(context) else { return Vec::new() };
    let mut findings: Vec<Finding> = site
        .found
        .iter()
        .filter(|found| site.home_of(found) == site.setup.home.root())
        .map(|found| {
            let mut lacks = lacking(&found.definition, config);
            let lost = lost_agents(&found.definition, config, context.path());
            if !lost.is_empty() {
                lacks.push(format!("your PATH finds {}, and the service's does not", lost.join(", ")));
            }
            let place = format!("{} ({})", found.supervisor.told(), found.file.display());
            if lacks.is_empty() {
                return Finding::new("service", Verdict::Ok, place);
            }
            let remedy = "orch service install, from a shell whose PATH finds them, then orch service restart";
            Finding::new("service", Verdict::Bad, format!("{place}: {}", lacks.join("; "))).remedy(remedy)
        })
        .collect();
    let first = site.found.first().map(|found| found.supervisor);
    if site.found.iter().any(|found| Some(found.supervisor) != first) {
        let remedy = "orch service uninstall --supervisor NAME, for all but one";
        findings.push(Finding::new("services", Verdict::Bad, "two supervisors have the service").remedy(remedy));
    }
    findings
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
        let told = lacking(&bare, &Config::default()).join("\n");
        for part in ["/nowhere/orch", "no tmux and no git", "none of the agents"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        let own = Definition { program: "/bin/sh".to_owned(), ..Definition::default() };
        assert!(lacking(&own, &Config::default()).is_empty(), "its supervisor's PATH is not known");
    }
}
