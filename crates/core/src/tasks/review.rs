//! The review of finished work by another agent or a person. A verdict applies to the reviewed commit only: a newer
//! commit needs a new review. Pure.

use super::answer::{END_WITH_JSON, Malformed, describe_type, read, strict_schema};
use super::outcome::Ending;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Who reviews accepted work before it is integrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewMode {
    /// Another agent, where a second one is installed.
    #[default]
    Auto,
    /// No review.
    Off,
    /// Another agent.
    Agent,
    /// A person.
    Human,
    /// An agent, then a person.
    #[serde(rename = "agent+human")]
    AgentHuman,
}

/// Who still has to review the work once the evidence is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reviewers {
    /// No reviewer.
    Nobody,
    /// An agent.
    Agent,
    /// A person.
    Person,
    /// An agent, then a person.
    AgentThenPerson,
}

impl ReviewMode {
    /// Returns who reviews the work where `installed` agents are available.
    pub fn reviewers(self, installed: usize) -> Reviewers {
        match self {
            Self::Auto if installed > 1 => Reviewers::Agent,
            Self::Auto | Self::Off => Reviewers::Nobody,
            Self::Agent => Reviewers::Agent,
            Self::Human => Reviewers::Person,
            Self::AgentHuman => Reviewers::AgentThenPerson,
        }
    }
}

/// The decision of a reviewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The work can be integrated as it is.
    Approve,
    /// The work must be changed.
    RequestChanges,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approve => "approve",
            Self::RequestChanges => "request_changes",
        })
    }
}

/// The severity of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The work must not be integrated with it.
    Error,
    /// It should be improved, but does not prevent integration.
    Warning,
}

/// One issue that a review found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Issue {
    /// How severe the issue is.
    pub severity: Severity,
    /// The file, relative to the repository.
    #[serde(default)]
    pub file: String,
    /// The line in it, from 1; 0: the file as a whole.
    #[serde(default)]
    pub line: u64,
    /// What is wrong, and what would be right.
    pub text: String,
}

/// The answer that orch asks of a reviewing agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReviewAnswer {
    /// Whether the work can be integrated.
    pub decision: Decision,
    /// The full hash of the reviewed commit.
    pub commit: String,
    /// A summary of the review in a few sentences.
    pub notes: String,
    /// What the tests show, as far as you could tell.
    #[serde(default)]
    pub test_results: String,
    /// The issues, the most severe first.
    #[serde(default)]
    pub issues: Vec<Issue>,
}

/// A completed review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The decision of the reviewer.
    pub decision: Decision,
    /// The reviewed commit.
    pub commit: String,
    /// The reviewing agent; `None`: a person.
    pub agent: Option<String>,
    /// The model of the reviewing agent.
    pub model: Option<String>,
    /// The summary of the review.
    pub notes: String,
    /// What the tests showed the reviewer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub test_results: String,
    /// The issues that were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<Issue>,
}

impl ReviewAnswer {
    /// Returns the JSON schema for a CLI that accepts one.
    pub fn json_schema() -> Value {
        strict_schema::<Self>()
    }

    /// Returns the description of the format for the prompt.
    pub fn prompt_text() -> String {
        format!("{}\n\n{}", END_WITH_JSON, describe_type::<Self>())
    }

    /// Parses a reviewer's answer about the work at `commit`. An answer about another commit is an error.
    pub fn parse(ending: &Ending, commit: &str) -> Result<Self, Malformed> {
        let answer: Self = read(ending.structured.as_ref(), ending.final_text.as_deref(), "decision")?;
        let reviewed = answer.commit.trim();
        if reviewed.len() < 7 || !commit.starts_with(&reviewed.to_lowercase()) {
            return Err(Malformed { reason: format!("it judges the commit {reviewed:?} instead of {commit}") });
        }
        let is_bad = answer.issues.iter().any(|issue| issue.severity == Severity::Error);
        if answer.decision == Decision::Approve && is_bad {
            return Err(Malformed { reason: "it approves, but lists an error".to_owned() });
        }
        Ok(answer)
    }

    /// Converts the answer into a stored review.
    pub fn into_review(self, agent: &str, model: Option<&str>, commit: &str) -> Review {
        let Self { decision, commit: _, notes, test_results, issues } = self;
        let (agent, model) = (Some(agent.to_owned()), model.map(str::to_owned));
        Review { decision, commit: commit.to_owned(), agent, model, notes, test_results, issues }
    }
}

/// Summarizes a review in one line.
pub fn summary(reviewer: &str, decision: Decision, issues: usize) -> String {
    let notes = match issues {
        0 => String::new(),
        1 => " (1 note)".to_owned(),
        many => format!(" ({many} notes)"),
    };
    format!("review by {reviewer}: {decision}{notes}")
}

impl Review {
    /// Returns who made the review.
    pub fn reviewer(&self) -> String {
        match (&self.agent, &self.model) {
            (None, _) => "a person".to_owned(),
            (Some(agent), None) => agent.clone(),
            (Some(agent), Some(model)) => format!("{agent}/{model}"),
        }
    }

    /// Summarizes the review in one line.
    pub fn summary(&self) -> String {
        summary(&self.reviewer(), self.decision, self.issues.len())
    }

    /// Renders the notes and issues for the author of the work.
    pub fn feedback(&self) -> String {
        let mut lines = vec![self.notes.trim().to_owned()];
        lines.extend(self.issues.iter().map(|issue| {
            let severity = match issue.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let place = match (issue.file.is_empty(), issue.line) {
                (true, _) => String::new(),
                (false, 0) => format!("{}: ", issue.file),
                (false, line) => format!("{}:{line}: ", issue.file),
            };
            format!("- {severity}: {place}{}", issue.text.trim())
        }));
        lines.retain(|line| !line.is_empty());
        lines.join("\n")
    }
}

/// An agent that could review another agent's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The name of the agent.
    pub agent: String,
    /// The provider of its model, where it is known.
    pub provider: String,
    /// Whether it is available now.
    pub is_free: bool,
}

/// How many unreadable reviews of the same work one agent may give.
pub const MAX_UNREAD_REVIEWS: usize = 2;

/// Returns the agents that may still review the work of `author`: not the author where there are others, and none with
/// too many unreadable reviews of this work.
fn askable<'a>(
    candidates: &'a [Candidate],
    author: &'a str,
    unread: &'a [String],
) -> impl Iterator<Item = &'a Candidate> {
    let others_exist = candidates.iter().any(|candidate| candidate.agent != author);
    candidates.iter().filter(move |candidate| {
        let failures = unread.iter().filter(|agent| **agent == candidate.agent).count();
        (!others_exist || candidate.agent != author) && failures < MAX_UNREAD_REVIEWS
    })
}

/// Whether any agent, now or later, may still review the work of `author`.
pub fn can_be_asked(candidates: &[Candidate], author: &str, unread: &[String]) -> bool {
    askable(candidates, author, unread).next().is_some()
}

/// Chooses the reviewer for the work of `author`: an agent with another provider, else another agent, else the author's
/// own agent in a new conversation. Agents that failed to review it come last. `None`: no agent is available now.
pub fn choose<'a>(
    candidates: &'a [Candidate],
    author: &'a str,
    provider: &str,
    failed: &[String],
    unread: &'a [String],
) -> Option<&'a Candidate> {
    askable(candidates, author, unread).filter(|candidate| candidate.is_free).min_by_key(|candidate| {
        let failures = failed.iter().filter(|agent| **agent == candidate.agent).count();
        (failures, candidate.provider == provider)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn answer(fields: Value) -> Result<ReviewAnswer, Malformed> {
        let ending = Ending { structured: Some(fields), ..Ending::default() };
        ReviewAnswer::parse(&ending, COMMIT)
    }

    #[test]
    fn an_answer_for_another_commit_is_none() {
        let about = |commit: &str| answer(json!({"decision": "approve", "commit": commit, "notes": "fine"}));
        assert!(about(COMMIT).is_ok() && about("0123456").is_ok());
        for other in ["fedcba9876543210", "", "0123"] {
            assert!(about(other).expect_err("another commit").reason.contains("instead of"));
        }
    }

    #[test]
    fn whoever_tells_of_an_error_does_not_approve() {
        let text = json!({"decision": "approve", "commit": COMMIT, "notes": "n", "issues": [{"severity": "error", "text": "t"}]});
        assert!(answer(text).is_err());
        assert!(answer(json!({"notes": "looks good", "commit": COMMIT})).is_err());
    }

    #[test]
    fn what_is_demanded_names_its_place() {
        let fields = json!({
            "decision": "request_changes", "commit": COMMIT, "notes": "Not yet.",
            "issues": [{"severity": "error", "file": "a.rs", "line": 3, "text": "panics"}, {"severity": "warning", "text": "slow"}]
        });
        let review = answer(fields).expect("an answer").into_review("codex", Some("gpt"), COMMIT);
        assert_eq!(review.feedback(), "Not yet.\n- error: a.rs:3: panics\n- warning: slow");
        assert_eq!(review.summary(), "review by codex/gpt: request_changes (2 notes)");
    }

    fn candidates(of: &[(&str, &str, bool)]) -> Vec<Candidate> {
        let candidate = |(agent, provider, is_free): &(&str, &str, bool)| Candidate {
            agent: (*agent).to_owned(),
            provider: (*provider).to_owned(),
            is_free: *is_free,
        };
        of.iter().map(candidate).collect()
    }

    #[test]
    fn another_provider_looks_before_another_agent_and_the_author_only_where_there_is_nobody_else() {
        let chosen = |of: &[(&str, &str, bool)], failed: &[&str]| {
            let failed: Vec<String> = failed.iter().map(|agent| (*agent).to_owned()).collect();
            choose(&candidates(of), "claude", "anthropic", &failed, &[]).map(|candidate| candidate.agent.clone())
        };
        let three = [("claude", "anthropic", true), ("opencode", "anthropic", true), ("codex", "openai", true)];
        assert_eq!(chosen(&three, &[]).as_deref(), Some("codex"));
        assert_eq!(chosen(&three, &["codex"]).as_deref(), Some("opencode"));
        assert_eq!(chosen(&[("claude", "anthropic", true)], &[]).as_deref(), Some("claude"));
        let busy = [("claude", "anthropic", true), ("codex", "openai", false)];
        assert_eq!(chosen(&busy, &[]), None, "the author does not step in while the other is away");
    }

    #[test]
    fn a_reviewer_whose_answers_cannot_be_read_is_asked_twice_and_then_another_one() {
        let candidates =
            candidates(&[("claude", "anthropic", true), ("opencode", "anthropic", true), ("codex", "openai", true)]);
        let mut unread: Vec<String> = Vec::new();
        while let Some(chosen) = choose(&candidates, "claude", "anthropic", &unread, &unread) {
            assert!(can_be_asked(&candidates, "claude", &unread));
            let agent = chosen.agent.clone();
            unread.push(agent);
        }
        assert_eq!(unread, ["codex", "opencode", "codex", "opencode"]);
        assert!(!can_be_asked(&candidates, "claude", &unread), "now it is a person's turn");
    }

    #[test]
    fn an_agent_looks_by_default_where_there_is_a_second_one() {
        assert_eq!(ReviewMode::Auto.reviewers(1), Reviewers::Nobody);
        assert_eq!(ReviewMode::Auto.reviewers(2), Reviewers::Agent);
        assert_eq!(ReviewMode::Agent.reviewers(1), Reviewers::Agent);
        let word: ReviewMode = serde_json::from_value(json!("agent+human")).expect("a mode");
        assert_eq!(word, ReviewMode::AgentHuman);
    }
}
