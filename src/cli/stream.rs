//! `orch stream`: shows the output of running agents. Continues across restarts of the daemon, and without one reads
//! the transcript itself. It remembers its position, so that nothing is lost or repeated.

mod local;
mod show;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::since::Since;
use super::task::run::print_end;
use super::task::settle::settled;
use crate::daemon::{OpenError, Setup};
use jiff::Timestamp;
use orch_api::client::Client;
use orch_api::endpoint::{self, Events, ToRequest};
use orch_api::queries::StreamQuery;
use orch_api::stream::{Cursor, StreamEvent};
use orch_api::types::TaskView;
use orch_chat::Sink;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::hold::HoldReason;
use orch_core::text::output::Part;
use orch_sys::clock;
use show::Show;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The interval between two looks for a daemon while there is nothing to read.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How many lines are shown at first if there is no terminal with a height.
const SCREEN: usize = 24;
/// How long to wait for the next daemon after a run was seen, because only a daemon knows what follows.
const HANDOVER: Duration = Duration::from_secs(10);

/// Arguments of `orch stream`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    id: Option<TaskId>,
    /// Every running task, each line with its id
    #[arg(long)]
    all: bool,
    /// From the start of the run; by default, from the last screenful
    #[arg(long, group = "place")]
    from_start: bool,
    /// From its last lines
    #[arg(long, value_name = "LINES", group = "place")]
    tail: Option<usize>,
    /// From the output since then: 10m, 2h, 3d, a day or a time (2026-08-01 14:30)
    #[arg(long, value_name = "TIME", group = "place")]
    since: Option<Since>,
    /// From this byte, as --json reports it
    #[arg(long, value_name = "BYTE", group = "place")]
    from: Option<u64>,
    /// Structured activity for programs: texts, tool calls with durations, file changes, tokens and cost so far, one
    /// JSON document per line
    #[arg(long, group = "part")]
    events: bool,
    /// The agent's own lines, with secrets masked
    #[arg(long, group = "part")]
    raw: bool,
}

impl Args {
    fn part(&self) -> Part {
        match (self.events, self.raw) {
            (true, _) => Part::Events,
            (false, true) => Part::Raw,
            (false, false) => Part::Output,
        }
    }
}

/// Returns where to start, as the API expects it.
fn place(args: &Args, context: &Context) -> Place {
    match (args.from, args.tail, args.since) {
        (Some(offset), _, _) => Place::Offset(offset),
        (None, Some(lines), _) => Place::Tail(lines),
        (None, None, Some(since)) => Place::Since(since.at(&context.now())),
        (None, None, None) if args.from_start || args.part() != Part::Output => Place::Offset(0),
        // A watcher of all tasks only wants new output.
        (None, None, None) if args.all => Place::Tail(0),
        (None, None, None) => Place::Tail(context.ui.rows().map_or(SCREEN, |rows| rows.saturating_sub(2))),
    }
}

/// Where to start.
#[derive(Debug, Clone, Copy)]
enum Place {
    Offset(u64),
    Tail(usize),
    Since(Timestamp),
}

impl Place {
    fn query(self) -> StreamQuery {
        match self {
            Self::Offset(offset) => StreamQuery { from: Some(offset), ..StreamQuery::default() },
            Self::Tail(lines) => StreamQuery { tail: Some(lines), ..StreamQuery::default() },
            Self::Since(at) => StreamQuery { since: Some(at), ..StreamQuery::default() },
        }
    }
}

/// How watching ended.
enum Ended {
    /// The task has come to rest.
    Settled(Box<TaskView>),
    /// The run is over, and no engine is there to judge it.
    Unjudged,
    /// The engine shut down.
    Left,
    /// Nothing has run yet, and no engine is there to start it.
    Waiting,
}

/// Watches until the task comes to rest, or the person stops it.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut watch = Watch {
        context,
        part: args.part(),
        place: place(&args, context),
        show: Show::new(context, args.all, args.part()),
        cursor: None,
        open: BTreeMap::new(),
        over: BTreeSet::new(),
        waited: false,
        was_live: false,
        left_alone: None,
    };
    let watched = async {
        match args.id {
            Some(id) => watch.task(id).await,
            None => watch.all().await,
        }
    };
    tokio::select! {
        exit = watched => exit,
        // The agent continues.
        _ = &mut interrupt => Ok(Exit::Interrupted),
    }
}

struct Watch<'a> {
    context: &'a Context,
    part: Part,
    place: Place,
    show: Show<'a>,
    /// The last position shown.
    cursor: Option<Cursor>,
    /// The positions of all unfinished runs, when there are several.
    open: BTreeMap<RunId, u64>,
    /// Runs whose end was shown.
    over: BTreeSet<RunId>,
    /// Nothing had run at the start, so all output is new.
    waited: bool,
    /// An engine or a live run was seen, so another engine may come.
    was_live: bool,
    /// Since when there is no output and no engine.
    left_alone: Option<Instant>,
}

impl Watch<'_> {
    async fn task(&mut self, id: TaskId) -> Result<Exit, CliError> {
        let setup = self.context.setup()?;
        loop {
            let ended = match setup.connect().await {
                Some(client) => self.remote(&client, &self.request(id)).await,
                None => local::follow(self, id).await,
            };
            match ended {
                // The next daemon continues with it.
                Ok(Ended::Settled(task)) if is_left_lying(&task) && self.next_may_come(&setup).await => {}
                Ok(Ended::Settled(task)) => {
                    let exit = settled(&task, self.context.now().at).unwrap_or(Exit::Parked);
                    if !self.context.ui.is_json() {
                        print_end(&task, exit, self.context)?;
                    }
                    return Ok(exit);
                }
                Ok(Ended::Unjudged) if self.next_may_come(&setup).await => {}
                Ok(Ended::Unjudged) => {
                    self.context.ui.note("the run has ended; no daemon runs to judge it: orch serve");
                    return Ok(Exit::Parked);
                }
                Ok(Ended::Waiting) => {
                    while setup.connect().await.is_none() {
                        tokio::time::sleep(LOOK_AGAIN).await;
                    }
                }
                Ok(Ended::Left) => {
                    self.left_alone = None;
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(error) if self.passes(&error) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns whether an error is temporary, because one engine follows another.
    fn passes(&self, error: &CliError) -> bool {
        // The next daemon takes long to start. A person who has seen no output yet gets a message instead.
        let may_wait = self.cursor.is_some() || self.waited;
        matches!(error, CliError::Client(error) if error.is_of_an_engine_that_left())
            || (may_wait && matches!(error, CliError::Open(OpenError::Busy { .. })))
    }

    /// Waits for a daemon when nothing more can be read without one. Returns `false` if none is expected.
    async fn next_may_come(&mut self, setup: &Setup) -> bool {
        let patience = if self.was_live { HANDOVER } else { Duration::ZERO };
        let until = *self.left_alone.get_or_insert_with(clock::instant) + patience;
        let mut is_reported = false;
        while setup.connect().await.is_none() {
            if clock::instant() >= until {
                return false;
            }
            if !std::mem::replace(&mut is_reported, true) {
                self.context.ui.note("the run has ended; waiting for the next daemon");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        // The engine that answers may belong to another command, which does not run the task either.
        tokio::time::sleep(LOOK_AGAIN).await;
        !self.was_live || clock::instant() < until
    }

    async fn all(&mut self) -> Result<Exit, CliError> {
        let setup = self.context.setup()?;
        let mut is_reported = false;
        loop {
            if let Some(client) = setup.connect().await {
                is_reported = false;
                let reached: Vec<String> = self.open.iter().map(|(run, offset)| format!("{run}:{offset}")).collect();
                let (part, cursor) = (Some(self.part), Some(reached.join(",")));
                let request = endpoint::StreamAll { query: StreamQuery { part, cursor, ..self.place.query() } };
                match self.remote(&client, &request).await {
                    Ok(_) => {}
                    Err(error) if self.passes(&error) => {}
                    Err(error) => return Err(error),
                }
                // Runs that started meanwhile are shown from their start.
                self.place = Place::Offset(0);
            } else if !is_reported {
                is_reported = true;
                self.context.ui.note("no daemon runs: waiting for one (orch serve)");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn request(&self, id: TaskId) -> endpoint::TaskStream {
        let from = match &self.cursor {
            Some(cursor) => StreamQuery { cursor: Some(cursor.to_string()), ..StreamQuery::default() },
            None if self.waited => StreamQuery { first: Some(true), ..StreamQuery::default() },
            None => self.place.query(),
        };
        endpoint::TaskStream { id, query: StreamQuery { part: Some(self.part), ..from } }
    }

    async fn remote<R>(&mut self, client: &Client, request: &R) -> Result<Ended, CliError>
    where
        R: ToRequest<Answer = Events<StreamEvent>>,
    {
        let mut events = client.stream(request).await?;
        self.was_live = true;
        while let Some(event) = events.event().await? {
            if let Some(ended) = self.take(event).await? {
                return Ok(ended);
            }
        }
        Ok(Ended::Left)
    }

    /// Shows one event and remembers its position.
    async fn take(&mut self, event: StreamEvent) -> Result<Option<Ended>, CliError> {
        if let StreamEvent::Output(chunk) = &event
            && chunk.is_final
            && !self.over.insert(chunk.run_id.clone())
        {
            // Repeated by another engine.
            return Ok(None);
        }
        if let StreamEvent::Output(_) = &event {
            self.left_alone = None;
        }
        self.show.deliver(&event).await?;
        match event {
            StreamEvent::Output(chunk) => {
                if chunk.is_final {
                    self.open.remove(&chunk.run_id);
                } else {
                    self.open.insert(chunk.run_id.clone(), chunk.end);
                }
                self.cursor = Some(Cursor { run: chunk.run_id, offset: chunk.end });
            }
            StreamEvent::Cut { run_id, offset } => {
                self.open.insert(run_id.clone(), offset);
                self.cursor = Some(Cursor { run: run_id, offset });
            }
            StreamEvent::Settled { task } => return Ok(Some(Ended::Settled(task))),
            StreamEvent::Waiting { .. } => self.waited = true,
            // A run without output is continued from here, too.
            StreamEvent::Run(begun) => {
                self.open.insert(begun.run_id.clone(), begun.offset);
                self.cursor = Some(Cursor { run: begun.run_id, offset: begun.offset });
            }
            StreamEvent::Lagged { .. } => {}
        }
        Ok(None)
    }
}

/// Returns whether only the lack of a daemon holds the task.
fn is_left_lying(task: &TaskView) -> bool {
    task.hold.as_ref().is_some_and(|hold| hold.reason == HoldReason::NoDaemon)
}
