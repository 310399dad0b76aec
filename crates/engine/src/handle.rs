//! The interface of the engine: commands in, answers and history out. Nothing here decides.

use crate::engine::Engine;
use crate::engine::command::Command;
pub use crate::engine::engine_handle::EngineHandle;
use crate::engine::metrics::Figures;
pub use crate::error::EngineError;
pub use crate::files::jobs_file::{Change as JobChange, NameIs as Named};
pub use crate::recurring::orders::JobsOverview;
pub use crate::service::switches::{Fate, Switched, UnderWay};
use crate::state::ChangeSet;
use crate::state::reply::Reply;
pub use crate::tasks::batches::{NewBatch, Order as BatchOrder};
pub use crate::tasks::claims::Claiming;
pub use crate::tasks::commands::Request;
pub use crate::tasks::review_decision::Acceptance;
pub use crate::tasks::view::View;
pub use crate::tasks_file::missing_tasks::Verdict;
use crate::upkeep::gc::Collected;
use crate::verify::difference::Difference;
use jiff::Timestamp;
use orch_core::audit::actor::Actor;
use orch_core::base::ids::TaskId;
use orch_core::base::money::Spend;
use orch_core::base::once::Once;
use orch_core::economics::budget::Record;
use orch_core::economics::cost::Charge;
use orch_core::economics::track_record::{Sample, Worker};
use orch_core::operations::job::{Firing, JobId, JobRecord};
use orch_core::operations::pause::PauseSelector;
use orch_core::operations::service::{Departure, ServiceEntry};
use orch_core::planning::batch::{Batch, BatchName};
use orch_core::tasks::evidence::Check;
use orch_core::tasks::outcome::RunKind;
pub use orch_core::tasks::review_decision::ReviewDecision;
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::spec_merge::Change;
use orch_core::tasks::task::{Run, Spec, Status, Task};
pub use orch_store::journal::{Entry, Project, SettledRow};
use orch_store::journal::{Journal, JournalError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{broadcast, oneshot};
mod output;

/// Tasks that are read from the journal at once.
const PAGE: u32 = 100;

impl EngineHandle {
    /// The same, for a caller that the history names.
    #[must_use]
    pub fn acting_for(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Returns the caller: orch itself, unless [`Self::acting_for`] says otherwise.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Sends a command, and waits for its answer.
    pub(crate) async fn call<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply).by(self.actor.clone())).await.map_err(|_| EngineError::Stopping)?;
        answer.await.map_err(|_| EngineError::Stopping)?
    }

    /// Has the state changed. The change is on disk when this returns.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Engine, &mut ChangeSet, Timestamp) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.call(|reply| Command::change(reply, change)).await
    }

    /// Adds a task. It is on disk when this returns.
    pub async fn add(&self, spec: Spec) -> Result<Arc<Task>, EngineError> {
        self.add_once(spec, None).await
    }

    /// Adds a task. With a key, a repeated request gets the task that the first one made, as it was then.
    pub async fn add_once(&self, spec: Spec, once: Option<Once>) -> Result<Arc<Task>, EngineError> {
        let add = move |engine: &mut Engine, change_set: &mut ChangeSet, now| {
            engine.once(change_set, once, now, |engine, change_set| engine.add(change_set, spec, now))
        };
        self.change(add).await
    }

    /// Asks something of a task, which must not have changed since `unchanged_since`.
    pub async fn ask(
        &self,
        task: TaskId,
        request: Request,
        unchanged_since: Option<Timestamp>,
        once: Option<Once>,
    ) -> Result<(), EngineError> {
        let ask = move |engine: &mut Engine, change_set: &mut ChangeSet, now| {
            engine.once(change_set, once, now, |engine, change_set| {
                engine.require_unchanged(task, unchanged_since)?;
                engine.ask(change_set, task, request, now).map(drop)
            })
        };
        self.change(ask).await
    }

    /// Brings the word on a task's work of the person who asks into its state.
    pub async fn rule(&self, task: TaskId, ruling: ReviewDecision, once: Option<Once>) -> Result<(), EngineError> {
        let by = self.person_asking();
        let rule = move |engine: &mut Engine, change_set: &mut ChangeSet, now| {
            engine.once(change_set, once, now, |engine, change_set| {
                engine.rule(change_set, task, ruling, by, now).map(drop)
            })
        };
        self.change(rule).await
    }

    /// Runs the checks of the project in this directory on its base branch, once each.
    pub async fn try_checks(&self, dir: PathBuf) -> Result<Vec<Check>, EngineError> {
        self.call(|reply| Command::begin(reply, |engine, _, reply, _| engine.try_checks(dir, reply))).await
    }

    /// Returns what a task's branch would change, or has changed; with the diff itself where that is wanted.
    pub async fn compare(&self, task: TaskId, with_patch: bool) -> Result<Difference, EngineError> {
        let compare = move |engine: &mut Engine, change_set: &mut ChangeSet, reply, _| {
            engine.compare(change_set, task, with_patch, reply);
        };
        self.call(|reply| Command::begin(reply, compare)).await
    }

    /// Changes what a person wants of a task. It is on disk when this returns, and in `tasks.yml` soon after.
    pub async fn edit(&self, task: TaskId, change: Change) -> Result<Arc<Task>, EngineError> {
        self.call(|reply| Command::edit(task, change, reply)).await
    }

    /// Claims a task, or releases it. It is on disk when this returns, and in `tasks.yml` soon after.
    pub async fn claim(&self, task: TaskId, claiming: Claiming) -> Result<Arc<Task>, EngineError> {
        self.call(|reply| Command::claim(task, claiming, reply)).await
    }

    /// Decides about the open tasks that a `tasks.yml` lacks which is not believed. Returns which they are.
    pub async fn missing(&self, verdict: Verdict) -> Result<Vec<Arc<Task>>, EngineError> {
        self.call(|reply| Command::decide_missing(verdict, reply)).await
    }

    /// Takes over what the files of the settings say now. Returns what is wrong with them.
    pub async fn reload(&self) -> Result<Vec<String>, EngineError> {
        self.change(|engine, change_set, now| {
            engine.reload(change_set, now);
            Ok(engine.settings.problems.clone())
        })
        .await
    }

    /// Returns what was found at odds about a task between `tasks.yml`, commands and orch, newest last.
    pub async fn conflicts_of(&self, task: TaskId) -> Result<Vec<Entry>, EngineError> {
        self.read(move |journal| journal.conflicts_of(task)).await
    }

    /// Sends every blocked task and every task that asks a person on. Returns which.
    pub async fn unblock_all(&self, once: Option<Once>) -> Result<Vec<TaskId>, EngineError> {
        let unblock = move |engine: &mut Engine, change_set: &mut ChangeSet, now| {
            engine.once(change_set, once, now, |engine, change_set| Ok(engine.unblock_all(change_set, now)))
        };
        self.change(unblock).await
    }

    /// Asks the router without changing anything.
    pub async fn try_route(&self, task: TaskId) -> Result<RouteResult, EngineError> {
        self.route_without_taking(move |engine, _| engine.task(task)).await
    }

    /// Registers a repository.
    pub async fn register(&self, project: Project) -> Result<(), EngineError> {
        self.change(|engine, change_set, now| {
            engine.register(change_set, project, now);
            Ok(())
        })
        .await
    }

    /// Forgets a registered repository, by its name or directory. Its tasks stay, and wait until it is registered again.
    /// Returns what it was.
    pub async fn unregister(&self, name: String) -> Result<Project, EngineError> {
        self.change(move |engine, change_set, now| engine.unregister(change_set, &name, now)).await
    }

    /// Closes a breaker, or all of them, by hand, and leaves their agents alone no longer. Returns which.
    pub async fn reset_breakers(&self, name: Option<String>) -> Result<Vec<String>, EngineError> {
        self.change(move |engine, change_set, now| engine.reset_breakers(change_set, name.as_deref(), now)).await
    }

    /// Writes down what a person says was spent beside orch's runs.
    pub async fn record_spending(&self, record: Record) -> Result<Record, EngineError> {
        self.change(|engine, change_set, now| Ok(engine.record_spending(change_set, record, now))).await
    }

    /// Returns what a person says was spent beside orch's runs, at `since` or later.
    pub async fn spends_since(&self, since: Timestamp) -> Result<Vec<Record>, EngineError> {
        self.read(move |journal| journal.spends_since(since)).await
    }

    /// Pauses something (`pauses`), or lets it go on.
    pub async fn switch(&self, wanted: PauseSelector, pauses: bool, by: String) -> Result<Switched, EngineError> {
        self.change(move |engine, change_set, now| engine.switch(change_set, &wanted, pauses, by, now)).await
    }

    /// Has the engine leave, or (`is_rehearsal`) only reports what would become of what is under way.
    pub async fn shut_down(&self, departure: Departure, is_rehearsal: bool) -> Result<Vec<UnderWay>, EngineError> {
        self.call(|reply| Command::shut_down(departure, is_rehearsal, reply)).await
    }

    /// Returns the newest starts and ends of the daemon, oldest first.
    pub async fn service_history(&self, limit: u32) -> Result<Vec<ServiceEntry>, EngineError> {
        self.read(move |journal| journal.service_history(limit)).await
    }

    /// Removes the worktrees that may go, or only reports which.
    pub async fn collect(&self, dry_run: bool) -> Result<Collected, EngineError> {
        let collect = move |engine: &mut Engine, change_set: &mut ChangeSet, reply, _| {
            engine.collect_by_hand(change_set, dry_run, reply);
        };
        self.call(|reply| Command::begin(reply, collect)).await
    }

    /// Returns what recurs, as it is known at this moment.
    pub async fn jobs(&self) -> Result<JobsOverview, EngineError> {
        self.call(|reply| Command::read(reply, Engine::jobs_overview)).await
    }

    /// Changes `jobs.yml` as a person asks. Returns the job as it is then; of one that was removed, as it was.
    pub async fn change_jobs(&self, change: JobChange) -> Result<Arc<JobRecord>, EngineError> {
        self.call(|reply| {
            Command::begin(reply, |engine, change_set, reply, _| {
                engine.change_jobs(change_set, Box::new(change), reply);
            })
        })
        .await
    }

    /// Fires a job now.
    pub async fn run_job(&self, job: JobId) -> Result<Firing, EngineError> {
        self.change(move |engine, change_set, now| engine.run_job(change_set, &job, now)).await
    }

    /// Makes a batch, changes it or gives it up. It is on disk when this returns, as a whole or not at all.
    pub async fn batch_order(&self, order: BatchOrder, once: Option<Once>) -> Result<Arc<Batch>, EngineError> {
        let carry_out = move |engine: &mut Engine, change_set: &mut ChangeSet, now| {
            engine.once(change_set, once, now, |engine, change_set| engine.order_batch(change_set, order, now))
        };
        self.change(carry_out).await
    }

    /// Returns the newest batch of a name, open or not.
    pub async fn batch(&self, name: BatchName) -> Result<Option<Batch>, EngineError> {
        self.read(move |journal| journal.batch(&name)).await
    }

    /// Returns the newest batches that have ended, newest first.
    pub async fn ended_batches(&self, limit: u32) -> Result<Vec<Batch>, EngineError> {
        self.read(move |journal| journal.ended_batches(limit)).await
    }

    /// Returns the newest firings of a job, or of all jobs, newest first.
    pub async fn firings(&self, job: Option<JobId>, limit: u32) -> Result<Vec<Firing>, EngineError> {
        self.read(move |journal| journal.firings(job.as_ref(), limit)).await
    }

    /// Returns the last firing of each job.
    pub async fn last_firings(&self) -> Result<Vec<Firing>, EngineError> {
        self.read(|journal| journal.last_firings()).await
    }

    /// Returns where the output of a job's command is kept.
    pub fn job_output(&self, firing: &Firing) -> PathBuf {
        self.commands_dir.join(firing.job.as_str()).join(firing.due.as_millisecond().to_string()).join("output.log")
    }

    /// Returns everything the engine has in memory at this moment.
    pub async fn snapshot(&self) -> Result<View, EngineError> {
        self.call(|reply| Command::read(reply, Engine::view)).await
    }

    /// Returns the history as it is written. A reader that is too slow learns how much it missed and reads it with
    /// [`Self::entries`].
    pub fn follow(&self) -> broadcast::Receiver<Entry> {
        self.feed.subscribe()
    }

    /// The place after which the history is not older than `time`.
    pub async fn place_at(&self, time: Timestamp) -> Result<u64, EngineError> {
        self.read(move |journal| journal.place_at(time)).await
    }

    /// Returns the history after `seq`.
    pub async fn entries(&self, after: u64, task: Option<TaskId>, limit: u32) -> Result<Vec<Entry>, EngineError> {
        self.read(move |journal| journal.entries(after, task, limit)).await
    }

    /// One task, settled or not.
    pub async fn task(&self, id: TaskId) -> Result<Arc<Task>, EngineError> {
        let found = self.read(move |journal| journal.task(id)).await?;
        found.map(Arc::new).ok_or(EngineError::NoTask(id))
    }

    /// A page of all tasks, settled or not, after this one in the order of their ids; and whether it is the last.
    pub async fn tasks_after(&self, after: TaskId) -> Result<(Vec<Task>, bool), EngineError> {
        // In pages, so that the loop never waits long for the journal.
        let page = self.read(move |journal| journal.tasks_after(after, PAGE)).await?;
        let is_last = page.len() < PAGE as usize;
        Ok((page, is_last))
    }

    /// Returns the settled parts of all tasks that have some.
    pub async fn settled_families(&self) -> Result<BTreeMap<TaskId, Vec<TaskId>>, EngineError> {
        self.read(|journal| journal.settled_families()).await
    }

    /// Returns the newest settled tasks, at most `limit`, in the order of their ids.
    pub async fn settled_rows(&self, limit: u64) -> Result<Vec<SettledRow>, EngineError> {
        self.read(move |journal| journal.settled_rows(limit)).await
    }

    /// How many tasks are settled, by their status.
    pub async fn settled_counts(&self) -> Result<BTreeMap<Status, u64>, EngineError> {
        self.read(|journal| journal.settled_counts()).await
    }

    /// Returns the settled parts of a task.
    pub async fn settled_parts(&self, parent: TaskId) -> Result<Vec<TaskId>, EngineError> {
        self.read(move |journal| journal.settled_parts(parent)).await
    }

    /// Returns all runs of a task.
    pub async fn runs_of(&self, task: TaskId) -> Result<Vec<Run>, EngineError> {
        self.read(move |journal| journal.runs_of(task)).await
    }

    /// Returns the agent of the last work run of each of these tasks, where there is one.
    pub async fn last_workers(&self, tasks: Vec<TaskId>) -> Result<BTreeMap<TaskId, Worker>, EngineError> {
        self.read(move |journal| journal.last_workers(&tasks)).await
    }

    /// Returns the work runs that ended last, newest first, among the last `limit` runs.
    pub async fn last_work_runs(&self, limit: u32) -> Result<Vec<Run>, EngineError> {
        let runs = self.read(move |journal| journal.last_ended(limit)).await?;
        Ok(runs.into_iter().filter(|run| run.kind == RunKind::Work).collect())
    }

    /// Returns what the runs that ended at `since` or later cost.
    pub async fn spent_since(&self, since: Timestamp) -> Result<Spend, EngineError> {
        self.read(move |journal| journal.spent_since(since)).await
    }

    /// Returns what the runs cost that ended at `since` or later, in the order of their ends; `None`: all that ever ended.
    pub async fn charges_since(&self, since: Option<Timestamp>) -> Result<Vec<Charge>, EngineError> {
        self.read(move |journal| journal.charges_since(since)).await
    }

    /// How runs of work were judged, in the order of their ends.
    pub async fn samples(&self) -> Result<Vec<Sample>, EngineError> {
        self.read(Journal::samples).await
    }

    /// The tasks whose title and text are most like `text`, the likest first.
    pub async fn tasks_like(&self, text: String, limit: u32) -> Result<Vec<TaskId>, EngineError> {
        self.read(move |journal| journal.tasks_like(&text, limit)).await
    }

    /// Returns what this engine has counted.
    pub fn figures(&self) -> Figures {
        self.metrics.figures()
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let journal = self.journal.clone();
        let result = tokio::task::spawn_blocking(move || read(&journal)).await;
        result.map_err(|_| EngineError::Stopping)?.map_err(|error| {
            self.alarm.observe(&error);
            EngineError::Journal(Arc::new(error))
        })
    }
}
