//! Answers what a task that does not exist yet would get. Asks the router; changes nothing.

use super::ApiState;
use super::error::ApiError;
use super::patterns::{admitted, likest};
use super::read::Body;
use super::task_warnings::label_warnings;
use axum::Json;
use axum::extract::State;
use orch_api::patterns::{Recommended, StandingView};
use orch_api::route::{ModelSourceView, ResolvedView, RouteQuestion, RouteView, TrackRecordView};
use orch_config::Config;
use orch_core::base::time::to_the_second;
use orch_core::economics::forecast::{Kind, outlook};
use orch_core::economics::track_record::{Filter, Sample, Worker, recommended, standings};
use orch_core::models::agent_model::{Chosen, Misfit, Named};
use orch_core::models::catalog::Catalog;
use orch_core::models::provider_access::ProviderAccess;
use orch_core::models::resolve::{Needs, Records, Resolver};
use orch_core::planning::plan::{Cooldown, directory};
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::{FileState, Spec, Task};
use orch_core::tasks::task_type::TaskType;
use orch_engine::Expected;
use orch_engine::handle::View;
use std::path::PathBuf;

/// The most similar tasks that are shown.
const SIMILAR: u32 = 3;

/// The route, and all that speaks for and against it.
pub async fn ask(State(state): State<ApiState>, Body(asked): Body<RouteQuestion>) -> Result<Json<RouteView>, ApiError> {
    let RouteQuestion { title, body, labels, dir } = asked;
    let spec = Spec { title, body, labels, dir, ..Spec::default() };
    let route = state.engine.try_route_of(spec.clone()).await?;
    let view = state.engine.snapshot().await?;
    let task = Task::new(orch_core::base::ids::TaskId(u64::MAX), spec, FileState::Pending, view.now);
    let dirs: Vec<PathBuf> = view.projects.iter().map(|project| project.dir.clone()).collect();
    let place = directory(&task, &dirs).map(std::borrow::ToOwned::to_owned);
    let expected = state.engine.expected(&task, &route).await?;
    let kind = Kind {
        project: place.as_ref().ok().cloned(),
        task_type: TaskType::from_spec(&task.spec),
        complexity: route.complexity,
        worker: worker(&route, &expected),
    };
    let waits = expected.cooldown.as_ref().map(|cooldown| describe_cooldown(&route.agent, cooldown));
    let warnings = label_warnings(&task.spec.labels, &view.settings.config)
        .into_iter()
        .chain(place.err())
        .chain(expected.spent.clone().map(spent))
        .chain(waits);
    let samples = admitted(&state, &view, &Filter::default()).await?;
    Ok(Json(RouteView {
        title: task.spec.title.clone(),
        task_type: kind.task_type.to_string(),
        project: kind.project.clone(),
        resolver: resolved(&route, &expected, &task, &view),
        route: (&route).into(),
        record: record(&kind, &samples, &view),
        similar: likest(&state, &view, format!("{}\n{}", task.spec.title, task.spec.body), SIMILAR).await?,
        cost: outlook(&kind, &samples).into(),
        warnings: warnings.collect(),
    }))
}

/// No run would begin for want of money.
fn spent(question: String) -> String {
    format!("no run would begin now: {question}")
}

/// A run would wait for a provider that failed.
fn describe_cooldown(agent: &str, cooldown: &Cooldown) -> String {
    let until = to_the_second(cooldown.until);
    format!(
        "a run of {agent} would wait now: {}; until {until}, unless another of its chain takes it over",
        cooldown.detail
    )
}

/// Returns the catalog entry of the model of a run. An agent's CLI may know more names than the catalog.
fn resolved(route: &RouteResult, expected: &Expected, task: &Task, view: &View) -> ResolvedView {
    let agent = &route.agent;
    let config = view.settings.for_task(task, &view.projects);
    let found = match (&expected.path.chosen().reference, &expected.named) {
        (Some(model), Ok(Chosen::Named(named))) => {
            ResolvedView { given: Some(named.name.clone()), ..resolved_as(named, route, model, &config) }
        }
        (_, Err(Misfit { reason, hint, .. })) => ResolvedView::none(format!("no run would begin: {reason}; {hint}")),
        (_, Ok(Chosen::OwnDefault(Some(why)))) => {
            ResolvedView::none(format!("no model is asked for: {agent} takes its own default, because {why}"))
        }
        (None, Ok(_)) | (Some(_), Ok(Chosen::OwnDefault(None))) => {
            ResolvedView::none(format!("no model is asked for: {agent} takes its own default"))
        }
    };
    let found = ResolvedView { sources: expected.path.steps().iter().map(ModelSourceView::from).collect(), ..found };
    match &expected.path.chosen().reason {
        Some(why) => ResolvedView { reason: format!("{why}; {}", found.reason), ..found },
        None => found,
    }
}

/// The agent and the model, by the name under which runs are recorded: that which the agent's program is given.
fn worker(route: &RouteResult, expected: &Expected) -> Worker {
    let model = match &expected.named {
        Ok(Chosen::Named(named)) => Some(named.name.clone()),
        Ok(Chosen::OwnDefault(_)) => None,
        Err(_) => expected.path.chosen().reference.clone(),
    };
    Worker { agent: route.agent.clone(), model }
}

/// The model that the program would be given, with its catalog entry.
fn resolved_as(named: &Named, route: &RouteResult, asked: &str, config: &Config) -> ResolvedView {
    let given = (named.name != asked).then(|| format!("{} is given {}", route.agent, named.name));
    let odd = named.warnings.iter().cloned();
    let with = |reason: &str| {
        let all: Vec<String> = [reason.to_owned()].into_iter().chain(given.clone()).chain(odd.clone()).collect();
        all.join("; ")
    };
    let catalog = Catalog::with(&config.model_additions());
    let Some(id) = &named.model else {
        return ResolvedView::none(with(&format!("{} is left to {}", named.name, route.agent)));
    };
    // The model is found: the catalog says only why it is called so.
    let (usability, records) = (ProviderAccess::default(), Records::default());
    let selection = &config.model_selection.0;
    let resolver = Resolver { catalog: &catalog, usability: &usability, selection, records: &records };
    let found = resolver.resolve(asked, &Needs::default()).ok().filter(|found| found.model.id == *id);
    let reason = named.reason.clone().or_else(|| found.map(|found| found.reason));
    let reason = with(&reason.unwrap_or_else(|| format!("{asked} is asked for")));
    match catalog.model(id) {
        Some(model) => ResolvedView::new(model, &reason),
        None => ResolvedView::none(reason),
    }
}

fn record(kind: &Kind, samples: &[Sample], view: &View) -> TrackRecordView {
    let of_type: Vec<&Sample> = samples.iter().filter(|sample| sample.task_type == kind.task_type).collect();
    let all = standings(of_type.iter().copied(), view.now);
    TrackRecordView {
        samples: of_type.len() as u64,
        chosen: all.iter().find(|standing| standing.worker == kind.worker).map(StandingView::from),
        recommended: recommended(&all).map(Recommended::from),
    }
}
