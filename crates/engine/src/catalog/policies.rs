//! The routing policy of a home over its live tasks: the available agents, what was tried, what is recorded. The decision is
//! made in `core::economics::policy`.

use crate::catalog::credentials::Environment;
use crate::catalog::model_book::ModelBook;
use crate::catalog::reach::{reach, workers};
use crate::settings::{Settings, directory_of};
use jiff::Timestamp;
use orch_core::base::ids::RunId;
use orch_core::economics::budget::is_critical;
use orch_core::economics::policy::history::Judged;
use orch_core::economics::policy::live::{Case, Offer, Tried, recorded_as};
use orch_core::economics::track_record::{Sample, Source};
use orch_core::models::agent_model::needs_of_task;
use orch_core::tasks::advice::Advice;
use orch_core::tasks::escalation::Rung;
use orch_core::tasks::model_policy::is_sticky;
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::{Run, Task};
use orch_store::journal::Project;

/// What a policy's word on a task is made from.
pub(crate) struct Ground<'a> {
    pub settings: &'a Settings,
    pub projects: &'a [Project],
    pub book: &'a ModelBook,
    pub environment: &'a Environment,
    pub samples: &'a [Sample],
    /// The last run of the task's work, where one is known.
    pub last: Option<&'a Run>,
    /// Whether an agent cannot be had with a model now.
    pub is_out: &'a dyn Fn(&str, Option<&str>) -> bool,
}

impl Ground<'_> {
    /// Returns the policy's word. Nothing of it touches what a person has named, and what is critical.
    pub(crate) fn advice(&self, task: &Task) -> Option<Advice> {
        let live = self.settings.policy.as_deref()?;
        let kept = |why: &str| Some(Advice::Keep { reason: format!("policy {}: kept, {why}", live.name) });
        if task.spec.model.is_some() {
            return kept("the model was named");
        }
        if is_critical(task) {
            return kept("the task is critical");
        }
        if is_sticky(task) && task.route.is_some() {
            return kept("its model stays");
        }
        let dir = directory_of(task, self.projects).ok();
        let group = dir.as_deref().and_then(|dir| dir.file_name()).map(|name| name.to_string_lossy().into_owned());
        let group = group.unwrap_or_else(|| "all".to_owned());
        let runs: Vec<Judged> = self.samples.iter().filter_map(Judged::from_sample).collect();
        let (offers, tried) = (self.offers(task, live.policy.ladder_of(&group)), self.tried(task));
        let case = Case {
            name: &live.name,
            policy: &live.policy,
            group: &group,
            task: task.id,
            offers: &offers,
            tried: &tried,
            runs: &runs,
        };
        Some(case.advice())
    }

    /// Returns the agents of a ladder that are available: installed, free, with a usable model that the agent's program can
    /// have. An empty ladder means every agent to which the settings give a model.
    fn offers(&self, task: &Task, ladder: &[String]) -> Vec<Offer> {
        let config = &self.settings.config;
        let routing = self.settings.routing(task, self.projects);
        let named: Vec<Rung> = if ladder.is_empty() {
            let agents = routing.rules().candidates().unwrap_or_default();
            let workers = workers(config, &agents).into_iter();
            workers.map(|(agent, model)| Rung { agent, model: Some(model) }).collect()
        } else {
            ladder.iter().filter_map(|name| name.parse().ok()).collect()
        };
        let wanted = wanted_agent(task);
        let is_had = |rung: &Rung| {
            let is_wanted = wanted.as_ref().is_none_or(|wanted| *wanted == rung.agent);
            is_wanted
                && self.settings.installed.contains(&rung.agent)
                && !(self.is_out)(&rung.agent, rung.model.as_deref())
        };
        named.into_iter().filter(is_had).filter_map(|rung| self.offer(task, rung)).collect()
    }

    fn offer(&self, task: &Task, rung: Rung) -> Option<Offer> {
        let reach = reach(&self.settings.config, &rung.agent, self.environment);
        let needs = needs_of_task(&task.spec);
        let Some(model) = &rung.model else {
            reach.own_choice(&needs).ok()?;
            return Some(Offer { recorded_as: rung.agent.clone(), rung });
        };
        let named = reach.name(self.book.resolver(), model, &needs).ok()?;
        let provider = named.model.as_ref().map(|model| model.provider.as_str());
        if provider.is_some_and(|provider| self.book.failing.contains_key(provider)) {
            return None;
        }
        Some(Offer { recorded_as: recorded_as(&rung.agent, Some(&named.name)), rung })
    }

    /// Returns what failed since the task started: of the runs that are recorded the last ones, and the one that ends now.
    fn tried(&self, task: &Task) -> Vec<Tried> {
        let (Some(route), true) = (task.route.as_deref(), task.progress.attempts > 0) else { return Vec::new() };
        let is_last = |run: &RunId| self.last.is_some_and(|last| last.id == *run);
        let of_task = |sample: &Sample| match &sample.source {
            Source::Run { task: of, run, attempt } if *of == task.id && !is_last(run) => Some((
                sample.ended_at,
                *attempt,
                Tried { recorded_as: recorded_as(&sample.agent, sample.model.as_deref()), cost: sample.cost },
            )),
            Source::Run { .. } | Source::Person { .. } => None,
        };
        let mut recorded: Vec<(Timestamp, u32, Tried)> = self.samples.iter().filter_map(of_task).collect();
        recorded.sort_by_key(|(ended, _, _)| *ended);
        // Backwards the attempts go down to the first; where they go up again, the task started anew.
        let mut bound = task.progress.attempts;
        let since = recorded.iter().rposition(|(_, attempt, _)| {
            let is_earlier = *attempt > bound;
            bound = bound.min(*attempt);
            is_earlier
        });
        let tried = recorded.into_iter().skip(since.map_or(0, |at| at + 1)).map(|(_, _, tried)| tried);
        tried.chain([self.tried_last(task, route)]).collect()
    }

    /// Returns the run that ends now, as it was; where it is not known, as the route would have had it.
    fn tried_last(&self, task: &Task, route: &RouteResult) -> Tried {
        if let Some(run) = self.last {
            return Tried { recorded_as: recorded_as(&run.agent, run.model.as_deref()), cost: run.cost };
        }
        let named = route.model.as_deref().map(|model| {
            let reach = reach(&self.settings.config, &route.agent, self.environment);
            let named = reach.name(self.book.resolver(), model, &needs_of_task(&task.spec));
            named.map_or_else(|_| model.to_owned(), |named| named.name)
        });
        Tried { recorded_as: recorded_as(&route.agent, named.as_deref()), cost: None }
    }
}

/// Returns the agent that a person has named, by field or label.
fn wanted_agent(task: &Task) -> Option<String> {
    let label = |label: &String| label.trim().to_lowercase().strip_prefix("agent:").map(|name| name.trim().to_owned());
    task.spec.labels.iter().find_map(label).or_else(|| task.spec.agent.clone())
}
