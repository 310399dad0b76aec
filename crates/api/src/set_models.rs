//! The shapes of models that are set for the daemon's lifetime, on the wire. Stable: documented in `docs/reference/json.md`.

use jiff::Timestamp;
use orch_core::models::set_model::SetModel;
use orch_core::operations::pause::PauseScope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A model to set, or to take back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewSetModel {
    /// Which: a name, `provider/model`, a tag or a tier; not of one that is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// For a project, by its name or directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The agent that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Who asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A model that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetModelView {
    /// The model.
    pub model: String,
    /// For this agent; `null`: for a project.
    pub agent: Option<String>,
    /// For this project; `null`: for an agent.
    pub project: Option<String>,
    /// Who set it.
    pub by: String,
    /// Since when this is so.
    pub since: Timestamp,
}

impl From<&SetModel> for SetModelView {
    fn from(set: &SetModel) -> Self {
        let (agent, project) = match &set.scope {
            PauseScope::Agent { name } => (Some(name.clone()), None),
            PauseScope::Project { name, .. } => (None, Some(name.clone())),
            PauseScope::All => (None, None),
        };
        Self { model: set.model.clone(), agent, project, by: set.by.clone(), since: set.since }
    }
}

impl SetModelView {
    /// Whose work it is set for: `agent NAME` or `project NAME`.
    pub fn whose(&self) -> String {
        match (&self.agent, &self.project) {
            (Some(agent), _) => format!("agent {agent}"),
            (None, project) => format!("project {}", project.as_deref().unwrap_or_default()),
        }
    }
}

/// What became of the order, and all that are set now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetModelsView {
    /// It is another one now.
    pub changed: bool,
    /// All models that are set.
    pub set: Vec<SetModelView>,
}
