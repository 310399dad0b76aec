//! The open conversation with `codex app-server`: JSON-RPC over stdin and stdout, one object per line. Its notifications
//! are converted to the events of `codex exec --json` and read by the same reader. Ids of requests are computed, so that
//! a second reading after a crash understands the answers without having sent the requests.

use super::failure::by_text_or_status;
use super::reader::Reader;
use super::record::usage;
use crate::models::agents::text::{detail, object, str_at, string_at};
use crate::models::agents::{EventReader, LiveReader};
use crate::tasks::message::MessageId;
use crate::tasks::outcome::{AgentEvent, Ending, Exit, Failure, FailureClass, Usage};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The prefix of the client ids of orch's messages, which Codex repeats in the item for each.
const MARK: &str = "orch-message-";

/// A request; each has an id of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Initialize,
    Thread,
    FirstTurn,
    Interrupt,
    /// Sends a message into the running turn.
    Steer(MessageId),
    /// Sends a message that begins a turn.
    Turn(MessageId),
}

impl Call {
    fn id(self) -> u64 {
        match self {
            Self::Initialize => 1,
            Self::Thread => 2,
            Self::FirstTurn => 3,
            Self::Interrupt => 4,
            Self::Steer(message) => 10 + 2 * message.0,
            Self::Turn(message) => 11 + 2 * message.0,
        }
    }

    fn from_id(id: u64) -> Option<Self> {
        let message = MessageId(id.saturating_sub(10) / 2);
        match id {
            1 => Some(Self::Initialize),
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
    /// The launch's parameters for thread and turns, see [`opening`].
    opening: Value,
    prompt: String,
    thread: Option<String>,
    /// The id of the running turn.
    turn: Option<String>,
    total: Value,
    /// Whether a turn of this run began.
    has_turn: bool,
    /// The tokens of this run's own requests.
    own: Usage,
    /// Messages that the agent has not confirmed yet.
    unconfirmed: BTreeMap<MessageId, String>,
    /// Those of them that were not sent yet.
    unsent: BTreeSet<MessageId>,
    /// Why no turn can run, if none can.
    broken: Option<String>,
    replies: Vec<String>,
}

/// Builds the launch's parameters: the request for the thread, the settings of every turn, and the schema of the answer.
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
            has_turn: false,
            own: Usage::default(),
            unconfirmed: BTreeMap::new(),
            unsent: BTreeSet::new(),
            broken: None,
            replies: Vec::new(),
        }
    }

    fn request(call: Call, method: &str, params: &Value) -> String {
        json!({ "id": call.id(), "method": method, "params": params }).to_string()
    }

    /// Begins a turn with this text.
    fn start_turn(&mut self, call: Call, mark: &str, text: &str) {
        let mut params = json!({
            "threadId": self.thread, "clientUserMessageId": mark, "outputSchema": self.opening["schema"],
            "input": [{ "type": "text", "text": text }],
        });
        for (name, value) in self.opening["turn"].as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        self.replies.push(Self::request(call, "turn/start", &params));
    }

    /// Sends unsent messages: into the running turn, or by a turn of their own.
    fn send_unsent(&mut self) {
        let Some(thread) = self.thread.clone().filter(|_| self.broken.is_none()) else { return };
        if let Some(turn) = self.turn.clone() {
            for message in std::mem::take(&mut self.unsent) {
                let text = self.unconfirmed.get(&message).cloned().unwrap_or_default();
                let params = json!({
                    "threadId": thread, "expectedTurnId": turn, "clientUserMessageId": format!("{MARK}{message}"),
                    "input": [{ "type": "text", "text": text }],
                });
                self.replies.push(Self::request(Call::Steer(message), "turn/steer", &params));
            }
        } else if self.reader.turn_ended()
            && let Some(message) = self.unsent.pop_first()
        {
            let text = self.unconfirmed.get(&message).cloned().unwrap_or_default();
            self.start_turn(Call::Turn(message), &format!("{MARK}{message}"), &text);
        }
    }

    fn answer(&mut self, id: u64, answer: &Value) -> Vec<AgentEvent> {
        let Some(call) = Call::from_id(id) else { return Vec::new() };
        if let Some(error) = answer.get("error") {
            return self.refused(call, str_at(error, "/message").unwrap_or("refused without a reason"));
        }
        match call {
            Call::Initialize => {
                self.replies.push(json!({ "method": "initialized" }).to_string());
                let method = str_at(&self.opening, "/method").unwrap_or("thread/start").to_owned();
                self.replies.push(Self::request(Call::Thread, &method, &self.opening["params"]));
                Vec::new()
            }
            Call::Thread => {
                self.thread = string_at(answer, "/result/thread/id");
                let prompt = std::mem::take(&mut self.prompt);
                self.start_turn(Call::FirstTurn, "orch-prompt", &prompt);
                self.reader.event(&json!({ "type": "thread.started", "thread_id": self.thread }))
            }
            Call::FirstTurn | Call::Turn(_) => {
                self.turn = string_at(answer, "/result/turn/id").or(self.turn.take());
                self.send_unsent();
                Vec::new()
            }
            Call::Interrupt | Call::Steer(_) => Vec::new(),
        }
    }

    fn refused(&mut self, call: Call, reason: &str) -> Vec<AgentEvent> {
        match call {
            // Its turn has just ended: the message goes into another one.
            Call::Steer(message) => {
                self.unsent.insert(message);
                self.send_unsent();
                Vec::new()
            }
            Call::Interrupt => Vec::new(),
            Call::Initialize | Call::Thread | Call::FirstTurn | Call::Turn(_) => {
                self.broken = Some(reason.to_owned());
                let class = by_text_or_status(reason).unwrap_or(FailureClass::Crashed);
                vec![AgentEvent::Error { class, text: detail(reason) }]
            }
        }
    }

    fn notification(&mut self, method: &str, params: &Value) -> Vec<AgentEvent> {
        // Subagents have threads of their own.
        if str_at(params, "/threadId").is_some_and(|thread| Some(thread) != self.thread.as_deref()) {
            return Vec::new();
        }
        match method {
            "turn/started" => {
                self.turn = string_at(params, "/turn/id");
                self.has_turn = true;
                let events = self.reader.event(&json!({ "type": "turn.started" }));
                self.send_unsent();
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
                self.total = as_record_usage(params.pointer("/tokenUsage/total").unwrap_or(&Value::Null));
                self.spent(params)
            }
            "turn/completed" => self.turn_end(params),
            _ => Vec::new(),
        }
    }

    /// Adds up the tokens of this run's requests. Those reported before a turn runs are an earlier run's.
    fn spent(&mut self, params: &Value) -> Vec<AgentEvent> {
        let Some(last) = params.pointer("/tokenUsage/last").filter(|_| self.has_turn) else { return Vec::new() };
        self.own = self.own.plus(usage(&as_record_usage(last)));
        vec![AgentEvent::Spent { usage: self.own, cost_usd: None, usage_is_thread_total: false }]
    }

    fn item(&mut self, params: &Value, kind: &str) -> Vec<AgentEvent> {
        let Some(item) = params.get("item") else { return Vec::new() };
        if str_at(item, "/type") != Some("userMessage") {
            return self.reader.event(&json!({ "type": kind, "item": as_exec_item(item) }));
        }
        let number = str_at(item, "/clientId").and_then(|mark| mark.strip_prefix(MARK)?.parse().ok());
        match number.map(MessageId).filter(|_| kind == "item.started") {
            Some(message) => {
                self.unconfirmed.remove(&message);
                self.unsent.remove(&message);
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
        self.send_unsent();
        events
    }
}

impl EventReader for Live {
    fn line(&mut self, line: &str) -> Vec<AgentEvent> {
        let Some(message) = object(line) else { return Vec::new() };
        let id = message.get("id").cloned();
        match (str_at(&message, "/method"), id) {
            (Some(_), Some(id)) => {
                // Every request is refused, because no person is present.
                let error = json!({ "code": -32601, "message": "requests cannot be answered in this run" });
                self.replies.push(json!({ "id": id, "error": error }).to_string());
                Vec::new()
            }
            (Some(method), None) => self.notification(method, &message["params"]),
            (None, Some(id)) => id.as_u64().map_or_else(Vec::new, |id| self.answer(id, &message)),
            (None, None) => Vec::new(),
        }
    }

    fn fatal_failure(&self) -> Option<Failure> {
        self.reader.fatal_failure()
    }

    fn retrying_after(&self) -> Option<&Failure> {
        self.reader.retrying_after()
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
        if let Some(reason) = &self.broken {
            let class = by_text_or_status(reason).unwrap_or(FailureClass::Crashed);
            ending.failure = Some(Failure::new(class, detail(reason)));
        }
        ending
    }
}

impl LiveReader for Live {
    fn open(&mut self, prompt: &str) -> Vec<String> {
        self.prompt = prompt.to_owned();
        let client = json!({ "name": "orch", "version": env!("CARGO_PKG_VERSION") });
        vec![Self::request(Call::Initialize, "initialize", &json!({ "clientInfo": client }))]
    }

    fn send_message(&mut self, message: MessageId, text: &str) -> Vec<String> {
        self.unconfirmed.insert(message, text.to_owned());
        self.unsent.insert(message);
        self.send_unsent();
        self.take_replies()
    }

    fn interrupt(&mut self) -> Vec<String> {
        let Some(turn) = &self.turn else { return Vec::new() };
        let params = json!({ "threadId": self.thread, "turnId": turn });
        // No further turn begins.
        self.unsent.clear();
        vec![Self::request(Call::Interrupt, "turn/interrupt", &params)]
    }

    fn take_replies(&mut self) -> Vec<String> {
        std::mem::take(&mut self.replies)
    }

    fn is_idle(&self) -> bool {
        self.broken.is_some() || self.reader.turn_ended() && self.unconfirmed.is_empty()
    }
}

/// Converts a count of tokens to the form of `exec` and the session file.
fn as_record_usage(counts: &Value) -> Value {
    json!({
        "input_tokens": counts.get("inputTokens"), "cached_input_tokens": counts.get("cachedInputTokens"),
        "output_tokens": counts.get("outputTokens"),
    })
}

/// Converts an item to the form of `exec`.
fn as_exec_item(item: &Value) -> Value {
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

    /// Returns a conversation that has sent the request for its first turn.
    fn opened() -> Live {
        let mut live = Live::new(&opening(
            "thread/start",
            &json!({ "cwd": "/w", "sandbox": "read-only" }),
            &json!({ "sandboxPolicy": { "type": "dangerFullAccess" } }),
            &json!({ "type": "object" }),
        ));
        assert_eq!(parsed(&live.open("do it"))[0]["method"], "initialize");
        live.line(r#"{"id":1,"result":{}}"#);
        let asked = parsed(&live.take_replies());
        assert_eq!((&asked[0]["method"], &asked[1]["method"]), (&json!("initialized"), &json!("thread/start")));
        let started = live.line(r#"{"id":2,"result":{"thread":{"id":"t-1"}}}"#);
        assert_eq!(started, [AgentEvent::Started { session_id: Some("t-1".into()), model: None }]);
        let asked = parsed(&live.take_replies());
        assert_eq!((&asked[0]["params"]["input"][0]["text"], &asked[0]["id"]), (&json!("do it"), &json!(3)));
        assert_eq!(asked[0]["params"]["sandboxPolicy"]["type"], "dangerFullAccess", "the thread alone is read-only");
        live
    }

    fn turn_ends(live: &mut Live, status: &str) {
        live.line(
            &json!({"method": "turn/completed", "params": {"threadId": "t-1", "turn": {"status": status}}}).to_string(),
        );
    }

    /// Reports the tokens of a request.
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
        let mut live = opened();
        assert_eq!(live.send_message(MessageId(4), "too early"), [] as [String; 0], "until there is a turn");
        live.line(r#"{"id":3,"result":{"turn":{"id":"u-1"}}}"#);
        let sent = parsed(&live.take_replies());
        assert_eq!((&sent[0]["method"], &sent[0]["params"]["expectedTurnId"]), (&json!("turn/steer"), &json!("u-1")));
        assert!(!live.is_idle());
        assert_eq!(heard(&mut live, 4), [AgentEvent::Heard { message: MessageId(4) }]);
        turn_ends(&mut live, "completed");
        assert!(live.is_idle() && live.turn_ended());
    }

    #[test]
    fn a_message_that_came_too_late_for_its_turn_begins_another() {
        let mut live = opened();
        live.line(r#"{"id":3,"result":{"turn":{"id":"u-1"}}}"#);
        live.send_message(MessageId(1), "one more thing");
        turn_ends(&mut live, "completed");
        assert!(live.take_replies().is_empty() && !live.is_idle());
        live.line(r#"{"id":12,"error":{"code":-32600,"message":"no active turn to steer"}}"#);
        let sent = parsed(&live.take_replies());
        assert_eq!((&sent[0]["method"], &sent[0]["id"]), (&json!("turn/start"), &json!(13)));
        heard(&mut live, 1);
        turn_ends(&mut live, "completed");
        assert!(live.is_idle());
    }

    #[test]
    fn a_thread_that_is_unknown_is_a_lost_session_and_lets_the_process_go() {
        let mut live = Live::new(&opening("thread/resume", &json!({ "threadId": "gone" }), &Value::Null, &Value::Null));
        live.open("go on");
        live.line(r#"{"id":1,"result":{}}"#);
        live.line(r#"{"id":2,"error":{"code":-32600,"message":"no rollout found for thread id gone"}}"#);
        assert!(live.is_idle());
        let ending = live.finish(Exit { code: Some(0), signal: None }, "");
        assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::SessionLost));
    }

    #[test]
    fn an_interrupted_turn_ends_the_conversation_and_a_question_is_turned_down() {
        let mut live = opened();
        assert!(live.interrupt().is_empty(), "there is no turn yet");
        live.line(r#"{"id":3,"result":{"turn":{"id":"u-1"}}}"#);
        live.line(r#"{"id":"x","method":"item/commandExecution/requestApproval","params":{}}"#);
        assert_eq!(parsed(&live.take_replies())[0]["error"]["code"], -32601);
        assert_eq!(parsed(&live.interrupt())[0]["params"]["turnId"], "u-1");
        turn_ends(&mut live, "interrupted");
        assert!(live.is_idle());
        let ending = live.finish(Exit { code: Some(0), signal: None }, "");
        assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::Killed));
    }

    #[test]
    fn tokens_are_summed_over_this_runs_requests_and_of_no_earlier_run() {
        let mut live = opened();
        assert_eq!(tokens(&mut live, 5000), [], "the conversation is resumed: these are an earlier run's");
        live.line(r#"{"method":"turn/started","params":{"threadId":"t-1","turn":{"id":"u-1"}}}"#);
        tokens(&mut live, 110);
        let usage = Usage { input: Some(300), output: Some(2), cached: Some(20) };
        assert_eq!(tokens(&mut live, 210), [AgentEvent::Spent { usage, cost_usd: None, usage_is_thread_total: false }]);
    }

    #[test]
    fn events_of_another_thread_are_ignored() {
        let mut live = opened();
        live.line(r#"{"id":3,"result":{"turn":{"id":"u-1"}}}"#);
        let other = json!({"method": "turn/completed", "params": {"threadId": "t-2", "turn": {"status": "completed"}}});
        assert_eq!(live.line(&other.to_string()), []);
        assert!(!live.turn_ended());
    }
}
