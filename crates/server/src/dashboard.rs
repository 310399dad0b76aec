//! Answers with everything that fits on one screen: what `orch status` shows, and what happens around it.

use super::ApiState;
use super::batches;
use super::error::ApiError;
use super::jobs::soonest;
use super::read::InPath;
use super::read::Params;
use super::status::{Shown, overview};
use super::tasks::{occupancy, task_in};
use axum::Json;
use axum::extract::State;
use orch_api::dashboard::{DashboardView, EndedView, HeldView, ProjectView};
use orch_api::queries::DashboardQuery;
use orch_core::planning::batch::BatchName;
use orch_core::planning::plan::{describe, directory};
use orch_core::tasks::hold::HoldReason;
use orch_engine::handle::View;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The number of tasks that are named of those that wait for the same.
const NAMED: usize = 20;
/// The most ends of runs that are shown.
const ENDS: usize = 8;
/// The number of runs that are searched for ends.
const LOOKED_THROUGH: u32 = 200;
/// The most times of jobs that are shown.
const UPCOMING: usize = 5;

/// Returns the state of everything.
pub async fn dashboard(
    State(state): State<ApiState>,
    Params(wanted): Params<DashboardQuery>,
) -> Result<Json<DashboardView>, ApiError> {
    let view = state.engine.snapshot().await?;
    let (shown, batch) = match &wanted.batch {
        None => (Shown::All, None),
        Some(name) => {
            let name = BatchName::read(name)?;
            let batch = batches::named(&state, &view, &name).await?;
            let batch_view = batches::view_of(&state, &view, &batch).await?;
            (Shown::Only(batch.tasks().collect::<BTreeSet<_>>()), Some(batch_view))
        }
    };
    let mut overview = overview(&state, &view, &shown).await?;
    if let Some(batch) = &batch {
        overview.status.counts = batch.counts.clone();
        overview.batches.retain(|open| open.name == batch.name);
    }
    Ok(Json(DashboardView {
        projects: projects(&view, &shown),
        held: held(&view, &shown),
        ended: ended(&state, &view, &shown).await?,
        upcoming: soonest(&state.engine.jobs().await?, None, UPCOMING),
        overview,
        batch,
    }))
}

fn projects(view: &View, shown: &Shown) -> Vec<ProjectView> {
    let dirs: Vec<PathBuf> = view.projects.iter().map(|project| project.dir.clone()).collect();
    let mut counts: BTreeMap<Option<usize>, BTreeMap<String, u64>> = BTreeMap::new();
    for task in view.tasks.values().filter(|task| shown.has(task.id) && !task.status().is_final()) {
        let at = directory(task, &dirs).ok().and_then(|dir| dirs.iter().position(|known| known == dir));
        *counts.entry(at).or_default().entry(task.status().as_str().to_owned()).or_default() += 1;
    }
    let views = counts.into_iter().map(|(at, counts)| {
        let project = at.and_then(|at| view.projects.get(at));
        let (name, dir) = (project.map(|project| project.name.clone()), project.map(|project| project.dir.clone()));
        ProjectView { name, dir, counts }
    });
    views.collect()
}

fn held(view: &View, shown: &Shown) -> Vec<HeldView> {
    let slots = occupancy(view);
    let mut held: BTreeMap<HoldReason, HeldView> = BTreeMap::new();
    for (id, hold) in view.plan.holds.iter().filter(|(id, _)| shown.has(*id)) {
        let Some(task) = view.tasks.get(id) else { continue };
        let group = held.entry(hold.reason).or_insert_with(|| HeldView {
            reason: hold.reason,
            count: 0,
            tasks: Vec::new(),
            detail: describe(hold, task, &|id| view.waited(id), &slots).detail,
            until: None,
        });
        group.count += 1;
        if group.tasks.len() < NAMED {
            group.tasks.push(*id);
        }
        group.until = [group.until, hold.until].into_iter().flatten().min();
    }
    let mut groups: Vec<HeldView> = held.into_values().collect();
    groups.sort_by_key(|group| (Reverse(group.count), group.tasks.first().copied()));
    groups
}

async fn ended(state: &ApiState, view: &View, shown: &Shown) -> Result<Vec<EndedView>, ApiError> {
    let mut ends: Vec<EndedView> = Vec::new();
    for run in state.engine.last_work_runs(LOOKED_THROUGH).await? {
        if ends.len() == ENDS {
            break;
        }
        let Some(ended_at) = run.ended_at.filter(|_| shown.has(run.task)) else { continue };
        if ends.iter().any(|known| known.task_id == run.task) {
            continue;
        }
        let task = task_in(view, state, run.task).await?;
        ends.push(EndedView {
            task_id: run.task,
            title: task.spec.title.clone(),
            status: task.status(),
            run_id: run.id,
            agent: run.agent,
            model: run.model,
            ended_at,
            cost_usd: run.cost,
        });
    }
    Ok(ends)
}
