//! `orch models check`: checks whether providers are usable, and exits with their state.

use super::show;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_api::availability::{CheckQuestion, ProvidersView};
use orch_api::endpoint;

/// Arguments of `orch models check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The provider; by default all with a key, a login or an entry under providers
    provider: Option<String>,
    /// Ignore answers of the last minutes; also fetches the provider's list of models
    #[arg(long)]
    refresh: bool,
}

/// Runs the checks.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let Args { provider, refresh } = args;
    let (mut link, ui) = (context.link().await?, &context.ui);
    let document = link.raw(&endpoint::ModelCheck { body: CheckQuestion { provider, refresh } }).await?;
    let view: ProvidersView = serde_json::from_slice(&document)?;
    let written = if ui.is_json() {
        ui.raw_json(&document)
    } else {
        ui.data(&show::checked(&view, &context.now(), ui.columns(), ui.paint()))
    };
    match written {
        Err(error) if !error.is_broken_pipe() => return Err(error),
        Ok(()) | Err(_) => link.close().await?,
    }
    Ok(Exit::Answer(view.code))
}
