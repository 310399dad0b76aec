//! Jobs as data: everything slow that the loop starts and that reports back. They are carried out in `apply`.

pub(crate) mod report;

pub use crate::deps::job_key::JobKey;
use crate::files::file_job::{Known, Rest, WriteOrder};
use crate::files::jobs_file::Change as JobChange;
use crate::state::reply::ReplySlot;
use crate::upkeep::gc;
use crate::verify::difference::Difference;
use crate::verify::ending::Seen;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::operations::job::Firing;
use orch_core::tasks::delegation::DelegationContext;
use orch_core::tasks::evidence::Check;
use orch_core::tasks::message::Message;
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::{Run, Task};
use orch_store::tasks_file::TasksDoc;
use std::collections::BTreeSet;
use std::sync::Arc;

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
}
