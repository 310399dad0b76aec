//! Lists, changes and fires jobs.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::read::{Body, InPath, Params, Segment};
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use orch_api::error::ErrorCode;
use orch_api::jobs::{FiringView, JobView, NewJob, UpcomingView};
use orch_api::queries::UpcomingQuery;
use orch_core::operations::job::{Firing, JobId, JobRecord, JobSpec, parse_span, title};
use orch_engine::handle::{JobChange, JobsOverview, Named};
use orch_engine::{Timer, timer_of};
use std::collections::BTreeMap;
use std::sync::Arc;

type Answer<T> = Result<Json<T>, ApiError>;

/// The most firings of one job that are shown.
const TOLD: u32 = 20;
/// The most future times of one job that are shown.
const MOST_UPCOMING: u32 = 1_000;

fn usage(message: impl Into<String>, hint: Option<&str>) -> ApiError {
    ApiError::new(ErrorCode::Usage, message, hint)
}

fn missing(id: &JobId) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("there is no job {id}"), Some("`orch job list` shows all jobs"))
}

/// When the job fires next, where a daemon runs.
fn next_of(record: &JobRecord, now: Timestamp) -> Option<Timestamp> {
    let timer = timer_of(record).ok().filter(|_| record.spec.enabled)?;
    timer.upcoming(record, now, 1).first().map(|(_, at)| *at)
}

fn view(state: &ApiState, look: &JobsOverview, record: &JobRecord, firings: &[Firing]) -> JobView {
    let busy = look.busy.contains(&record.spec.id);
    let firings = firings.iter().map(|firing| firing_view(state, firing)).collect();
    JobView::new(record, next_of(record, look.now), busy, firings)
}

fn firing_view(state: &ApiState, firing: &Firing) -> FiringView {
    FiringView::new(firing, state.engine.job_output(firing))
}

/// Lists all jobs, each with its last firing.
pub async fn list(State(state): State<ApiState>) -> Answer<Vec<JobView>> {
    let last = state.engine.last_firings().await?;
    let look = state.engine.jobs().await?;
    let mut last: BTreeMap<JobId, Firing> = last.into_iter().map(|firing| (firing.job.clone(), firing)).collect();
    let mut one = |record: &Arc<JobRecord>| {
        let last: Vec<Firing> = last.remove(&record.spec.id).into_iter().collect();
        view(&state, &look, record, &last)
    };
    Ok(Json(look.jobs.iter().map(&mut one).collect()))
}

/// Returns a job with its last firings.
pub async fn show(State(state): State<ApiState>, Segment(id): Segment<JobId>) -> Answer<JobView> {
    let look = state.engine.jobs().await?;
    let record = look.jobs.iter().find(|record| record.spec.id == id).ok_or_else(|| missing(&id))?;
    let firings = state.engine.firings(Some(id), TOLD).await?;
    Ok(Json(view(&state, &look, record, &firings)))
}

async fn changed(state: &ApiState, change: JobChange) -> Answer<JobView> {
    let record = state.engine.change_jobs(change).await?;
    let look = state.engine.jobs().await?;
    let firings = state.engine.firings(Some(record.spec.id.clone()), TOLD).await?;
    Ok(Json(view(state, &look, &record, &firings)))
}

/// Adds a recurring job.
pub async fn add(Caller(state): Caller, Body(new): Body<NewJob>) -> Answer<JobView> {
    let span = |text: &Option<String>, what: &str| {
        let read = text.as_deref().map(parse_span).transpose();
        read.map_err(|why| usage(format!("{:?} is no {what}: {why}", text.as_deref().unwrap_or_default()), None))
    };
    let (id, name) = match &new.id {
        Some(id) => (JobId::read(id)?, Named::Chosen),
        None if new.task.title.trim().is_empty() => (JobId::of_title(new.run.as_deref().unwrap_or("job")), Named::Made),
        None => (JobId::of_title(&new.task.title), Named::Made),
    };
    let spec = JobSpec {
        id,
        schedule: new.schedule.trim().to_owned(),
        tz: new.tz.clone(),
        run: new.run.clone(),
        timeout_seconds: span(&new.timeout, "timeout")?,
        enabled: !new.disabled,
        catch_up: new.catch_up.unwrap_or_default(),
        overlap: new.overlap,
        jitter_seconds: span(&new.jitter, "jitter")?.unwrap_or(0),
        task: new.task.into(),
    };
    changed(&state, JobChange::Add(Box::new(spec), name)).await
}

/// Enables a job.
pub async fn enable(Caller(state): Caller, Segment(id): Segment<JobId>) -> Answer<JobView> {
    changed(&state, JobChange::Enable(id, true)).await
}

/// Disables a job.
pub async fn disable(Caller(state): Caller, Segment(id): Segment<JobId>) -> Answer<JobView> {
    changed(&state, JobChange::Enable(id, false)).await
}

/// Removes a job from `jobs.yml`.
pub async fn remove(Caller(state): Caller, Segment(id): Segment<JobId>) -> Answer<JobView> {
    changed(&state, JobChange::Remove(id)).await
}

/// Fires a job now.
pub async fn run(Caller(state): Caller, Segment(id): Segment<JobId>) -> Answer<FiringView> {
    let firing = state.engine.run_job(id).await?;
    Ok(Json(firing_view(&state, &firing)))
}

/// Returns the next firings, in the order of time.
pub async fn upcoming(
    State(state): State<ApiState>,
    Params(wanted): Params<UpcomingQuery>,
) -> Answer<Vec<UpcomingView>> {
    let count = wanted.n.unwrap_or(10);
    if count > MOST_UPCOMING {
        return Err(usage(format!("{count} is more than the limit of {MOST_UPCOMING} times"), None));
    }
    let only = wanted.job.as_deref().map(JobId::read).transpose()?;
    let look = state.engine.jobs().await?;
    if let Some(id) = only.as_ref().filter(|id| look.jobs.iter().all(|record| record.spec.id != **id)) {
        return Err(missing(id));
    }
    Ok(Json(soonest(&look, only.as_ref(), count as usize)))
}

/// Returns the next times of one job, or of all.
pub(super) fn soonest(look: &JobsOverview, only: Option<&JobId>, count: usize) -> Vec<UpcomingView> {
    let all = look.jobs.iter().filter(|record| only.is_none_or(|id| record.spec.id == *id));
    let timers: Vec<(&JobRecord, Timer)> = all
        .filter(|record| record.spec.enabled)
        .filter_map(|record| Some((&**record, timer_of(record).ok()?)))
        .collect();
    // First one of each, so that ten thousand jobs are not asked for ten times each.
    let mut times: Vec<(Timestamp, Timestamp, usize)> = Vec::new();
    for (at, (record, timer)) in timers.iter().enumerate() {
        times.extend(timer.upcoming(record, look.now, 1).into_iter().map(|(due, fires)| (fires, due, at)));
    }
    times.sort_unstable();
    times.truncate(count);
    let first: Vec<usize> = times.iter().map(|(_, _, at)| *at).collect();
    for at in first {
        let (record, timer) = &timers[at];
        let more = timer.upcoming(record, look.now, count).into_iter().skip(1);
        times.extend(more.map(|(due, fires)| (fires, due, at)));
    }
    times.sort_unstable();
    times.truncate(count);
    times.into_iter().map(|(at, due, job)| upcoming_view(&timers[job], due, at)).collect()
}

fn upcoming_view((record, timer): &(&JobRecord, Timer), due: Timestamp, at: Timestamp) -> UpcomingView {
    let spec = &record.spec;
    let what = match &spec.run {
        Some(run) => run.clone(),
        None => title::fill(&spec.task.title, &spec.id, due, &timer.zone),
    };
    let local = at.to_zoned(timer.zone.clone()).strftime("%a %F %H:%M:%S %Z").to_string();
    UpcomingView { job: spec.id.clone(), due, at, local, what }
}
