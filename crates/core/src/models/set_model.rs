//! Models that a person has set for an agent or a project until the daemon ends. Pure.

use crate::operations::pause::PauseScope;
use jiff::Timestamp;
use std::path::Path;

/// A model that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetModel {
    /// The work runs that it applies to.
    pub scope: PauseScope,
    /// The model, as it was named.
    pub model: String,
    /// Who set it.
    pub by: String,
    /// When it was set.
    pub since: Timestamp,
}

impl SetModel {
    /// Describes the setting.
    pub fn describe(&self) -> String {
        format!("{} is set for {} by {}", self.model, self.scope.describe(), self.by)
    }
}

/// All set models, one per scope, in the order in which the scopes were first set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetModels(Vec<SetModel>);

impl SetModels {
    /// Sets a model and replaces an earlier one of the same scope.
    pub fn set(&mut self, new: SetModel) {
        match self.0.iter_mut().find(|known| known.scope == new.scope) {
            Some(known) => *known = new,
            None => self.0.push(new),
        }
    }

    /// Removes a model and returns whether there was one.
    pub fn reset(&mut self, scope: &PauseScope) -> bool {
        let before = self.0.len();
        self.0.retain(|known| known.scope != *scope);
        self.0.len() != before
    }

    /// Returns all set models.
    pub fn all(&self) -> &[SetModel] {
        &self.0
    }

    /// Returns the model for work of this agent in this project. The agent's setting overrides the project's, because
    /// every agent has its own models.
    pub fn for_agent(&self, dir: Option<&Path>, agent: &str) -> Option<&SetModel> {
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
        let model = |all: &SetModels, dir: &str, agent: &str| {
            all.for_agent(Some(Path::new(dir)), agent).map(|set| set.model.clone())
        };
        assert_eq!(all.all().len(), 2, "the same scope once");
        assert_eq!(model(&all, "/shop", "claude").as_deref(), Some("opus"));
        assert_eq!(model(&all, "/shop", "codex").as_deref(), Some("haiku"));
        assert_eq!(model(&all, "/barn", "codex"), None);
        assert!(all.reset(&agent) && !all.reset(&agent));
        assert_eq!(model(&all, "/shop", "claude").as_deref(), Some("haiku"));
        assert_eq!(all.all()[0].describe(), "haiku is set for project shop by ada");
    }
}
