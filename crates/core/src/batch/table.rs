//! The end of a batch in words: one line of sums, and a line for each task.

use super::{Batch, Row};
use crate::health::span;
use crate::money::Usd;
use crate::task::Status;
use jiff::Timestamp;

/// Tasks that are listed at most; the others are counted.
const LISTED: usize = 100;

/// `batch night is complete: 2 done, 1 cancelled, $3.20 of $10.00, 2h 10m`, and the table under it.
pub fn table(batch: &Batch, rows: &[Row], at: Timestamp) -> String {
    let how = if batch.cancelled_at.is_some() { "was given up" } else { "is complete" };
    let took = span(at.duration_since(batch.created_at).max(jiff::SignedDuration::ZERO));
    let mut text = format!("batch {} {how}: {}, {}, {took}", batch.name, counted(rows), batch.money());
    let width = rows.iter().take(LISTED).map(|row| row.task.to_string().len()).max().unwrap_or(0);
    for row in rows.iter().take(LISTED) {
        let Row { task, title, status, spent } = row;
        let spent = if *spent > Usd::ZERO { spent.to_string() } else { String::new() };
        let task = task.to_string();
        text.push_str(&format!("\n  {task:>width$}  {:<12} {spent:>8}  {title}", status.as_str()));
    }
    if rows.len() > LISTED {
        text.push_str(&format!("\n  … and {} more (orch batch show {})", rows.len() - LISTED, batch.name));
    }
    text
}

/// Whether the end that this tells of is not what was wanted: it was given up, or some of it did not become done.
pub fn went_wrong(table: &str) -> bool {
    let line = table.lines().next().unwrap_or_default();
    // Names have no spaces: what follows the second one is ours.
    let told = line.splitn(3, ' ').nth(2).unwrap_or_default();
    let counts = told.split_once(": ").map_or("", |(_, counts)| counts);
    let not_done = [Status::Cancelled, Status::NeedsReview, Status::Blocked].map(Status::as_str);
    told.starts_with("was given up")
        || counts.split(", ").any(|count| not_done.iter().any(|word| count.ends_with(word)))
}

/// `2 done, 1 cancelled`.
pub fn counted(rows: &[Row]) -> String {
    let of = |status: Status| (status, rows.iter().filter(|row| row.status == status).count());
    let counts = Status::ALL.iter().map(|status| of(*status)).filter(|(_, count)| *count > 0);
    counts.map(|(status, count)| format!("{count} {}", status.as_str())).collect::<Vec<_>>().join(", ")
}
