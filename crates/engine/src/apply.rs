//! Jobs: everything slow that the loop starts and that reports back. Each may be done twice without harm, because its
//! names are computed from the task and the run. Nothing is decided here.

use super::deps::Deps;
use super::difference::Difference;
use super::file_job::{Known, Rest, WriteOrder};
use super::handle::EngineError;
use super::health::Seen;
use super::recurring::{self, Change as JobChange};
use super::reply::ReplySlot;
pub use super::report::Report;
use super::settings::Settings;
use super::{
    difference, ending, gc, health, hidden, integration_job, overlap, prompt_inputs, question, start_recovery, tryout,
    upkeep, verify,
};
use orch_core::delegation::DelegationContext;
use orch_core::evidence::Check;
use orch_core::external::StepProblem;
use orch_core::ids::{RunId, TaskId};
use orch_core::job::{Firing, FiringKey};
use orch_core::judge::Verdict;
use orch_core::message::{Author, Message, MessageId};
use orch_core::outcome::{Failure, Outcome, Usage};
use orch_core::prompt::{message_prompt, nudge_prompt};
use orch_core::route::RouteResult;
use orch_core::task::{Run, Task};
use orch_runner::{Handed, RunReport};
use orch_store::journal::Project;
use orch_store::tasks_file::TasksDoc;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What makes two jobs the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JobKey {
    /// Look at the runs.
    Look,
    /// Look at the home's files.
    ReadFiles,
    /// Write `tasks.yml`.
    WriteFile,
    /// Start a run.
    Start(RunId),
    /// Stop a run.
    Stop(RunId),
    /// Hand a message to a run.
    HandOver(RunId, MessageId),
    /// Throw the checkout of a review away.
    ClearReview(RunId),
    /// Weigh a run's result.
    Judge(RunId),
    /// Integrate a run's result.
    Integrate(RunId),
    /// Look at what a branch would change.
    Compare(RunId),
    /// Try a project's checks.
    TryChecks(RunId),
    /// Look at what running tasks have changed.
    LookAtFiles,
    /// Ask the router for a person.
    TryRoute(RunId),
    /// Write the sidecars of changed tasks.
    Sidecars,
    /// Pack and drop the output of runs that are over.
    Retain,
    /// Put runs that are over into the search index.
    Index,
    /// Remove worktrees whose work is elsewhere too.
    Collect,
    /// Change `jobs.yml` for a person.
    ChangeJobs,
    /// Run the command of a job.
    RunCommand(FiringKey),
}

/// A job.
#[derive(Debug)]
pub enum Job {
    /// See [`JobKey::Look`].
    Look {
        /// Runs that are under way.
        runs: Vec<RunId>,
        /// Tasks whose agents were told something.
        listen: BTreeSet<TaskId>,
        /// What is known of their health.
        seen: Seen,
    },
    /// See [`JobKey::ReadFiles`].
    ReadFiles {
        /// What was read last.
        known: Known,
    },
    /// The same, when all that is new in a large file is not taken over at once.
    ReadOn {
        /// What was read.
        known: Known,
        /// The document.
        doc: Box<TasksDoc>,
        /// What is still to be taken over of it.
        rest: Rest,
    },
    /// See [`JobKey::WriteFile`].
    WriteFile {
        /// What to write.
        order: WriteOrder,
    },
    /// See [`JobKey::Start`].
    Start {
        /// The task.
        task: Arc<Task>,
        /// The run.
        run: Box<Run>,
        /// What the person says in its prompt.
        said: Vec<Message>,
    },
    /// See [`JobKey::HandOver`].
    HandOver {
        /// The run.
        run: RunId,
        /// The message.
        message: Message,
        /// The project's name, for templates of its own.
        project: Option<String>,
    },
    /// See [`JobKey::Stop`].
    Stop {
        /// The run.
        run: RunId,
        /// For a person: who wants that.
        reason: &'static str,
    },
    /// See [`JobKey::ClearReview`].
    ClearReview {
        /// Its repository.
        dir: std::path::PathBuf,
        /// The review.
        run: RunId,
    },
    /// See [`JobKey::Judge`].
    Judge {
        /// The task.
        task: Arc<Task>,
        /// What its agent may hand on.
        standing: DelegationContext,
        /// The run.
        run: RunId,
    },
    /// See [`JobKey::Integrate`].
    Integrate {
        /// The task.
        task: Arc<Task>,
        /// The run.
        run: RunId,
    },
    /// See [`JobKey::Sidecars`].
    Sidecars {
        /// The tasks as they are now.
        tasks: Vec<Arc<Task>>,
    },
    /// See [`JobKey::Retain`].
    Retain {
        /// Tasks of which nothing may go.
        open: BTreeSet<TaskId>,
        /// To be done in any case.
        is_due: bool,
        /// Nothing runs.
        is_idle: bool,
    },
    /// See [`JobKey::Index`].
    Index {
        /// These, or all that are not in it.
        runs: Option<Vec<RunId>>,
    },
    /// See [`JobKey::Collect`].
    Collect {
        /// Who wants it, and how.
        wish: gc::Wish,
    },
    /// See [`JobKey::ChangeJobs`].
    ChangeJobs {
        /// What to change.
        change: Box<JobChange>,
    },
    /// See [`JobKey::RunCommand`].
    RunCommand {
        /// For which time of which job.
        firing: Box<Firing>,
    },
    /// See [`JobKey::TryRoute`].
    TryRoute {
        /// The task.
        task: Arc<Task>,
        /// A run that is not recorded.
        run: RunId,
        /// Why the router cannot be asked now.
        obstacle: Option<String>,
        /// Who asks.
        reply: ReplySlot<RouteResult>,
    },
    /// See [`JobKey::LookAtFiles`].
    LookAtFiles {
        /// The tasks.
        tasks: Vec<Arc<Task>>,
    },
    /// See [`JobKey::TryChecks`].
    TryChecks {
        /// The project's directory.
        dir: std::path::PathBuf,
        /// A run that is not recorded.
        run: RunId,
        /// Who asks.
        reply: ReplySlot<Vec<Check>>,
    },
    /// See [`JobKey::Compare`].
    Compare {
        /// The task.
        task: Arc<Task>,
        /// A run that is not recorded.
        run: RunId,
        /// Also the diff itself.
        with_patch: bool,
        /// Who asks.
        reply: ReplySlot<Difference>,
    },
}

impl Job {
    /// What makes it the same as another.
    pub fn key(&self) -> JobKey {
        match self {
            Self::Look { .. } => JobKey::Look,
            Self::ReadFiles { .. } | Self::ReadOn { .. } => JobKey::ReadFiles,
            Self::WriteFile { .. } => JobKey::WriteFile,
            Self::Start { run, .. } => JobKey::Start(run.id.clone()),
            Self::Stop { run, .. } => JobKey::Stop(run.clone()),
            Self::HandOver { run, message, .. } => JobKey::HandOver(run.clone(), message.id),
            Self::ClearReview { run, .. } => JobKey::ClearReview(run.clone()),
            Self::Judge { run, .. } => JobKey::Judge(run.clone()),
            Self::Integrate { run, .. } => JobKey::Integrate(run.clone()),
            Self::TryRoute { run, .. } => JobKey::TryRoute(run.clone()),
            Self::Compare { run, .. } => JobKey::Compare(run.clone()),
            Self::TryChecks { run, .. } => JobKey::TryChecks(run.clone()),
            Self::LookAtFiles { .. } => JobKey::LookAtFiles,
            Self::Sidecars { .. } => JobKey::Sidecars,
            Self::Retain { .. } => JobKey::Retain,
            Self::Index { .. } => JobKey::Index,
            Self::Collect { .. } => JobKey::Collect,
            Self::ChangeJobs { .. } => JobKey::ChangeJobs,
            Self::RunCommand { firing } => JobKey::RunCommand(firing.key()),
        }
    }

    /// Does it.
    pub async fn run(self, deps: &Arc<Deps>, settings: &Arc<Settings>, projects: &[Project]) -> Report {
        match self {
            Self::Look { runs, listen, seen } => look(deps, settings, runs, listen, seen).await,
            Self::ReadFiles { known } => {
                let (deps, settings) = (Arc::clone(deps), Arc::clone(settings));
                let projects = projects.to_vec();
                blocking(move || Report::Files(Box::new(super::file_job::read(&deps, known, &settings, &projects))))
                    .await
            }
            Self::ReadOn { known, doc, rest } => {
                blocking(move || Report::Files(Box::new(super::file_job::read_on(known, *doc, rest)))).await
            }
            Self::WriteFile { order } => {
                let deps = Arc::clone(deps);
                blocking(move || Report::Written(Box::new(super::file_job::write(&deps, order)))).await
            }
            Self::Start { task, run, said } => {
                start_recovery::start(deps, settings, projects, &task, &run, &said).await
            }
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
                super::review_run::clear(deps, &dir, &run).await;
                Report::Nothing
            }
            Self::Judge { task, standing, run } => judge(deps, settings, projects, (&task, &standing), run).await,
            Self::Integrate { task, run } => integration_job::integrate(deps, settings, projects, &task, run).await,
            Self::Sidecars { tasks } => {
                let deps = Arc::clone(deps);
                blocking(move || {
                    super::sidecar::write(&deps, &tasks);
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
            Self::ChangeJobs { change } => recurring::change(deps, *change).await,
            Self::RunCommand { firing } => recurring::run_command(deps, settings, projects, &firing).await,
            Self::TryRoute { task, run, obstacle, reply } => {
                let result = question::try_route(deps, settings, projects, (&task, &run), obstacle).await;
                reply.send(result.map_err(|message| EngineError::Invalid { message, hint: None }));
                Report::Nothing
            }
            Self::LookAtFiles { tasks } => Report::Touched(overlap::touched(deps, projects, &tasks).await),
            Self::TryChecks { dir, run, reply } => {
                reply.send(tryout::checks(deps, settings, &dir, &run).await);
                Report::Nothing
            }
            Self::Compare { task, with_patch, reply, .. } => {
                reply.send(difference::compare(deps, settings, projects, &task, with_patch).await);
                Report::Nothing
            }
        }
    }
}

/// The record of a run whose work orch did not accept.
pub(super) fn overruled(deps: &Deps, run: &RunId, failure: &Failure) -> Option<Box<Run>> {
    let mut record = deps.journal.run(run).ok().flatten()?;
    record.outcome = Some(Outcome::Failed(failure.clone()));
    Some(Box::new(record))
}

/// Runs something that blocks beside the runtime.
pub async fn blocking(work: impl FnOnce() -> Report + Send + 'static) -> Report {
    match tokio::task::spawn_blocking(work).await {
        Ok(report) => report,
        Err(error) => Report::Broken(error.to_string()),
    }
}

async fn judge(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    projects: &[Project],
    of: (&Arc<Task>, &DelegationContext),
    run: RunId,
) -> Report {
    let mut patience = deps.obstacles.patience(&*deps.clock, &JobKey::Judge(run.clone()), Some(of.0.id));
    let judged = loop {
        let problem = match verify::judge(deps, settings, projects, of, &run).await {
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
    let record = match &verdict {
        Verdict::Fail(failure) => overruled(deps, &run, failure),
        Verdict::Accept | Verdict::HandOn { .. } | Verdict::Ask { .. } => None,
    };
    Report::Judged { run, verdict, evidence: Box::new(evidence), reviewers, record }
}

async fn hand_over(deps: &Arc<Deps>, run: RunId, message: Message, project: Option<String>) -> Report {
    let deps = Arc::clone(deps);
    blocking(move || {
        let told = match prompt_inputs::templates(&deps.home, project.as_deref()) {
            Ok(templates) => match message.from {
                Author::Person => message_prompt(&[&message.text], "", &templates),
                Author::Orch => nudge_prompt(message.task, &message.text, &templates),
            },
            Err(error) => return Report::Broken(error),
        };
        let handed = Handed { id: message.id, from: message.from, text: message.text, rendered: told };
        match deps.run_dir(&run).hand_over(&handed) {
            Ok(()) => Report::Nothing,
            Err(error) => Report::Broken(error.to_string()),
        }
    })
    .await
}

/// Looks which runs ended and what their agents heard. What was hidden from those agents is back before anybody hears of it.
async fn look(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    runs: Vec<RunId>,
    listen: BTreeSet<TaskId>,
    seen: Seen,
) -> Report {
    let looked = look_at(deps, settings, runs, listen, seen).await;
    if let Report::Looked { ended, .. } = &looked {
        for (run, _) in ended {
            if let Err(error) = hidden::reveal(deps, &deps.run_dir(run)).await {
                // Whoever judges the run tries it again.
                tracing::warn!(%run, error, "files that were hidden from the agent are not back");
            }
        }
    }
    looked
}

/// Looks which runs ended and what their agents heard; a run whose runner died is brought to its end.
async fn look_at(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    runs: Vec<RunId>,
    listen: BTreeSet<TaskId>,
    seen: Seen,
) -> Report {
    let (deps, settings) = (Arc::clone(deps), Arc::clone(settings));
    blocking(move || {
        let (mut heard, mut health, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for run in runs {
            health.extend(health::news(&deps, &run, &seen));
            let over = ending::ended(&deps, &settings, &run).unwrap_or_else(|failure| {
                // Nothing is known of it: it is looked at again.
                tracing::warn!(%run, %failure, "how a run stands cannot be told now");
                None
            });
            // After the end: then no receipt comes any more.
            if run.task().is_some_and(|task| listen.contains(&task)) {
                let receipts = deps.run_dir(&run).receipts();
                heard.extend(receipts.into_iter().map(|receipt| (run.clone(), receipt.id)));
            }
            if let Some(mut over) = over {
                if over.report.ending.usage_is_thread_total {
                    over.report.ending.usage = own_usage(&deps, &run, &over.report);
                }
                ended.push((run, over));
            }
        }
        Report::Looked { heard, health, ended }
    })
    .await
}

/// What a run used itself, when its CLI counts over the whole conversation. Blocking.
fn own_usage(deps: &Deps, run: &RunId, report: &RunReport) -> Usage {
    let total = report.ending.usage;
    let runs = run.task().map(|task| deps.journal.runs_of(task)).and_then(Result::ok).unwrap_or_default();
    let same = |r: &&Run| r.id != *run && r.session_id.is_some() && r.session_id == report.ending.session_id;
    let earlier = runs.iter().filter(same).map(|r| r.usage).fold(Usage::default(), Usage::plus);
    total.since(earlier)
}
