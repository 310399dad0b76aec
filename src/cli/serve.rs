//! `orch serve` and `orch pulse`: run the engine in this process until it is done or stopped. Agents continue
//! either way.

mod beat;
mod detach;
mod findings;
mod opening;
mod respawn;
mod signals;

use super::context::{Context, need_programs};
use super::error::CliError;
use super::events;
use super::exit::Exit;
use super::pause;
use super::settings;
use super::ui::Ui;
use crate::daemon::{Running, Setup};
use crate::telemetry::{self, RotatingFile, Sink};
use beat::Beat;
use futures::FutureExt;
use opening::open;
use orch_api::client::{Client, Lines};
use orch_api::endpoint::{self, Events};
use orch_api::switches::ShutdownOrder;
use orch_api::types::EventView;
use orch_config::Config;
use orch_config::home::Home;
use orch_config::raw::OnSignal;
use orch_core::operations::service::{Departure, ShutdownMode};
use orch_engine::{EngineExit, Mode};
use orch_sys::process::{exit_after, with_few_arenas};
use orch_sys::supervised::Supervised;
use respawn::respawn;
use signals::{Order, Signals};
use std::sync::Arc;
use std::time::Duration;

/// The process exits within this time after a signal, even if something hangs.
const GONE: Duration = Duration::from_millis(4500);
/// How long agents may take to end that a signal interrupts (`engine.on_signal`).
const INTERRUPTING: Duration = Duration::from_secs(3);

/// Where the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Log {
    /// To .orch/orch.log in the home.
    File,
    /// To stderr, for a service manager that stores it.
    Stderr,
}

/// Arguments of `orch serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run one pass of the loop, then exit; agents continue
    #[arg(long, conflicts_with = "until_idle")]
    once: bool,
    /// Exit when nothing is left to do: 0 all done, 5 some task needs a person
    #[arg(long)]
    until_idle: bool,
    /// Replace a running daemon; agents continue
    #[arg(long, conflicts_with_all = ["once", "until_idle"])]
    replace: bool,
    /// Start in the background, and return when it answers; stop it with `orch shutdown`
    #[arg(long, short, conflicts_with_all = ["once", "until_idle"])]
    detach: bool,
    /// Internal: this process is the one that `--detach` starts
    #[arg(long, hide = true, conflicts_with = "detach")]
    background: bool,
    /// Do not create a missing home: its disk may not be mounted (for services)
    #[arg(long)]
    existing_home: bool,
    /// Where the log is written; ORCH_LOG sets what is logged
    #[arg(long, value_name = "WHERE", default_value = "file")]
    log: Log,
}

/// Arguments of `orch pulse`.
#[derive(Debug, clap::Args)]
pub struct Pulse {
    /// Where the log is written; ORCH_LOG sets what is logged
    #[arg(long, value_name = "WHERE", default_value = "file")]
    log: Log,
}

impl From<Pulse> for Args {
    fn from(pulse: Pulse) -> Self {
        Self {
            once: true,
            until_idle: false,
            replace: false,
            detach: false,
            background: false,
            existing_home: false,
            log: pulse.log,
        }
    }
}

/// Runs the engine.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    if !(args.once || args.detach)
        && let Err(error) = with_few_arenas()
    {
        tracing::warn!(%error, "the daemon will take more memory than it needs");
    }
    let setup = context.setup()?;
    if args.existing_home && !setup.home.state().is_dir() {
        return Err(no_home(&setup.home));
    }
    need_programs(&setup).await?;
    if args.detach {
        return detach::run(args.replace, &setup, context).await;
    }
    if args.background {
        detach::leave_terminal();
    }
    let mode = match (args.once, args.until_idle) {
        (true, _) => Mode::Once,
        (false, true) => Mode::UntilIdle,
        (false, false) => Mode::Serve,
    };
    let supervised = Supervised::from_environment(&context.environment).filter(|_| mode == Mode::Serve).map(Arc::new);
    // From here on signals are orders to this engine, also while it opens.
    let mut signals = Signals::listen(mode == Mode::Serve && !context.ui.is_watched())?;
    loop {
        let running = tokio::select! {
            running = open(&setup, mode, args.replace) => running?,
            order = signals.shutdown_order() => return Ok(order.exit),
        };
        start_log(args.log, &setup.home, context)?;
        let (pid, home) = (std::process::id(), setup.home.root().display());
        tracing::info!(mode = mode.as_str(), pid, %home, "orch serves");
        greet(mode, &setup, context);
        warn_of_damage(&running, context);
        let word = running.signals.clone();
        let beat = supervised.as_ref().map(|supervised| {
            supervised.ready(&format!("orch {} serves {home}", env!("CARGO_PKG_VERSION")));
            Beat::new(supervised, &running.client)
        });
        let (engine_exit, stopped) = serve(running, &mut signals, context, &setup.home, &word, mode).await;
        drop(beat);
        tracing::info!("orch leaves");
        if engine_exit.respawns {
            // The supervisor's time limit starts again.
            supervised.iter().for_each(|supervised| supervised.alive());
            return Err(respawn(context));
        }
        if engine_exit.reopens() {
            continue;
        }
        if let Some(why) = &engine_exit.unwritten {
            let text = CliError::Unwritten(why.clone()).to_string();
            tracing::error!("{text}");
            context.ui.warning(&text);
        }
        supervised.iter().for_each(|supervised| supervised.stopping());
        if matches!(mode, Mode::Once | Mode::UntilIdle) {
            // With unreadable settings nothing was started, so the pass has failed.
            settings::global(context, &setup.home)?;
        }
        return Ok(stopped.unwrap_or_else(|| exit_of(mode, &engine_exit)));
    }
}

fn no_home(home: &Home) -> CliError {
    CliError::NotFound {
        message: format!("there is no home of orch at {}", home.root().display()),
        hint: Some("is its disk mounted? `orch serve` without --existing-home makes a new one there".to_owned()),
    }
}

/// Warns the person who starts the engine about a damaged journal.
fn warn_of_damage(running: &Running, context: &Context) {
    if let Some(damage) = &running.rebuilt {
        tracing::error!("{}", damage.describe());
        context.ui.warning(&damage.describe());
    }
}

/// Runs until the engine ends by itself or a signal stops it.
async fn serve(
    running: Running,
    signals: &mut Signals,
    context: &Context,
    home: &Home,
    word: &orch_engine::Signals,
    mode: Mode,
) -> (EngineExit, Option<Exit>) {
    let watched = context.ui.is_watched() || context.ui.is_json();
    let client = running.client.clone();
    let events = if watched { running.client.stream(&events::part(None, None, true)).await.ok() } else { None };
    let mut printing = std::pin::pin!(async {
        print_pauses(&client, context).await;
        if mode == Mode::Serve {
            findings::print(&client, home, context).await;
        }
        if let Some(mut events) = events {
            // A closed terminal is no reason to stop.
            print_events(&mut events, context).await.ok();
        }
        std::future::pending::<()>().await;
    });
    let mut engine = std::pin::pin!(running.serve());
    let (early, stopped) = tokio::select! {
        engine_exit = &mut engine => (Some(engine_exit), None),
        order = signals.any() => (None, Some(order)),
        () = &mut printing => (None, None),
    };
    let (engine_exit, stopped) = match (early, stopped) {
        (Some(engine_exit), _) => (engine_exit, None),
        (None, Some(Order { departure, exit })) => {
            let stops = departure.how != ShutdownMode::Respawn;
            let _last_resort = stops.then(|| exit_after(GONE, Exit::Failed.code()));
            let interrupts = stops && on_signal(home, context) == OnSignal::Interrupt;
            word.remember(departure.clone());
            let interrupted = async {
                if interrupts && interrupt(&client, &departure).await {
                    tokio::time::sleep(INTERRUPTING).await;
                }
            };
            // The engine is asked once; at the latest then it shuts down with what has ended.
            let early = tokio::select! {
                engine_exit = &mut engine => Some(engine_exit),
                () = interrupted => None,
            };
            word.leave(departure.clone());
            let engine_exit = match early {
                Some(engine_exit) => engine_exit,
                None => engine.await,
            };
            (engine_exit, Some(exit))
        }
        // Nobody watches: the engine runs without printing.
        (None, None) => (engine.await, None),
    };
    // The last events have arrived already, and only need to be printed.
    printing.now_or_never();
    (engine_exit, stopped)
}

/// Returns the present setting for signals; with an unreadable configuration, the default.
fn on_signal(home: &Home, context: &Context) -> OnSignal {
    settings::global(context, home).map_or_else(|_| OnSignal::default(), |loaded| loaded.config.engine.on_signal)
}

/// Asks the engine to interrupt its agents. Returns whether it answered.
async fn interrupt(client: &Client, departure: &Departure) -> bool {
    let order = ShutdownOrder { how: ShutdownMode::Now, dry_run: false, why: Some(departure.why.clone()) };
    match client.raw(&endpoint::Shutdown { body: order }).await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "the agents are not interrupted, and keep running");
            false
        }
    }
}

async fn print_events(events: &mut Lines<Events<EventView>>, context: &Context) -> Result<(), CliError> {
    if context.ui.is_json() {
        return events::print(events, context).await;
    }
    while let Some(document) = events.document().await? {
        context.ui.note(&events::Event::read(&document)?.render(&context.now()));
    }
    Ok(())
}

fn exit_of(mode: Mode, engine_exit: &EngineExit) -> Exit {
    match mode {
        Mode::UntilIdle if engine_exit.person_needed => Exit::PersonNeeded,
        Mode::UntilIdle | Mode::Once if engine_exit.unwritten.is_some() => Exit::Failed,
        Mode::UntilIdle | Mode::Once | Mode::Serve | Mode::Command | Mode::Task(_) => Exit::Done,
    }
}

fn greet(mode: Mode, setup: &Setup, context: &Context) {
    let ui: &Ui = &context.ui;
    if mode == Mode::Serve && ui.is_watched() {
        let (home, log) = (setup.home.root().display(), setup.home.log());
        ui.note(&format!(
            "orch serves {home} (pid {}); log: {}; Ctrl-C stops it, agents keep running",
            std::process::id(),
            log.display()
        ));
    }
}

/// Prints all pauses, which need a person to end; also without a terminal, for the service manager's log.
async fn print_pauses(client: &Client, context: &Context) {
    if let Ok(status) = client.call(&endpoint::BriefStatus).await {
        status.paused.iter().for_each(|paused| context.ui.note(&pause::line(paused)));
    }
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

/// Starts the log of an engine in this process. A wrong `config.yml` does not prevent that.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_until_idle_asks_for_a_person_by_its_exit_code() {
        let needed = EngineExit { person_needed: true, ..EngineExit::default() };
        assert_eq!(exit_of(Mode::UntilIdle, &needed), Exit::PersonNeeded);
        assert_eq!(exit_of(Mode::UntilIdle, &EngineExit::default()), Exit::Done);
        assert_eq!(exit_of(Mode::Once, &needed), Exit::Done);
        assert_eq!(exit_of(Mode::Serve, &needed), Exit::Done);
    }

    #[test]
    fn a_pass_that_could_not_write_the_tasks_is_not_done() {
        let behind = EngineExit { unwritten: Some("the disk is full".to_owned()), ..EngineExit::default() };
        assert_eq!(exit_of(Mode::Once, &behind), Exit::Failed);
        assert_eq!(exit_of(Mode::UntilIdle, &behind), Exit::Failed);
        assert_eq!(exit_of(Mode::Serve, &behind), Exit::Done, "it was told to leave, and did");
    }
}
