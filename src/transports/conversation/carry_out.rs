//! What a listed person asks, carried out through the API. Decides nothing: what is refused there is refused here, in
//! the same words.

use super::told;
use super::words::{Ask, shortened};
use super::{Answer, Stop};
use crate::api::client::{Client, ClientError};
use crate::api::cost::CostView;
use crate::api::messages::{MessageView, NewMessage};
use crate::api::rulings::{Accept, DiffView, Reject};
use crate::api::status::Overview;
use crate::api::stream::StreamEvent;
use crate::api::switches::{NewPause, PausesView};
use crate::api::types::{NewTask, RowsView, TaskView, WhyView};
use crate::domain::channel::{Document, Saying};
use crate::domain::ids::TaskId;
use crate::domain::ruling::short;
use jiff::Timestamp;
use std::time::Duration;

/// How long the receipt of a message to an agent is waited for, in seconds.
const RECEIPT: u64 = 5;
/// Lines of a transcript that are looked at.
const TAIL: usize = 2_000;
/// A stream that says nothing for so long has said what there is.
const QUIET: Duration = Duration::from_millis(400);
/// And it is not listened to any longer than that.
const LISTENS: Duration = Duration::from_secs(5);
/// The most that is taken of it, in bytes.
const MOST: usize = 1 << 20;
/// A body without anything in it.
const NOTHING: serde_json::Value = serde_json::Value::Null;

/// Somebody's wishes.
pub(super) struct Order {
    pub client: Client,
    pub by: String,
    /// It may have been carried out already, since this time.
    pub begun: Option<Timestamp>,
}

impl Order {
    /// Carries it out.
    pub async fn ask(&self, ask: Ask, document: Option<Document>) -> Answer {
        let task = task_of(&ask);
        let done = match ask {
            Ask::Help => Ok(told::help()),
            Ask::Status => self.client.get("/v1/status").await.map(|view: Overview| told::overview(&view)),
            Ask::Tasks => self.client.get("/v1/rows?settled=0").await.map(|view: RowsView| told::rows(&view)),
            Ask::Add { title, body } => self.add(title, body, document).await,
            Ask::Show(id) => self.show(id).await,
            Ask::Why(id) => self.client.get(&format!("/v1/tasks/{id}/why")).await.map(|view: WhyView| told::why(&view)),
            Ask::Run(id) => self.change(id, "run").await,
            Ask::Retry(id) => self.change(id, "retry").await,
            Ask::Unblock(id) => self.change(id, "unblock").await,
            Ask::Cancel(id) => self.change(id, "cancel").await,
            Ask::UnblockAll => self.unblock_all().await,
            Ask::Approve(id, commit) => self.approve(id, commit).await,
            Ask::Reject(id, reason) => self.reject(id, reason).await,
            Ask::Diff(id) => self.diff(id).await,
            Ask::Log(id) => self.log(id).await,
            Ask::Cost => self.cost().await,
            Ask::Pause => self.switch("pause").await,
            Ask::Resume => self.switch("resume").await,
            Ask::Stream(id) => return self.stream(id).await,
            Ask::Stop(None) => return Answer { stop_stream: Some(Stop::All), ..Answer::default() },
            Ask::Stop(Some(id)) => return Answer { stop_stream: Some(Stop::Task(id)), ..Answer::default() },
        };
        Answer::of(done.unwrap_or_else(|error| told::refused(&error, task)))
    }

    async fn task(&self, id: TaskId) -> Result<TaskView, ClientError> {
        self.client.get(&format!("/v1/tasks/{id}")).await
    }

    async fn show(&self, id: TaskId) -> Result<Saying, ClientError> {
        self.task(id).await.map(|view| told::task(&view))
    }

    /// Whether something has happened to the task since this was begun with.
    async fn was_done(&self, id: TaskId) -> Result<Option<TaskView>, ClientError> {
        let Some(begun) = self.begun else { return Ok(None) };
        self.task(id).await.map(|view| (view.updated_at >= begun).then_some(view))
    }

    async fn add(&self, title: String, body: String, document: Option<Document>) -> Result<Saying, ClientError> {
        let body = match document {
            Some(document) if body.is_empty() => document.text,
            Some(document) => format!("{body}\n\n{}", document.text),
            None => body,
        };
        let added = match self.added_already(&title, &body).await? {
            Some(there) => there,
            None => self.client.post("/v1/tasks", &NewTask { title, body, ..NewTask::default() }).await?,
        };
        let said = format!("#{} is added: {}", added.id, shortened(&added.title));
        Ok(told::about(added.id, said))
    }

    async fn added_already(&self, title: &str, body: &str) -> Result<Option<TaskView>, ClientError> {
        let Some(begun) = self.begun else { return Ok(None) };
        let all: Vec<TaskView> = self.client.get("/v1/tasks").await?;
        let is_it = |task: &TaskView| task.created_at >= begun && task.title == title && task.body == body;
        Ok(all.into_iter().rev().find(is_it))
    }

    async fn change(&self, id: TaskId, verb: &str) -> Result<Saying, ClientError> {
        let changed = match self.was_done(id).await? {
            Some(there) => there,
            None => self.client.post(&format!("/v1/tasks/{id}/{verb}"), &NOTHING).await?,
        };
        Ok(told::task(&changed))
    }

    async fn unblock_all(&self) -> Result<Saying, ClientError> {
        let tasks: Vec<TaskId> = self.client.post("/v1/unblock", &NOTHING).await?;
        let named: Vec<String> = tasks.iter().take(20).map(|id| format!("#{id}")).collect();
        let more = if tasks.len() > named.len() { ", …" } else { "" };
        Ok(told::sentence(match tasks.len() {
            0 => "Nothing waited for a person or for other work.".to_owned(),
            1 => format!("{} goes on.", named.concat()),
            some => format!("{some} tasks go on: {}{more}", named.join(", ")),
        }))
    }

    async fn approve(&self, id: TaskId, commit: Option<String>) -> Result<Saying, ClientError> {
        let view = match self.was_done(id).await? {
            Some(there) => there,
            None => self.client.post(&format!("/v1/tasks/{id}/approve"), &Accept { commit: commit.clone() }).await?,
        };
        let at = commit.as_deref().map(|commit| format!(" at {}", short(commit))).unwrap_or_default();
        Ok(told::about(id, format!("#{id} is approved{at}, by {}; it is {} now.", self.by, view.status.as_str())))
    }

    async fn reject(&self, id: TaskId, reason: String) -> Result<Saying, ClientError> {
        let view = match self.was_done(id).await? {
            Some(there) => there,
            None => self.client.post(&format!("/v1/tasks/{id}/reject"), &Reject { reason }).await?,
        };
        Ok(told::about(id, format!("#{id} goes back to its author; it is {} now.", view.status.as_str())))
    }

    /// Sends work back that was seen at a commit.
    pub async fn reject_at(&self, id: TaskId, commit: &str, reason: String) -> Saying {
        let done = async {
            let seen: DiffView = self.client.get(&format!("/v1/tasks/{id}/diff?stat=true")).await?;
            if seen.head != commit {
                let (head, commit) = (short(&seen.head), short(commit));
                let told = format!("The branch is at {head} now, not at {commit}: look at it again, /diff {id}");
                return Ok(told::about(id, told));
            }
            self.reject(id, reason).await
        };
        done.await.unwrap_or_else(|error| told::refused(&error, Some(id)))
    }

    /// Says something to the agent of a task.
    pub async fn tell(&self, id: TaskId, words: String) -> Saying {
        let done = async {
            if let Some(there) = self.told_already(id, &words).await? {
                return Ok(there);
            }
            let new = NewMessage { text: words, wait_seconds: RECEIPT, model: None };
            self.client.post(&format!("/v1/tasks/{id}/send"), &new).await
        };
        match done.await {
            Ok(view) => told::receipt(&view),
            Err(error) => told::refused(&error, Some(id)),
        }
    }

    async fn told_already(&self, id: TaskId, words: &str) -> Result<Option<MessageView>, ClientError> {
        let Some(begun) = self.begun else { return Ok(None) };
        let all: Vec<MessageView> = self.client.get(&format!("/v1/tasks/{id}/messages")).await?;
        Ok(all.into_iter().rev().find(|message| message.sent_at >= begun && message.text == words))
    }

    async fn diff(&self, id: TaskId) -> Result<Saying, ClientError> {
        let task = self.task(id).await?;
        let diff: DiffView = self.client.get(&format!("/v1/tasks/{id}/diff")).await?;
        Ok(told::diff(&diff, task.status))
    }

    /// What is there of a transcript: the stream of a run that goes on has no end of its own.
    async fn log(&self, id: TaskId) -> Result<Saying, ClientError> {
        let mut events = self.client.stream(&format!("/v1/tasks/{id}/stream?tail={TAIL}")).await?;
        let mut text = String::new();
        let listened = async {
            while let Ok(Ok(Some(event))) = tokio::time::timeout(QUIET, events.event::<StreamEvent>()).await {
                match event {
                    StreamEvent::Output(chunk) => text.push_str(&chunk.content),
                    StreamEvent::Settled { .. } => return,
                    StreamEvent::Run(_)
                    | StreamEvent::Lagged { .. }
                    | StreamEvent::Cut { .. }
                    | StreamEvent::Waiting { .. } => {}
                }
                if text.len() > MOST {
                    return;
                }
            }
        };
        // What came until then is what is shown.
        tokio::time::timeout(LISTENS, listened).await.ok();
        Ok(told::log(id, &text))
    }

    async fn stream(&self, id: TaskId) -> Answer {
        match self.task(id).await {
            Ok(_) => Answer { stream: Some(id), ..Answer::default() },
            Err(error) => Answer::of(told::refused(&error, None)),
        }
    }

    async fn cost(&self) -> Result<Saying, ClientError> {
        let status: Overview = self.client.get("/v1/status").await?;
        let all: CostView = self.client.get("/v1/cost").await?;
        Ok(told::cost(&status.today, &all))
    }

    async fn switch(&self, verb: &str) -> Result<Saying, ClientError> {
        let new = NewPause { by: Some(self.by.clone()), ..NewPause::default() };
        let view: PausesView = self.client.post(&format!("/v1/{verb}"), &new).await?;
        Ok(told::pauses(&view))
    }
}

/// The task in whose thread the answer belongs. One that may not be there has none.
fn task_of(ask: &Ask) -> Option<TaskId> {
    match ask {
        Ask::Run(id)
        | Ask::Retry(id)
        | Ask::Unblock(id)
        | Ask::Cancel(id)
        | Ask::Approve(id, _)
        | Ask::Reject(id, _)
        | Ask::Show(id)
        | Ask::Why(id)
        | Ask::Diff(id)
        | Ask::Log(id)
        | Ask::Stream(id) => Some(*id),
        Ask::Status
        | Ask::Tasks
        | Ask::Add { .. }
        | Ask::UnblockAll
        | Ask::Stop(_)
        | Ask::Cost
        | Ask::Pause
        | Ask::Resume
        | Ask::Help => None,
    }
}
