//! Parses the LLM's answer. Agent and complexity are the decision: one of the listed values, or a typed error. Profile,
//! skills and reason are advice: they are cut, cleaned, and completed. Any other field (a model, a budget, flags) is
//! ignored and named in the warning.

use super::{Choice, Impossible, Routing, sanity, wishes};
use crate::prompts::prompt::data::one_line;
use crate::prompts::skills::Catalogue;
use crate::tasks::answer::object_in_text;
use crate::tasks::route::{AgentProfile, Complexity, RouteResult};
use serde_json::{Map, Value};

/// The longest answer that is parsed, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// The most entries in one list of the profile.
const MAX_ENTRIES: usize = 20;
/// The longest entry of a list, in characters.
const MAX_ENTRY: usize = 200;
/// The longest name shown in a message, in characters.
const SHOWN: usize = 60;

/// Why an answer cannot be used. The texts are short enough for a warning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteParseError {
    /// There is no text and no structured answer.
    #[error("the answer is empty")]
    Empty,
    /// The answer is larger than any route.
    #[error("the answer has {bytes} bytes, more than {MAX_ANSWER}")]
    TooLong {
        /// The size of the answer.
        bytes: usize,
    },
    /// The answer is prose or broken JSON.
    #[error("{cause}; the answer begins {start:?}")]
    NoJson {
        /// What is wrong with it.
        cause: String,
        /// The first words of the answer.
        start: String,
    },
    /// A required field is missing, or is not text.
    #[error("the answer has no text in {field}")]
    Missing {
        /// The name of the field.
        field: &'static str,
    },
    /// The agent is unknown, not installed, or not in `router.agents`.
    #[error("the answer chose the agent {name:?}, which is not one of {allowed}")]
    Agent {
        /// The name in the answer.
        name: String,
        /// The agents that may be chosen.
        allowed: String,
    },
    /// The complexity is unknown.
    #[error("the answer chose the complexity {name:?}, which is not simple, medium or complex")]
    Complexity {
        /// The name in the answer.
        name: String,
    },
    /// No agent can be chosen, whatever the answer is.
    #[error(transparent)]
    Impossible(#[from] Impossible),
}

impl Routing<'_> {
    /// Parses an answer of the router's LLM: the structured one where the CLI returns one, else its last text.
    pub fn parse(
        &self,
        structured: Option<&Value>,
        text: Option<&str>,
        skills: &Catalogue,
    ) -> Result<RouteResult, RouteParseError> {
        let request = wishes::read(self)?;
        let answer = match structured.and_then(Value::as_object) {
            Some(object) => object.clone(),
            None => find_object(text.unwrap_or_default())?,
        };
        let agent = match &request.agent {
            Some(requested) => requested.agent.clone(),
            None => agent(&answer, &self.candidates()?)?,
        };
        let complexity = match request.complexity {
            Some(complexity) => complexity,
            None => complexity(&answer)?,
        };
        let mut warnings = Vec::new();
        let profile = profile(&answer, &self.settings.allowed_tools, &mut warnings);
        let selected_skills = selected_skills(&answer, &self.settings.default_skills, skills, &mut warnings);
        warnings.extend(ignored_fields(&answer));
        let reason = reason(&answer, &agent);
        let choice = Choice { agent, complexity, reason, profile, selected_skills, warnings };
        let result = self.finish(choice, &request);
        Ok(self.with_sanity_warnings(result))
    }

    /// Returns what is unusual about a result, in one line; `None` if nothing is.
    pub fn sanity(&self, result: &RouteResult) -> Option<String> {
        let warnings = sanity::warnings(self.input, result);
        (!warnings.is_empty()).then(|| warnings.join("; "))
    }

    fn with_sanity_warnings(&self, mut result: RouteResult) -> RouteResult {
        if let Some(warnings) = self.sanity(&result) {
            let before = result.warning.take().map(|warning| format!("{warning}; ")).unwrap_or_default();
            result.warning = Some(one_line(&format!("{before}{warnings}"), super::MAX_WARNING));
        }
        result
    }
}

/// Returns the last JSON object in a text that names an agent: the text itself, in a fence, or in prose.
fn find_object(text: &str) -> Result<Map<String, Value>, RouteParseError> {
    if text.trim().is_empty() {
        return Err(RouteParseError::Empty);
    }
    if text.len() > MAX_ANSWER {
        return Err(RouteParseError::TooLong { bytes: text.len() });
    }
    let found = object_in_text(text, "executor").or_else(|why| object_in_text(text, "agent").map_err(|_| why));
    found.map_err(|why| RouteParseError::NoJson { cause: one_line(&why.reason, 200), start: one_line(text, SHOWN) })
}

fn text_of<'a>(answer: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    answer.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

fn agent(answer: &Map<String, Value>, candidates: &[String]) -> Result<String, RouteParseError> {
    let name = text_of(answer, "executor").or_else(|| text_of(answer, "agent"));
    let name = name.ok_or(RouteParseError::Missing { field: "executor" })?;
    let known = candidates.iter().find(|known| known.eq_ignore_ascii_case(name));
    known.cloned().ok_or_else(|| RouteParseError::Agent { name: one_line(name, SHOWN), allowed: candidates.join(", ") })
}

fn complexity(answer: &Map<String, Value>) -> Result<Complexity, RouteParseError> {
    let name = text_of(answer, "complexity").ok_or(RouteParseError::Missing { field: "complexity" })?;
    let parsed = name.to_ascii_lowercase().parse();
    parsed.map_err(|_| RouteParseError::Complexity { name: one_line(name, SHOWN) })
}

fn reason(answer: &Map<String, Value>, agent: &str) -> String {
    let given = text_of(answer, "reason").map(|reason| one_line(reason, 500)).filter(|reason| !reason.is_empty());
    given.unwrap_or_else(|| format!("the router chose {agent} and gave no reason"))
}

fn profile(answer: &Map<String, Value>, allowed_tools: &[String], warnings: &mut Vec<String>) -> AgentProfile {
    // Without a profile the sanity check warns that it has no skills.
    let Some(profile) = answer.get("profile").and_then(Value::as_object) else { return AgentProfile::default() };
    let refused: Vec<String> =
        list(profile, "tools").into_iter().filter(|tool| !allowed_tools.contains(tool)).collect();
    if !refused.is_empty() {
        warnings.push(format!("tools outside of router.allowed_tools left out: {}", some(&refused)));
    }
    AgentProfile {
        role: text_of(profile, "role").map(|role| one_line(role, 120)).unwrap_or_default(),
        skills: list(profile, "skills"),
        // Routing::finish sets the tools: always the allowed ones.
        tools: Vec::new(),
        constraints: list(profile, "constraints"),
    }
}

fn selected_skills(
    answer: &Map<String, Value>,
    default_skills: &[String],
    catalogue: &Catalogue,
    warnings: &mut Vec<String>,
) -> Vec<String> {
    let known = |name: &String| catalogue.get(name).is_some() || default_skills.contains(name);
    let (selected, unknown): (Vec<String>, Vec<String>) = list(answer, "selected_skills").into_iter().partition(known);
    if !unknown.is_empty() {
        warnings.push(format!("unknown skills left out: {}", some(&unknown)));
    }
    selected
}

/// Returns the texts of a list, each as one clean line and once; other values are dropped.
fn list(object: &Map<String, Value>, field: &str) -> Vec<String> {
    let entries = object.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let lines = entries.take(MAX_ENTRIES).map(|entry| one_line(entry, MAX_ENTRY)).filter(|entry| !entry.is_empty());
    super::unique(&lines.collect::<Vec<_>>())
}

fn ignored_fields(answer: &Map<String, Value>) -> Option<String> {
    const READ: [&str; 6] = ["executor", "agent", "complexity", "reason", "profile", "selected_skills"];
    let ignored: Vec<String> = answer.keys().filter(|key| !READ.contains(&key.as_str())).cloned().collect();
    (!ignored.is_empty()).then(|| format!("fields of the router's answer ignored: {}", some(&ignored)))
}

/// Joins a few names for a message.
fn some(names: &[String]) -> String {
    const FEW: usize = 5;
    let shown: Vec<String> = names.iter().take(FEW).map(|name| one_line(name, 40)).collect();
    let more = if names.len() > FEW { format!(" and {} more", names.len() - FEW) } else { String::new() };
    shown.join(", ") + &more
}
