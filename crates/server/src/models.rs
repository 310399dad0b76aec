//! Models: which there are, which one a reference means, and how they have done. By the environment and the settings of the
//! engine.

use super::ApiState;
use super::error::ApiError;
use super::read::{Body, Params};
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use orch_api::availability::{CheckQuestion, ProviderView, ProvidersView};
use orch_api::models::{CompareQuestion, ComparedView, ModelView, OwnRecordView, ResolutionView, ResolveQuestion};
use orch_api::patterns::SampleView;
use orch_api::queries::ModelsQuery;
use orch_api::set_models::SetModelView;
use orch_core::economics::track_record::Sample;
use orch_core::models::availability::State as Availability;
use orch_core::models::catalog::{Model, ModelRef};
use orch_core::models::provider_access::Way;
use orch_core::models::resolve::{Needs, Reference, parse};
use orch_core::models::set_model::SetModel;
use orch_core::operations::pause::PauseScope;
use orch_engine::{CheckResult, CurrentModels, ProviderCheck};
use std::collections::BTreeMap;

/// Lists all models, or those that the query selects.
pub async fn list(
    State(state): State<ApiState>,
    Params(wanted): Params<ModelsQuery>,
) -> Result<Json<Vec<ModelView>>, ApiError> {
    let models = state.engine.current_models().await?;
    let needs = Needs {
        capabilities: wanted.capability.into_iter().collect(),
        min_context: wanted.min_context,
        ..Needs::default()
    };
    let only_usable = wanted.usable == Some(true);
    let (catalog, usability) = (&models.book.catalog, &models.book.usability);
    let fits = |model: &&Model| (!only_usable || usability.allows(&model.id.provider)) && needs.met_by(model);
    let mut views: Vec<ModelView> =
        catalog.models().iter().filter(fits).map(|model| ModelView::new(model, usability)).collect();
    for set in &state.engine.snapshot().await?.set_models {
        let Some(id) = meant_by(set, &models) else { continue };
        let whose = SetModelView::from(set).whose();
        views.iter_mut().filter(|view| view.id == id).for_each(|view| view.set_for.push(whose.clone()));
    }
    Ok(Json(views))
}

/// Returns the model that is set, as the catalog has it; for an agent, the one that its program would get.
fn meant_by(set: &SetModel, models: &CurrentModels) -> Option<ModelRef> {
    match &set.scope {
        PauseScope::Agent { name } => models.model_of(name, &set.model),
        PauseScope::All | PauseScope::Project { .. } => resolved(models, &set.model),
    }
}

fn resolved(models: &CurrentModels, reference: &str) -> Option<ModelRef> {
    models.book.resolver().resolve(reference, &Needs::default()).ok().map(|found| found.model.id.clone())
}

/// Resolves a reference to a model.
pub async fn resolve(
    State(state): State<ApiState>,
    Body(asked): Body<ResolveQuestion>,
) -> Result<Json<ResolutionView>, ApiError> {
    let ResolveQuestion { reference, mode, require, min_context } = asked;
    let mut book = state.engine.current_models().await?.book;
    book.selection.mode = mode.unwrap_or(book.selection.mode);
    let needs = Needs { capabilities: require.into_iter().collect(), min_context, ..Needs::default() };
    let found = book.resolver().resolve(&reference, &needs)?;
    Ok(Json(ResolutionView::new(&reference, &found, &book.catalog, &book.usability)))
}

/// Compares models.
pub async fn compare(
    State(state): State<ApiState>,
    Body(asked): Body<CompareQuestion>,
) -> Result<Json<Vec<ComparedView>>, ApiError> {
    let models = state.engine.current_models().await?;
    let samples = by_model(&models.samples, |agent, name| resolve_worker(&models, agent, name));
    let compared = asked.references.iter().map(|reference| {
        let found = models.book.resolver().resolve(reference, &Needs::default())?;
        let about = ModelView::new(found.model, &models.book.usability);
        let record = samples.get(&about.id).and_then(|samples| OwnRecordView::from_samples(samples, models.now));
        Ok(ComparedView { about, record })
    });
    compared.collect::<Result<Vec<_>, ApiError>>().map(Json)
}

/// Checks whether providers can be used.
pub async fn check(
    State(state): State<ApiState>,
    Body(asked): Body<CheckQuestion>,
) -> Result<Json<ProvidersView>, ApiError> {
    let (now, checks) = state.engine.check_providers(asked.provider.as_deref(), asked.refresh).await?;
    let providers: Vec<ProviderView> = checks.iter().map(|check| checked(check, now)).collect();
    // No provider at all counts like a missing key.
    let code = providers.iter().map(|view| view.code).max().unwrap_or(Availability::InvalidKey.code());
    Ok(Json(ProvidersView { code, providers }))
}

fn checked(check: &ProviderCheck, now: Timestamp) -> ProviderView {
    let ProviderCheck { provider, way, result } = check;
    match result {
        CheckResult::Asked { probe, is_cached } => {
            let remedy = match (probe.verdict.state, way) {
                (Availability::InvalidKey, Some(Way::Key(variable))) => {
                    Some(format!("put a key that is valid into {variable}"))
                }
                (Availability::InvalidKey, _) => {
                    Some(format!("name the variable of its key: providers.{provider}.key_variable"))
                }
                (Availability::Unavailable, _) if *is_cached => {
                    Some(format!("orch models check {provider} --refresh asks again"))
                }
                (Availability::Available | Availability::Unavailable | Availability::RateLimited, _) => None,
            };
            ProviderView::asked(provider, probe, *is_cached, way.as_ref(), now).with(remedy)
        }
        CheckResult::Unasked(verdict) => {
            let has_no_key = verdict.state == Availability::InvalidKey;
            let remedy = has_no_key.then(|| "set the variable, or log in with its agent: orch doctor".to_owned());
            ProviderView::unasked(provider, verdict.clone(), way.as_ref()).with(remedy)
        }
    }
}

/// Returns the catalog's model for a recorded run.
fn resolve_worker(models: &CurrentModels, agent: &str, name: &str) -> Option<ModelRef> {
    // A tag or tier meant one model then and may mean another one now.
    if matches!(parse(name), Ok(Reference::Tag(_) | Reference::Tier(_))) {
        return None;
    }
    // An agent that is no longer declared may have worked with it.
    models.model_of(agent, name).or_else(|| resolved(models, name))
}

/// Groups the judged runs by model, whichever of its names was recorded: agents' programs name the same model differently.
fn by_model(
    samples: &[Sample],
    resolve: impl Fn(&str, &str) -> Option<ModelRef>,
) -> BTreeMap<ModelRef, Vec<SampleView>> {
    let mut known: BTreeMap<(&str, &str), Option<ModelRef>> = BTreeMap::new();
    let mut found: BTreeMap<ModelRef, Vec<SampleView>> = BTreeMap::new();
    for sample in samples {
        let Some(name) = sample.model.as_deref() else { continue };
        let id = known.entry((&sample.agent, name)).or_insert_with_key(|(agent, name)| resolve(agent, name));
        if let Some(id) = id.clone() {
            found.entry(id).or_default().push(SampleView::from(sample.clone()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::base::money::Usd;
    use orch_core::economics::track_record::{Source, Verdict, standings};
    use orch_core::tasks::task_type::TaskType;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn sample(agent: &str, model: Option<&str>, accepted: bool, cost: Option<Usd>) -> Sample {
        Sample {
            source: Source::Person { number: 1, by: "me".to_owned(), note: String::new() },
            title: String::new(),
            task_type: TaskType::parse("fix"),
            labels: Vec::new(),
            project: None,
            complexity: None,
            agent: agent.to_owned(),
            model: model.map(str::to_owned),
            version: None,
            ended_at: NOW,
            took: None,
            cost,
            verdict: if accepted { Verdict::Accepted } else { Verdict::Failed(None) },
        }
    }

    #[test]
    fn the_runs_of_a_model_count_under_every_name_and_agent() {
        let opus = ModelRef::new("anthropic", "claude-opus-4-6");
        let dollar = Some(Usd::from_micros(1_000_000));
        let all = [
            sample("claude", Some("opus"), true, dollar),
            sample("opencode", Some("anthropic/claude-opus-4-6"), false, dollar),
            sample("claude", Some("other"), true, dollar),
            sample("claude", None, true, dollar),
        ];
        let found = by_model(&all, |_, name| (name != "other").then(|| opus.clone()));
        assert_eq!(found.len(), 1);
        let own = OwnRecordView::from_samples(&found[&opus], NOW).expect("two runs");
        let outcomes = &own.outcomes;
        assert_eq!((outcomes.samples, outcomes.successes, outcomes.by_hand, outcomes.unpriced), (2, 1, 2, 0));
        assert_eq!(outcomes.per_success_usd, Some(Usd::from_micros(2_000_000)), "what failed is paid for as well");
        let names: Vec<&str> = own.recorded_as.iter().map(String::as_str).collect();
        assert_eq!(names, ["claude opus", "opencode anthropic/claude-opus-4-6"]);
        // The same arithmetic as in `orch patterns stats`.
        let mine = all.iter().take(2).cloned().map(|one| Sample { agent: "a".to_owned(), model: None, ..one });
        let (low, high) = standings(&mine.collect::<Vec<_>>(), NOW)[0].interval;
        assert_eq!(outcomes.ci95, [low, high]);
    }
}
