//! The script of the model server: rules that choose by what the user said, and what is answered step by step.
//! Data only; written as JSON or built in Rust. `choose` reads it, `serve` carries it out.

use super::request::Protocol;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// All answers of a model server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The rules, tried in order; the first that matches answers.
    pub rules: Vec<Rule>,
    /// The answer when no rule matches.
    #[serde(default)]
    pub otherwise: Option<Action>,
    /// Answer to a side request: one that offers no shell where the script wants a command run (a CLI asking for a
    /// title of the conversation).
    #[serde(default)]
    pub aside: Option<Action>,
}

/// A condition with its answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name, as it appears in the record of requests.
    pub name: String,
    /// The condition.
    pub when: When,
    /// Values taken out of the user's message, for use as `{key}` in texts, commands and names of gates.
    #[serde(default)]
    pub take: BTreeMap<String, Take>,
    /// The first answers the user's message, the second its first tool result, and so on; the last one repeats.
    pub steps: Vec<Action>,
}

/// A condition: everything given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Whole words that the user's message holds. Where no rule fits the newest message, older ones are looked
    /// at: a conversation that is resumed with other words stays in its scenario.
    pub words: Vec<String>,
    /// Texts that the *newest* message holds, wherever `words` were found.
    pub newest_contains: Vec<String>,
    /// Texts that the newest message does not hold.
    pub newest_lacks: Vec<String>,
    /// A text that one of the tool results after the newest message holds.
    pub result_contains: Option<String>,
    /// The user has spoken this often, or more, in this conversation.
    pub turn_at_least: Option<usize>,
    /// Part of the model's name.
    pub model: Option<String>,
    /// The protocol.
    pub protocol: Option<Protocol>,
}

/// Where a value comes from: the word that follows `after` in the user's message, or else `or`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// Text before the value, for instance `name=`.
    pub after: String,
    /// Value where that text is missing.
    pub or: String,
}

/// What the server does with one request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Answers with this text and ends the turn.
    Text(String),
    /// The same with everything that an answer can carry.
    Say(Say),
    /// Has a command run by whatever shell tool the request offers.
    Command(String),
    /// Calls a tool by its name.
    Tool { name: String, input: Value },
    /// Answers with a JSON document: through the `StructuredOutput` tool where it is offered, else as text.
    Answer(Value),
    /// Answers with orch's report of finished work; fields left out are empty.
    Report(Value),
    /// Refuses the request.
    Fail(Fail),
    /// Never answers; with `after`, stops in the middle after so many events.
    Hang { after: Option<usize> },
    /// Closes the connection after so many events.
    Drop { after: usize },
    /// Sends an error event inside the stream, after so many events of an answer.
    Break { after: usize, kind: FailKind },
    /// Answers 200 with a body that is no model's answer.
    Garbage(Garbage),
    /// Streams so many megabytes of text.
    Flood { megabytes: usize },
    /// Holds the answer until the test opens the gate.
    Gate { name: String, then: Box<Action> },
    /// Holds the answer for a time. For walks by hand; a test uses a gate.
    Delay { milliseconds: u64, then: Box<Action> },
    /// Does one thing for the first `times` requests that come here, then another.
    First { times: u64, first: Box<Action>, then: Box<Action> },
}

/// An answer in full.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Say {
    /// The text.
    pub text: String,
    /// Thoughts before it.
    pub reasoning: Option<String>,
    /// A command to run by the shell tool, after the text.
    pub command: Option<String>,
    /// Tokens to report; computed from the lengths of request and answer where it is left out.
    pub usage: Option<Usage>,
    /// Headers of the response.
    pub headers: BTreeMap<String, String>,
}

/// Tokens used by one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Read, without the cached ones.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the cache.
    pub cached: u64,
}

/// A refusal; each protocol has its own body for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// The kind of the refusal.
    pub kind: FailKind,
    /// HTTP status, where it is not the usual one of `kind`.
    #[serde(default)]
    pub status: Option<u16>,
    /// Seconds until the provider wants to be asked again.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// More headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailKind {
    /// 401.
    Auth,
    /// 403.
    Forbidden,
    /// 404.
    ModelNotFound,
    /// 429, too many requests.
    RateLimit,
    /// 429, a plan's limit is used up; its reset is `retry_after` seconds away (an hour if not given).
    UsageLimit,
    /// 429 (400 in Messages), no money left.
    Quota,
    /// 400, no money left.
    Billing,
    /// 529 in Messages, else 503.
    Overloaded,
    /// 500.
    ServerError,
    /// 400, the conversation is too long.
    Context,
}

/// A body that is no model's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbage {
    /// A web page, as a captive portal would send.
    Html,
    /// Valid JSON of another program.
    Json,
}

/// A script that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BadScript {
    /// The file cannot be read.
    #[error("cannot read the script {path}")]
    Unreadable { path: String, source: std::io::Error },
    /// The file is no valid script.
    #[error("{path} is not a script for the model server")]
    Malformed { path: String, source: serde_json::Error },
    /// A rule has no steps.
    #[error("{path}: the rule {rule:?} has no steps")]
    NoSteps { path: String, rule: String },
}

impl Script {
    /// Returns the script of orch's own tests: routing, work, and every fault of a provider. The kit's README lists its words.
    pub fn standard() -> Self {
        let read = |name: &str, text: &str| Self::parse(name, text).unwrap_or_else(|error| panic!("{error:?}"));
        let mut script = read("route.json", include_str!("../../fixtures/scenarios/route.json"));
        script.rules.extend(read("work.json", include_str!("../../fixtures/scenarios/work.json")).rules);
        script.rules.extend(read("faults.json", include_str!("../../fixtures/scenarios/faults.json")).rules);
        script
    }

    /// Reads a script from a file.
    pub fn load(path: &Path) -> Result<Self, BadScript> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| BadScript::Unreadable { path: name.clone(), source })?;
        Self::parse(&name, &text)
    }

    /// Reads a script; `name` is for error messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, BadScript> {
        let path = name.to_owned();
        let script: Self =
            serde_json::from_str(text).map_err(|source| BadScript::Malformed { path: path.clone(), source })?;
        match script.rules.iter().find(|rule| rule.steps.is_empty()) {
            Some(rule) => Err(BadScript::NoSteps { path, rule: rule.name.clone() }),
            None => Ok(script),
        }
    }

    /// Puts a rule before all others.
    pub fn first(mut self, rule: Rule) -> Self {
        self.rules.insert(0, rule);
        self
    }
}

impl Rule {
    /// A rule for messages that hold `word`; it is named after it.
    pub fn on(word: &str) -> Self {
        let when = When { words: vec![word.to_owned()], ..When::default() };
        Self { name: word.trim_start_matches("SCENARIO:").to_owned(), when, take: BTreeMap::new(), steps: Vec::new() }
    }

    /// Narrows it to messages that also hold `text`.
    pub fn newest_contains(mut self, text: &str) -> Self {
        self.when.newest_contains.push(text.to_owned());
        self
    }

    /// Narrows it to the `turn`-th message of the user, and later ones.
    pub fn turn_at_least(mut self, turn: usize) -> Self {
        self.when.turn_at_least = Some(turn);
        self
    }

    /// Takes the word after `after` as `{key}`.
    pub fn take(mut self, key: &str, after: &str, or: &str) -> Self {
        self.take.insert(key.to_owned(), Take { after: after.to_owned(), or: or.to_owned() });
        self
    }

    /// Adds a step.
    pub fn step(mut self, action: Action) -> Self {
        self.steps.push(action);
        self
    }

    /// Adds a step that says `text`.
    pub fn text(self, text: &str) -> Self {
        self.step(Action::Text(text.to_owned()))
    }

    /// Adds a step that has `command` run.
    pub fn command(self, command: &str) -> Self {
        self.step(Action::Command(command.to_owned()))
    }

    /// Adds a step that reports the work as done.
    pub fn done(self, summary: &str) -> Self {
        self.step(Action::Report(json!({"status": "done", "summary": summary})))
    }
}

impl Action {
    /// The same, held until the test opens `gate`.
    pub fn behind(self, gate: &str) -> Self {
        Self::Gate { name: gate.to_owned(), then: Box::new(self) }
    }

    /// A refusal of the given kind.
    pub fn fail(kind: FailKind) -> Self {
        Self::Fail(Fail::new(kind))
    }
}

impl Fail {
    /// A refusal of the given kind, with nothing out of the ordinary.
    pub fn new(kind: FailKind) -> Self {
        Self { kind, status: None, retry_after: None, headers: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_script_is_valid_and_its_names_are_unique() {
        let script = Script::standard();
        let mut names: Vec<&str> = script.rules.iter().map(|rule| rule.name.as_str()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_mistake_in_a_script_is_named_with_its_place() {
        let text = r#"{"rules": [{"name": "x", "when": {"word": ["X"]}, "steps": []}]}"#;
        let error = Script::parse("mine.json", text).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(error.to_string().contains("mine.json"), "{error}");
        assert!(cause.contains("unknown field `word`") && cause.contains("line 1"), "{cause}");
        let empty = r#"{"rules": [{"name": "x", "when": {}, "steps": []}]}"#;
        assert!(Script::parse("mine.json", empty).is_err_and(|e| e.to_string().contains("\"x\" has no steps")));
    }
}
