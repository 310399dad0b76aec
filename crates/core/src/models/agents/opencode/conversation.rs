//! A conversation with `opencode serve`: decides the requests to the server, and converts its events to the lines of
//! `opencode run --format json` and a few of orch's own. PURE: the bridge carries out the requests.
//!
//! The server adds a message to the conversation when it is posted, and asks the model with it at the next step. Each
//! message has its number as metadata, so that its receipt can be recognized in the server's events, and one that never
//! reached a model can be found later, and deleted before it is posted again.

mod steps;

pub use steps::{Answer, Ask, Purpose, Step};

use super::bridge_message::{BridgeMessage, DROPPED, ERROR, IDLE, OPENED, Opening, READ, RETRY};
use crate::models::agents::text::{str_at, string_at, u64_at};
use crate::tasks::message::MessageId;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The field of the metadata that identifies a message of orch's.
const MARK: &str = "orch";

/// How often a message is posted at most.
const MAX_POSTS: u32 = 3;

/// How many of a conversation's last messages are searched for those that reached no model.
const HISTORY: u32 = 50;

/// The state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not posted.
    Waiting,
    /// Posted, but not confirmed to be in the conversation.
    Posted,
    /// Part of the conversation.
    Stored,
    /// The model was asked with it.
    Read,
    /// The server refused it.
    Refused,
}

/// A message for the agent. The first is the prompt.
#[derive(Debug)]
struct Outgoing {
    /// The number of the message; `None` for the prompt.
    number: Option<MessageId>,
    text: String,
    stage: Stage,
    posts: u32,
    /// The server's ids of the message and its part.
    ids: Option<(String, String)>,
}

/// What the server does with the conversation, according to its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Nothing.
    Idle,
    /// Something was posted, and no turn has begun yet.
    Asked,
    /// A turn runs.
    Busy,
}

/// A conversation, from its opening to its end.
#[derive(Debug)]
pub struct Conversation {
    /// The server's working directory.
    directory: String,
    opening: Opening,
    session: Option<String>,
    /// How many messages are still to be deleted before anything is posted; `None` while that is unknown.
    to_delete: Option<usize>,
    messages: Vec<Outgoing>,
    work: Work,
    /// How many posts have no response yet.
    open_posts: usize,
    /// The server's error for the prompt or for a message that was read, until it is printed.
    refusal: Option<Value>,
    /// Whether a failure was printed since the last post.
    failure_printed: bool,
    failed: bool,
    interrupted: bool,
    /// Whether the last line to the runner was that the turn is over.
    is_idle: bool,
    /// The ids of the parts that were printed.
    printed: BTreeSet<String>,
    steps: Vec<Step>,
}

impl Conversation {
    /// Creates a conversation with a server that works in `directory`.
    pub fn new(directory: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            opening: Opening::default(),
            session: None,
            to_delete: None,
            messages: Vec::new(),
            work: Work::Idle,
            open_posts: 0,
            refusal: None,
            failure_printed: false,
            failed: false,
            interrupted: false,
            is_idle: false,
            printed: BTreeSet::new(),
            steps: Vec::new(),
        }
    }

    /// Takes the next steps, to be carried out in this order.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// Returns whether the turn is over and no message is pending.
    pub fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// Returns whether the runner has opened the conversation.
    pub fn is_open(&self) -> bool {
        !self.messages.is_empty()
    }

    /// Returns whether a failure was printed, which `opencode run` reports by its exit code.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Handles a message of the runner.
    pub fn handle_message(&mut self, message: BridgeMessage, now: Timestamp) {
        match message {
            BridgeMessage::Open { opening, prompt } => self.open(opening, prompt),
            BridgeMessage::Say { message, text } => {
                self.add(Some(message), text);
                self.advance(now);
            }
            BridgeMessage::Interrupt => {
                self.interrupted = true;
                self.abort();
                self.advance(now);
            }
        }
    }

    /// Handles a response of the server.
    pub fn handle_answer(&mut self, purpose: Purpose, answer: Answer, now: Timestamp) {
        let body = answer.as_ref().filter(|(status, _)| (200..300).contains(status)).map(|(_, body)| body);
        match purpose {
            Purpose::Session => match body {
                Some(body) => self.session_opened(body),
                None => self.session_failed(answer.as_ref()),
            },
            Purpose::History => self.delete_unread(body),
            Purpose::Delete => self.to_delete = self.to_delete.map(|left| left.saturating_sub(1)),
            Purpose::Post(index) => {
                self.open_posts = self.open_posts.saturating_sub(1);
                if body.is_none() {
                    self.refused(index, answer.map(|(_, body)| body), now);
                }
            }
            Purpose::Ignored => {}
        }
        self.advance(now);
    }

    /// Handles an event of the server.
    pub fn handle_event(&mut self, event: &Value, now: Timestamp) {
        let kind = str_at(event, "/type").unwrap_or_default();
        // No person is present to answer this conversation or one that it started.
        match (kind, str_at(event, "/properties/id")) {
            ("permission.asked", Some(id)) => {
                return self.request(format!("/permission/{id}/reply"), Some(json!({ "reply": "reject" })));
            }
            ("question.asked", Some(id)) => return self.request(format!("/question/{id}/reject"), None),
            _ => {}
        }
        let own = |pointer: &str| str_at(event, pointer).is_some() && str_at(event, pointer) == self.session.as_deref();
        if !["/properties/sessionID", "/properties/part/sessionID", "/properties/info/sessionID"].into_iter().any(own) {
            return;
        }
        match kind {
            "message.part.updated" => self.part(event, now),
            "message.updated" => self.answer_began(event, now),
            "session.error" => {
                if let Some(error) = event.pointer("/properties/error").filter(|error| error.is_object()) {
                    self.server_error(error.clone(), now);
                }
            }
            "session.status" => self.status(event, now),
            _ => {}
        }
        self.advance(now);
    }

    fn open(&mut self, opening: Opening, prompt: String) {
        self.opening = opening;
        self.add(None, prompt);
        let rule = |name: &str| json!({ "permission": name, "action": "deny", "pattern": "*" });
        let (method, path, body) = match &self.opening.session {
            Some(id) => ("GET", format!("/session/{id}"), None),
            None => {
                let rules = ["question", "plan_enter", "plan_exit"].map(rule);
                let body = json!({ "title": self.opening.title, "permission": rules });
                ("POST", "/session".to_owned(), Some(body))
            }
        };
        self.steps.push(Step::Ask(Ask { purpose: Purpose::Session, method, path, body }));
    }

    fn session_opened(&mut self, body: &Value) {
        let (id, place) = (string_at(body, "/id"), str_at(body, "/directory").unwrap_or_default());
        let Some(id) = id else {
            return self.steps.push(Step::Exit(format!("the server created no session: {body}")));
        };
        if self.opening.session.is_none() {
            self.to_delete = Some(0);
        } else if place == self.directory {
            let path = format!("/session/{id}/message?limit={HISTORY}");
            let ask = Ask { purpose: Purpose::History, method: "GET", path, body: None };
            self.steps.push(Step::Ask(ask));
        } else {
            // It would work there instead of here.
            let reason = format!("Session not found: {id} belongs to {place}, not to {}", self.directory);
            self.steps.push(Step::Exit(reason));
        }
        self.session = Some(id);
    }

    fn session_failed(&mut self, answer: Option<&(u16, Value)>) {
        let reason = match answer {
            Some((404, body)) => format!("Session not found: {body}"),
            Some((status, body)) => format!("the server created no session: {status}: {body}"),
            None => "the server did not answer".to_owned(),
        };
        self.steps.push(Step::Exit(reason));
    }

    /// Deletes messages of an earlier run that reached no model: the prompt contains them now.
    fn delete_unread(&mut self, history: Option<&Value>) {
        let messages = history.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let last_answer = messages.iter().rposition(|one| str_at(one, "/info/role") == Some("assistant"));
        let later = messages.iter().skip(last_answer.map_or(0, |index| index + 1));
        let marked = |one: &&Value| parts(one).any(|part| number_of(part).is_some());
        let ids: Vec<&str> = later.filter(marked).filter_map(|one| str_at(one, "/info/id")).collect();
        self.to_delete = Some(ids.len());
        for id in ids {
            let path = self.path(&format!("message/{id}"));
            self.steps.push(Step::Ask(Ask { purpose: Purpose::Delete, method: "DELETE", path, body: None }));
        }
    }

    fn add(&mut self, number: Option<MessageId>, text: String) {
        // A message awaits a later report that the turn is over, whether or not it can be posted.
        self.is_idle = false;
        self.messages.push(Outgoing { number, text, stage: Stage::Waiting, posts: 0, ids: None });
    }

    /// Posts waiting messages one after the other, and reports when nothing is pending.
    fn advance(&mut self, now: Timestamp) {
        if self.to_delete != Some(0) {
            return;
        }
        let is_posting = self.messages.iter().any(|message| message.stage == Stage::Posted);
        let next = self.messages.iter().position(|message| message.stage == Stage::Waiting);
        if let Some(next) = next.filter(|_| !is_posting && !self.interrupted) {
            return self.post(next);
        }
        if self.open_posts > 0 || self.work != Work::Idle {
            return;
        }
        // The message came as the turn ended, and no other turn began: the same message is posted again.
        let stored = self.messages.iter().position(|message| message.stage == Stage::Stored);
        match stored.filter(|_| !self.interrupted) {
            Some(index) if self.messages[index].posts < MAX_POSTS => self.post(index),
            Some(index) => {
                self.refused(index, None, now);
                self.advance(now);
            }
            None => self.report_idle(now),
        }
    }

    fn post(&mut self, index: usize) {
        let message = &mut self.messages[index];
        let mark = message.number.map_or_else(|| json!("prompt"), |number| json!(number));
        let mut part = json!({ "type": "text", "text": message.text, "metadata": { MARK: mark } });
        let mut body =
            json!({ "agent": self.opening.agent, "model": self.opening.model, "variant": self.opening.variant });
        if let Some((message, id)) = &message.ids {
            body["messageID"] = json!(message);
            part["id"] = json!(id);
        }
        body["parts"] = json!([part]);
        body.as_object_mut().into_iter().for_each(|fields| fields.retain(|_, value| !value.is_null()));
        message.posts += 1;
        if message.stage == Stage::Waiting {
            message.stage = Stage::Posted;
        }
        if self.work == Work::Idle {
            self.work = Work::Asked;
        }
        self.open_posts += 1;
        (self.is_idle, self.failure_printed) = (false, false);
        let ask = Ask { purpose: Purpose::Post(index), method: "POST", path: self.path("message"), body: Some(body) };
        self.steps.push(Step::Ask(ask));
    }

    /// Handles that the server refuses a message, or does nothing with it.
    fn refused(&mut self, index: usize, error: Option<Value>, now: Timestamp) {
        let Some(message) = self.messages.get_mut(index) else { return };
        if self.work == Work::Asked && self.open_posts == 0 {
            self.work = Work::Idle;
        }
        // An error for a message that was not read is no failure of the turn: the message comes with the next prompt.
        if message.number.is_none() || message.stage == Stage::Read {
            self.refusal = self.refusal.take().or(error);
        }
        if message.stage == Stage::Read {
            return;
        }
        message.stage = Stage::Refused;
        let number = message.number;
        if let Some(number) = number {
            self.print(DROPPED, json!({ "message": number }), now);
        } else if self.refusal.is_none() {
            let message = "the server did not process the prompt";
            self.refusal = Some(json!({ "name": "UnknownError", "data": { "message": message } }));
        }
        if self.open_posts == 0 && self.work == Work::Idle {
            self.report_idle(now);
        }
    }

    fn report_idle(&mut self, now: Timestamp) {
        if self.is_idle || self.messages.is_empty() {
            return;
        }
        if let Some(refusal) = self.refusal.take().filter(|_| !self.failure_printed) {
            self.failure(refusal, now);
        }
        self.print(IDLE, json!({}), now);
        self.is_idle = true;
    }

    /// Handles an error of the server. While no turn runs, or only a message is being posted, the error belongs to no turn,
    /// and a finished turn stays finished.
    fn server_error(&mut self, error: Value, now: Timestamp) {
        let is_posting = |message: &Outgoing| message.stage == Stage::Posted && message.number.is_some();
        if self.is_idle || self.work == Work::Asked && self.messages.iter().any(is_posting) {
            self.print(ERROR, json!({ "error": error }), now);
        } else {
            self.failure(error, now);
        }
    }

    fn failure(&mut self, error: Value, now: Timestamp) {
        (self.failed, self.failure_printed) = (true, true);
        self.print("error", json!({ "error": error }), now);
    }

    fn abort(&mut self) {
        if self.session.is_some() {
            self.request(self.path("abort"), None);
        }
    }

    fn status(&mut self, event: &Value, now: Timestamp) {
        match str_at(event, "/properties/status/type").unwrap_or_default() {
            "idle" => self.work = Work::Idle,
            kind => {
                (self.work, self.is_idle) = (Work::Busy, false);
                if kind == "retry" {
                    let at = |name: &str| event.pointer(&format!("/properties/status/{name}")).cloned();
                    let fields = json!({ "attempt": at("attempt"), "text": at("message"), "next": at("next") });
                    self.print(RETRY, fields, now);
                }
                // The interrupt came before this turn began.
                if kind == "busy" && self.interrupted {
                    self.abort();
                }
            }
        }
    }

    fn part(&mut self, event: &Value, now: Timestamp) {
        let Some(part) = event.pointer("/properties/part") else { return };
        if part.pointer("/metadata/orch").is_some() {
            return self.stored(part, now);
        }
        let over = part.pointer("/time/end").is_some_and(|end| !end.is_null());
        let state = str_at(part, "/state/status").unwrap_or_default();
        let kind = match str_at(part, "/type").unwrap_or_default() {
            "step-start" => "step_start",
            "step-finish" => "step_finish",
            "text" if over => "text",
            "reasoning" if over && self.opening.thinking => "reasoning",
            "tool" if state == "completed" || state == "error" => "tool_use",
            _ => return,
        };
        // The server may update a finished part at any time to clear the output of old calls, also of an earlier
        // run's calls.
        let cleared = part.pointer("/state/time/compacted").is_some_and(|at| !at.is_null());
        if cleared || string_at(part, "/id").is_some_and(|id| !self.printed.insert(id)) {
            return;
        }
        self.print(kind, json!({ "part": part }), now);
    }

    /// Handles that one of orch's messages is in the conversation.
    fn stored(&mut self, part: &Value, now: Timestamp) {
        let (Some(message_id), Some(part_id)) = (string_at(part, "/messageID"), string_at(part, "/id")) else { return };
        let number = number_of(part);
        let posted =
            self.messages.iter_mut().find(|message| message.number == number && message.stage == Stage::Posted);
        let Some(message) = posted else { return };
        (message.stage, message.ids) = (Stage::Stored, Some((message_id, part_id)));
        if number.is_none() {
            self.print(OPENED, json!({}), now);
        }
    }

    /// Handles that an answer begins, to a message and to all before it.
    fn answer_began(&mut self, event: &Value, now: Timestamp) {
        let parent = str_at(event, "/properties/info/parentID");
        let known = |message: &Outgoing| message.ids.as_ref().is_some_and(|(id, _)| Some(id.as_str()) == parent);
        let Some(last) = self.messages.iter().position(known) else { return };
        let mut read = Vec::new();
        for message in self.messages.iter_mut().take(last + 1).filter(|message| message.stage == Stage::Stored) {
            message.stage = Stage::Read;
            read.extend(message.number);
        }
        for number in read {
            self.print(READ, json!({ "message": number }), now);
        }
    }

    fn request(&mut self, path: String, body: Option<Value>) {
        self.steps.push(Step::Ask(Ask { purpose: Purpose::Ignored, method: "POST", path, body }));
    }

    fn path(&self, rest: &str) -> String {
        format!("/session/{}/{rest}", self.session.as_deref().unwrap_or_default())
    }

    /// Prints a line. The report that the turn is over must follow it, because the reader takes every line as work.
    fn print(&mut self, kind: &str, fields: Value, now: Timestamp) {
        self.is_idle = false;
        let mut line = Map::new();
        line.insert("type".to_owned(), json!(kind));
        line.insert("timestamp".to_owned(), json!(now.as_millisecond()));
        line.insert("sessionID".to_owned(), json!(self.session));
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        self.steps.push(Step::Print(Value::Object(line).to_string()));
    }
}

/// Returns the parts of a message in the server's list.
fn parts(message: &Value) -> impl Iterator<Item = &Value> {
    message.get("parts").and_then(Value::as_array).into_iter().flatten()
}

/// Returns the number of orch's message that a part belongs to; the prompt has none.
fn number_of(part: &Value) -> Option<MessageId> {
    u64_at(part, "/metadata/orch").map(MessageId)
}

#[cfg(test)]
mod tests;
