//! The state that the loop owns, and the turn in which it changes: everything a turn changes is one transaction.

use crate::domain::ids::{RunId, TaskId};
use crate::domain::message::{Message, MessageId, MessageState};
use crate::domain::plan::{Cooldown, Scope, Snapshot, status_in};
use crate::domain::task::{FileState, Phase, Run, Status, Task};
use crate::store::journal::{Entry, Journal, JournalError, Loaded, Project, Write};
use crate::store::tasks_file::Agreed;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything the engine has at hand. Settled tasks are in the journal, however many there are; one is brought here
/// when somebody asks something of it, and put away again at the end of the turn.
pub struct World {
    /// All tasks but settled ones, and those of these that the present turn looks at.
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    /// How settled tasks ended, as far as that is known here: all that a task of `tasks` waits for.
    pub settled: Arc<BTreeMap<TaskId, Status>>,
    /// Runs that have not ended.
    pub runs: BTreeMap<RunId, Run>,
    /// Registered repositories.
    pub projects: Vec<Project>,
    /// The directories of `projects`.
    pub project_dirs: Vec<PathBuf>,
    /// Agents to leave alone.
    pub cooldowns: BTreeMap<String, Cooldown>,
    /// Entries of `tasks.yml` that cannot be carried out.
    pub invalid: BTreeMap<TaskId, String>,
    /// Messages that wait for an agent.
    pub messages: BTreeMap<MessageId, Message>,
    last_message_id: u64,
    journal: Journal,
    /// Settled tasks in `tasks`.
    visiting: BTreeSet<TaskId>,
    /// Tasks that the journal does not know to be settled: an older orch, which did not know of it, stored them.
    unmarked: Vec<TaskId>,
    last_task_id: u64,
    last_seq: u64,
}

impl World {
    /// As the journal left it.
    pub fn from_journal(loaded: Loaded, journal: Journal) -> Self {
        let highest = loaded.tasks.keys().next_back().map_or(0, |id| id.0);
        let mut world = Self {
            tasks: loaded.tasks,
            settled: Arc::default(),
            runs: loaded.live_runs.into_iter().map(|run| (run.id.clone(), run)).collect(),
            projects: Vec::new(),
            project_dirs: Vec::new(),
            cooldowns: loaded.cooldowns,
            messages: loaded.messages.into_iter().map(|message| (message.id, message)).collect(),
            last_message_id: loaded.last_message_id,
            invalid: BTreeMap::new(),
            journal,
            visiting: BTreeSet::new(),
            unmarked: Vec::new(),
            last_task_id: loaded.last_task_id.max(highest),
            last_seq: loaded.last_seq,
        };
        world.set_projects(loaded.projects);
        let tasks: Vec<_> = world.tasks.values().cloned().collect();
        tasks.iter().for_each(|task| world.learn_what_it_waits_for(task));
        world.unmarked = tasks.iter().filter(|task| task.is_settled()).map(|task| task.id).collect();
        world
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
        let Some(task) = self.journal.task(id)?.map(Arc::new) else { return Ok(None) };
        self.tasks.insert(id, Arc::clone(&task));
        self.visiting.insert(id);
        Ok(Some(task))
    }

    /// The status of a task that is at hand, or was put away since the start.
    pub fn status(&self, id: TaskId) -> Option<Status> {
        status_in(&self.tasks, &self.settled, id)
    }

    /// Whether there is such a task.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn exists(&self, id: TaskId) -> Result<bool, JournalError> {
        let here = status_in(&self.tasks, &self.settled, id).is_some();
        Ok(here || self.journal.settled_status(id)?.is_some())
    }

    /// Settled tasks that `task` waits for are known by their status from now on.
    fn learn_what_it_waits_for(&mut self, task: &Task) {
        for id in task.waits_for() {
            if status_in(&self.tasks, &self.settled, id).is_some() {
                continue;
            }
            match self.journal.settled_status(id) {
                Ok(Some(status)) => drop(Arc::make_mut(&mut self.settled).insert(id, status)),
                Ok(None) => {}
                Err(error) => tracing::error!(task = %id, %error, "a task that others wait for cannot be looked up"),
            }
        }
    }

    /// Puts away what is settled among the tasks that the turn changed or looked at. The turn is on disk.
    pub fn put_settled_away(&mut self, turn: &Turn) {
        let of_runs = turn.runs.values().map(|run| run.task);
        let changed: BTreeSet<TaskId> = turn.tasks.keys().copied().chain(of_runs).collect();
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

    /// A number for a message that was never given out.
    pub fn next_message_id(&mut self) -> MessageId {
        self.last_message_id += 1;
        MessageId(self.last_message_id)
    }

    /// What planning looks at.
    pub fn snapshot<'a>(
        &'a self,
        scope: Scope,
        max_parallel: usize,
        dir_exists: &'a dyn Fn(&Path) -> bool,
    ) -> Snapshot<'a> {
        Snapshot {
            tasks: &self.tasks,
            settled: &self.settled,
            projects: &self.project_dirs,
            max_parallel,
            cooldowns: &self.cooldowns,
            invalid: &self.invalid,
            scope,
            dir_exists,
        }
    }
}

/// An answer that leaves when the turn is on disk, or with the reason why it is not.
pub type Answer = Box<dyn FnOnce(Option<&Arc<JournalError>>) + Send>;

/// What one turn of the loop changes. Nothing of it is acted upon before it is on disk.
#[derive(Default)]
pub struct Turn {
    tasks: BTreeMap<TaskId, Arc<Task>>,
    runs: BTreeMap<RunId, Run>,
    projects: Vec<Project>,
    cooldowns: BTreeMap<String, Option<Cooldown>>,
    messages: BTreeMap<MessageId, Message>,
    /// The content of `tasks.yml` that is agreed on, when that is another one now.
    pub agreed: Option<Option<Agreed>>,
    /// The history this turn adds.
    pub entries: Vec<Entry>,
    /// Tasks whose lines in `tasks.yml` may have to be written.
    pub touched: BTreeSet<TaskId>,
    /// To be answered when the turn is on disk.
    pub replies: Vec<Answer>,
}

impl Turn {
    /// Stores a task.
    pub fn put_task(&mut self, world: &mut World, mut task: Task) -> Arc<Task> {
        let before = world.tasks.get(&task.id).map(|before| before.status());
        let status = task.status();
        // What orch may write into the file from now on is its own word, whatever becomes of the write's report.
        if let FileState::Written { status: written, since, .. } = &mut task.file
            && before != Some(status)
            && *written != Some(status)
            && !since.contains(&status)
        {
            since.push(status);
        }
        let task = Arc::new(task);
        world.reserve_ids(task.id.0);
        world.learn_what_it_waits_for(&task);
        world.tasks.insert(task.id, Arc::clone(&task));
        self.touched.insert(task.id);
        self.tasks.insert(task.id, Arc::clone(&task));
        task
    }

    /// Stores what an older orch stored in an older way.
    pub fn renew(&mut self, world: &mut World) {
        let tasks = std::mem::take(&mut world.unmarked).into_iter();
        self.tasks.extend(tasks.filter_map(|id| Some((id, Arc::clone(world.tasks.get(&id)?)))));
    }

    /// Stores a task of which only its place in the file changed: nothing is to be written there because of it.
    pub fn put_filed(&mut self, world: &mut World, task: Task) {
        let id = task.id;
        let touched = self.touched.contains(&id);
        self.put_task(world, task);
        if !touched {
            self.touched.remove(&id);
        }
    }

    /// Stores a run; one that ended leaves the world.
    pub fn put_run(&mut self, world: &mut World, run: Run) {
        match run.phase {
            Phase::Starting | Phase::Running => world.runs.insert(run.id.clone(), run.clone()),
            Phase::Ended => world.runs.remove(&run.id),
        };
        self.runs.insert(run.id.clone(), run);
    }

    /// Stores a message; one that waits no more leaves the world.
    pub fn put_message(&mut self, world: &mut World, message: Message) {
        match message.state {
            MessageState::Queued => world.messages.insert(message.id, message.clone()),
            MessageState::Delivered | MessageState::Refused => world.messages.remove(&message.id),
        };
        self.messages.insert(message.id, message);
    }

    /// Registers a project, or changes it.
    pub fn put_project(&mut self, world: &mut World, project: Project) {
        let mut projects = std::mem::take(&mut world.projects);
        match projects.iter_mut().find(|p| p.dir == project.dir) {
            Some(known) => *known = project.clone(),
            None => projects.push(project.clone()),
        }
        world.set_projects(projects);
        self.projects.push(project);
    }

    /// Sets or lifts a cooldown.
    pub fn put_cooldown(&mut self, world: &mut World, agent: &str, cooldown: Option<Cooldown>) {
        match &cooldown {
            Some(cooldown) => world.cooldowns.insert(agent.to_owned(), cooldown.clone()),
            None => world.cooldowns.remove(agent),
        };
        self.cooldowns.insert(agent.to_owned(), cooldown);
    }

    /// Adds a line to the history.
    pub fn note(
        &mut self,
        world: &mut World,
        now: Timestamp,
        task: Option<TaskId>,
        run: Option<RunId>,
        kind: &str,
        text: impl Into<String>,
    ) {
        world.last_seq += 1;
        self.entries.push(Entry {
            seq: world.last_seq,
            at: now,
            task_id: task,
            run_id: run,
            kind: kind.to_owned(),
            text: text.into(),
        });
    }

    /// The tasks that were touched, as they are now.
    pub fn touched_tasks(&self) -> impl Iterator<Item = (TaskId, Arc<Task>)> + '_ {
        self.tasks.iter().filter(|(id, _)| self.touched.contains(id)).map(|(id, task)| (*id, Arc::clone(task)))
    }

    /// The transaction.
    pub fn writes(&self) -> Vec<Write> {
        let tasks = self.tasks.values().cloned().map(Write::Task);
        let runs = self.runs.values().cloned().map(|run| Write::Run(Box::new(run)));
        let projects = self.projects.iter().cloned().map(Write::Project);
        let cooldowns = self.cooldowns.iter().map(|(agent, c)| Write::Cooldown(agent.clone(), c.clone()));
        let messages = self.messages.values().cloned().map(Write::Message);
        let entries = self.entries.iter().cloned().map(Write::Entry);
        let agreed = self.agreed.into_iter().map(Write::Agreed);
        tasks.chain(runs).chain(projects).chain(cooldowns).chain(messages).chain(entries).chain(agreed).collect()
    }
}
