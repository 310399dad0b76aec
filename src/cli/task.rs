//! `orch task …`: one file per command.

pub mod add;
pub mod ask;
mod attach;
mod claim;
pub mod detail_view;
pub mod diff;
mod edit;
mod enter;
mod evidence;
mod form;
pub mod list;
pub mod log;
mod missing;
mod open;
mod route;
mod rule;
pub mod run;
mod send;
pub mod settle;
pub mod show;
mod tree;
mod unblock;
pub mod wait;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::runtime::{alone, together};
use super::why;
use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  orch task add \"Add a health endpoint\" -b \"GET /health → 200\" -l agent:claude -l complexity:simple
  orch task add \"Fix the flaky test\" --depends-on 1 --json
  git log -5 | orch task add \"Write a changelog\" --body-file -
  orch task list --status needs_review
  orch task edit 1; orch task edit 1 --title \"Fix both flaky tests\" --add-label urgent --priority 5
  orch task run 1; orch task attach 2; orch task log 1 --follow
  orch task send 1 \"use the new API instead\"; orch task interrupt 1
  orch task unblock all
  orch task diff 3 --stat; orch task approve 3; orch task reject 4 -m \"keep the old name\"
  orch task add \"Redo the parser\" --parent 3; orch task tree 3
  orch task wait 7 8 --until in_review --timeout 1h

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
    #[command(flatten)]
    Verb(Verb),
    /// Only ask which agent and model a task would get; changes nothing
    Route(route::Args),
}

/// What can be done with tasks: `orch VERB`, and in its long form `orch task VERB`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Add a task
    Add(Box<add::Args>),
    /// List tasks: status, agent, model, title, age, and why they wait
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Change what is wanted of a task: in your editor, or by options
    Edit(Box<edit::Args>),
    /// List the open tasks that tasks.yml has lost; write them there again, or give them up
    Missing(missing::Args),
    /// Show everything about a task: route with its reason, runs, evidence, commits, cost
    Show(show::Args),
    /// Print everything that the verdict on a task stands on, as one page of Markdown
    Evidence(evidence::Args),
    /// Run a task now, in this terminal, with live output
    Run(run::Args),
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
    /// Show what a task's branch would change, or has changed
    Diff(diff::Args),
    /// Accept the work of a task that asks you, as it is, and integrate it
    Approve(rule::AcceptArgs),
    /// Send the work of a task that asks you back to its author, with your reason
    Reject(rule::RejectArgs),
    /// Merge a task's branch now, once the checks pass on the result
    Merge(rule::AcceptArgs),
    /// Take back what a task has merged, by a commit of its own, once the checks pass without it
    Revert(rule::RevertArgs),
    /// Claim a task: no orch of somebody else begins it
    Claim(claim::Args),
    /// Let go of a task
    Unclaim(claim::Args),
    /// Show tasks with their parts, as a tree
    Tree(tree::Args),
    /// Wait until tasks are done, or stand where you want them; the exit code tells how it ended
    Wait(wait::Args),
    /// Enter the agent's tmux session
    Attach(attach::Args),
    /// Open a task's worktree: in your editor, a shell, or the agent's own program
    Open(enter::Args),
    /// Print the output of a run, the newest by default
    Log(log::Args),
    /// Tell why a task does not move now, and what will move it
    Why(why::Args),
}

/// Runs `orch task …`.
pub fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    match args.command {
        Command::Verb(verb) => carry_out(verb, context),
        Command::Route(args) => alone(route::run(args, context)),
    }
}

/// Runs one of the verbs.
pub fn carry_out(verb: Verb, context: &Context) -> Result<Exit, CliError> {
    match verb {
        Verb::Add(args) => alone(add::run(*args, context)),
        Verb::List(args) => alone(list::run(args, context)),
        Verb::Edit(args) => alone(edit::run(*args, context)),
        Verb::Missing(args) => alone(missing::run(args, context)),
        Verb::Show(args) => alone(show::run(args, context)),
        Verb::Evidence(args) => alone(evidence::run(args, context)),
        Verb::Run(args) => together(context, run::run(args, context)),
        Verb::Retry(args) => alone(ask::run(ask::Verb::Retry, args, context)),
        Verb::Send(args) => alone(send::run(args, context)),
        Verb::Interrupt(args) => alone(ask::run(ask::Verb::Interrupt, args, context)),
        Verb::Cancel(args) => alone(ask::run(ask::Verb::Cancel, args, context)),
        Verb::Unblock(args) => alone(unblock::run(args, context)),
        Verb::Diff(args) => alone(diff::run(args, context)),
        Verb::Approve(args) => together(context, rule::accept(rule::Verb::Approve, args, context)),
        Verb::Reject(args) => alone(rule::reject(args, context)),
        Verb::Merge(args) => together(context, rule::accept(rule::Verb::Merge, args, context)),
        Verb::Revert(args) => together(context, rule::revert(args, context)),
        Verb::Claim(args) => alone(claim::run(claim::Verb::Claim, args, context)),
        Verb::Unclaim(args) => alone(claim::run(claim::Verb::Unclaim, args, context)),
        Verb::Tree(args) => alone(tree::run(args, context)),
        Verb::Wait(args) => alone(wait::run(args, context)),
        Verb::Attach(args) => alone(attach::run(args, context)),
        Verb::Open(args) => alone(enter::run(args, context)),
        Verb::Log(args) => alone(log::run(args, context)),
        Verb::Why(args) => alone(why::run(args, context)),
    }
}
