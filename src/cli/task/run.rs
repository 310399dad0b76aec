//! `orch task run`: runs a task now and shows it in this terminal. The engine is the daemon's, or one of this process
//! for this task; either way the agent runs in tmux and outlives this command.

use super::detail_view::{render_hold, render_integration, tried};
use super::settle::{settled, started};
use crate::cli::context::{Context, Engine, need_programs};
use crate::cli::error::CliError;
use crate::cli::events::{self, Event};
use crate::cli::exit::Exit;
use crate::cli::serve::log_to_file;
use crate::daemon::Setup;
use orch_api::client::{Client, ClientError, Lines};
use orch_api::endpoint::{self, Text};
use orch_api::evidence::IntegrationState;
use orch_api::queries::{OutputQuery, RunQuery};
use orch_api::status::EngineMode;
use orch_api::types::TaskView;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::task::Status;
use orch_engine::Mode;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// The longest time for which a change without an event goes unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How many engines may shut down while one task is followed.
const ENGINES: usize = 100;

/// Arguments of `orch task run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Even if it is paused
    #[arg(long)]
    anyway: bool,
    /// Start a new conversation; the branch and its commits stay
    #[arg(long)]
    force_new: bool,
}

fn wanted(id: TaskId, anyway: bool, force_new: bool) -> endpoint::TaskRun {
    let query = RunQuery { anyway: Some(anyway), force_new: Some(force_new), unchanged_since: None };
    endpoint::TaskRun { id, query }
}

/// Discards the conversation before an engine for this task can continue it.
async fn leave_conversation(args: &Args, context: &Context) -> Result<(), CliError> {
    let mut link = context.link().await?;
    let asked = link.raw(&wanted(args.id, args.anyway, true)).await;
    link.close().await?;
    asked.map(|_| ())
}

/// Runs the task until it comes to rest.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    if args.force_new {
        leave_conversation(&args, context).await?;
    }
    let setup = context.setup()?;
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut follow = Follow::new(&args, context);
    for _ in 0..ENGINES {
        let engine = open(&setup, args.id, context).await?;
        let ended = tokio::select! {
            ended = follow.through(engine.client()) => ended,
            _ = &mut interrupt => Ok(Ended::Interrupted),
        };
        match ended {
            Ok(Ended::Settled(task, exit)) => {
                // An engine of this process stores its changes before it shuts down.
                if let Err(why) = engine.leave().await {
                    context.ui.warning(&why.to_string());
                }
                print_end(&task, exit, context)?;
                return Ok(exit);
            }
            Ok(Ended::Interrupted) => {
                engine.stop().await;
                let id = args.id;
                context.ui.note(&format!("a running agent continues: orch task attach {id}, orch task cancel {id}"));
                return Ok(Exit::Interrupted);
            }
            // The daemon shut down: this process or the next daemon continues.
            Ok(Ended::Left) if matches!(engine, Engine::Daemon(..)) => {}
            Err(CliError::Client(error))
                if error.is_of_an_engine_that_left() && matches!(engine, Engine::Daemon(..)) => {}
            Ok(Ended::Left) => break,
            Err(error) => {
                engine.stop().await;
                return Err(error);
            }
        }
    }
    Err(ClientError::Broken("the engine stopped".to_owned()).into())
}

/// Connects to the daemon, or opens an engine of this process for this task.
pub(super) async fn open(setup: &Setup, id: TaskId, context: &Context) -> Result<Engine, CliError> {
    let engine = Engine::find(setup, Mode::Task(id)).await?;
    let ready = match &engine {
        Engine::Daemon(_, status) if status.mode == EngineMode::Task => Err(occupied(status.pid)),
        Engine::Daemon(..) => context.without_effect(&engine).map_or(Ok(()), |text| Err(own_settings(text))),
        Engine::Own(_) => prepare(setup, context).await,
    };
    match ready {
        Ok(()) => Ok(engine),
        Err(error) => {
            engine.stop().await;
            Err(error)
        }
    }
}

/// A run with other settings than the requested ones is worse than none.
fn own_settings(message: String) -> CliError {
    let hint = "orch config set KEY VALUE holds for the daemon as well; or orch shutdown, and then this command again";
    CliError::Refused { message, hint: Some(hint.to_owned()) }
}

fn occupied(pid: u32) -> CliError {
    CliError::Refused {
        message: format!("another terminal runs a task (pid {pid}), and no daemon is there for several"),
        hint: Some("orch serve, then orch task run; or wait until the other task is at rest".to_owned()),
    }
}

/// Checks what an engine of this process needs.
async fn prepare(setup: &Setup, context: &Context) -> Result<(), CliError> {
    need_programs(setup).await?;
    log_to_file(&setup.home, context)
}

/// How following ended.
enum Ended {
    /// The task has come to rest.
    Settled(Box<TaskView>, Exit),
    /// The engine shut down.
    Left,
    /// The person stopped watching.
    Interrupted,
}

/// The state of following, which continues with another engine after the last one shut down.
struct Follow<'a> {
    id: TaskId,
    context: &'a Context,
    /// Whether to run even if paused.
    anyway: bool,
    asked: bool,
    last_seq: Option<u64>,
    /// Runs whose output was shown to the end, or that ended before this command.
    shown: BTreeSet<RunId>,
    /// The run that is shown, and how many bytes were.
    current: Option<(RunId, u64)>,
}

impl<'a> Follow<'a> {
    fn new(args: &Args, context: &'a Context) -> Self {
        let Args { id, anyway, force_new: _ } = *args;
        Self { id, context, anyway, asked: false, last_seq: None, shown: BTreeSet::new(), current: None }
    }

    /// Requests the run and shows it, with this engine.
    async fn through(&mut self, client: &Client) -> Result<Ended, CliError> {
        // Subscribed before the request, so that nothing is missed.
        let mut events =
            client.stream(&events::part(self.last_seq.map(events::Place::After), Some(self.id), true)).await?;
        self.ask(client).await?;
        let mut output: Option<Lines<Text>> = None;
        let mut look = true;
        loop {
            if look {
                let task = self.fetch(client).await?;
                if output.is_none() {
                    output = self.open_output(client, &task).await?;
                }
                if output.is_none()
                    && let Some(exit) = settled(&task, self.context.now().at)
                {
                    return Ok(Ended::Settled(Box::new(task), exit));
                }
            }
            look = true;
            tokio::select! {
                piece = next_piece(&mut output) => look = self.show(&mut output, piece?)?,
                event = events.document() => match event? {
                    Some(event) => self.print_event(&event)?,
                    None => return Ok(Ended::Left),
                },
                () = tokio::time::sleep(LOOK_AGAIN), if output.is_none() => {}
            }
        }
    }

    async fn ask(&mut self, client: &Client) -> Result<(), CliError> {
        if self.asked {
            return Ok(());
        }
        let before = self.fetch(client).await?;
        self.shown = started(&before).filter(|run| run.outcome.is_some()).map(|run| run.run_id.clone()).collect();
        client.raw(&wanted(self.id, self.anyway, false)).await?;
        self.asked = true;
        Ok(())
    }

    async fn fetch(&self, client: &Client) -> Result<TaskView, CliError> {
        Ok(client.call(&endpoint::TaskShow { id: self.id }).await?)
    }

    /// Opens the output of the first run that was not shown yet.
    async fn open_output(&mut self, client: &Client, task: &TaskView) -> Result<Option<Lines<Text>>, CliError> {
        if self.context.ui.is_json() {
            return Ok(None);
        }
        let Some(run) = started(task).find(|run| !self.shown.contains(&run.run_id)) else { return Ok(None) };
        let from = match &self.current {
            Some((current, from)) if *current == run.run_id => *from,
            Some(_) | None => 0,
        };
        self.current = Some((run.run_id.clone(), from));
        let query = OutputQuery { run: Some(run.run_id.to_string()), from: Some(from) };
        match client.stream(&endpoint::TaskOutput { id: self.id, query }).await {
            Ok(output) => Ok(Some(output)),
            // The run still counts; only its output is missing.
            Err(ClientError::Answered(view)) => {
                self.context.ui.warning(&view.message);
                self.shown.insert(run.run_id.clone());
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Shows a chunk of output. Returns whether the run is over and the task should be read again.
    fn show(&mut self, output: &mut Option<Lines<Text>>, piece: Option<Vec<u8>>) -> Result<bool, CliError> {
        match (piece, &mut self.current) {
            (Some(piece), Some((_, offset))) => {
                *offset += piece.len() as u64;
                self.context.ui.bytes(&piece)?;
                Ok(false)
            }
            (None, current) => {
                self.shown.extend(current.take().map(|(run, _)| run));
                *output = None;
                Ok(true)
            }
            (Some(_), None) => Ok(false),
        }
    }

    fn print_event(&mut self, document: &Value) -> Result<(), CliError> {
        let event = Event::read(document)?;
        self.last_seq = Some(event.seq);
        if self.context.ui.is_json() {
            return self.context.ui.json(document);
        }
        self.context.ui.aside(&event.render(&self.context.now()));
        Ok(())
    }
}

/// Returns the next chunk; waits forever without an output.
async fn next_piece(output: &mut Option<Lines<Text>>) -> Result<Option<Vec<u8>>, ClientError> {
    match output {
        Some(output) => Ok(output.piece().await?.map(|piece| piece.to_vec())),
        None => std::future::pending().await,
    }
}

/// Prints the final state: the task's document, or its status and what to do next.
pub fn print_end(task: &TaskView, exit: Exit, context: &Context) -> Result<(), CliError> {
    if context.ui.is_json() {
        return context.ui.json(task);
    }
    let (ui, id) = (&context.ui, task.id);
    let kind = task.question_kind.map(|kind| format!(" ({})", kind.label())).unwrap_or_default();
    ui.note(&format!("task {id} is {}{kind}", task.status.as_str()));
    if let Some(question) = &task.question {
        ui.note(question);
        tried(task).into_iter().for_each(|tried| ui.note(&format!("tried: {tried}")));
        task.choices.iter().for_each(|choice| ui.note(&format!("  → {choice}")));
    }
    if let Some(hold) = task.hold.as_ref().filter(|_| exit == Exit::Parked) {
        ui.note(&render_hold(hold, &context.now()));
        ui.note(&format!("next: orch why {id}"));
    }
    if task.status == Status::Done {
        let result = render_integration(task).unwrap_or_else(|| "accepted".to_owned());
        let branch = task.branch.as_deref().map(|branch| format!(" ({branch})")).unwrap_or_default();
        let cost = task.cost_usd.map(|cost| format!(", {cost}")).unwrap_or_default();
        // What is kept on its branch is brought to the base by a merge.
        let is_kept = task.integration.as_ref().is_some_and(|integration| integration.state == IntegrationState::Kept);
        let next = if is_kept && task.judged.is_some() { "merge" } else { "show" };
        ui.note(&format!("{result}{branch}{cost}; next: orch task {next} {id}"));
    }
    Ok(())
}
