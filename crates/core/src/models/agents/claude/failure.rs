//! Classifies the errors of Claude Code: by the CLI's own name for the error, then the HTTP status, then the text.

use crate::models::agents::errors;
use crate::models::agents::text::detail;
use crate::tasks::outcome::{Failure, FailureClass};
use jiff::Timestamp;

/// The error of a failed turn, from its last lines.
#[derive(Debug, Default)]
pub(super) struct TurnError<'a> {
    /// `subtype` of the `result`.
    pub subtype: &'a str,
    /// `terminal_reason` of the `result`.
    pub reason: &'a str,
    /// `api_error_status` of the `result`.
    pub status: Option<u64>,
    /// `error` of the last `assistant` line.
    pub error: &'a str,
    /// The text that the CLI printed.
    pub text: &'a str,
    /// When the subscription's limit resets, if one was reached.
    pub reset: Option<Timestamp>,
}

impl TurnError<'_> {
    /// Returns the failure of the turn.
    pub(super) fn failure(&self) -> Failure {
        let class = self.class().unwrap_or(FailureClass::Crashed);
        let text = if class == FailureClass::Killed {
            // What the CLI prints here is a note for its own developers.
            "the turn was interrupted"
        } else if self.text.trim().is_empty() {
            self.subtype
        } else {
            self.text
        };
        let retry_at = self.reset.filter(|_| class == FailureClass::RateLimited);
        Failure { retry_at, ..Failure::new(class, detail(text)) }
    }

    fn class(&self) -> Option<FailureClass> {
        match self.subtype {
            "error_max_turns" | "error_max_budget_usd" => return Some(FailureClass::Budget),
            "error_max_structured_output_retries" => return Some(FailureClass::Malformed),
            _ => {}
        }
        if self.text.contains("No conversation found") {
            return Some(FailureClass::SessionLost);
        }
        if self.reason.starts_with("aborted") {
            return Some(FailureClass::Killed);
        }
        if self.reason == "prompt_too_long" {
            return Some(FailureClass::ContextTooLong);
        }
        classify(self.error, self.status, self.text)
    }
}

/// Returns the class of an error by its name in `assistant` and `api_retry` lines.
pub(super) fn classify(error: &str, status: Option<u64>, text: &str) -> Option<FailureClass> {
    let by_status = || status.and_then(|status| errors::by_status(status, text)).or_else(|| errors::by_text(text));
    match error {
        "authentication_failed" => Some(FailureClass::Auth),
        "billing_error" => Some(FailureClass::Budget),
        "rate_limit" => Some(FailureClass::RateLimited),
        "overloaded" => Some(FailureClass::Overloaded),
        "model_not_found" => Some(FailureClass::ModelNotFound),
        // Without a status no server answered: refused, reset, timed out.
        "server_error" if status.is_none() => Some(by_status().unwrap_or(FailureClass::Network)),
        "server_error" => Some(by_status().unwrap_or(FailureClass::Overloaded)),
        _ => by_status(),
    }
}
