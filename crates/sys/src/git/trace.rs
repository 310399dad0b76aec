//! The git commands of a run, reported by git itself: every git that inherits these variables appends events to one
//! file (trace2, one line of JSON each). They prove which command of which run changed the repository outside of its
//! worktree.
//!
//! The file is in the worktree's own git directory, which a sandboxed agent may write. A run that drops the variables
//! leaves no proof: this protects people from wrong blame, not the repository from a malicious agent.

use super::call::Checkout;
use super::command::GitCommand;
use super::repo::Repo;
use super::worktrees::same_place;
use crate::fs;
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The prefix of a trace file's name; the run and the extension follow.
const PREFIX: &str = "orch-";
const ENDING: &str = ".trace";
/// The most that is read of one trace, in bytes. A git command takes about 5 kB.
const READ_AT_MOST: u64 = 1 << 30;
/// The longest event that is parsed, in bytes.
const EVENT: usize = 1 << 20;

/// Returns the path of a run's trace file.
pub fn trace_file(git_dir: &Path, run: &str) -> PathBuf {
    git_dir.join(format!("{PREFIX}{run}{ENDING}"))
}

/// Returns the environment variables that make git trace into a file.
pub fn trace_variables(file: &Path) -> [(&'static str, String); 3] {
    [
        ("GIT_TRACE2_EVENT", file.to_string_lossy().into_owned()),
        ("GIT_TRACE2_EVENT_BRIEF", "1".to_owned()),
        ("GIT_TRACE2_EVENT_NESTING", "1".to_owned()),
    ]
}

/// Removes the traces of earlier runs in the same worktree.
pub fn forget_traces(git_dir: &Path) {
    for entry in std::fs::read_dir(git_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX)
            && name.ends_with(ENDING)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!(file = %entry.path().display(), %error, "a trace of an earlier run is left behind");
        }
    }
}

impl Repo {
    /// Returns the commands of a run that worked on this repository or pushed into it, in order of their start.
    /// Blocking.
    pub fn traced(&self, own: &Checkout, run: &str) -> Vec<GitCommand> {
        let Ok(file) = std::fs::File::open(trace_file(&own.git_dir, run)) else { return Vec::new() };
        let mut commands = parse(BufReader::new(file.take(READ_AT_MOST)));
        commands.retain(|command| match (&command.pushed_to, &command.place) {
            (Some(place), _) | (None, Some(place)) => self.owns(place, own),
            (None, None) => false,
        });
        commands
    }

    /// Returns whether a command worked in the main checkout.
    pub fn is_in_main(&self, command: &GitCommand) -> bool {
        command.place.as_deref().is_some_and(|place| is_same(place, &self.root))
    }

    /// Returns whether a path is a checkout of this repository, or its git directory.
    fn owns(&self, place: &Path, own: &Checkout) -> bool {
        let linked = || fs::read_text(&place.join(".git"), 16 << 10).unwrap_or_default();
        [&self.root, &self.common_dir, &own.work_tree, &own.git_dir].iter().any(|one| is_same(place, one))
            || is_same(&place.join(".git"), &self.common_dir)
            || linked()
                .strip_prefix("gitdir: ")
                .is_some_and(|dir| Path::new(dir.trim_end()).starts_with(&self.common_dir))
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    same_place(one, other) || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// The fields of an event that are used.
#[derive(Deserialize)]
struct Event {
    event: String,
    /// The process after its ancestors, separated by `/`.
    sid: String,
    #[serde(default)]
    argv: Vec<String>,
    worktree: Option<PathBuf>,
    key: Option<String>,
    value: Option<serde_json::Value>,
    code: Option<i32>,
}

fn parse(mut lines: impl BufRead) -> Vec<GitCommand> {
    let (mut commands, mut by_process) = (Vec::<GitCommand>::new(), HashMap::<String, usize>::new());
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        // Most events only measure durations.
        let is_wanted =
            [&b"{\"event\":\"start\""[..], b"{\"event\":\"def_repo\"", b"{\"event\":\"exit\"", b"{\"event\":\"data\""]
                .iter()
                .any(|beginning| line.starts_with(beginning));
        if let Some(event) = Some(&line)
            .filter(|line| is_wanted && line.len() <= EVENT)
            .and_then(|line| serde_json::from_slice(line).ok())
        {
            note(event, &mut commands, &mut by_process);
        }
        line.clear();
    }
    let pushed: Vec<(usize, PathBuf)> = by_process
        .iter()
        .filter_map(|(sid, index)| {
            let target = commands[*index].received_at()?;
            let parent = by_process.get(sid.rsplit_once('/')?.0)?;
            Some((*parent, target))
        })
        .collect();
    for (parent, target) in pushed {
        let at = commands[parent].place.clone().unwrap_or_default();
        commands[parent].pushed_to = Some(at.join(target));
    }
    commands
}

fn note(event: Event, commands: &mut Vec<GitCommand>, by_process: &mut HashMap<String, usize>) {
    if event.event == "start" {
        by_process.insert(event.sid, commands.len());
        commands.push(GitCommand::new(event.argv));
        return;
    }
    let Some(command) = by_process.get(&event.sid).and_then(|index| commands.get_mut(*index)) else { return };
    match (event.event.as_str(), event.key.as_deref(), event.value) {
        ("def_repo", ..) => command.place = command.place.take().or(event.worktree),
        ("data", Some("implicit-bare-repository"), Some(serde_json::Value::String(dir))) => {
            command.place = Some(dir.into());
        }
        ("exit", ..) => command.code = event.code,
        _measured => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_place_their_end_and_where_they_push_to() {
        let text = concat!(
            r#"{"event":"start","sid":"a","argv":["git","push",".","HEAD:main"]}"#,
            "\n",
            r#"{"event":"def_repo","sid":"a","repo":1,"worktree":"/wt"}"#,
            "\nnot JSON\n",
            r#"{"event":"region_enter","sid":"a"}"#,
            "\n",
            r#"{"event":"start","sid":"a/b","argv":["git-receive-pack","."]}"#,
            "\n",
            r#"{"event":"start","sid":"c","argv":["git","-C","/m/.git","update-ref","refs/heads/main","HEAD"]}"#,
            "\n",
            r#"{"event":"data","sid":"c","category":"setup","key":"implicit-bare-repository","value":"/m/.git"}"#,
            "\n",
            r#"{"event":"exit","sid":"c","code":128}"#,
            "\n",
            r#"{"event":"exit","sid":"a","code":0}"#,
            "\n",
            r#"{"event":"start","sid":"d","argv":["git","st"#,
        );
        let commands = parse(text.as_bytes());
        assert_eq!(commands.len(), 3);
        assert_eq!((commands[0].place.as_deref(), commands[0].code), (Some(Path::new("/wt")), Some(0)));
        assert_eq!(commands[0].pushed_to.as_deref(), Some(Path::new("/wt/.")));
        assert_eq!((commands[2].place.as_deref(), commands[2].code), (Some(Path::new("/m/.git")), Some(128)));
    }
}
