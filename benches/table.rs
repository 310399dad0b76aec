//! The printed table.

use crate::measure::{Samples, figure};

/// One line of the table.
#[derive(Debug, Default)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// What it is compared with, measured in the same run.
    pub baseline: String,
    /// What orch takes.
    pub orch: String,
    /// orch without the baseline, or orch in relation to it.
    pub own: String,
    /// What is aimed at; empty when the row only explains another.
    pub goal: String,
    /// Whether it is reached.
    pub reached: Option<bool>,
}

/// Rows of one group.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

const WIDTHS: [usize; 5] = [68, 16, 16, 18, 19];

impl Table {
    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    /// Sets the baseline of the last row.
    pub fn beside(&mut self, baseline: String) {
        if let Some(row) = self.0.last_mut() {
            row.baseline = baseline;
        }
    }

    /// Adds a row with orch's own share of an operation whose bare steps were measured. The share is the difference of
    /// the medians, and of the 95th percentiles.
    pub fn share(&mut self, name: impl Into<String>, bare: Option<&Samples>, orch: &Samples, goal: (f64, f64)) {
        let (bare_p50, bare_p95) = bare.map_or((0.0, 0.0), |bare| (bare.p50(), bare.p95()));
        let own = (orch.p50() - bare_p50, orch.p95() - bare_p95);
        self.add(Row {
            name: format!("{} (n={})", name.into(), orch.count()),
            baseline: bare.map(Samples::text).unwrap_or_default(),
            orch: orch.text(),
            own: format!("{} / {} ms", figure(own.0), figure(own.1)),
            goal: format!("≤ {} / {} ms", goal.0, goal.1),
            reached: Some(own.0 <= goal.0 && own.1 <= goal.1),
        });
    }

    /// A row that has a limit for the median of orch alone.
    pub fn limit(&mut self, name: impl Into<String>, bare: Option<&Samples>, orch: &Samples, goal_ms: f64) {
        self.add(Row {
            name: format!("{} (n={})", name.into(), orch.count()),
            baseline: bare.map(Samples::text).unwrap_or_default(),
            orch: orch.text(),
            goal: format!("≤ {goal_ms} ms"),
            reached: Some(orch.p50() <= goal_ms),
            ..Row::default()
        });
    }

    /// A row on the relation of two medians, which must lie between two bounds.
    pub fn ratio(&mut self, name: impl Into<String>, bare: &Samples, orch: &Samples, bounds: (f64, f64), goal: &str) {
        let ratio = orch.p50() / bare.p50();
        self.add(Row {
            name: format!("{} (n={})", name.into(), orch.count()),
            baseline: bare.text(),
            orch: orch.text(),
            own: format!("× {ratio:.2}"),
            goal: goal.to_owned(),
            reached: Some((bounds.0..=bounds.1).contains(&ratio)),
        });
    }

    /// A row that explains another one and has no goal of its own.
    pub fn part(&mut self, name: impl Into<String>, orch: &Samples) {
        self.add(Row { name: format!("  · {}", name.into()), orch: orch.text(), ..Row::default() });
    }

    /// Prints the rows.
    pub fn print(&self) {
        for row in &self.0 {
            let reached = row.reached.map_or("", |ok| if ok { "ok" } else { "over" });
            line([&row.name, &row.baseline, &row.orch, &row.own, &row.goal], reached);
        }
    }
}

/// Prints what the numbers were taken on, and the titles.
pub fn head(quick: bool) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(3).collect();
    say(&format!(
        "orch {}, {} cores, kernel {}, load before {}{}",
        env!("CARGO_PKG_VERSION"),
        cores,
        kernel.trim(),
        load.join(" "),
        if quick { ", quick" } else { "" },
    ));
    say("times are p50 / p95; baseline and orch are measured in turn, in the same run");
    say("");
    line(["row", "baseline", "orch", "own share or ratio", "goal"].map(String::from).each_ref(), "");
}

fn line(cells: [&String; 5], last: &str) {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let missing = width.saturating_sub(cell.chars().count());
        text.push_str(cell);
        text.push_str(&" ".repeat(missing + 1));
    }
    say(format!("{text}{last}").trim_end());
}

/// Prints a line.
#[expect(clippy::disallowed_macros, clippy::print_stdout, reason = "a benchmark prints its table")]
pub fn say(text: &str) {
    println!("{text}");
}
