//! Reads the `stream-json` events of Claude Code. The last `result` line decides how the turn ended; the exit code counts
//! only for a process that printed none.

use super::failure::{TurnError, classify};
use super::live;
use crate::base::money::Usd;
use crate::models::agents::edits;
use crate::models::agents::text::{
    SPEECH, TOOL_OUTPUT, cut, detail, object, one_line, str_at, string_at, tool_input, u64_at,
};
use crate::models::agents::{EventReader, errors};
use crate::tasks::edit::{EditKind, FileEdit};
use crate::tasks::message::MessageId;
use crate::tasks::outcome::{AgentEvent, Ending, Exit, Failure, FailureClass, Usage};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The tool with which the model gives an answer in the form of a schema.
const ANSWER_TOOL: &str = "StructuredOutput";

/// The most open calls whose intended change is remembered; the edits of further ones come from their results alone.
const MAX_OPEN_CALLS: usize = 256;

/// The state of reading one run.
#[derive(Debug, Default)]
pub(super) struct Reader {
    started: bool,
    session_id: Option<String>,
    model: Option<String>,
    /// The agent's last text, as opposed to the CLI's.
    last_text: Option<String>,
    /// `error` of the last failed request, and the CLI's text on it.
    error: Option<(String, String)>,
    /// The failure of a request that is about to be repeated.
    waiting: Option<Failure>,
    reset: Option<Timestamp>,
    /// Whether the last text came from the CLI and not from a model.
    synthetic: bool,
    result: Option<Value>,
    usage: Usage,
    /// The tokens that the CLI has reported so far, per turn and per message.
    so_far: Usage,
    /// The message whose tokens were counted last: the line of each of its blocks repeats them.
    counted: String,
    /// The changes that open calls are about to make, by their ids.
    intended: BTreeMap<String, FileEdit>,
    /// The ids of the calls that gave the answer.
    answers: BTreeSet<String>,
    cost: Option<Usd>,
    denials: Vec<(String, String)>,
    lines: bool,
    cut_off: bool,
    /// Messages that the agent has not confirmed yet.
    pub(super) unconfirmed: BTreeSet<MessageId>,
}

impl EventReader for Reader {
    fn line(&mut self, line: &str) -> Vec<AgentEvent> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        self.lines = true;
        let Some(event) = object(line) else {
            self.cut_off = true;
            return Vec::new();
        };
        self.cut_off = false;
        match str_at(&event, "/type").unwrap_or_default() {
            "system" => self.system(&event),
            "assistant" => self.assistant(&event),
            "user" => match live::receipt(&event) {
                Some(message) => self.heard(message),
                None => self.tool_results(&event),
            },
            "rate_limit_event" => self.rate_limit(&event),
            "result" => self.turn_end(event),
            _ => Vec::new(),
        }
    }

    fn fatal_failure(&self) -> Option<Failure> {
        None
    }

    fn retrying_after(&self) -> Option<&Failure> {
        self.waiting.as_ref()
    }

    fn turn_ended(&self) -> bool {
        self.result.is_some()
    }

    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending {
        let failure = match &self.result {
            Some(result) => self.verdict(result),
            None => Some(self.unfinished(exit, stderr_tail)),
        };
        let answer = self.result.as_ref().filter(|_| failure.is_none());
        Ending {
            session_id: self.session_id.clone(),
            model: self.model.clone(),
            final_text: answer.and_then(|result| string_at(result, "/result")).or_else(|| self.last_text.clone()),
            structured: answer.and_then(|result| result.get("structured_output")).filter(|v| !v.is_null()).cloned(),
            usage: self.usage,
            usage_is_thread_total: false,
            cost: self.cost,
            cost_computed: false,
            denials: self.denials.iter().map(|(_, denial)| denial.clone()).collect(),
            failure,
        }
    }
}

impl Reader {
    fn system(&mut self, event: &Value) -> Vec<AgentEvent> {
        match str_at(event, "/subtype").unwrap_or_default() {
            "init" => self.init(event),
            "api_retry" => self.retry(event),
            "model_fallback" => warning(str_at(event, "/content").unwrap_or("another model was taken")),
            "compact_boundary" => warning("the conversation was compacted"),
            _ => Vec::new(),
        }
    }

    /// Reads the line with which each turn begins.
    fn init(&mut self, event: &Value) -> Vec<AgentEvent> {
        self.session_id = string_at(event, "/session_id").or(self.session_id.take());
        self.model = string_at(event, "/model").or(self.model.take());
        (self.result, self.error, self.waiting, self.synthetic) = (None, None, None, false);
        if std::mem::replace(&mut self.started, true) {
            return Vec::new();
        }
        vec![AgentEvent::Started { session_id: self.session_id.clone(), model: self.model.clone() }]
    }

    /// Reads a receipt: the CLI repeats a message when it reads it.
    fn heard(&mut self, message: MessageId) -> Vec<AgentEvent> {
        self.unconfirmed.remove(&message);
        vec![AgentEvent::Heard { message }]
    }

    fn retry(&mut self, event: &Value) -> Vec<AgentEvent> {
        let error = str_at(event, "/error").unwrap_or_default();
        let status = u64_at(event, "/error_status");
        let class = classify(error, status, "").unwrap_or(FailureClass::Network);
        let delay = event.pointer("/retry_delay_ms").and_then(Value::as_f64).unwrap_or_default() / 1e3;
        let what = status.map_or("no connection".to_owned(), |status| format!("status {status}"));
        let detail = format!("{what} ({error}), next try in {delay:.1} s");
        self.waiting = Some(Failure::new(class, detail.clone()));
        let attempt = u64_at(event, "/attempt").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        vec![AgentEvent::Retry { class, attempt, detail }]
    }

    fn assistant(&mut self, event: &Value) -> Vec<AgentEvent> {
        self.waiting = None;
        let own = event.get("parent_tool_use_id").is_none_or(Value::is_null);
        let model = str_at(event, "/message/model").unwrap_or_default();
        let error = str_at(event, "/error");
        self.synthetic = model == "<synthetic>";
        if own && !self.synthetic && !model.is_empty() {
            self.model = Some(model.to_owned());
        }
        let blocks = event.pointer("/message/content").and_then(Value::as_array);
        let mut events: Vec<AgentEvent> =
            blocks.into_iter().flatten().filter_map(|block| self.block(block, own, error)).collect();
        events.extend(self.message_tokens(event));
        events
    }

    /// Returns the input tokens of a message. The output tokens are reported only at the end of the turn.
    fn message_tokens(&mut self, event: &Value) -> Option<AgentEvent> {
        let id = str_at(event, "/message/id").filter(|id| !id.is_empty() && *id != self.counted)?;
        let at = |name: &str| u64_at(event, &format!("/message/usage/{name}"));
        let input = add(at("input_tokens"), at("cache_creation_input_tokens"));
        let read = Usage { input, output: None, cached: at("cache_read_input_tokens") };
        if self.synthetic || read == Usage::default() {
            return None;
        }
        self.counted = id.to_owned();
        self.so_far = self.so_far.plus(read);
        Some(self.spent())
    }

    fn spent(&self) -> AgentEvent {
        AgentEvent::Spent { usage: self.so_far, cost_usd: self.cost, usage_is_thread_total: false }
    }

    /// Reads tools' results; the line reports the changed lines, except with some compatible CLIs.
    fn tool_results(&mut self, event: &Value) -> Vec<AgentEvent> {
        let blocks = event.pointer("/message/content").and_then(Value::as_array);
        let results = blocks.into_iter().flatten().filter(|block| str_at(block, "/type") == Some("tool_result"));
        let has_failed = |block: &Value| block.get("is_error").and_then(Value::as_bool) == Some(true);
        let is_receipt = |block: &Value| {
            str_at(block, "/tool_use_id").is_some_and(|id| self.answers.contains(id)) && !has_failed(block)
        };
        let results: Vec<&Value> = results.filter(|block| !is_receipt(block)).collect();
        let mut reported = event.get("tool_use_result").and_then(changed);
        let result = |block: &Value| {
            let id = string_at(block, "/tool_use_id").unwrap_or_default();
            let ok = block.get("is_error").and_then(Value::as_bool) != Some(true);
            let intended = self.intended.remove(&id);
            let edit = if ok { intended.and_then(|intended| reported.take().or(Some(intended))) } else { None };
            let output = cut(&content(block.get("content").unwrap_or(&Value::Null)), TOOL_OUTPUT);
            AgentEvent::ToolResult { id, ok, output, took_ms: None, edits: edit.into_iter().collect() }
        };
        results.into_iter().map(result).collect()
    }

    fn block(&mut self, block: &Value, own: bool, error: Option<&str>) -> Option<AgentEvent> {
        let text = str_at(block, "/text").unwrap_or_default();
        match (str_at(block, "/type")?, error) {
            ("text", Some(error)) => {
                self.error = Some((error.to_owned(), text.to_owned()));
                let class = classify(error, None, text).unwrap_or(FailureClass::Crashed);
                Some(AgentEvent::Error { class, text: detail(text) })
            }
            ("text", None) if self.synthetic => Some(AgentEvent::Warning { text: detail(text) }),
            ("text", None) => {
                if own {
                    self.last_text = Some(text.to_owned());
                }
                Some(AgentEvent::Text { text: cut(text, SPEECH) })
            }
            ("thinking", _) => Some(AgentEvent::Reasoning { text: cut(str_at(block, "/thinking")?, SPEECH) }),
            ("tool_use", _) if str_at(block, "/name") == Some(ANSWER_TOOL) => {
                self.answers.extend(string_at(block, "/id"));
                Some(AgentEvent::Text { text: cut(&block.get("input")?.to_string(), SPEECH) })
            }
            ("tool_use", _) => Some(self.call(block)),
            _ => None,
        }
    }

    fn call(&mut self, block: &Value) -> AgentEvent {
        let id = string_at(block, "/id").unwrap_or_default();
        let name = one_line(str_at(block, "/name").unwrap_or("tool"), 80);
        let input = block.get("input").unwrap_or(&Value::Null);
        if let Some(edit) = edits::from_input(&name, input).filter(|_| self.intended.len() < MAX_OPEN_CALLS) {
            self.intended.insert(id.clone(), edit);
        }
        AgentEvent::ToolCall { id, name, input: tool_input(input) }
    }

    /// Reads a line on the subscription's limit, which is printed only with such a login.
    fn rate_limit(&mut self, event: &Value) -> Vec<AgentEvent> {
        let reset = event.pointer("/rate_limit_info/resetsAt").and_then(Value::as_i64).and_then(errors::unix);
        let kind = str_at(event, "/rate_limit_info/rateLimitType").unwrap_or("subscription");
        let until = reset.map(|at| format!(", until {at}")).unwrap_or_default();
        match str_at(event, "/rate_limit_info/status") {
            Some("rejected") => {
                self.reset = reset;
                warning(&format!("the {kind} limit is reached{until}"))
            }
            Some("allowed_warning") => {
                let used = event.pointer("/rate_limit_info/utilization").and_then(Value::as_f64).unwrap_or_default();
                warning(&format!("{:.0} % of the {kind} limit are used{until}", used * 100.0))
            }
            _ => Vec::new(),
        }
    }

    fn turn_end(&mut self, result: Value) -> Vec<AgentEvent> {
        self.waiting = None;
        (self.usage, self.so_far) = (usage(&result), usage(&result));
        self.cost = result.get("total_cost_usd").and_then(Value::as_f64).and_then(Usd::from_dollars).or(self.cost);
        for denial in result.get("permission_denials").and_then(Value::as_array).into_iter().flatten() {
            let id = string_at(denial, "/tool_use_id").unwrap_or_default();
            let name = str_at(denial, "/tool_name").unwrap_or("tool");
            let line = format!("{name}: {}", tool_input(denial.get("tool_input").unwrap_or(&Value::Null)));
            if !self.denials.iter().any(|(known, same)| (known, same) == (&id, &line)) {
                self.denials.push((id, line));
            }
        }
        let mut events = Vec::new();
        // A failed request was reported by its `assistant` line already.
        if let Some(failure) = self.verdict(&result).filter(|_| self.error.is_none()) {
            events.push(AgentEvent::Error { class: failure.class, text: failure.detail });
        }
        self.result = Some(result);
        events.push(self.spent());
        events.push(AgentEvent::TurnEnded);
        events
    }

    /// Returns the failure of the turn according to its `result`; `None` for success.
    fn verdict(&self, result: &Value) -> Option<Failure> {
        let subtype = str_at(result, "/subtype").unwrap_or_default();
        let errors: Vec<&str> =
            result.get("errors").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let text = string_at(result, "/result").unwrap_or_else(|| errors.join("; "));
        if subtype == "success" && result.get("is_error").and_then(Value::as_bool) != Some(true) {
            let unasked = self.synthetic && u64_at(result, "/num_turns") == Some(0);
            return unasked
                .then(|| Failure::new(FailureClass::Crashed, detail(&format!("the model was never asked: {text}"))));
        }
        let (name, said) = self.error.as_ref().map_or(("", ""), |(name, said)| (name.as_str(), said.as_str()));
        let error = TurnError {
            subtype,
            reason: str_at(result, "/terminal_reason").unwrap_or_default(),
            status: u64_at(result, "/api_error_status"),
            error: name,
            text: if text.is_empty() { said } else { &text },
            reset: self.reset,
        };
        Some(error.failure())
    }

    fn unfinished(&self, exit: Exit, stderr: &str) -> Failure {
        if stderr.contains("No conversation found") {
            return Failure::new(FailureClass::SessionLost, detail(stderr));
        }
        match (exit.success(), self.cut_off) {
            // This happens when it is interrupted while it waits for the model.
            (true, false) if self.lines => match &self.waiting {
                Some(waiting) => waiting.clone(),
                None => Failure::new(FailureClass::Killed, "interrupted: exit code 0 without a result"),
            },
            (true, _) => Failure::new(FailureClass::Crashed, "its output broke off: exit code 0 without a result"),
            (false, _) => errors::unfinished(exit, stderr, self.waiting.as_ref(), !self.lines),
        }
    }
}

fn warning(text: &str) -> Vec<AgentEvent> {
    vec![AgentEvent::Warning { text: detail(text) }]
}

/// Reads the reported change of a tool: hunks, or the content of a new file.
fn changed(report: &Value) -> Option<FileEdit> {
    let path = string_at(report, "/filePath")?;
    let hunks = report.get("structuredPatch").and_then(Value::as_array)?;
    if str_at(report, "/type") == Some("create") {
        return Some(edits::from_whole(path, EditKind::Add, str_at(report, "/content")?));
    }
    let place = |hunk: &Value| {
        let at = |name: &str| u64_at(hunk, name).unwrap_or_default();
        format!("@@ -{},{} +{},{} @@", at("/oldStart"), at("/oldLines"), at("/newStart"), at("/newLines"))
    };
    let lines: Vec<String> = hunks
        .iter()
        .flat_map(|hunk| {
            let lines = hunk.get("lines").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            [place(hunk)].into_iter().chain(lines.map(str::to_owned)).collect::<Vec<_>>()
        })
        .collect();
    Some(edits::from_lines(path, EditKind::Update, lines.iter().map(String::as_str)))
}

/// Reads a tool's output: a text, or a list of blocks.
fn content(value: &Value) -> String {
    let Some(blocks) = value.as_array() else { return value.as_str().unwrap_or_default().to_owned() };
    let texts: Vec<&str> = blocks.iter().filter_map(|block| str_at(block, "/text")).collect();
    texts.join("\n")
}

/// Reads the process's tokens: `modelUsage` counts all of its turns and models, `usage` only the last turn.
fn usage(result: &Value) -> Usage {
    let models = result.get("modelUsage").and_then(Value::as_object).filter(|models| !models.is_empty());
    let Some(models) = models else {
        let at = |name: &str| u64_at(result, &format!("/usage/{name}"));
        return Usage {
            input: add(at("input_tokens"), at("cache_creation_input_tokens")),
            output: at("output_tokens"),
            cached: at("cache_read_input_tokens"),
        };
    };
    models.values().fold(Usage::default(), |sum, model| Usage {
        input: add(sum.input, add(u64_at(model, "/inputTokens"), u64_at(model, "/cacheCreationInputTokens"))),
        output: add(sum.output, u64_at(model, "/outputTokens")),
        cached: add(sum.cached, u64_at(model, "/cacheReadInputTokens")),
    })
}

/// Adds the known values.
fn add(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (known, None) | (None, known) => known,
    }
}
