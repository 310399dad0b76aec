//! docs/reference/commands.md, from the definition of the command line.

use super::generated::{code, must_hold, plain, table};
use clap::{Arg, Command};

#[test]
fn the_page_of_the_commands_lists_what_the_command_line_accepts() {
    must_hold("docs/reference/commands.md", "commands", &text());
}

fn text() -> String {
    let root = orch::cli::definition();
    let mut text = String::new();
    for (heading, names) in orch::cli::COMMAND_GROUPS {
        text.push_str(&format!("## {heading}\n\n"));
        for name in names {
            let command = root.find_subcommand(name).expect("each name of a group is a command");
            describe(command, &format!("orch {name}"), &root, &mut text);
        }
    }
    text
}

fn describe(command: &Command, path: &str, root: &Command, text: &mut String) {
    text.push_str(&format!("### {path}\n\n{}\n\n", sentence(&about(command))));
    let aliases: Vec<String> = command.get_visible_aliases().map(|alias| code(&format!("orch {alias}"))).collect();
    if !aliases.is_empty() {
        text.push_str(&format!("Also {}.\n\n", aliases.join(", ")));
    }
    let below: Vec<&Command> = shown_below(command).collect();
    if below.is_empty() || !command.is_subcommand_required_set() {
        let usage = command.clone().render_usage().to_string();
        text.push_str(&format!("```\n{}\n```\n\n", usage.trim_start_matches("Usage: ").trim()));
    }
    let rows: Vec<Vec<String>> = command.get_arguments().filter(|arg| is_own(arg)).map(row).collect();
    text.push_str(&table(&["argument", "meaning"], &rows));
    text.push_str(if rows.is_empty() { "" } else { "\n" });
    if let Some(after) = command.get_after_help() {
        text.push_str(&format!("```\n{}\n```\n\n", after.to_string().trim()));
    }
    let (short, long): (Vec<&Command>, Vec<&Command>) =
        below.into_iter().partition(|verb| path == "orch task" && is_the_same(verb, root));
    if !short.is_empty() {
        let names: Vec<String> = short.iter().map(|verb| code(verb.get_name())).collect();
        text.push_str(&format!("Long forms of the commands above: {}.\n\n", names.join(", ")));
    }
    for below in long {
        describe(below, &format!("{path} {}", below.get_name()), root, text);
    }
}

/// Whether `orch VERB` does what `orch task VERB` does.
fn is_the_same(verb: &Command, root: &Command) -> bool {
    root.find_subcommand(verb.get_name()).is_some_and(|short| about(short) == about(verb))
}

fn shown_below(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

fn about(command: &Command) -> String {
    command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default()
}

/// Not an option of every command.
fn is_own(arg: &Arg) -> bool {
    !arg.is_hide_set() && !["json", "flags", "help", "version"].contains(&arg.get_id().as_str())
}

fn row(arg: &Arg) -> Vec<String> {
    let values: Vec<String> = match arg.get_value_names() {
        Some(names) if arg.get_action().takes_values() => names.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let value = values.join(" ");
    let short = arg.get_short().map(|short| code(&format!("-{short}")));
    let long = arg.get_long().map(|long| code(format!("--{long} {value}").trim()));
    let mut names: Vec<String> = short.into_iter().chain(long).collect();
    if names.is_empty() {
        let many = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        names.push(code(&format!("{value}{}", if many { "…" } else { "" })));
    }
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut meaning = sentence(&help);
    let words: Vec<String> =
        arg.get_possible_values().iter().filter(|word| !word.is_hide_set()).map(|word| code(word.get_name())).collect();
    if !words.is_empty() && arg.get_action().takes_values() {
        meaning.push_str(&format!(" One of {}.", words.join(", ")));
    }
    let defaults: Vec<String> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        meaning.push_str(&format!(" Default: {}.", code(&defaults.join(" "))));
    }
    vec![names.join(", "), meaning]
}

/// Ends with a full stop.
fn sentence(text: &str) -> String {
    let text = plain(text.trim());
    if text.is_empty() || text.ends_with(['.', ':']) { text } else { format!("{text}.") }
}
