//! A start that breaks, while the run itself may have started: by an engine before this one, or by this one before it
//! broke. No agent works unseen: its run is taken over, or ended, or marked so that no engine starts it any more.

use crate::deps::Deps;
use crate::deps::job_key::JobKey;
use crate::deps::obstacle::PATIENCE;
use crate::deps::task_context::TaskContext;
use crate::job::report::Report;
use crate::launch;
use crate::launch::run_start::Started;
use crate::launch::session::{SESSION_FILE, prepared};
use crate::launch::{question, review_run, starting_point};
use crate::settings::settling::UPGRADE;
use crate::settings::{Settings, frozen};
use futures::FutureExt;
use orch_core::base::external::{ExternalFailure, How, StepProblem};
use orch_core::models::agents::Stdin;
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::message::Message;
use orch_core::tasks::outcome::{Failure, FailureClass, RunKind};
use orch_core::tasks::task::{Run, Workplace};
use orch_runner::RunDir;
use orch_sys::fs;
use orch_sys::git::Head;
use orch_sys::process::sweep;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// How often a start is tried that breaks in an unforeseen way.
const TRIES: usize = 2;
/// What is left of a run that cannot be taken over has so long to end.
const GRACE: Duration = Duration::from_secs(2);

/// Starts a run, however long the system is in the way of that, and whatever breaks.
pub async fn start(cx: &TaskContext, run: &Run, said: &[Message]) -> Report {
    let TaskContext { deps, settings, task, .. } = cx;
    let attempt = || async {
        let mut patience = deps.obstacles.patience(&*deps.clock, &JobKey::Start(run.id.clone()), Some(task.id));
        loop {
            let started = match run.kind {
                RunKind::Work => launch::start_work(cx, run, said.to_vec()).await,
                RunKind::Review => review_run::start(cx, run).await,
                RunKind::Route => question::start(cx, run).await,
            };
            let is_again = match &started {
                Err(LaunchProblem::Ask(question)) => patience.is_again(&StepProblem::Ask(question.clone())).await,
                Err(LaunchProblem::External(failure)) => patience.outlasts(failure, PATIENCE).await,
                Err(LaunchProblem::BaseAway(failure)) => patience.outlasts(failure, Duration::MAX).await,
                Err(LaunchProblem::Failed(failure)) if is_upgraded(settings, run, failure) => {
                    let away = ExternalFailure::new(How::NotStarted, &failure.detail);
                    patience.outlasts(&away, UPGRADE).await
                }
                Err(
                    LaunchProblem::MissingDir(_)
                    | LaunchProblem::Setup(_)
                    | LaunchProblem::PutBack(_)
                    | LaunchProblem::Failed(_),
                )
                | Ok(_) => false,
            };
            if !is_again {
                break started;
            }
        }
    };
    let started = match tried(attempt).await {
        Ok(started) => started,
        Err(problem) => match taken_over(cx, run).await {
            Some(started) => started,
            None => return Report::NotStarted { run: run.id.clone(), problem },
        },
    };
    Report::Started {
        run: run.id.clone(),
        place: started.place,
        session_id: started.session_id,
        live: deps.run_dir(&run.id).read_launch().is_ok_and(|launch| launch.spec.stdin == Stdin::Live),
        at: deps.clock.now(),
    }
}

/// Returns whether the program of an agent is missing that was there a moment ago, as it is during an upgrade.
fn is_upgraded(settings: &Settings, run: &Run, failure: &Failure) -> bool {
    failure.class == FailureClass::AgentMissing && settings.installed.contains(&run.agent)
}

/// Tries a start; once more when it breaks in an unforeseen way. What it made is found again.
async fn tried<F>(attempt: impl Fn() -> F) -> Result<Started, LaunchProblem>
where
    F: Future<Output = Result<Started, LaunchProblem>>,
{
    let mut broke = String::new();
    for _ in 0..TRIES {
        match AssertUnwindSafe(attempt()).catch_unwind().await {
            Ok(started) => return started,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                broke = text.unwrap_or_else(|| "a panic".to_owned());
                tracing::error!(error = broke, "a start broke");
            }
        }
    }
    Err(LaunchProblem::Ask(format!("orch itself failed here ({broke}); the log has more")))
}

/// Returns the run of a start that failed, when a runner has it all the same. `None`: nothing of it runs, and nothing
/// will.
async fn taken_over(cx: &TaskContext, run: &Run) -> Option<Started> {
    let deps = &cx.deps;
    let dir = deps.run_dir(&run.id);
    let voided = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || orch_runner::void(&dir)).await
    };
    if matches!(voided, Ok(Ok(true))) {
        close(deps, &dir).await;
        return None;
    }
    let found = match (run.kind, prepared(&dir)) {
        (RunKind::Route | RunKind::Review, _) => Some(Started { place: None, session_id: None }),
        (RunKind::Work, Ok(Some(started))) => Some(started),
        (RunKind::Work, Ok(None) | Err(_)) => workplace(cx, &dir).await,
    };
    if let Some(started) = found {
        tracing::warn!(run = %run.id, "its start broke, and a runner has it: it is taken over");
        return Some(started);
    }
    let name = run.id.clone();
    let swept = tokio::task::spawn_blocking(move || sweep(name.as_str(), GRACE)).await;
    tracing::error!(run = %run.id, ?swept, "it could not be taken over, and was ended");
    close(deps, &dir).await;
    None
}

/// Returns where a run works, as its launch and its worktree show.
async fn workplace(cx: &TaskContext, dir: &RunDir) -> Option<Started> {
    let worktree = dir.read_launch().ok()?.spec.cwd;
    if let Some(place) = cx.task.place.as_deref().filter(|place| place.worktree == worktree) {
        return Some(Started { place: Some(place.clone()), session_id: None });
    }
    let repo = cx.deps.repository(&cx.dir().ok()?).await.ok()?;
    let checkout = repo.open_worktree(&worktree).ok()??;
    let Head::Branch { name, .. } = repo.head_of(&checkout).await.ok()? else { return None };
    let config = cx.config();
    let base = repo.default_branch(config.workflow.base_branch.as_deref()).await.ok()?;
    let start = starting_point::recorded(dir).unwrap_or_default();
    let from = match &start.commit {
        Some(commit) => commit.clone(),
        None => repo.merge_base(&name.full_ref(), &base.full_ref()).await.ok()??,
    };
    let (branch, base_branch) = (name.as_str().to_owned(), base.as_str().to_owned());
    Some(Started {
        place: Some(Workplace {
            branch,
            worktree,
            base_branch,
            base: from,
            began_from: start.began_from,
            terms: Some(Box::new(frozen::terms(&config))),
        }),
        session_id: None,
    })
}

/// Closes the run's session, with a runner that waits in it.
async fn close(deps: &Deps, dir: &RunDir) {
    let Ok(name) = fs::read_text(&dir.path().join(SESSION_FILE), 4096) else { return };
    if let Err(error) = deps.tmux.kill_session(name.trim()).await {
        tracing::warn!(session = name, %error, "a session that is not needed could not be closed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn started() -> Result<Started, LaunchProblem> {
        Ok(Started { place: None, session_id: Some("a".to_owned()) })
    }

    #[tokio::test]
    async fn a_start_that_breaks_is_tried_once_more_and_then_a_person_is_asked() {
        let count = Cell::new(0);
        let breaks = |times: usize| {
            count.set(0);
            let count = &count;
            move || async move {
                count.set(count.get() + 1);
                assert!(count.get() > times, "nobody foresaw this");
                started()
            }
        };
        assert!(tried(breaks(1)).await.is_ok_and(|started| started.session_id.is_some()));
        assert_eq!(count.get(), 2);
        let Err(LaunchProblem::Ask(question)) = tried(breaks(9)).await else { panic!("it never starts") };
        assert!(question.contains("nobody foresaw this") && count.get() == TRIES, "{question}");
    }
}
