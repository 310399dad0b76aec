//! Messages of the person to the agent of a task: taken, handed to a running agent or put into the next prompt, and
//! settled. What is to be done follows from the stored state; the run's receipts say what an agent received.

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::job::Job;
use crate::launch::run_start::project_name;
use crate::settings::directory_of;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::{MessageFact, ModelFact};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::once::Once;
use orch_core::tasks::event::Event;
use orch_core::tasks::lifecycle::Refused;
use orch_core::tasks::message::{Author, BadMessage, Message, MessageId, Via, check};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::{Phase, ReviewStage, State, Status, Task};
use std::collections::BTreeSet;

impl EngineHandle {
    /// Sends a message to the agent or person who works on a task. It is on disk when this returns; what becomes of it
    /// is in [`Self::messages_of`], and entries of the history say when to read that.
    pub async fn send(
        &self,
        task: TaskId,
        text: String,
        model: Option<String>,
        once: Option<Once>,
    ) -> Result<Message, EngineError> {
        let send = move |engine: &mut Engine, change_set: &mut ChangeSet, now| {
            engine.once(change_set, once, now, |engine, change_set| engine.send(change_set, task, text, model, now))
        };
        self.change(send).await
    }

    /// Returns all messages to a task, oldest first.
    pub async fn messages_of(&self, task: TaskId) -> Result<Vec<Message>, EngineError> {
        self.read(move |journal| journal.messages_of(task)).await
    }
}

impl Engine {
    /// Takes a message. What becomes of it is decided by the turn it is stored in, and by later ones.
    pub(crate) fn send(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        text: String,
        model: Option<String>,
        now: Timestamp,
    ) -> Result<Message, EngineError> {
        let task = self.task(id)?;
        check(&text).map_err(|error| bad(id, error))?;
        if let Some(model) = &model {
            self.check_model(&task, model, now)?;
        }
        if task.status().is_final() {
            let hint = "no agent will read it; `orch task retry` does the task again";
            return Err(EngineError::Refused { task: id, source: Refused::State { status: task.status(), hint } });
        }
        let message = Message::new(self.state.next_message_id(), id, text, now);
        change_set.put_message(&mut self.state, message.clone());
        change_set.note(&mut self.state, now, Some(id), None, MessageFact::Sent { text: message.text.clone() });
        if let Some(model) = model {
            change_set.note(&mut self.state, now, Some(id), None, ModelFact::Asked { model: model.clone() });
            let next = Task { next_model: Some(model), ..Task::clone(&task) };
            change_set.put_task(&mut self.state, next);
        }
        Ok(message)
    }

    /// Brings every message that waits as far as the state of its task allows.
    pub(crate) fn settle_messages(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        let waiting: Vec<Message> = self.state.messages.values().cloned().collect();
        for message in waiting {
            // A task that is settled is no longer in memory; how it ended is known.
            let Some(status) = self.state.status(message.task) else { continue };
            if message.from == Author::Orch {
                if !self.works_on(&message) {
                    self.refuse_message(change_set, message, "the run is over", now);
                }
                continue;
            }
            if status == Status::Done {
                self.refuse_message(change_set, message, "the task was done", now);
            } else if status == Status::Cancelled {
                self.refuse_message(change_set, message, "the task was cancelled", now);
            } else if self.state.tasks.get(&message.task).is_some_and(|task| self.can_go_on(task)) {
                self.expect(change_set, message.task, &Event::MessageWaits, now);
            }
        }
    }

    /// Returns whether the one agent that orch's own message is for is at work.
    fn works_on(&self, message: &Message) -> bool {
        let task = self.state.tasks.get(&message.task);
        task.is_some_and(
            |task| matches!(&task.state, State::InProgress { run, .. } if message.run.as_ref() == Some(run)),
        )
    }

    /// Returns whether another run can begin: what the last one left is judged, and it is not being integrated.
    fn can_go_on(&self, task: &Task) -> bool {
        if let State::InReview { run, review: ReviewStage::Integrating { .. } } = &task.state {
            return !self.jobs.is_under_way(&JobKey::Integrate(run.clone()));
        }
        // One that asks about a part cannot before the part is over: it would only ask again.
        task.status() == Status::NeedsReview && !task.awaited().iter().any(|part| self.is_open(*part))
    }

    fn is_open(&self, task: TaskId) -> bool {
        self.state.status(task).is_some_and(|status| !status.is_final())
    }

    /// No run can begin, and a person is asked: what they have said is returned, or it would bring the task here for
    /// ever.
    pub(crate) fn refuse_waiting(&mut self, change_set: &mut ChangeSet, task: TaskId, why: &str, now: Timestamp) {
        let of_person = |m: &&Message| m.task == task && m.from == Author::Person;
        let waiting: Vec<Message> = self.state.messages.values().filter(of_person).cloned().collect();
        for message in waiting {
            self.refuse_message(change_set, message, why, now);
        }
    }

    fn refuse_message(&mut self, change_set: &mut ChangeSet, message: Message, why: &str, now: Timestamp) {
        let message = message.refused(why, now);
        let fact = MessageFact::Refused { message: message.id, detail: message.detail.clone() };
        change_set.note(&mut self.state, now, Some(message.task), None, fact);
        change_set.put_message(&mut self.state, message);
    }

    /// Puts the messages that wait into the prompt of a run that begins.
    pub(crate) fn put_into_prompt(&mut self, change_set: &mut ChangeSet, task: TaskId, run: &RunId) {
        let of_person = |m: &&Message| m.task == task && m.from == Author::Person;
        let waiting: Vec<Message> = self.state.messages.values().filter(of_person).cloned().collect();
        for message in waiting {
            let message = Message { run: Some(run.clone()), via: Some(Via::Prompt), ..message };
            change_set.put_message(&mut self.state, message);
        }
    }

    /// Returns what the prompt of a run says, oldest first.
    pub(crate) fn said_in_prompt(&self, run: &RunId) -> Vec<Message> {
        let in_prompt = |m: &&Message| m.is_in_a_prompt() && m.run.as_ref() == Some(run);
        self.state.messages.values().filter(in_prompt).cloned().collect()
    }

    /// Records that an agent received these.
    pub(crate) fn on_heard(&mut self, change_set: &mut ChangeSet, heard: Vec<(RunId, MessageId)>, now: Timestamp) {
        for (run, id) in heard {
            let Some(message) = self.state.messages.get(&id).cloned() else { continue };
            let via =
                if message.is_in_a_prompt() && message.run.as_ref() == Some(&run) { Via::Prompt } else { Via::Live };
            self.deliver(change_set, message, run, via, now);
        }
    }

    fn deliver(&mut self, change_set: &mut ChangeSet, message: Message, run: RunId, via: Via, now: Timestamp) {
        let fact = MessageFact::Delivered { message: message.id, via };
        change_set.note(&mut self.state, now, Some(message.task), Some(run.clone()), fact);
        change_set.put_message(&mut self.state, message.delivered(run, via, now));
    }

    /// A run is over, or never started. What its prompt said counts as received when the agent answered; else it waits
    /// again, like everything that the run was handed and its agent did not take up.
    pub(crate) fn release_messages(&mut self, change_set: &mut ChangeSet, run: &RunId, answered: bool, now: Timestamp) {
        for message in self.said_in_prompt(run) {
            if answered {
                self.deliver(change_set, message, run.clone(), Via::Prompt, now);
            } else {
                change_set.put_message(&mut self.state, Message { run: None, via: None, ..message });
            }
        }
    }

    /// Returns the tasks for which a message waits.
    pub(crate) fn tasks_with_messages(&self) -> BTreeSet<TaskId> {
        self.state.messages.values().map(|message| message.task).collect()
    }

    /// Messages to hand to agents that work and can take them.
    pub(crate) fn deliveries(&mut self) -> Vec<Job> {
        let mut due = Vec::new();
        for message in self.state.messages.values().filter(|message| !message.is_in_a_prompt()) {
            let Some(task) = self.state.tasks.get(&message.task) else { continue };
            let State::InProgress { run, stopping: None, .. } = &task.state else { continue };
            let Some(run) = self.state.runs.get(run).filter(|r| r.phase == Phase::Running) else { continue };
            let is_for_it = message.from == Author::Person || message.run.as_ref() == Some(&run.id);
            if run.live && is_for_it && run.kind == RunKind::Work && self.watch.hands(&run.id, message.id) {
                let dir = directory_of(task, &self.state.projects).ok();
                let project = dir.map(|dir| project_name(&dir, &self.state.projects));
                due.push(Job::HandOver { run: run.id.clone(), message: message.clone(), project });
            }
        }
        due
    }
}

fn bad(task: TaskId, error: BadMessage) -> EngineError {
    let hint = match error {
        BadMessage::Empty => format!("orch task send {task} \"use the new API instead\""),
        BadMessage::TooLong { .. } => "put the details into a file of the repository and name it".to_owned(),
    };
    EngineError::Invalid { message: error.to_string(), hint: Some(hint) }
}
