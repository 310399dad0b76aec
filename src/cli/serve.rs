//! `orch serve` and `orch pulse`: the engine in this process, until it is done or told to leave. Agents go on either way.

use super::context::{ABOUT, Context, need_programs};
use super::error::CliError;
use super::events;
use super::exit::Exit;
use super::settings;
use super::ui::Ui;
use crate::adapters::process::raise_file_limit;
use crate::api::status::StatusView;
use crate::config::Config;
use crate::config::home::Home;
use crate::daemon::{OpenError, Running, Setup};
use crate::engine::{Farewell, Mode};
use crate::telemetry::{self, RotatingFile, Sink};
use futures::FutureExt;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long the engine of a short command is waited for.
const HANDOVER: Duration = Duration::from_secs(10);

/// Where the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Log {
    /// To .orch/orch.log under the home.
    File,
    /// To stderr, for a service manager that keeps it.
    Stderr,
}

/// Arguments of `orch serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One pass of the loop, then leave; agents go on
    #[arg(long, conflicts_with = "until_idle")]
    once: bool,
    /// Leave when nothing is left to do: 0 all done, 5 some task needs a person
    #[arg(long)]
    until_idle: bool,
    /// Where the log goes; ORCH_LOG chooses what is logged
    #[arg(long, value_name = "WHERE", default_value = "file")]
    log: Log,
}

/// Arguments of `orch pulse`.
#[derive(Debug, clap::Args)]
pub struct Pulse {
    /// Where the log goes; ORCH_LOG chooses what is logged
    #[arg(long, value_name = "WHERE", default_value = "file")]
    log: Log,
}

impl From<Pulse> for Args {
    fn from(pulse: Pulse) -> Self {
        Self { once: true, until_idle: false, log: pulse.log }
    }
}

/// Serves.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let setup = context.setup()?;
    need_programs(&setup).await?;
    let mode = match (args.once, args.until_idle) {
        (true, _) => Mode::Once,
        (false, true) => Mode::UntilIdle,
        (false, false) => Mode::Serve,
    };
    if mode == Mode::Serve {
        raise_file_limit();
    }
    // From here on a signal is an order to this engine, also while it opens.
    let mut signals = Signals::listen()?;
    let running = tokio::select! {
        running = open(&setup, mode) => running?,
        exit = signals.any() => return Ok(exit),
    };
    start_log(args.log, &setup.home, context)?;
    tracing::info!(mode = mode.as_str(), pid = std::process::id(), home = %setup.home.root().display(), "orch serves");
    greet(mode, &setup, context);
    let shutdown = running.signals.shutdown.clone();
    let (farewell, stopped) = serve(running, &mut signals, context, &shutdown).await;
    tracing::info!("orch leaves");
    Ok(stopped.unwrap_or_else(|| exit_of(mode, farewell)))
}

/// Serves until the engine leaves by itself, or a signal makes it.
async fn serve(
    running: Running,
    signals: &mut Signals,
    context: &Context,
    shutdown: &CancellationToken,
) -> (Farewell, Option<Exit>) {
    let watched = context.ui.is_watched() || context.ui.is_json();
    let events = if watched { running.client.stream(&events::path(None, None, true)).await.ok() } else { None };
    let mut told = std::pin::pin!(async {
        if let Some(mut events) = events {
            // A terminal that is gone is no reason to stop serving.
            tell(&mut events, context).await.ok();
        }
        std::future::pending::<()>().await;
    });
    let mut engine = std::pin::pin!(running.serve());
    let (early, stopped) = tokio::select! {
        farewell = &mut engine => (Some(farewell), None),
        exit = signals.any() => (None, Some(exit)),
        () = &mut told => (None, None),
    };
    let farewell = match early {
        Some(farewell) => farewell,
        None => {
            shutdown.cancel();
            engine.await
        }
    };
    // What happened last is there already, and only has to be printed.
    told.now_or_never();
    (farewell, stopped)
}

async fn tell(events: &mut crate::api::client::Lines, context: &Context) -> Result<(), CliError> {
    if context.ui.is_json() {
        return events::print(events, context).await;
    }
    while let Some(document) = events.event().await? {
        context.ui.note(&events::Event::read(&document)?.told(&context.now()));
    }
    Ok(())
}

fn exit_of(mode: Mode, farewell: Farewell) -> Exit {
    match mode {
        Mode::UntilIdle if farewell.person_needed => Exit::PersonNeeded,
        Mode::UntilIdle | Mode::Once | Mode::Serve | Mode::Command | Mode::Task(_) => Exit::Done,
    }
}

fn greet(mode: Mode, setup: &Setup, context: &Context) {
    let ui: &Ui = &context.ui;
    if mode == Mode::Serve && ui.is_watched() {
        let (home, log) = (setup.home.root().display(), setup.home.log());
        ui.note(&format!(
            "orch serves {home} (pid {}); log: {}; Ctrl-C stops it, agents go on",
            std::process::id(),
            log.display()
        ));
    }
}

/// Opens the engine. Another short command's is waited for; another daemon is told.
async fn open(setup: &Setup, mode: Mode) -> Result<Running, CliError> {
    let deadline = tokio::time::Instant::from_std(crate::adapters::clock::instant()) + HANDOVER;
    loop {
        let busy = match setup.open(mode).await {
            Err(error @ OpenError::Busy { .. }) => error,
            other => return Ok(other?),
        };
        if let Some(status) = who(setup).await
            && status.mode != Mode::Command.as_str()
        {
            return Err(CliError::Refused {
                message: format!("orch runs already as {} (pid {})", status.mode, status.pid),
                hint: Some("orch status tells how it is; there is one engine for each ORCH_HOME".to_owned()),
            });
        }
        if tokio::time::timeout_at(deadline, tokio::time::sleep(Duration::from_millis(20))).await.is_err() {
            return Err(busy.into());
        }
    }
}

async fn who(setup: &Setup) -> Option<StatusView> {
    setup.connect().await?.get(ABOUT).await.ok()
}

fn start_log(log: Log, home: &Home, context: &Context) -> Result<(), CliError> {
    match log {
        Log::File => log_to_file(home, context),
        Log::Stderr => {
            telemetry::start(Sink::Stderr, filter(context));
            Ok(())
        }
    }
}

fn filter(context: &Context) -> Option<&str> {
    context.environment.get("ORCH_LOG").map(String::as_str).filter(|filter| !filter.is_empty())
}

/// Starts the log of an engine in this process. A wrong `config.yml` does not keep it from starting.
pub fn log_to_file(home: &Home, context: &Context) -> Result<(), CliError> {
    let config = settings::global(context, home).map_or_else(|_| Config::default(), |loaded| loaded.config);
    let redactor = config.redactor(&context.environment);
    let log = config.log;
    let path = home.log();
    let file = RotatingFile::open(&path, log.max_megabytes.saturating_mul(1_000_000), log.keep, redactor)
        .map_err(CliError::system(format!("cannot open the log {}", path.display())))?;
    telemetry::start(Sink::File(file), filter(context));
    Ok(())
}

/// The signals that stop an engine at once.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CliError> {
        let on = |kind| signal(kind).map_err(CliError::system("cannot listen for signals"));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them, and tells the exit code that it means.
    async fn any(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Done,
            _ = self.hangup.recv() => Exit::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_until_idle_asks_for_a_person_by_its_exit_code() {
        let needed = Farewell { person_needed: true };
        assert_eq!(exit_of(Mode::UntilIdle, needed), Exit::PersonNeeded);
        assert_eq!(exit_of(Mode::UntilIdle, Farewell { person_needed: false }), Exit::Done);
        assert_eq!(exit_of(Mode::Once, needed), Exit::Done);
        assert_eq!(exit_of(Mode::Serve, needed), Exit::Done);
    }
}
