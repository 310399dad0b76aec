//! The dialect of any program that a user declares. It has no protocol: exit code 0 means finished, and a JSON answer on
//! the last line of output is its report. A placeholder is replaced inside one argument, which is never split.

use super::argv::{Argv, checked_model, text_of};
use super::text::{SPEECH, cut, object, one_line};
use super::{Dialect, EventReader, LaunchRefused, LaunchRequest, LaunchSpec, Mode, PromptVia, Stdin, errors};
use crate::tasks::outcome::{AgentEvent, Ending, Exit, Failure, RunKind};
use serde_json::{Value, json};

const NAME: &str = "command";

/// The longest line that can be an answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// How many bytes of output are kept as the text of a routing or review answer.
const MAX_TEXT: usize = 256 * 1024;

/// The dialect of declared programs.
#[derive(Debug, Clone, Copy)]
pub struct Command;

impl Dialect for Command {
    fn launch(&self, request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused> {
        let prompt_file = text_of(NAME, "the prompt's file", &request.prompt_file)?;
        let task = request.task_id.to_string();
        let values = [
            ("{model}", checked_model(NAME, request)?.unwrap_or_default()),
            ("{task_id}", task.as_str()),
            ("{run_id}", request.run_id.as_str()),
            ("{worktree}", text_of(NAME, "the working directory", &request.worktree)?),
            ("{prompt_file}", prompt_file),
        ];
        let args: Vec<String> = request.extra_args.iter().map(|arg| filled(arg, &values)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Ok(LaunchSpec {
            env: [("ORCH_PROMPT_FILE".to_owned(), prompt_file.to_owned())].into(),
            stdin: match (request.mode, request.prompt) {
                // Only a person types into a terminal: the prompt is in its file.
                (Mode::Screen, _) => Stdin::Terminal,
                (Mode::Lines, PromptVia::Stdin) => Stdin::Prompt,
                (Mode::Lines, PromptVia::File) => Stdin::Null,
            },
            ..LaunchSpec::new(request, Argv::new(NAME, &args).finish()?, &[])
        })
    }

    fn reader(&self, kind: RunKind) -> Box<dyn EventReader> {
        Box::new(Reader { kind, started: false, last: String::new(), text: String::new() })
    }
}

/// Replaces the placeholders in one pass, so that a value that looks like a placeholder is not replaced.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let (mut out, mut rest) = (String::new(), template);
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match values.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                out.push_str(value);
                name.len()
            }
            None => {
                out.push('{');
                1
            }
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

/// The state of reading one run.
#[derive(Debug)]
struct Reader {
    kind: RunKind,
    started: bool,
    /// The last line that is not blank.
    last: String,
    /// The end of the whole output.
    text: String,
}

impl EventReader for Reader {
    fn line(&mut self, line: &str) -> Vec<AgentEvent> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        self.last = if line.len() <= MAX_ANSWER { line.to_owned() } else { cut(line, SPEECH) };
        self.keep(line);
        let text = AgentEvent::Text { text: cut(line, SPEECH) };
        if std::mem::replace(&mut self.started, true) {
            return vec![text];
        }
        vec![AgentEvent::Started { session_id: None, model: None }, text]
    }

    fn fatal_failure(&self) -> Option<Failure> {
        None
    }

    fn turn_ended(&self) -> bool {
        false
    }

    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending {
        let failed = !exit.success();
        let failure = failed.then(|| errors::unfinished(exit, stderr_tail, None, false));
        Ending {
            final_text: (!self.text.is_empty()).then(|| self.text.clone()),
            structured: if failed { None } else { self.report() },
            failure,
            ..Ending::default()
        }
    }
}

impl Reader {
    fn keep(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        if self.text.len() > 2 * MAX_TEXT {
            let mut from = self.text.len() - MAX_TEXT;
            while !self.text.is_char_boundary(from) {
                from += 1;
            }
            // A partial line may hold a partial secret.
            from += self.text[from..].find('\n').map_or(0, |end| end + 1);
            self.text.drain(..from);
        }
    }

    /// Returns the answer of a program that ended well. A last line with a status is the answer, and is validated later; any
    /// other line becomes the summary of an answer with the status `done`.
    fn report(&self) -> Option<Value> {
        let answer = object(self.last.trim());
        match self.kind {
            // A report that was cut off is not the summary of finished work.
            RunKind::Work if answer.is_none() && self.last.trim().starts_with(r#"{"status""#) => None,
            RunKind::Work => Some(answer.filter(|answer| answer.get("status").is_some()).unwrap_or_else(|| {
                let summary = one_line(&self.last, 500);
                let summary = if summary.is_empty() { "ended without output".to_owned() } else { summary };
                json!({"status": "done", "summary": summary})
            })),
            RunKind::Review | RunKind::Route => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::outcome::{FailureClass, Outcome};

    fn ending(lines: &[&str], code: i32) -> Ending {
        let mut reader = Command.reader(RunKind::Work);
        for line in lines {
            reader.line(line);
        }
        reader.finish(Exit { code: Some(code), signal: None }, "boom\n")
    }

    #[test]
    fn exit_code_zero_is_finished_and_the_last_line_the_summary() {
        let Outcome::Finished { answer } = Outcome::from_ending(&ending(&["working", "all\tdone", ""], 0)) else {
            panic!()
        };
        assert_eq!(answer.summary, "all done");
        let Outcome::Finished { answer } = Outcome::from_ending(&ending(&[], 0)) else { panic!() };
        assert_eq!(answer.summary, "ended without output");
    }

    #[test]
    fn a_json_answer_on_the_last_line_is_the_report_and_a_wrong_one_is_malformed() {
        let report = r#"{"status":"blocked","summary":"s","blockers":["x"]}"#;
        let Outcome::Finished { answer } = Outcome::from_ending(&ending(&["x", report], 0)) else { panic!() };
        assert_eq!(answer.blockers, ["x"]);
        let Outcome::Failed(failure) = Outcome::from_ending(&ending(&[r#"{"status":"fine"}"#], 0)) else { panic!() };
        assert_eq!(failure.class, FailureClass::Malformed);
        assert!(matches!(Outcome::from_ending(&ending(&[r#"{"level":"info"}"#], 0)), Outcome::Finished { .. }));
        let Outcome::Failed(cut) = Outcome::from_ending(&ending(&[r#"{"status": "done", "summary": "oops"#], 0)) else {
            panic!()
        };
        assert_eq!(cut.class, FailureClass::Malformed);
    }

    #[test]
    fn another_exit_code_is_a_failure_with_the_stderr_summary() {
        let failure = ending(&[r#"{"status":"done","summary":"s"}"#], 3).failure.expect("a failure");
        assert_eq!((failure.class, failure.detail.as_str()), (FailureClass::Crashed, "exit code 3: boom"));
    }

    #[test]
    fn a_routing_answer_is_the_json_of_the_last_line_and_never_made_up() {
        let mut reader = Command.reader(RunKind::Route);
        reader.line("thinking");
        reader.line(r#"{"executor":"claude"}"#);
        let ending = reader.finish(Exit { code: Some(0), signal: None }, "");
        assert_eq!(ending.structured, Some(json!({"executor": "claude"})));
        let mut reader = Command.reader(RunKind::Route);
        reader.line("claude, I would say");
        assert_eq!(reader.finish(Exit { code: Some(0), signal: None }, "").structured, None);
    }

    #[test]
    fn a_value_that_looks_like_a_placeholder_stays_what_it_is() {
        let values = [("{model}", "{run_id}"), ("{run_id}", "7-1-00000000")];
        assert_eq!(filled("{model} {x} {{run_id}}{", &values), "{run_id} {x} {7-1-00000000}{");
    }
}
