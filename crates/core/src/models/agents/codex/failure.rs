//! Classifies the errors of Codex. On stdout they are text only; its session file adds a code.

use crate::models::agents::errors::{by_status, by_text, status_in};
use crate::tasks::outcome::FailureClass;
use serde_json::Value;

/// Returns the class of an error's text.
pub(super) fn by_text_or_status(text: &str) -> Option<FailureClass> {
    if text.contains("no rollout found") {
        return Some(FailureClass::SessionLost);
    }
    match status_in(text) {
        Some(status) => by_status(status, text),
        None => by_text(text),
    }
}

/// Returns the class of a `codex_error_info`: a name, or an object with the name as its only key.
pub(super) fn by_code(code: &Value) -> Option<FailureClass> {
    let (name, facts) = match code {
        Value::String(name) => (name.as_str(), &Value::Null),
        Value::Object(fields) => fields.iter().next().map(|(name, facts)| (name.as_str(), facts))?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    let status = ["http_status_code", "httpStatusCode"].iter().find_map(|key| facts.get(key)?.as_u64());
    match name.replace('_', "").to_lowercase().as_str() {
        "usagelimitexceeded" | "ratelimitexceeded" => Some(FailureClass::RateLimited),
        "sessionbudgetexceeded" => Some(FailureClass::Budget),
        "contextwindowexceeded" => Some(FailureClass::ContextTooLong),
        "modelnotfound" => Some(FailureClass::ModelNotFound),
        "unauthorized" => Some(FailureClass::Auth),
        "serveroverloaded" | "internalservererror" => Some(FailureClass::Overloaded),
        "httpconnectionfailed"
        | "responsestreamconnectionfailed"
        | "responsestreamdisconnected"
        | "responsetoomanyfailedattempts" => {
            Some(status.and_then(|status| by_status(status, "")).unwrap_or(FailureClass::Network))
        }
        _ => None,
    }
}

/// Returns the class of an error with code and text. The code decides, unless it is unknown or the text says that money
/// ran out (an exhausted quota has the code of a rate limit).
pub(super) fn by_code_or_text(code: &Value, text: &str) -> Option<FailureClass> {
    let from_text = by_text_or_status(text);
    match by_code(code) {
        Some(FailureClass::RateLimited) if from_text == Some(FailureClass::Budget) => from_text,
        Some(class) => Some(class),
        None => from_text,
    }
}
