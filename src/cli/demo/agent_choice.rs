//! The agent of the demo: the scripted one, or an installed one, with its settings.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::scripted_agent::{MODELS, NAME};
use crate::cli::settings;
use orch_sys::process::which;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// The scripted agent's name.
const SCRIPTED: &str = "scripted";
/// A second name of the same agent: with only one, there would be no routing to show.
const SECOND: &str = "scripted-too";

/// Variables that the scripted demo takes from the person's environment: to find programs, and for the language.
const BORROWED: [&str; 11] =
    ["PATH", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"];

/// The agent of the demo.
#[derive(Debug, Clone)]
pub(super) enum AgentChoice {
    /// The scripted agent, without any account or network.
    Scripted,
    /// An installed agent.
    Real {
        /// Its name.
        name: String,
        /// The person's `config.yml`, which defines how the agent is started.
        config: String,
    },
}

impl AgentChoice {
    /// Returns the scripted agent, or the requested one, which must be installed.
    pub(super) fn choose(name: Option<&str>, context: &Context) -> Result<Self, CliError> {
        match name {
            None => Ok(Self::Scripted),
            Some(name) if name == SCRIPTED => Ok(Self::Scripted),
            Some(name) => Self::real(name, context),
        }
    }

    fn real(name: &str, context: &Context) -> Result<Self, CliError> {
        let home = context.setup()?.home;
        let loaded = settings::global(context, &home)?;
        let Some(agent) = loaded.config.agent(name) else {
            let known: Vec<&str> = loaded.config.agents.names().collect();
            return Err(CliError::NotFound {
                message: format!("there is no agent {name:?}"),
                hint: Some(format!("known agents: {}; without --agent a scripted one plays", known.join(", "))),
            });
        };
        if which(&agent.command, context.path()).is_none() {
            return Err(CliError::NotFound {
                message: format!("agent {name} is not installed: {} is not in PATH", agent.command),
                hint: Some(
                    "`orch doctor` shows which agents are found; without --agent a scripted one plays".to_owned(),
                ),
            });
        }
        Ok(Self::Real { name: name.to_owned(), config: settings::text_of(&home.config_file())?.unwrap_or_default() })
    }

    /// Returns the agent's name.
    pub(super) fn agent(&self) -> &str {
        match self {
            Self::Scripted => SCRIPTED,
            Self::Real { name, .. } => name,
        }
    }

    /// Returns whether the scripted agent is used.
    pub(super) fn is_scripted(&self) -> bool {
        matches!(self, Self::Scripted)
    }

    /// Describes the agent.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Scripted => "the scripted agent (offline, made-up prices)".to_owned(),
            Self::Real { name, .. } => format!("your {name}"),
        }
    }

    /// Returns the text of the demo's `config.yml`. JSON is YAML.
    pub(super) fn config(&self, bin: &Path) -> String {
        match self {
            Self::Scripted => scripted_config(&bin.join(NAME)),
            Self::Real { config, .. } => config.clone(),
        }
    }

    /// Returns the daemon's additional settings: only this agent is used.
    pub(super) fn flags(&self) -> Vec<String> {
        let Self::Real { name, .. } = self else { return Vec::new() };
        // With only one agent to choose from, no model is asked.
        let settings = [format!("router.agents={name}"), format!("router.fallback_executor={name}")];
        settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]).collect()
    }

    /// Returns the environment of the demo. A real agent needs the person's, for its login; variables of orch and git
    /// would point outside of the demo.
    pub(super) fn environment(&self, context: &Context, root: &Path, home: &Path) -> BTreeMap<String, String> {
        let leads_out = |name: &str| name.starts_with("ORCH_") || name.starts_with("GIT_") || name.starts_with("TMUX");
        let all = context.environment.iter();
        let mut environment: BTreeMap<String, String> = match self {
            Self::Scripted => all.filter(|(name, _)| BORROWED.contains(&name.as_str())).map(owned).collect(),
            Self::Real { .. } => all.filter(|(name, _)| !leads_out(name)).map(owned).collect(),
        };
        if self.is_scripted() {
            environment.insert("HOME".to_owned(), root.join("home").to_string_lossy().into_owned());
        }
        environment.insert("ORCH_HOME".to_owned(), home.to_string_lossy().into_owned());
        environment
    }
}

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

fn scripted_config(program: &Path) -> String {
    let [small, medium, large] = MODELS.map(|price| price.name);
    let document = json!({
        "router": {
            "mode": "llm", "agent": SCRIPTED, "model": small, "fallback_executor": SCRIPTED,
            "agents": [SCRIPTED, SECOND],
            "default_skills": [], "timeout_seconds": 30,
        },
        "model_map": {
            "simple": { SCRIPTED: small }, "medium": { SCRIPTED: medium }, "complex": { SCRIPTED: large },
        },
        "review": { "agents": [SCRIPTED] },
        "agents": {
            SCRIPTED: { "kind": "claude", "command": program.to_string_lossy() },
            SECOND: { "kind": "claude", "command": program.to_string_lossy() },
        },
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_config::layers::{Layer, load};
    use orch_core::tasks::route::Complexity;

    fn config(choice: &AgentChoice) -> orch_config::Config {
        let text = choice.config(Path::new("/a \"b\"/bin"));
        let set = choice
            .flags()
            .chunks(2)
            .map(|pair| pair[1].split_once('=').expect("a setting"))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let layers = [Layer::Global { path: "config.yml".into(), text }, Layer::Flags(set)];
        load(&layers).expect("valid").config
    }

    #[test]
    fn the_scripted_agent_routes_and_works_with_models_of_its_own() {
        let config = config(&AgentChoice::Scripted);
        assert_eq!(config.agent(SCRIPTED).expect("declared").command, "/a \"b\"/bin/orch-scripted-agent");
        assert_eq!(
            (config.router.agents.as_slice(), config.router.agent.as_str()),
            (&[SCRIPTED.to_owned(), SECOND.to_owned()][..], SCRIPTED)
        );
        assert_eq!(config.model_for(Complexity::Medium, SCRIPTED), Some("scripted-medium"));
    }

    #[test]
    fn a_real_agent_keeps_its_settings_and_plays_alone() {
        let own = "agents: {codex: {command: /opt/codex}}\nrouter: {agents: [claude, codex]}\n".to_owned();
        let found = config(&AgentChoice::Real { name: "codex".into(), config: own });
        assert_eq!(found.router.agents, ["codex"]);
        assert_eq!(found.agents.get("codex").expect("known").command, "/opt/codex");
    }
}
