//! What the errors of Codex mean. On stdout they are text only; its session file adds a code.

use crate::agents::errors::{by_status, by_text, status_in};
use crate::outcome::FailureClass;
use serde_json::Value;

/// The class of an error's text.
pub(super) fn of_text(text: &str) -> Option<FailureClass> {
    if text.contains("no rollout found") {
        return Some(FailureClass::SessionLost);
    }
    match status_in(text) {
        Some(status) => by_status(status, text),
        None => by_text(text),
    }
}

/// The class of a `codex_error_info`: a name, or an object with the name as its only key.
pub(super) fn of_code(code: &Value) -> Option<FailureClass> {
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

/// The class of an error with both: the code decides, except where the text knows that money ran out (a quota bears
/// the code of a limit) and where there is no code that says anything.
pub(super) fn of_both(code: &Value, text: &str) -> Option<FailureClass> {
    let told = of_text(text);
    match of_code(code) {
        Some(FailureClass::RateLimited) if told == Some(FailureClass::Budget) => told,
        Some(class) => Some(class),
        None => told,
    }
}
