//! Renders the pages of `orch patterns`. PURE.

use crate::cli::ui::paint::Paint;
use crate::cli::ui::table::{Cell, Column, Width, cell, render};
use crate::cli::ui::{money, text, time};
use jiff::SignedDuration;
use orch_api::patterns::{OutcomesView, PatternsView, SimilarView, StandingView};
use orch_core::base::count;
use orch_core::economics::track_record::{MIN_RATE, MIN_SAMPLES};

/// The text when there are no samples.
const NOTHING: &str = "no run was judged yet\n";

/// Returns the text when no sample matches.
fn nothing(view: &PatternsView) -> String {
    if view.total == 0 {
        return NOTHING.to_owned();
    }
    let of = [
        view.task_type.as_ref().map(|word| format!("of type {word}")),
        view.project.as_ref().map(|dir| format!("of the project {}", dir.display())),
        view.label.as_ref().map(|label| format!("with the label {label}")),
    ];
    let of = of.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let all = count::plural(view.total, "judged run");
    text::line(&format!("no judged run is {of}; there are {all} in all")).into_owned() + "\n"
}

/// Renders the recommendation, and the samples that it is based on.
pub fn recommendation(view: &PatternsView, columns: usize, paint: Paint) -> String {
    let of = view.task_type.as_deref().unwrap_or("any");
    let mut text = match &view.recommended {
        Some(best) => format!("{} for {of}: {}\n", who(&best.agent, best.model.as_deref()), best.reason),
        None => format!(
            "no recommendation for {of}: that takes at least {MIN_SAMPLES} judged runs of one agent and model, and more than {} % of them accepted\n",
            MIN_RATE * 100.0
        ),
    };
    if !view.rows.is_empty() {
        text.push('\n');
        text.push_str(&standings(view, columns, paint));
    } else if view.total > 0 {
        text.push_str(&nothing(view));
    }
    text
}

/// Renders the records of all agents and models.
pub fn standings(view: &PatternsView, columns: usize, paint: Paint) -> String {
    if view.rows.is_empty() { nothing(view) } else { table(&view.rows, columns, paint) }
}

fn table(rows: &[StandingView], columns: usize, paint: Paint) -> String {
    const HEAD: [Column; 7] = [
        Column::new("agent and model", Width::Rest(20)),
        Column::number("runs"),
        Column::number("accepted"),
        Column::number("rate"),
        Column::new("95 %", Width::Whole),
        Column::number("per accepted"),
        Column::number("time"),
    ];
    let names: Vec<String> = rows.iter().map(|row| who(&row.agent, row.model.as_deref())).collect();
    let cells: Vec<_> = rows.iter().zip(&names).map(|(row, name)| cells(row, name)).collect();
    render(&HEAD, &cells, columns, paint)
}

/// Renders the number of samples, with those recorded by hand.
pub fn counted(outcomes: &OutcomesView) -> String {
    match outcomes.by_hand {
        0 => outcomes.samples.to_string(),
        by_hand => format!("{} ({by_hand} by hand)", outcomes.samples),
    }
}

fn cells<'a>(row: &StandingView, name: &'a str) -> [Cell<'a>; 7] {
    let outcomes = &row.outcomes;
    let [low, high] = outcomes.ci95;
    let took = outcomes.mean_seconds.map(|seconds| time::short(SignedDuration::from_secs(seconds)));
    [
        cell(name),
        cell(counted(outcomes)),
        cell(outcomes.successes.to_string()),
        cell(percent(outcomes.rate)),
        cell(format!("{}-{}", percent(low), percent(high))),
        cell(money::sum(outcomes.per_success_usd, outcomes.unpriced)),
        cell(took.unwrap_or_default()),
    ]
}

/// Renders the failures with their counts.
pub fn failures(view: &PatternsView, columns: usize, paint: Paint) -> String {
    const HEAD: [Column; 4] = [
        Column::new("agent and model", Width::Rest(20)),
        Column::new("failure", Width::Whole),
        Column::number("times"),
        Column::number("of runs"),
    ];
    if view.rows.is_empty() {
        return nothing(view);
    }
    let mut cells = Vec::new();
    for row in &view.rows {
        let mut failures: Vec<_> = row.failures.iter().collect();
        failures.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        for (class, count) in failures {
            let share = percent(*count as f64 / row.outcomes.samples.max(1) as f64);
            cells.push([
                cell(who(&row.agent, row.model.as_deref())),
                cell(class.as_str()),
                cell(count.to_string()),
                cell(share),
            ]);
        }
    }
    if cells.is_empty() {
        "all that was judged was accepted\n".to_owned()
    } else {
        render(&HEAD, &cells, columns, paint)
    }
}

/// Renders the records by type.
pub fn report(view: &PatternsView, columns: usize, paint: Paint) -> String {
    if view.by_type.is_empty() {
        return nothing(view);
    }
    let parts = view.by_type.iter().map(|(task_type, rows)| {
        format!("{}\n{}", text::fit(&text::line(task_type), columns), table(rows, columns, paint))
    });
    parts.collect::<Vec<_>>().join("\n")
}

/// Renders tasks that are similar to a text.
pub fn similar(found: &[SimilarView], columns: usize, paint: Paint) -> String {
    const HEAD: [Column; 6] = [
        Column::number("id"),
        Column::new("status", Width::Whole),
        Column::new("agent and model", Width::Whole),
        Column::number("runs"),
        Column::number("cost"),
        Column::new("title", Width::Rest(20)),
    ];
    if found.is_empty() {
        return "no task of the past is like it\n".to_owned();
    }
    let row = |task: &SimilarView| {
        let by = task.agent.as_deref().map(|agent| who(agent, task.model.as_deref()));
        [
            cell(task.task_id.to_string()),
            cell(task.status.as_str()),
            cell(by.unwrap_or_default()),
            cell(task.runs.to_string()),
            cell(task.cost_usd.map(|cost| cost.to_string()).unwrap_or_default()),
            cell(task.title.clone()),
        ]
    };
    render(&HEAD, &found.iter().map(row).collect::<Vec<_>>(), columns, paint)
}

/// Renders an agent with its model.
pub fn who(agent: &str, model: Option<&str>) -> String {
    match model {
        Some(model) => format!("{agent} {model}"),
        None => format!("{agent} (its own choice)"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_api::patterns::Recommended;
    use std::collections::BTreeMap;

    fn row(agent: &str, successes: u64, failures: &[(&str, u64)]) -> StandingView {
        let lost: u64 = failures.iter().map(|(_, count)| count).sum();
        let samples = successes + lost;
        StandingView {
            agent: agent.to_owned(),
            model: Some("small".to_owned()),
            outcomes: OutcomesView {
                samples,
                successes,
                by_hand: 0,
                rate: successes as f64 / samples as f64,
                ci95: [0.25, 0.75],
                cost_usd: None,
                unpriced: samples,
                per_success_usd: None,
                mean_seconds: Some(90),
            },
            failures: failures.iter().map(|(class, count)| ((*class).to_owned(), *count)).collect(),
        }
    }

    fn view(rows: Vec<StandingView>, recommended: Option<Recommended>) -> PatternsView {
        let by_type = BTreeMap::from([("fix".to_owned(), rows.clone())]);
        PatternsView { task_type: None, project: None, label: None, samples: 4, total: 4, recommended, rows, by_type }
    }

    #[test]
    fn who_is_proven_by_nothing_is_not_recommended_and_the_reason_is_reported() {
        let text = recommendation(&view(vec![row("claude", 2, &[("timeout", 2)])], None), 100, Paint::OFF);
        assert!(text.starts_with("no recommendation for any: that takes at least 3 judged runs"), "{text}");
        assert!(text.contains("claude small") && text.contains("50%") && text.contains("25%-75%"), "{text}");
        let none = PatternsView { total: 0, ..view(Vec::new(), None) };
        assert_eq!(recommendation(&none, 100, Paint::OFF).lines().count(), 1);
    }

    #[test]
    fn what_a_person_recorded_is_marked() {
        let mut first = row("claude", 3, &[]);
        first.outcomes.by_hand = 2;
        let text = table(&[first, row("codex", 4, &[])], 120, Paint::OFF);
        assert!(text.contains("3 (2 by hand)") && !text.contains("4 ("), "{text}");
    }

    #[test]
    fn what_fails_most_comes_first_and_an_empty_table_says_why() {
        let text = failures(&view(vec![row("claude", 2, &[("no_change", 1), ("timeout", 3)])], None), 100, Paint::OFF);
        let lines: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [["claude", "small", "timeout", "3", "50%"], ["claude", "small", "no_change", "1", "17%"]]);
        let good = view(vec![row("claude", 2, &[])], None);
        assert_eq!(failures(&good, 100, Paint::OFF), "all that was judged was accepted\n");
        assert!(report(&view(vec![row("claude", 3, &[])], None), 100, Paint::OFF).starts_with("fix\n"));
    }

    #[test]
    fn a_filter_that_finds_nothing_says_so_and_how_many_there_are() {
        let empty = |total| PatternsView { total, by_type: BTreeMap::new(), ..view(Vec::new(), None) };
        let of_docs = PatternsView {
            task_type: Some("docs".to_owned()),
            project: Some("/shop".into()),
            label: Some("api\u{1b}[2J".to_owned()),
            ..empty(4)
        };
        let text = standings(&of_docs, 100, Paint::OFF);
        assert!(text.starts_with("no judged run is of type docs, of the project /shop, with the label api"), "{text}");
        assert!(text.ends_with("; there are 4 judged runs in all\n") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(failures(&of_docs, 100, Paint::OFF), text);
        assert_eq!(report(&of_docs, 100, Paint::OFF), text);
        assert!(recommendation(&of_docs, 100, Paint::OFF).ends_with(&text));
        assert_eq!(standings(&empty(0), 100, Paint::OFF), NOTHING);
    }
}
