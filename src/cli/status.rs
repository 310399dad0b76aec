//! `orch status`: shows the status on one screen, once or continuously.

pub mod page;
mod watch;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use orch_api::endpoint;
use orch_api::queries::StatusQuery;
use orch_api::status::StatusView;
use page::Page;

/// Arguments of `orch status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Follow until interrupted, and update in place
    #[arg(long, short)]
    watch: bool,
}

/// Prints the status.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    if args.watch { watch::run(context).await } else { once(context).await }
}

async fn once(context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    if context.ui.is_json() {
        let document = link.raw(&endpoint::Status { query: StatusQuery::default() }).await?;
        context.ui.raw_json(&document)?;
    } else {
        let overview = link.call(&endpoint::Status { query: StatusQuery::default() }).await?;
        let page = Page { now: context.now(), columns: context.ui.columns(), rows: None, paint: context.ui.paint() };
        context.ui.data(&page.render(&overview, link.is_own()))?;
        if link.is_own() {
            context.ui.note("next: orch serve");
        } else {
            version_differs(&overview.status).iter().for_each(|warning| context.ui.warning(warning));
        }
    }
    link.close().await?;
    Ok(Exit::Done)
}

fn version_differs(status: &StatusView) -> Option<String> {
    let own = env!("CARGO_PKG_VERSION");
    (status.version != own)
        .then(|| format!("the daemon is orch {}, this is orch {own}: restart the daemon", status.version))
}
