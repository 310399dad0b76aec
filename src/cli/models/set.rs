//! `orch models set` and `orch models reset`: override the model of an agent or a project until the daemon stops.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::text::line;
use orch_api::client::ClientError;
use orch_api::endpoint;
use orch_api::set_models::{NewSetModel, SetModelView, SetModelsView};

/// The scope of an override.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Of {
    /// The project, by its name or directory
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

/// Sets the override, or removes it if no model is given.
pub async fn run(model: Option<String>, of: Of, context: &Context) -> Result<Exit, CliError> {
    let named = match (&of.project, &of.agent) {
        (Some(project), _) => format!("project {project}"),
        (None, agent) => format!("agent {}", agent.as_deref().unwrap_or_default()),
    };
    let order = NewSetModel { model, project: of.project, agent: of.agent, by: Some(context.person()) };
    let mut link = context.link().await?;
    if link.is_own() {
        link.close().await?;
        // An engine of this command would forget it at once.
        let source = std::io::Error::from(std::io::ErrorKind::NotConnected);
        return Err(ClientError::Unreachable { socket: context.setup()?.api_socket(), source }.into());
    }
    let body = order.clone();
    let view = match &order.model {
        Some(_) => link.call(&endpoint::SetModel { body }).await?,
        None => link.call(&endpoint::ResetModel { body }).await?,
    };
    if context.ui.is_json() {
        context.ui.json(&view)?;
    } else {
        context.ui.data(&render(order.model.as_deref(), &named, &view))?;
    }
    link.close().await?;
    Ok(Exit::Done)
}

fn render(model: Option<&str>, named: &str, view: &SetModelsView) -> String {
    let first = match (model, view.changed) {
        (Some(model), _) => format!("{named} works with {model} from its next run on, until the daemon ends"),
        (None, true) => format!("{named} works with the models of its routes again"),
        (None, false) => format!("no model was set for {named}"),
    };
    let rest: String = view.set.iter().map(|set| format!("  {}\n", one(set))).collect();
    format!("{}\n{rest}", line(&first))
}

/// Describes an override in one line.
pub fn one(set: &SetModelView) -> String {
    line(&format!("{}: {}, set by {}", set.whose(), set.model, set.by)).into_owned()
}
