//! Measures the search for secrets in ordinary text, and the cost of the rules at the start of a process.

use crate::Scale;
use crate::measure::{Samples, figure, timed};
use crate::table::{Row, Table};
use orch_core::text::redact::Redactor;
use std::borrow::Cow;
use std::hint::black_box;
use std::path::Path;

/// Megabytes a second on one core.
const RATE: f64 = 50.0;
/// Milliseconds for all rules, once in a process.
const START: f64 = 1.0;
/// Share of ordinary text that may be masked, in percent.
const MASKED: f64 = 0.1;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let keys: Vec<(String, String)> =
        (0..8).map(|n| (format!("KEY_{n}"), format!("a-value/of+key={n}{}", n * 7919))).collect();
    let (first, redactor) = timed(|| Redactor::new(keys.iter().map(|(name, value)| (name, value))));
    let mut start = Samples::default();
    start.add(first);
    table.limit("rules and eight secret values, the first time in a process", None, &start, START);
    let mut next = Samples::default();
    for _ in 0..scale.pick(200, 50) {
        next.add(timed(|| black_box(Redactor::new(keys.iter().map(|(name, value)| (name, value))))).0);
    }
    table.part("the same again", &next);
    let mut text = String::new();
    for dir in ["src", "tests", "docs", "benches", "Cargo.lock"] {
        gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut text);
    }
    rates(scale.pick(30, 8), &text, &redactor, table);
}

fn gather(path: &Path, text: &mut String) {
    if let Ok(entries) = std::fs::read_dir(path) {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| gather(path, text));
    } else if let Ok(read) = std::fs::read_to_string(path) {
        text.push_str(&read);
    }
}

fn rates(rounds: usize, text: &str, redactor: &Redactor, table: &mut Table) {
    let megabytes = text.len() as f64 / 1e6;
    let (mut lines, mut whole) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let by_line = || text.lines().filter(|line| matches!(redactor.text(black_box(line)), Cow::Owned(_))).count();
        lines.add(timed(|| black_box(by_line())).0);
        whole.add(timed(|| black_box(redactor.text(black_box(text)).len())).0);
    }
    let rate = |samples: &Samples| megabytes / (samples.p50() / 1e3);
    let row = |name: &str, samples: &Samples, goal: Option<f64>| Row {
        name: format!("{name} (n={rounds})"),
        orch: format!("{} MB/s", figure(rate(samples))),
        goal: goal.map(|goal| format!("≥ {goal} MB/s")).unwrap_or_default(),
        reached: goal.map(|goal| rate(samples) >= goal),
        ..Row::default()
    };
    table.add(row(&format!("secrets looked for, line by line, {} MB", figure(megabytes)), &lines, Some(RATE)));
    table.add(row("  · the same in one piece", &whole, None));
    let lost = 100.0 * masked(text, redactor) as f64 / text.len() as f64;
    table.add(Row {
        name: "bytes of it that are masked".to_owned(),
        orch: format!("{lost:.4} %"),
        goal: format!("≤ {MASKED} %"),
        reached: Some(lost <= MASKED),
        ..Row::default()
    });
}

/// Bytes that are masked.
fn masked(text: &str, redactor: &Redactor) -> usize {
    let shown = redactor.text(text);
    let marks: usize = shown.split("[REDACTED:").skip(1).filter_map(|mark| mark.find(']')).map(|end| end + 11).sum();
    (text.len() + marks).saturating_sub(shown.len())
}
