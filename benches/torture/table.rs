//! The table that is printed, and its place in `docs/reference/torture.md`.

use crate::page::{Entry, renewed};
use crate::row::{Broken, Findings, Row, Size, Tally};
use std::path::Path;

/// What came of a row.
pub struct Outcome<'a> {
    /// What was counted.
    pub tally: &'a Tally,
    /// How long it took.
    pub seconds: u64,
    /// How much was done.
    pub size: Size,
}

/// A line of the table.
pub struct Line {
    cells: [String; 10],
    /// What was broken.
    findings: Findings,
}

/// The titles.
pub const TITLES: [&str; 10] =
    ["row", "fault", "test", "form", "times", "lost", "doubled", "stuck", "seconds", "goal, and what is not tried"];
/// Where the tests of the rows are.
const ROWS: &str = "benches/torture/rows/";

impl Line {
    /// Of a row, with what came of it; `None`: it was not tried.
    pub fn new(row: &Row, outcome: Option<&Outcome<'_>>) -> Self {
        let output = |cell: fn(&Outcome<'_>) -> String| outcome.map_or("–".to_owned(), cell);
        let note = outcome.map_or("", |outcome| outcome.tally.note.as_str());
        let last: Vec<&str> = [row.goal, note].into_iter().filter(|text| !text.is_empty()).collect();
        Self {
            cells: [
                row.id.to_owned(),
                row.fault.to_owned(),
                format!("`{}`", row.code.rsplit_once(ROWS).map_or(row.code, |(_, file)| file)),
                output(|outcome| outcome.size.word().to_owned()),
                output(|outcome| outcome.tally.times.to_string()),
                output(|outcome| outcome.tally.count(Broken::Lost).to_string()),
                output(|outcome| outcome.tally.count(Broken::Doubled).to_string()),
                output(|outcome| outcome.tally.count(Broken::Stuck).to_string()),
                output(|outcome| outcome.seconds.to_string()),
                last.join("; "),
            ],
            findings: outcome.map(|outcome| outcome.tally.findings.clone()).unwrap_or_default(),
        }
    }

    /// Each broken promise in a line, with its row. Whoever reads only the end of a long log finds them there.
    pub fn broken(&self) -> impl Iterator<Item = String> {
        let id = &self.cells[0];
        self.findings.iter().map(move |found| format!("{id}: {:?}: {}", found.broken, found.text))
    }

    /// As a line of Markdown, without a line feed.
    pub fn markdown(&self) -> String {
        format!("| {} |", self.cells.join(" | "))
    }
}

/// The head of the table.
pub fn head() -> String {
    format!("| {} |\n|---|---|---|---|---:|---:|---:|---:|---:|---|\n", TITLES.join(" | "))
}

/// Puts the lines of the rows that were run into the page; those of the others stay. `rows` are all there are.
pub fn bless(rows: &[(&'static Row, Option<Line>)]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/torture.md");
    let entry = |(row, line): &(&'static Row, Option<Line>)| Entry {
        id: row.id,
        fault: row.fault,
        line: line.as_ref().map(Line::markdown),
        untried: Line::new(row, None).markdown(),
    };
    let entries: Vec<Entry<'_>> = rows.iter().map(entry).collect();
    let head = format!("{}\n\n{}", machine(), head());
    let text = renewed(&crate::kit::read_file(&page), &head, &entries).expect("the page has a place for the table");
    crate::kit::write_file(&page, &text);
}

/// Which orch, and on what it was tried last.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo");
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let gibibytes = memory.unwrap_or(0_u64) >> 20;
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel = kernel.split(|c: char| c != '.' && !c.is_ascii_digit()).next().unwrap_or_default();
    format!("orch {}, {cores} cores, {gibibytes} GiB, Linux {kernel}", env!("CARGO_PKG_VERSION"))
}

/// Prints a line of the table.
#[expect(clippy::disallowed_macros, clippy::print_stdout, reason = "the table is printed")]
pub fn say(text: &str) {
    println!("{text}");
}

/// Tells what was found, beside the table.
#[expect(clippy::disallowed_macros, clippy::print_stderr, reason = "who mends it reads it while the others go on")]
pub fn print_error(text: &str) {
    eprintln!("{text}");
}
