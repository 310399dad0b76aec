//! The command line: one file per command, each with its arguments and a `run`. A client of the API that knows neither
//! the store nor the rules. Only [`ui`] prints, and only [`error`] chooses hints and exit codes.

mod amount;
mod backup;
mod batch;
mod breaker;
mod budget;
mod channel;
mod config;
mod context;
mod cost;
mod dashboard;
mod demo;
mod doctor;
mod draft_args;
mod error;
mod eval;
mod events;
mod exe_path;
mod exit;
#[cfg(test)]
mod fixture;
mod gc;
mod help;
mod hint;
mod http;
mod init;
mod job;
mod manual;
mod models;
mod notify;
mod patterns;
mod pause;
mod project;
mod repository;
mod route;
#[cfg(test)]
mod runbook_tests;
mod runtime;
pub mod scripted_agent;
mod search;
mod search_results;
mod serve;
mod service;
mod settings;
mod shutdown;
mod since;
mod status;
mod stop;
mod stream;
mod task;
mod ui;
mod upgrade;
mod version;
mod why;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use context::Context;
use error::CliError;
use runtime::{multi_threaded, single_threaded};
use std::ffi::OsString;
use std::process::ExitCode;
use ui::{Format, Ui};

pub use exit::Exit;
pub use help::GROUPS as COMMAND_GROUPS;

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
6 timed out, 7 refused, 64 no answer, 75 parked, 130 interrupted.";

/// Gives your tasks to coding agents, each in its own git worktree and tmux session, and judges the result by evidence.
#[derive(Debug, Parser)]
#[command(name = "orch", version, after_help = EXAMPLES, subcommand_required = true)]
#[command(arg_required_else_help = true, max_term_width = 110, override_help = help::EVERYDAY)]
#[command(disable_help_subcommand = true)]
struct Cli {
    /// Print only JSON on stdout
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
    /// Run the daemon, which runs tasks until it is stopped
    Serve(serve::Args),
    /// Run one pass of the loop, then exit: for cron (same as serve --once)
    Pulse(serve::Pulse),
    /// Pause everything, a project or an agent: nothing new starts; running agents continue
    Pause(pause::Args),
    /// Resume what was paused
    Resume(pause::Args),
    /// Stop the daemon: at once, when all work is finished, or with its agents interrupted
    Shutdown(shutdown::Args),
    /// Manage the daemon as a service of brew, launchd or systemd: install, start, restart, status, logs, history
    #[command(subcommand)]
    Service(service::Command),
    #[command(flatten)]
    Verb(task::Verb),
    /// Add, list, show, run and steer tasks: the long form of these commands
    Task(task::Args),
    /// Watch running agents, live
    Stream(stream::Args),
    /// Search the output of all runs
    Search(search::Args),
    /// Show the status of orch and its tasks
    Status(status::Args),
    /// Show the state of everything on one screen
    Dashboard(dashboard::Args),
    /// Show budgets and what is left of them; set how providers are paid
    #[command(subcommand)]
    Budget(budget::Command),
    /// Show which agent and model a task would get, why, and its likely cost; adds nothing
    Route(route::Args),
    /// Show what was spent, by task, agent, model, project or day, and the cost of a merged change
    Cost(cost::Args),
    /// Show how agents and models have performed, and which one to use for a task
    #[command(subcommand)]
    Patterns(patterns::Command),
    /// Manage recurring jobs: add, list, enable, disable and fire them; show when they fire next
    #[command(subcommand, visible_alias = "jobs")]
    Job(job::Command),
    /// Run tasks as a batch, with its own concurrency limit and budget
    #[command(subcommand, visible_alias = "batches")]
    Batch(batch::Command),
    /// Show what keeps failing, and let it start again
    #[command(subcommand, visible_alias = "breakers")]
    Breaker(breaker::Command),
    /// Evaluate a routing policy on recorded outcomes
    #[command(subcommand)]
    Eval(eval::Command),
    /// Follow or print the history
    Events(events::Args),
    /// Show where the API listens, and where its token is
    Http(http::Args),
    /// List models, resolve references, compare models, check their providers
    #[command(subcommand, visible_alias = "model")]
    Models(models::Command),
    /// Read, check and change settings
    #[command(subcommand)]
    Config(config::Command),
    /// Manage notification channels: add, list, test, remove
    #[command(subcommand, visible_alias = "channels")]
    Channel(channel::Command),
    /// Send a message to your channels
    Notify(notify::Args),
    /// List the registered repositories, or forget one
    #[command(subcommand, visible_alias = "projects")]
    Project(project::Command),
    /// Check whether everything that orch needs is there
    Doctor(doctor::Args),
    /// Remove worktrees of finished tasks whose work is also elsewhere; shows why others stay
    Gc(gc::Args),
    /// Write the home into one file, also while a daemon runs
    Backup(backup::Args),
    /// Restore a backup; existing files are moved aside
    Restore(backup::RestoreArgs),
    /// Run three tasks in a temporary home, as a demonstration
    Demo(demo::Args),
    /// Check for a newer version of orch, and show what a restart would do to running tasks
    #[command(subcommand)]
    Upgrade(upgrade::Command),
    /// Print the completions for a shell
    Completions(manual::Completions),
    /// Write the manual pages
    #[command(hide = true)]
    Man(manual::Man),
    /// Print the version
    Version,
    /// List the everyday commands, all commands, or the options of one
    Help(help::Args),
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Returns the definition of the command line, from which the reference page is generated.
pub fn definition() -> clap::Command {
    let mut definition = Cli::command();
    definition.build();
    definition
}

/// Runs the command line, with the program's name first, and returns the exit code.
pub fn main(args: Vec<OsString>) -> ExitCode {
    runtime::on_own_stack(|| command_line(args))
}

fn command_line(args: Vec<OsString>) -> ExitCode {
    let wants_json = args.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let answers = has_answers_of_its_own(&args);
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(mut error) => {
            hint::improve(&mut error, &Cli::command(), &args);
            let exit = unparsed(&error, wants_json);
            return if answers && exit == Exit::Usage { Exit::NoAnswer } else { exit }.into();
        }
    };
    let environment = orch_sys::process::environment();
    let format = if cli.json { Format::Json } else { Format::Text };
    let ui = Ui::new(format, &environment);
    let exit = match std::env::current_dir().map_err(CliError::system("cannot determine the current directory")) {
        Ok(cwd) => run(cli.command, &Context { ui, environment, cwd, flags: cli.flags }),
        Err(error) => Err(error),
    };
    let exit = exit.unwrap_or_else(|error| {
        if error.is_afterword() {
            ui.warning(&error.to_string());
        } else if !error.is_broken_pipe() {
            ui.error(&error);
        }
        error.exit()
    });
    exit.into()
}

/// Returns whether the command's lowest exit codes are answers, so that wrong usage needs another one.
fn has_answers_of_its_own(args: &[OsString]) -> bool {
    let words: Vec<_> = args.iter().filter_map(|arg| arg.to_str()).filter(|arg| !arg.starts_with('-')).collect();
    words.windows(2).any(|pair| matches!(pair, ["models" | "model" | "budget", "check"] | ["budget", "recommend"]))
}

/// Prints help and versions, which are answers, or reports wrong usage in clap's words.
fn unparsed(error: &clap::Error, wants_json: bool) -> Exit {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if is_answer {
        // A reader may close stdout early.
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
        Command::Help(args) => help::run(&args, context),
        Command::Completions(args) => manual::completions(&args, context),
        Command::Man(args) => manual::man(&args, context),
        Command::Upgrade(args) => single_threaded(upgrade::run(args, context)),
        Command::Init(args) => single_threaded(init::run(args, context)),
        Command::Serve(args) => multi_threaded(context, serve::run(args, context)),
        Command::Pulse(args) => multi_threaded(context, serve::run(args.into(), context)),
        Command::Pause(args) => single_threaded(pause::run(pause::Verb::Pause, args, context)),
        Command::Resume(args) => single_threaded(pause::run(pause::Verb::Resume, args, context)),
        Command::Shutdown(args) => single_threaded(shutdown::run(args, context)),
        Command::Service(args) => single_threaded(service::run(args, context)),
        Command::Verb(verb) => task::carry_out(verb, context),
        Command::Task(args) => task::run(args, context),
        Command::Stream(args) => single_threaded(stream::run(args, context)),
        Command::Search(args) => search::run(&args, context),
        Command::Status(args) => single_threaded(status::run(args, context)),
        Command::Dashboard(args) => single_threaded(dashboard::run(args, context)),
        Command::Budget(args) => single_threaded(budget::run(args, context)),
        Command::Route(args) => single_threaded(route::run(args, context)),
        Command::Cost(args) => single_threaded(cost::run(args, context)),
        Command::Patterns(args) => single_threaded(patterns::run(args, context)),
        Command::Job(args) => single_threaded(job::run(args, context)),
        Command::Batch(args) => single_threaded(batch::run(args, context)),
        Command::Breaker(args) => single_threaded(breaker::run(args, context)),
        Command::Eval(args) => eval::run(args, context),
        Command::Events(args) => single_threaded(events::run(args, context)),
        Command::Http(args) => single_threaded(http::run(args, context)),
        Command::Models(args) => models::run(args, context),
        Command::Config(args) => single_threaded(config::run(args, context)),
        Command::Channel(args) => single_threaded(channel::run(args, context)),
        Command::Notify(args) => single_threaded(notify::run(args, context)),
        Command::Project(args) => single_threaded(project::run(args, context)),
        Command::Backup(args) => single_threaded(backup::run(args, context)),
        Command::Restore(args) => single_threaded(backup::restore(args, context)),
        Command::Demo(args) => multi_threaded(context, demo::run(args, context)),
        Command::Doctor(args) => single_threaded(doctor::run(args, context)),
        Command::Gc(args) => single_threaded(gc::run(args, context)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALK: &[&str] = &[
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
        "task edit 1",
        "task edit 1 --title New --body -x --add-label a --remove-label b --priority -3 --depends-on 1,2 --agent= --json",
        "task missing --cancel --dry-run --json",
        "task cancel 2",
        "task diff 2 --stat --json",
        "task evidence 2 --open",
        "diff 2",
        "task approve 2 --commit 0123abcd --no-wait",
        "task reject 2 -m -no",
        "task merge 2",
        "task revert 2 --json",
        "task unblock 3",
        "task unblock all",
        "task attach 3",
        "task log 3 --run 1",
        "task log 3 --grep error.* -i -C 2 --since 10m --json",
        "log 3 --tail 20",
        "search panic --task 3 --since 2h -C 3 -i --regex --json",
        "task why 3",
        "task claim 4",
        "task claim 4 --as ada --force --json",
        "task unclaim 4 --force",
        "task tree",
        "task tree 3 --json",
        "task tree --all",
        "task wait 7 #8 --until in_review --timeout 1h --json",
        "wait 7",
        "why 3",
        "serve --once",
        "serve --until-idle --log stderr",
        "pulse",
        "config show --origin",
        "channel add telegram --chat-id -100123 --allow 42 --allow 43 --token-file - --json",
        "channel add discord --channel-id 1 --allow 2 --allow-role 3 --token-env DISCORD_TOKEN",
        "channel add webhook --url https://example.com/hook",
        "channel add desktop",
        "channel list --json",
        "channels ls",
        "channel test telegram",
        "channel remove webhook --json",
        "notify Done -c telegram --channel desktop --json",
        "models list --usable --tag vision --json",
        "models resolve auto:vision --mode economical --require vision,tools --min-context 64000 --json",
        "models compare sonnet opus gpt-5.2 --json",
        "models check",
        "models check anthropic --refresh --json",
        "config set engine.max_parallel 8",
        "config preset",
        "config preset save-money --dry-run --json",
        "config schema --project",
        "project list",
        "project remove shop --json",
        "projects list",
        "events --follow --since 12 --task 3 --json",
        "breaker list --json",
        "eval routing --outcomes a.csv --policy p.yml --gate fa=0.2,fr=0.1 --seed 1 --seeds 5 --folds 5 --plot a.svg --json",
        "eval routing --history --gate fa=0,fr=0 --json",
        "breaker reset",
        "breakers reset agent:claude",
        "job add @daily Title",
        "job add @daily --run true --id x --tz UTC --catch-up all --overlap allow --jitter 5m --timeout 1h --disabled",
        "job list --json",
        "jobs ls",
        "job show x",
        "job enable x",
        "job disable x",
        "job remove x --dry-run",
        "job run x --json",
        "job next -n 5 x --json",
        "batch create night --tasks 4,5,6 --concurrency 2 --budget 10 --json",
        "batch list --json",
        "dashboard",
        "dashboard --batch night --json",
        "batches ls",
        "batch show night",
        "batch set night --budget $20.50 --concurrency 3",
        "batch set night --no-budget",
        "batch cancel night --dry-run",
        "batch wait night --timeout 2h",
        "doctor",
        "doctor --fix --json",
        "doctor --fix --dry-run",
        "gc --dry-run --json",
        "backup /tmp/x.orch --force --with-runs --json",
        "restore /tmp/x.orch --dry-run --force --json",
        "status",
        "status --watch --json",
        "pause",
        "pause --project shop --json",
        "resume --agent claude",
        "resume --all",
        "shutdown --drain",
        "shutdown --now --dry-run --json",
        "serve --replace",
        "service history --json",
        "service install --supervisor systemd --dry-run --json",
        "service uninstall --supervisor homebrew",
        "service start --replace --json",
        "service stop --drain",
        "service restart --drain",
        "service status --json",
        "service logs -f -n 20",
        "upgrade check --json",
        "completions zsh",
        "man /tmp/pages",
        "serve --existing-home --log stderr",
        "run 3 --anyway",
        "run 3 --force-new",
        "models set auto:fast --agent claude --json",
        "models reset --project shop",
        "task send 3 hello --model auto:fast",
        "add Title --model tier:pro --model-policy sticky",
        "http --json",
        "version",
        "--set router.mode=round_robin serve",
        "budget configure anthropic --billing-type token --daily-budget 50",
        "budget configure opencode --billing-type subscription --priority 10",
        "budget configure-period opencode --start 2026-02-01 --end 2026-03-01 --allowance 200 --unit usd --reserve 20",
        "budget status anthropic --json",
        "budget check anthropic",
        "budget recommend",
        "budget burn-rate anthropic --json",
        "budget record anthropic --cost 3.50 --model opus --note here",
        "route Text -b -body -l type:fix -l complexity:simple --dir /x --json",
        "cost --by model --since 24h --per-merged --json",
        "patterns record --task-type fix --model sonnet --outcome success --tier simple --project shop --cost 0.41 --duration 10m --note -x --json",
        "patterns record --task-type fix --model sonnet --outcome failure --agent claude --ended 2h",
        "patterns recommend fix --project shop --label x",
        "patterns suggest text --limit 3",
        "patterns export --type docs",
    ];

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_walk_is_understood() {
        for line in WALK {
            let words = std::iter::once("orch").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_near_miss_is_reported() {
        let error = Cli::try_parse_from(["orch", "task", "unblok"]).expect_err("no such command");
        assert!(error.to_string().contains("'unblock'"), "{error}");
        assert_eq!(unparsed_code(&["orch", "task", "show"]), 2);
        assert_eq!(unparsed_code(&["orch", "task", "show", "seven"]), 2);
        assert_eq!(unparsed_code(&["orch", "serve", "--once", "--until-idle"]), 2);
    }

    #[test]
    fn wrong_usage_is_no_answer_of_a_command_that_has_its_own() {
        let has = |line: &str| has_answers_of_its_own(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(has("orch models check --bogus") && has("orch --json models --json check x"));
        assert!(has("orch budget check --bogus") && has("orch budget recommend x") && !has("orch budget status x"));
        assert!(!has("orch models list") && !has("orch task add check models"));
    }

    fn unparsed_code(words: &[&str]) -> u8 {
        let error = Cli::try_parse_from(words).expect_err("wrong usage");
        assert!(error.use_stderr());
        Exit::Usage.code()
    }
}
