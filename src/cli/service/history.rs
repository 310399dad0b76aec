//! `orch service history`: lists each start, stop and restart of the daemon.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::table::{Cell, Column, Width, cell, render};
use crate::cli::ui::time::{Now, short};
use jiff::SignedDuration;
use orch_api::endpoint;
use orch_api::queries::HistoryQuery;
use orch_api::switches::ServiceEntryView;

/// Arguments of `orch service history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The number of newest entries
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

const HEAD: [Column; 7] = [
    Column::new("when", Width::Whole),
    Column::new("what", Width::Whole),
    Column::new("version", Width::Whole),
    Column::number("pid"),
    Column::number("served"),
    Column::number("memory"),
    Column::new("why", Width::Rest(20)),
];

/// Prints the entries.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let query = HistoryQuery { limit: Some(args.limit) };
    let ui = context.ui;
    let text = |entries: &Vec<ServiceEntryView>, now: &Now, paint| {
        let rows: Vec<_> = entries.iter().map(|entry| row(entry, now)).collect();
        render(&HEAD, &rows, ui.columns(), paint)
    };
    context.present(&endpoint::ServiceHistory { query }, text).await
}

fn row(entry: &ServiceEntryView, now: &Now) -> [Cell<'static>; 7] {
    let served = entry.lasted_seconds.map(|seconds| short(SignedDuration::from_secs(seconds)));
    let memory = entry.memory_bytes.map(|bytes| format!("{} MB", bytes / 1_000_000));
    [
        cell(now.past(entry.at)),
        cell(entry.kind.as_str()),
        cell(entry.version.clone()),
        cell(entry.pid.to_string()),
        cell(served.unwrap_or_default()),
        cell(memory.unwrap_or_default()),
        cell(entry.why.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::now;
    use crate::cli::ui::paint::Paint;
    use orch_core::operations::service::{Cause, ServiceKind};

    #[test]
    fn an_end_says_how_long_it_lasted_and_why_it_came() {
        let entry = ServiceEntryView {
            at: "2026-03-01T10:00:00Z".parse().expect("a time"),
            kind: ServiceKind::Respawn,
            cause: Cause::Memory,
            version: "0.1.0".to_owned(),
            pid: 7,
            why: "too\u{1b}[2J large".to_owned(),
            lasted_seconds: Some(7_300),
            memory_bytes: Some(600_000_000),
        };
        let table = render(&HEAD, &[row(&entry, &now())], 120, Paint::OFF);
        let last = table.lines().last().expect("a row");
        for part in ["respawn", "0.1.0", "2h", "600 MB", "too\\u{1b}[2J large"] {
            assert!(last.contains(part), "{part} in {table}");
        }
    }
}
