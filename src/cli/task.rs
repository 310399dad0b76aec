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
use super::runtime::{multi_threaded, single_threaded};
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
    /// Show which agent and model a task would get; changes nothing
    Route(route::Args),
}

/// The verbs of tasks: `orch VERB`, or in the long form `orch task VERB`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Add a task
    Add(Box<add::Args>),
    /// List tasks: status, agent, model, title, age, and why they wait
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Change a task's fields: in your editor, or by options
    Edit(Box<edit::Args>),
    /// List open tasks that are missing from tasks.yml; restore or cancel them
    Missing(missing::Args),
    /// Show everything about a task: route with its reason, runs, evidence, commits, cost
    Show(show::Args),
    /// Print the evidence for a task's verdict, as one page of Markdown
    Evidence(evidence::Args),
    /// Run a task now, in this terminal, with live output
    Run(run::Args),
    /// Start a task again from scratch
    Retry(ask::Args),
    /// Send a message to a task's agent: at once if it is interactive, else with its next turn
    Send(send::Args),
    /// Stop a task's agent and keep its conversation; task send continues it
    Interrupt(ask::Args),
    /// Cancel a task; its agent is stopped
    Cancel(ask::Args),
    /// Unblock a task that is blocked or needs review, or all of them
    Unblock(unblock::Args),
    /// Show what a task's branch would change, or has changed
    Diff(diff::Args),
    /// Accept the work of a task that needs review, and integrate it
    Approve(rule::AcceptArgs),
    /// Reject the work of a task that needs review, with a reason for its author
    Reject(rule::RejectArgs),
    /// Merge a task's branch now, once the checks pass on the result
    Merge(rule::AcceptArgs),
    /// Revert what a task has merged, in a new commit, once the checks pass without it
    Revert(rule::RevertArgs),
    /// Claim a task: no other person's orch starts it
    Claim(claim::Args),
    /// Release a claim
    Unclaim(claim::Args),
    /// Show tasks with their subtasks, as a tree
    Tree(tree::Args),
    /// Wait until tasks are done or reach a status; the exit code says how it ended
    Wait(wait::Args),
    /// Attach to the agent's tmux session
    Attach(attach::Args),
    /// Open a task's worktree: in your editor, a shell, or the agent's own program
    Open(enter::Args),
    /// Print the output of a run, the newest by default
    Log(log::Args),
    /// Show why a task does not move now, and what will move it
    Why(why::Args),
}

/// Runs `orch task …`.
pub fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    match args.command {
        Command::Verb(verb) => carry_out(verb, context),
        Command::Route(args) => single_threaded(route::run(args, context)),
    }
}

/// Runs a verb.
pub fn carry_out(verb: Verb, context: &Context) -> Result<Exit, CliError> {
    match verb {
        Verb::Add(args) => single_threaded(add::run(*args, context)),
        Verb::List(args) => single_threaded(list::run(args, context)),
        Verb::Edit(args) => single_threaded(edit::run(*args, context)),
        Verb::Missing(args) => single_threaded(missing::run(args, context)),
        Verb::Show(args) => single_threaded(show::run(args, context)),
        Verb::Evidence(args) => single_threaded(evidence::run(args, context)),
        Verb::Run(args) => multi_threaded(context, run::run(args, context)),
        Verb::Retry(args) => single_threaded(ask::run(ask::Verb::Retry, args, context)),
        Verb::Send(args) => single_threaded(send::run(args, context)),
        Verb::Interrupt(args) => single_threaded(ask::run(ask::Verb::Interrupt, args, context)),
        Verb::Cancel(args) => single_threaded(ask::run(ask::Verb::Cancel, args, context)),
        Verb::Unblock(args) => single_threaded(unblock::run(args, context)),
        Verb::Diff(args) => single_threaded(diff::run(args, context)),
        Verb::Approve(args) => multi_threaded(context, rule::accept(rule::Verb::Approve, args, context)),
        Verb::Reject(args) => single_threaded(rule::reject(args, context)),
        Verb::Merge(args) => multi_threaded(context, rule::accept(rule::Verb::Merge, args, context)),
        Verb::Revert(args) => multi_threaded(context, rule::revert(args, context)),
        Verb::Claim(args) => single_threaded(claim::run(claim::Verb::Claim, args, context)),
        Verb::Unclaim(args) => single_threaded(claim::run(claim::Verb::Unclaim, args, context)),
        Verb::Tree(args) => single_threaded(tree::run(args, context)),
        Verb::Wait(args) => single_threaded(wait::run(args, context)),
        Verb::Attach(args) => single_threaded(attach::run(args, context)),
        Verb::Open(args) => single_threaded(enter::run(args, context)),
        Verb::Log(args) => single_threaded(log::run(args, context)),
        Verb::Why(args) => single_threaded(why::run(args, context)),
    }
}
