//! `orch task log`: the readable output of a run, as it was written; with --follow as it is written.

use crate::api::types::{RunView, TaskView};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::domain::ids::{RunId, TaskId};
use crate::domain::outcome::RunKind;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::str::FromStr;

/// What is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// A run as a person names it.
#[derive(Debug, Clone)]
enum Which {
    /// Its place in `orch task show`, from 1.
    Number(usize),
    /// Its name.
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
    /// Go on until the run ends
    #[arg(long, short)]
    follow: bool,
}

/// Prints it.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    let task: TaskView = link.get(&format!("/v1/tasks/{}", args.id)).await?;
    let runs = task.runs.unwrap_or_default();
    let run = choose(&runs, args.run.as_ref()).ok_or_else(|| missing(args.id, args.run.as_ref()))?;
    let mut exit = Exit::Done;
    if context.ui.is_json() {
        let mut text = Vec::new();
        copy(run, |piece| {
            text.extend_from_slice(piece);
            Ok(())
        })?;
        let content = String::from_utf8_lossy(&text);
        let document = json!({ "id": args.id, "run_id": run.run_id, "transcript": run.transcript, "content": content });
        context.ui.json(&document)?;
    } else if args.follow {
        let mut output = link.stream(&format!("/v1/tasks/{}/output?run={}", args.id, run.run_id)).await?;
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                piece = output.piece() => match piece? {
                    Some(piece) => context.ui.bytes(&piece)?,
                    None => break,
                },
                _ = &mut interrupt => {
                    exit = Exit::Interrupted;
                    break;
                }
            }
        }
    } else {
        copy(run, |piece| context.ui.bytes(piece))?;
    }
    link.close().await?;
    Ok(exit)
}

/// Without a wish: the newest work run, or else the newest run of any kind.
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

/// Hands over the transcript piece by piece. A run that has said nothing yet has none.
fn copy(run: &RunView, mut take: impl FnMut(&[u8]) -> Result<(), CliError>) -> Result<(), CliError> {
    let failed = |source| CliError::System { what: format!("cannot read {}", run.transcript.display()), source };
    let mut file = match File::open(&run.transcript) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => return Ok(()),
            length => take(&piece[..length])?,
        }
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
