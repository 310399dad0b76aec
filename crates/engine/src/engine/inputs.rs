//! What reaches the loop from outside: commands, news of runs and files, and the tick.

use crate::deps::job_key::JobKey;
use crate::engine::command::Command;
use crate::job::report::Report;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

pub(crate) enum Input {
    Command(Command),
    Report(JobKey, Report),
    /// A file of the home changed.
    Files,
    /// Poll the runs. Carries nothing.
    Wake,
    /// The periodic check of everything.
    Tick,
    /// A hold ends, or something that was put off is due.
    Due,
    /// No sender of commands is left.
    Unattended,
    /// The journal is damaged.
    Damaged,
    Shutdown,
}

/// Where inputs come from.
pub(crate) struct Inputs {
    commands: mpsc::Receiver<Command>,
    wake: Arc<Notify>,
    files: Arc<Notify>,
    /// No sender of commands is left.
    is_unattended: bool,
    /// When the runs are polled next, should a wake-up be lost.
    next_tick: Instant,
}

impl Inputs {
    pub(crate) fn new(
        commands: mpsc::Receiver<Command>,
        wake: Arc<Notify>,
        files: Arc<Notify>,
        next_tick: Instant,
    ) -> Self {
        Self { commands, wake, files, is_unattended: false, next_tick }
    }

    /// Waits for a command, where these are taken, or for news of runs or files. Cancel safe: channels and notifications
    /// lose nothing when this is dropped half-way.
    pub(crate) async fn next(&mut self, takes_commands: bool) -> Input {
        tokio::select! {
            biased;
            command = self.commands.recv(), if takes_commands && !self.is_unattended => match command {
                Some(command) => Input::Command(command),
                None => Input::Unattended,
            },
            () = self.wake.notified() => Input::Wake,
            () = self.files.notified() => Input::Files,
        }
    }

    /// A command that is there already.
    pub(crate) fn try_command(&mut self) -> Option<Command> {
        self.commands.try_recv().ok()
    }

    /// Waits for a command. `None`: no sender is left.
    pub(crate) async fn command(&mut self) -> Option<Command> {
        self.commands.recv().await
    }

    /// Records that no command comes any more.
    pub(crate) fn set_unattended(&mut self) {
        self.is_unattended = true;
    }

    pub(crate) fn is_unattended(&self) -> bool {
        self.is_unattended
    }

    pub(crate) fn next_tick(&self) -> Instant {
        self.next_tick
    }

    pub(crate) fn set_next_tick(&mut self, at: Instant) {
        self.next_tick = at;
    }
}
