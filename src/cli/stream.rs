//! `orch stream`: watches agents at work. Goes on over restarts of the daemon, and without one reads the transcript
//! itself; the place reached is kept, so that nothing is lost and nothing comes twice.

mod local;
mod show;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::since::Since;
use super::task::run::tell;
use super::task::settle::settled;
use crate::daemon::{OpenError, Setup};
use jiff::Timestamp;
use orch_api::client::Client;
use orch_api::endpoint::{self, Events, ToRequest};
use orch_api::queries::StreamQuery;
use orch_api::stream::{Cursor, StreamEvent};
use orch_api::types::TaskView;
use orch_chat::Sink;
use orch_core::ids::{RunId, TaskId};
use orch_core::output::Part;
use orch_core::plan::HoldReason;
use orch_sys::clock;
use show::Show;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a daemon that is not there is waited for between two looks, when there is nothing to read meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Lines of the run so far that are shown where there is no terminal that tells its height.
const SCREEN: usize = 24;
/// How long the next daemon is waited for, where a run was seen at work and only a daemon tells how the task goes on.
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
    /// From the beginning of the run; without any of these, from the last screenful on
    #[arg(long, group = "place")]
    from_start: bool,
    /// From its last lines on
    #[arg(long, value_name = "LINES", group = "place")]
    tail: Option<usize>,
    /// From what was said since then: 10m, 2h, 3d, a day or a time (2026-08-01 14:30)
    #[arg(long, value_name = "TIME", group = "place")]
    since: Option<Since>,
    /// From this byte on, as --json tells them
    #[arg(long, value_name = "BYTE", group = "place")]
    from: Option<u64>,
    /// What the agent did, for programs: texts, tool calls with their durations, changes of files, tokens and cost so
    /// far, one JSON document a line
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

/// Where to begin, as the API takes it.
fn place(args: &Args, context: &Context) -> Place {
    match (args.from, args.tail, args.since) {
        (Some(offset), _, _) => Place::Offset(offset),
        (None, Some(lines), _) => Place::Tail(lines),
        (None, None, Some(since)) => Place::Since(since.at(&context.now())),
        (None, None, None) if args.from_start || args.part() != Part::Output => Place::Offset(0),
        // Whoever only reads what is new has seen what was there.
        (None, None, None) if args.all => Place::Tail(0),
        (None, None, None) => Place::Tail(context.ui.rows().map_or(SCREEN, |rows| rows.saturating_sub(2))),
    }
}

/// A place to begin at.
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
    /// The task is at rest.
    Settled(Box<TaskView>),
    /// The run is over, and nobody is there to judge it.
    Unjudged,
    /// The engine is gone.
    Left,
    /// Nothing has run yet, and nobody is there who could begin.
    Waiting,
}

/// Watches until the task is at rest, or the person has seen enough.
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
        // The agent goes on.
        _ = &mut interrupt => Ok(Exit::Interrupted),
    }
}

struct Watch<'a> {
    context: &'a Context,
    part: Part,
    place: Place,
    show: Show<'a>,
    /// What was shown last.
    cursor: Option<Cursor>,
    /// The same of every run that is not over, when there are several.
    open: BTreeMap<RunId, u64>,
    /// Runs whose end was shown.
    over: BTreeSet<RunId>,
    /// Nothing had run when watching began: everything that comes is to be seen.
    waited: bool,
    /// An engine has told something, or a run was seen at work: somebody began it, and may come again.
    was_live: bool,
    /// Since when there is nothing more to be seen, and nobody to say how the task goes on.
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
                // A daemon that comes goes on with it.
                Ok(Ended::Settled(task)) if is_left_lying(&task) && self.next_may_come(&setup).await => {}
                Ok(Ended::Settled(task)) => {
                    let exit = settled(&task, self.context.now().at).unwrap_or(Exit::Parked);
                    if !self.context.ui.is_json() {
                        tell(&task, exit, self.context)?;
                    }
                    return Ok(exit);
                }
                Ok(Ended::Unjudged) if self.next_may_come(&setup).await => {}
                Ok(Ended::Unjudged) => {
                    self.context.ui.note("the run is over; no daemon is there to judge it: orch serve");
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

    /// Whether an error is only of the moment in which one engine follows another.
    fn passes(&self, error: &CliError) -> bool {
        // The next daemon takes long to begin. Whoever has seen nothing yet is told so instead.
        let may_wait = self.cursor.is_some() || self.waited;
        matches!(error, CliError::Client(error) if error.is_of_an_engine_that_left())
            || (may_wait && matches!(error, CliError::Open(OpenError::Busy { .. })))
    }

    /// Waits for a daemon when there is nothing more to be seen without one. `false`: none is to be expected.
    async fn next_may_come(&mut self, setup: &Setup) -> bool {
        let patience = if self.was_live { HANDOVER } else { Duration::ZERO };
        let until = *self.left_alone.get_or_insert_with(clock::instant) + patience;
        let mut is_told = false;
        while setup.connect().await.is_none() {
            if clock::instant() >= until {
                return false;
            }
            if !std::mem::replace(&mut is_told, true) {
                self.context.ui.note("the run is over; waiting for the next daemon");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        // Who answers may be no daemon but another command, which leaves the task lying as well.
        tokio::time::sleep(LOOK_AGAIN).await;
        !self.was_live || clock::instant() < until
    }

    async fn all(&mut self) -> Result<Exit, CliError> {
        let setup = self.context.setup()?;
        let mut told = false;
        loop {
            if let Some(client) = setup.connect().await {
                told = false;
                let reached: Vec<String> = self.open.iter().map(|(run, offset)| format!("{run}:{offset}")).collect();
                let (part, cursor) = (Some(self.part), Some(reached.join(",")));
                let request = endpoint::StreamAll { query: StreamQuery { part, cursor, ..self.place.query() } };
                match self.remote(&client, &request).await {
                    Ok(_) => {}
                    Err(error) if self.passes(&error) => {}
                    Err(error) => return Err(error),
                }
                // Runs that began meanwhile are shown from their beginning.
                self.place = Place::Offset(0);
            } else if !told {
                told = true;
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

    /// Shows one event and keeps its place.
    async fn take(&mut self, event: StreamEvent) -> Result<Option<Ended>, CliError> {
        if let StreamEvent::Output(chunk) = &event
            && chunk.is_final
            && !self.over.insert(chunk.run_id.clone())
        {
            // Told again by another engine.
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
            // Whoever says nothing for now is gone on with from here all the same.
            StreamEvent::Run(begun) => {
                self.open.insert(begun.run_id.clone(), begun.offset);
                self.cursor = Some(Cursor { run: begun.run_id, offset: begun.offset });
            }
            StreamEvent::Lagged { .. } => {}
        }
        Ok(None)
    }
}

/// Nothing but the lack of a daemon holds it.
fn is_left_lying(task: &TaskView) -> bool {
    task.hold.as_ref().is_some_and(|hold| hold.reason == HoldReason::NoDaemon)
}
