//! Jobs: everything slow that the loop starts and that reports back. Each may be done twice without harm, because its
//! names are computed from the task and the run. Nothing is decided here.

use super::doors::Doors;
use super::file_job::{FileNews, Known, Rest, WriteOrder, Writeback};
use super::handle::{EngineError, Reply};
use super::settings::Settings;
use super::{integrate, launch, material, question, upkeep, verify};
use crate::agents::Stdin;
use crate::domain::event::{IntegrationProblem, LaunchProblem};
use crate::domain::evidence::{Evidence, Integration};
use crate::domain::ids::{RunId, TaskId};
use crate::domain::judge::Verdict;
use crate::domain::message::{Message, MessageId};
use crate::domain::outcome::{Failure, Outcome, RunKind};
use crate::domain::prompt::message_prompt;
use crate::domain::route::RouteResult;
use crate::domain::task::{Run, Task, Workplace};
use crate::runner::{Handed, RunReport};
use crate::store::journal::Project;
use crate::store::tasks_file::TasksDoc;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Weigh a run's result.
    Judge(RunId),
    /// Integrate a run's result.
    Integrate(RunId),
    /// Ask the router for a person.
    TryRoute(RunId),
    /// Write the sidecars of changed tasks.
    Sidecars,
    /// Pack and drop the output of runs that are over.
    Retain,
    /// Put runs that are over into the search index.
    Index,
}

/// A reply that leaves with the job's end.
#[derive(Clone)]
pub struct ReplySlot(Arc<Mutex<Option<Reply<RouteResult>>>>);

impl ReplySlot {
    /// Holds `reply`.
    pub fn new(reply: Reply<RouteResult>) -> Self {
        Self(Arc::new(Mutex::new(Some(reply))))
    }

    fn send(&self, result: Result<RouteResult, EngineError>) {
        if let Some(reply) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A caller that went away does not need the answer.
            reply.send(result).ok();
        }
    }
}

impl fmt::Debug for ReplySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplySlot")
    }
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
    },
    /// See [`JobKey::Stop`].
    Stop {
        /// The run.
        run: RunId,
    },
    /// See [`JobKey::Judge`].
    Judge {
        /// The task.
        task: Arc<Task>,
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
    },
    /// See [`JobKey::Index`].
    Index {
        /// These, or all that are not in it.
        runs: Option<Vec<RunId>>,
    },
    /// See [`JobKey::TryRoute`].
    TryRoute {
        /// The task.
        task: Arc<Task>,
        /// A run that is not recorded.
        run: RunId,
        /// Who asks.
        reply: ReplySlot,
    },
}

/// What a job found or did.
#[derive(Debug)]
pub enum Report {
    /// How the runs stand.
    Looked {
        /// Messages that agents have taken up.
        heard: Vec<(RunId, MessageId)>,
        /// Runs that ended.
        ended: Vec<(RunId, Box<RunReport>)>,
    },
    /// The home's files.
    Files(Box<FileNews>),
    /// `tasks.yml` was written, or not.
    Written(Box<Writeback>),
    /// The runner has the run.
    Started {
        /// The run.
        run: RunId,
        /// Where it works; none for a routing question.
        place: Option<Workplace>,
        /// The conversation that orch chose.
        session_id: Option<String>,
        /// Its agent takes messages while it works.
        live: bool,
        /// When.
        at: Timestamp,
    },
    /// The run could not be started.
    NotStarted {
        /// The run.
        run: RunId,
        /// Why.
        problem: LaunchProblem,
    },
    /// A run's result was weighed.
    Judged {
        /// The run.
        run: RunId,
        /// The conclusion.
        verdict: Verdict,
        /// What it stands on.
        evidence: Box<Evidence>,
        /// The run's record, when orch's verdict is worse than the agent's word.
        record: Option<Box<Run>>,
    },
    /// A branch was integrated, or not.
    Integrated {
        /// The run.
        run: RunId,
        /// How it went.
        result: Result<Integration, IntegrationProblem>,
        /// The run's record, when its work did not stand the merge.
        record: Option<Box<Run>>,
    },
    /// Nothing to tell.
    Nothing,
    /// The job itself broke.
    Broken(String),
}

impl Job {
    /// What makes it the same as another.
    pub fn key(&self) -> JobKey {
        match self {
            Self::Look { .. } => JobKey::Look,
            Self::ReadFiles { .. } | Self::ReadOn { .. } => JobKey::ReadFiles,
            Self::WriteFile { .. } => JobKey::WriteFile,
            Self::Start { run, .. } => JobKey::Start(run.id.clone()),
            Self::Stop { run } => JobKey::Stop(run.clone()),
            Self::HandOver { run, message } => JobKey::HandOver(run.clone(), message.id),
            Self::Judge { run, .. } => JobKey::Judge(run.clone()),
            Self::Integrate { run, .. } => JobKey::Integrate(run.clone()),
            Self::TryRoute { run, .. } => JobKey::TryRoute(run.clone()),
            Self::Sidecars { .. } => JobKey::Sidecars,
            Self::Retain { .. } => JobKey::Retain,
            Self::Index { .. } => JobKey::Index,
        }
    }

    /// Does it.
    pub async fn run(self, doors: &Arc<Doors>, settings: &Arc<Settings>, projects: &[Project]) -> Report {
        match self {
            Self::Look { runs, listen } => look(doors, settings, runs, listen).await,
            Self::ReadFiles { known } => {
                let (doors, settings) = (Arc::clone(doors), Arc::clone(settings));
                let projects = projects.to_vec();
                blocking(move || Report::Files(Box::new(super::file_job::read(&doors, known, &settings, &projects))))
                    .await
            }
            Self::ReadOn { known, doc, rest } => {
                blocking(move || Report::Files(Box::new(super::file_job::read_on(known, *doc, rest)))).await
            }
            Self::WriteFile { order } => {
                let doors = Arc::clone(doors);
                blocking(move || Report::Written(Box::new(super::file_job::write(&doors, order)))).await
            }
            Self::Start { task, run, said } => start(doors, settings, projects, &task, &run, said).await,
            Self::HandOver { run, message } => hand_over(doors, run, message).await,
            Self::Stop { run } => {
                let dir = doors.run_dir(&run);
                blocking(move || match dir.request_stop("stopped by a person") {
                    Ok(()) => Report::Nothing,
                    Err(error) => Report::Broken(error.to_string()),
                })
                .await
            }
            Self::Judge { task, run } => {
                let (verdict, evidence) = verify::judge(doors, settings, projects, &task, &run).await;
                let record = match &verdict {
                    Verdict::Fail(failure) => overruled(doors, &run, failure),
                    Verdict::Accept | Verdict::Ask { .. } => None,
                };
                Report::Judged { run, verdict, evidence: Box::new(evidence), record }
            }
            Self::Integrate { task, run } => {
                let result = integrate::integrate(doors, settings, projects, &task, &run).await;
                let record = match &result {
                    Err(IntegrationProblem::Work(failure)) => overruled(doors, &run, failure),
                    Err(IntegrationProblem::Wait(_) | IntegrationProblem::Ask(_)) | Ok(_) => None,
                };
                Report::Integrated { run, result, record }
            }
            Self::Sidecars { tasks } => {
                let doors = Arc::clone(doors);
                blocking(move || {
                    super::sidecar::write(&doors, &tasks);
                    Report::Nothing
                })
                .await
            }
            Self::Retain { open, is_due } => {
                let (doors, limits) = (Arc::clone(doors), settings.config.retention.clone());
                blocking(move || {
                    upkeep::retain(&doors, &limits, &open, is_due);
                    Report::Nothing
                })
                .await
            }
            Self::Index { runs } => {
                let doors = Arc::clone(doors);
                blocking(move || {
                    upkeep::index(&doors, runs.as_deref());
                    Report::Nothing
                })
                .await
            }
            Self::TryRoute { task, run, reply } => {
                let result = question::try_route(doors, settings, projects, &task, &run).await;
                reply.send(result.map_err(|message| EngineError::Invalid { message, hint: None }));
                Report::Nothing
            }
        }
    }
}

/// The record of a run whose work orch did not accept.
fn overruled(doors: &Doors, run: &RunId, failure: &Failure) -> Option<Box<Run>> {
    let mut record = doors.journal.run(run).ok().flatten()?;
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

async fn start(
    doors: &Arc<Doors>,
    settings: &Arc<Settings>,
    projects: &[Project],
    task: &Arc<Task>,
    run: &Run,
    said: Vec<Message>,
) -> Report {
    let started = match run.kind {
        RunKind::Work | RunKind::Review => launch::start_work(doors, settings, projects, task, run, said).await,
        RunKind::Route => question::start(doors, settings, projects, task, run).await,
    };
    match started {
        Ok(started) => Report::Started {
            run: run.id.clone(),
            place: started.place,
            session_id: started.session_id,
            live: doors.run_dir(&run.id).read_launch().is_ok_and(|launch| launch.spec.stdin == Stdin::Live),
            at: doors.clock.now(),
        },
        Err(problem) => Report::NotStarted { run: run.id.clone(), problem },
    }
}

async fn hand_over(doors: &Arc<Doors>, run: RunId, message: Message) -> Report {
    let doors = Arc::clone(doors);
    blocking(move || {
        let told = match material::templates(&doors.home) {
            Ok(templates) => message_prompt(&[&message.text], "", &templates),
            Err(error) => return Report::Broken(error),
        };
        let handed = Handed { id: message.id, text: message.text, told };
        match doors.run_dir(&run).hand_over(&handed) {
            Ok(()) => Report::Nothing,
            Err(error) => Report::Broken(error.to_string()),
        }
    })
    .await
}

/// Looks which runs ended and what their agents heard; a run whose runner died is brought to its end.
async fn look(doors: &Arc<Doors>, settings: &Arc<Settings>, runs: Vec<RunId>, listen: BTreeSet<TaskId>) -> Report {
    let (doors, settings) = (Arc::clone(doors), Arc::clone(settings));
    blocking(move || {
        let (mut heard, mut ended) = (Vec::new(), Vec::new());
        for run in runs {
            let report = launch::ended(&doors, &settings, &run);
            // After the end: then no receipt comes any more.
            if run.task().is_some_and(|task| listen.contains(&task)) {
                let receipts = doors.run_dir(&run).receipts();
                heard.extend(receipts.into_iter().map(|receipt| (run.clone(), receipt.id)));
            }
            if let Some(mut report) = report {
                if report.ending.usage_is_thread_total {
                    report.ending.usage = launch::own_usage(&doors, &run, &report);
                }
                ended.push((run, Box::new(report)));
            }
        }
        Report::Looked { heard, ended }
    })
    .await
}
