//! `orch route`: shows which agent and model a new task would get, why, and its likely cost. Changes nothing.

mod page;

use super::context::Context;
use super::draft_args::directory;
use super::error::CliError;
use super::exit::Exit;
use orch_api::endpoint;
use orch_api::route::{RouteQuestion, RouteView};
use std::path::PathBuf;

/// Arguments of `orch route`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is to be done, in one line
    #[arg(value_name = "TEXT")]
    title: String,
    /// The details
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    body: Option<String>,
    /// A label, such as type:fix or complexity:simple; may be given several times
    #[arg(short, long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Directory of the repository; without it, the repository you are in
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Sends the request, and prints the answer.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    let dir = directory(args.dir.as_deref(), context, &home).await?;
    let question = RouteQuestion { title: args.title, body: args.body.unwrap_or_default(), labels: args.labels, dir };
    let mut link = context.link().await?;
    let view: RouteView = context.ui.wait("asking the router", link.call(&endpoint::Route { body: question })).await?;
    if context.ui.is_json() {
        context.ui.json(&view)?;
    } else {
        context.ui.data(&page::answer(&view, context.ui.columns(), context.ui.paint()))?;
        view.route.warning.iter().chain(&view.warnings).for_each(|warning| context.ui.warning(warning));
        context.ui.note("nothing was added; next: orch add, with the same words");
    }
    link.close().await?;
    Ok(Exit::Done)
}
