//! `orch task log`: prints the output of a run, or matching lines, and follows it with --follow. Reads it in chunks, so
//! that memory stays bounded.

use crate::cli::context::{Context, Link};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::search_results::{Around, SearchResults};
use crate::cli::since::Since;
use crate::cli::ui::transcript::{Piece, coloured};
use orch_api::endpoint;
use orch_api::queries::OutputQuery;
use orch_api::types::RunView;
use orch_core::audit::timeline::time_at;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::economics::pattern::Pattern;
use orch_core::tasks::outcome::RunKind;
use orch_core::text::output::{Part, SETUP_LOG};
use orch_core::text::styled::Styles;
use orch_stream::{Pieces, RunFiles, Span, Start, StyleReader, Text, find, lines_before};
use orch_sys::fs;
use serde_json::json;
use std::io;
use std::ops::ControlFlow;
use std::str::FromStr;

/// The most bytes of a setup's output.
const SETUP_LARGEST: usize = 64 << 20;
/// The size of a chunk, in bytes.
const PIECE: usize = 256 << 10;

/// A run, as named on the command line.
#[derive(Debug, Clone)]
enum Which {
    /// Its number in `orch task show`, from 1.
    Number(usize),
    /// Its id.
    Id(RunId),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<usize>() {
            Ok(number) if number > 0 => Ok(Self::Number(number)),
            Ok(_) | Err(_) => text
                .parse()
                .map(Self::Id)
                .map_err(|_| "expected 1, 2, … as in `orch task show`, or a run id".to_owned()),
        }
    }
}

/// Arguments of `orch task log`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Which run: its number in `orch task show`, or its id; without it, the newest work run
    #[arg(long, value_name = "N")]
    run: Option<Which>,
    /// What workspace.setup printed in the run's worktree
    #[arg(long, conflicts_with_all = ["follow", "grep", "since", "tail"])]
    setup: bool,
    /// Follow until the run ends
    #[arg(long, short, conflicts_with_all = ["grep", "since", "tail"])]
    follow: bool,
    /// Only lines that match this regular expression, with their numbers
    #[arg(long, value_name = "RE")]
    grep: Option<String>,
    #[command(flatten)]
    around: Around,
    /// Only output since then: 10m, 2h, 3d, a day or a time (2026-08-01 14:30)
    #[arg(long, value_name = "TIME", conflicts_with = "tail")]
    since: Option<Since>,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
}

/// Prints the output.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let pattern = args.grep.as_deref().map(|text| args.around.pattern(text, true)).transpose()?;
    let mut link = context.link().await?;
    let task = link.call(&endpoint::TaskShow { id: args.id }).await?;
    let runs = task.runs.unwrap_or_default();
    let run = choose(&runs, args.run.as_ref()).ok_or_else(|| missing(args.id, args.run.as_ref()))?;
    if args.setup {
        link.close().await?;
        return setup_log(args.id, run, context);
    }
    let exit =
        if args.follow && !context.ui.is_json() { follow(&link, args.id, run, context).await? } else { Exit::Done };
    link.close().await?;
    // Reading the files needs no engine.
    if args.follow && !context.ui.is_json() {
        return Ok(exit);
    }
    let log = Log::open(args.id, run, &args, context)?;
    match &pattern {
        Some(pattern) => log.grep(pattern, args.around.context()),
        None if context.ui.is_json() => log.document(run).map(|()| Exit::Done),
        None => log.print().map(|()| Exit::Done),
    }
}

/// Prints the output of the setup.
fn setup_log(id: TaskId, run: &RunView, context: &Context) -> Result<Exit, CliError> {
    let file = run.transcript.with_file_name(SETUP_LOG);
    let text = match fs::read_text(&file, SETUP_LARGEST) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => {
            let message = format!("run {} of task {id} had no setup", run.run_id);
            let hint = Some("workspace.setup in .orch.yml is what would run: docs/how-to/workspace.md".to_owned());
            return Err(CliError::NotFound { message, hint });
        }
        Err(error) => return Err(error.into()),
    };
    if context.ui.is_json() {
        context.ui.json(&json!({ "task_id": id, "run_id": run.run_id, "setup": text }))?;
    } else {
        context.ui.data(&text)?;
    }
    Ok(Exit::Done)
}

async fn follow(link: &Link, id: TaskId, run: &RunView, context: &Context) -> Result<Exit, CliError> {
    let query = OutputQuery { run: Some(run.run_id.to_string()), from: None };
    let mut output = link.stream(&endpoint::TaskOutput { id, query }).await?;
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let dir = run.transcript.parent().unwrap_or(&run.transcript).to_owned();
    let files = RunFiles::new(id, run.run_id.clone(), dir, Part::Output);
    let mut list = context.ui.paint().on.then(|| StyleReader::new(&files.styles));
    let mut offset = 0;
    loop {
        tokio::select! {
            piece = output.piece() => match piece? {
                // The engine sends whole characters.
                Some(piece) => {
                    let end = offset + piece.len() as u64;
                    show(&String::from_utf8_lossy(&piece), offset, list.as_mut(), context)?;
                    offset = end;
                }
                None => return Ok(Exit::Done),
            },
            _ = &mut interrupt => return Ok(Exit::Interrupted),
        }
    }
}

/// Prints a chunk of a transcript, coloured if its styles are known.
fn show(content: &str, offset: u64, list: Option<&mut StyleReader>, context: &Context) -> Result<(), CliError> {
    let end = offset + content.len() as u64;
    let styles = list.map_or_else(Styles::new, |list| list.between(offset, end));
    context.ui.data(&coloured(Piece { content, offset, styles: &styles }))
}

/// Returns the requested run; by default the newest work run, or else the newest run of any kind.
fn choose<'a>(runs: &'a [RunView], which: Option<&Which>) -> Option<&'a RunView> {
    match which {
        Some(Which::Number(number)) => runs.get(number - 1),
        Some(Which::Id(id)) => runs.iter().find(|run| run.run_id == *id),
        None => runs.iter().rev().find(|run| run.kind == RunKind::Work).or(runs.last()),
    }
}

fn missing(id: TaskId, which: Option<&Which>) -> CliError {
    let message = match which {
        Some(Which::Number(number)) => format!("task {id} has no run {number}"),
        Some(Which::Id(run)) => format!("task {id} has no run {run}"),
        None => format!("task {id} has not run yet"),
    };
    CliError::NotFound { message, hint: Some(format!("orch task show {id} lists its runs")) }
}

fn unreadable(files: &RunFiles) -> impl Fn(io::Error) -> CliError {
    |source| CliError::System { what: format!("cannot read {}", files.followed.display()), source }
}

/// The requested part of a transcript.
struct Log<'a> {
    context: &'a Context,
    files: RunFiles,
    /// `None` if the run has no output yet, or its output was removed.
    text: Option<Text>,
    begin: u64,
}

impl<'a> Log<'a> {
    fn open(id: TaskId, run: &RunView, args: &Args, context: &'a Context) -> Result<Self, CliError> {
        let dir = run.transcript.parent().unwrap_or(&run.transcript).to_owned();
        let files = RunFiles::new(id, run.run_id.clone(), dir, Part::Output);
        let start = match (args.since, args.tail) {
            (Some(since), _) => Start::Since(since.at(&context.now())),
            (None, Some(lines)) => Start::Tail(lines),
            (None, None) => Start::Offset(0),
        };
        let text = Text::open(&files).map_err(unreadable(&files))?;
        if text.is_none() && files.is_over() {
            context
                .ui
                .note("this run has no output, or it was removed (retention.transcript_days, retention.total_mb)");
        }
        let begin = files.place(start).map_err(unreadable(&files))?;
        Ok(Self { context, files, text, begin })
    }

    /// Calls `take` with chunks of whole lines.
    fn pieces(&self, mut take: impl FnMut(&str, u64) -> Result<(), CliError>) -> Result<(), CliError> {
        let Some(text) = &self.text else { return Ok(()) };
        let mut pieces = Pieces::new(text, self.begin, u64::MAX, PIECE);
        while let Some(piece) = pieces.read().map_err(unreadable(&self.files))? {
            take(&String::from_utf8_lossy(piece.bytes), piece.offset)?;
        }
        Ok(())
    }

    fn print(&self) -> Result<(), CliError> {
        let mut list = self.context.ui.paint().on.then(|| StyleReader::new(&self.files.styles));
        self.pieces(|content, offset| show(content, offset, list.as_mut(), self.context))
    }

    /// Writes one JSON document while reading.
    fn document(&self, run: &RunView) -> Result<(), CliError> {
        let ui = &self.context.ui;
        let head = json!({ "id": self.files.task, "run_id": run.run_id, "transcript": run.transcript }).to_string();
        ui.data(&format!("{},\"content\":\"", head.trim_end_matches('}')))?;
        self.pieces(|piece, _| {
            let quoted = serde_json::to_string(piece)?;
            ui.data(&quoted[1..quoted.len() - 1])
        })?;
        ui.data("\"}\n")
    }

    fn grep(&self, pattern: &Pattern, context: usize) -> Result<Exit, CliError> {
        let mut hits = SearchResults::new(self.context, false, context);
        let Some(text) = &self.text else { return Ok(Exit::Failed) };
        let marks = self.files.marks().unwrap_or_default();
        let part = Span {
            begin: self.begin,
            end: u64::MAX,
            lines: lines_before(text, self.begin).map_err(unreadable(&self.files))?,
        };
        let found = find(text, part, pattern, context, &mut |hit| {
            let at = time_at(&marks, hit.line.offset);
            match hits.show(self.files.task, &self.files.run, at, hit) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        });
        if let ControlFlow::Break(error) = found.map_err(unreadable(&self.files))? {
            return Err(error);
        }
        hits.finish()?;
        // As grep does.
        Ok(if hits.count() > 0 { Exit::Done } else { Exit::Failed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::task;

    #[test]
    fn the_newest_work_run_is_meant_when_nothing_is_said() {
        let runs = task().runs.expect("runs");
        let id = |which: Option<&str>| {
            let which = which.map(|text| text.parse::<Which>().expect("a run"));
            choose(&runs, which.as_ref()).map(|run| run.run_id.to_string())
        };
        assert_eq!(id(None).as_deref(), Some("7-3-000000ef"));
        assert_eq!(id(Some("1")).as_deref(), Some("7-1-000000ab"));
        assert_eq!(id(Some("7-2-000000cd")).as_deref(), Some("7-2-000000cd"));
        assert_eq!(id(Some("9")), None);
        assert!("0".parse::<Which>().is_err() && "x".parse::<Which>().is_err());
        assert_eq!(choose(&runs[..1], None).map(|run| run.kind), Some(RunKind::Route));
    }
}
