//! `orch dashboard`: prints the state of everything on one screen, once.

mod page;

use super::batch::batch_name;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::status::page::Page;
use orch_api::endpoint;
use orch_api::queries::DashboardQuery;
use orch_core::planning::batch::BatchName;

/// Arguments of `orch dashboard`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only tasks of this batch
    #[arg(long, value_name = "NAME", value_parser = batch_name)]
    batch: Option<BatchName>,
}

/// Prints the dashboard.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let query = DashboardQuery { batch: args.batch.map(|name| name.to_string()) };
    let request = endpoint::Dashboard { query };
    let mut link = context.link().await?;
    if context.ui.is_json() {
        let document = link.raw(&request).await?;
        context.ui.raw_json(&document)?;
    } else {
        let view = link.call(&request).await?;
        // One line is left for the prompt.
        let rows = context.ui.rows().map(|rows| rows.saturating_sub(1));
        let page = Page { now: context.now(), columns: context.ui.columns(), rows, paint: context.ui.paint() };
        context.ui.data(&page::render(&page, &view, link.is_own()))?;
    }
    link.close().await?;
    Ok(Exit::Done)
}
