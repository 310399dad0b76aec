//! Records samples that a person adds by hand.

use super::caller::Person;
use super::error::ApiError;
use super::read::Body;
use axum::Json;
use orch_api::error::ErrorCode;
use orch_api::patterns::{NewSample, Outcome, SampleView};
use orch_core::economics::recorded::{Entry, Known, check};
use orch_core::economics::track_record::{Sample, Worker};
use orch_core::models::catalog::Catalog;
use orch_core::models::provider_access::ProviderAccess;
use orch_core::models::resolve::{Needs, Records, Reference, Resolver, parse};
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task_type::TaskType;
use orch_engine::handle::View;

/// Stores one that is sound.
pub async fn record(Person(state): Person, Body(new): Body<NewSample>) -> Result<Json<SampleView>, ApiError> {
    let samples = state.engine.samples().await?;
    let view = state.engine.snapshot().await?;
    let known = Known { not_in_catalog: not_in_catalog(&view, &new.model), ..known(&view, &samples) };
    let word = Entry {
        task_type: new.task_type,
        agent: new.agent,
        model: new.model,
        accepted: new.outcome == Outcome::Success,
        complexity: new.complexity,
        project: new.project,
        cost: new.cost_usd,
        seconds: new.seconds,
        ended_at: new.ended_at,
        by: new.by.unwrap_or_else(|| "somebody".to_owned()),
        note: new.note,
    };
    let sound = check(word, &known, view.now)
        .map_err(|bad| ApiError::new(ErrorCode::Usage, bad.to_string(), Some(&bad.hint())))?;
    let stored = state.engine.record(sound).await?;
    Ok(Json(Sample::from(stored).into()))
}

/// What is known of types, agents and projects.
pub(super) fn known(view: &View, samples: &[Sample]) -> Known {
    let config = &view.settings.config;
    let is_own = |task_type: &TaskType| matches!(task_type, TaskType::Other(_));
    let of_tasks = view.tasks.values().map(|task| TaskType::from_spec(&task.spec));
    let types = samples.iter().map(|sample| sample.task_type.clone()).chain(of_tasks);
    let worked = samples.iter().map(|one| Worker { agent: one.agent.clone(), model: one.model.clone() });
    let agents = || config.agents.iter().map(|(name, _)| name.to_owned());
    let mapped = agents().flat_map(|agent| {
        let models = Complexity::ALL.map(|complexity| config.model_for(complexity, &agent).map(str::to_owned));
        models.into_iter().flatten().map(move |model| Worker { agent: agent.clone(), model: Some(model) })
    });
    Known {
        own_types: types.filter(is_own).map(|task_type| task_type.to_string()).collect(),
        agents: agents().collect(),
        workers: worked.chain(mapped).collect(),
        projects: view.projects.iter().map(|project| (project.name.clone(), project.dir.clone())).collect(),
        not_in_catalog: None,
    }
}

/// Why the catalog has no such model, and what it has. A tag or a tier means one model today and another one tomorrow: it has done nothing.
fn not_in_catalog(view: &View, model: &str) -> Option<(String, String)> {
    let config = &view.settings.config;
    if let Ok(Reference::Tag(_) | Reference::Tier(_)) = parse(model) {
        let hint = format!("`orch models resolve {model}` tells which model it means now");
        return Some((format!("{model} is a choice among models, and no model"), hint));
    }
    let catalog = Catalog::with(&config.model_additions());
    let (usability, records) = (ProviderAccess::default(), Records::default());
    let selection = &config.model_selection.0;
    let resolver = Resolver { catalog: &catalog, usability: &usability, selection, records: &records };
    resolver.resolve(model, &Needs::default()).err().map(|error| (error.to_string(), error.hint()))
}
