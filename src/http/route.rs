//! What a task that there is not would get. Asks the router, changes nothing.

use super::ApiState;
use super::error::ApiError;
use super::patterns::{admitted, likest};
use super::read::Body;
use crate::api::patterns::{Recommended, StandingView};
use crate::api::route::{ResolvedView, RouteQuestion, RouteView, TrackRecordView};
use crate::config::Config;
use crate::domain::catalog::Catalog;
use crate::domain::forecast::{Kind, outlook};
use crate::domain::plan::directory;
use crate::domain::resolve::{Needs, Records, Resolver};
use crate::domain::route::RouteResult;
use crate::domain::task::{FileState, Spec, Task};
use crate::domain::task_type::TaskType;
use crate::domain::track_record::{Filter, Sample, Worker, recommended, standings};
use crate::domain::usability::Usability;
use crate::engine::handle::View;
use axum::Json;
use axum::extract::State;
use std::path::PathBuf;

/// So many tasks are told that are like it.
const SIMILAR: u32 = 3;

/// The route, and all that speaks for and against it.
pub async fn ask(State(state): State<ApiState>, Body(asked): Body<RouteQuestion>) -> Result<Json<RouteView>, ApiError> {
    let RouteQuestion { title, body, labels, dir } = asked;
    let spec = Spec { title, body, labels, dir, ..Spec::default() };
    let route = state.engine.try_route_of(spec.clone()).await?;
    let view = state.engine.look().await?;
    let task = Task::new(crate::domain::ids::TaskId(u64::MAX), spec, FileState::Pending, view.now);
    let dirs: Vec<PathBuf> = view.projects.iter().map(|project| project.dir.clone()).collect();
    let place = directory(&task, &dirs).map(std::borrow::ToOwned::to_owned);
    let kind = Kind {
        project: place.as_ref().ok().cloned(),
        task_type: TaskType::of(&task.spec),
        complexity: route.complexity,
        worker: Worker { agent: route.agent.clone(), model: route.model.clone() },
    };
    let samples = admitted(&state, &view, &Filter::default()).await?;
    Ok(Json(RouteView {
        title: task.spec.title.clone(),
        task_type: kind.task_type.to_string(),
        project: kind.project.clone(),
        resolver: resolved(&route, &view.settings.for_task(&task, &view.projects)),
        route,
        record: record(&kind, &samples, &view),
        similar: likest(&state, &view, format!("{}\n{}", task.spec.title, task.spec.body), SIMILAR).await?,
        cost: outlook(&kind, &samples).into(),
        warnings: place.err().into_iter().collect(),
    }))
}

/// What the catalog says of the route's model. An agent's CLI may know more names than the catalog.
fn resolved(route: &RouteResult, config: &Config) -> ResolvedView {
    let Some(model) = &route.model else {
        return ResolvedView::none(format!("no model is asked for: {} takes its own default", route.agent));
    };
    let catalog = Catalog::with(&config.model_additions());
    // A model that is named is taken from all providers; what can be used decides between equal names only.
    let (usability, records) = (Usability::default(), Records::default());
    let selection = &config.model_selection.0;
    let resolver = Resolver { catalog: &catalog, usability: &usability, selection, records: &records };
    match resolver.resolve(model, &Needs::default()) {
        Ok(found) => ResolvedView::of(found.model, &found.reason),
        Err(error) => ResolvedView::none(error.to_string()),
    }
}

fn record(kind: &Kind, samples: &[Sample], view: &View) -> TrackRecordView {
    let of_type: Vec<&Sample> = samples.iter().filter(|sample| sample.task_type == kind.task_type).collect();
    let all = standings(of_type.iter().copied(), view.now);
    TrackRecordView {
        samples: of_type.len() as u64,
        chosen: all.iter().find(|standing| standing.worker == kind.worker).map(StandingView::of),
        recommended: recommended(&all).map(Recommended::of),
    }
}
