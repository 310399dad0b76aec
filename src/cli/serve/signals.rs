//! What signals mean to the daemon. INT and TERM: leave. HUP: of a daemon without a terminal, start anew with the program
//! as it is now; of one whose terminal is gone, leave.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_core::service::{Cause, Departure, ShutdownMode};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop an engine at once.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// HUP is an order to start anew.
    reloads: bool,
    /// That order came while the engine opened, and is still to be obeyed.
    early: bool,
}

/// What a signal orders.
pub struct Order {
    /// How to leave, and why.
    pub departure: Departure,
    /// The exit code that it means.
    pub exit: Exit,
}

/// The order to start anew.
fn anew() -> Order {
    Order { departure: Departure::new(ShutdownMode::Respawn, Cause::Signal, "SIGHUP"), exit: Exit::Done }
}

impl Signals {
    /// Listens from now on.
    pub fn listen(reloads: bool) -> Result<Self, CliError> {
        let on = |kind| signal(kind).map_err(CliError::system("cannot listen for signals"));
        // The last one is caught once the others are heard, not only caught.
        Ok(Self {
            hangup: on(SignalKind::hangup())?,
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            reloads,
            early: false,
        })
    }

    /// Waits for an order to leave while the engine opens. One to start anew is kept until it is open: it must not end
    /// the service.
    pub async fn told_to_leave(&mut self) -> Order {
        loop {
            let order = self.heard().await;
            if order.departure.how != ShutdownMode::Respawn {
                return order;
            }
            self.early = true;
        }
    }

    /// Waits for one of them.
    pub async fn any(&mut self) -> Order {
        if std::mem::take(&mut self.early) { anew() } else { self.heard().await }
    }

    async fn heard(&mut self) -> Order {
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
