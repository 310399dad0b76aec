//! The path from a task to the model of its next run. Pure.
//!
//! 1. **Source.** Several places may name a model; [`Source`] lists them in the order of precedence, and the first that
//!    names one decides ([`ModelPath`]). The route's own model comes from the label or field of the task, the router's
//!    answer and `model_map`, a strategy, a policy, or after a failure the ladder (`escalation`) or chain (`fallback`);
//!    its `reason` says which.
//! 2. **Reference.** What the source names is a reference: a name, an alias, `provider/model`, a tag or a tier.
//!    [`super::resolve`] turns it into a model of the catalog.
//! 3. **Name.** [`super::agent_model`] checks that the agent can use the model, and writes its name as the agent's
//!    program expects it.

use super::set_model::SetModel;
use crate::operations::pause::PauseScope;
use crate::tasks::model_policy::is_sticky;
use crate::tasks::route::RouteResult;
use crate::tasks::task::Task;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// A place that can name the model of a run, in the order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Source {
    /// A message to the task (`orch send --model`), for the next run only.
    Message,
    /// The task's own field `model`.
    Task,
    /// The model with which a sticky task began.
    Sticky,
    /// `orch models set --agent`.
    Agent,
    /// `orch models set --project`.
    Project,
    /// A cheaper model, because a budget is low.
    Budget,
    /// The route.
    Route,
    /// Nothing names a model: the agent's program uses its default.
    AgentDefault,
}

impl Source {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A source that names a model, or the agent's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The source.
    pub source: Source,
    /// The reference as it was written; `None`: the agent's default.
    pub reference: Option<String>,
    /// Why the source names it, where that is not the route.
    pub reason: Option<String>,
}

/// The sources that name a model for the next run of a task, in the order of precedence. Never empty: where none names
/// one, it is the agent's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPath(Vec<Step>);

impl ModelPath {
    /// Collects the sources. `set`: what a person has set for the agent or the project.
    pub fn new(task: &Task, route: &RouteResult, set: Option<&SetModel>) -> Self {
        let message = task.next_model.as_ref().map(|model| {
            let reason = format!("{model} was asked for with a message");
            Step { source: Source::Message, reference: Some(model.clone()), reason: Some(reason) }
        });
        let set = set.map(|set| Step {
            source: if let PauseScope::Agent { .. } = set.scope { Source::Agent } else { Source::Project },
            reference: Some(set.model.clone()),
            reason: Some(set.describe()),
        });
        let source = match (task.spec.model.is_some(), is_sticky(task) && task.conversation.is_some()) {
            (true, _) => Source::Task,
            (false, true) => Source::Sticky,
            (false, false) => Source::Route,
        };
        // The route already carries what the task names and what a sticky task began with.
        let route = route.model.clone().map(|model| Step { source, reference: Some(model), reason: None });
        // What a sticky task began with may be the agent's default; it stays as well.
        let is_pinned = source != Source::Route;
        let route = route.or_else(|| is_pinned.then_some(Step { source, reference: None, reason: None }));
        let mut steps: Vec<Step> = [message, set, route].into_iter().flatten().collect();
        if steps.is_empty() {
            steps.push(Step { source: Source::AgentDefault, reference: None, reason: None });
        }
        steps.sort_by_key(|step| step.source);
        Self(steps)
    }

    /// Returns the source that decides.
    pub fn chosen(&self) -> &Step {
        &self.0[0]
    }

    /// Returns all sources, the deciding one first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether a low budget may replace the chosen model: nothing that a person said for the moment decides.
    pub fn is_of_route(&self) -> bool {
        matches!(self.chosen().source, Source::Task | Source::Sticky | Source::Route)
    }

    /// Puts the decision of a low budget first: another model, or the reason why the model stays.
    pub fn within_budget(&mut self, model: String, reason: String) {
        self.0.insert(0, Step { source: Source::Budget, reference: Some(model), reason: Some(reason) });
    }

    /// Consumes the path and returns the chosen reference, and the reason where it is not the route's own.
    pub fn into_chosen(mut self) -> (Option<String>, Option<String>) {
        let Step { reference, reason, .. } = self.0.swap_remove(0);
        (reference, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TaskId;
    use crate::tasks::route::{AgentProfile, Complexity};
    use crate::tasks::task::{Conversation, FileState, Spec};
    use jiff::Timestamp;

    fn task(spec: Spec) -> Task {
        Task::new(TaskId(1), spec, FileState::Pending, Timestamp::UNIX_EPOCH)
    }

    fn route(model: Option<&str>) -> RouteResult {
        RouteResult {
            agent: "claude".to_owned(),
            model: model.map(str::to_owned),
            complexity: Complexity::Medium,
            reason: "by label".to_owned(),
            profile: AgentProfile::default(),
            selected_skills: Vec::new(),
            warning: None,
        }
    }

    fn set(scope: PauseScope) -> SetModel {
        SetModel { scope, model: "haiku".to_owned(), by: "ada".to_owned(), since: Timestamp::UNIX_EPOCH }
    }

    fn sources(path: &ModelPath) -> Vec<&'static str> {
        path.steps().iter().map(|step| step.source.as_str()).collect()
    }

    #[test]
    fn the_first_source_decides_and_the_others_are_listed() {
        let of_agent = set(PauseScope::Agent { name: "claude".to_owned() });
        let of_project = set(PauseScope::Project { dir: "/shop".into(), name: "shop".to_owned() });
        let plain = task(Spec::default());
        let asked = Task { next_model: Some("opus".to_owned()), ..plain.clone() };
        assert_eq!(sources(&ModelPath::new(&plain, &route(None), None)), ["agent_default"]);
        assert_eq!(sources(&ModelPath::new(&plain, &route(Some("sonnet")), None)), ["route"]);
        assert_eq!(sources(&ModelPath::new(&plain, &route(Some("sonnet")), Some(&of_project))), ["project", "route"]);
        let path = ModelPath::new(&asked, &route(Some("sonnet")), Some(&of_agent));
        assert_eq!(sources(&path), ["message", "agent", "route"]);
        assert!(!path.is_of_route());
        let why = Some("opus was asked for with a message".to_owned());
        assert_eq!(path.into_chosen(), (Some("opus".to_owned()), why));
    }

    #[test]
    fn what_the_task_names_and_what_a_sticky_task_began_with_are_not_replaced_by_a_set_model() {
        let of_agent = set(PauseScope::Agent { name: "claude".to_owned() });
        let named = task(Spec { model: Some("opus".to_owned()), ..Spec::default() });
        assert_eq!(sources(&ModelPath::new(&named, &route(Some("opus")), Some(&of_agent))), ["task", "agent"]);
        let talk = Conversation { agent: "claude".to_owned(), session_id: "s".to_owned(), model: None };
        let sticky = Spec { labels: vec!["model-policy:sticky".to_owned()], ..Spec::default() };
        let began = Task { conversation: Some(Box::new(talk)), ..task(sticky.clone()) };
        assert_eq!(sources(&ModelPath::new(&began, &route(Some("sonnet")), Some(&of_agent))), ["sticky", "agent"]);
        assert_eq!(ModelPath::new(&began, &route(None), Some(&of_agent)).into_chosen(), (None, None));
        let fresh = task(sticky);
        assert_eq!(sources(&ModelPath::new(&fresh, &route(Some("sonnet")), Some(&of_agent))), ["agent", "route"]);
    }

    #[test]
    fn a_low_budget_goes_before_the_route() {
        let mut path = ModelPath::new(&task(Spec::default()), &route(Some("opus")), None);
        assert!(path.is_of_route());
        path.within_budget("haiku".to_owned(), "money is short".to_owned());
        assert_eq!(sources(&path), ["budget", "route"]);
        assert_eq!(path.into_chosen(), (Some("haiku".to_owned()), Some("money is short".to_owned())));
    }
}
