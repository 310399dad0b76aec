//! Suggests commands for an unknown one: similar names on every level, and names that other tools use.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Command, Error};
use std::ffi::OsString;

/// The most suggestions that are shown.
const SHOWN: usize = 3;

/// Names that other tools use for a command of orch.
const SYNONYMS: [(&[&str], &[&str]); 33] = [
    (&["stop", "quit", "exit", "down"], &["orch shutdown", "orch interrupt ID", "orch service stop"]),
    (&["kill", "abort", "terminate", "stop-worker"], &["orch cancel ID", "orch interrupt ID"]),
    (&["start", "up", "daemon", "server"], &["orch serve", "orch service start", "orch run ID"]),
    (&["restart", "reload"], &["orch service restart", "orch retry ID"]),
    (&["join", "console"], &["orch attach ID"]),
    (&["say", "tell", "message", "ask-worker", "steer"], &["orch send ID TEXT"]),
    (&["logs", "output", "tail", "peek", "task-peek"], &["orch log ID", "orch stream ID", "orch service logs"]),
    (&["watch", "follow"], &["orch stream --all", "orch status --watch", "orch events --follow"]),
    (&["ps", "top", "running"], &["orch status", "orch list"]),
    (&["new", "create", "submit", "enqueue", "spawn-worker", "task-start"], &["orch add TITLE"]),
    (&["await", "task-await"], &["orch wait ID"]),
    (&["rm", "delete", "remove", "del", "task-cancel"], &["orch cancel ID", "orch project remove NAME"]),
    (&["done", "complete", "finish", "accept", "ok"], &["orch approve ID"]),
    (&["deny", "request-changes", "refuse"], &["orch reject ID -m REASON"]),
    (&["rollback", "undo"], &["orch revert ID"]),
    (&["redo", "rerun", "again"], &["orch retry ID"]),
    (&["info", "view", "get", "describe", "inspect"], &["orch show ID", "orch evidence ID"]),
    (&["ready", "questions", "inbox"], &["orch list --status needs_review", "orch status"]),
    (&["login", "auth", "setup", "install"], &["orch doctor", "orch init", "orch service install"]),
    (
        &["check", "health", "healthcheck", "health-check", "mem-check", "diagnose"],
        &["orch doctor", "orch models check"],
    ),
    (&["settings", "set", "preferences", "orchestrator-config"], &["orch config show", "orch config set KEY VALUE"]),
    (&["profiles", "list-profiles", "presets"], &["orch config preset", "orch models list"]),
    (&["providers", "agents", "model-availability", "availability"], &["orch models check", "orch doctor"]),
    (&["compare", "compare-models"], &["orch models compare A B"]),
    (&["resolve", "resolve-model"], &["orch models resolve NAME"]),
    (&["fallback", "fallback-chain"], &["orch models resolve NAME", "orch config show"]),
    (&["cron", "schedule", "schedules"], &["orch job list", "orch job add", "orch pulse"]),
    (&["history", "audit", "respawn-history"], &["orch events", "orch service history"]),
    (&["spend", "price", "usage", "budget-tracker"], &["orch cost", "orch budget status"]),
    (&["stats", "report", "pattern-tracker"], &["orch patterns", "orch cost"]),
    (&["clean", "cleanup", "prune"], &["orch gc"]),
    (&["repos", "repo", "repositories", "register"], &["orch init", "orch project list"]),
    (&["telegram", "discord", "webhook", "slack"], &["orch channel add"]),
];

/// Replaces the suggestions of the parser, which knows only the names of one level.
pub fn improve(error: &mut Error, root: &Command, args: &[OsString]) {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidSubcommand) else { return };
    let suggestions = suggest(root, args, wrong);
    error.remove(ContextKind::SuggestedSubcommand);
    error.remove(ContextKind::Suggested);
    if !suggestions.is_empty() {
        let text = StyledStr::from(format!("did you mean: {}", suggestions.join(", ")));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![text]));
    }
}

/// Returns whole commands, the most likely first.
fn suggest(root: &Command, args: &[OsString], wrong: &str) -> Vec<String> {
    let plain = wrong.to_lowercase().replace('_', "-");
    let known: Vec<Known> = commands(root, "orch");
    let here = level(root, args, wrong);
    // A verb of a task has two forms; the one in use is suggested.
    let tasks = root.find_subcommand("task");
    let is_of_tasks = |name: &str| tasks.is_some_and(|tasks| tasks.find_subcommand(name).is_some());
    let has_other_form = |command: &Known| match command.parent.as_str() {
        "orch" => here == "orch task" && is_of_tasks(&command.names[0]),
        "orch task" => here != "orch task" && root.find_subcommand(&command.names[0]).is_some(),
        _ => false,
    };
    let mut found: Vec<(usize, bool, &str)> = known
        .iter()
        .filter(|command| !has_other_form(command))
        .filter_map(|command| {
            let distance = command.names.iter().map(|name| strsim::damerau_levenshtein(&plain, name)).min()?;
            let is_here = command.parent == here;
            // A word of three letters is similar to too many others.
            (distance <= plain.chars().count() / 4
                || (is_here && distance <= plain.chars().count() / 3 && plain.len() > 3))
                .then_some((distance, !is_here, command.path.as_str()))
        })
        .collect();
    found.sort_unstable();
    let nearest = found.first().map(|(distance, ..)| *distance);
    let of_others =
        SYNONYMS.iter().find(|(words, _)| words.contains(&plain.as_str())).map(|(_, suggestions)| *suggestions);
    let near = found.iter().filter(|(distance, ..)| Some(*distance) == nearest).map(|(.., path)| (*path).to_owned());
    let of_others = of_others.into_iter().flatten().map(|command| (*command).to_owned());
    // The same word on another level, or a synonym, ranks before a similar spelling.
    let mut suggestions: Vec<String> =
        if nearest == Some(0) { near.chain(of_others).collect() } else { of_others.chain(near).collect() };
    let mut seen = Vec::new();
    suggestions.retain(|command| {
        let start = command.split(" ID").next().unwrap_or_default().to_owned();
        let is_new = !seen.contains(&start);
        seen.push(start);
        is_new
    });
    let is_elsewhere = |command: &String| !command.starts_with(&format!("{here} "));
    suggestions.sort_by_key(is_elsewhere);
    suggestions.truncate(SHOWN);
    suggestions
}

struct Known {
    path: String,
    parent: String,
    names: Vec<String>,
}

/// Returns every visible command below this one.
fn commands(command: &Command, path: &str) -> Vec<Known> {
    let mut found = Vec::new();
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        let names = std::iter::once(inner.get_name()).chain(inner.get_visible_aliases()).map(str::to_owned).collect();
        let own = format!("{path} {}", inner.get_name());
        found.push(Known { path: own.clone(), parent: path.to_owned(), names });
        found.extend(commands(inner, &own));
    }
    found
}

/// Returns the command that the unknown word was given to.
fn level(root: &Command, args: &[OsString], wrong: &str) -> String {
    let (mut at, mut path) = (root, "orch".to_owned());
    for word in args.iter().skip(1).filter_map(|arg| arg.to_str()).take_while(|word| *word != wrong) {
        if let Some(inner) = at.find_subcommand(word) {
            path = format!("{path} {}", inner.get_name());
            at = inner;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn suggestions(line: &str) -> Vec<String> {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let wrong = line.split(' ').next_back().expect("a word");
        suggest(&Cli::command(), &args, wrong)
    }

    #[test]
    fn a_command_of_another_level_is_found_there() {
        assert_eq!(suggestions("orch task pause"), ["orch pause"]);
        assert_eq!(suggestions("orch validate"), ["orch config validate"]);
    }

    #[test]
    fn words_of_other_tools_are_known_and_strange_ones_lead_nowhere() {
        assert!(suggestions("orch stop").contains(&"orch shutdown".to_owned()), "{:?}", suggestions("orch stop"));
        assert_eq!(suggestions("orch kill")[0], "orch cancel ID");
        assert!(
            suggestions("orch task stop").contains(&"orch interrupt ID".to_owned()),
            "{:?}",
            suggestions("orch task stop")
        );
        assert_eq!(suggestions("orch profiles")[0], "orch config preset");
        assert_eq!(suggestions("orch spawn_worker"), ["orch add TITLE"]);
        assert!(suggestions("orch gh").is_empty(), "{:?}", suggestions("orch gh"));
        assert!(suggestions("orch frobnicate").is_empty());
    }

    #[test]
    fn a_slip_of_the_hand_is_known_on_its_own_level() {
        assert_eq!(suggestions("orch task unblok"), ["orch task unblock"]);
        assert_eq!(suggestions("orch unblok"), ["orch unblock"]);
        assert_eq!(suggestions("orch sevre"), ["orch serve"]);
        assert_eq!(suggestions("orch stauts")[0], "orch status");
    }

    #[test]
    fn everything_that_is_proposed_is_a_command() {
        let root = Cli::command();
        let known: Vec<String> = commands(&root, "orch").into_iter().map(|command| command.path).collect();
        for (_, proposed) in SYNONYMS {
            for line in proposed {
                let is_word = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
                let words: Vec<&str> = line.split(' ').take_while(is_word).collect();
                assert!(known.contains(&words.join(" ")), "{line}");
            }
        }
    }

    #[test]
    fn no_synonym_is_a_command_of_the_first_level_or_stands_twice() {
        let root = Cli::command();
        let words: Vec<&str> = SYNONYMS.iter().flat_map(|(words, _)| words.iter().copied()).collect();
        for (at, word) in words.iter().enumerate() {
            assert!(root.find_subcommand(word).is_none() && !words[..at].contains(word), "{word}");
        }
    }
}
