//! Renders a provider's refusals: status, headers and body for each kind and protocol. Pure: `now` is an argument.

use super::super::request::Protocol;
use super::super::script::{Fail, FailKind};
use super::named_event;
use serde_json::{Value, json};

/// A rendered refusal.
#[derive(Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Headers beside the content type.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Value,
}

/// Renders the refusal of a request for `model`; `now` is in Unix seconds.
pub fn refusal(protocol: Protocol, fail: &Fail, model: &str, now: i64) -> Refusal {
    let resets_at = now + i64::try_from(fail.retry_after.unwrap_or(3600)).unwrap_or(i64::MAX / 2);
    let mut headers = Vec::new();
    if let Some(seconds) = fail.retry_after {
        headers.push(("retry-after".to_owned(), seconds.to_string()));
    }
    let mut body = body(protocol, fail.kind, model);
    if fail.kind == FailKind::UsageLimit {
        headers.extend(plan_headers(protocol, resets_at));
        if protocol != Protocol::Messages {
            body["error"]["resets_at"] = json!(resets_at);
        }
    }
    headers.extend(fail.headers.clone());
    Refusal { status: fail.status.unwrap_or_else(|| status(protocol, fail.kind)), headers, body }
}

/// Renders the refusal as an event of a stream that has already begun.
pub fn event(protocol: Protocol, kind: FailKind, model: &str) -> String {
    let body = body(protocol, kind, model);
    match protocol {
        Protocol::Messages => named_event(&body),
        Protocol::Chat => format!("data: {body}\n\n"),
        Protocol::Responses => {
            let error = json!({"code": body["error"]["code"], "message": body["error"]["message"]});
            let response = json!({"id": "resp_failed", "object": "response", "status": "failed", "error": error});
            named_event(&json!({"type": "response.failed", "response": response}))
        }
    }
}

fn status(protocol: Protocol, kind: FailKind) -> u16 {
    match (kind, protocol) {
        (FailKind::Auth, _) => 401,
        (FailKind::Forbidden, _) => 403,
        (FailKind::ModelNotFound, _) => 404,
        (FailKind::Quota, Protocol::Messages) | (FailKind::Billing | FailKind::Context, _) => 400,
        (FailKind::RateLimit | FailKind::UsageLimit | FailKind::Quota, _) => 429,
        (FailKind::Overloaded, Protocol::Messages) => 529,
        (FailKind::Overloaded, Protocol::Responses | Protocol::Chat) => 503,
        (FailKind::ServerError, _) => 500,
    }
}

fn body(protocol: Protocol, kind: FailKind, model: &str) -> Value {
    match protocol {
        Protocol::Messages => {
            let (name, message) = messages_error(kind, model);
            json!({"type": "error", "error": {"type": name, "message": message}})
        }
        Protocol::Responses | Protocol::Chat => {
            let (name, code, message) = openai_error(kind, model);
            json!({"error": {"message": message, "type": name, "param": null, "code": code}})
        }
    }
}

fn messages_error(kind: FailKind, model: &str) -> (&'static str, String) {
    let (name, message) = match kind {
        FailKind::Auth => ("authentication_error", "invalid x-api-key"),
        FailKind::Forbidden => {
            ("permission_error", "Your API key does not have permission to use the specified resource")
        }
        FailKind::ModelNotFound => return ("not_found_error", format!("model: {model}")),
        FailKind::RateLimit => {
            ("rate_limit_error", "This request would exceed your rate limit of requests per minute.")
        }
        FailKind::UsageLimit => {
            ("rate_limit_error", "This request would exceed your account's rate limit. Please try again later.")
        }
        FailKind::Quota | FailKind::Billing => (
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
        ),
        FailKind::Overloaded => ("overloaded_error", "Overloaded"),
        FailKind::ServerError => ("api_error", "Internal server error"),
        FailKind::Context => ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    };
    (name, message.to_owned())
}

fn openai_error(kind: FailKind, model: &str) -> (&'static str, Option<&'static str>, String) {
    let (name, code, message) = match kind {
        FailKind::Auth => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided: dummy-key."),
        FailKind::Forbidden => (
            "invalid_request_error",
            Some("unsupported_country_region_territory"),
            "Country, region, or territory not supported",
        ),
        FailKind::ModelNotFound => {
            let message = format!("The model `{model}` does not exist or you do not have access to it.");
            return ("invalid_request_error", Some("model_not_found"), message);
        }
        FailKind::RateLimit => {
            ("requests", Some("rate_limit_exceeded"), "Rate limit reached for requests. Please try again in 11.054s.")
        }
        FailKind::UsageLimit => ("usage_limit_reached", None, "The usage limit has been reached"),
        FailKind::Quota => (
            "insufficient_quota",
            Some("insufficient_quota"),
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        FailKind::Billing => {
            ("invalid_request_error", Some("billing_hard_limit_reached"), "Billing hard limit has been reached")
        }
        FailKind::Overloaded => (
            "server_error",
            Some("server_is_overloaded"),
            "The server is currently overloaded. Please try again later.",
        ),
        FailKind::ServerError => ("server_error", None, "The server had an error while processing your request."),
        FailKind::Context => (
            "invalid_request_error",
            Some("context_length_exceeded"),
            "Your input exceeds the context window of this model.",
        ),
    };
    (name, code, message.to_owned())
}

/// Returns the headers on a subscription's windows, once the first of them is used up.
fn plan_headers(protocol: Protocol, resets_at: i64) -> Vec<(String, String)> {
    let next_week = resets_at + 4 * 24 * 3600;
    let named = |prefix: &str, values: &[(&str, String)]| {
        values.iter().map(|(name, value)| (format!("{prefix}-{name}"), value.clone())).collect()
    };
    match protocol {
        Protocol::Messages => named(
            "anthropic-ratelimit-unified",
            &[
                ("status", "rejected".into()),
                ("reset", resets_at.to_string()),
                ("representative-claim", "five_hour".into()),
                ("5h-status", "rejected".into()),
                ("5h-reset", resets_at.to_string()),
                ("5h-utilization", "1.0".into()),
                ("7d-status", "allowed".into()),
                ("7d-reset", next_week.to_string()),
                ("7d-utilization", "0.4".into()),
                ("overage-status", "rejected".into()),
                ("overage-disabled-reason", "org_level_disabled".into()),
            ],
        ),
        Protocol::Responses | Protocol::Chat => named(
            "x-codex",
            &[
                ("primary-used-percent", "100.0".into()),
                ("primary-window-minutes", "300".into()),
                ("primary-reset-at", resets_at.to_string()),
                ("secondary-used-percent", "40.0".into()),
                ("secondary-window-minutes", "10080".into()),
                ("secondary-reset-at", next_week.to_string()),
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_limit_shows_its_reset_where_each_cli_looks_for_it() {
        let fail = Fail { retry_after: Some(60), ..Fail::new(FailKind::UsageLimit) };
        let claude = refusal(Protocol::Messages, &fail, "m", 1000);
        assert!(claude.headers.contains(&("anthropic-ratelimit-unified-reset".into(), "1060".into())), "{claude:?}");
        let codex = refusal(Protocol::Responses, &fail, "m", 1000);
        assert_eq!((codex.status, &codex.body["error"]["resets_at"]), (429, &json!(1060)));
    }
}
