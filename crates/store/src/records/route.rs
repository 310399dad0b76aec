//! The records of a task's route.

use super::records;
use orch_core::tasks::route::{AgentProfile, Complexity, RouteResult};

records! {
    struct RouteRecord = RouteResult {
        agent: String,
        model: Option<String>,
        complexity: Complexity,
        reason: String,
        profile: AgentProfile,
        selected_skills: Vec<String>,
        warning: Option<String>,
    }

    enum ComplexityRecord = Complexity {
        Simple = "simple",
        Medium = "medium",
        Complex = "complex",
    }

    #[derive(Default)]
    #[serde(default)]
    struct AgentProfileRecord = AgentProfile {
        role: String,
        skills: Vec<String>,
        tools: Vec<String>,
        constraints: Vec<String>,
    }
}
