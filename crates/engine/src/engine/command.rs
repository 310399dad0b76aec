//! What is asked of the engine: a change of its state, a job to start, or a snapshot. Each command is written once, as
//! the closure that carries it out.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::state::ChangeSet;
use crate::state::reply::{Reply, answer};
use jiff::Timestamp;
use orch_core::audit::actor::Actor;
use orch_store::journal::JournalError;
use std::sync::Arc;

/// A command on its way to the engine. While nothing can be stored it gets the journal's error in place of a change
/// set.
pub(crate) struct Command {
    carry_out: Box<CarryOut>,
    actor: Actor,
}

type CarryOut = dyn FnOnce(&mut Engine, Result<&mut ChangeSet, &Arc<JournalError>>, Timestamp) + Send;

impl Command {
    /// A command that says itself what it does while nothing can be stored.
    pub fn new(
        carry_out: impl FnOnce(&mut Engine, Result<&mut ChangeSet, &Arc<JournalError>>, Timestamp) + Send + 'static,
    ) -> Self {
        Self { carry_out: Box::new(carry_out), actor: Actor::Orch }
    }

    /// Sets who gives the command.
    pub fn by(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    /// Changes the state. The answer leaves when the change is on disk.
    pub fn change<T: Send + 'static>(
        reply: Reply<T>,
        change: impl FnOnce(&mut Engine, &mut ChangeSet, Timestamp) -> Result<T, EngineError> + Send + 'static,
    ) -> Self {
        Self::begin(reply, |engine, change_set, reply, now| {
            let result = change(engine, change_set, now);
            answer(change_set, reply, result);
        })
    }

    /// Begins something that answers later.
    pub fn begin<T: Send + 'static>(
        reply: Reply<T>,
        begin: impl FnOnce(&mut Engine, &mut ChangeSet, Reply<T>, Timestamp) + Send + 'static,
    ) -> Self {
        Self::new(|engine, change_set, now| match change_set {
            Ok(change_set) => begin(engine, change_set, reply, now),
            // A caller that went away does not need the answer.
            Err(error) => drop(reply.send(Err(EngineError::Journal(Arc::clone(error))))),
        })
    }

    /// Changes the state once `tasks.yml` has been read, because a person may just have written something else there.
    /// `waits_for_save`: also once the file is no longer being saved.
    pub fn parked<T: Send + 'static>(
        reply: Reply<T>,
        waits_for_save: bool,
        change: impl FnOnce(&mut Engine, &mut ChangeSet, Timestamp) -> Result<T, EngineError> + Send + 'static,
    ) -> Self {
        Self::begin(reply, move |engine, change_set, reply, _| {
            let command = Self::change(reply, change).by(change_set.actor().clone());
            engine.file.park(Parked { waits_for_save, command });
            engine.read_files();
        })
    }

    /// Reads the state, which is possible whether or not anything can be stored.
    pub fn read<T: Send + 'static>(
        reply: Reply<T>,
        read: impl FnOnce(&Engine, Timestamp) -> T + Send + 'static,
    ) -> Self {
        Self::new(|engine, change_set, now| {
            let answer = Ok(read(engine, now));
            match change_set {
                Ok(change_set) => change_set.replies.push(Box::new(move |_| drop(reply.send(answer)))),
                Err(_) => drop(reply.send(answer)),
            }
        })
    }
}

/// A command that waits for the next reading of `tasks.yml`.
pub(crate) struct Parked {
    pub waits_for_save: bool,
    pub command: Command,
}

impl Engine {
    /// Carries a command out in a turn.
    pub(crate) fn on_command(&mut self, change_set: &mut ChangeSet, command: Command, now: Timestamp) {
        change_set.by(command.actor, |change_set| (command.carry_out)(self, Ok(change_set), now));
    }

    /// Answers a command while nothing can be stored.
    pub(crate) fn refuse(&mut self, command: Command, error: &Arc<JournalError>) {
        let now = self.deps.clock.now();
        (command.carry_out)(self, Err(error), now);
    }

    /// Carries out the commands that waited for `tasks.yml`, which was read.
    pub(crate) fn unpark(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        for command in self.file.take_parked() {
            self.on_command(change_set, command, now);
        }
    }
}
