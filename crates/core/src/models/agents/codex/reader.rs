//! Reads the events of `codex exec --json`. `turn.completed` and `turn.failed` decide how the turn ended; the session
//! file, if it is found, adds what stdout lacks.

use super::failure::{by_code_or_text, by_text_or_status};
use super::record::{Record, usage};
use crate::models::agents::edits;
use crate::models::agents::text::{
    SPEECH, TOOL_OUTPUT, cut, detail, object, one_line, str_at, string_at, tool_input, u64_at,
};
use crate::models::agents::{EventReader, errors};
use crate::tasks::edit::{EditKind, FileEdit};
use crate::tasks::outcome::{AgentEvent, Ending, Exit, Failure, FailureClass, Usage};
use serde_json::{Value, json};
use std::collections::HashSet;

/// How often in a row Codex may wait for the network (5, 10, 20, 40 s) before that counts as endless.
const MAX_NETWORK_WAITS: u32 = 4;

/// How the turn ended, according to the CLI.
#[derive(Debug)]
enum Turn {
    Completed,
    Failed(String),
    /// It was interrupted over the open conversation.
    Interrupted,
}

/// The state of reading one run.
#[derive(Debug, Default)]
pub(super) struct Reader {
    thread_id: Option<String>,
    final_text: Option<String>,
    open_calls: HashSet<String>,
    /// The text of the last error that was not retried.
    error: Option<String>,
    waiting: Option<Failure>,
    network_waits: u32,
    total: Option<Usage>,
    turn: Option<Turn>,
    turns: u32,
    record: Record,
    lines: bool,
}

impl EventReader for Reader {
    fn line(&mut self, line: &str) -> Vec<AgentEvent> {
        self.lines |= !line.trim().is_empty();
        let Some(event) = object(line) else { return Vec::new() };
        let mut events = self.event(&event);
        if let (Some("turn.completed"), Some(usage)) = (str_at(&event, "/type"), self.total) {
            let spent = AgentEvent::Spent { usage, cost_usd: None, usage_is_thread_total: true };
            events.insert(0, spent);
        }
        events
    }

    fn fatal_failure(&self) -> Option<Failure> {
        self.waiting.clone().filter(|_| self.network_waits >= MAX_NETWORK_WAITS)
    }

    fn retrying_after(&self) -> Option<&Failure> {
        self.waiting.as_ref()
    }

    fn turn_ended(&self) -> bool {
        self.turn.is_some()
    }

    fn session_record_suffix(&self) -> Option<String> {
        self.thread_id.as_ref().map(|id| format!("-{id}.jsonl"))
    }

    fn session_record_line(&mut self, line: &str) {
        self.record.line(line);
    }

    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending {
        let failure = match &self.turn {
            Some(Turn::Completed) => None,
            Some(Turn::Failed(text)) => Some(self.failure(text)),
            Some(Turn::Interrupted) => Some(Failure::new(FailureClass::Killed, "the turn was interrupted")),
            None => Some(self.unfinished(exit, stderr_tail)),
        };
        // The session file has the tokens of the last turn only.
        let own = self.record.own_usage(self.total).filter(|_| self.turns < 2);
        Ending {
            session_id: self.thread_id.clone(),
            model: self.record.model.clone(),
            final_text: self.final_text.clone(),
            structured: None,
            usage: own.or(self.total).unwrap_or_default(),
            usage_is_thread_total: own.is_none() && self.total.is_some(),
            cost: None,
            cost_computed: false,
            denials: Vec::new(),
            failure,
        }
    }
}

impl Reader {
    /// Reads one event.
    pub(super) fn event(&mut self, event: &Value) -> Vec<AgentEvent> {
        self.lines = true;
        let kind = str_at(event, "/type").unwrap_or_default();
        if kind != "error" {
            (self.waiting, self.network_waits) = (None, 0);
        }
        match kind {
            "thread.started" => self.thread(event),
            "turn.started" => {
                (self.turn, self.error) = (None, None);
                self.turns += 1;
                Vec::new()
            }
            "item.started" => self.item(event, false),
            "item.completed" => self.item(event, true),
            "error" => self.error(str_at(event, "/message").unwrap_or_default()),
            "turn.completed" => self.completed(event),
            "turn.failed" => self.failed(str_at(event, "/error/message").unwrap_or_default()),
            _ => Vec::new(),
        }
    }

    /// Records that the turn was interrupted over the open conversation.
    pub(super) fn interrupted(&mut self, total: &Value) -> Vec<AgentEvent> {
        self.total = Some(total).filter(|total| total.is_object()).map(usage).or(self.total);
        self.turn = Some(Turn::Interrupted);
        vec![AgentEvent::TurnEnded]
    }

    fn thread(&mut self, event: &Value) -> Vec<AgentEvent> {
        let plain = |id: &String| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        self.thread_id = string_at(event, "/thread_id").filter(plain);
        vec![AgentEvent::Started { session_id: self.thread_id.clone(), model: None }]
    }

    fn item(&mut self, event: &Value, completed: bool) -> Vec<AgentEvent> {
        let Some(item) = event.get("item") else { return Vec::new() };
        let text = str_at(item, "/text").unwrap_or_default();
        match (str_at(item, "/type").unwrap_or_default(), completed) {
            ("agent_message", true) => {
                self.final_text = Some(text.to_owned());
                vec![AgentEvent::Text { text: cut(text, SPEECH) }]
            }
            ("reasoning", true) => vec![AgentEvent::Reasoning { text: cut(text, SPEECH) }],
            ("error", true) => vec![AgentEvent::Warning { text: detail(str_at(item, "/message").unwrap_or_default()) }],
            ("agent_message" | "reasoning" | "error" | "", _) => Vec::new(),
            (kind, completed) => self.call(item, kind, completed),
        }
    }

    /// Reads a tool call: some items are reported at their end only.
    fn call(&mut self, item: &Value, kind: &str, completed: bool) -> Vec<AgentEvent> {
        let id = string_at(item, "/id").unwrap_or_default();
        let mut events = Vec::new();
        if self.open_calls.insert(id.clone()) {
            let (name, input) = describe_call(item, kind);
            events.push(AgentEvent::ToolCall { id: id.clone(), name, input });
        }
        if completed {
            self.open_calls.remove(&id);
            let ok = !matches!(str_at(item, "/status"), Some("failed" | "declined"));
            let output = ["/aggregated_output", "/error/message", "/result"]
                .iter()
                .find_map(|at| str_at(item, at))
                .unwrap_or_default();
            let edits = if ok && kind == "file_change" { changes(item).map(edit).collect() } else { Vec::new() };
            let output = cut(output, TOOL_OUTPUT);
            events.push(AgentEvent::ToolResult { id, ok, output, took_ms: took(item), edits });
        }
        events
    }

    fn error(&mut self, message: &str) -> Vec<AgentEvent> {
        let Some(rest) = message.strip_prefix("Reconnecting") else {
            self.error = Some(message.to_owned());
            let class = by_text_or_status(message).unwrap_or(FailureClass::Crashed);
            return vec![AgentEvent::Error { class, text: detail(message) }];
        };
        let rest = rest.trim_start_matches(['.', '…', ' ']);
        let class = by_text_or_status(rest).unwrap_or(FailureClass::Network);
        let attempt = if rest.starts_with("waiting for network") {
            self.network_waits += 1;
            self.network_waits
        } else {
            rest.split('/').next().and_then(|number| number.parse().ok()).unwrap_or(1)
        };
        self.waiting = Some(Failure::new(class, detail(message)));
        vec![AgentEvent::Retry { class, attempt, detail: detail(message) }]
    }

    fn completed(&mut self, event: &Value) -> Vec<AgentEvent> {
        self.total = event.get("usage").map(usage).or(self.total);
        self.turn = Some(Turn::Completed);
        vec![AgentEvent::TurnEnded]
    }

    fn failed(&mut self, message: &str) -> Vec<AgentEvent> {
        let is_reported = self.error.as_deref() == Some(message);
        self.turn = Some(Turn::Failed(message.to_owned()));
        let class = by_text_or_status(message).unwrap_or(FailureClass::Crashed);
        let error = AgentEvent::Error { class, text: detail(message) };
        if is_reported { vec![AgentEvent::TurnEnded] } else { vec![error, AgentEvent::TurnEnded] }
    }

    fn failure(&self, text: &str) -> Failure {
        let code = self.record.code(text).unwrap_or(&Value::Null);
        let class = by_code_or_text(code, text).unwrap_or(FailureClass::Crashed);
        Failure { retry_at: self.record.retry_at(class, text), ..Failure::new(class, detail(text)) }
    }

    fn unfinished(&self, exit: Exit, stderr: &str) -> Failure {
        if let Some(fatal_failure) = self.fatal_failure() {
            return fatal_failure;
        }
        if let Some(error) = &self.error {
            return self.failure(error);
        }
        if !self.lines && stderr.contains("no rollout found") {
            return Failure::new(FailureClass::SessionLost, detail(stderr));
        }
        match (exit.code, &self.thread_id, &self.waiting) {
            (Some(0 | 1), Some(_), Some(waiting)) => waiting.clone(),
            // SIGINT ends the turn without any output.
            (Some(1), Some(_), None) => {
                Failure::new(FailureClass::Killed, "interrupted: the turn ended without a result")
            }
            _ => errors::unfinished(exit, stderr, self.waiting.as_ref(), !self.lines),
        }
    }
}

/// Returns the name of an item's tool, and one line on what it does.
fn describe_call(item: &Value, kind: &str) -> (String, String) {
    match kind {
        "command_execution" => {
            ("shell".to_owned(), tool_input(&json!(without_shell(str_at(item, "/command").unwrap_or_default()))))
        }
        "file_change" => {
            let describe = |change| {
                let (kind, path) = (str_at(change, "/kind"), str_at(change, "/path"));
                format!("{} ({})", path.unwrap_or("?"), kind.unwrap_or("change"))
            };
            let paths: Vec<String> = changes(item).map(describe).collect();
            ("edit".to_owned(), tool_input(&json!(paths.join(", "))))
        }
        "mcp_tool_call" => {
            let name = format!("{}.{}", str_at(item, "/server").unwrap_or("?"), str_at(item, "/tool").unwrap_or("?"));
            (one_line(&name, 80), tool_input(item.get("arguments").unwrap_or(&Value::Null)))
        }
        other => {
            let mut facts = item.clone();
            if let Some(fields) = facts.as_object_mut() {
                fields.retain(|name, _| !matches!(name.as_str(), "id" | "type" | "status"));
            }
            (one_line(other, 80), tool_input(&facts))
        }
    }
}

fn changes(item: &Value) -> impl Iterator<Item = &Value> {
    item.get("changes").and_then(Value::as_array).into_iter().flatten()
}

/// Reads one change of a `file_change`. `exec` reports path and kind only; the open conversation reports the lines too:
/// hunks, or the whole of an added or deleted file.
fn edit(change: &Value) -> FileEdit {
    let path = string_at(change, "/path").unwrap_or_else(|| "?".to_owned());
    let kind = match str_at(change, "/kind") {
        Some("add") => EditKind::Add,
        Some("delete") => EditKind::Delete,
        Some(_) | None => EditKind::Update,
    };
    let Some(diff) = str_at(change, "/diff") else { return FileEdit::unknown(path, kind) };
    let moved_to = string_at(change, "/moved_to");
    let edit = match kind {
        EditKind::Add | EditKind::Delete => edits::from_whole(path, kind, diff),
        EditKind::Update => edits::from_unified(path, kind, diff),
    };
    FileEdit { moved_to, ..edit }
}

/// Returns how long a call took in milliseconds, if its item says so.
fn took(item: &Value) -> Option<u64> {
    let between = || u64_at(item, "/completed_ms")?.checked_sub(u64_at(item, "/started_ms")?);
    u64_at(item, "/duration_ms").or_else(between)
}

/// Returns the command inside of `/bin/bash -lc '…'`.
fn without_shell(command: &str) -> String {
    let inner = command.split_once(" -lc ").filter(|(shell, _)| !shell.contains(' ') && shell.ends_with("sh"));
    let Some((_, inner)) = inner else { return command.to_owned() };
    let within = |quote: char| inner.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(plain) = within('\'').filter(|text| !text.contains('\'')) {
        return plain.to_owned();
    }
    let Some(quoted) = within('"') else { return inner.to_owned() };
    let (mut text, mut chars) = (String::new(), quoted.chars().peekable());
    while let Some(c) = chars.next() {
        let escaped = c == '\\' && chars.peek().is_some_and(|next| "\"\\$`".contains(*next));
        text.push(if escaped { chars.next().unwrap_or(c) } else { c });
    }
    text
}
