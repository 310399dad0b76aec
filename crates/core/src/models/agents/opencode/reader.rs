//! Reads the events of `opencode run --format json`. The last `step_finish` decides how the turn ended: OpenCode has
//! recovered from an error before it, whatever the exit code says.

use super::failure::{from_event, from_log, is_collision, session_in_log};
use crate::base::money::Usd;
use crate::models::agents::edits;
use crate::models::agents::text::{
    SPEECH, TOOL_OUTPUT, cut, detail, object, one_line, str_at, string_at, tool_input, u64_at,
};
use crate::models::agents::{EventReader, errors};
use crate::tasks::edit::{EditKind, FileEdit};
use crate::tasks::outcome::{AgentEvent, Ending, Exit, Failure, FailureClass, Usage};
use jiff::Timestamp;
use serde_json::Value;

/// This many empty steps in a row mean that the address is not a model's, and that the run would not end.
const MAX_EMPTY_STEPS: u32 = 3;

/// The state of reading one run.
#[derive(Debug, Default)]
pub(super) struct Reader {
    session_id: Option<String>,
    lines: bool,
    last_event: Option<Timestamp>,
    /// The texts of the current or last step.
    texts: Vec<String>,
    /// The last text of an earlier step.
    earlier_text: Option<String>,
    /// How many steps in a row began with nothing in between: requests whose stream failed.
    restarts: u32,
    empty_steps: u32,
    /// The reason for which the last step ended; `None` while one runs.
    reason: Option<String>,
    error: Option<Failure>,
    usage: Option<Usage>,
    /// The cost of the steps; a step with tokens and no price makes it unknown.
    cost: Option<Usd>,
    unpriced: bool,
    denials: Vec<String>,
}

impl EventReader for Reader {
    fn line(&mut self, line: &str) -> Vec<AgentEvent> {
        self.lines |= !line.trim().is_empty();
        let Some(event) = object(line) else { return Vec::new() };
        let kind = str_at(&event, "/type").unwrap_or_default();
        let mut events = self.start(&event, kind);
        match kind {
            "step_start" => events.extend(self.step_start()),
            "text" => events.extend(self.text(&event)),
            "reasoning" => {
                self.progress();
                let text = str_at(&event, "/part/text").unwrap_or_default();
                events.push(AgentEvent::Reasoning { text: cut(text, SPEECH) });
            }
            "tool_use" => events.extend(self.tool(&event)),
            "step_finish" => events.extend(self.step_finish(&event)),
            "error" => {
                let failure = from_event(&event);
                events.push(AgentEvent::Error { class: failure.class, text: failure.detail.clone() });
                self.error = Some(failure);
            }
            _ => {}
        }
        events
    }

    fn fatal_failure(&self) -> Option<Failure> {
        let reason = || format!("{} empty answers in a row: the address answers, but not as a model", self.empty_steps);
        (self.empty_steps >= MAX_EMPTY_STEPS).then(|| Failure::new(FailureClass::Network, reason()))
    }

    fn turn_ended(&self) -> bool {
        self.reason.as_deref() == Some("stop")
    }

    fn is_start_collision(&self, exit: Exit, stderr_tail: &str) -> bool {
        !self.lines && exit.code.is_some_and(|code| code != 0) && is_collision(stderr_tail)
    }

    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending {
        let failure = self.failure(exit, stderr_tail);
        let text = (!self.texts.is_empty()).then(|| self.texts.join("\n"));
        Ending {
            session_id: self.session_id.clone().or_else(|| session_in_log(stderr_tail)),
            model: None,
            // After a good end only the text of the last step is the answer.
            final_text: text.or_else(|| self.earlier_text.clone().filter(|_| failure.is_some())),
            structured: None,
            usage: self.usage.unwrap_or_default(),
            usage_is_thread_total: false,
            cost: self.cost.filter(|_| !self.unpriced),
            cost_computed: false,
            denials: self.denials.clone(),
            failure,
        }
    }
}

impl Reader {
    /// Reports the start of the agent at the first event of a known kind.
    fn start(&mut self, event: &Value, kind: &str) -> Vec<AgentEvent> {
        let at = event.get("timestamp").and_then(Value::as_i64).and_then(|at| Timestamp::from_millisecond(at).ok());
        self.last_event = at.or(self.last_event);
        let known = ["step_start", "text", "reasoning", "tool_use", "step_finish", "error"].contains(&kind);
        if known { self.started(event).into_iter().collect() } else { Vec::new() }
    }

    /// Returns the start of the agent, if the conversation's id was unknown before.
    pub(super) fn started(&mut self, event: &Value) -> Option<AgentEvent> {
        self.lines = true;
        if self.session_id.is_some() {
            return None;
        }
        self.session_id = string_at(event, "/sessionID");
        self.session_id.clone().map(|id| AgentEvent::Started { session_id: Some(id), model: None })
    }

    /// Records that another turn begins.
    pub(super) fn turn_started(&mut self) {
        self.reason = None;
    }

    /// Records an error while no turn ran: it does not change a turn that ended well, and is the reason for a failed one only
    /// if no other is known.
    pub(super) fn idle_error(&mut self, event: &Value) -> AgentEvent {
        let failure = from_event(event);
        let reported = AgentEvent::Error { class: failure.class, text: failure.detail.clone() };
        if !self.turn_ended() {
            self.error.get_or_insert(failure);
        }
        reported
    }

    fn progress(&mut self) {
        (self.restarts, self.empty_steps) = (0, 0);
    }

    fn step_start(&mut self) -> Option<AgentEvent> {
        self.reason = None;
        if let Some(text) = self.texts.pop() {
            self.earlier_text = Some(text);
        }
        self.texts.clear();
        self.restarts += 1;
        let attempt = self.restarts - 1;
        let detail = "the answer broke off, the request is repeated".to_owned();
        (attempt > 0).then_some(AgentEvent::Retry { class: FailureClass::Overloaded, attempt, detail })
    }

    fn text(&mut self, event: &Value) -> Option<AgentEvent> {
        let text = str_at(event, "/part/text")?;
        if event.pointer("/part/synthetic").and_then(Value::as_bool) == Some(true) {
            // A text of the CLI for the model: the turn continues.
            self.reason = None;
            return Some(AgentEvent::Warning { text: detail(text) });
        }
        self.progress();
        self.texts.push(text.to_owned());
        Some(AgentEvent::Text { text: cut(text, SPEECH) })
    }

    /// Reads a tool call with its result, which is printed when the tool has ended.
    fn tool(&mut self, event: &Value) -> Vec<AgentEvent> {
        self.progress();
        let Some(part) = event.get("part") else { return Vec::new() };
        let id = string_at(part, "/callID").unwrap_or_default();
        let name = one_line(str_at(part, "/tool").unwrap_or("tool"), 80);
        let input = tool_input(part.pointer("/state/input").unwrap_or(&Value::Null));
        let completed = str_at(part, "/state/status") == Some("completed");
        let error = str_at(part, "/state/error").unwrap_or_default();
        if error.contains("rejected permission") || error.contains("specified a rule which prevents") {
            self.denials.push(format!("{name}: {input}"));
        }
        let exit = part.pointer("/state/metadata/exit").and_then(Value::as_i64).unwrap_or(0);
        let ok = completed && exit == 0 && name != "invalid";
        let output = if completed { str_at(part, "/state/output").unwrap_or_default() } else { error };
        let output = cut(output, TOOL_OUTPUT);
        let edits = if ok { changed(part, &name).into_iter().collect() } else { Vec::new() };
        let took = || u64_at(part, "/state/time/end")?.checked_sub(u64_at(part, "/state/time/start")?);
        let result = AgentEvent::ToolResult { id: id.clone(), ok, output, took_ms: took(), edits };
        vec![AgentEvent::ToolCall { id, name, input }, result]
    }

    fn step_finish(&mut self, event: &Value) -> Vec<AgentEvent> {
        self.restarts = 0;
        let reason = str_at(event, "/part/reason").unwrap_or("unknown").to_owned();
        let tokens = tokens(event);
        let counts = [tokens.input, tokens.output, tokens.cached];
        let used = counts.into_iter().flatten().fold(0, u64::saturating_add);
        let empty = used == 0 && reason != "stop" && reason != "tool-calls";
        self.empty_steps = if empty { self.empty_steps + 1 } else { 0 };
        self.usage = Some(sum(self.usage, tokens));
        match event.pointer("/part/cost").and_then(Value::as_f64).and_then(Usd::from_dollars) {
            Some(cost) if cost != Usd::ZERO || used == 0 => self.cost = Some(self.cost.unwrap_or(Usd::ZERO) + cost),
            Some(_) | None => self.unpriced = true,
        }
        let stop = reason == "stop";
        if stop {
            self.error = None;
        }
        self.reason = Some(reason);
        let usage = self.usage.unwrap_or_default();
        let cost_usd = self.cost.filter(|_| !self.unpriced);
        let spent = AgentEvent::Spent { usage, cost_usd, usage_is_thread_total: false };
        [spent].into_iter().chain(stop.then_some(AgentEvent::TurnEnded)).collect()
    }

    fn failure(&self, exit: Exit, stderr: &str) -> Option<Failure> {
        if let Some(error) = &self.error {
            return Some(error.clone());
        }
        if let Some(fatal_failure) = self.fatal_failure() {
            return Some(fatal_failure);
        }
        match self.reason.as_deref() {
            Some("stop") => None,
            Some(reason) if exit.success() => {
                let denied = self.denials.last().map(|denial| format!(" after a refused call ({denial})"));
                let detail = format!("the turn ended with {reason:?}{}", denied.unwrap_or_default());
                Some(Failure::new(FailureClass::Incomplete, detail))
            }
            Some(_) | None => Some(self.unfinished(exit, stderr)),
        }
    }

    fn unfinished(&self, exit: Exit, stderr: &str) -> Failure {
        if !self.lines && stderr.contains("Session not found") {
            return Failure::new(FailureClass::SessionLost, detail(stderr));
        }
        let restarting = || {
            let what = format!("the answer broke off {} times", self.restarts.saturating_sub(1));
            (self.restarts > 1).then(|| Failure::new(FailureClass::Overloaded, what))
        };
        let waiting = from_log(stderr, self.last_event).or_else(restarting);
        errors::unfinished(exit, stderr, waiting.as_ref(), !self.lines)
    }
}

/// Reads the change of a tool: `edit` reports the lines, `write` the content without what it replaced.
fn changed(part: &Value, name: &str) -> Option<FileEdit> {
    let input = part.pointer("/state/input")?;
    let diff = ["/state/metadata/diff", "/state/metadata/filediff/patch"].iter().find_map(|at| str_at(part, at));
    let path = || string_at(input, "/filePath").or_else(|| string_at(part, "/state/metadata/filediff/file"));
    match (name, diff) {
        ("edit" | "write" | "multiedit" | "patch" | "apply_patch", Some(diff)) => {
            Some(edits::from_unified(path()?, EditKind::Update, diff))
        }
        ("write", None) if part.pointer("/state/metadata/exists").and_then(Value::as_bool) == Some(true) => {
            Some(FileEdit::unknown(path()?, EditKind::Update))
        }
        _ => edits::from_input(name, input),
    }
}

/// Reads the tokens of one request. The output is the rest of the total, whether or not reasoning is counted separately.
fn tokens(event: &Value) -> Usage {
    let at = |name: &str| u64_at(event, &format!("/part/tokens/{name}"));
    let (input, read, write) = (at("input"), at("cache/read"), at("cache/write").unwrap_or(0));
    let apart = input.unwrap_or(0).saturating_add(read.unwrap_or(0)).saturating_add(write);
    let output = match at("total") {
        Some(total) => Some(total.saturating_sub(apart)),
        None => at("output").map(|output| output.saturating_add(at("reasoning").unwrap_or(0))),
    };
    Usage { input: input.map(|input| input.saturating_add(write)), output, cached: read }
}

fn sum(so_far: Option<Usage>, step: Usage) -> Usage {
    let add = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (known, None) | (None, known) => known,
    };
    let so_far = so_far.unwrap_or_default();
    Usage {
        input: add(so_far.input, step.input),
        output: add(so_far.output, step.output),
        cached: add(so_far.cached, step.cached),
    }
}
