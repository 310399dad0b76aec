//! Carries out requests of listed users through the API. Decides nothing: refusals of the API are passed on unchanged.

use super::parse::{Ask, shortened};
use super::render;
use super::{Answer, Stop};
use jiff::Timestamp;
use orch_api::client::{Client, ClientError};
use orch_api::endpoint::{self, Request, ToRequest};
use orch_api::evidence::EvidenceView;
use orch_api::messages::NewMessage;
use orch_api::queries::{CostQuery, DiffQuery, RowsQuery, RunQuery, SeenQuery, StatusQuery, StreamQuery};
use orch_api::rulings::{Accept, Reject};
use orch_api::status::Overview;
use orch_api::stream::StreamEvent;
use orch_api::switches::{NewPause, PausesView};
use orch_api::types::{NewTask, TaskDraft, TaskView};
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::{ChatMessage, Document};
use orch_core::tasks::review_decision::short;
use std::time::Duration;

/// How long to wait for the receipt of a message to an agent, in seconds.
const RECEIPT: u64 = 5;
/// Number of lines that are read of a transcript.
const TAIL: usize = 2_000;
/// Silence after which a transcript counts as read to its end.
const QUIET: Duration = Duration::from_millis(400);
/// Longest time to read a transcript.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// Maximum number of bytes kept of the end of a transcript.
const MOST: usize = 1 << 20;

/// A change of a task that needs no further arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Run,
    Retry,
    Unblock,
    Cancel,
}

impl Verb {
    fn request(self, id: TaskId, unchanged_since: Option<Timestamp>) -> Result<Request<TaskView>, ClientError> {
        let query = SeenQuery { unchanged_since };
        match self {
            Self::Run => {
                let query = RunQuery { unchanged_since, ..RunQuery::default() };
                endpoint::TaskRun { id, query }.to_request()
            }
            Self::Retry => endpoint::TaskRetry { id, query }.to_request(),
            Self::Unblock => endpoint::TaskUnblock { id, query }.to_request(),
            Self::Cancel => endpoint::TaskCancel { id, query }.to_request(),
        }
    }
}

/// A request of a user.
pub(super) struct Order {
    /// Marks requests with the key of the order.
    pub client: Client,
    pub by: String,
    /// Idempotency key.
    pub key: String,
    /// When it was first started.
    pub started: Timestamp,
}

impl Order {
    /// Carries out a command.
    pub async fn ask(&self, ask: Ask, document: Option<Document>) -> Answer {
        let task = task_of(&ask);
        let done = match ask {
            Ask::Help => Ok(render::help()),
            Ask::Status => self.status().await.map(|view| render::overview(&view)),
            Ask::Tasks => self.rows().await,
            Ask::Add { project, title, body } => self.add(project, title, body, document).await,
            Ask::Show(id) => self.show(id).await,
            Ask::Why(id) => self.client.call(&endpoint::TaskWhy { id }).await.map(|view| render::why(&view)),
            Ask::Run(id) => self.change(id, Verb::Run, None).await,
            Ask::Retry(id) => self.change(id, Verb::Retry, None).await,
            Ask::Unblock(id) => self.change(id, Verb::Unblock, None).await,
            Ask::Cancel(id) => self.change(id, Verb::Cancel, None).await,
            Ask::UnblockAll => self.unblock_all().await,
            Ask::Approve(id, commit) => self.approve(id, commit).await,
            Ask::Reject(id, reason) => self.reject(id, reason, None).await,
            Ask::Diff(id) => self.diff(id).await,
            Ask::Log(id) => self.log(id).await,
            Ask::Cost => self.cost().await,
            Ask::Pause => self.switch(|body| endpoint::Pause { body }.to_request()).await,
            Ask::Resume => self.switch(|body| endpoint::Resume { body }.to_request()).await,
            Ask::Stream(id) => return self.stream(id).await,
            Ask::Stop(None) => return Answer { stop_stream: Some(Stop::All), ..Answer::default() },
            Ask::Stop(Some(id)) => return Answer { stop_stream: Some(Stop::Task(id)), ..Answer::default() },
        };
        Answer::new(done.unwrap_or_else(|error| render::refused(&error, task)))
    }

    async fn status(&self) -> Result<Overview, ClientError> {
        self.client.call(&endpoint::Status { query: StatusQuery::default() }).await
    }

    async fn rows(&self) -> Result<ChatMessage, ClientError> {
        let query = RowsQuery { settled: Some(0) };
        self.client.call(&endpoint::TaskRows { query }).await.map(|view| render::rows(&view))
    }

    async fn task(&self, id: TaskId) -> Result<TaskView, ClientError> {
        self.client.call(&endpoint::TaskShow { id }).await
    }

    async fn show(&self, id: TaskId) -> Result<ChatMessage, ClientError> {
        self.task(id).await.map(|view| render::task(&view))
    }

    async fn add(
        &self,
        project: Option<String>,
        title: String,
        body: String,
        document: Option<Document>,
    ) -> Result<ChatMessage, ClientError> {
        let projects = self.client.call(&endpoint::ProjectList).await?;
        let dir = match render::project(project.as_deref(), &projects) {
            Ok(dir) => dir,
            Err(message) => return Ok(message),
        };
        let body = match document {
            Some(document) if body.is_empty() => document.text,
            Some(document) => format!("{body}\n\n{}", document.text),
            None => body,
        };
        let new = NewTask { task: TaskDraft { title, body, dir, ..TaskDraft::default() }, ..NewTask::default() };
        let added = self.client.call(&endpoint::TaskAdd { body: new }).await?;
        let mut text = format!("#{} is added: {}", added.id, shortened(&added.title));
        if projects.is_empty() {
            text.push_str("\nIt waits for a project: `orch init` in a repository registers one.");
        }
        Ok(render::about(added.id, text))
    }

    /// Carries out a button press if the task is unchanged since the button was shown.
    pub async fn press(&self, id: TaskId, verb: Verb, since: Option<Timestamp>) -> Answer {
        Answer::new(self.change(id, verb, since).await.unwrap_or_else(|error| render::refused(&error, Some(id))))
    }

    async fn change(&self, id: TaskId, verb: Verb, since: Option<Timestamp>) -> Result<ChatMessage, ClientError> {
        match (self.client.call(&verb.request(id, since)?).await, since) {
            (Ok(changed), _) => Ok(render::task(&changed)),
            (Err(error), None) => Err(error),
            (Err(error), Some(since)) => {
                let view = self.task(id).await?;
                let is_same = view.updated_at.as_millisecond() == since.as_millisecond();
                if is_same { Err(error) } else { Ok(render::moved_on(&view)) }
            }
        }
    }

    async fn unblock_all(&self) -> Result<ChatMessage, ClientError> {
        let tasks = self.client.call(&endpoint::UnblockAll).await?;
        let named: Vec<String> = tasks.iter().take(20).map(|id| format!("#{id}")).collect();
        let more = if tasks.len() > named.len() { ", …" } else { "" };
        Ok(render::sentence(match tasks.len() {
            0 => "No task was blocked or waiting for a person.".to_owned(),
            1 => format!("{} goes on.", named.concat()),
            some => format!("{some} tasks go on: {}{more}", named.join(", ")),
        }))
    }

    async fn approve(&self, id: TaskId, commit: Option<String>) -> Result<ChatMessage, ClientError> {
        let accept = Accept { commit: commit.clone() };
        let view = self.client.call(&endpoint::TaskApprove { id, body: accept }).await?;
        let at = commit.as_deref().map(|commit| format!(" at {}", short(commit))).unwrap_or_default();
        let unproved: Vec<String> = view.evidence.iter().flatten().flat_map(EvidenceView::unproved).collect();
        let alone = match unproved.is_empty() {
            true => String::new(),
            false => format!(" Accepted without proof: {}.", unproved.join("; ")),
        };
        Ok(render::about(
            id,
            format!("#{id} is approved{at}, by {}; it is {} now.{alone}", self.by, view.status.as_str()),
        ))
    }

    /// Sends work back; `commit` is the state that the user saw.
    pub async fn reject(&self, id: TaskId, reason: String, commit: Option<String>) -> Result<ChatMessage, ClientError> {
        let reject = Reject { reason, commit };
        let view = self.client.call(&endpoint::TaskReject { id, body: reject }).await?;
        Ok(render::about(id, format!("#{id} goes back to its author; it is {} now.", view.status.as_str())))
    }

    /// Sends a message to the agent of a task.
    pub async fn send(&self, id: TaskId, text: String) -> ChatMessage {
        let new = NewMessage { text, wait_seconds: RECEIPT, model: None };
        match self.client.call(&endpoint::TaskSend { id, body: new }).await {
            Ok(view) => render::receipt(&view),
            Err(error) => render::refused(&error, Some(id)),
        }
    }

    async fn diff(&self, id: TaskId) -> Result<ChatMessage, ClientError> {
        let task = self.task(id).await?;
        let diff = self.client.call(&endpoint::TaskDiff { id, query: DiffQuery::default() }).await?;
        Ok(render::diff(&diff, task.status))
    }

    /// Reads what exists of a transcript; the stream of an active run does not end by itself.
    async fn log(&self, id: TaskId) -> Result<ChatMessage, ClientError> {
        let query = StreamQuery { tail: Some(TAIL), ..StreamQuery::default() };
        let mut events = self.client.stream(&endpoint::TaskStream { id, query }).await?;
        let mut text = String::new();
        let listened = async {
            while let Ok(Ok(Some(event))) = tokio::time::timeout(QUIET, events.event()).await {
                match event {
                    StreamEvent::Output(chunk) => text.push_str(&chunk.content),
                    StreamEvent::Settled { .. } => return,
                    StreamEvent::Run(_)
                    | StreamEvent::Lagged { .. }
                    | StreamEvent::Cut { .. }
                    | StreamEvent::Waiting { .. } => {}
                }
                if text.len() > 2 * MOST {
                    keep_end(&mut text);
                }
            }
        };
        // What was read until then is shown.
        tokio::time::timeout(READ_LIMIT, listened).await.ok();
        keep_end(&mut text);
        Ok(render::log(id, &text))
    }

    async fn stream(&self, id: TaskId) -> Answer {
        match self.task(id).await {
            Ok(_) => Answer { stream: Some(id), ..Answer::default() },
            Err(error) => Answer::new(render::refused(&error, None)),
        }
    }

    async fn cost(&self) -> Result<ChatMessage, ClientError> {
        let status = self.status().await?;
        let all = self.client.call(&endpoint::Cost { query: CostQuery::default() }).await?;
        Ok(render::cost(&status.today, &all))
    }

    async fn switch(
        &self,
        request: fn(NewPause) -> Result<Request<PausesView>, ClientError>,
    ) -> Result<ChatMessage, ClientError> {
        let new = NewPause { by: Some(self.by.clone()), ..NewPause::default() };
        let view = self.client.call(&request(new)?).await?;
        Ok(render::pauses(&view))
    }
}

/// Drops the beginning of a text that is too long, up to the end of a line if there is one.
fn keep_end(text: &mut String) {
    let Some(mut from) = text.len().checked_sub(MOST) else { return };
    while !text.is_char_boundary(from) {
        from += 1;
    }
    from = text[from..].find('\n').map_or(from, |end| from + end + 1);
    text.drain(..from);
}

/// Returns the task in whose thread the answer belongs.
fn task_of(ask: &Ask) -> Option<TaskId> {
    if let Ask::Run(id)
    | Ask::Retry(id)
    | Ask::Unblock(id)
    | Ask::Cancel(id)
    | Ask::Approve(id, _)
    | Ask::Reject(id, _)
    | Ask::Show(id)
    | Ask::Why(id)
    | Ask::Diff(id)
    | Ask::Log(id)
    | Ask::Stream(id) = ask
    {
        Some(*id)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_the_end_stays_in_whole_lines() {
        let mut text = "short\n".to_owned();
        keep_end(&mut text);
        assert_eq!(text, "short\n");
        let mut text: String = (0..200_000).map(|number| format!("line {number} ü\n")).collect();
        keep_end(&mut text);
        assert!(text.len() <= MOST && text.len() > MOST - 100, "{}", text.len());
        assert!(text.starts_with("line ") && text.ends_with("line 199999 ü\n"));
        let mut text = "ü".repeat(MOST);
        keep_end(&mut text);
        assert!(text.len() <= MOST && text.ends_with('ü'));
    }
}
