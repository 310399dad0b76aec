//! The command line: one file per command, each with its arguments and a `run`. A client of the API; it knows neither
//! the store nor the rules. [`ui`] is the only place that prints, [`error`] the only one that chooses hints and codes.

mod config;
mod context;
mod demo;
mod doctor;
mod error;
mod events;
mod exit;
#[cfg(test)]
mod fixture;
mod hits;
mod http;
mod init;
mod project;
mod repository;
pub mod scripted_agent;
mod search;
mod serve;
mod settings;
mod since;
mod status;
mod stream;
mod task;
mod ui;
mod version;
mod why;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use context::Context;
use error::CliError;
use exit::Exit;
use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;
use ui::{Format, Ui};

const EXAMPLES: &str = "\
Examples:
  orch init                                     register this repository
  orch add \"Fix the flaky test\" -l agent:claude add a task
  orch list                                     what there is, and why it waits
  orch run 1                                    run a task now, in this terminal
  orch serve                                    the daemon: runs everything by itself
  orch show 1 --json                            everything about a task
  orch why 1                                    why it does not move, and what will move it

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such thing, 4 no daemon, 5 a person is needed,
6 timed out, 7 refused, 75 parked, 130 interrupted.";

/// Gives your tasks to coding agents, each in its own git worktree and tmux session, and judges the result by evidence.
#[derive(Debug, Parser)]
#[command(name = "orch", version, after_help = EXAMPLES, subcommand_required = true)]
#[command(arg_required_else_help = true, max_term_width = 110)]
struct Cli {
    /// Print JSON on stdout, and nothing else there
    #[arg(long, global = true, display_order = 100)]
    json: bool,
    /// Override a setting for this call, for instance --set router.mode=round_robin
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting, global = true, display_order = 101)]
    flags: Vec<(String, String)>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register this repository, write .orch.yml, approve its checks
    Init(init::Args),
    /// Run the daemon: takes tasks by itself until it is stopped
    Serve(serve::Args),
    /// One pass of the loop, then leave: for cron (same as serve --once)
    Pulse(serve::Pulse),
    /// Add, list, show, run and steer tasks
    Task(task::Args),
    /// Add a task (short for task add)
    Add(Box<task::add::Args>),
    /// List tasks (short for task list)
    #[command(visible_alias = "ls")]
    List(task::list::Args),
    /// Show everything about a task (short for task show)
    Show(task::show::Args),
    /// Run a task now, in this terminal (short for task run)
    Run(task::run::Args),
    /// Do a task again from the beginning (short for task retry)
    Retry(task::ask::Args),
    /// Give a task up (short for task cancel)
    Cancel(task::ask::Args),
    /// Print the output of a run (short for task log)
    Log(task::log::Args),
    /// Watch agents at work, live
    Stream(stream::Args),
    /// Look for a text in the output of all runs
    Search(search::Args),
    /// Tell why a task does not move now, and what will move it
    Why(why::Args),
    /// Tell how things stand
    Status(status::Args),
    /// Follow or print the history
    Events(events::Args),
    /// Tell where the API listens, and where its token is
    Http(http::Args),
    /// Read, check and change settings
    Config(config::Args),
    /// The registered repositories
    #[command(visible_alias = "projects")]
    Project(project::Args),
    /// Look whether everything that orch needs is there
    Doctor(doctor::Args),
    /// Play the whole job with three tasks in a temporary home
    Demo(demo::Args),
    /// Print the version
    Version,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs the command line, with the program's name first, and tells the exit code.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let wants_json = args.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return unparsed(&error, wants_json).into(),
    };
    let environment = crate::adapters::process::environment();
    let format = if cli.json { Format::Json } else { Format::Text };
    let ui = Ui::new(format, &environment);
    let exit = match std::env::current_dir().map_err(CliError::system("cannot tell the current directory")) {
        Ok(cwd) => run(cli.command, &Context { ui, environment, cwd, flags: cli.flags }),
        Err(error) => Err(error),
    };
    let exit = exit.unwrap_or_else(|error| {
        if !error.is_broken_pipe() {
            ui.error(&error);
        }
        error.exit()
    });
    exit.into()
}

/// Help and version are answers; everything else is wrong usage, in clap's own words.
fn unparsed(error: &clap::Error, wants_json: bool) -> Exit {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if is_answer {
        // A reader who has seen enough may leave.
        error.print().ok();
        return Exit::Done;
    }
    if wants_json {
        let message = error.to_string();
        let message = message.trim().trim_start_matches("error: ");
        let ui = Ui::new(Format::Json, &std::collections::BTreeMap::new());
        ui.error(&CliError::usage(message, "orch --help"));
    } else {
        error.print().ok();
    }
    Exit::Usage
}

fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Version => version::run(context),
        Command::Init(args) => alone(init::run(args, context)),
        Command::Serve(args) => together(serve::run(args, context)),
        Command::Pulse(args) => together(serve::run(args.into(), context)),
        Command::Task(args) => task::run(args, context),
        Command::Add(args) => alone(task::add::run(*args, context)),
        Command::List(args) => alone(task::list::run(args, context)),
        Command::Show(args) => alone(task::show::run(args, context)),
        Command::Run(args) => together(task::run::run(args, context)),
        Command::Retry(args) => alone(task::ask::run(task::ask::Verb::Retry, args, context)),
        Command::Cancel(args) => alone(task::ask::run(task::ask::Verb::Cancel, args, context)),
        Command::Log(args) => alone(task::log::run(args, context)),
        Command::Stream(args) => alone(stream::run(args, context)),
        Command::Search(args) => search::run(&args, context),
        Command::Why(args) => alone(why::run(args, context)),
        Command::Status(args) => alone(status::run(args, context)),
        Command::Events(args) => alone(events::run(args, context)),
        Command::Http(args) => alone(http::run(args, context)),
        Command::Config(args) => alone(config::run(args, context)),
        Command::Project(args) => alone(project::run(args, context)),
        Command::Demo(args) => together(demo::run(args, context)),
        Command::Doctor(args) => alone(doctor::run(args, context)),
    }
}

/// Runs a client on this thread alone: it starts sooner, and waits for others most of its time.
fn alone(command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    finish(runtime.map_err(CliError::system("cannot start the runtime"))?, command)
}

/// Runs an engine, which must not wait for a client that prints.
fn together(command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    finish(runtime.map_err(CliError::system("cannot start the runtime"))?, command)
}

fn finish(
    runtime: tokio::runtime::Runtime,
    command: impl Future<Output = Result<Exit, CliError>>,
) -> Result<Exit, CliError> {
    let exit = runtime.block_on(command);
    // What still blocks is a read that nobody waits for.
    runtime.shutdown_background();
    exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_walk_is_understood() {
        for line in [
            "init --name shop --base main --with-checks --json",
            "task add Title -b Body -l agent:claude -l complexity:simple --priority 3 --depends-on 1,#2 --parent 4 --type bug",
            "add Title --body-file - --dir /x --agent claude --model opus --complexity simple",
            "task list --status new --status done --all",
            "task ls",
            "ls --json",
            "task run 1",
            "task show #1 --json",
            "task route 3",
            "task retry 1",
            "task cancel 2",
            "task unblock 3",
            "task unblock all",
            "task attach 3",
            "task log 3 --run 1",
            "task log 3 --grep error.* -i -C 2 --since 10m --json",
            "log 3 --tail 20",
            "search panic --task 3 --since 2h -C 3 -i --regex --json",
            "task why 3",
            "why 3",
            "serve --once",
            "serve --until-idle --log stderr",
            "pulse",
            "config show --origin",
            "config set engine.max_parallel 8",
            "config schema --project",
            "project list",
            "projects list",
            "events --follow --since 12 --task 3 --json",
            "doctor",
            "status",
            "status --watch --json",
            "http --json",
            "version",
            "--set router.mode=round_robin serve",
        ] {
            let words = std::iter::once("orch").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_near_miss_is_told() {
        let error = Cli::try_parse_from(["orch", "task", "unblok"]).expect_err("no such command");
        assert!(error.to_string().contains("'unblock'"), "{error}");
        assert_eq!(unparsed_code(&["orch", "task", "show"]), 2);
        assert_eq!(unparsed_code(&["orch", "task", "show", "seven"]), 2);
        assert_eq!(unparsed_code(&["orch", "serve", "--once", "--until-idle"]), 2);
    }

    fn unparsed_code(words: &[&str]) -> u8 {
        let error = Cli::try_parse_from(words).expect_err("wrong usage");
        assert!(error.use_stderr());
        Exit::Usage.code()
    }
}
