//! The report at the end of a batch: one line of totals, and a line per task.

use super::BatchName;
use super::{Batch, Row};
use crate::base::health::format_span;
use crate::base::money::Usd;
use crate::tasks::task::Status;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The most tasks that are listed; the rest are counted.
const LISTED: usize = 100;

/// The end of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchEnd {
    /// Its name.
    pub name: BatchName,
    /// A person gave it up.
    pub cancelled: bool,
    /// How its tasks stand.
    pub rows: Vec<Row>,
    /// What was spent.
    pub spent: Usd,
    /// Of how much.
    pub budget: Option<Usd>,
    /// How long it took.
    pub seconds: i64,
}

impl BatchEnd {
    /// Describes the end of a batch at `at`, whose tasks are `rows`.
    pub fn new(batch: &Batch, rows: Vec<Row>, at: Timestamp) -> Self {
        Self {
            name: batch.name.clone(),
            cancelled: batch.cancelled_at.is_some(),
            rows,
            spent: batch.spent(),
            budget: batch.budget,
            seconds: at.duration_since(batch.created_at).as_secs().max(0),
        }
    }

    /// Returns whether the batch was cancelled or has tasks that are not done.
    pub fn went_wrong(&self) -> bool {
        let not_done = [Status::Cancelled, Status::NeedsReview, Status::Blocked];
        self.cancelled || self.rows.iter().any(|row| not_done.contains(&row.status))
    }
}

/// Renders `batch night is complete: 2 done, 1 cancelled, $3.20 of $10.00, 2h 10m`, with the table below it.
pub fn table(end: &BatchEnd) -> String {
    let BatchEnd { name, cancelled, rows, spent, budget, seconds } = end;
    let how = if *cancelled { "was given up" } else { "is complete" };
    let took = format_span(SignedDuration::from_secs(*seconds));
    let mut text = format!("batch {name} {how}: {}, {}, {took}", count_by_status(rows), money(*spent, *budget));
    let width = rows.iter().take(LISTED).map(|row| row.task.to_string().len()).max().unwrap_or(0);
    for row in rows.iter().take(LISTED) {
        let Row { task, title, status, spent } = row;
        let spent = if *spent > Usd::ZERO { spent.to_string() } else { String::new() };
        let task = task.to_string();
        text.push_str(&format!("\n  {task:>width$}  {:<12} {spent:>8}  {title}", status.as_str()));
    }
    if rows.len() > LISTED {
        text.push_str(&format!("\n  … and {} more (orch batch show {name})", rows.len() - LISTED));
    }
    text
}

/// Describes spending: `$3.20 of $10.00`, or `$3.20` without a budget.
pub fn money(spent: Usd, budget: Option<Usd>) -> String {
    match budget {
        Some(budget) => format!("{spent} of {budget}"),
        None => spent.to_string(),
    }
}

/// Counts tasks by status: `2 done, 1 cancelled`.
pub fn count_by_status(rows: &[Row]) -> String {
    let of = |status: Status| (status, rows.iter().filter(|row| row.status == status).count());
    let counts = Status::ALL.iter().map(|status| of(*status)).filter(|(_, count)| *count > 0);
    counts.map(|(status, count)| format!("{count} {}", status.as_str())).collect::<Vec<_>>().join(", ")
}
