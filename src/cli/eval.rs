//! `orch eval`: evaluates routing policies on recorded outcomes. Reads files or the home's own runs; it needs no daemon
//! and writes nothing but the requested plot.

mod history;
mod plot;
mod routing;
mod view;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use clap::Subcommand;

/// The commands of `orch eval`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Replay a routing policy on recorded outcomes, with cross-validation
    Routing(routing::Args),
}

/// Runs the subcommand.
pub fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Routing(args) => routing::run(&args, context),
    }
}
