//! Classifies the errors of providers and the exits of processes: by the status first, by the text last. An error that
//! matches nothing stays unclassified.

use super::text::stderr_summary;
use crate::tasks::outcome::{Exit, Failure, FailureClass};
use jiff::Timestamp;

/// The class of an error by words of its text, in lower case; the first line that matches wins. Money comes before
/// limits, because an exhausted quota is reported like a rate limit; limits come before the network, because their
/// texts mention it.
const BY_TEXT: &[(FailureClass, &[&str])] = &[
    (
        FailureClass::Budget,
        &[
            "insufficient_quota",
            "quota exceeded",
            "exceeded your current quota",
            "billing hard limit",
            "billing_hard_limit",
            "billing_error",
            "billing details",
            "credit balance",
            "insufficient balance",
            "insufficient credits",
            "payment required",
        ],
    ),
    (
        FailureClass::ContextTooLong,
        &[
            "context_length_exceeded",
            "context window",
            "context length",
            "prompt is too long",
            "prompt_too_long",
            "input is too long",
            "request_too_large",
        ],
    ),
    (
        FailureClass::ModelNotFound,
        &[
            "model_not_found",
            "does not exist or you do not have access",
            "issue with the selected model",
            "model not found",
            "unknown model",
            "no such model",
        ],
    ),
    (
        FailureClass::RateLimited,
        &["rate limit", "rate_limit", "too many requests", "usage limit", "session limit", "weekly limit"],
    ),
    (
        FailureClass::Auth,
        &[
            "invalid api key",
            "invalid_api_key",
            "incorrect api key",
            "invalid x-api-key",
            "unauthorized",
            "authentication",
            "not logged in",
            "missing environment variable",
            "api key is missing",
        ],
    ),
    (
        FailureClass::Overloaded,
        &[
            "overloaded",
            "at capacity",
            "high demand",
            "internal server error",
            "service unavailable",
            "bad gateway",
            "gateway timeout",
        ],
    ),
    (
        FailureClass::Network,
        &[
            "connect",
            "econn",
            "enotfound",
            "network",
            "timed out",
            "timeout",
            "socket",
            "fetch failed",
            "malformed response",
            "error sending request",
            "error decoding response",
        ],
    ),
];

/// Returns the class of an HTTP status; `text` distinguishes errors with the same status.
pub(super) fn by_status(status: u64, text: &str) -> Option<FailureClass> {
    let from_text = by_text(text);
    match status {
        401 | 403 => Some(FailureClass::Auth),
        402 => Some(FailureClass::Budget),
        404 => Some(FailureClass::ModelNotFound),
        408 => Some(FailureClass::Network),
        413 => Some(FailureClass::ContextTooLong),
        429 if from_text == Some(FailureClass::Budget) => from_text,
        429 => Some(FailureClass::RateLimited),
        500..=599 => Some(FailureClass::Overloaded),
        _ => from_text,
    }
}

/// Returns the class of an error by its text.
pub(super) fn by_text(text: &str) -> Option<FailureClass> {
    let text = text.to_lowercase();
    let fits = |words: &[&str]| words.iter().any(|word| text.contains(word));
    BY_TEXT.iter().find(|(_, words)| fits(words)).map(|(class, _)| *class)
}

/// Finds the HTTP status in a text such as "unexpected status 401 Unauthorized" or "last status: 429".
pub(super) fn status_in(text: &str) -> Option<u64> {
    text.match_indices("status").find_map(|(at, word)| {
        let rest = text[at + word.len()..].trim_start_matches([':', ' ', '=']);
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (digits.len() == 3).then(|| digits.parse().ok()).flatten()
    })
}

/// Converts seconds since 1970.
pub(super) fn unix(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok()
}

/// Returns the failure of a process that exited before the CLI reported how its turn went.
///
/// `waiting` is the failure after which the CLI was about to retry: it is a better reason than the signal that ended the
/// wait. `silent` means that nothing was printed to stdout.
pub(super) fn unfinished(exit: Exit, stderr: &str, waiting: Option<&Failure>, silent: bool) -> Failure {
    let summary = stderr_summary(stderr);
    match signal(exit) {
        Some(signal) if is_crash(signal) => {
            Failure::new(FailureClass::Crashed, with_stderr(format!("crashed by signal {signal}"), &summary))
        }
        Some(signal) => match waiting {
            Some(waiting) => {
                let detail = format!("{}; ended by signal {signal} while it waited to try again", waiting.detail);
                Failure { detail, ..waiting.clone() }
            }
            None => Failure::new(FailureClass::Killed, format!("ended by signal {signal}")),
        },
        None if silent && matches!(exit.code, Some(126 | 127)) => Failure::new(
            FailureClass::AgentMissing,
            with_stderr("the program could not be started".to_owned(), &summary),
        ),
        None => Failure::new(FailureClass::Crashed, with_stderr(exit.to_string(), &summary)),
    }
}

/// Returns the signal that ended the process, also when a shell or the program itself turned it into an exit code.
pub(super) fn signal(exit: Exit) -> Option<i32> {
    match (exit.code, exit.signal) {
        (_, Some(signal)) => Some(signal),
        (Some(code @ 129..=159), None) => Some(code - 128),
        (Some(_) | None, None) => None,
    }
}

/// Returns whether a signal means a fault of the program: ILL, TRAP, ABRT, BUS, FPE, SEGV.
fn is_crash(signal: i32) -> bool {
    matches!(signal, 4..=8 | 11)
}

fn with_stderr(what: String, summary: &str) -> String {
    if summary.is_empty() { what } else { format!("{what}: {summary}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_found_in_words() {
        assert_eq!(status_in("unexpected status 401 Unauthorized: x, url: y"), Some(401));
        assert_eq!(status_in("exceeded retry limit, last status: 429 Too Many Requests"), Some(429));
        assert_eq!(status_in("status unknown"), None);
    }

    #[test]
    fn an_exhausted_quota_is_no_rate_limit_and_a_link_to_billing_no_quota() {
        assert_eq!(by_status(429, "insufficient_quota"), Some(FailureClass::Budget));
        let limit = "Rate limit reached. Add a payment method at https://platform.openai.com/account/billing";
        assert_eq!(by_status(429, limit), Some(FailureClass::RateLimited));
        assert_eq!(by_text("something new"), None);
    }

    #[test]
    fn only_a_signal_from_outside_is_a_kill() {
        let class = |code, signal| unfinished(Exit { code, signal }, "", None, false).class;
        assert_eq!(class(None, Some(15)), FailureClass::Killed);
        assert_eq!(class(Some(143), None), FailureClass::Killed);
        assert_eq!(class(None, Some(11)), FailureClass::Crashed);
        assert_eq!(class(Some(134), None), FailureClass::Crashed);
        assert_eq!(class(Some(1), None), FailureClass::Crashed);
        let missing = unfinished(Exit { code: Some(127), signal: None }, "env: node: not found", None, true);
        assert_eq!(missing.class, FailureClass::AgentMissing);
        assert_eq!(missing.detail, "the program could not be started: env: node: not found");
    }
}
