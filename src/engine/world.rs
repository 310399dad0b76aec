//! The state that the loop owns, and the turn in which it changes: everything a turn changes is one transaction.

use crate::domain::ids::{RunId, TaskId};
use crate::domain::message::{Message, MessageId, MessageState};
use crate::domain::plan::{Cooldown, Scope, Snapshot};
use crate::domain::task::{FileState, Phase, Run, Task};
use crate::store::journal::{Entry, JournalError, Loaded, Project, Write};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything the engine knows.
#[derive(Debug, Default)]
pub struct World {
    /// All tasks.
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
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
    last_task_id: u64,
    last_seq: u64,
}

impl World {
    /// As the journal left it.
    pub fn from_journal(loaded: Loaded) -> Self {
        let highest = loaded.tasks.keys().next_back().map_or(0, |id| id.0);
        let mut world = Self {
            tasks: loaded.tasks,
            runs: loaded.live_runs.into_iter().map(|run| (run.id.clone(), run)).collect(),
            cooldowns: loaded.cooldowns,
            messages: loaded.messages.into_iter().map(|message| (message.id, message)).collect(),
            last_message_id: loaded.last_message_id,
            last_task_id: loaded.last_task_id.max(highest),
            last_seq: loaded.last_seq,
            ..Self::default()
        };
        world.set_projects(loaded.projects);
        world
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
        if let FileState::Written { since, .. } = &mut task.file
            && before != Some(status)
            && !since.contains(&status)
        {
            since.push(status);
        }
        let task = Arc::new(task);
        world.reserve_ids(task.id.0);
        world.tasks.insert(task.id, Arc::clone(&task));
        self.touched.insert(task.id);
        self.tasks.insert(task.id, Arc::clone(&task));
        task
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

    /// The transaction.
    pub fn writes(&self) -> Vec<Write> {
        let tasks = self.tasks.values().cloned().map(Write::Task);
        let runs = self.runs.values().cloned().map(|run| Write::Run(Box::new(run)));
        let projects = self.projects.iter().cloned().map(Write::Project);
        let cooldowns = self.cooldowns.iter().map(|(agent, c)| Write::Cooldown(agent.clone(), c.clone()));
        let messages = self.messages.values().cloned().map(Write::Message);
        let entries = self.entries.iter().cloned().map(Write::Entry);
        tasks.chain(runs).chain(projects).chain(cooldowns).chain(messages).chain(entries).collect()
    }
}
