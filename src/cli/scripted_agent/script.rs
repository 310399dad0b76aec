//! The script in a task: a fenced block `orch-script`, one instruction per line. It is parsed completely before
//! execution, so that a mistake leaves no partial work.

use super::prompt::fenced;
use orch_core::tasks::answer::AnswerStatus;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// The name of the block.
const LANGUAGE: &str = "orch-script";
/// The line after which instructions are for later attempts.
const ON_RETRY: &str = "on-retry:";

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Instruction {
    /// `say TEXT`
    Say(String),
    /// `write PATH TEXT`
    Write(PathBuf, String),
    /// `append PATH TEXT`
    Append(PathBuf, String),
    /// `run PROGRAM ARGUMENT…`
    Run(Vec<String>),
    /// `commit MESSAGE`
    Commit(String),
    /// `wait 300ms`
    Wait(Duration),
    /// `wait-for PATH`
    WaitFor(PathBuf),
    /// `exit CODE`
    Exit(u8),
    /// `hang`
    Hang,
    /// `flood 10MB`
    Flood(u64),
    /// `background 60s`
    Background(Duration),
    /// `stderr TEXT`
    Stderr(String),
    /// `event JSON`
    Event(String),
    /// `malformed TEXT`
    Malformed(String),
    /// `status STATUS REASON`
    Status(AnswerStatus, String),
}

/// The answer of the scripted router.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RouteHint {
    /// `executor=`; not validated, so that a wrong one can be tested.
    pub executor: Option<String>,
    /// `complexity=`; not validated.
    pub complexity: Option<String>,
    /// `reason=`, to the end of the line.
    pub reason: Option<String>,
    /// `answer=`, to the end of the line: the whole answer.
    pub answer: Option<String>,
    /// `hang`: no answer at all.
    pub hang: bool,
}

/// A script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Script {
    first: Vec<Instruction>,
    /// Instructions for later attempts; `None` means the same as for the first.
    again: Option<Vec<Instruction>>,
    /// The answer as a router.
    pub route: RouteHint,
}

/// An invalid line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} ({text:?}): {reason}")]
pub(super) struct BadScript {
    line: usize,
    text: String,
    reason: String,
}

impl Script {
    /// Parses the script in a task's body; empty if there is none.
    pub(super) fn parse(body: &str) -> Result<Self, BadScript> {
        let (_, blocks) = fenced(body);
        let mut script = Self::default();
        for block in blocks.iter().filter(|block| block.info == LANGUAGE) {
            script.read(&block.text)?;
        }
        Ok(script)
    }

    /// Returns whether there are no instructions.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.again.is_none()
    }

    /// Returns the instructions of a first attempt or, with `again`, of a later one.
    pub(super) fn instructions(&self, again: bool) -> &[Instruction] {
        self.again.as_deref().filter(|_| again).unwrap_or(&self.first)
    }

    fn read(&mut self, text: &str) -> Result<(), BadScript> {
        for (index, line) in text.lines().map(str::trim).enumerate() {
            let bad = |reason| BadScript { line: index + 1, text: line.chars().take(80).collect(), reason };
            let (word, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(w, rest)| (w, rest.trim()));
            if line.is_empty() || word.starts_with('#') {
                continue;
            }
            if line == ON_RETRY {
                self.again.get_or_insert_default();
            } else if word == "route" {
                self.route.read(rest).map_err(bad)?;
            } else {
                let instruction = instruction(word, rest).map_err(bad)?;
                self.again.as_mut().unwrap_or(&mut self.first).push(instruction);
            }
        }
        Ok(())
    }
}

impl RouteHint {
    fn read(&mut self, mut rest: &str) -> Result<(), String> {
        while !rest.is_empty() {
            let (word, behind) = rest.split_once(char::is_whitespace).map_or((rest, ""), |(w, r)| (w, r.trim()));
            match word.split_once('=') {
                None if word == "hang" => self.hang = true,
                Some(("executor", value)) => self.executor = Some(value.to_owned()),
                Some(("complexity", value)) => self.complexity = Some(value.to_owned()),
                // These two take the rest of the line.
                Some((name @ ("reason" | "answer"), _)) => {
                    let text = unescaped(rest[name.len() + 1..].trim());
                    let field = if name == "reason" { &mut self.reason } else { &mut self.answer };
                    *field = Some(text);
                    return Ok(());
                }
                None | Some(_) => return Err("route takes executor=, complexity=, reason=, answer= or hang".to_owned()),
            }
            rest = behind;
        }
        Ok(())
    }
}

fn instruction(word: &str, rest: &str) -> Result<Instruction, String> {
    Ok(match word {
        "say" => Instruction::Say(unescaped(rest)),
        "write" => file_and_text(rest).map(|(path, text)| Instruction::Write(path, text))?,
        "append" => file_and_text(rest).map(|(path, text)| Instruction::Append(path, text))?,
        "run" => Instruction::Run(words(rest)?),
        "commit" => Instruction::Commit(text_of(rest)?),
        "wait" => Instruction::Wait(duration(rest)?),
        "wait-for" => Instruction::WaitFor(PathBuf::from(text_of(rest)?)),
        "exit" => Instruction::Exit(rest.parse().map_err(|_| "an exit code is a number up to 255".to_owned())?),
        "hang" => Instruction::Hang,
        "flood" => Instruction::Flood(size(rest)?),
        "background" => Instruction::Background(duration(rest)?),
        "stderr" => Instruction::Stderr(unescaped(rest)),
        "event" => Instruction::Event(text_of(rest)?),
        "malformed" => Instruction::Malformed(unescaped(rest)),
        "status" => status(rest)?,
        _ => return Err("there is no such instruction".to_owned()),
    })
}

fn text_of(rest: &str) -> Result<String, String> {
    if rest.is_empty() { Err("it needs a text".to_owned()) } else { Ok(unescaped(rest)) }
}

fn file_and_text(rest: &str) -> Result<(PathBuf, String), String> {
    let (path, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.is_empty() || !Path::new(path).components().all(inside) {
        return Err("it needs a path inside the worktree".to_owned());
    }
    let mut text = unescaped(text.trim_start());
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok((PathBuf::from(path), text))
}

fn status(rest: &str) -> Result<Instruction, String> {
    let (name, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let status = serde_json::from_value::<AnswerStatus>(name.into());
    let status = status.map_err(|_| "a status is done, in_progress, blocked or needs_review".to_owned())?;
    Ok(Instruction::Status(status, unescaped(reason.trim())))
}

/// `300ms`, `2s`, `1m`.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a time such as 300ms, 2s or 1m");
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: u64 = text[..unit].parse().map_err(|_| bad())?;
    let millis = match &text[unit..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(bad()),
    };
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

/// `512`, `64KB`, `10MB`.
fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a size such as 512, 64KB or 10MB");
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..unit].parse().map_err(|_| bad())?;
    let factor = match &text[unit..] {
        "" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        _ => return Err(bad()),
    };
    Ok(number.saturating_mul(factor))
}

/// Splits at spaces; `'…'` and `"…"` group words. There is no shell, so nothing else is special.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match (quote, words.is_empty()) {
        (Some(_), _) => Err("a quote is not closed".to_owned()),
        (None, true) => Err("it needs a program".to_owned()),
        (None, false) => Ok(words),
    }
}

/// Expands `\n`, `\t` and `\\`; any other backslash is literal.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let meant = match (c, chars.peek()) {
            ('\\', Some('n')) => '\n',
            ('\\', Some('t')) => '\t',
            ('\\', Some('\\')) => '\\',
            _ => {
                plain.push(c);
                continue;
            }
        };
        plain.push(meant);
        chars.next();
    }
    plain
}
