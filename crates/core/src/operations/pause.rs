//! Pauses that a person has set for everything, a project, or an agent. Nothing new starts there; running tasks
//! continue. Pure: this module decides which tasks a pause covers; other modules act on it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a pause covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub enum PauseScope {
    /// Everything, including routing.
    All,
    /// The tasks of one repository.
    Project {
        /// Its main checkout, which identifies it.
        dir: PathBuf,
        /// Its display name.
        name: String,
    },
    /// The runs of one agent.
    Agent {
        /// The name of the agent.
        name: String,
    },
}

impl PauseScope {
    /// Returns a key that identifies the scope.
    pub fn key(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Project { dir, .. } => format!("project:{}", dir.display()),
            Self::Agent { name } => format!("agent:{name}"),
        }
    }

    /// Describes the scope.
    pub fn describe(&self) -> String {
        match self {
            Self::All => "everything".to_owned(),
            Self::Project { name, .. } => format!("project {name}"),
            Self::Agent { name } => format!("agent {name}"),
        }
    }

    /// Returns the command that ends the pause.
    pub fn resume_command(&self) -> String {
        match self {
            Self::All => "orch resume".to_owned(),
            Self::Project { name, .. } => format!("orch resume --project {name}"),
            Self::Agent { name } => format!("orch resume --agent {name}"),
        }
    }

    fn covers(&self, dir: Option<&Path>, agent: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Project { dir: paused, .. } => dir == Some(paused.as_path()),
            Self::Agent { name } => agent == Some(name.as_str()),
        }
    }
}

/// The scope that a person names in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PauseSelector {
    /// The pause of everything; pauses of single projects and agents are separate.
    All,
    /// Every pause that is set.
    Each,
    /// A project, by its name or directory.
    Project(String),
    /// An agent, by its name.
    Agent(String),
}

/// A pause that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// What is paused.
    #[serde(flatten)]
    pub scope: PauseScope,
    /// When the pause was set.
    pub since: Timestamp,
    /// Who set the pause.
    pub by: String,
}

impl Pause {
    /// Describes the pause, with the command that ends it.
    pub fn describe(&self) -> String {
        let since = self.since.strftime("%Y-%m-%d %H:%M UTC");
        format!(
            "{} is paused since {since} by {}; `{}` ends it",
            self.scope.describe(),
            self.by,
            self.scope.resume_command()
        )
    }
}

/// All pauses that are set.
#[derive(Debug, Clone, Default)]
pub struct Pauses {
    /// The pauses by key, with their descriptions: thousands of tasks may wait for one pause.
    all: BTreeMap<String, (Pause, String)>,
}

impl Pauses {
    /// Adds a pause. An existing pause of the same scope is kept.
    pub fn put(&mut self, pause: Pause) {
        let description = pause.describe();
        self.all.entry(pause.scope.key()).or_insert((pause, description));
    }

    /// Removes a pause and returns it, if it was set.
    pub fn remove(&mut self, scope: &PauseScope) -> Option<Pause> {
        self.all.remove(&scope.key()).map(|(pause, _)| pause)
    }

    /// Returns the pause of exactly this scope.
    pub fn get(&self, scope: &PauseScope) -> Option<&Pause> {
        self.all.get(&scope.key()).map(|(pause, _)| pause)
    }

    /// Returns all pauses.
    pub fn iter(&self) -> impl Iterator<Item = &Pause> {
        self.all.values().map(|(pause, _)| pause)
    }

    /// Returns why nothing new starts for a task in this directory and, where it has one, with this agent.
    pub fn description(&self, dir: Option<&Path>, agent: Option<&str>) -> Option<&str> {
        self.all.values().find(|(pause, _)| pause.scope.covers(dir, agent)).map(|(_, description)| description.as_str())
    }

    /// Whether this agent is paused.
    pub fn holds_agent(&self, agent: &str) -> bool {
        self.all.contains_key(&PauseScope::Agent { name: agent.to_owned() }.key())
    }
}

impl FromIterator<Pause> for Pauses {
    fn from_iter<T: IntoIterator<Item = Pause>>(pauses: T) -> Self {
        let mut all = Self::default();
        pauses.into_iter().for_each(|pause| all.put(pause));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(scope: PauseScope) -> Pause {
        Pause { scope, since: "2026-03-01T10:00:00Z".parse().expect("a time"), by: "ada".to_owned() }
    }

    fn agent(name: &str) -> PauseScope {
        PauseScope::Agent { name: name.to_owned() }
    }

    #[test]
    fn a_pause_covers_what_it_names_and_nothing_else() {
        let project = PauseScope::Project { dir: "/shop".into(), name: "shop".to_owned() };
        let pauses: Pauses = [pause(project.clone()), pause(agent("claude"))].into_iter().collect();
        let held = |dir: &str, agent: Option<&str>| pauses.description(Some(Path::new(dir)), agent).is_some();
        assert!(held("/shop", None) && held("/shop", Some("codex")) && held("/other", Some("claude")));
        assert!(!held("/other", Some("codex")) && !held("/other", None) && !held("/shop/below", None));
        let everything: Pauses = [pause(PauseScope::All)].into_iter().collect();
        assert_eq!(
            everything.description(None, None),
            Some("everything is paused since 2026-03-01 10:00 UTC by ada; `orch resume` ends it")
        );
    }

    #[test]
    fn a_second_pause_does_not_forget_who_paused_first() {
        let mut pauses: Pauses = [pause(PauseScope::All)].into_iter().collect();
        pauses.put(Pause { by: "bob".to_owned(), ..pause(PauseScope::All) });
        assert_eq!(pauses.get(&PauseScope::All).map(|pause| pause.by.as_str()), Some("ada"));
        assert!(pauses.remove(&PauseScope::All).is_some() && pauses.remove(&PauseScope::All).is_none());
    }

    #[test]
    fn a_pause_reads_back_as_it_was_stored() {
        for scope in
            [PauseScope::All, agent("claude"), PauseScope::Project { dir: "/x y".into(), name: "x".to_owned() }]
        {
            let text = serde_json::to_string(&pause(scope.clone())).expect("plain data");
            assert_eq!(serde_json::from_str::<Pause>(&text).expect("a pause"), pause(scope));
        }
    }
}
