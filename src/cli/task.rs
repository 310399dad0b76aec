//! `orch task …`: one file per command.

pub mod add;
pub mod ask;
mod attach;
pub mod list;
pub mod log;
mod route;
pub mod run;
mod send;
pub mod settle;
mod sheet;
pub mod show;
mod unblock;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::{alone, together, why};
use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  orch task add \"Add a health endpoint\" -b \"GET /health → 200\" -l agent:claude -l complexity:simple
  orch task add \"Fix the flaky test\" --depends-on 1 --json
  git log -5 | orch task add \"Write a changelog\" --body-file -
  orch task list --status needs_review
  orch task run 1; orch task attach 2; orch task log 1 --follow
  orch task send 1 \"use the new API instead\"; orch task interrupt 1
  orch task unblock all

An id may be written 7 or '#7'.";

/// Arguments of `orch task`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a task
    Add(Box<add::Args>),
    /// List tasks: status, agent, model, title, age, and why they wait
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Show everything about a task: route with its reason, runs, evidence, commits, cost
    Show(show::Args),
    /// Run a task now, in this terminal, with live output
    Run(run::Args),
    /// Only ask which agent and model a task would get; changes nothing
    Route(route::Args),
    /// Do a task again from the beginning
    Retry(ask::Args),
    /// Say something to the agent of a task: at once where it can hear it, else with its next turn
    Send(send::Args),
    /// Stop the agent of a task and keep its conversation; task send goes on with it
    Interrupt(ask::Args),
    /// Give a task up; its agent is stopped
    Cancel(ask::Args),
    /// Send a task on that is blocked or needs review, or all of them
    Unblock(unblock::Args),
    /// Enter the agent's tmux session
    Attach(attach::Args),
    /// Print the output of a run, the newest by default
    Log(log::Args),
    /// Tell why a task does not move now, and what will move it
    Why(why::Args),
}

/// Runs one of them.
pub fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    match args.command {
        Command::Add(args) => alone(add::run(*args, context)),
        Command::List(args) => alone(list::run(args, context)),
        Command::Show(args) => alone(show::run(args, context)),
        Command::Run(args) => together(run::run(args, context)),
        Command::Route(args) => alone(route::run(args, context)),
        Command::Retry(args) => alone(ask::run(ask::Verb::Retry, args, context)),
        Command::Send(args) => alone(send::run(args, context)),
        Command::Interrupt(args) => alone(ask::run(ask::Verb::Interrupt, args, context)),
        Command::Cancel(args) => alone(ask::run(ask::Verb::Cancel, args, context)),
        Command::Unblock(args) => alone(unblock::run(args, context)),
        Command::Attach(args) => alone(attach::run(args, context)),
        Command::Log(args) => alone(log::run(args, context)),
        Command::Why(args) => alone(why::run(args, context)),
    }
}
