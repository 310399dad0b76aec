//! `orch events`: the history, as it was and as it goes on.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::text;
use super::ui::time::Now;
use crate::api::client::{ClientError, Lines};
use crate::domain::ids::{RunId, TaskId};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Arguments of `orch events`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on until interrupted; without --since, only what happens from now on
    #[arg(long, short)]
    follow: bool,
    /// What happened after this place in the history
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
    /// Of one task
    #[arg(long, value_name = "ID")]
    task: Option<TaskId>,
}

/// A line of the history, as the API tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// Its place.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Of which task.
    pub task_id: Option<TaskId>,
    /// Of which run.
    pub run_id: Option<RunId>,
    /// A stable word.
    pub kind: String,
    /// For a person.
    pub text: String,
}

impl Event {
    /// Reads the API's document.
    pub fn read(document: &Value) -> Result<Self, CliError> {
        Self::deserialize(document).map_err(|e| ClientError::Unexpected(e.to_string()).into())
    }

    /// The line for a person.
    pub fn told(&self, now: &Now) -> String {
        let task = self.task_id.map(|id| format!("#{id} ")).unwrap_or_default();
        let first = self.text.lines().next().unwrap_or_default();
        format!("{} {task}{} {}", now.clock(self.at), text::line(&self.kind), text::fit(first, 400))
    }
}

/// The path of the API for a part of the history. `follow`: the answer does not end with what is there.
pub fn path(after: Option<u64>, task: Option<TaskId>, follow: bool) -> String {
    let mut path = format!("/v1/events?follow={follow}");
    if let Some(after) = after {
        path.push_str(&format!("&after={after}"));
    }
    if let Some(task) = task {
        path.push_str(&format!("&task={task}"));
    }
    path
}

/// Prints the history.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let since = args.since.or(if args.follow { None } else { Some(0) });
    let link = context.link().await?;
    let mut events = link.stream(&path(since, args.task, args.follow)).await?;
    let exit = tokio::select! {
        printed = print(&mut events, context) => printed.map(|()| Exit::Done),
        // A person who follows ends it that way.
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    }?;
    drop(events);
    link.close().await?;
    Ok(exit)
}

/// Prints events as they come, until there are no more.
pub async fn print(events: &mut Lines, context: &Context) -> Result<(), CliError> {
    while let Some(document) = events.event::<Value>().await? {
        if context.ui.is_json() {
            context.ui.json(&document)?;
        } else {
            context.ui.data(&format!("{}\n", Event::read(&document)?.told(&context.now())))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::now;
    use serde_json::json;

    #[test]
    fn a_line_of_the_history_is_one_safe_line() {
        let document = json!({"seq": 4, "at": "2026-03-01T10:00:01Z", "task_id": 3, "run_id": "3-1-000000ab",
            "kind": "task_added", "text": "first\u{1b}[2J\nsecond"});
        let event = Event::read(&document).expect("an event");
        assert_eq!(event.told(&now()), "11:00:01 #3 task_added first\\u{1b}[2J");
        assert!(Event::read(&json!({"seq": "x"})).is_err());
    }

    #[test]
    fn the_part_of_the_history_is_named_in_the_path() {
        assert_eq!(path(None, None, true), "/v1/events?follow=true");
        assert_eq!(path(Some(0), Some(TaskId(3)), false), "/v1/events?follow=false&after=0&task=3");
    }
}
