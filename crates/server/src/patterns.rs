//! Answers how agents and models have performed.

use super::ApiState;
use super::error::ApiError;
use super::read::Params;
use super::recorded::known;
use super::tasks::task_in;
use axum::Json;
use axum::extract::State;
use orch_api::error::ErrorCode;
use orch_api::patterns::{PatternsView, Recommended, SampleView, SimilarView, StandingView};
use orch_api::queries::{PatternsQuery, SimilarQuery};
use orch_core::economics::recorded::{BadRecord, of_project, of_type};
use orch_core::economics::track_record::{Filter, Sample, recommended, standings};
use orch_core::tasks::task_type::TaskType;
use orch_engine::handle::View;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The most tasks like a text that are shown.
const SIMILAR: u32 = 5;
/// The most that are.
const MOST_SIMILAR: u32 = 50;

/// Returns the records of all agents and models.
pub async fn patterns(
    State(state): State<ApiState>,
    Params(wanted): Params<PatternsQuery>,
) -> Result<Json<PatternsView>, ApiError> {
    let view = state.engine.snapshot().await?;
    let mut samples = admitted(&state, &view, &Filter::default()).await?;
    let filter = filter(&wanted, &view, &samples)?;
    let total = samples.len() as u64;
    samples.retain(|sample| filter.admits(sample));
    let all = standings(&samples, view.now);
    let mut types: BTreeMap<String, Vec<&Sample>> = BTreeMap::new();
    for sample in &samples {
        types.entry(sample.task_type.to_string()).or_default().push(sample);
    }
    let rank = |samples: Vec<&Sample>| standings(samples, view.now).iter().map(StandingView::from).collect();
    Ok(Json(PatternsView {
        task_type: filter.task_type.map(|task_type| task_type.to_string()),
        project: filter.project,
        label: filter.label,
        samples: samples.len() as u64,
        total,
        recommended: recommended(&all).map(Recommended::from),
        rows: all.iter().map(StandingView::from).collect(),
        by_type: types.into_iter().map(|(task_type, samples)| (task_type, rank(samples))).collect(),
    }))
}

/// The samples themselves.
pub async fn samples(
    State(state): State<ApiState>,
    Params(wanted): Params<PatternsQuery>,
) -> Result<Json<Vec<SampleView>>, ApiError> {
    let view = state.engine.snapshot().await?;
    let samples = admitted(&state, &view, &Filter::default()).await?;
    let filter = filter(&wanted, &view, &samples)?;
    let samples = samples.into_iter().filter(|sample| filter.admits(sample));
    Ok(Json(samples.map(SampleView::from).collect()))
}

/// Returns tasks that are like a text.
pub async fn similar(
    State(state): State<ApiState>,
    Params(like): Params<SimilarQuery>,
) -> Result<Json<Vec<SimilarView>>, ApiError> {
    let view = state.engine.snapshot().await?;
    let limit = like.limit.unwrap_or(SIMILAR).min(MOST_SIMILAR);
    likest(&state, &view, like.text, limit).await.map(Json)
}

/// The tasks that are most like a text, and how they went.
pub(super) async fn likest(
    state: &ApiState,
    view: &View,
    text: String,
    limit: u32,
) -> Result<Vec<SimilarView>, ApiError> {
    let found = state.engine.tasks_like(text, limit).await?;
    let samples = state.engine.samples().await?;
    let mut similar = Vec::with_capacity(found.len());
    for id in found {
        let task = task_in(view, state, id).await?;
        let of_task: Vec<&Sample> = samples.iter().filter(|sample| sample.source.task() == Some(id)).collect();
        let last = of_task.last();
        similar.push(SimilarView {
            task_id: id,
            title: task.spec.title.clone(),
            status: task.status(),
            agent: last.map(|sample| sample.agent.clone()),
            model: last.and_then(|sample| sample.model.clone()),
            runs: of_task.len() as u64,
            accepted: last.map(|sample| sample.is_accepted()),
            cost_usd: task.cost,
        });
    }
    Ok(similar)
}

/// What is asked for, where it can be: a type or a project that is unknown here would find nothing and say that nothing
/// was done.
fn filter(wanted: &PatternsQuery, view: &View, samples: &[Sample]) -> Result<Filter, ApiError> {
    let mut known = known(view, samples);
    // A repository that is no longer registered has its samples all the same.
    let is_registered = |dir: &PathBuf| view.projects.iter().any(|project| project.dir == *dir);
    let left: BTreeSet<PathBuf> = samples.iter().filter_map(|sample| sample.project.clone()).collect();
    let left = left.into_iter().filter(|dir| !is_registered(dir));
    known.projects.extend(left.map(|dir| (dir.to_string_lossy().into_owned(), dir)));
    let refused = |bad: BadRecord| ApiError::new(ErrorCode::Usage, bad.to_string(), Some(&bad.hint()));
    let task_type = wanted.task_type.as_deref().map(|word| of_type(word, &known)).transpose().map_err(refused)?;
    let project = wanted.project.as_deref().map(|word| of_project(word, &known)).transpose().map_err(refused)?;
    Ok(Filter { task_type: task_type.as_deref().map(TaskType::parse), project, label: wanted.label.clone() })
}

/// The samples that count, each with its project.
pub(super) async fn admitted(state: &ApiState, view: &View, filter: &Filter) -> Result<Vec<Sample>, ApiError> {
    let mut samples = state.engine.samples().await?;
    if let Some(only) = view.only_project() {
        for sample in samples.iter_mut().filter(|sample| sample.project.is_none()) {
            sample.project = Some(only.to_owned());
        }
    }
    samples.retain(|sample| filter.admits(sample));
    Ok(samples)
}
