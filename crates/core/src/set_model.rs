//! Models that a person has set for an agent or a project, as long as this daemon lives. PURE.

use super::pause::PauseScope;
use jiff::Timestamp;
use std::path::Path;

/// A model that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetModel {
    /// For which runs of work.
    pub scope: PauseScope,
    /// The model, as it was named.
    pub model: String,
    /// By whom.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

impl SetModel {
    /// In words.
    pub fn told(&self) -> String {
        format!("{} is set for {} by {}", self.model, self.scope.told(), self.by)
    }
}

/// All that are set, each scope once, in the order in which they were set first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetModels(Vec<SetModel>);

impl SetModels {
    /// Sets one; what was set for the same is gone.
    pub fn set(&mut self, new: SetModel) {
        match self.0.iter_mut().find(|known| known.scope == new.scope) {
            Some(known) => *known = new,
            None => self.0.push(new),
        }
    }

    /// Takes one back. Whether there was one.
    pub fn reset(&mut self, scope: &PauseScope) -> bool {
        let before = self.0.len();
        self.0.retain(|known| known.scope != *scope);
        self.0.len() != before
    }

    /// All of them.
    pub fn all(&self) -> &[SetModel] {
        &self.0
    }

    /// The one for work of this agent in this project. What is said of the agent goes before what is said of the project:
    /// every agent has models of its own.
    pub fn of(&self, dir: Option<&Path>, agent: &str) -> Option<&SetModel> {
        let of_agent = |known: &&SetModel| matches!(&known.scope, PauseScope::Agent { name } if name == agent);
        let of_project = |known: &&SetModel| matches!(&known.scope, PauseScope::Project { dir: own, .. } if Some(own.as_path()) == dir);
        self.0.iter().find(of_agent).or_else(|| self.0.iter().find(of_project))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(scope: PauseScope, model: &str) -> SetModel {
        SetModel { scope, model: model.to_owned(), by: "ada".to_owned(), since: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn what_is_said_of_the_agent_goes_before_what_is_said_of_the_project_and_both_can_be_taken_back() {
        let agent = PauseScope::Agent { name: "claude".to_owned() };
        let project = PauseScope::Project { dir: "/shop".into(), name: "shop".to_owned() };
        let mut all = SetModels::default();
        all.set(set(project.clone(), "haiku"));
        all.set(set(agent.clone(), "sonnet"));
        all.set(set(agent.clone(), "opus"));
        let model =
            |all: &SetModels, dir: &str, agent: &str| all.of(Some(Path::new(dir)), agent).map(|set| set.model.clone());
        assert_eq!(all.all().len(), 2, "the same scope once");
        assert_eq!(model(&all, "/shop", "claude").as_deref(), Some("opus"));
        assert_eq!(model(&all, "/shop", "codex").as_deref(), Some("haiku"));
        assert_eq!(model(&all, "/barn", "codex"), None);
        assert!(all.reset(&agent) && !all.reset(&agent));
        assert_eq!(model(&all, "/shop", "claude").as_deref(), Some("haiku"));
        assert_eq!(all.all()[0].told(), "haiku is set for project shop by ada");
    }
}
