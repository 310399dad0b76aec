//! Prints matching lines with their numbers and context, merging overlapping context, or one JSON document per match.
//! Makes everything safe for a terminal.

use super::context::Context;
use super::error::CliError;
use super::ui::paint::Role;
use super::ui::text;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::economics::pattern::{BadPattern, Options, Pattern};
use orch_stream::{Hit, Line};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt::Write;
use std::ops::Range;

/// Arguments of all commands that search.
#[derive(Debug, clap::Args)]
pub struct Around {
    /// Lines of context before and after each match
    #[arg(long, short = 'C', value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1000))]
    context: u16,
    /// Ignore case
    #[arg(long, short)]
    ignore_case: bool,
}

impl Around {
    /// Returns the lines of context on each side.
    pub fn context(&self) -> usize {
        self.context.into()
    }

    /// Compiles the pattern.
    pub fn pattern(&self, text: &str, is_regex: bool) -> Result<Pattern, CliError> {
        Pattern::new(text, Options { is_regex, ignore_case: self.ignore_case }).map_err(|error| {
            let hint = match error {
                BadPattern::Regex(_) => "a text that is no regular expression: escape it, as in \\( and \\.",
                BadPattern::Lines | BadPattern::Empty => "search for a part of one line",
            };
            CliError::usage(format!("cannot search for {text:?}: {error}"), hint)
        })
    }
}

/// Prints the matches of one run after the other.
pub struct SearchResults<'a> {
    context: &'a Context,
    /// Whether the run is named above its lines.
    names_runs: bool,
    /// Lines of context on each side.
    around: usize,
    run: Option<RunId>,
    /// The number of the last printed line.
    shown: u64,
    /// Lines after the last match that are not printed yet, because the next match may be among them.
    after: VecDeque<Line>,
    count: u64,
}

impl<'a> SearchResults<'a> {
    /// Creates an empty result.
    pub fn new(context: &'a Context, names_runs: bool, around: usize) -> Self {
        Self { context, names_runs, around, run: None, shown: 0, after: VecDeque::new(), count: 0 }
    }

    /// Returns the number of matches.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Prints one match. Those of one run arrive in order.
    pub fn show(&mut self, task: TaskId, run: &RunId, at: Option<Timestamp>, hit: Hit) -> Result<(), CliError> {
        self.count += 1;
        if self.context.ui.is_json() {
            return self.context.ui.json(&document(task, run, at, &hit));
        }
        let mut out = String::new();
        if self.run.as_ref() != Some(run) {
            self.rest(&mut out, u64::MAX);
            if self.names_runs {
                let blank = if self.run.is_some() { "\n" } else { "" };
                let name = format!("task {task}, run {run}");
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{blank}{}", self.context.ui.paint().text(Role::Strong, name));
            }
            (self.run, self.shown) = (Some(run.clone()), 0);
        } else {
            self.rest(&mut out, hit.line.number);
        }
        for line in &hit.before {
            if line.number > self.shown {
                self.line(&mut out, line, '-', &[]);
            }
        }
        self.line(&mut out, &hit.line, ':', &hit.matches);
        self.after = hit.after.into();
        self.context.ui.data(&out)
    }

    /// Prints the context after the last match.
    pub fn finish(&mut self) -> Result<(), CliError> {
        let mut out = String::new();
        self.rest(&mut out, u64::MAX);
        if out.is_empty() { Ok(()) } else { self.context.ui.data(&out) }
    }

    /// Prints the context after the last match, up to the next one.
    fn rest(&mut self, out: &mut String, next: u64) {
        for line in std::mem::take(&mut self.after) {
            if line.number < next {
                self.line(out, &line, '-', &[]);
            }
        }
    }

    fn line(&mut self, out: &mut String, line: &Line, mark: char, matches: &[Range<usize>]) {
        let paint = self.context.ui.paint();
        if self.around > 0 && self.shown > 0 && line.number > self.shown + 1 {
            let _ = writeln!(out, "{}", paint.text(Role::Faint, "--"));
        }
        self.shown = line.number;
        let _ = write!(out, "{}", paint.text(Role::Faint, format!("{}{mark} ", line.number)));
        let mut at = 0;
        for range in matches {
            out.push_str(&text::output(&line.text[at..range.start]));
            out.push_str(&paint.text(Role::Bad, text::output(&line.text[range.clone()])));
            at = range.end;
        }
        out.push_str(&text::output(&line.text[at..]));
        out.push_str(if line.is_cut { " …\n" } else { "\n" });
    }
}

/// Returns one match as a document for programs.
fn document(task: TaskId, run: &RunId, at: Option<Timestamp>, hit: &Hit) -> Value {
    let texts = |lines: &[Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    let matches = hit.matches.iter().map(|range| json!({ "start": range.start, "end": range.end }));
    json!({
        "task_id": task,
        "run_id": run,
        "line": hit.line.number,
        "offset": hit.line.offset,
        "timestamp": at,
        "text": hit.line.text,
        "cut": hit.line.is_cut,
        "matches": matches.collect::<Vec<_>>(),
        "before": texts(&hit.before),
        "after": texts(&hit.after),
    })
}
