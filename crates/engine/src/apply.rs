//! Jobs: everything slow that the loop starts and that reports back. Each may be done twice without harm, because its
//! names are computed from the task and the run. Nothing is decided here.

use crate::deps::Deps;
use crate::deps::job_key::JobKey;
use crate::deps::task_context::TaskContext;
use crate::error::EngineError;
use crate::files::jobs_file;
use crate::files::jobs_file::Change as JobChange;
use crate::integrate::integration_job;
use crate::job::Job;
use crate::job::report::Report;
use crate::launch::{hidden, prompt_inputs, question, start_recovery};
use crate::planning::touched;
use crate::recurring::job_command;
use crate::settings::Settings;
use crate::upkeep::gc;
use crate::verify::ending::Seen;
use crate::verify::{difference, ending, overruled, tryout};
use crate::{upkeep, verify};
use orch_core::base::external::StepProblem;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::operations::job::Firing;
use orch_core::prompts::prompt::{message_prompt, nudge_prompt};
use orch_core::tasks::delegation::DelegationContext;
use orch_core::tasks::judge::Verdict;
use orch_core::tasks::message::{Author, Message};
use orch_core::tasks::outcome::Usage;
use orch_core::tasks::task::Run;
use orch_runner::{Handed, RunReport};
use orch_store::journal::Project;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Job {
    /// Carries the job out and returns its report.
    pub async fn run(self, deps: &Arc<Deps>, settings: &Arc<Settings>, projects: &[Project]) -> Report {
        let about = |task| TaskContext {
            deps: Arc::clone(deps),
            settings: Arc::clone(settings),
            projects: projects.to_vec(),
            task,
        };
        match self {
            Self::Poll { runs, listen, seen } => poll_runs(deps, settings, runs, listen, seen).await,
            Self::ReadFiles { known } => {
                let (deps, settings) = (Arc::clone(deps), Arc::clone(settings));
                let projects = projects.to_vec();
                blocking(move || {
                    Report::Files(Box::new(crate::files::file_job::read(&deps, known, &settings, &projects)))
                })
                .await
            }
            Self::ReadOn { known, doc, rest } => {
                blocking(move || Report::Files(Box::new(crate::files::file_job::read_on(known, *doc, rest)))).await
            }
            Self::WriteFile { order } => {
                let deps = Arc::clone(deps);
                blocking(move || Report::Written(Box::new(crate::files::file_job::write(&deps, order)))).await
            }
            Self::Start { task, run, said } => start_recovery::start(&about(task), &run, &said).await,
            Self::HandOver { run, message, project } => hand_over(deps, run, message, project).await,
            Self::Stop { run, reason } => {
                let dir = deps.run_dir(&run);
                blocking(move || match dir.request_stop(reason) {
                    Ok(()) => Report::Nothing,
                    Err(error) => Report::Broken(error.to_string()),
                })
                .await
            }
            Self::ClearReview { dir, run } => {
                crate::launch::review_run::clear(deps, &dir, &run).await;
                Report::Nothing
            }
            Self::Judge { task, standing, run } => judge(&about(task), &standing, run).await,
            Self::Integrate { task, run } => integration_job::integrate(&about(task), run).await,
            Self::Sidecars { tasks } => {
                let deps = Arc::clone(deps);
                blocking(move || {
                    crate::upkeep::sidecar::write(&deps, &tasks);
                    Report::Nothing
                })
                .await
            }
            Self::Retain { open, is_due, is_idle } => {
                let (deps, limits) = (Arc::clone(deps), settings.config.retention.clone());
                blocking(move || {
                    upkeep::retain(&deps, &limits, &open, is_due, is_idle);
                    Report::Nothing
                })
                .await
            }
            Self::Index { runs } => {
                let deps = Arc::clone(deps);
                blocking(move || {
                    upkeep::index(&deps, runs.as_deref());
                    Report::Nothing
                })
                .await
            }
            Self::Collect { wish } => Report::Collected(Box::new(gc::collect(deps, settings, projects, wish).await)),
            Self::ChangeJobs { change } => change_jobs(deps, *change).await,
            Self::RunCommand { firing } => run_command(deps, settings, projects, &firing).await,
            Self::TryRoute { task, run, obstacle, reply } => {
                let result = question::try_route(&about(task), &run, obstacle).await;
                reply.send(result.map_err(|message| EngineError::Invalid { message, hint: None }));
                Report::Nothing
            }
            Self::ReadChanges { tasks } => Report::Touched(touched::touched(deps, projects, &tasks).await),
            Self::TryChecks { dir, run, reply } => {
                reply.send(tryout::checks(deps, settings, &dir, &run).await);
                Report::Nothing
            }
            Self::Compare { task, with_patch, reply, .. } => {
                reply.send(difference::compare(&about(task), with_patch).await);
                Report::Nothing
            }
        }
    }
}

/// Runs something that blocks beside the runtime.
pub async fn blocking(work: impl FnOnce() -> Report + Send + 'static) -> Report {
    match tokio::task::spawn_blocking(work).await {
        Ok(report) => report,
        Err(error) => Report::Broken(error.to_string()),
    }
}

async fn judge(cx: &TaskContext, delegation: &DelegationContext, run: RunId) -> Report {
    let deps = &cx.deps;
    let mut patience = deps.obstacles.patience(&*deps.clock, &JobKey::Judge(run.clone()), Some(cx.task.id));
    let judged = loop {
        let problem = match verify::judge(cx, delegation, &run).await {
            Ok(judgement) => break Ok(judgement),
            Err(problem) => problem,
        };
        if !patience.is_again(&problem).await {
            break Err(problem);
        }
    };
    let verify::Judgement { verdict, evidence, reviewers } = match judged {
        Ok(judgement) => judgement,
        Err(StepProblem::Ask(question)) => verify::Judgement::asking(question),
        Err(StepProblem::External(failure)) => return Report::NotJudged { run, failure },
    };
    let record = if let Verdict::Fail(failure) = &verdict { overruled(deps, &run, failure) } else { None };
    Report::Judged { run, verdict, evidence: Box::new(evidence), reviewers, record }
}

async fn hand_over(deps: &Arc<Deps>, run: RunId, message: Message, project: Option<String>) -> Report {
    let deps = Arc::clone(deps);
    blocking(move || {
        let rendered = match prompt_inputs::templates(&deps.home, project.as_deref()) {
            Ok(templates) => match message.from {
                Author::Person => message_prompt(&[&message.text], "", &templates),
                Author::Orch => nudge_prompt(message.task, &message.text, &templates),
            },
            Err(error) => return Report::Broken(error),
        };
        let handed = Handed { id: message.id, from: message.from, text: message.text, rendered };
        match deps.run_dir(&run).hand_over(&handed) {
            Ok(()) => Report::Nothing,
            Err(error) => Report::Broken(error.to_string()),
        }
    })
    .await
}

/// Reads which runs ended and what their agents received; a run whose runner died is brought to its end. What was hidden from
/// the agents of ended runs is back when this returns.
async fn poll_runs(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    runs: Vec<RunId>,
    listen: BTreeSet<TaskId>,
    seen: Seen,
) -> Report {
    let (at, with) = (Arc::clone(deps), Arc::clone(settings));
    let polled = blocking(move || {
        let (mut heard, mut health, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for run in runs {
            health.extend(ending::news(&at, &run, &seen));
            let over = ending::ended(&at, &with, &run).unwrap_or_else(|failure| {
                // Nothing is known of it: it is polled again.
                tracing::warn!(%run, %failure, "the state of a run cannot be read now");
                None
            });
            // After the end: then no receipt comes any more.
            if run.task().is_some_and(|task| listen.contains(&task)) {
                let receipts = at.run_dir(&run).receipts();
                heard.extend(receipts.into_iter().map(|receipt| (run.clone(), receipt.id)));
            }
            if let Some(mut over) = over {
                if over.report.ending.usage_is_thread_total {
                    over.report.ending.usage = own_usage(&at, &run, &over.report);
                }
                ended.push((run, over));
            }
        }
        Report::Polled { heard, health, ended }
    })
    .await;
    if let Report::Polled { ended, .. } = &polled {
        for (run, _) in ended {
            if let Err(error) = hidden::reveal(deps, &deps.run_dir(run)).await {
                // The judge of the run tries it again.
                tracing::warn!(%run, error, "files that were hidden from the agent are not back");
            }
        }
    }
    polled
}

/// Returns what a run used itself, when its CLI counts over the whole conversation. Blocking.
fn own_usage(deps: &Deps, run: &RunId, report: &RunReport) -> Usage {
    let total = report.ending.usage;
    let runs = run.task().map(|task| deps.journal.runs_of(task)).and_then(Result::ok).unwrap_or_default();
    let same = |r: &&Run| r.id != *run && r.session_id.is_some() && r.session_id == report.ending.session_id;
    let earlier = runs.iter().filter(same).map(|r| r.usage).fold(Usage::default(), Usage::plus);
    total.since(earlier)
}

/// Changes `jobs.yml` as a person asks.
async fn change_jobs(deps: &Arc<Deps>, change: JobChange) -> Report {
    let deps = Arc::clone(deps);
    blocking(move || Report::JobsChanged { result: Box::new(jobs_file::change(&deps, &change)) }).await
}

/// Runs the command of a job.
async fn run_command(deps: &Arc<Deps>, settings: &Arc<Settings>, projects: &[Project], firing: &Firing) -> Report {
    Report::CommandEnded { key: firing.key(), end: job_command::run(deps, settings, projects, firing).await }
}
