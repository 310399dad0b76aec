//! `orch task list`: lists all tasks, one per line, even ten thousand.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::paint::{Paint, Role, role_of};
use crate::cli::ui::table::{Cell, Column, Width, cell, render};
use crate::cli::ui::time::Now;
use orch_api::endpoint;
use orch_api::queries::RowsQuery;
use orch_api::types::{RowsView, TaskRow};
use orch_core::tasks::task::Status;
use serde_json::Value;
use std::borrow::Cow;

/// How many finished tasks are shown by default.
const FINISHED: u64 = 20;

/// Arguments of `orch task list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only tasks with this status; may be given several times
    #[arg(long, short, value_name = "STATUS", value_parser = status)]
    status: Vec<Status>,
    /// Show all finished tasks, not only the newest; JSON always has all
    #[arg(long, short)]
    all: bool,
}

fn status(text: &str) -> Result<Status, String> {
    let known = Status::ALL.map(Status::as_str);
    let meant = || orch_config::problem::did_you_mean(text, known);
    Status::parse(text).ok_or_else(|| format!("not a status{}; there are: {}", meant(), known.join(", ")))
}

/// Prints the tasks.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    if context.ui.is_json() {
        let all = link.raw(&endpoint::TaskList).await?;
        if args.status.is_empty() {
            context.ui.raw_json(&all)?;
        } else {
            let mut tasks: Vec<Value> = serde_json::from_slice(&all)?;
            tasks.retain(|task| args.status.iter().any(|status| task["status"] == status.as_str()));
            context.ui.json(&tasks)?;
        }
    } else {
        let whole = args.all || !args.status.is_empty();
        let query = RowsQuery { settled: (!whole).then_some(FINISHED) };
        let RowsView { rows, left_out } = link.call(&endpoint::TaskRows { query }).await?;
        let mut chosen = choose(&rows, &args.status, args.all);
        chosen.left_out += left_out;
        context.ui.data(&table(&chosen.rows, &context.now(), context.ui.columns(), context.ui.paint()))?;
        if rows.is_empty() {
            context.ui.note("no tasks yet: orch task add \"What is to be done\"");
        } else if chosen.left_out > 0 {
            context.ui.aside(&format!("{} older finished tasks are not shown: orch task list --all", chosen.left_out));
        }
    }
    link.close().await?;
    Ok(Exit::Done)
}

struct Chosen<'a> {
    rows: Vec<&'a TaskRow>,
    left_out: u64,
}

fn choose<'a>(rows: &'a [TaskRow], status: &[Status], all: bool) -> Chosen<'a> {
    if !status.is_empty() {
        return Chosen { rows: rows.iter().filter(|row| status.contains(&row.status)).collect(), left_out: 0 };
    }
    let finished = rows.iter().filter(|row| row.status.is_final()).count() as u64;
    let mut left_out = if all { 0 } else { finished.saturating_sub(FINISHED) };
    let hidden = left_out;
    let shown = rows.iter().filter(|row| {
        let hide = row.status.is_final() && left_out > 0;
        left_out -= u64::from(hide);
        !hide
    });
    Chosen { rows: shown.collect(), left_out: hidden }
}

const HEAD: [Column; 7] = [
    Column::number("id"),
    Column::new("status", Width::Whole),
    Column::new("agent", Width::Most(16)),
    Column::new("model", Width::Most(24)),
    Column::new("title", Width::Rest(20)),
    Column::number("age"),
    Column::new("why it waits", Width::Rest(20)),
];

fn table(rows: &[&TaskRow], now: &Now, columns: usize, paint: Paint) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let cells: Vec<[Cell<'_>; 7]> = rows
        .iter()
        .map(|row| {
            [
                cell(row.id.to_string()),
                (Cow::Borrowed(row.status.as_str()), Some(role_of(row.status))),
                cell(row.agent.as_deref().unwrap_or_default()),
                cell(row.model.as_deref().unwrap_or_default()),
                cell(row.title.as_str()),
                (now.age(row.created_at).into(), Some(Role::Faint)),
                cell(row.why.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    render(&HEAD, &cells, columns, paint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use orch_core::base::ids::TaskId;

    fn now() -> Now {
        Now { at: "2026-03-01T12:00:00Z".parse().expect("a time"), zone: TimeZone::UTC }
    }

    fn row(id: u64, status: Status, title: &str, why: Option<&str>) -> TaskRow {
        TaskRow {
            id: TaskId(id),
            status,
            agent: (status != Status::New).then(|| "claude".to_owned()),
            model: (status == Status::Done).then(|| "haiku".to_owned()),
            title: title.to_owned(),
            created_at: "2026-03-01T09:00:00Z".parse().expect("a time"),
            question_kind: None,
            why: why.map(str::to_owned),
        }
    }

    fn shown(rows: &[TaskRow], columns: usize) -> String {
        table(&choose(rows, &[], false).rows, &now(), columns, Paint::OFF)
    }

    #[test]
    fn a_list_reads_like_this() {
        let rows = [
            row(1, Status::Done, "Add a health endpoint", None),
            row(2, Status::NeedsReview, "\u{1b}[31mred\u{1b}[0m\u{7}\nrm -rf /", Some("3 attempts failed: cargo test")),
            row(3, Status::New, "日本語のタイトル 🙂", Some("the router is being asked")),
            row(14, Status::Blocked, "תיקון הבדיקה \u{202e}txt", Some("waits for #2 (needs_review)")),
        ];
        let golden = include_str!("../../../tests/fixtures/cli/list.txt");
        assert_eq!(shown(&rows, 100), golden);
    }

    #[test]
    fn ten_thousand_characters_take_one_line_of_the_terminal() {
        let shown = shown(&[row(1, Status::New, &"x".repeat(10_000), Some(&"y".repeat(10_000)))], 80);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert_eq!(shown.lines().count(), 2);
    }

    #[test]
    fn old_finished_tasks_are_left_out_and_counted() {
        let rows: Vec<TaskRow> =
            (1..=30).map(|id| row(id, if id == 1 { Status::New } else { Status::Done }, "t", None)).collect();
        let ids = |chosen: &Chosen<'_>| chosen.rows.iter().map(|row| row.id.0).collect::<Vec<_>>();
        let chosen = choose(&rows, &[], false);
        assert_eq!((ids(&chosen).len(), ids(&chosen)[..2].to_vec(), chosen.left_out), (21, vec![1, 11], 9));
        assert_eq!(choose(&rows, &[], true).rows.len(), 30);
        assert_eq!(ids(&choose(&rows, &[Status::New], false)), [1]);
    }

    #[test]
    fn a_status_that_is_none_is_reported_with_the_one_that_was_meant() {
        assert_eq!(status("in_progress"), Ok(Status::InProgress));
        let text = status("needs_reviw").expect_err("no such status");
        assert!(text.contains("did you mean \"needs_review\"?"), "{text}");
    }
}
