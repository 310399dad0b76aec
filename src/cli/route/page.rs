//! Renders the page of `orch route`. PURE.

use crate::cli::patterns::page::{similar, who};
use crate::cli::task::detail_view::DetailView;
use crate::cli::ui::paint::Paint;
use crate::cli::ui::text::line;
use orch_api::patterns::{OutcomesView, StandingView};
use orch_api::route::{ForecastView, ModelSourceView, OutlookView, ResolvedView, RouteView};
use orch_core::base::count;
use orch_core::models::model_path::Source;

/// Renders the answer.
pub fn answer(view: &RouteView, columns: usize, paint: Paint) -> String {
    let mut page = DetailView::new(paint);
    page.route_given(&view.route, view.resolver.given.as_deref());
    page.optional("project", view.project.as_ref().map(|dir| line(&dir.to_string_lossy()).into_owned()));
    page.field("type", line(&view.task_type));
    page.field("resolver", line(&resolver(&view.resolver)));
    page.optional("model from", sources(&view.resolver.sources).map(|text| line(&text).into_owned()));
    let chosen = who(&view.route.agent, view.resolver.given.as_deref().or(view.route.model.as_deref()));
    let task_type = &view.task_type;
    page.field("record", line(&record(view.record.chosen.as_ref(), &chosen, task_type)));
    if let Some(best) = &view.record.recommended {
        let text = format!("{}: {}", who(&best.agent, best.model.as_deref()), best.reason);
        page.field("proven", line(&text));
    }
    page.field("cost", line(&cost(&view.cost, &chosen)));
    if !view.similar.is_empty() {
        page.heading("Similar tasks of the past");
        page.push(&similar(&view.similar, columns, paint));
    }
    page.text()
}

fn resolver(found: &ResolvedView) -> String {
    let Some(model) = &found.model else { return found.reason.clone() };
    let tier = found.tier.as_ref().map(|tier| format!("tier {tier}"));
    let price = match (found.input_usd_per_mtok, found.output_usd_per_mtok) {
        (Some(input), Some(output)) => Some(format!("{input} in and {output} out for a million tokens")),
        (None, _) | (_, None) => Some("price not known".to_owned()),
    };
    let about: Vec<String> = tier.into_iter().chain(price).collect();
    format!("{model} ({}): {}", about.join(", "), found.reason)
}

/// Renders where the model comes from, and what else names one: `message: opus; not used: agent: haiku, route: sonnet`. `None` where
/// the route alone names it.
fn sources(sources: &[ModelSourceView]) -> Option<String> {
    let step = |step: &ModelSourceView| {
        let source = step.source.as_str().replace('_', " ");
        step.reference.as_ref().map_or_else(|| source.clone(), |reference| format!("{source}: {reference}"))
    };
    let (first, others) = sources.split_first()?;
    match others {
        [] if first.source == Source::Route => None,
        [] => Some(step(first)),
        others => {
            let others: Vec<String> = others.iter().map(step).collect();
            Some(format!("{}; not used: {}", step(first), others.join(", ")))
        }
    }
}

fn record(standing: Option<&StandingView>, chosen: &str, task_type: &str) -> String {
    let Some(OutcomesView { samples, successes, ci95: [low, high], by_hand, .. }) =
        standing.map(|standing| &standing.outcomes)
    else {
        return format!("no {task_type} by {chosen} was judged yet");
    };
    let by_hand = if *by_hand > 0 { format!("; {by_hand} of them recorded by hand") } else { String::new() };
    let (low, high) = (low * 100.0, high * 100.0);
    format!("{successes} of {samples} accepted in {task_type} (95 %: {low:.0} to {high:.0} %){by_hand}")
}

/// An unknown price is never shown as zero.
fn cost(outlook: &OutlookView, chosen: &str) -> String {
    let unpriced = match outlook.unpriced {
        0 => String::new(),
        count => format!(" ({count} have no price)"),
    };
    let Some(ForecastView { low_usd, median_usd, high_usd, samples, group }) = &outlook.forecast else {
        return format!("unknown: no priced run by {chosen} yet{unpriced}");
    };
    let runs = count::plural(*samples, "run");
    let words: Vec<&str> = group.iter().map(|shared| shared.as_str()).collect();
    let of = match words.split_last() {
        None => format!("{runs} by {chosen}, whatever the task"),
        Some((last, [])) => format!("{runs} by {chosen} of this {last}"),
        Some((last, others)) => format!("{runs} by {chosen} of this {} and {last}", others.join(", ")),
    };
    format!("about {median_usd} a run; the middle half of {of}: {low_usd} to {high_usd}{unpriced}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_api::route::SharedTrait;
    use orch_core::base::money::Usd;

    fn outlook(samples: u64, group: &[SharedTrait], unpriced: u64) -> OutlookView {
        let usd = Usd::from_micros;
        let group = group.to_vec();
        let (low_usd, median_usd, high_usd) = (usd(100_000), usd(250_000), usd(900_000));
        let forecast = (samples > 0).then_some(ForecastView { low_usd, median_usd, high_usd, samples, group });
        OutlookView { forecast, unpriced }
    }

    #[test]
    fn an_unknown_cost_is_never_shown_as_zero() {
        let text = cost(&outlook(0, &[], 3), "codex (its own choice)");
        assert_eq!(text, "unknown: no priced run by codex (its own choice) yet (3 have no price)");
        let none = ResolvedView::none("claude takes its own default");
        assert_eq!(resolver(&none), "claude takes its own default");
        let unpriced = ResolvedView { model: Some("a/b".to_owned()), ..ResolvedView::none("so") };
        assert_eq!(resolver(&unpriced), "a/b (price not known): so");
        assert_eq!(record(None, "codex", "fix"), "no fix by codex was judged yet");
    }

    #[test]
    fn a_forecast_says_of_which_runs_it_is() {
        let text = |samples, group: &[SharedTrait]| cost(&outlook(samples, group, 0), "claude small");
        for (samples, group, part) in [
            (
                7,
                [SharedTrait::Project, SharedTrait::Type, SharedTrait::Complexity].as_slice(),
                "7 runs by claude small of this project, type and complexity:",
            ),
            (7, &[SharedTrait::Complexity], "7 runs by claude small of this complexity:"),
            (1, &[], "1 run by claude small, whatever the task:"),
        ] {
            let text = text(samples, group);
            assert!(text.starts_with("about $0.25 a run;") && text.contains(part), "{text}");
            assert!(text.ends_with("$0.10 to $0.90"), "{text}");
        }
    }
}
