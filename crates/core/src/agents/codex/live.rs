//! Talking to Codex while it works: `codex app-server`, JSON-RPC over stdin and stdout, one object a line. What it tells is
//! brought into the words of `codex exec --json` and read by the same reader. Ids of requests are computed, so that an
//! answer can be understood by who did not ask: a run whose runner was killed is read again from its beginning.

use super::failure::of_text;
use super::reader::Reader;
use super::record::usage;
use crate::agents::text::{detail, object, str_at, string_at};
use crate::agents::{EventReader, LiveReader};
use crate::message::MessageId;
use crate::outcome::{AgentEvent, Ending, Exit, Failure, FailureClass, Usage};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How orch names its messages, which Codex repeats with the item that it makes of each.
const MARK: &str = "orch-message-";

/// What a request was for; each has an id of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Hello,
    Thread,
    FirstTurn,
    Interrupt,
    /// A message into the running turn.
    Steer(MessageId),
    /// A message that begins a turn.
    Turn(MessageId),
}

impl Asked {
    fn id(self) -> u64 {
        match self {
            Self::Hello => 1,
            Self::Thread => 2,
            Self::FirstTurn => 3,
            Self::Interrupt => 4,
            Self::Steer(message) => 10 + 2 * message.0,
            Self::Turn(message) => 11 + 2 * message.0,
        }
    }

    fn of(id: u64) -> Option<Self> {
        let message = MessageId(id.saturating_sub(10) / 2);
        match id {
            1 => Some(Self::Hello),
            2 => Some(Self::Thread),
            3 => Some(Self::FirstTurn),
            4 => Some(Self::Interrupt),
            0 | 5..10 => None,
            _ if id.is_multiple_of(2) => Some(Self::Steer(message)),
            _ => Some(Self::Turn(message)),
        }
    }
}

/// The open conversation of one run.
#[derive(Debug)]
pub(super) struct Live {
    reader: Reader,
    /// What the launch says of thread and turn, see [`opening`].
    opening: Value,
    prompt: String,
    thread: Option<String>,
    /// The turn that runs.
    turn: Option<String>,
    total: Value,
    /// A turn of this run was begun.
    has_begun: bool,
    /// Tokens of this run's own requests.
    own: Usage,
    /// Said, or to be said, and not yet taken up.
    unheard: BTreeMap<MessageId, String>,
    /// Those of them that no turn was told.
    waiting: BTreeSet<MessageId>,
    /// Why there will be no turn.
    broken: Option<String>,
    replies: Vec<String>,
}

/// What the launch hands on: the request for the thread, what every turn says of itself, and the form of the answer.
pub(super) fn opening(method: &str, params: &Value, turn: &Value, schema: &Value) -> Value {
    json!({ "method": method, "params": params, "turn": turn, "schema": schema })
}

impl Live {
    pub(super) fn new(opening: &Value) -> Self {
        Self {
            reader: Reader::default(),
            opening: opening.clone(),
            prompt: String::new(),
            thread: None,
            turn: None,
            total: Value::Null,
            has_begun: false,
            own: Usage::default(),
            unheard: BTreeMap::new(),
            waiting: BTreeSet::new(),
            broken: None,
            replies: Vec::new(),
        }
    }

    fn request(asked: Asked, method: &str, params: &Value) -> String {
        json!({ "id": asked.id(), "method": method, "params": params }).to_string()
    }

    /// Begins a turn with these words.
    fn begin(&mut self, asked: Asked, mark: &str, text: &str) {
        let mut params = json!({
            "threadId": self.thread, "clientUserMessageId": mark, "outputSchema": self.opening["schema"],
            "input": [{ "type": "text", "text": text }],
        });
        for (name, value) in self.opening["turn"].as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        self.replies.push(Self::request(asked, "turn/start", &params));
    }

    /// Tells what waits: into the running turn, or by a turn of its own.
    fn tell(&mut self) {
        let Some(thread) = self.thread.clone().filter(|_| self.broken.is_none()) else { return };
        if let Some(turn) = self.turn.clone() {
            for message in std::mem::take(&mut self.waiting) {
                let text = self.unheard.get(&message).cloned().unwrap_or_default();
                let params = json!({
                    "threadId": thread, "expectedTurnId": turn, "clientUserMessageId": format!("{MARK}{message}"),
                    "input": [{ "type": "text", "text": text }],
                });
                self.replies.push(Self::request(Asked::Steer(message), "turn/steer", &params));
            }
        } else if self.reader.turn_ended()
            && let Some(message) = self.waiting.pop_first()
        {
            let text = self.unheard.get(&message).cloned().unwrap_or_default();
            self.begin(Asked::Turn(message), &format!("{MARK}{message}"), &text);
        }
    }

    fn answer(&mut self, id: u64, answer: &Value) -> Vec<AgentEvent> {
        let Some(asked) = Asked::of(id) else { return Vec::new() };
        if let Some(error) = answer.get("error") {
            return self.refused(asked, str_at(error, "/message").unwrap_or("refused without a word"));
        }
        match asked {
            Asked::Hello => {
                self.replies.push(json!({ "method": "initialized" }).to_string());
                let method = str_at(&self.opening, "/method").unwrap_or("thread/start").to_owned();
                self.replies.push(Self::request(Asked::Thread, &method, &self.opening["params"]));
                Vec::new()
            }
            Asked::Thread => {
                self.thread = string_at(answer, "/result/thread/id");
                let prompt = std::mem::take(&mut self.prompt);
                self.begin(Asked::FirstTurn, "orch-prompt", &prompt);
                self.reader.event(&json!({ "type": "thread.started", "thread_id": self.thread }))
            }
            Asked::FirstTurn | Asked::Turn(_) => {
                self.turn = string_at(answer, "/result/turn/id").or(self.turn.take());
                self.tell();
                Vec::new()
            }
            Asked::Interrupt | Asked::Steer(_) => Vec::new(),
        }
    }

    fn refused(&mut self, asked: Asked, why: &str) -> Vec<AgentEvent> {
        match asked {
            // Its turn ended in this very moment: another one, then.
            Asked::Steer(message) => {
                self.waiting.insert(message);
                self.tell();
                Vec::new()
            }
            Asked::Interrupt => Vec::new(),
            Asked::Hello | Asked::Thread | Asked::FirstTurn | Asked::Turn(_) => {
                self.broken = Some(why.to_owned());
                let class = of_text(why).unwrap_or(FailureClass::Crashed);
                vec![AgentEvent::Error { class, text: detail(why) }]
            }
        }
    }

    fn news(&mut self, method: &str, params: &Value) -> Vec<AgentEvent> {
        // Agents that this one starts have threads of their own.
        if str_at(params, "/threadId").is_some_and(|thread| Some(thread) != self.thread.as_deref()) {
            return Vec::new();
        }
        match method {
            "turn/started" => {
                self.turn = string_at(params, "/turn/id");
                self.has_begun = true;
                let events = self.reader.event(&json!({ "type": "turn.started" }));
                self.tell();
                events
            }
            "item/started" => self.item(params, "item.started"),
            "item/completed" => self.item(params, "item.completed"),
            "warning" => {
                let item = json!({ "type": "error", "message": params.get("message") });
                self.reader.event(&json!({ "type": "item.completed", "item": item }))
            }
            "error" => {
                let text = str_at(params, "/error/message").unwrap_or_default();
                let more = str_at(params, "/error/additionalDetails").map(|more| format!(" ({more})"));
                let text = format!("{text}{}", more.unwrap_or_default());
                self.reader.event(&json!({ "type": "error", "message": text }))
            }
            "thread/tokenUsage/updated" => {
                self.total = in_words_of_record(params.pointer("/tokenUsage/total").unwrap_or(&Value::Null));
                self.spent(params)
            }
            "turn/completed" => self.turn_end(params),
            _ => Vec::new(),
        }
    }

    /// The tokens of this run: the sum of its requests. Told before a turn runs, they are of an earlier run.
    fn spent(&mut self, params: &Value) -> Vec<AgentEvent> {
        let Some(last) = params.pointer("/tokenUsage/last").filter(|_| self.has_begun) else { return Vec::new() };
        self.own = self.own.plus(usage(&in_words_of_record(last)));
        vec![AgentEvent::Spent { usage: self.own, cost_usd: None, usage_is_thread_total: false }]
    }

    fn item(&mut self, params: &Value, kind: &str) -> Vec<AgentEvent> {
        let Some(item) = params.get("item") else { return Vec::new() };
        if str_at(item, "/type") != Some("userMessage") {
            return self.reader.event(&json!({ "type": kind, "item": in_words_of_exec(item) }));
        }
        let number = str_at(item, "/clientId").and_then(|mark| mark.strip_prefix(MARK)?.parse().ok());
        match number.map(MessageId).filter(|_| kind == "item.started") {
            Some(message) => {
                self.unheard.remove(&message);
                self.waiting.remove(&message);
                vec![AgentEvent::Heard { message }]
            }
            None => Vec::new(),
        }
    }

    fn turn_end(&mut self, params: &Value) -> Vec<AgentEvent> {
        self.turn = None;
        let usage = self.total.clone();
        let error = str_at(params, "/turn/error/message").unwrap_or_default();
        let events = match str_at(params, "/turn/status").unwrap_or_default() {
            "interrupted" => self.reader.interrupted(&usage),
            "failed" => self.reader.event(&json!({ "type": "turn.failed", "error": { "message": error } })),
            _ => self.reader.event(&json!({ "type": "turn.completed", "usage": usage })),
        };
        self.tell();
        events
    }
}

impl EventReader for Live {
    fn line(&mut self, line: &str) -> Vec<AgentEvent> {
        let Some(told) = object(line) else { return Vec::new() };
        let id = told.get("id").cloned();
        match (str_at(&told, "/method"), id) {
            (Some(_), Some(id)) => {
                // Whatever it wants: nobody is there to be asked.
                let error = json!({ "code": -32601, "message": "nobody can answer this" });
                self.replies.push(json!({ "id": id, "error": error }).to_string());
                Vec::new()
            }
            (Some(method), None) => self.news(method, &told["params"]),
            (None, Some(id)) => id.as_u64().map_or_else(Vec::new, |id| self.answer(id, &told)),
            (None, None) => Vec::new(),
        }
    }

    fn hopeless(&self) -> Option<Failure> {
        self.reader.hopeless()
    }

    fn waits_for(&self) -> Option<&Failure> {
        self.reader.waits_for()
    }

    fn turn_ended(&self) -> bool {
        self.broken.is_some() || self.reader.turn_ended()
    }

    fn session_record_suffix(&self) -> Option<String> {
        self.reader.session_record_suffix()
    }

    fn session_record_line(&mut self, line: &str) {
        self.reader.session_record_line(line);
    }

    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending {
        let mut ending = self.reader.finish(exit, stderr_tail);
        if let Some(why) = &self.broken {
            let class = of_text(why).unwrap_or(FailureClass::Crashed);
            ending.failure = Some(Failure::new(class, detail(why)));
        }
        ending
    }
}

impl LiveReader for Live {
    fn open(&mut self, prompt: &str) -> Vec<String> {
        self.prompt = prompt.to_owned();
        let client = json!({ "name": "orch", "version": env!("CARGO_PKG_VERSION") });
        vec![Self::request(Asked::Hello, "initialize", &json!({ "clientInfo": client }))]
    }

    fn say(&mut self, message: MessageId, text: &str) -> Vec<String> {
        self.unheard.insert(message, text.to_owned());
        self.waiting.insert(message);
        self.tell();
        self.replies()
    }

    fn interrupt(&mut self) -> Vec<String> {
        let Some(turn) = &self.turn else { return Vec::new() };
        let params = json!({ "threadId": self.thread, "turnId": turn });
        // No other turn.
        self.waiting.clear();
        vec![Self::request(Asked::Interrupt, "turn/interrupt", &params)]
    }

    fn replies(&mut self) -> Vec<String> {
        std::mem::take(&mut self.replies)
    }

    fn rests(&self) -> bool {
        self.broken.is_some() || self.reader.turn_ended() && self.unheard.is_empty()
    }
}

/// A count of tokens as `exec` and the session file tell it.
fn in_words_of_record(counts: &Value) -> Value {
    json!({
        "input_tokens": counts.get("inputTokens"), "cached_input_tokens": counts.get("cachedInputTokens"),
        "output_tokens": counts.get("outputTokens"),
    })
}

/// An item as `exec` tells it.
fn in_words_of_exec(item: &Value) -> Value {
    let mut item = item.clone();
    let Some(fields) = item.as_object_mut() else { return item };
    let kind = match fields.get("type").and_then(Value::as_str).unwrap_or_default() {
        "agentMessage" => "agent_message",
        "commandExecution" => "command_execution",
        "fileChange" => "file_change",
        "mcpToolCall" => "mcp_tool_call",
        "webSearch" => "web_search",
        other => other,
    };
    let kind = kind.to_owned();
    match kind.as_str() {
        "command_execution" => {
            let output = fields.get("aggregatedOutput").cloned().unwrap_or_default();
            fields.insert("aggregated_output".to_owned(), output);
        }
        "reasoning" => {
            let texts = fields.get("summary").and_then(Value::as_array).into_iter().flatten();
            let text: Vec<&str> = texts.filter_map(Value::as_str).collect();
            let text = json!(text.join("\n"));
            fields.insert("text".to_owned(), text);
        }
        "file_change" => {
            let changes = fields.get_mut("changes").and_then(Value::as_array_mut).into_iter().flatten();
            for change in changes {
                if let Some(to) = change.pointer("/kind/move_path").filter(|to| to.is_string()).cloned() {
                    change["moved_to"] = to;
                }
                if let Some(kind) = change.pointer("/kind/type").cloned() {
                    change["kind"] = kind;
                }
            }
        }
        _ => {}
    }
    for (name, of_exec) in
        [("durationMs", "duration_ms"), ("startedAtMs", "started_ms"), ("completedAtMs", "completed_ms")]
    {
        if let Some(time) = fields.get(name).cloned() {
            fields.insert(of_exec.to_owned(), time);
        }
    }
    fields.insert("type".to_owned(), json!(kind));
    fields.retain(|name, value| !value.is_null() && !name.ends_with("AtMs"));
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(lines: &[String]) -> Vec<Value> {
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// A conversation that has come as far as its first turn.
    fn begun() -> Live {
        let mut live = Live::new(&opening(
            "thread/start",
            &json!({ "cwd": "/w", "sandbox": "read-only" }),
            &json!({ "sandboxPolicy": { "type": "dangerFullAccess" } }),
            &json!({ "type": "object" }),
        ));
        assert_eq!(parsed(&live.open("do it"))[0]["method"], "initialize");
        live.line(r#"{"id":1,"result":{}}"#);
        let asked = parsed(&live.replies());
        assert_eq!((&asked[0]["method"], &asked[1]["method"]), (&json!("initialized"), &json!("thread/start")));
        let started = live.line(r#"{"id":2,"result":{"thread":{"id":"t-1"}}}"#);
        assert_eq!(started, [AgentEvent::Started { session_id: Some("t-1".into()), model: None }]);
        let asked = parsed(&live.replies());
        assert_eq!((&asked[0]["params"]["input"][0]["text"], &asked[0]["id"]), (&json!("do it"), &json!(3)));
        assert_eq!(asked[0]["params"]["sandboxPolicy"]["type"], "dangerFullAccess", "the thread alone is read-only");
        live
    }

    fn turn_ends(live: &mut Live, status: &str) {
        live.line(
            &json!({"method": "turn/completed", "params": {"threadId": "t-1", "turn": {"status": status}}}).to_string(),
        );
    }

    /// The tokens of a request are told.
    fn tokens(live: &mut Live, input: u64) -> Vec<AgentEvent> {
        let last = json!({ "inputTokens": input, "cachedInputTokens": 10, "outputTokens": 1 });
        let params = json!({ "threadId": "t-1", "tokenUsage": { "last": last, "total": {} } });
        live.line(&json!({ "method": "thread/tokenUsage/updated", "params": params }).to_string())
    }

    fn heard(live: &mut Live, id: u64) -> Vec<AgentEvent> {
        let item = json!({ "type": "userMessage", "clientId": format!("{MARK}{id}") });
        live.line(&json!({"method": "item/started", "params": {"threadId": "t-1", "item": item}}).to_string())
    }

    #[test]
    fn a_message_goes_into_the_running_turn_and_is_heard_by_its_mark() {
        let mut live = begun();
        assert_eq!(live.say(MessageId(4), "too early"), [] as [String; 0], "until there is a turn");
        live.line(r#"{"id":3,"result":{"turn":{"id":"u-1"}}}"#);
        let told = parsed(&live.replies());
        assert_eq!((&told[0]["method"], &told[0]["params"]["expectedTurnId"]), (&json!("turn/steer"), &json!("u-1")));
        assert!(!live.rests());
        assert_eq!(heard(&mut live, 4), [AgentEvent::Heard { message: MessageId(4) }]);
        turn_ends(&mut live, "completed");
        assert!(live.rests() && live.turn_ended());
    }

    #[test]
    fn a_message_that_came_too_late_for_its_turn_begins_another() {
        let mut live = begun();
        live.line(r#"{"id":3,"result":{"turn":{"id":"u-1"}}}"#);
        live.say(MessageId(1), "one more thing");
        turn_ends(&mut live, "completed");
        assert!(live.replies().is_empty() && !live.rests());
        live.line(r#"{"id":12,"error":{"code":-32600,"message":"no active turn to steer"}}"#);
        let told = parsed(&live.replies());
        assert_eq!((&told[0]["method"], &told[0]["id"]), (&json!("turn/start"), &json!(13)));
        heard(&mut live, 1);
        turn_ends(&mut live, "completed");
        assert!(live.rests());
    }

    #[test]
    fn a_thread_that_is_unknown_is_a_lost_session_and_lets_the_process_go() {
        let mut live = Live::new(&opening("thread/resume", &json!({ "threadId": "gone" }), &Value::Null, &Value::Null));
        live.open("go on");
        live.line(r#"{"id":1,"result":{}}"#);
        live.line(r#"{"id":2,"error":{"code":-32600,"message":"no rollout found for thread id gone"}}"#);
        assert!(live.rests());
        let ending = live.finish(Exit { code: Some(0), signal: None }, "");
        assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::SessionLost));
    }

    #[test]
    fn an_interrupted_turn_ends_the_conversation_and_a_question_is_turned_down() {
        let mut live = begun();
        assert!(live.interrupt().is_empty(), "there is no turn yet");
        live.line(r#"{"id":3,"result":{"turn":{"id":"u-1"}}}"#);
        live.line(r#"{"id":"x","method":"item/commandExecution/requestApproval","params":{}}"#);
        assert_eq!(parsed(&live.replies())[0]["error"]["code"], -32601);
        assert_eq!(parsed(&live.interrupt())[0]["params"]["turnId"], "u-1");
        turn_ends(&mut live, "interrupted");
        assert!(live.rests());
        let ending = live.finish(Exit { code: Some(0), signal: None }, "");
        assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::Killed));
    }

    #[test]
    fn tokens_are_summed_over_this_runs_requests_and_of_no_earlier_run() {
        let mut live = begun();
        assert_eq!(tokens(&mut live, 5000), [], "it goes on with a conversation: this was said before");
        live.line(r#"{"method":"turn/started","params":{"threadId":"t-1","turn":{"id":"u-1"}}}"#);
        tokens(&mut live, 110);
        let usage = Usage { input: Some(300), output: Some(2), cached: Some(20) };
        assert_eq!(tokens(&mut live, 210), [AgentEvent::Spent { usage, cost_usd: None, usage_is_thread_total: false }]);
    }

    #[test]
    fn what_another_thread_does_is_nobodys_business_here() {
        let mut live = begun();
        live.line(r#"{"id":3,"result":{"turn":{"id":"u-1"}}}"#);
        let other = json!({"method": "turn/completed", "params": {"threadId": "t-2", "turn": {"status": "completed"}}});
        assert_eq!(live.line(&other.to_string()), []);
        assert!(!live.turn_ended());
    }
}
