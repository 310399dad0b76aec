//! `orch models compare`: shows models side by side, with their records here. Runs are matched by every name that was
//! recorded, because agents' programs name the same model differently.

use super::{ModelContext, show};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{money, text};
use jiff::Timestamp;
use orch_api::endpoint;
use orch_api::models::{ComparedView, OwnRecordView};
use orch_api::patterns::SampleView;
use orch_api::queries::PatternsQuery;
use orch_core::models::catalog::ModelRef;
use orch_core::models::resolve::{Needs, Reference, parse};
use orch_engine::reach;
use std::collections::BTreeMap;

/// Prints the comparison.
pub async fn run(loaded: ModelContext, references: &[String], context: &Context) -> Result<Exit, CliError> {
    let mut models = Vec::new();
    for reference in references {
        models.push(loaded.view(loaded.resolver().resolve(reference, &Needs::default())?.model));
    }
    let mut link = context.link().await?;
    let samples = link.call(&endpoint::SampleList { query: PatternsQuery::default() }).await?;
    link.close().await?;
    let environment = &context.environment;
    let samples = by_model(samples, |agent, name| resolve_worker(&loaded, agent, name, environment));
    let now = context.now().at;
    let views: Vec<ComparedView> =
        models.into_iter().map(|about| ComparedView { record: record(samples.get(&about.id), now), about }).collect();
    if context.ui.is_json() {
        context.ui.json(&views)?;
    } else {
        context.ui.data(&render(references, &views))?;
    }
    Ok(Exit::Done)
}

/// Returns the catalog's model for a recorded run.
fn resolve_worker(
    models: &ModelContext,
    agent: &str,
    name: &str,
    environment: &BTreeMap<String, String>,
) -> Option<ModelRef> {
    // A tag or tier meant one model then and may mean another one now.
    if matches!(parse(name), Ok(Reference::Tag(_) | Reference::Tier(_))) {
        return None;
    }
    let needs = Needs::default();
    let named = reach(&models.config, agent, environment).name(models.resolver(), name, &needs).ok();
    let by_agent = named.and_then(|named| named.model);
    // An agent that is no longer declared may have worked with it.
    by_agent.or_else(|| models.resolver().resolve(name, &needs).ok().map(|found| found.model.id.clone()))
}

/// Groups the judged runs by model.
fn by_model(
    samples: Vec<SampleView>,
    resolve: impl Fn(&str, &str) -> Option<ModelRef>,
) -> BTreeMap<ModelRef, Vec<SampleView>> {
    let mut known: BTreeMap<(String, String), Option<ModelRef>> = BTreeMap::new();
    let mut found: BTreeMap<ModelRef, Vec<SampleView>> = BTreeMap::new();
    for sample in samples {
        let Some(name) = &sample.model else { continue };
        let who = (sample.agent.clone(), name.clone());
        let id = known.entry(who).or_insert_with_key(|(agent, name)| resolve(agent, name));
        if let Some(id) = id.clone() {
            found.entry(id).or_default().push(sample);
        }
    }
    found
}

fn record(samples: Option<&Vec<SampleView>>, now: Timestamp) -> Option<OwnRecordView> {
    OwnRecordView::from_samples(samples?, now)
}

/// Renders a column for each model, and below, the models without judged runs.
fn render(references: &[String], views: &[ComparedView]) -> String {
    let models: Vec<_> = views.iter().map(|view| view.about.clone()).collect();
    let each = |value: &dyn Fn(&OwnRecordView) -> String| {
        let cell = |view: &ComparedView| view.record.as_ref().map_or("-".to_owned(), value);
        views.iter().map(cell).collect::<Vec<_>>()
    };
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    let runs = |own: &OwnRecordView| match own.by_hand {
        0 => own.samples.to_string(),
        by_hand => format!("{} ({by_hand} by hand)", own.samples),
    };
    let rows = [
        ("own runs", each(&runs)),
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
    use orch_api::models::ModelView;
    use orch_core::base::money::Usd;
    use orch_core::economics::track_record::standings;
    use orch_core::economics::track_record::{Sample, Source, Verdict};
    use orch_core::models::catalog::Catalog;
    use orch_core::models::provider_access::ProviderAccess;

    fn sample(agent: &str, model: Option<&str>, accepted: bool, cost: Option<Usd>) -> Sample {
        Sample {
            source: Source::Person { number: 1, by: "me".to_owned(), note: String::new() },
            title: String::new(),
            task_type: orch_core::tasks::task_type::TaskType::parse("fix"),
            labels: Vec::new(),
            project: None,
            complexity: None,
            agent: agent.to_owned(),
            model: model.map(str::to_owned),
            version: None,
            ended_at: crate::cli::fixture::now().at,
            took: None,
            cost,
            verdict: if accepted { Verdict::Accepted } else { Verdict::Failed(None) },
        }
    }

    fn opus() -> ModelRef {
        ModelRef::new("anthropic", "claude-opus-4-6")
    }

    #[test]
    fn the_runs_of_a_model_count_under_every_name_and_agent() {
        let dollar = Some(Usd::from_micros(1_000_000));
        let all = [
            sample("claude", Some("opus"), true, dollar),
            sample("opencode", Some("anthropic/claude-opus-4-6"), false, dollar),
            sample("claude", Some("other"), true, dollar),
            sample("claude", None, true, dollar),
        ];
        let views = all.iter().cloned().map(SampleView::from).collect();
        let found = by_model(views, |_, name| (name != "other").then(opus));
        let now = crate::cli::fixture::now().at;
        let own = record(found.get(&opus()), now).expect("two runs");
        assert_eq!((own.samples, own.successes, own.by_hand, own.unpriced), (2, 1, 2, 0));
        assert_eq!(own.per_success_usd, Some(Usd::from_micros(2_000_000)), "what failed is paid for as well");
        let names: Vec<&str> = own.recorded_as.iter().map(String::as_str).collect();
        assert_eq!(names, ["claude opus", "opencode anthropic/claude-opus-4-6"]);
        // The same arithmetic as in `orch patterns stats`.
        let mine = all.iter().take(2).cloned().map(|one| Sample { agent: "a".to_owned(), model: None, ..one });
        let (low, high) = standings(&mine.collect::<Vec<_>>(), now)[0].interval;
        assert_eq!(own.ci95, [low, high]);
        assert!(record(found.get(&ModelRef::new("openai", "gpt-5.2")), now).is_none());
    }

    #[test]
    fn what_was_done_stands_beside_the_price_and_what_was_not_is_said() {
        let catalog = Catalog::built_in();
        let about = |id: &ModelRef| ModelView::new(catalog.model(id).expect("built in"), &ProviderAccess::default());
        let gpt = ModelRef::new("openai", "gpt-5.2");
        let one = SampleView::from(sample("claude", Some("opus"), true, None));
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
