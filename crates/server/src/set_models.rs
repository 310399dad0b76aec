//! Sets models for the daemon's lifetime. A process that an agent has started sets none.

use super::ApiState;
use super::caller::Person;
use super::error::ApiError;
use super::read::Body;
use axum::Json;
use axum::extract::State;
use orch_api::error::ErrorCode;
use orch_api::set_models::{NewSetModel, SetModelView, SetModelsView};
use orch_core::operations::pause::PauseSelector;
use orch_engine::ModelOrder;

/// The longest name of a caller, in characters.
const LONGEST: usize = 200;

/// Lists all models that are set.
pub async fn list(State(state): State<ApiState>) -> Result<Json<Vec<SetModelView>>, ApiError> {
    let view = state.engine.snapshot().await?;
    Ok(Json(view.set_models.iter().map(SetModelView::from).collect()))
}

/// Sets a model for a part of the work.
pub async fn set(Person(state): Person, Body(new): Body<NewSetModel>) -> Result<Json<SetModelsView>, ApiError> {
    if new.model.is_none() {
        return Err(ApiError::new(ErrorCode::Usage, "no model is named", Some("for instance sonnet or auto:fast")));
    }
    order(&state, new).await
}

/// Undoes the setting of a model.
pub async fn reset(Person(state): Person, Body(new): Body<NewSetModel>) -> Result<Json<SetModelsView>, ApiError> {
    order(&state, NewSetModel { model: None, ..new }).await
}

async fn order(state: &ApiState, new: NewSetModel) -> Result<Json<SetModelsView>, ApiError> {
    let of = match (new.project, new.agent) {
        (Some(project), None) => PauseSelector::Project(project),
        (None, Some(agent)) => PauseSelector::Agent(agent),
        (None, None) | (Some(_), Some(_)) => {
            let message = "a model is set for a project or for an agent";
            return Err(ApiError::new(
                ErrorCode::Usage,
                message,
                Some("name one of them: --project NAME, --agent NAME"),
            ));
        }
    };
    let by =
        new.by.unwrap_or_else(|| "somebody".to_owned()).chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let set = state.engine.set_model(ModelOrder { of, model: new.model, by }).await?;
    Ok(Json(SetModelsView { changed: set.changed, set: set.all.iter().map(SetModelView::from).collect() }))
}
