//! `orch cost`: shows what was spent, grouped by task, agent, model, project or day.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::since::Since;
use super::ui::paint::Paint;
use super::ui::table::{Cell, Column, Width, cell, render};
use super::ui::{money, text};
use clap::ValueEnum;
use orch_api::cost::{CostRow, CostView};
use orch_api::endpoint;
use orch_api::queries::CostQuery;
use orch_core::base::money::Usd;
use orch_core::economics::cost::By;

/// Arguments of `orch cost`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to group by
    #[arg(long, value_enum, default_value_t = Key::Agent)]
    by: Key,
    /// Only runs that ended since then: 24h, 7d, a day or a time
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Sort by cost per merged change; groups without a merge come last
    #[arg(long)]
    per_merged: bool,
}

/// [`By`], as a command-line value.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Key {
    Task,
    Agent,
    Model,
    Project,
    Day,
}

impl Key {
    fn by(self) -> By {
        match self {
            Self::Task => By::Task,
            Self::Agent => By::Agent,
            Self::Model => By::Model,
            Self::Project => By::Project,
            Self::Day => By::Day,
        }
    }
}

/// Prints the costs.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let since = args.since.map(|since| since.at(&context.now()));
    let query = CostQuery { by: args.by.by(), since, per_merged: args.per_merged };
    let columns = context.ui.columns();
    context.present(&endpoint::Cost { query }, |view: &CostView, _, paint| report(view, columns, paint)).await
}

fn report(view: &CostView, columns: usize, paint: Paint) -> String {
    if view.rows.is_empty() {
        return "no run has ended\n".to_owned();
    }
    let head = [
        Column::new(view.by.as_str(), Width::Rest(20)),
        Column::number("cost"),
        Column::number("runs"),
        Column::number("tasks"),
        Column::number("merged"),
        Column::number("per merged"),
        Column::number("overhead"),
    ];
    let names: Vec<String> = view.rows.iter().map(|row| name(view.by, row)).collect();
    let mut rows: Vec<_> = view.rows.iter().zip(&names).map(|(row, name)| cells(row, name)).collect();
    if view.rows.len() > 1 {
        rows.push(cells(&view.total, "all"));
    }
    let mut text = render(&head, &rows, columns, paint);
    let CostRow { runs, unpriced, computed, .. } = view.total;
    let lines = [
        (computed, format!("~ {computed} of {runs} runs: computed, tokens × the catalog's prices")),
        (unpriced, format!("+ {unpriced} of {runs} runs have no price")),
    ];
    for (_, line) in lines.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!("{}\n", text::fit(line, columns)));
    }
    text
}

fn name(by: By, row: &CostRow) -> String {
    let missing = match by {
        By::Model => "(the agent's own choice)",
        By::Project => "(no directory named)",
        By::Task | By::Agent | By::Day => "",
    };
    let key = row.key.as_deref().unwrap_or(missing);
    match row.title.as_deref().filter(|title| !title.is_empty()) {
        Some(title) => format!("{key} {title}"),
        None => key.to_owned(),
    }
}

/// Renders a sum, marked if a part of it is computed.
fn sum(row: &CostRow, known: Option<Usd>, unpriced: u64) -> String {
    let mark = if row.computed > 0 && known.is_some() { "~" } else { "" };
    format!("{mark}{}", money::sum(known, unpriced))
}

fn cells<'a>(row: &CostRow, name: &'a str) -> [Cell<'a>; 7] {
    [
        cell(name),
        cell(sum(row, row.cost_usd, row.unpriced)),
        cell(row.runs.to_string()),
        cell(row.tasks.to_string()),
        cell(row.merged.to_string()),
        cell(sum(row, row.per_merged_usd, row.per_merged_unpriced)),
        cell(sum(row, row.overhead_per_merged_usd, row.per_merged_unpriced)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: Option<&str>, cost: Option<i64>, unpriced: u64, merged: u64) -> CostRow {
        let cost_usd = cost.map(Usd::from_micros);
        let per = cost.filter(|_| merged > 0).map(|cost| Usd::from_micros(cost / merged as i64));
        let key = key.map(str::to_owned);
        let overhead_per_merged_usd = per.map(|per| Usd::from_micros(per.micros() / 10));
        CostRow {
            key,
            title: None,
            cost_usd,
            runs: 3,
            unpriced,
            computed: 0,
            tasks: 2,
            merged,
            per_merged_usd: per,
            overhead_per_merged_usd,
            per_merged_unpriced: unpriced,
        }
    }

    #[test]
    fn what_is_computed_is_marked() {
        let computed = CostRow { computed: 2, ..row(Some("codex"), Some(20_000), 1, 2) };
        let view = CostView { by: By::Agent, since: None, rows: vec![computed.clone()], total: computed };
        let text = report(&view, 80, Paint::OFF);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["codex", "~$0.02+", "3", "2", "2", "~$0.01+", "~$0.0010+"], "{text}");
        assert_eq!(text.lines().nth(2), Some("~ 2 of 3 runs: computed, tokens × the catalog's prices"), "{text}");
    }

    #[test]
    fn what_is_not_known_is_not_nothing() {
        let rows = vec![
            row(Some("sonnet"), Some(1_500_000), 0, 2),
            row(None, None, 3, 1),
            row(Some("haiku"), Some(20_000), 1, 0),
        ];
        let total = CostRow { runs: 9, tasks: 6, ..row(None, Some(1_520_000), 4, 3) };
        let view = CostView { by: By::Model, since: None, rows, total };
        let text = report(&view, 80, Paint::OFF);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["sonnet", "$1.50", "3", "2", "2", "$0.75", "$0.07"], "{text}");
        assert_eq!(lines[2][3..], ["choice)", "?", "3", "2", "1", "?", "?"], "{text}");
        assert_eq!(lines[3], ["haiku", "$0.02+", "3", "2", "0", "?", "?"], "{text}");
        assert_eq!(lines[4], ["all", "$1.52+", "9", "6", "3", "$0.51+", "$0.05+"], "{text}");
        assert_eq!(text.lines().last(), Some("+ 4 of 9 runs have no price"));
    }
}
