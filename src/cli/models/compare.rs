//! `orch models compare`: shows models side by side, with their records here. PURE.

use super::show;
use crate::cli::patterns::page::counted;
use crate::cli::ui::{money, text};
use orch_api::models::ComparedView;
use orch_api::patterns::OutcomesView;

/// Renders a column for each model, and below, the models without judged runs.
pub fn render(references: &[String], views: &[ComparedView]) -> String {
    let models: Vec<_> = views.iter().map(|view| view.about.clone()).collect();
    let each = |value: &dyn Fn(&OutcomesView) -> String| {
        let cell = |view: &ComparedView| view.record.as_ref().map_or("-".to_owned(), |record| value(&record.outcomes));
        views.iter().map(cell).collect::<Vec<_>>()
    };
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    let rows = [
        ("own runs", each(&counted)),
        ("accepted", each(&|own| own.successes.to_string())),
        ("rate", each(&|own| percent(own.rate))),
        ("95 %", each(&|own| format!("{}-{}", percent(own.ci95[0]), percent(own.ci95[1])))),
        ("cost", each(&|own| money::sum(own.cost_usd, own.unpriced))),
        ("per accepted", each(&|own| money::sum(own.per_success_usd, own.unpriced))),
    ];
    let mut out = show::compared(references, &models, &rows);
    let mut untried: Vec<String> = Vec::new();
    for view in views.iter().filter(|view| view.record.is_none()) {
        let id = view.about.id.to_string();
        if !untried.contains(&id) {
            untried.push(id);
        }
    }
    if !untried.is_empty() {
        out.push_str(&format!("no run of {} was judged here yet\n", text::line(&untried.join(", "))));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_api::models::{ModelView, OwnRecordView};
    use orch_api::patterns::SampleView;
    use orch_core::economics::track_record::{Sample, Source, Verdict};
    use orch_core::models::catalog::{Catalog, ModelRef};
    use orch_core::models::provider_access::ProviderAccess;

    fn sample(agent: &str, model: &str) -> Sample {
        Sample {
            source: Source::Person { number: 1, by: "me".to_owned(), note: String::new() },
            title: String::new(),
            task_type: orch_core::tasks::task_type::TaskType::parse("fix"),
            labels: Vec::new(),
            project: None,
            complexity: None,
            agent: agent.to_owned(),
            model: Some(model.to_owned()),
            version: None,
            ended_at: crate::cli::fixture::now().at,
            took: None,
            cost: None,
            verdict: Verdict::Accepted,
        }
    }

    fn opus() -> ModelRef {
        ModelRef::new("anthropic", "claude-opus-4-6")
    }

    #[test]
    fn what_was_done_stands_beside_the_price_and_what_was_not_is_said() {
        let catalog = Catalog::built_in();
        let about = |id: &ModelRef| ModelView::new(catalog.model(id).expect("built in"), &ProviderAccess::default());
        let gpt = ModelRef::new("openai", "gpt-5.2");
        let one = SampleView::from(sample("claude", "opus"));
        let record = OwnRecordView::from_samples(&[one], crate::cli::fixture::now().at);
        let views = [ComparedView { about: about(&opus()), record }, ComparedView { about: about(&gpt), record: None }];
        let text = render(&["opus".to_owned(), "gpt-5.2".to_owned()], &views);
        let row = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim().to_owned();
        assert!(row("own runs").starts_with("1 (1 by hand)") && row("own runs").ends_with('-'), "{text}");
        assert!(row("rate").starts_with("100%") && row("per accepted").starts_with('?'), "{text}");
        assert!(row("95 %").contains("%-100%"), "{text}");
        assert_eq!(text.lines().last(), Some("no run of openai/gpt-5.2 was judged here yet"));
    }
}
