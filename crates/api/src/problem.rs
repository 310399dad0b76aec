//! An error on the wire: problem details for HTTP (RFC 9457) with orch's stable word and what to do next.

use super::error::{ErrorCode, ErrorView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";
/// Where the words are explained; the word itself follows.
const PAGE: &str = "https://github.com/orch-agents/orch/blob/main/docs/reference/exit-codes.md#";

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A page about this kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words, always the same.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What happened, and where.
    pub detail: String,
    /// The kind as a stable word.
    pub code: ErrorCode,
    /// What to do next.
    pub hint: Option<String>,
}

impl Problem {
    /// Creates the answer to a request that failed, with its status.
    pub fn new(error: ErrorView, status: u16) -> Self {
        let title = title(error.code).to_owned();
        let kind = format!("{PAGE}{}", error.code.as_str());
        Self { kind, title, status, detail: error.message, code: error.code, hint: error.hint }
    }
}

impl From<Problem> for ErrorView {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code, message: problem.detail, hint: problem.hint }
    }
}

fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Failed => "It failed",
        ErrorCode::Usage => "The request is wrong",
        ErrorCode::NotFound => "No such thing",
        ErrorCode::NoDaemon => "No daemon",
        ErrorCode::Conflict => "Refused in this state",
        ErrorCode::TimedOut => "It took too long",
        ErrorCode::Denied => "Not allowed",
        ErrorCode::ShuttingDown => "Shutting down",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_an_error_says() {
        let view =
            ErrorView { code: ErrorCode::NotFound, message: "there is no task 9".into(), hint: Some("h".into()) };
        let problem = Problem::new(view.clone(), 404);
        let document = serde_json::to_value(&problem).expect("plain data");
        assert_eq!(
            document["type"],
            "https://github.com/orch-agents/orch/blob/main/docs/reference/exit-codes.md#not_found"
        );
        assert_eq!((&document["status"], &document["code"]), (&404.into(), &"not_found".into()));
        assert_eq!(ErrorView::from(problem), view);
    }
}
