//! A task's routing question with everything that the pure rules need.

use orch_core::economics::strategy::Case;
use orch_core::prompts::router::{Decision, Impossible, RouteInput, RouterSettings, Routing};
use orch_core::tasks::advice::Advice;
use orch_core::tasks::route::RouteResult;

/// A routing question with everything it needs.
#[derive(Debug, Clone)]
pub struct OwnedRouting {
    /// The task's part.
    pub input: RouteInput,
    /// The rules' settings.
    pub settings: RouterSettings,
    /// The names of the installed agents.
    pub installed: Vec<String>,
    /// What a strategy reads; `None`: every route is taken as it is.
    pub case: Option<Case>,
    /// What the policy says; `None`: none routes.
    pub word: Option<Advice>,
}

impl OwnedRouting {
    /// Returns the input of the pure rules.
    pub fn rules(&self) -> Routing<'_> {
        Routing { input: &self.input, settings: &self.settings, installed: &self.installed }
    }

    /// Decides a route as [`Routing::decide`] does, and applies the policy and the strategy.
    pub fn decide(&self, failed_attempts: u32) -> Decision {
        if let Some(stopped) = self.stopped() {
            return Decision::Impossible(stopped);
        }
        match self.rules().decide(failed_attempts) {
            Decision::Resolved(route) => Decision::Resolved(self.under_strategy(route)),
            decision @ (Decision::AskLlm | Decision::Impossible(_)) => decision,
        }
    }

    /// Decides a route as [`Routing::after_failure`] does, and applies the policy and the strategy.
    pub fn after_failure(&self, failed_attempts: u32, error: &str) -> Result<RouteResult, Impossible> {
        match self.stopped() {
            Some(stopped) => Err(stopped),
            None => self.rules().after_failure(failed_attempts, error).map(|route| self.under_strategy(route)),
        }
    }

    /// A route as the strategy takes it.
    pub fn under_strategy(&self, route: RouteResult) -> RouteResult {
        match (&self.word, &self.case) {
            (Some(word), _) => word.apply(route),
            (None, Some(case)) => case.apply(route),
            (None, None) => route,
        }
    }

    /// Returns why the policy gives the task to no agent; `None` where it gives it to one.
    fn stopped(&self) -> Option<Impossible> {
        let Some(Advice::Stop { reason }) = &self.word else { return None };
        let id = self.input.task_id;
        let hint = format!("orch task edit {id} --model MODEL names one; then orch task retry {id}");
        Some(Impossible { reason: reason.clone(), hint })
    }
}
