//! What a turn changes, in the state and in the journal.

use super::{ANSWERS, ChangeSet, EngineState};
use jiff::Timestamp;
use orch_core::audit::actor::Actor;
use orch_core::audit::history::Fact;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::once::Answered;
use orch_core::economics::budget::Record;
use orch_core::operations::job::{Firing, JobId, JobRecord};
use orch_core::operations::pause::{Pause, PauseScope};
use orch_core::operations::service::ServiceEntry;
use orch_core::planning::breaker::Breaker;
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::message::{Message, MessageState};
use orch_core::tasks::task::{FileState, Phase, Run, Task};
use orch_store::journal::{Entry, Project};
use std::path::Path;
use std::sync::Arc;

impl ChangeSet {
    /// Stores a task.
    pub fn put_task(&mut self, state: &mut EngineState, mut task: Task) -> Arc<Task> {
        let before = state.tasks.get(&task.id).map(|before| before.status());
        let status = task.status();
        // What orch may write into the file from now on is orch's own value, whatever the report of the write says.
        if let FileState::Written { status: written, since, .. } = &mut task.file
            && before != Some(status)
            && *written != Some(status)
            && !since.contains(&status)
        {
            since.push(status);
        }
        let task = Arc::new(task);
        state.reserve_ids(task.id.0);
        state.learn_what_it_waits_for(&task);
        state.tasks.insert(task.id, Arc::clone(&task));
        self.touched.insert(task.id);
        self.tasks.insert(task.id, Arc::clone(&task));
        task
    }

    /// Stores what an older orch stored in an older way.
    pub fn renew(&mut self, state: &mut EngineState) {
        let tasks = std::mem::take(&mut state.unmarked).into_iter();
        self.tasks.extend(tasks.filter_map(|id| Some((id, Arc::clone(state.tasks.get(&id)?)))));
    }

    /// Stores a task of which only its place in the file changed: nothing is to be written there because of it.
    pub fn put_file_entry(&mut self, state: &mut EngineState, task: Task) {
        let id = task.id;
        let touched = self.touched.contains(&id);
        self.put_task(state, task);
        if !touched {
            self.touched.remove(&id);
        }
    }

    /// Stores a run; one that ended leaves the state.
    pub fn put_run(&mut self, state: &mut EngineState, run: Run) {
        match run.phase {
            Phase::Starting | Phase::Running => state.runs.insert(run.id.clone(), run.clone()),
            Phase::Ended => state.runs.remove(&run.id),
        };
        self.runs.insert(run.id.clone(), run);
    }

    /// Runs that the turn ends.
    pub fn ended_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().filter(|run| run.phase == Phase::Ended)
    }

    /// Stores what a person says was spent.
    pub fn put_spend(&mut self, record: Record) {
        self.spends.push(record);
    }

    /// Returns whether the turn stores such a word.
    pub fn records_spending(&self) -> bool {
        !self.spends.is_empty()
    }

    /// Stores a message; one that waits no more leaves the state.
    pub fn put_message(&mut self, state: &mut EngineState, message: Message) {
        match message.state {
            MessageState::Queued => state.messages.insert(message.id, message.clone()),
            MessageState::Delivered | MessageState::Refused => state.messages.remove(&message.id),
        };
        self.messages.insert(message.id, message);
    }

    /// Keeps what the request with this key was answered.
    pub fn put_answered(&mut self, state: &mut EngineState, key: String, answered: Answered) {
        if state.answered.len() >= ANSWERS {
            // They are in the journal as well.
            state.answered.clear();
        }
        state.answered.insert(key.clone(), answered.clone());
        self.answered.insert(key, answered);
    }

    /// Registers a project, or changes it.
    pub fn put_project(&mut self, state: &mut EngineState, project: Project) {
        let mut projects = std::mem::take(&mut state.projects);
        match projects.iter_mut().find(|p| p.dir == project.dir) {
            Some(known) => *known = project.clone(),
            None => projects.push(project.clone()),
        }
        state.set_projects(projects);
        self.projects.push((project.dir.clone(), Some(project)));
    }

    /// Forgets that a directory is registered.
    pub fn end_project(&mut self, state: &mut EngineState, dir: &Path) {
        let mut projects = std::mem::take(&mut state.projects);
        projects.retain(|project| project.dir != dir);
        state.set_projects(projects);
        self.projects.push((dir.to_owned(), None));
    }

    /// Sets or lifts a cooldown.
    pub fn put_cooldown(&mut self, state: &mut EngineState, agent: &str, cooldown: Option<Cooldown>) {
        match &cooldown {
            Some(cooldown) => state.cooldowns.insert(agent.to_owned(), cooldown.clone()),
            None => state.cooldowns.remove(agent),
        };
        self.cooldowns.insert(agent.to_owned(), cooldown);
    }

    /// Stores a breaker, or forgets it.
    pub fn put_breaker(&mut self, state: &mut EngineState, name: &str, breaker: Option<Breaker>) {
        match &breaker {
            Some(breaker) => state.breakers.insert(name.to_owned(), breaker.clone()),
            None => state.breakers.remove(name),
        };
        self.breakers.insert(name.to_owned(), breaker);
    }

    /// Adds a pause to the state and to the changes.
    pub fn put_pause(&mut self, state: &mut EngineState, pause: Pause) {
        self.pauses.push((pause.scope.clone(), Some(pause.clone())));
        state.pauses.put(pause);
    }

    /// Ends a pause.
    pub fn end_pause(&mut self, state: &mut EngineState, scope: &PauseScope) {
        state.pauses.remove(scope);
        self.pauses.push((scope.clone(), None));
    }

    /// Adds a start or an end of the daemon.
    pub fn put_service(&mut self, state: &mut EngineState, entry: ServiceEntry) {
        state.service.push(entry.clone());
        self.service.push(entry);
    }

    /// Stores what is known of a job, or forgets it.
    pub fn put_job(&mut self, state: &mut EngineState, id: &JobId, record: Option<JobRecord>) {
        let record = record.map(Arc::new);
        match &record {
            Some(record) => drop(state.jobs.insert(id.clone(), Arc::clone(record))),
            None => drop(state.jobs.remove(id)),
        }
        self.jobs.insert(id.clone(), record);
    }

    /// Stores a firing; one whose command is over leaves the state.
    pub fn put_firing(&mut self, state: &mut EngineState, firing: Firing) {
        let key = firing.key();
        if firing.is_open() {
            state.firings.insert(key.clone(), firing.clone());
        } else {
            state.firings.remove(&key);
        }
        self.firings.insert(key, firing);
    }

    /// Has the lines that `act` adds to the history say that `actor` did it.
    pub fn by<T>(&mut self, actor: Actor, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.actor, actor);
        let result = act(self);
        self.actor = before;
        result
    }

    /// The same for a person who has changed a file, unless the change has another actor already.
    pub fn by_file<T>(&mut self, file: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        let actor = if self.actor == Actor::Orch { Actor::person(file) } else { self.actor.clone() };
        self.by(actor, act)
    }

    /// Returns the actor of what happens now.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Adds a line to the history.
    pub fn note(
        &mut self,
        state: &mut EngineState,
        now: Timestamp,
        task: Option<TaskId>,
        run: Option<RunId>,
        fact: impl Into<Fact>,
    ) {
        state.last_seq += 1;
        self.entries.push(Entry {
            seq: state.last_seq,
            at: now,
            task_id: task,
            run_id: run,
            actor: self.actor.clone(),
            fact: fact.into(),
        });
    }

    /// The tasks that were touched, as they are now.
    pub fn touched_tasks(&self) -> impl Iterator<Item = (TaskId, Arc<Task>)> + '_ {
        self.tasks.iter().filter(|(id, _)| self.touched.contains(id)).map(|(id, task)| (*id, Arc::clone(task)))
    }
}
