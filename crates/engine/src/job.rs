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

/// A job that the engine has carried out beside its loop.
#[derive(Debug)]
pub enum Job {
    /// Polls the runs; see [`JobKey::Look`].
    Poll {
        /// Runs that are under way.
        runs: Vec<RunId>,
        /// Tasks whose agents were sent a message.
        listen: BTreeSet<TaskId>,
        /// What is known of their health.
        seen: Seen,
    },
    /// Reads the home's files; see [`JobKey::ReadFiles`].
    ReadFiles {
        /// What was read last.
        known: Known,
    },
    /// The same, when all that is new in a large file is not taken over at once.
    ReadOn {
        /// What was read of the file.
        known: Known,
        /// The document that was read.
        doc: Box<TasksDoc>,
        /// What is still to be taken over of it.
        rest: Rest,
    },
    /// Writes `tasks.yml`; see [`JobKey::WriteFile`].
    WriteFile {
        /// What to write.
        order: WriteOrder,
    },
    /// Starts a run; see [`JobKey::Start`].
    Start {
        /// The task that the run works on.
        task: Arc<Task>,
        /// The run to start.
        run: Box<Run>,
        /// What the person says in its prompt.
        said: Vec<Message>,
    },
    /// Hands a message to a running agent; see [`JobKey::HandOver`].
    HandOver {
        /// The run that gets the message.
        run: RunId,
        /// The message to hand over.
        message: Message,
        /// The project's name, for templates of its own.
        project: Option<String>,
    },
    /// Stops a run; see [`JobKey::Stop`].
    Stop {
        /// The run to stop.
        run: RunId,
        /// The reason, for a person.
        reason: &'static str,
    },
    /// Removes the checkout of a review; see [`JobKey::ClearReview`].
    ClearReview {
        /// The repository of the checkout.
        dir: std::path::PathBuf,
        /// The run of the review.
        run: RunId,
    },
    /// Judges a run; see [`JobKey::Judge`].
    Judge {
        /// The task that the run worked on.
        task: Arc<Task>,
        /// What its agent may delegate.
        standing: DelegationContext,
        /// The run to judge.
        run: RunId,
    },
    /// Integrates a branch; see [`JobKey::Integrate`].
    Integrate {
        /// The task whose branch is integrated.
        task: Arc<Task>,
        /// The run whose work is integrated.
        run: RunId,
    },
    /// Writes the tasks' sidecars; see [`JobKey::Sidecars`].
    Sidecars {
        /// The tasks as they are now.
        tasks: Vec<Arc<Task>>,
    },
    /// Packs and drops the output of runs that are over; see [`JobKey::Retain`].
    Retain {
        /// Tasks of which nothing may go.
        open: BTreeSet<TaskId>,
        /// Whether it is done in any case.
        is_due: bool,
        /// Whether nothing runs.
        is_idle: bool,
    },
    /// Updates the search index; see [`JobKey::Index`].
    Index {
        /// These, or all that are not in it.
        runs: Option<Vec<RunId>>,
    },
    /// Removes old worktrees; see [`JobKey::Collect`].
    Collect {
        /// The request.
        wish: gc::Wish,
    },
    /// Changes `jobs.yml`; see [`JobKey::ChangeJobs`].
    ChangeJobs {
        /// What to change.
        change: Box<JobChange>,
    },
    /// Runs the command of a recurring job; see [`JobKey::RunCommand`].
    RunCommand {
        /// The time of the job that fires.
        firing: Box<Firing>,
    },
    /// Asks the router for a person; see [`JobKey::TryRoute`].
    TryRoute {
        /// The task to route.
        task: Arc<Task>,
        /// A run that is not recorded.
        run: RunId,
        /// Why the router cannot be asked now.
        obstacle: Option<String>,
        /// Where the route is sent.
        reply: ReplySlot<RouteResult>,
    },
    /// Reads which files running tasks have changed; see [`JobKey::LookAtFiles`].
    ReadChanges {
        /// The tasks whose worktrees are read.
        tasks: Vec<Arc<Task>>,
    },
    /// Runs a project's checks on trial; see [`JobKey::TryChecks`].
    TryChecks {
        /// The project's directory.
        dir: std::path::PathBuf,
        /// A run that is not recorded.
        run: RunId,
        /// Where the results of the checks are sent.
        reply: ReplySlot<Vec<Check>>,
    },
    /// Compares a branch with its base; see [`JobKey::Compare`].
    Compare {
        /// The task whose branch is compared.
        task: Arc<Task>,
        /// A run that is not recorded.
        run: RunId,
        /// Also the diff itself.
        with_patch: bool,
        /// Where the difference is sent.
        reply: ReplySlot<Difference>,
    },
}

impl Job {
    /// Returns what makes it the same as another.
    pub fn key(&self) -> JobKey {
        match self {
            Self::Poll { .. } => JobKey::Poll,
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
            Self::ReadChanges { .. } => JobKey::ReadChanges,
            Self::Sidecars { .. } => JobKey::Sidecars,
            Self::Retain { .. } => JobKey::Retain,
            Self::Index { .. } => JobKey::Index,
            Self::Collect { .. } => JobKey::Collect,
            Self::ChangeJobs { .. } => JobKey::ChangeJobs,
            Self::RunCommand { firing } => JobKey::RunCommand(firing.key()),
        }
    }
}
