//! The advice of a policy about the agent and model of a task.

use super::escalation::Rung;
use super::route::RouteResult;

/// The advice of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// Use this agent and model next.
    Use {
        /// The agent and model.
        rung: Rung,
        /// Why it is used.
        reason: String,
    },
    /// Stop and ask a person.
    Stop {
        /// Why no other is tried.
        reason: String,
    },
    /// Keep the route as it is.
    Keep {
        /// Why there is no other advice.
        reason: String,
    },
}

impl Advice {
    /// Applies the advice to a route. [`Advice::Stop`] leaves the route unchanged: the caller handles it.
    pub fn apply(&self, route: RouteResult) -> RouteResult {
        match self {
            Self::Use { rung, reason } => RouteResult {
                agent: rung.agent.clone(),
                model: rung.model.clone(),
                reason: format!("{}; {reason}", route.reason),
                ..route
            },
            Self::Stop { reason } | Self::Keep { reason } => {
                RouteResult { reason: format!("{}; {reason}", route.reason), ..route }
            }
        }
    }
}
