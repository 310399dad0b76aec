//! A conversation with `opencode serve`: what to ask of the server, and what its events mean in the lines of
//! `opencode run --format json` and a few of orch's own. PURE: who carries out the requests is the bridge.
//!
//! The server keeps a message in the conversation from the moment it is posted, and the model is asked with it at the
//! next step. Each message bears its number as metadata, so that its receipt can be told from the server's own events
//! and one that no model was ever asked with can be found later, and taken back before it is said again.

mod steps;

pub use steps::{Answer, Ask, Purpose, Step};

use super::bridge_message::{BEGUN, BridgeMessage, HEARD, Opening, REST, RETRY, TROUBLE, UNSAID};
use crate::agents::text::{str_at, string_at, u64_at};
use crate::message::MessageId;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The field of the metadata by which a message of orch's is known.
const MARK: &str = "orch";

/// How often a message is posted before it is given up.
const POSTS: u32 = 3;

/// How many of a conversation's last messages are looked through for those that nobody heard.
const LOOK_BACK: u32 = 50;

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not posted.
    Waiting,
    /// Posted, and not in the conversation as far as is known.
    Posted,
    /// In the conversation.
    Kept,
    /// The model is asked with it.
    Heard,
    /// The server does not take it.
    Refused,
}

/// Something to be said, and where it stands. The first is the prompt.
#[derive(Debug)]
struct Said {
    /// `None`: the prompt.
    number: Option<MessageId>,
    text: String,
    stage: Stage,
    posts: u32,
    /// The server's ids of the message and its part.
    ids: Option<(String, String)>,
}

/// What the server does with the conversation, as far as its events tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Nothing.
    Quiet,
    /// Something was posted, and it has not begun.
    Asked,
    /// A turn.
    Busy,
}

/// One conversation, from its opening to its end.
#[derive(Debug)]
pub struct Conversation {
    /// Where the server works.
    directory: String,
    opening: Opening,
    session: Option<String>,
    /// Messages to be taken back before anything is said; `None`: that is not known yet.
    to_take_back: Option<usize>,
    said: Vec<Said>,
    work: Work,
    /// Messages whose answer is awaited.
    open_posts: usize,
    /// The server's word on why it failed at the prompt, or at a message that was heard, until it is told.
    refusal: Option<Value>,
    /// Whether a failure was told since something was posted last.
    failure_told: bool,
    failed: bool,
    interrupted: bool,
    /// Whether the last word between the runner and us was that the turn is over.
    resting: bool,
    /// The ids of the parts that are printed.
    printed: BTreeSet<String>,
    steps: Vec<Step>,
}

impl Conversation {
    /// With a server that works in `directory`.
    pub fn new(directory: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            opening: Opening::default(),
            session: None,
            to_take_back: None,
            said: Vec::new(),
            work: Work::Quiet,
            open_posts: 0,
            refusal: None,
            failure_told: false,
            failed: false,
            interrupted: false,
            resting: false,
            printed: BTreeSet::new(),
            steps: Vec::new(),
        }
    }

    /// What is to be done, each thing once and in this order.
    pub fn steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// Whether the turn is over, and nothing that was said waits.
    pub fn rests(&self) -> bool {
        self.resting
    }

    /// Whether anything was ever said.
    pub fn is_open(&self) -> bool {
        !self.said.is_empty()
    }

    /// Whether a failure was told, as `opencode run` tells it by its exit code.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// The runner said something.
    pub fn told(&mut self, told: BridgeMessage, now: Timestamp) {
        match told {
            BridgeMessage::Open { opening, prompt } => self.open(opening, prompt),
            BridgeMessage::Say { message, text } => {
                self.add(Some(message), text);
                self.go_on(now);
            }
            BridgeMessage::Interrupt => {
                self.interrupted = true;
                self.abort();
                self.go_on(now);
            }
        }
    }

    /// The server answered.
    pub fn answered(&mut self, purpose: Purpose, answer: Answer, now: Timestamp) {
        let body = answer.as_ref().filter(|(status, _)| (200..300).contains(status)).map(|(_, body)| body);
        match purpose {
            Purpose::Session => match body {
                Some(body) => self.session_is(body),
                None => self.no_session(answer.as_ref()),
            },
            Purpose::History => self.take_back(body),
            Purpose::TakeBack => self.to_take_back = self.to_take_back.map(|left| left.saturating_sub(1)),
            Purpose::Say(index) => {
                self.open_posts = self.open_posts.saturating_sub(1);
                if body.is_none() {
                    self.refused(index, answer.map(|(_, body)| body), now);
                }
            }
            Purpose::Aside => {}
        }
        self.go_on(now);
    }

    /// The server told of something.
    pub fn event(&mut self, event: &Value, now: Timestamp) {
        let kind = str_at(event, "/type").unwrap_or_default();
        // Nobody is there to be asked, by this conversation or by one that it started.
        match (kind, str_at(event, "/properties/id")) {
            ("permission.asked", Some(id)) => {
                return self.aside(format!("/permission/{id}/reply"), Some(json!({ "reply": "reject" })));
            }
            ("question.asked", Some(id)) => return self.aside(format!("/question/{id}/reject"), None),
            _ => {}
        }
        let own = |pointer: &str| str_at(event, pointer).is_some() && str_at(event, pointer) == self.session.as_deref();
        if !["/properties/sessionID", "/properties/part/sessionID", "/properties/info/sessionID"].into_iter().any(own) {
            return;
        }
        match kind {
            "message.part.updated" => self.part(event, now),
            "message.updated" => self.asked_with(event, now),
            "session.error" => {
                if let Some(error) = event.pointer("/properties/error").filter(|error| error.is_object()) {
                    self.trouble(error.clone(), now);
                }
            }
            "session.status" => self.status(event, now),
            _ => {}
        }
        self.go_on(now);
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

    fn session_is(&mut self, body: &Value) {
        let (id, place) = (string_at(body, "/id"), str_at(body, "/directory").unwrap_or_default());
        let Some(id) = id else {
            return self.steps.push(Step::Leave(format!("the server made no session: {body}")));
        };
        if self.opening.session.is_none() {
            self.to_take_back = Some(0);
        } else if place == self.directory {
            let path = format!("/session/{id}/message?limit={LOOK_BACK}");
            let ask = Ask { purpose: Purpose::History, method: "GET", path, body: None };
            self.steps.push(Step::Ask(ask));
        } else {
            // It would work there and not here.
            let leave = format!("Session not found: {id} belongs to {place}, not to {}", self.directory);
            self.steps.push(Step::Leave(leave));
        }
        self.session = Some(id);
    }

    fn no_session(&mut self, answer: Option<&(u16, Value)>) {
        let why = match answer {
            Some((404, body)) => format!("Session not found: {body}"),
            Some((status, body)) => format!("the server made no session: {status}: {body}"),
            None => "the server did not answer".to_owned(),
        };
        self.steps.push(Step::Leave(why));
    }

    /// Removes what was posted in an earlier run and never heard: the person's words come with the prompt now.
    fn take_back(&mut self, history: Option<&Value>) {
        let messages = history.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let heard = messages.iter().rposition(|one| str_at(one, "/info/role") == Some("assistant"));
        let later = messages.iter().skip(heard.map_or(0, |index| index + 1));
        let marked = |one: &&Value| parts(one).any(|part| number_of(part).is_some());
        let ids: Vec<&str> = later.filter(marked).filter_map(|one| str_at(one, "/info/id")).collect();
        self.to_take_back = Some(ids.len());
        for id in ids {
            let path = self.path(&format!("message/{id}"));
            self.steps.push(Step::Ask(Ask { purpose: Purpose::TakeBack, method: "DELETE", path, body: None }));
        }
    }

    fn add(&mut self, number: Option<MessageId>, text: String) {
        // Who says something waits for the word that follows it, whether or not it can be passed on.
        self.resting = false;
        self.said.push(Said { number, text, stage: Stage::Waiting, posts: 0, ids: None });
    }

    /// Says what waits, one after the other, and tells when nothing is left to wait for.
    fn go_on(&mut self, now: Timestamp) {
        if self.to_take_back != Some(0) {
            return;
        }
        let on_its_way = self.said.iter().any(|said| said.stage == Stage::Posted);
        let next = self.said.iter().position(|said| said.stage == Stage::Waiting);
        if let Some(next) = next.filter(|_| !on_its_way && !self.interrupted) {
            return self.post(next);
        }
        if self.open_posts > 0 || self.work != Work::Quiet {
            return;
        }
        // It came as the turn ended, and no other one began: the same message is posted once more.
        let kept = self.said.iter().position(|said| said.stage == Stage::Kept);
        match kept.filter(|_| !self.interrupted) {
            Some(index) if self.said[index].posts < POSTS => self.post(index),
            Some(index) => {
                self.refused(index, None, now);
                self.go_on(now);
            }
            None => self.rest(now),
        }
    }

    fn post(&mut self, index: usize) {
        let said = &mut self.said[index];
        let mark = said.number.map_or_else(|| json!("prompt"), |number| json!(number));
        let mut part = json!({ "type": "text", "text": said.text, "metadata": { MARK: mark } });
        let mut body =
            json!({ "agent": self.opening.agent, "model": self.opening.model, "variant": self.opening.variant });
        if let Some((message, id)) = &said.ids {
            body["messageID"] = json!(message);
            part["id"] = json!(id);
        }
        body["parts"] = json!([part]);
        body.as_object_mut().into_iter().for_each(|fields| fields.retain(|_, value| !value.is_null()));
        said.posts += 1;
        if said.stage == Stage::Waiting {
            said.stage = Stage::Posted;
        }
        if self.work == Work::Quiet {
            self.work = Work::Asked;
        }
        self.open_posts += 1;
        (self.resting, self.failure_told) = (false, false);
        let ask = Ask { purpose: Purpose::Say(index), method: "POST", path: self.path("message"), body: Some(body) };
        self.steps.push(Step::Ask(ask));
    }

    /// The server does not take a message, or makes nothing of it.
    fn refused(&mut self, index: usize, why: Option<Value>, now: Timestamp) {
        let Some(said) = self.said.get_mut(index) else { return };
        if self.work == Work::Asked && self.open_posts == 0 {
            self.work = Work::Quiet;
        }
        // What it says of a message that nobody heard is no failure of the turn: the message goes with the next prompt.
        if said.number.is_none() || said.stage == Stage::Heard {
            self.refusal = self.refusal.take().or(why);
        }
        if said.stage == Stage::Heard {
            return;
        }
        said.stage = Stage::Refused;
        let number = said.number;
        if let Some(number) = number {
            self.print(UNSAID, json!({ "message": number }), now);
        } else if self.refusal.is_none() {
            let message = "the server made nothing of the prompt";
            self.refusal = Some(json!({ "name": "UnknownError", "data": { "message": message } }));
        }
        if self.open_posts == 0 && self.work == Work::Quiet {
            self.rest(now);
        }
    }

    fn rest(&mut self, now: Timestamp) {
        if self.resting || self.said.is_empty() {
            return;
        }
        if let Some(refusal) = self.refusal.take().filter(|_| !self.failure_told) {
            self.failure(refusal, now);
        }
        self.print(REST, json!({}), now);
        self.resting = true;
    }

    /// The server told of an error. While nothing is being done, or only a message is on its way into the conversation,
    /// it is none of a turn's, and what is finished stays so.
    fn trouble(&mut self, error: Value, now: Timestamp) {
        let on_its_way = |said: &Said| said.stage == Stage::Posted && said.number.is_some();
        if self.resting || self.work == Work::Asked && self.said.iter().any(on_its_way) {
            self.print(TROUBLE, json!({ "error": error }), now);
        } else {
            self.failure(error, now);
        }
    }

    fn failure(&mut self, error: Value, now: Timestamp) {
        (self.failed, self.failure_told) = (true, true);
        self.print("error", json!({ "error": error }), now);
    }

    fn abort(&mut self) {
        if self.session.is_some() {
            self.aside(self.path("abort"), None);
        }
    }

    fn status(&mut self, event: &Value, now: Timestamp) {
        match str_at(event, "/properties/status/type").unwrap_or_default() {
            "idle" => self.work = Work::Quiet,
            kind => {
                (self.work, self.resting) = (Work::Busy, false);
                if kind == "retry" {
                    let at = |name: &str| event.pointer(&format!("/properties/status/{name}")).cloned();
                    let fields = json!({ "attempt": at("attempt"), "text": at("message"), "next": at("next") });
                    self.print(RETRY, fields, now);
                }
                // The wish came before this turn began.
                if kind == "busy" && self.interrupted {
                    self.abort();
                }
            }
        }
    }

    fn part(&mut self, event: &Value, now: Timestamp) {
        let Some(part) = event.pointer("/properties/part") else { return };
        if part.pointer("/metadata/orch").is_some() {
            return self.kept(part, now);
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
        // A part that has ended is updated once more when the server clears the output of old calls, at any time, and
        // of an earlier run's calls too.
        let cleared = part.pointer("/state/time/compacted").is_some_and(|at| !at.is_null());
        if cleared || string_at(part, "/id").is_some_and(|id| !self.printed.insert(id)) {
            return;
        }
        self.print(kind, json!({ "part": part }), now);
    }

    /// One of our messages is in the conversation.
    fn kept(&mut self, part: &Value, now: Timestamp) {
        let (Some(message), Some(id)) = (string_at(part, "/messageID"), string_at(part, "/id")) else { return };
        let number = number_of(part);
        let posted = self.said.iter_mut().find(|said| said.number == number && said.stage == Stage::Posted);
        let Some(said) = posted else { return };
        (said.stage, said.ids) = (Stage::Kept, Some((message, id)));
        if number.is_none() {
            self.print(BEGUN, json!({}), now);
        }
    }

    /// An answer begins, to a message and to all that came before it.
    fn asked_with(&mut self, event: &Value, now: Timestamp) {
        let parent = str_at(event, "/properties/info/parentID");
        let known = |said: &Said| said.ids.as_ref().is_some_and(|(id, _)| Some(id.as_str()) == parent);
        let Some(last) = self.said.iter().position(known) else { return };
        let mut heard = Vec::new();
        for said in self.said.iter_mut().take(last + 1).filter(|said| said.stage == Stage::Kept) {
            said.stage = Stage::Heard;
            heard.extend(said.number);
        }
        for number in heard {
            self.print(HEARD, json!({ "message": number }), now);
        }
    }

    fn aside(&mut self, path: String, body: Option<Value>) {
        self.steps.push(Step::Ask(Ask { purpose: Purpose::Aside, method: "POST", path, body }));
    }

    fn path(&self, rest: &str) -> String {
        format!("/session/{}/{rest}", self.session.as_deref().unwrap_or_default())
    }

    /// Whatever is printed, that the turn is over is said after it: the reader takes every line as a sign of work.
    fn print(&mut self, kind: &str, fields: Value, now: Timestamp) {
        self.resting = false;
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

/// The parts of a message as the server lists it.
fn parts(message: &Value) -> impl Iterator<Item = &Value> {
    message.get("parts").and_then(Value::as_array).into_iter().flatten()
}

/// The number by which a part is known as a message of orch's; the prompt has none.
fn number_of(part: &Value) -> Option<MessageId> {
    u64_at(part, "/metadata/orch").map(MessageId)
}

#[cfg(test)]
mod tests;
