//! The state that the loop owns, and the turn in which it changes: everything a turn changes is one transaction.

pub(crate) mod alarm;
pub(crate) mod archive;
mod change_set;
pub(crate) mod reply;
mod writes;

pub use crate::state::archive::Archive;
use orch_core::audit::actor::Actor;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::once::Answered;
use orch_core::economics::budget::Record;
use orch_core::economics::recorded::Recorded;
use orch_core::notices::outbox::KeyValue;
use orch_core::operations::job::{Firing, FiringKey, JobId, JobRecord};
use orch_core::operations::pause::{Pause, PauseScope, Pauses};
use orch_core::operations::service::{ServiceEntry, ShutdownMode};
use orch_core::planning::batch::Batch;
use orch_core::planning::breaker::Breaker;
use orch_core::planning::plan::{Capacity, Cooldown, Scope, Snapshot, status_in};
use orch_core::tasks::message::{Message, MessageId};
use orch_core::tasks::task::{Run, Status, Task};
use orch_store::journal::{Entry, JournalError, Loaded, Project};
use orch_store::tasks_file::Agreed;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most levels of parents that are searched above a task.
const LONGEST_LINE: usize = 100;

/// The most answers to requests with a key that are kept in memory.
pub(crate) const ANSWERS: usize = 1000;

/// Everything the engine keeps in memory. Settled tasks are in the journal, however many there are; one is brought here
/// when a request needs it, and released again at the end of the turn.
pub struct EngineState {
    /// All tasks but settled ones, and those of these that the present turn reads.
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    /// How settled tasks ended, as far as that is known here: all that a task of `tasks` waits for.
    pub settled: Arc<BTreeMap<TaskId, Status>>,
    /// Runs that have not ended.
    pub runs: BTreeMap<RunId, Run>,
    /// The repositories that are registered.
    pub projects: Vec<Project>,
    /// The directories of `projects`.
    pub project_dirs: Vec<PathBuf>,
    /// Agents to leave alone.
    pub cooldowns: BTreeMap<String, Cooldown>,
    /// Breakers that have seen failures, by their names.
    pub breakers: BTreeMap<String, Breaker>,
    /// Entries of `tasks.yml` that cannot be carried out.
    pub invalid: BTreeMap<TaskId, String>,
    /// What is paused.
    pub pauses: Pauses,
    /// Starts and ends of the daemon, the newest last.
    pub service: Vec<ServiceEntry>,
    /// The recurring jobs by their names.
    pub jobs: BTreeMap<JobId, Arc<JobRecord>>,
    /// Firings whose commands are under way, or are to be started.
    pub firings: BTreeMap<FiringKey, Firing>,
    /// Batches that are open, by their numbers.
    pub batches: BTreeMap<u64, Arc<Batch>>,
    pub(crate) last_batch: u64,
    pub(crate) last_recorded: u64,
    /// Messages that wait for an agent.
    pub messages: BTreeMap<MessageId, Message>,
    last_message_id: u64,
    /// What requests with a key were answered since the start, the latest of them.
    answered: BTreeMap<String, Answered>,
    archive: Arc<dyn Archive>,
    /// Settled tasks in `tasks`.
    visiting: BTreeSet<TaskId>,
    /// Tasks that the journal does not know to be settled: an older orch, which did not know of it, stored them.
    unmarked: Vec<TaskId>,
    last_task_id: u64,
    last_seq: u64,
}

impl EngineState {
    /// Creates the state as the journal left it.
    pub fn from_journal(loaded: Loaded, archive: Arc<dyn Archive>) -> Self {
        let highest = loaded.tasks.keys().next_back().map_or(0, |id| id.0);
        let mut state = Self {
            tasks: loaded.tasks,
            settled: Arc::default(),
            runs: loaded.live_runs.into_iter().map(|run| (run.id.clone(), run)).collect(),
            projects: Vec::new(),
            project_dirs: Vec::new(),
            cooldowns: loaded.cooldowns,
            breakers: loaded.breakers.into_iter().map(|breaker| (breaker.target.to_string(), breaker)).collect(),
            messages: loaded.messages.into_iter().map(|message| (message.id, message)).collect(),
            last_message_id: loaded.last_message_id,
            pauses: loaded.pauses.into_iter().collect(),
            service: loaded.service,
            jobs: loaded.jobs.into_iter().map(|job| (job.spec.id.clone(), Arc::new(job))).collect(),
            firings: loaded.firings.into_iter().map(|firing| (firing.key(), firing)).collect(),
            batches: loaded.batches.into_iter().map(|batch| (batch.number, Arc::new(batch))).collect(),
            last_batch: loaded.last_batch,
            last_recorded: loaded.last_recorded,
            invalid: BTreeMap::new(),
            answered: BTreeMap::new(),
            archive,
            visiting: BTreeSet::new(),
            unmarked: Vec::new(),
            last_task_id: loaded.last_task_id.max(highest),
            last_seq: loaded.last_seq,
        };
        state.set_projects(loaded.projects);
        let tasks: Vec<_> = state.tasks.values().cloned().collect();
        tasks.iter().for_each(|task| state.learn_what_it_waits_for(task));
        let members: Vec<TaskId> = state.batches.values().flat_map(|batch| batch.tasks()).collect();
        state.learn(members);
        state.unmarked = tasks.iter().filter(|task| task.is_settled()).map(|task| task.id).collect();
        state
    }

    /// Returns what the request with this key was answered, if one came before.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn answered(&self, key: &str) -> Result<Option<Answered>, JournalError> {
        match self.answered.get(key) {
            Some(answered) => Ok(Some(answered.clone())),
            None => self.archive.answered(key),
        }
    }

    /// A task, brought here when it is settled.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn task(&mut self, id: TaskId) -> Result<Option<Arc<Task>>, JournalError> {
        if let Some(task) = self.tasks.get(&id) {
            return Ok(Some(Arc::clone(task)));
        }
        if id.0 > self.last_task_id {
            return Ok(None);
        }
        let Some(task) = self.archive.task(id)?.map(Arc::new) else { return Ok(None) };
        self.tasks.insert(id, Arc::clone(&task));
        self.visiting.insert(id);
        Ok(Some(task))
    }

    /// Returns the last work run of a task.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn last_work_run(&self, id: TaskId) -> Result<Option<Run>, JournalError> {
        self.archive.last_work_run(id)
    }

    /// Returns where what is settled, and what was spent, is looked up.
    pub fn archive(&self) -> &dyn Archive {
        &*self.archive
    }

    /// Returns the status of a task that is in memory, or was released since the start.
    pub fn status(&self, id: TaskId) -> Option<Status> {
        status_in(&self.tasks, &self.settled, id)
    }

    /// Returns whether there is such a task.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn exists(&self, id: TaskId) -> Result<bool, JournalError> {
        let here = status_in(&self.tasks, &self.settled, id).is_some();
        Ok(here || self.archive.settled_status(id)?.is_some())
    }

    /// Returns whether this task is done, in memory or not.
    pub fn is_done(&self, id: TaskId) -> bool {
        let settled = || {
            let status = self.archive.settled_status(id);
            status.inspect_err(|error| tracing::error!(task = %id, %error, "a task cannot be looked up")).ok().flatten()
        };
        self.status(id).or_else(settled) == Some(Status::Done)
    }

    /// Returns a task that was given up and is not in memory.
    pub fn given_up(&self, id: TaskId) -> Option<Task> {
        let status = match self.settled.get(&id) {
            Some(status) => Ok(Some(*status)),
            None => self.archive.settled_status(id),
        };
        let found = match status {
            Ok(Some(Status::Cancelled)) => self.archive.task(id),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        found.inspect_err(|error| tracing::error!(task = %id, %error, "a task cannot be looked up")).ok().flatten()
    }

    /// A task and those that it is a part of, the nearest first, by their titles.
    pub fn line_of(&self, task: &Task) -> Vec<(TaskId, String)> {
        let mut line = vec![(task.id, task.spec.title.clone())];
        let mut parent = task.spec.parent;
        // A cycle that came to be all the same ends it.
        while let Some(id) = parent.filter(|id| line.len() < LONGEST_LINE && line.iter().all(|(known, _)| known != id))
        {
            let here = self.tasks.get(&id).map(|task| (task.spec.title.clone(), task.spec.parent));
            let stored = || {
                let found = self.archive.task(id);
                let found =
                    found.inspect_err(|error| tracing::error!(task = %id, %error, "a task cannot be looked up"));
                found.ok().flatten().map(|task| (task.spec.title, task.spec.parent))
            };
            let Some((title, next)) = here.or_else(stored) else { break };
            line.push((id, title));
            parent = next;
        }
        line
    }

    /// Settled tasks that `task` waits for are known by their status from now on.
    fn learn_what_it_waits_for(&mut self, task: &Task) {
        self.learn(task.waits_for());
    }

    fn learn(&mut self, tasks: impl IntoIterator<Item = TaskId>) {
        for id in tasks {
            if status_in(&self.tasks, &self.settled, id).is_some() {
                continue;
            }
            match self.archive.settled_status(id) {
                Ok(Some(status)) => drop(Arc::make_mut(&mut self.settled).insert(id, status)),
                Ok(None) => {}
                Err(error) => tracing::error!(task = %id, %error, "a task that is waited for cannot be looked up"),
            }
        }
    }

    /// Puts away what is settled among the tasks that the turn changed or read. The turn is on disk.
    pub fn put_settled_away(&mut self, change_set: &ChangeSet) {
        let of_runs = change_set.runs.values().map(|run| run.task);
        let changed: BTreeSet<TaskId> = change_set.tasks.keys().copied().chain(of_runs).collect();
        for id in std::mem::take(&mut self.visiting).into_iter().chain(changed) {
            let Some(task) = self.tasks.get(&id).filter(|task| task.is_settled()) else { continue };
            let status = task.status();
            if self.runs.values().all(|run| run.task != id) {
                self.tasks.remove(&id);
                Arc::make_mut(&mut self.settled).insert(id, status);
            }
        }
    }

    fn set_projects(&mut self, projects: Vec<Project>) {
        self.project_dirs = projects.iter().map(|p| p.dir.clone()).collect();
        self.projects = projects;
    }

    /// Ids up to `id` are taken.
    pub fn reserve_ids(&mut self, id: u64) {
        self.last_task_id = self.last_task_id.max(id);
    }

    /// An id that was never given out.
    pub fn next_task_id(&mut self) -> TaskId {
        self.last_task_id += 1;
        TaskId(self.last_task_id)
    }

    /// Returns the id that the next new task gets.
    pub fn coming_task_id(&self) -> TaskId {
        TaskId(self.last_task_id + 1)
    }

    /// A number for a message that was never given out.
    pub fn next_message_id(&mut self) -> MessageId {
        self.last_message_id += 1;
        MessageId(self.last_message_id)
    }

    /// Returns the last place in the history.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Returns what planning reads.
    pub fn snapshot<'a>(
        &'a self,
        scope: Scope,
        room: &'a Capacity,
        leaving: Option<ShutdownMode>,
        identity: &'a str,
        dir_exists: &'a dyn Fn(&Path) -> bool,
        is_registered: &'a dyn Fn(&Path) -> bool,
    ) -> Snapshot<'a> {
        Snapshot {
            tasks: &self.tasks,
            settled: &self.settled,
            projects: &self.project_dirs,
            capacity: room,
            cooldowns: &self.cooldowns,
            invalid: &self.invalid,
            scope,
            pauses: &self.pauses,
            shutdown: leaving,
            batches: &self.batches,
            identity,
            dir_exists,
            is_registered,
        }
    }
}

/// An answer that leaves when the turn is on disk, or with the reason why it is not.
pub type Answer = Box<dyn FnOnce(Option<&Arc<JournalError>>) + Send>;

/// What one turn of the loop changes. Nothing of it is acted upon before it is on disk.
#[derive(Default)]
pub struct ChangeSet {
    /// The actor of what happens now: orch, unless [`ChangeSet::by`] says otherwise.
    actor: Actor,
    tasks: BTreeMap<TaskId, Arc<Task>>,
    runs: BTreeMap<RunId, Run>,
    /// The projects in the order in which they changed; `None`: registered no more.
    projects: Vec<(PathBuf, Option<Project>)>,
    cooldowns: BTreeMap<String, Option<Cooldown>>,
    breakers: BTreeMap<String, Option<Breaker>>,
    messages: BTreeMap<MessageId, Message>,
    pauses: Vec<(PauseScope, Option<Pause>)>,
    service: Vec<ServiceEntry>,
    jobs: BTreeMap<JobId, Option<Arc<JobRecord>>>,
    firings: BTreeMap<FiringKey, Firing>,
    pub(crate) batches: BTreeMap<u64, Arc<Batch>>,
    spends: Vec<Record>,
    pub(crate) recorded: Vec<Recorded>,
    /// What channels keep from now on.
    pub(crate) kept: Vec<KeyValue>,
    answered: BTreeMap<String, Answered>,
    /// The content of `tasks.yml` that is agreed on, when that is another one now.
    pub agreed: Option<Option<Agreed>>,
    /// What `tasks.yml` lacks that is not believed, when that are others now.
    pub missing: Option<Vec<TaskId>>,
    /// The history this turn adds.
    pub entries: Vec<Entry>,
    /// Tasks whose lines in `tasks.yml` may have to be written.
    pub touched: BTreeSet<TaskId>,
    /// The replies that are sent when the turn is on disk.
    pub replies: Vec<Answer>,
}
