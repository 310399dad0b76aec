//! `orch help`: the everyday commands on half a screen, all commands by purpose, or one command.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use clap::Command;

/// The text of `orch`, `orch help` and `orch --help`.
pub const EVERYDAY: &str = "\
orch gives your tasks to coding agents, and judges the result by evidence.

Usage: orch [OPTIONS] COMMAND

  init      register this repository
  add       add a task:  orch add \"Fix the flaky test\" -l agent:claude
  list      the tasks, and why they wait
  run       run a task now, in this terminal
  serve     the daemon: runs everything by itself
  status    what is happening now; --watch updates it
  show      everything about a task
  why       why a task does not move, and what moves it
  diff      what the work of a task would change
  approve   accept that work;  reject: send it back with a reason;  merge: merge it now

Options of every command: --json, --set KEY=VALUE, -h, -V (the version)
All commands: orch help --all.  One of them: orch help COMMAND.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such thing, 4 no daemon, 5 a person is needed,
6 timed out, 7 refused, 64 no answer, 75 parked, 130 interrupted.
";

/// All visible commands, by purpose.
pub const GROUPS: [(&str, &[&str]); 7] = [
    (
        "Tasks",
        &[
            "add",
            "list",
            "show",
            "run",
            "edit",
            "retry",
            "cancel",
            "unblock",
            "send",
            "interrupt",
            "claim",
            "unclaim",
            "tree",
            "missing",
            "task",
        ],
    ),
    ("Watching", &["status", "dashboard", "stream", "log", "search", "events", "why", "wait", "attach", "open"]),
    ("Decisions", &["diff", "evidence", "approve", "reject", "merge", "revert"]),
    ("Money and models", &["route", "models", "cost", "budget", "patterns", "eval"]),
    ("Automation", &["job", "batch", "pulse", "channel", "notify"]),
    ("Daemon and service", &["serve", "shutdown", "pause", "resume", "service", "upgrade", "http"]),
    (
        "Setting up and care",
        &[
            "init",
            "project",
            "config",
            "doctor",
            "gc",
            "breaker",
            "backup",
            "restore",
            "demo",
            "completions",
            "version",
            "help",
        ],
    ),
];

/// Arguments of `orch help`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// List all commands
    #[arg(long)]
    all: bool,
    /// The command, for instance: config set
    #[arg(conflicts_with = "all")]
    command: Vec<String>,
}

/// Prints help.
pub fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let mut root = super::definition();
    let text = match (args.all, args.command.as_slice()) {
        (true, _) => all(&root),
        (false, []) => EVERYDAY.to_owned(),
        (false, path) => command_help(&mut root, path)?,
    };
    context.ui.bytes(text.as_bytes())?;
    Ok(Exit::Done)
}

fn all(root: &Command) -> String {
    let line = |name: &str| {
        let about = root.find_subcommand(name).and_then(Command::get_about);
        format!("  {name:<12}{}\n", about.map(ToString::to_string).unwrap_or_default())
    };
    let group = |(heading, names): &(&str, &[&str])| {
        format!("{heading}:\n{}", names.iter().map(|name| line(name)).collect::<String>())
    };
    let groups: Vec<String> = GROUPS.iter().map(group).collect();
    format!("{}\nEach verb of a task has a long form: orch merge 4 is orch task merge 4.\n", groups.join("\n"))
}

fn command_help(root: &mut Command, path: &[String]) -> Result<String, CliError> {
    let mut at = root;
    for word in path {
        let unknown = || CliError::usage(format!("there is no command orch {}", path.join(" ")), "orch help --all");
        at = at.find_subcommand_mut(word).ok_or_else(unknown)?;
    }
    Ok(at.render_long_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_everyday_page_fits_a_terminal_and_names_commands() {
        assert!(EVERYDAY.lines().count() <= 24, "{}", EVERYDAY.lines().count());
        assert!(EVERYDAY.lines().all(|line| line.chars().count() <= 100));
        let root = super::super::Cli::command();
        for name in EVERYDAY.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()) {
            assert!(root.find_subcommand(name).is_some(), "{name}");
        }
    }

    #[test]
    fn each_command_stands_in_one_group() {
        let root = super::super::Cli::command();
        let mut named: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut shown: Vec<&str> =
            root.get_subcommands().filter(|command| !command.is_hide_set()).map(Command::get_name).collect();
        named.sort_unstable();
        shown.sort_unstable();
        assert_eq!(named, shown);
        assert!(all(&root).contains("  merge       Merge a task's branch now"), "{}", all(&root));
    }

    #[test]
    fn one_command_is_explained_by_its_path() {
        let mut root = super::super::Cli::command();
        let path = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let output = command_help(&mut root, &path("config set")).expect("a command");
        assert!(output.contains("KEY"), "{output}");
        assert!(command_help(&mut root, &path("config nonsense")).is_err());
    }
}
