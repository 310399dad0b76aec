//! The daemon's signals. INT and TERM: stop. HUP: without a terminal, restart with the program on the disk; with a
//! closed terminal, stop.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_core::operations::service::{Cause, Departure, ShutdownMode};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop an engine.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Whether HUP means restart.
    reloads: bool,
    /// Whether that signal arrived while the engine opened, and is pending.
    early: bool,
}

/// The order that a signal means.
pub struct Order {
    /// How to shut down, and why.
    pub departure: Departure,
    /// The exit code.
    pub exit: Exit,
}

/// Returns the order to restart.
fn anew() -> Order {
    Order { departure: Departure::new(ShutdownMode::Respawn, Cause::Signal, "SIGHUP"), exit: Exit::Done }
}

impl Signals {
    /// Starts listening.
    pub fn listen(reloads: bool) -> Result<Self, CliError> {
        let on = |kind| signal(kind).map_err(CliError::system("cannot listen for signals"));
        // The last signal is handled once the others are registered.
        Ok(Self {
            hangup: on(SignalKind::hangup())?,
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            reloads,
            early: false,
        })
    }

    /// Waits for an order to stop while the engine opens. A restart is deferred until it is open: it must not end the
    /// service.
    pub async fn shutdown_order(&mut self) -> Order {
        loop {
            let order = self.next_order().await;
            if order.departure.how != ShutdownMode::Respawn {
                return order;
            }
            self.early = true;
        }
    }

    /// Waits for any of the signals.
    pub async fn any(&mut self) -> Order {
        if std::mem::take(&mut self.early) { anew() } else { self.next_order().await }
    }

    async fn next_order(&mut self) -> Order {
        let stop = |why: &str, exit| Order { departure: Departure::new(ShutdownMode::Stop, Cause::Signal, why), exit };
        tokio::select! {
            _ = self.interrupt.recv() => stop("SIGINT", Exit::Interrupted),
            _ = self.terminate.recv() => stop("SIGTERM", Exit::Done),
            _ = self.hangup.recv() => match self.reloads {
                true => anew(),
                false => stop("SIGHUP", Exit::Done),
            },
        }
    }
}
