//! How everybody else speaks with the engine: commands in, answers and history out. Nothing here decides.

use super::metrics::{Figures, Metrics};
use super::settings::Settings;
use crate::domain::ids::TaskId;
use crate::domain::lifecycle::Refused;
use crate::domain::message::Message;
use crate::domain::money::Spend;
use crate::domain::output::Part;
use crate::domain::plan::{Plan, status_in};
use crate::domain::route::RouteResult;
use crate::domain::task::{Run, Spec, Status, Task};
pub use crate::store::journal::{Entry, Project, SettledRow};
use crate::store::journal::{Journal, JournalError};
use crate::stream::{self, Hub, RunFiles, Start, Subscription};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Tasks that are read from the journal at once.
const PAGE: u32 = 500;

/// What a person asks of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Run it now.
    Run,
    /// From the beginning.
    Retry,
    /// Stop its agent, and keep the conversation.
    Interrupt,
    /// Give it up.
    Cancel,
    /// Let it go on.
    Unblock,
}

/// Why the engine does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no such task.
    #[error("there is no task {0}")]
    NoTask(TaskId),
    /// The task's status does not allow it.
    #[error("task {task}: {source}")]
    Refused {
        /// Which.
        task: TaskId,
        /// Why.
        source: Refused,
    },
    /// What was asked is wrong in itself.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The state could not be stored; nothing was changed.
    #[error(transparent)]
    Journal(#[from] Arc<JournalError>),
    /// It was accepted, but could not be stored yet.
    #[error("not stored yet: {0}")]
    NotYetStored(Arc<JournalError>),
    /// The engine is leaving.
    #[error("the engine is stopping")]
    Stopping,
}

/// All that is known at one moment. Cheap: tasks are shared.
#[derive(Clone)]
pub struct View {
    /// When.
    pub now: Timestamp,
    /// All tasks that are not settled, and perhaps some that are.
    pub tasks: Arc<BTreeMap<TaskId, Arc<Task>>>,
    /// How settled tasks ended: all that a task of `tasks` waits for, and perhaps others.
    pub settled: Arc<BTreeMap<TaskId, Status>>,
    /// Runs that have not ended.
    pub live_runs: Vec<Run>,
    /// Registered repositories.
    pub projects: Vec<Project>,
    /// What would begin, and why the rest waits.
    pub plan: Arc<Plan>,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// What is wrong with `tasks.yml` or `config.yml` now.
    pub problems: Vec<String>,
}

impl View {
    /// The status of a task that is here, or that one which is here waits for.
    pub fn status(&self, id: TaskId) -> Option<Status> {
        status_in(&self.tasks, &self.settled, id)
    }
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

pub(super) enum Command {
    Add { spec: Box<Spec>, reply: Reply<Arc<Task>> },
    Ask { task: TaskId, request: Request, reply: Reply<Arc<Task>> },
    Send { task: TaskId, text: String, reply: Reply<Message> },
    UnblockAll { reply: Reply<Vec<TaskId>> },
    TryRoute { task: TaskId, reply: Reply<RouteResult> },
    Register { project: Project, reply: Reply<()> },
    Look { reply: Reply<View> },
}

/// A hand on the engine. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) feed: broadcast::Sender<Entry>,
    pub(super) journal: Journal,
    pub(super) runs_dir: PathBuf,
    pub(super) hub: Hub,
    pub(super) metrics: Arc<Metrics>,
}

impl EngineHandle {
    async fn call<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| EngineError::Stopping)?;
        answer.await.map_err(|_| EngineError::Stopping)?
    }

    /// Adds a task. It is on disk when this returns.
    pub async fn add(&self, spec: Spec) -> Result<Arc<Task>, EngineError> {
        self.call(|reply| Command::Add { spec: Box::new(spec), reply }).await
    }

    /// Asks something of a task.
    pub async fn ask(&self, task: TaskId, request: Request) -> Result<Arc<Task>, EngineError> {
        self.call(|reply| Command::Ask { task, request, reply }).await
    }

    /// Says something to whoever works on a task. It is on disk when this returns; what becomes of it is told by
    /// [`Self::messages_of`], and entries of the history tell when to look.
    pub async fn send(&self, task: TaskId, text: String) -> Result<Message, EngineError> {
        self.call(|reply| Command::Send { task, text, reply }).await
    }

    /// All messages to a task, oldest first.
    pub async fn messages_of(&self, task: TaskId) -> Result<Vec<Message>, EngineError> {
        self.read(move |journal| journal.messages_of(task)).await
    }

    /// Sends every blocked task and every task that asks a person on. Returns which.
    pub async fn unblock_all(&self) -> Result<Vec<TaskId>, EngineError> {
        self.call(|reply| Command::UnblockAll { reply }).await
    }

    /// Asks the router without changing anything.
    pub async fn try_route(&self, task: TaskId) -> Result<RouteResult, EngineError> {
        self.call(|reply| Command::TryRoute { task, reply }).await
    }

    /// Registers a repository.
    pub async fn register(&self, project: Project) -> Result<(), EngineError> {
        self.call(|reply| Command::Register { project, reply }).await
    }

    /// Everything at hand at this moment.
    pub async fn look(&self) -> Result<View, EngineError> {
        self.call(|reply| Command::Look { reply }).await
    }

    /// The history as it is written. A reader that is too slow is told how much it missed and reads it with
    /// [`Self::entries`].
    pub fn follow(&self) -> broadcast::Receiver<Entry> {
        self.feed.subscribe()
    }

    /// The history after `seq`.
    pub async fn entries(&self, after: u64, task: Option<TaskId>, limit: u32) -> Result<Vec<Entry>, EngineError> {
        self.read(move |journal| journal.entries(after, task, limit)).await
    }

    /// One task, settled or not.
    pub async fn task(&self, id: TaskId) -> Result<Arc<Task>, EngineError> {
        let found = self.read(move |journal| journal.task(id)).await?;
        found.map(Arc::new).ok_or(EngineError::NoTask(id))
    }

    /// All tasks, settled or not.
    pub async fn all_tasks(&self) -> Result<Vec<Task>, EngineError> {
        let mut all: Vec<Task> = Vec::new();
        loop {
            // In pages, so that the loop never waits long for the journal.
            let after = all.last().map_or(TaskId(0), |task| task.id);
            let page = self.read(move |journal| journal.tasks_after(after, PAGE)).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// The newest settled tasks, at most `limit`, in the order of their ids.
    pub async fn settled_rows(&self, limit: u64) -> Result<Vec<SettledRow>, EngineError> {
        self.read(move |journal| journal.settled_rows(limit)).await
    }

    /// How many tasks are settled, by their status.
    pub async fn settled_counts(&self) -> Result<BTreeMap<Status, u64>, EngineError> {
        self.read(|journal| journal.settled_counts()).await
    }

    /// The settled parts of a task.
    pub async fn settled_parts(&self, parent: TaskId) -> Result<Vec<TaskId>, EngineError> {
        self.read(move |journal| journal.settled_parts(parent)).await
    }

    /// All runs of a task.
    pub async fn runs_of(&self, task: TaskId) -> Result<Vec<Run>, EngineError> {
        self.read(move |journal| journal.runs_of(task)).await
    }

    /// What the runs that ended at `since` or later cost.
    pub async fn spent_since(&self, since: Timestamp) -> Result<Spend, EngineError> {
        self.read(move |journal| journal.spent_since(since)).await
    }

    /// The last line that each of these runs has said, in their order.
    pub async fn last_lines(&self, runs: &[Run]) -> Vec<Option<String>> {
        let files: Vec<RunFiles> =
            runs.iter().map(|run| RunFiles::of(run.task, run.id.clone(), self.run_dir(run), Part::default())).collect();
        let silent = vec![None; runs.len()];
        let read = tokio::task::spawn_blocking(move || files.iter().map(stream::last_line).collect());
        read.await.unwrap_or(silent)
    }

    /// What this engine has counted.
    pub fn figures(&self) -> Figures {
        self.metrics.figures()
    }

    /// How many runs somebody follows.
    pub fn followed(&self) -> usize {
        self.hub.followed()
    }

    /// The directory of a run.
    pub fn run_dir(&self, run: &Run) -> PathBuf {
        self.runs_dir.join(run.id.as_str())
    }

    /// Follows a part of a run's output from a place on to its end.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub async fn watch(&self, run: &Run, part: Part, start: Start) -> std::io::Result<Subscription> {
        let (hub, files) = (self.hub.clone(), RunFiles::of(run.task, run.id.clone(), self.run_dir(run), part));
        tokio::task::spawn_blocking(move || hub.subscribe(&files, start)).await.map_err(std::io::Error::other)?
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let journal = self.journal.clone();
        let result = tokio::task::spawn_blocking(move || read(&journal)).await;
        result.map_err(|_| EngineError::Stopping)?.map_err(|e| EngineError::Journal(Arc::new(e)))
    }
}
