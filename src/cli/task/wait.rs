//! `orch task wait`: waits until tasks are done or reach a status; the exit code says how it ended. It follows the
//! history, and reads a task when an event concerns it.

use crate::cli::context::{Context, Engine};
use crate::cli::error::CliError;
use crate::cli::events::{self, Event};
use crate::cli::exit::Exit;
use crate::cli::ui::text;
use crate::daemon::Setup;
use jiff::SignedDuration;
use orch_api::client::Client;
use orch_api::endpoint;
use orch_api::status::EngineMode;
use orch_core::base::ids::TaskId;
use orch_core::tasks::task::Status;
use orch_engine::Mode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long to wait for the next daemon after one shut down.
const HANDOVER: Duration = Duration::from_secs(10);
/// The polling interval meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `orch task wait`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ids of the tasks; waits for all of them
    #[arg(value_name = "ID", required = true)]
    ids: Vec<TaskId>,
    /// The status to wait for: done, in_review, needs_review, …; later ones count as well
    #[arg(long, value_name = "STATUS", default_value = "done", value_parser = status)]
    until: Status,
    /// Give up after this time: 90s, 10m, 1h 30m
    #[arg(long, value_name = "TIME", value_parser = span)]
    timeout: Option<Duration>,
}

fn status(word: &str) -> Result<Status, String> {
    let known = Status::ALL.map(Status::as_str).join(", ");
    Status::parse(word).ok_or_else(|| format!("expected one of {known}"))
}

/// Parses a time span.
pub fn span(text: &str) -> Result<Duration, String> {
    let span = text.parse::<SignedDuration>().ok().filter(|span| !span.is_negative());
    span.and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| "expected a time such as 90s, 10m or 1h 30m".to_owned())
}

/// The state of one task.
#[derive(Debug, Clone, Serialize)]
struct Waited {
    id: TaskId,
    title: String,
    status: Status,
    /// Whether it reached the status; `null` while it has not ended.
    reached: Option<bool>,
    /// The question to a person, or why it waits.
    why: Option<String>,
    #[serde(skip)]
    exit: Option<Exit>,
}

/// Returns the position of a status on the direct path.
fn rank(status: Status) -> Option<u8> {
    match status {
        Status::New => Some(0),
        Status::Routed => Some(1),
        Status::InProgress => Some(2),
        Status::InReview => Some(3),
        Status::Done => Some(4),
        Status::Blocked | Status::NeedsReview | Status::Cancelled => None,
    }
}

/// Returns the exit code for a task, or `None` while waiting continues.
pub fn ended(status: Status, until: Status) -> Option<Exit> {
    let is_further = rank(status).zip(rank(until)).is_some_and(|(is, wanted)| is >= wanted);
    if status == until || is_further {
        return Some(Exit::Done);
    }
    if status.is_final() { Some(Exit::Failed) } else { (status == Status::NeedsReview).then_some(Exit::PersonNeeded) }
}

/// Returns the most important of several exit codes, or `None` while one task continues.
fn all_ended(tasks: &BTreeMap<TaskId, Waited>) -> Option<Exit> {
    let exits: Vec<Exit> = tasks.values().map(|task| task.exit).collect::<Option<_>>()?;
    [Exit::Failed, Exit::PersonNeeded].into_iter().find(|exit| exits.contains(exit)).or(Some(Exit::Done))
}

/// Waits, and prints the states.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let mut wait = Wait::new(args.ids, args.until);
    let exit = wait.within(args.timeout, context).await?;
    if exit != Exit::Interrupted {
        wait.print(exit, context)?;
    }
    Ok(exit)
}

/// Waits until all of these have ended or need a person. Prints nothing.
pub async fn until_over(ids: Vec<TaskId>, limit: Option<Duration>, context: &Context) -> Result<Exit, CliError> {
    Wait::new(ids, Status::Done).within(limit, context).await
}

struct Wait {
    until: Status,
    ids: Vec<TaskId>,
    tasks: BTreeMap<TaskId, Waited>,
    last_seq: Option<u64>,
}

impl Wait {
    fn new(ids: Vec<TaskId>, until: Status) -> Self {
        Self { until, ids, tasks: BTreeMap::new(), last_seq: None }
    }

    async fn within(&mut self, limit: Option<Duration>, context: &Context) -> Result<Exit, CliError> {
        let setup = context.setup()?;
        tokio::select! {
            exit = timeout(limit.unwrap_or(Duration::MAX), self.on(&setup)) => exit.unwrap_or(Ok(Exit::TimedOut)),
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        }
    }

    async fn on(&mut self, setup: &Setup) -> Result<Exit, CliError> {
        let engine = Engine::find(setup, Mode::Command).await?;
        let Engine::Daemon(client, _) = engine else {
            // Without an engine that runs tasks nothing changes: they are read once.
            let looked = self.poll_all(engine.client()).await;
            engine.leave().await.ok();
            looked?;
            return Ok(all_ended(&self.tasks).unwrap_or(Exit::NoDaemon));
        };
        let mut client = Some(client);
        while let Some(here) = client {
            match self.with(&here).await {
                Ok(Some(exit)) => return Ok(exit),
                Ok(None) => {}
                Err(CliError::Client(error)) if error.is_of_an_engine_that_left() => {}
                Err(error) => return Err(error),
            }
            client = timeout(HANDOVER, next_daemon(setup)).await.ok();
        }
        Ok(all_ended(&self.tasks).unwrap_or(Exit::NoDaemon))
    }

    /// Follows the history of this engine. Returns `None` if it shut down.
    async fn with(&mut self, client: &Client) -> Result<Option<Exit>, CliError> {
        // Subscribed before the first read, so that nothing is missed.
        let mut events = client.stream(&events::part(self.last_seq.map(events::Place::After), None, true)).await?;
        self.poll_all(client).await?;
        loop {
            if let Some(exit) = all_ended(&self.tasks) {
                return Ok(Some(exit));
            }
            let Some(document) = events.document().await? else { return Ok(None) };
            let event = Event::read(&document)?;
            self.last_seq = Some(event.seq);
            if let Some(id) = event.task_id.filter(|id| self.ids.contains(id)) {
                self.poll(client, id).await?;
            }
        }
    }

    async fn poll_all(&mut self, client: &Client) -> Result<(), CliError> {
        for id in self.ids.clone() {
            self.poll(client, id).await?;
        }
        Ok(())
    }

    async fn poll(&mut self, client: &Client, id: TaskId) -> Result<(), CliError> {
        let task = client.call(&endpoint::TaskShow { id }).await?;
        let exit = ended(task.status, self.until);
        let why = task.question.or(task.hold.map(|hold| hold.detail));
        let reached = exit.map(|exit| exit == Exit::Done);
        self.tasks.insert(id, Waited { id, title: task.title, status: task.status, reached, why, exit });
        Ok(())
    }

    fn print(&self, exit: Exit, context: &Context) -> Result<(), CliError> {
        let ui = &context.ui;
        if ui.is_json() {
            ui.json(&self.tasks.values().collect::<Vec<_>>())?;
        } else {
            for task in self.tasks.values() {
                let why = task.why.as_deref().map(|why| format!(": {}", text::fit(why, 200))).unwrap_or_default();
                ui.data(&format!("task {} is {}{why}\n", task.id, task.status.as_str()))?;
            }
        }
        let open = self.tasks.values().find(|task| task.exit.is_none()).map(|task| task.id);
        match (exit, open) {
            (Exit::NoDaemon, Some(id)) => {
                ui.warning(&format!(
                    "no daemon runs, so task {id} makes no progress; next: orch serve, or orch task run {id}"
                ));
            }
            (Exit::TimedOut, Some(id)) => {
                ui.warning(&format!("the time limit was reached; the tasks continue; next: orch why {id}"))
            }
            (Exit::TimedOut, None) => ui.warning("the time was over before the daemon answered"),
            (_, _) => {}
        }
        Ok(())
    }
}

/// Waits for the next engine that runs tasks.
async fn next_daemon(setup: &Setup) -> Client {
    loop {
        if let Some(client) = setup.connect().await
            && let Ok(status) = client.call(&endpoint::BriefStatus).await
            && status.mode != EngineMode::Command
        {
            return client;
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_shows_how_it_ended() {
        let code = |status, until| ended(status, until).map(Exit::code);
        for (status, code_of_done) in [
            (Status::Done, Some(0)),
            (Status::Cancelled, Some(1)),
            (Status::NeedsReview, Some(5)),
            (Status::New, None),
            (Status::Routed, None),
            (Status::InProgress, None),
            (Status::InReview, None),
            (Status::Blocked, None),
        ] {
            assert_eq!(code(status, Status::Done), code_of_done, "{status:?}");
        }
        assert_eq!(code(Status::Done, Status::InReview), Some(0), "it has been there");
        assert_eq!(code(Status::InProgress, Status::InReview), None);
        assert_eq!(code(Status::NeedsReview, Status::NeedsReview), Some(0));
        assert_eq!(code(Status::Done, Status::NeedsReview), Some(1), "it will not come there any more");
        assert_eq!(code(Status::Cancelled, Status::Cancelled), Some(0));
    }

    #[test]
    fn of_several_the_worst_end_counts_once_all_have_ended() {
        let of = |statuses: &[Status]| {
            let waited = |(at, status): (usize, &Status)| {
                let (id, exit) = (TaskId(at as u64 + 1), ended(*status, Status::Done));
                (id, Waited { id, title: String::new(), status: *status, reached: None, why: None, exit })
            };
            all_ended(&statuses.iter().enumerate().map(waited).collect()).map(Exit::code)
        };
        assert_eq!(of(&[Status::Done, Status::NeedsReview, Status::Cancelled]), Some(1));
        assert_eq!(of(&[Status::Done, Status::NeedsReview]), Some(5));
        assert_eq!(of(&[Status::Done, Status::Done]), Some(0));
        assert_eq!(of(&[Status::Cancelled, Status::Blocked]), None);
    }

    #[test]
    fn a_time_is_said_as_people_say_it() {
        assert_eq!(span("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert!(span("-1m").is_err() && span("soon").is_err());
    }
}
