//! Chooses the answer to a request: the rule, the step, and the reply for this protocol and these tools. Pure, except for
//! the counters of `first`, which the caller owns.

use super::request::Asked;
use super::script::{Action, Fail, FailKind, Garbage, Rule, Say, Script, Take, Usage, When};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often each step that changes over time was reached, by rule and step.
pub type Counters = BTreeMap<(String, usize), u64>;

/// What to do with one request.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The rule, if any matches.
    pub rule: Option<String>,
    /// The step of the rule.
    pub step: usize,
    /// What to wait for before the answer.
    pub holds: Vec<Hold>,
    /// The answer.
    pub reply: Reply,
}

/// A reason to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Until the test opens the gate.
    Gate(String),
    /// For a duration.
    Delay(Duration),
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The model answers.
    Speak(Box<Speech>),
    /// The provider refuses.
    Fail(Fail),
    /// There is never an answer.
    Silent,
    /// A response that is no answer of a model.
    Garbage(Garbage),
}

/// An answer of the model.
#[derive(Debug, Clone, Default)]
pub struct Speech {
    /// The reasoning.
    pub reasoning: Option<String>,
    /// The text; may be empty when there is a call.
    pub text: String,
    /// A tool call.
    pub call: Option<Call>,
    /// The tokens to report, if the script sets them.
    pub usage: Option<Usage>,
    /// Headers of the response.
    pub headers: BTreeMap<String, String>,
    /// Where the answer breaks off, if it does.
    pub cut: Option<Cut>,
}

/// A tool call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The name of the tool.
    pub name: String,
    /// The input of the call.
    pub input: Value,
}

/// How an answer breaks off, after the given number of events.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// The stream stalls.
    Hang { after: usize },
    /// The connection closes.
    Drop { after: usize },
    /// An error event is sent.
    Break { after: usize, kind: FailKind },
}

/// The tool by which Claude Code takes a structured answer.
const STRUCTURED: &str = "StructuredOutput";

/// The text of an answer that is cut off.
const CUT_TEXT: &str = "This answer is long enough to be sent in several events, and it will not reach its end.";

/// Chooses the answer to `asked`.
pub fn choose(script: &Script, asked: &Asked, counters: &mut Counters) -> Chosen {
    let step = asked.results.len();
    let Some((rule, message)) = find(script, asked) else {
        let action = script.otherwise.clone().unwrap_or_else(|| Action::Text("No rule fits this message.".to_owned()));
        let scene = Scene { asked, values: values(None, "", asked), aside: script.aside.as_ref() };
        let (holds, reply) = scene.play(&action, &mut |_| 0);
        return Chosen { rule: None, step, holds, reply };
    };
    let scene = Scene { asked, values: values(Some(rule), message, asked), aside: script.aside.as_ref() };
    let action = &rule.steps[step.min(rule.steps.len() - 1)];
    let mut count = |by| {
        let counter = counters.entry((rule.name.clone(), step)).or_default();
        *counter += by;
        *counter
    };
    let (holds, reply) = scene.play(action, &mut count);
    Chosen { rule: Some(rule.name.clone()), step, holds, reply }
}

/// Returns the first rule that matches the newest message, else an older one, with the matching message.
fn find<'a>(script: &'a Script, asked: &'a Asked) -> Option<(&'a Rule, &'a str)> {
    let fitting = |message: &'a str| script.rules.iter().find(|r| fits(&r.when, message, asked)).map(|r| (r, message));
    asked.turns.iter().rev().find_map(|message| fitting(message))
}

fn fits(when: &When, message: &str, asked: &Asked) -> bool {
    let newest = asked.newest();
    when.words.iter().all(|word| find_word(message, word).is_some())
        && when.newest_contains.iter().all(|text| newest.contains(text.as_str()))
        && !when.newest_lacks.iter().any(|text| newest.contains(text.as_str()))
        && when.result_contains.as_ref().is_none_or(|text| asked.results.iter().any(|r| r.text.contains(text.as_str())))
        && when.turn_at_least.is_none_or(|turn| asked.turns.len() >= turn)
        && when.model.as_ref().is_none_or(|part| asked.model.contains(part.as_str()))
        && when.protocol.is_none_or(|protocol| asked.protocol == protocol)
}

/// Finds `word` in `text` with no letter, digit, `-` or `_` before and after it.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
    text.match_indices(word)
        .find(|(at, _)| !joins(text[..*at].chars().next_back()) && !joins(text[at + word.len()..].chars().next()))
        .map(|(at, _)| at)
}

/// Returns the values of `{key}`: those that the rule takes from the message, and the model's name.
fn values(rule: Option<&Rule>, message: &str, asked: &Asked) -> Vec<(String, String)> {
    let start = rule.and_then(|rule| rule.when.words.first()).and_then(|word| find_word(message, word)).unwrap_or(0);
    let taken = rule.into_iter().flat_map(|rule| &rule.take).map(|(key, take)| {
        let value = word_after(&message[start..], take).or_else(|| word_after(message, take));
        (format!("{{{key}}}"), value.unwrap_or(&take.or).to_owned())
    });
    taken.chain([("{model}".to_owned(), asked.model.clone())]).collect()
}

/// Returns the word after `take.after`. Only characters without a meaning to a shell, because values go into commands.
fn word_after<'a>(text: &'a str, take: &Take) -> Option<&'a str> {
    let boundary = |at: usize| !text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '-');
    let (at, _) = text.match_indices(&take.after).find(|(at, _)| boundary(*at))?;
    let rest = &text[at + take.after.len()..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "._/+@-".contains(c))).unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.')).filter(|word| !word.is_empty())
}

/// One request, with the values for its texts.
struct Scene<'a> {
    asked: &'a Asked,
    values: Vec<(String, String)>,
    aside: Option<&'a Action>,
}

impl Scene<'_> {
    /// Converts an action to holds and a reply. `count` increments the step's counter and returns it.
    fn play(&self, action: &Action, count: &mut dyn FnMut(u64) -> u64) -> (Vec<Hold>, Reply) {
        let now = |reply| (Vec::new(), reply);
        match action {
            Action::Gate { name, then } => self.hold(Hold::Gate(self.fill(name)), then, count),
            Action::Delay { milliseconds, then } => {
                self.hold(Hold::Delay(Duration::from_millis(*milliseconds)), then, count)
            }
            Action::First { times, first, then } => {
                let action = if count(1) <= *times { first } else { then };
                self.play(action, count)
            }
            Action::Text(text) => now(speak(Speech { text: self.fill(text), ..Speech::default() })),
            Action::Say(say) => now(self.say(say)),
            Action::Command(command) => now(self.say(&Say { command: Some(command.clone()), ..Say::default() })),
            Action::Tool { name, input } => {
                now(speak(Speech { call: Some(self.call(name, input)), ..Speech::default() }))
            }
            Action::Answer(value) => now(self.answer(value)),
            Action::Report(value) => now(self.answer(&full_report(value))),
            Action::Fail(fail) => now(Reply::Fail(fail.clone())),
            Action::Hang { after: None } => now(Reply::Silent),
            Action::Hang { after: Some(after) } => now(cut(Cut::Hang { after: *after })),
            Action::Drop { after } => now(cut(Cut::Drop { after: *after })),
            Action::Break { after, kind } => now(cut(Cut::Break { after: *after, kind: *kind })),
            Action::Garbage(garbage) => now(Reply::Garbage(*garbage)),
            Action::Flood { megabytes } => {
                now(speak(Speech { text: "flood ".repeat(megabytes * 1_000_000 / 6), ..Speech::default() }))
            }
        }
    }

    fn hold(&self, hold: Hold, then: &Action, count: &mut dyn FnMut(u64) -> u64) -> (Vec<Hold>, Reply) {
        let (rest, reply) = self.play(then, count);
        ([hold].into_iter().chain(rest).collect(), reply)
    }

    fn say(&self, say: &Say) -> Reply {
        let call = match (&say.command, self.asked.shell()) {
            (None, _) => None,
            (Some(command), Some((name, key))) => Some(self.shell_call(name, key, command)),
            (Some(_), None) => return self.side_answer(),
        };
        speak(Speech {
            reasoning: say.reasoning.as_ref().map(|text| self.fill(text)),
            text: self.fill(&say.text),
            call,
            usage: say.usage,
            headers: say.headers.clone(),
            cut: None,
        })
    }

    /// Answers a request without a shell, which is for a title or the like and not for work.
    fn side_answer(&self) -> Reply {
        match self.aside {
            Some(Action::Text(text)) => speak(Speech { text: self.fill(text), ..Speech::default() }),
            Some(_) | None => speak(Speech { text: "A title".to_owned(), ..Speech::default() }),
        }
    }

    fn shell_call(&self, name: &str, key: &str, command: &str) -> Call {
        let mut input = json!({ key: self.fill(command) });
        if key == "command" {
            input["description"] = json!("Runs a step of the task");
        }
        Call { name: name.to_owned(), input }
    }

    fn call(&self, name: &str, input: &Value) -> Call {
        Call { name: self.fill(name), input: self.fill_all(input) }
    }

    fn answer(&self, value: &Value) -> Reply {
        if !self.asked.offers(STRUCTURED) {
            return speak(Speech { text: self.fill_all(value).to_string(), ..Speech::default() });
        }
        let taken = self.asked.results.last().is_some_and(|r| r.tool.as_deref() == Some(STRUCTURED) && !r.failed);
        if taken {
            return speak(Speech { text: "The answer is given.".to_owned(), ..Speech::default() });
        }
        speak(Speech { call: Some(self.call(STRUCTURED, value)), ..Speech::default() })
    }

    fn fill(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value))
    }

    fn fill_all(&self, value: &Value) -> Value {
        if let Some(text) = value.as_str() {
            return self.fill(text).into();
        }
        if let Some(list) = value.as_array() {
            return list.iter().map(|each| self.fill_all(each)).collect();
        }
        match value.as_object() {
            Some(map) => map.iter().map(|(key, each)| (key.clone(), self.fill_all(each))).collect(),
            None => value.clone(),
        }
    }
}

fn speak(speech: Speech) -> Reply {
    Reply::Speak(Box::new(speech))
}

fn cut(cut: Cut) -> Reply {
    speak(Speech { text: CUT_TEXT.to_owned(), cut: Some(cut), ..Speech::default() })
}

/// Returns orch's report of work with every field.
fn full_report(given: &Value) -> Value {
    let mut report = json!({"status": "done", "summary": "", "accomplished": [], "remaining": [], "files_changed": [],
        "blockers": [], "reason": "", "learnings": [], "delegations": [], "result": ""});
    for (key, value) in given.as_object().into_iter().flatten() {
        report[key.as_str()] = value.clone();
    }
    report
}

#[cfg(test)]
mod tests {
    use super::super::request::Protocol;
    use super::*;

    fn asked(turns: &[&str], tools: &[&str]) -> Asked {
        let messages: Vec<Value> = turns.iter().map(|t| json!({"role": "user", "content": t})).collect();
        let tools: Vec<Value> = tools.iter().map(|name| json!({"name": name})).collect();
        Asked::read(Protocol::Messages, json!({"model": "haiku", "messages": messages, "tools": tools}))
    }

    fn with_result(mut asked: Asked, tool: &str, text: &str) -> Asked {
        let tool = Some(tool.to_owned());
        asked.results.push(super::super::request::ToolResult { tool, text: text.to_owned(), failed: false });
        asked
    }

    fn standard(asked: &Asked) -> Chosen {
        choose(&Script::standard(), asked, &mut Counters::new())
    }

    fn speech(chosen: Chosen) -> Speech {
        match chosen.reply {
            Reply::Speak(speech) => *speech,
            other @ (Reply::Fail(_) | Reply::Silent | Reply::Garbage(_)) => panic!("{other:?}"),
        }
    }

    fn said_json(asked: &Asked) -> Value {
        serde_json::from_str(&speech(standard(asked)).text).expect("JSON")
    }

    #[test]
    fn work_is_done_with_whatever_shell_is_on_offer() {
        for (tool, key) in [("Bash", "command"), ("bash", "command"), ("exec_command", "cmd")] {
            let first = asked(&["Task: SCENARIO:commit-file name=a/b.txt."], &["Read", tool]);
            let call = speech(standard(&first)).call.expect("a call");
            assert_eq!(call.name, tool);
            assert!(call.input[key].as_str().is_some_and(|c| c.contains("a/b.txt")), "{:?}", call.input);
            let report = said_json(&with_result(first, tool, "ok"));
            assert_eq!(report["files_changed"], json!(["a/b.txt"]));
            assert_eq!(report["learnings"], json!([]));
        }
    }

    #[test]
    fn a_structured_answer_goes_through_the_tool_where_there_is_one_and_is_given_once() {
        let first = asked(&["SCENARIO:no-change"], &["Bash", STRUCTURED]);
        assert_eq!(speech(standard(&first)).call.map(|c| c.name).as_deref(), Some(STRUCTURED));
        assert!(speech(standard(&with_result(first, STRUCTURED, "ok"))).call.is_none());
    }

    #[test]
    fn routing_comes_before_the_task_and_its_overrides_are_obeyed() {
        let plain = said_json(&asked(&["ROUTE-REQUEST\nTask: SCENARIO:hang"], &[]));
        assert_eq!((&plain["executor"], &plain["complexity"]), (&json!("claude"), &json!("medium")));
        let text = "ROUTE-REQUEST\nTask: ROUTE-TO:codex, ROUTE-COMPLEXITY:simple";
        let chosen = said_json(&asked(&[text], &[]));
        assert_eq!((&chosen["executor"], &chosen["complexity"]), (&json!("codex"), &json!("simple")));
        assert!(matches!(standard(&asked(&["ROUTE:hang ROUTE-REQUEST"], &[])).reply, Reply::Silent));
        assert_eq!(speech(standard(&asked(&["ROUTE:empty ROUTE-REQUEST"], &[]))).text, "");
        assert_eq!(said_json(&asked(&["ROUTE:unknown-agent ROUTE-REQUEST"], &[]))["executor"], "nobody");
    }

    #[test]
    fn a_conversation_stays_in_its_scenario_when_it_is_resumed_with_other_words() {
        let prose = speech(standard(&asked(&["SCENARIO:malformed"], &["Bash"])));
        assert!(serde_json::from_str::<Value>(&prose.text).is_err());
        let repaired = said_json(&asked(&["SCENARIO:malformed", "answer in JSON, please"], &["Bash"]));
        assert_eq!(repaired["status"], "done");
        let stubborn = asked(&["SCENARIO:malformed-always", "answer in JSON, please"], &["Bash"]);
        assert_eq!(standard(&stubborn).rule.as_deref(), Some("malformed-always"));
    }

    #[test]
    fn the_wrong_file_is_mended_once_the_check_is_heard_of() {
        let command = |turns: &[&str]| {
            speech(standard(&asked(turns, &["Bash"]))).call.expect("a call").input["command"].to_string()
        };
        assert!(command(&["SCENARIO:fix-on-second"]).contains("wrong"));
        assert!(command(&["SCENARIO:fix-on-second", "the check said: CHECK-FAILED"]).contains("right"));
        assert!(command(&["again: SCENARIO:fix-on-second, last time: CHECK-FAILED"]).contains("right"));
    }

    #[test]
    fn a_word_is_not_found_inside_a_longer_one() {
        assert_eq!(find_word("SCENARIO:hang-mid SCENARIO:hang", "SCENARIO:hang"), Some(18));
        assert_eq!(find_word("XSCENARIO:hang", "SCENARIO:hang"), None);
        let take = Take { after: "name=".into(), or: "d".into() };
        assert_eq!(word_after("filename=x name=$(rm) name=b", &take), None);
        assert_eq!(word_after("(name=b.txt).", &take), Some("b.txt"));
    }

    #[test]
    fn a_side_request_without_a_shell_gets_a_title_in_place_of_work() {
        let speech = speech(standard(&asked(&["SCENARIO:commit-file"], &[])));
        assert!(speech.call.is_none() && !speech.text.is_empty());
    }

    #[test]
    fn a_step_can_change_after_some_requests() {
        let (script, mut counters) = (Script::standard(), Counters::new());
        let asked = asked(&["SCENARIO:rate-limit-once"], &["Bash"]);
        assert!(matches!(choose(&script, &asked, &mut counters).reply, Reply::Fail(_)));
        assert!(matches!(choose(&script, &asked, &mut counters).reply, Reply::Speak(_)));
    }

    #[test]
    fn a_gate_takes_its_name_from_the_task() {
        let chosen = standard(&asked(&["SCENARIO:held gate=one name=x.txt"], &["Bash"]));
        assert_eq!(chosen.holds, [Hold::Gate("one".to_owned())]);
    }
}
