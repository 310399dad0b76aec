//! Classifies the errors of OpenCode: by its name for the error, then the HTTP status, then the text.

use crate::models::agents::errors::{by_status, by_text};
use crate::models::agents::reset::wait_in;
use crate::models::agents::text::{detail, object, str_at, string_at, u64_at};
use crate::tasks::outcome::{Failure, FailureClass};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Returns the failure of an `error` event.
pub(super) fn from_event(event: &Value) -> Failure {
    let name = str_at(event, "/error/name").unwrap_or_default();
    let message = message(event);
    let body = str_at(event, "/error/data/responseBody").unwrap_or_default();
    let text = format!("{message} {body}");
    let class = by_name(name, &message).or_else(|| match u64_at(event, "/error/data/statusCode") {
        Some(status) => by_status(status, &text),
        None => by_text(&text),
    });
    let class = class.unwrap_or(FailureClass::Crashed);
    let text = if message.is_empty() { name } else { &message };
    let retry_at = retry_at(event, &message).filter(|_| class == FailureClass::RateLimited);
    Failure { retry_at, ..Failure::new(class, detail(text)) }
}

fn by_name(name: &str, message: &str) -> Option<FailureClass> {
    match name {
        "ContextOverflowError" => Some(FailureClass::ContextTooLong),
        "ProviderAuthError" => Some(FailureClass::Auth),
        "ProviderModelNotFoundError" => Some(FailureClass::ModelNotFound),
        "MessageAbortedError" => Some(FailureClass::Killed),
        "MessageOutputLengthError" => Some(FailureClass::Incomplete),
        // This is its error for a model that its configuration does not know.
        "UnknownError" if message.starts_with("Unexpected server error") => Some(FailureClass::ModelNotFound),
        _ => None,
    }
}

/// Returns the message; for a failed stream it is the provider's error as JSON text.
fn message(event: &Value) -> String {
    let message = string_at(event, "/error/data/message").unwrap_or_default();
    match object(&message) {
        Some(inner) => match (str_at(&inner, "/message"), str_at(&inner, "/code")) {
            (Some(text), Some(code)) => format!("{text} ({code})"),
            (Some(text), None) => text.to_owned(),
            (None, _) => message,
        },
        None => message,
    }
}

/// Returns when the provider's limit resets: by its header, else by its text, relative to the event.
fn retry_at(event: &Value, message: &str) -> Option<Timestamp> {
    let now = event.get("timestamp").and_then(Value::as_i64).and_then(|at| Timestamp::from_millisecond(at).ok())?;
    let header = |name: &str| str_at(event, &format!("/error/data/responseHeaders/{name}"));
    let seconds = |text: &str, scale: f64| {
        text.trim().parse::<f64>().ok().and_then(|n| SignedDuration::try_from_secs_f64(n * scale).ok())
    };
    if let Some(text) = header("retry-after") {
        let date = || jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp());
        return seconds(text, 1.0).and_then(|wait| now.checked_add(wait).ok()).or_else(date);
    }
    let wait = header("retry-after-ms").and_then(|text| seconds(text, 0.001)).or_else(|| wait_in(message))?;
    now.checked_add(wait).ok()
}

/// Returns the failure of the last request from the log on stderr, if that is newer than `last_event`.
pub(super) fn from_log(stderr: &str, last_event: Option<Timestamp>) -> Option<Failure> {
    let line = stderr.lines().rfind(|line| line.contains("message=\"stream error\""))?;
    let at: Timestamp = line.strip_prefix("timestamp=")?.split(' ').next()?.parse().ok()?;
    if last_event.is_some_and(|event| event > at) {
        return None;
    }
    let (_, error) = line.split_once("error.error=")?;
    let error = error.trim_matches('"');
    let class = by_text(error)?;
    let retry_at = wait_in(error).and_then(|wait| at.checked_add(wait).ok());
    let retry_at = retry_at.filter(|_| class == FailureClass::RateLimited);
    Some(Failure { retry_at, ..Failure::new(class, detail(error)) })
}

/// Returns whether it failed at its own database. That happens when two of its processes start at once on a new or outdated
/// one: both create the tables, and one of them fails. It prints only the statement, not SQLite's reason.
pub(super) fn is_collision(stderr: &str) -> bool {
    let locked = ["database is locked", "database schema is locked", "locking protocol"];
    let makes = |statement: &str| ["CREATE ", "ALTER ", "DROP "].iter().any(|verb| statement.starts_with(verb));
    let failed = stderr.split("Failed query:").skip(1).any(|rest| makes(rest.trim_start()));
    failed || locked.iter().any(|words| stderr.contains(words))
}

/// Finds the session's id in the log on stderr, the only source when no event was printed.
pub(super) fn session_in_log(stderr: &str) -> Option<String> {
    let (_, rest) = stderr.rsplit_once("session.id=")?;
    let id: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    id.starts_with("ses_").then_some(id)
}
