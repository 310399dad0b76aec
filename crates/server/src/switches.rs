//! Pauses and resumes, shuts down, and lists the daemon's starts and ends.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::read::{Body, Params};
use axum::Json;
use axum::extract::State;
use orch_api::error::ErrorCode;
use orch_api::queries::HistoryQuery;
use orch_api::switches::{
    DepartureView, FateView, NewPause, PauseKind, PauseView, PausesView, ServiceEntryView, ShutdownOrder, ShutdownView,
    UnderWayView,
};
use orch_core::operations::pause::{Pause, PauseScope, PauseSelector};
use orch_core::operations::service::{Cause, Departure};
use orch_engine::handle::{Fate, UnderWay};

/// The usual number of starts and ends in an answer.
const USUAL: u32 = 100;
/// The longest name or reason that is taken, in characters.
const LONGEST: usize = 200;

type Answer<T> = Result<Json<T>, ApiError>;

/// Pauses everything, a project or an agent.
pub async fn pause(Caller(state): Caller, Body(new): Body<NewPause>) -> Answer<PausesView> {
    switch(&state, new, true).await
}

/// Unblocks a task.
pub async fn resume(Caller(state): Caller, Body(new): Body<NewPause>) -> Answer<PausesView> {
    switch(&state, new, false).await
}

async fn switch(state: &ApiState, new: NewPause, pauses: bool) -> Answer<PausesView> {
    let wanted = match (new.project, new.agent) {
        (None, None) if new.all => PauseSelector::Each,
        (None, None) => PauseSelector::All,
        (Some(project), None) => PauseSelector::Project(project),
        (None, Some(agent)) => PauseSelector::Agent(agent),
        (Some(_), Some(_)) => {
            let hint = "ask twice: once for the project, once for the agent";
            return Err(ApiError::new(ErrorCode::Usage, "a pause covers a project or an agent, not both", Some(hint)));
        }
    };
    let switched = state.engine.switch(wanted, pauses, short(new.by.as_deref().unwrap_or("somebody"))).await?;
    Ok(Json(PausesView { changed: switched.changed, paused: switched.pauses.iter().map(pause_view).collect() }))
}

/// Shuts the daemon down.
pub async fn shutdown(Caller(state): Caller, Body(order): Body<ShutdownOrder>) -> Answer<ShutdownView> {
    let why = short(order.why.as_deref().unwrap_or("asked over the API"));
    let departure = Departure::new(order.how, Cause::Command, why);
    let work = state.engine.shut_down(departure, order.dry_run).await?;
    Ok(Json(ShutdownView {
        how: order.how,
        dry_run: order.dry_run,
        version: state.process.version.clone(),
        pid: state.process.pid,
        under_way: work.into_iter().map(under_way).collect(),
    }))
}

/// The starts and ends of the daemon.
pub async fn history(
    State(state): State<ApiState>,
    Params(wanted): Params<HistoryQuery>,
) -> Answer<Vec<ServiceEntryView>> {
    Ok(Json(
        state.engine.service_history(wanted.limit.unwrap_or(USUAL)).await?.iter().map(ServiceEntryView::from).collect(),
    ))
}

/// Shortens a person's text to one line.
fn short(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(LONGEST).collect()
}

/// Converts a pause.
pub(super) fn pause_view(pause: &Pause) -> PauseView {
    let (scope, name, dir) = match &pause.scope {
        PauseScope::All => (PauseKind::All, None, None),
        PauseScope::Project { dir, name } => (PauseKind::Project, Some(name.clone()), Some(dir.clone())),
        PauseScope::Agent { name } => (PauseKind::Agent, Some(name.clone()), None),
    };
    let (by, description) = (pause.by.clone(), pause.describe());
    PauseView { scope, name, dir, since: pause.since, by, told: description.clone(), description }
}

/// Converts a departure.
pub(super) fn departure_view(departure: &Departure) -> DepartureView {
    DepartureView { how: departure.how, why: departure.why.clone() }
}

fn under_way(work: UnderWay) -> UnderWayView {
    let fate = match work.fate {
        Fate::GoesOn => FateView::GoesOn,
        Fate::Finished => FateView::Finished,
        Fate::Interrupted => FateView::Interrupted,
        Fate::Later => FateView::Later,
    };
    UnderWayView { task_id: work.task, run_id: work.run, agent: work.agent, fate }
}
