//! Renders batches for a person. PURE.

use crate::cli::ui::paint::{Paint, Role, role_of};
use crate::cli::ui::table::{Column, Width, cell, render};
use crate::cli::ui::text;
use crate::cli::ui::time::Now;
use orch_api::batches::{BatchRow, BatchView};
use orch_core::base::count;
use orch_core::planning::batch::BatchState;
use orch_core::tasks::task::Status;
use std::borrow::Cow;

const HEAD: [Column; 6] = [
    Column::new("batch", Width::Whole),
    Column::new("state", Width::Whole),
    Column::new("over", Width::Whole),
    Column::new("busy", Width::Whole),
    Column::new("spent", Width::Whole),
    Column::new("when", Width::Rest(12)),
];

/// Renders the list of batches.
pub fn listed(batches: &[BatchView], now: &Now, columns: usize, paint: Paint) -> String {
    if batches.is_empty() {
        return "there is no batch; `orch batch create night --tasks 4,5,6` makes one\n".to_owned();
    }
    let rows: Vec<_> = batches
        .iter()
        .map(|batch| {
            [
                cell(batch.name.as_str()),
                (Cow::Borrowed(batch.state.as_str()), Some(role(batch.state))),
                cell(format!("{} of {}", batch.over(), batch.tasks.len())),
                cell(busy(batch)),
                cell(money(batch)),
                cell(when(batch, now)),
            ]
        })
        .collect();
    render(&HEAD, &rows, columns, paint)
}

fn role(state: BatchState) -> Role {
    match state {
        BatchState::Open => Role::Active,
        BatchState::Cancelling => Role::Warning,
        BatchState::Completed => role_of(Status::Done),
        BatchState::Cancelled => Role::Faint,
    }
}

fn busy(batch: &BatchView) -> String {
    if batch.state.is_over() { String::new() } else { format!("{} of {}", batch.busy, batch.concurrency) }
}

fn money(batch: &BatchView) -> String {
    match batch.budget_usd {
        Some(budget) => format!("{} of {budget}", batch.spent_usd),
        None => batch.spent_usd.to_string(),
    }
}

fn when(batch: &BatchView, now: &Now) -> String {
    match batch.ended_at {
        Some(at) => format!("ended {}", now.past(at)),
        None => format!("since {}", now.past(batch.created_at)),
    }
}

/// `5 tasks (2 done, 3 new), 1 of 2 busy, $3.20 of $10.00`.
pub fn summary(batch: &BatchView) -> String {
    let known = Status::ALL.iter().filter_map(|status| Some((status.as_str(), batch.counts.get(status.as_str())?)));
    let counts: Vec<String> = known.map(|(word, count)| format!("{count} {word}")).collect();
    let tasks = count::plural(batch.tasks.len(), "task");
    let busy = if batch.state.is_over() { String::new() } else { format!(", {} busy", busy(batch)) };
    format!("{tasks} ({}){busy}, {}", counts.join(", "), money(batch))
}

/// Renders everything about one batch.
pub fn details(batch: &BatchView, now: &Now, columns: usize, paint: Paint) -> String {
    let mut out = format!("batch {} is {}", batch.name, paint.text(role(batch.state), batch.state.as_str()));
    out.push_str(&format!(", {}\n{}\n", when(batch, now), summary(batch)));
    let left = batch.budget_usd.is_some_and(|budget| batch.spent_usd >= budget);
    if left && !batch.state.is_over() {
        let text = format!("its budget is spent: orch batch set {} --budget USD", batch.name);
        out.push_str(&format!("{}\n", paint.text(Role::Warning, text)));
    }
    const HEAD: [Column; 5] = [
        Column::number("id"),
        Column::new("status", Width::Whole),
        Column::number("spent"),
        Column::new("title", Width::Rest(12)),
        Column::new("why it waits", Width::Rest(20)),
    ];
    let rows = batch.rows.iter().flatten().map(|row| {
        [
            cell(row.id.to_string()),
            (Cow::Borrowed(row.status.as_str()), Some(role_of(row.status))),
            cell(row.spent_usd.map(|spent| spent.to_string()).unwrap_or_default()),
            cell(row.title.as_str()),
            (Cow::Borrowed(row.why.as_deref().unwrap_or_default()), Some(Role::Faint)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    out.push('\n');
    out.push_str(&render(&HEAD, &rows, columns, paint));
    out
}

fn open_rows(batch: &BatchView) -> Vec<&BatchRow> {
    batch.rows.iter().flatten().filter(|row| !row.status.is_final()).collect()
}

/// Describes what `orch batch cancel` would cancel.
pub fn rehearsal(batch: &BatchView) -> String {
    if batch.state.is_over() {
        return format!("batch {} has ended ({}); there is nothing to cancel\n", batch.name, batch.state.as_str());
    }
    let open = open_rows(batch);
    let mut out = format!("would give up {} of {} tasks:\n", open.len(), batch.tasks.len());
    for row in open {
        out.push_str(&format!("  {}  {}  {}\n", row.id, row.status.as_str(), text::fit(&row.title, 80)));
    }
    out
}

/// Describes what `orch batch cancel` has cancelled.
pub fn given_up(batch: &BatchView) -> String {
    let stopping = open_rows(batch);
    if stopping.is_empty() {
        return format!("batch {} is cancelled: {}\n", batch.name, summary(batch));
    }
    let ids: Vec<String> = stopping.iter().map(|row| row.id.to_string()).collect();
    format!("batch {0} is being cancelled; still being stopped: {1}\n", batch.name, ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::now;
    use orch_core::base::ids::TaskId;
    use orch_core::base::money::Usd;

    pub fn batch(state: BatchState) -> BatchView {
        let row = |id, status, title: &str, why: Option<&str>| BatchRow {
            id: TaskId(id),
            title: title.to_owned(),
            status,
            spent_usd: Some(Usd::from_micros(1_100_000)),
            why: why.map(str::to_owned),
        };
        BatchView {
            name: "night".parse().expect("a name"),
            state,
            tasks: vec![TaskId(4), TaskId(15)],
            counts: [("done".to_owned(), 1), ("routed".to_owned(), 1)].into(),
            busy: 0,
            concurrency: 2,
            budget_usd: Some(Usd::from_micros(2_200_000)),
            spent_usd: Usd::from_micros(2_200_000),
            created_at: "2026-03-01T10:00:00Z".parse().expect("a time"),
            cancelled_at: None,
            ended_at: None,
            rows: Some(vec![
                row(4, Status::Done, "Fix the parser", None),
                row(15, Status::Routed, "Redo\u{1b}[2J it", Some("batch night has spent $2.20 of $2.20")),
            ]),
        }
    }

    #[test]
    fn a_batch_reads_like_this() {
        let text = details(&batch(BatchState::Open), &now(), 100, Paint::OFF);
        assert!(text.starts_with("batch night is open, since 11:00 (2h ago)\n"), "{text}");
        for part in [
            "2 tasks (1 routed, 1 done), 0 of 2 busy, $2.20 of $2.20\n",
            "its budget is spent: orch batch set night --budget USD\n",
            " 4  done    $1.10  Fix the parser",
            "batch night has spent",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(!text.contains('\u{1b}'));
        assert!(text.lines().all(|line| text::width(line) <= 100), "{text}");
    }

    #[test]
    fn batches_are_listed_and_what_would_be_given_up_is_named() {
        let text = listed(&[batch(BatchState::Open), batch(BatchState::Completed)], &now(), 80, Paint::OFF);
        assert!(text.contains("night  open       1 of 2  0 of 2  $2.20 of $2.20"), "{text}");
        assert!(listed(&[], &now(), 80, Paint::OFF).contains("orch batch create"));
        let would = rehearsal(&batch(BatchState::Open));
        assert!(would.starts_with("would give up 1 of 2 tasks:\n  15  routed  Redo"), "{would}");
        assert!(rehearsal(&batch(BatchState::Completed)).contains("has ended"));
        assert!(given_up(&batch(BatchState::Cancelling)).contains("still being stopped: 15"));
    }
}
