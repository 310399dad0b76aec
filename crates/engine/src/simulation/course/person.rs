//! A person at the command line: asks the engine, and waits for the answer.

use super::super::outside::DIR;
use super::super::rules::Broken;
use super::super::scenario::{Millis, Word};
use super::Course;
use crate::engine::Engine;
use crate::engine::command::Command;
use crate::engine::inputs::Input;
use crate::error::EngineError;
use crate::handle::{BatchOrder, ReviewDecision, UnderWay};
use crate::service::switches::Switched;
use crate::state::ChangeSet;
use crate::tasks::batches::NewBatch;
use crate::tasks::claims::Claiming;
use crate::tasks::commands::Request;
use crate::tasks::view::View;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::operations::pause::{PauseScope, PauseSelector};
use orch_core::operations::service::{Cause, Departure, ShutdownMode};
use orch_core::planning::batch::{Batch, BatchName};
use orch_core::tasks::message::Message;
use orch_core::tasks::task::{Spec, Status, Task};
use orch_store::journal::JournalError;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::oneshot::{Receiver, channel};

/// An answer that somebody waits for.
pub(super) enum Awaited {
    Added(usize, Receiver<Result<Arc<Task>, EngineError>>),
    Asked(Receiver<Result<Arc<Task>, EngineError>>),
    Sent(Receiver<Result<Message, EngineError>>),
    Unblocked(Receiver<Result<Vec<TaskId>, EngineError>>),
    Looked(Receiver<Result<View, EngineError>>),
    Claimed(Receiver<Result<Arc<Task>, EngineError>>),
    Decided(Receiver<Result<Vec<Arc<Task>>, EngineError>>),
    Switched(Receiver<Result<Switched, EngineError>>),
    Leaving(Receiver<Result<Vec<UnderWay>, EngineError>>),
    Batched(Receiver<Result<Arc<Batch>, EngineError>>),
}

impl Course<'_> {
    pub(super) fn command(&mut self, command: Command, awaited: Awaited) {
        if let (Some(engine), Some(_)) = (&mut self.engine, &self.unstored) {
            // What the real loop does while nothing can be stored.
            engine.refuse(command, &Arc::new(JournalError::Stopped { path: PathBuf::new() }));
            if engine.lifetime.is_stopped() {
                // Told to leave: what could not be stored is as if it had not been.
                self.die(self.down);
            }
            return;
        }
        if self.engine.is_some() {
            self.commands.push_back((command, awaited));
        }
    }

    fn change<T: Send + 'static>(
        &mut self,
        awaited: impl FnOnce(Receiver<Result<T, EngineError>>) -> Awaited,
        change: impl FnOnce(&mut Engine, &mut ChangeSet, Timestamp) -> Result<T, EngineError> + Send + 'static,
    ) {
        let (reply, answer) = channel();
        self.command(Command::change(reply, change), awaited(answer));
    }

    pub(super) fn add(
        &mut self,
        wish: usize,
        priority: i64,
        after: &[usize],
        agent: Option<&'static str>,
        no_project: bool,
    ) {
        let spec = Spec {
            title: format!("wish {wish}"),
            priority,
            depends_on: after.iter().filter_map(|other| self.ids.get(other)).copied().collect(),
            labels: vec![format!("files:src/{}.rs", wish % 4)],
            dir: (!no_project).then(|| PathBuf::from(DIR)),
            agent: agent.map(str::to_owned),
            ..Spec::default()
        };
        self.change(|answer| Awaited::Added(wish, answer), |engine, change_set, now| engine.add(change_set, spec, now));
    }

    pub(super) fn ask(&mut self, task: TaskId, request: Request) {
        match request {
            Request::Retry => drop(self.rules.asked_again.insert(task)),
            Request::Run { past_pause: true, .. } => drop(self.rules.past_pause.insert(task)),
            Request::Run { past_pause: false, .. } | Request::Interrupt | Request::Cancel | Request::Unblock => {}
        }
        self.change(Awaited::Asked, move |engine, change_set, now| engine.ask(change_set, task, request, now));
    }

    pub(super) fn rule(&mut self, wish: usize, word: Word) {
        let Some(task) = self.ids.get(&wish).copied() else { return };
        let commit = "the tip".to_owned();
        let ruling = match word {
            Word::Approve => ReviewDecision::Approve { commit },
            Word::Merge => ReviewDecision::Merge { commit },
            Word::Revert => ReviewDecision::Revert,
            Word::Reject => ReviewDecision::Reject { reason: "not like this".to_owned() },
        };
        self.rules.ruled.insert(task);
        let rule = move |engine: &mut Engine, change_set: &mut ChangeSet, now| {
            engine.rule(change_set, task, ruling, None, now)
        };
        self.change(Awaited::Asked, rule);
    }

    pub(super) fn send(&mut self, wish: usize) {
        let Some(task) = self.ids.get(&wish).copied() else { return };
        let text = "and mind the tests".to_owned();
        self.change(Awaited::Sent, move |engine, change_set, now| engine.send(change_set, task, text, None, now));
    }

    pub(super) fn claim(&mut self, task: TaskId, claiming: Claiming) {
        let (reply, answer) = channel();
        self.command(Command::claim(task, claiming, reply), Awaited::Claimed(answer));
    }

    fn order_batch(&mut self, order: BatchOrder) {
        self.change(Awaited::Batched, |engine, change_set, now| engine.order_batch(change_set, order, now));
    }

    pub(super) fn make_batch(&mut self, batch: usize, of: &[usize], concurrency: u32, budget: Option<i64>) {
        let tasks: Vec<TaskId> = of.iter().filter_map(|wish| self.ids.get(wish)).copied().collect();
        // What is over cannot be in one: those who ask know that mostly.
        let is_over = |id: &TaskId| self.stored.tables().tasks.get(id).is_some_and(|task| task.status().is_final());
        let tasks = tasks.into_iter().filter(|id| batch == 0 || !is_over(id)).collect();
        let budget = budget.map(Usd::from_micros);
        self.order_batch(BatchOrder::Create(NewBatch { name: name_of(batch), tasks, concurrency, budget }));
    }

    pub(super) fn set_batch(&mut self, batch: usize, concurrency: u32, budget: Option<Option<i64>>) {
        let budget = budget.map(|budget| budget.map(Usd::from_micros));
        self.order_batch(BatchOrder::Set { name: name_of(batch), concurrency: Some(concurrency), budget });
    }

    pub(super) fn cancel_batch(&mut self, batch: usize) {
        self.order_batch(BatchOrder::Cancel { name: name_of(batch), by: "ada".to_owned() });
    }

    /// No batch has a budget any more.
    fn free_batches(&mut self) {
        let open: Vec<BatchName> =
            self.stored.tables().batches.values().filter(|one| one.end.is_none()).map(|one| one.name.clone()).collect();
        for name in open {
            self.order_batch(BatchOrder::Set { name, concurrency: None, budget: Some(None) });
        }
    }

    /// The owner of a claim lets go of it.
    pub(super) fn let_go_of_all(&mut self) {
        let is_held = |task: &&Arc<Task>| task.spec.assignee.is_some();
        let held: Vec<TaskId> = self.stored.tables().tasks.values().filter(is_held).map(|task| task.id).collect();
        for task in held {
            self.claim(task, Claiming { by: None, lets_go: true, force: true });
        }
    }

    pub(super) fn unblock_all(&mut self) {
        self.change(Awaited::Unblocked, |engine, change_set, now| Ok(engine.unblock_all(change_set, now)));
    }

    pub(super) fn take_snapshot(&mut self) {
        let (reply, answer) = channel();
        self.command(Command::read(reply, Engine::view), Awaited::Looked(answer));
    }

    /// Pauses something, or lets it go on.
    pub(super) fn switch(&mut self, wanted: PauseSelector, pauses: bool) {
        let switch = move |engine: &mut Engine, change_set: &mut ChangeSet, now| {
            engine.switch(change_set, &wanted, pauses, "ada".to_owned(), now)
        };
        self.change(Awaited::Switched, switch);
    }

    /// Lets everything go on.
    pub(super) fn resume_all(&mut self) {
        self.free_batches();
        let scopes: Vec<PauseScope> = self.stored.tables().pauses.iter().map(|pause| pause.scope.clone()).collect();
        for scope in scopes {
            let wanted = match scope {
                PauseScope::All => PauseSelector::All,
                PauseScope::Agent { name } => PauseSelector::Agent(name),
                PauseScope::Project { name, .. } => PauseSelector::Project(name),
            };
            self.switch(wanted, false);
        }
    }

    /// `orch shutdown`; the daemon is there again so much later.
    pub(super) fn shut_down(&mut self, how: ShutdownMode, down: Millis) {
        let (reply, answer) = channel();
        let departure = Departure::new(how, Cause::Command, "orch shutdown by ada");
        self.down = down;
        self.command(Command::shut_down(departure, false, reply), Awaited::Leaving(answer));
    }

    /// Sends on whatever asks, and takes up what was given up.
    pub(super) fn answer_everything(&mut self) {
        let open: Vec<(TaskId, Status)> =
            self.stored.tables().tasks.values().map(|task| (task.id, task.status())).collect();
        for (id, status) in open {
            match status {
                Status::NeedsReview => self.ask(id, Request::Unblock),
                Status::Cancelled => self.ask(id, Request::Retry),
                Status::New
                | Status::Routed
                | Status::InProgress
                | Status::InReview
                | Status::Done
                | Status::Blocked => {}
            }
        }
        self.inputs.push(Input::Wake);
    }

    /// Everybody who asked is answered when the turn is stored.
    pub(super) fn read_answers(&mut self) -> Result<(), Broken> {
        for awaited in std::mem::take(&mut self.awaited) {
            match awaited {
                Awaited::Added(wish, mut answer) => {
                    if let Some(task) = answered(answer.try_recv())? {
                        if !self.stored.tables().tasks.contains_key(&task.id) {
                            return Err(Broken(format!("task {} was promised and is not stored", task.id)));
                        }
                        self.ids.insert(wish, task.id);
                    }
                }
                Awaited::Asked(mut answer) => drop(answered(answer.try_recv())?),
                Awaited::Sent(mut answer) => {
                    if let Some(message) = answered(answer.try_recv())?
                        && !self.stored.tables().messages.contains_key(&message.id)
                    {
                        return Err(Broken(format!("message {} was promised and is not stored", message.id)));
                    }
                }
                Awaited::Unblocked(mut answer) => drop(answered(answer.try_recv())?),
                Awaited::Claimed(mut answer) => match answer.try_recv() {
                    // So does this.
                    Err(TryRecvError::Empty) => self.awaited.push(Awaited::Claimed(answer)),
                    told => drop(answered(told)?),
                },
                Awaited::Decided(mut answer) => match answer.try_recv() {
                    // It waits until the file is read.
                    Err(TryRecvError::Empty) => self.awaited.push(Awaited::Decided(answer)),
                    told => drop(answered(told)?),
                },
                Awaited::Switched(mut answer) => drop(answered(answer.try_recv())?),
                Awaited::Batched(mut answer) => drop(answered(answer.try_recv())?),
                Awaited::Leaving(mut answer) => drop(answered(answer.try_recv())?),
                Awaited::Looked(mut answer) => drop(answered(answer.try_recv())?),
            }
        }
        Ok(())
    }
}

fn name_of(batch: usize) -> BatchName {
    format!("batch-{batch}").parse().expect("a name")
}

/// The answer, or nothing where the engine says why not.
fn answered<T>(answer: Result<Result<T, EngineError>, TryRecvError>) -> Result<Option<T>, Broken> {
    match answer {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(
            EngineError::Refused { .. }
            | EngineError::Invalid { .. }
            | EngineError::NotNow { .. }
            | EngineError::Paused { .. }
            | EngineError::InTheWay { .. }
            | EngineError::Claimed { .. }
            | EngineError::NotYetStored(_)
            | EngineError::Journal(_),
        )) => Ok(None),
        Ok(Err(
            error @ (EngineError::NoTask(_)
            | EngineError::NoBreaker(_)
            | EngineError::Clash { .. }
            | EngineError::NotThere { .. }
            | EngineError::Stopping),
        )) => Err(Broken(format!("an answer: {error}"))),
        Err(error) => Err(Broken(format!("nobody answers: {error}"))),
    }
}
