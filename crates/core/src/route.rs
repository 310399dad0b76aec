//! Which agent and how hard: the result of routing. The rules are in `domain::router`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How hard a task is; `model_map` turns it into a model per agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    /// Docs, configuration, one file.
    Simple,
    /// Features over a few files, bug fixes, tests. What is assumed when nothing is said.
    Medium,
    /// Architecture, large refactors, migrations.
    Complex,
}

impl Complexity {
    /// From easy to hard.
    pub const ALL: [Self; 3] = [Self::Simple, Self::Medium, Self::Complex];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Medium => "medium",
            Self::Complex => "complex",
        }
    }

    /// One step harder, where there is one: the next rung after a failure of quality.
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AgentProfile {
    /// For instance "backend specialist".
    pub role: String,
    /// Focus skills for this task.
    pub skills: Vec<String>,
    /// Tools it may use.
    pub tools: Vec<String>,
    /// Constraints for this task.
    pub constraints: Vec<String>,
}

/// What routing decided, always with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteResult {
    /// The agent's name, as in `agents.<name>`.
    pub agent: String,
    /// The model, as the agent's CLI names it; `None`: the CLI's own default.
    pub model: Option<String>,
    /// How hard the task is thought to be.
    pub complexity: Complexity,
    /// Why, for a person.
    pub reason: String,
    /// The role.
    pub profile: AgentProfile,
    /// Skills whose text goes to the agent.
    pub selected_skills: Vec<String>,
    /// Something odd about this choice.
    pub warning: Option<String>,
}
