//! Reads Codex's own session file: the code and the reset time of an error, the tokens of each turn, the model. One file
//! holds every run of a conversation; its last turn is the one that counts.

use crate::models::agents::errors::unix;
use crate::models::agents::reset::wait_in;
use crate::models::agents::text::{object, str_at, string_at, u64_at};
use crate::tasks::outcome::{FailureClass, Usage};
use jiff::Timestamp;
use serde_json::Value;

/// The last turn of the session file.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The model of the last turn.
    pub model: Option<String>,
    /// The conversation's tokens before the last turn.
    before: Usage,
    /// The conversation's tokens so far.
    total: Option<Usage>,
    /// Whether a turn began.
    has_turn: bool,
    /// Whether the last turn ended.
    completed: bool,
    /// The last turn's error, and when it was written.
    error: Option<(Value, Option<Timestamp>)>,
    limits: Vec<Limit>,
}

/// One window of a plan's limit.
#[derive(Debug, Clone, Copy)]
struct Limit {
    used_percent: f64,
    resets_at: Timestamp,
}

impl Record {
    /// Reads one line of the file.
    pub(super) fn line(&mut self, line: &str) {
        let Some(event) = object(line) else { return };
        let at = str_at(&event, "/timestamp").and_then(|at| at.parse().ok());
        self.model = string_at(&event, "/payload/model").or_else(|| self.model.take());
        match str_at(&event, "/payload/type").unwrap_or_default() {
            "task_started" => {
                (self.has_turn, self.completed, self.error) = (true, false, None);
                self.before = self.total.unwrap_or(Usage { input: Some(0), output: Some(0), cached: Some(0) });
                self.limits.clear();
            }
            "token_count" => self.tokens(&event),
            "task_complete" => {
                self.completed = true;
                self.error = event.pointer("/payload/error").filter(|error| !error.is_null()).cloned().map(|e| (e, at));
            }
            _ => {}
        }
    }

    fn tokens(&mut self, event: &Value) {
        if let Some(total) = event.pointer("/payload/info/total_token_usage") {
            self.total = Some(usage(total));
        }
        let limit = |name: &str| {
            let window = event.pointer(&format!("/payload/rate_limits/{name}"))?;
            let resets_at = unix(window.get("resets_at")?.as_i64()?)?;
            Some(Limit { used_percent: window.get("used_percent")?.as_f64()?, resets_at })
        };
        let limits: Vec<Limit> = ["primary", "secondary"].into_iter().filter_map(limit).collect();
        if !limits.is_empty() {
            self.limits = limits;
        }
    }

    /// Returns the code of the last turn's error, if that is the error with this text.
    pub(super) fn code(&self, text: &str) -> Option<&Value> {
        self.error_with_text(text)?.0.get("codex_error_info")
    }

    /// Returns when the provider's limit resets, after the error with this text.
    pub(super) fn retry_at(&self, class: FailureClass, text: &str) -> Option<Timestamp> {
        let (_, at) = self.error_with_text(text).filter(|_| class == FailureClass::RateLimited)?;
        if let Some(wait) = wait_in(text) {
            return at.as_ref().and_then(|at| at.checked_add(wait).ok());
        }
        let used_up = self.limits.iter().filter(|limit| limit.used_percent >= 100.0).map(|limit| limit.resets_at).max();
        used_up.or_else(|| {
            let fullest = self.limits.iter().max_by(|a, b| a.used_percent.total_cmp(&b.used_percent));
            fullest.map(|limit| limit.resets_at)
        })
    }

    fn error_with_text(&self, text: &str) -> Option<&(Value, Option<Timestamp>)> {
        self.error.as_ref().filter(|(error, _)| str_at(error, "/message") == Some(text))
    }

    /// Returns the tokens of the last turn alone. `reported` is the total on stdout; `None` when the turn broke off without.
    pub(super) fn own_usage(&self, reported: Option<Usage>) -> Option<Usage> {
        let total = self.total.filter(|_| self.has_turn)?;
        let is_same_turn = reported.map_or(!self.completed, |reported| reported == total);
        is_same_turn.then(|| total.since(self.before))
    }
}

/// Reads a count of tokens; Codex includes the cached ones in the input.
pub(super) fn usage(counts: &Value) -> Usage {
    let cached = u64_at(counts, "/cached_input_tokens");
    Usage {
        input: u64_at(counts, "/input_tokens").map(|input| input.saturating_sub(cached.unwrap_or(0))),
        output: u64_at(counts, "/output_tokens"),
        cached,
    }
}
