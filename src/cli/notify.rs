//! `orch notify`: sends a person's message to their channels.

use super::channel::kind;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use orch_api::channels::NewNotice;
use orch_api::endpoint;
use orch_core::operations::channel::ChannelKind;

/// Arguments of `orch notify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The message
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// Only to this channel; may be given several times
    #[arg(long = "channel", short = 'c', value_name = "NAME", value_parser = kind)]
    channels: Vec<ChannelKind>,
}

/// Queues the message; the daemon sends it, also after an outage.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let channels = args.channels.iter().map(ToString::to_string).collect();
    let mut link = context.link().await?;
    let messages = link.call(&endpoint::Notify { body: NewNotice { text: args.text, channels } }).await?;
    let is_own = link.is_own();
    link.close().await?;
    if context.ui.is_json() {
        context.ui.json(&messages)?;
        return Ok(Exit::Done);
    }
    let names: Vec<&str> = messages.iter().map(|view| view.channel.as_str()).collect();
    context.ui.data(&format!("for {}\n", names.join(", ")))?;
    if is_own {
        context.ui.note("no daemon runs: the message is sent when one does (orch serve)");
    }
    Ok(Exit::Done)
}
