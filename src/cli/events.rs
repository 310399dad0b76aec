//! `orch events`: prints the history, and follows it.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::since::Since;
use super::ui::text;
use super::ui::time::Now;
use jiff::Timestamp;
use orch_api::client::{Client, ClientError, Lines};
use orch_api::endpoint::{self, Events};
use orch_api::queries::EventsQuery;
use orch_api::status::StatusView;
use orch_api::types::EventView;
use orch_core::audit::history::{self, Fact};
use orch_core::base::ids::{RunId, TaskId};
use serde::Deserialize;
use serde_json::Value;
use std::str::FromStr;
use std::time::Duration;

/// How often to look for a daemon while none runs.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Arguments of `orch events`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Follow until interrupted; without --since, only new events are shown
    #[arg(long, short)]
    follow: bool,
    /// Start then: how long ago (10m, 2h, 3d), a day or a time (2026-08-01 14:30), or a place in the history (a number)
    #[arg(long, value_name = "WHEN")]
    since: Option<Beginning>,
    /// Only events of this task
    #[arg(long, value_name = "ID")]
    task: Option<TaskId>,
}

/// Where to start in the history.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// After this entry.
    After(u64),
    /// At this time.
    At(Timestamp),
}

/// [`Place`], as a command-line value.
#[derive(Debug, Clone, Copy)]
enum Beginning {
    After(u64),
    Since(Since),
}

impl Beginning {
    fn place(self, now: &Now) -> Place {
        match self {
            Self::After(seq) => Place::After(seq),
            Self::Since(since) => Place::At(since.at(now)),
        }
    }
}

impl FromStr for Beginning {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(seq) => Ok(Self::After(seq)),
            Err(_) => text.parse().map(Self::Since).map_err(|error: String| format!("{error}, or a place: a number")),
        }
    }
}

/// An entry of the history, as the API returns it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// Its sequence number.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Its task.
    pub task_id: Option<TaskId>,
    /// Its run.
    pub run_id: Option<RunId>,
    /// Who caused it; older daemons do not report it.
    pub by: Option<String>,
    /// More about who caused it.
    #[serde(default)]
    pub who: Option<String>,
    /// The stable name of its kind.
    pub kind: String,
    /// The text for a person.
    pub text: String,
    /// The fact as fields. Older daemons, and entries that have only a text, do not have it.
    #[serde(default)]
    pub data: Option<Value>,
}

impl Event {
    /// Parses the API's document.
    pub fn read(document: &Value) -> Result<Self, CliError> {
        Self::deserialize(document).map_err(|e| ClientError::Unexpected(e.to_string()).into())
    }

    /// Returns what happened.
    pub fn fact(&self) -> Fact {
        match &self.data {
            Some(data) => Fact::read(&self.kind, history::VERSION, data),
            None => Fact::Untyped { kind: self.kind.clone(), text: self.text.clone() },
        }
    }

    /// Renders the entry for a person.
    pub fn render(&self, now: &Now) -> String {
        let task = self.task_id.map(|id| format!("#{id} ")).unwrap_or_default();
        let by = self.by.as_ref().map(|by| format!("{by:<8} ")).unwrap_or_default();
        let first = self.text.lines().next().unwrap_or_default();
        format!("{} {by}{task}{} {}", now.clock(self.at), text::line(&self.kind), text::fit(first, 400))
    }
}

/// Returns the request for a part of the history. With `follow`, the answer continues with new entries.
pub fn part(from: Option<Place>, task: Option<TaskId>, follow: bool) -> endpoint::EventStream {
    let (after, since) = match from {
        Some(Place::After(seq)) => (Some(seq), None),
        Some(Place::At(time)) => (None, Some(time)),
        None => (None, None),
    };
    endpoint::EventStream { query: EventsQuery { after, since, task: task.map(|id| id.0), follow: Some(follow) } }
}

/// Prints the history.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let from = args.since.map(|since| since.place(&context.now()));
    if args.follow {
        let mut follow = Follow { context, task: args.task, from };
        return tokio::select! {
            left = follow.on() => left.map(|never| match never {}),
            // Ctrl-C is how a person stops following.
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        };
    }
    let link = context.link().await?;
    let mut events = link.stream(&part(Some(from.unwrap_or(Place::After(0))), args.task, false)).await?;
    print(&mut events, context).await?;
    drop(events);
    link.close().await?;
    Ok(Exit::Done)
}

/// Prints events as they arrive, until there are no more.
pub async fn print(events: &mut Lines<Events<EventView>>, context: &Context) -> Result<(), CliError> {
    while let Some(document) = events.document().await? {
        print_one(&document, context)?;
    }
    Ok(())
}

fn print_one(document: &Value, context: &Context) -> Result<(), CliError> {
    if context.ui.is_json() {
        return context.ui.json(document);
    }
    context.ui.data(&format!("{}\n", Event::read(document)?.render(&context.now())))
}

enum Never {}

/// Follows the history across restarts of the daemon: it remembers the last entry, so that none is lost or repeated.
struct Follow<'a> {
    context: &'a Context,
    task: Option<TaskId>,
    /// The last entry shown, or where to start; `None` if only new entries are wanted.
    from: Option<Place>,
}

impl Follow<'_> {
    async fn on(&mut self) -> Result<Never, CliError> {
        let setup = self.context.setup()?;
        loop {
            let text = match setup.connect().await {
                Some(client) => self.with(&client).await,
                None => self.without_daemon().await,
            };
            match text {
                Ok(()) => {}
                Err(CliError::Client(error)) if error.is_of_an_engine_that_left() => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// If no start was given, starts with the present: events before the first printed line must not be missed.
    fn begin_at(&mut self, status: &StatusView) {
        self.from.get_or_insert(Place::After(status.seq));
    }

    async fn with(&mut self, client: &Client) -> Result<(), CliError> {
        if self.from.is_none() {
            let status = client.call(&endpoint::BriefStatus).await?;
            self.begin_at(&status);
        }
        let mut events = client.stream(&part(self.from, self.task, true)).await?;
        self.print(&mut events).await
    }

    /// Prints the existing history, and closes the engine, so that a daemon can start.
    async fn without_daemon(&mut self) -> Result<(), CliError> {
        let mut link = self.context.link().await?;
        if self.from.is_none() {
            let status = link.call(&endpoint::BriefStatus).await?;
            self.begin_at(&status);
        }
        let mut events = link.stream(&part(self.from, self.task, false)).await?;
        self.print(&mut events).await?;
        drop(events);
        link.close().await?;
        let setup = self.context.setup()?;
        while setup.connect().await.is_none() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    async fn print(&mut self, events: &mut Lines<Events<EventView>>) -> Result<(), CliError> {
        while let Some(document) = events.document().await? {
            print_one(&document, self.context)?;
            self.from = Some(Place::After(Event::read(&document)?.seq));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::now;
    use serde_json::json;

    #[test]
    fn a_line_of_the_history_is_one_safe_line() {
        let document = json!({"seq": 4, "at": "2026-03-01T10:00:01Z", "task_id": 3, "run_id": "3-1-000000ab",
            "by": "agent", "kind": "task_added", "text": "first\u{1b}[2J\nsecond"});
        let event = Event::read(&document).expect("an event");
        assert_eq!(event.render(&now()), "11:00:01 agent    #3 task_added first\\u{1b}[2J");
        assert!(Event::read(&json!({"seq": "x"})).is_err());
    }

    #[test]
    fn the_part_of_the_history_is_named_in_the_request() {
        let at = now().at;
        let path = |from, task, follow| part(from, task, follow).query;
        let all = EventsQuery::default();
        assert_eq!(path(None, None, true), EventsQuery { follow: Some(true), ..all.clone() });
        let ends = EventsQuery { follow: Some(false), ..all };
        let from = |text: &str| Some(text.parse::<Beginning>().expect("a beginning").place(&now()));
        assert_eq!(
            path(from("0"), Some(TaskId(3)), false),
            EventsQuery { after: Some(0), task: Some(3), ..ends.clone() }
        );
        let then = at - jiff::SignedDuration::from_mins(10);
        assert_eq!(path(from("10m"), None, false), EventsQuery { since: Some(then), ..ends });
        let error = "soon".parse::<Beginning>().expect_err("no beginning");
        assert!(error.contains("10m") && error.contains("a number"), "{error}");
    }
}
