//! The result of routing: the agent, the model, and the complexity. The rules are in `crate::prompts::router`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use strum::IntoStaticStr;

/// The complexity of a task; `model_map` turns it into a model per agent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Complexity {
    /// Documentation, configuration, a single file.
    Simple,
    /// Features over a few files, bug fixes, tests. The default.
    Medium,
    /// Architecture, large refactors, migrations.
    Complex,
}

impl Complexity {
    /// All complexities, from easy to hard.
    pub const ALL: [Self; 3] = [Self::Simple, Self::Medium, Self::Complex];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the next harder complexity, if there is one; used after a failure of the work.
    pub fn harder(self) -> Option<Self> {
        match self {
            Self::Simple => Some(Self::Medium),
            Self::Medium => Some(Self::Complex),
            Self::Complex => None,
        }
    }
}

impl fmt::Display for Complexity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Complexity {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|c| c.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a complexity: expected simple, medium or complex"))
    }
}

/// The role given to an agent for one task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentProfile {
    /// The role, for instance "backend specialist".
    pub role: String,
    /// The skills that the task needs.
    pub skills: Vec<String>,
    /// The tools that it may use.
    pub tools: Vec<String>,
    /// The constraints for this task.
    pub constraints: Vec<String>,
}

/// The result of routing, always with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteResult {
    /// The agent's name, as in `agents.<name>`.
    pub agent: String,
    /// The model, as the agent's CLI names it; `None`: the CLI's own default.
    pub model: Option<String>,
    /// How hard the task is thought to be.
    pub complexity: Complexity,
    /// Why, for a person.
    pub reason: String,
    /// The role for this task.
    pub profile: AgentProfile,
    /// The skills whose text the agent receives.
    pub selected_skills: Vec<String>,
    /// What is unusual about this choice, if anything.
    pub warning: Option<String>,
}
