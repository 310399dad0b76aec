//! What a run did, by its own traces: the git commands that it made, and the files that its tools wrote.

use orch_core::base::ids::RunId;
use orch_core::models::agents::{EventReader, Stdin};
use orch_core::tasks::outcome::AgentEvent;
use orch_core::text::shell::{Place, written};
use orch_runner::RunDir;
use orch_sys::fs;
use orch_sys::git::{Change, Checkout, GitCommand, RefChange, Repo};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The most that is read of what an agent's CLI printed, in bytes.
const EVENTS: usize = 64 << 20;
/// The tools by which agents run a shell line.
const SHELLS: &[&str] = &["bash", "shell"];

/// What a run did, by its own traces.
pub struct Trail {
    repo: Repo,
    /// The git commands that it made on the repository.
    commands: Vec<GitCommand>,
    /// The absolute paths that its tools wrote; one that ends with `/` includes what is below it.
    files: Vec<String>,
    /// What its CLI printed.
    events: String,
}

impl Trail {
    /// Reads the traces of a run. Blocking.
    pub fn read(repo: Repo, checkout: &Checkout, run: &RunId, dir: &RunDir) -> Self {
        let commands = repo.traced(checkout, run.as_str());
        let events = fs::read_limited(&dir.events(), EVENTS).unwrap_or_default();
        let events = String::from_utf8_lossy(&events).into_owned();
        let files = written_by_tools(dir, &events, &checkout.work_tree, repo.root());
        Self { repo, commands, files, events }
    }

    fn command(&self, fits: impl Fn(&GitCommand) -> bool) -> Option<String> {
        self.commands.iter().find(|command| fits(command)).map(GitCommand::line)
    }

    fn command_in_main(&self, fits: impl Fn(&GitCommand) -> bool) -> Option<String> {
        self.command(|command| fits(command) && self.repo.is_in_main(command))
    }

    /// Returns whether the run put what was not committed in the main checkout into the stash.
    pub fn stashed_main(&self) -> bool {
        self.command_in_main(GitCommand::fills_stash).is_some()
    }

    /// Returns what proves that the run made a change; `None`: nothing does.
    pub fn proof(&self, change: &Change) -> Option<String> {
        match change {
            Change::Files { paths } => {
                self.wrote(self.repo.root(), paths).or_else(|| self.command_in_main(GitCommand::changes_checkout))
            }
            Change::Head { .. } => self.command_in_main(GitCommand::switches),
            Change::Ref(RefChange { before: Some(entry), after: None, .. }) if change.is_stash() => {
                self.command(GitCommand::empties_stash).filter(|_| self.took_out(entry))
            }
            Change::Ref(_) if change.is_stash() => self.command(GitCommand::fills_stash),
            // A command that names the ref says more than one that may have moved what was checked out.
            Change::Ref(moved) => self.command(|command| command.moves(&moved.name)).or_else(|| {
                let moves = || self.command_in_main(GitCommand::moves_branch);
                moved.is_checked_out.then(moves).flatten()
            }),
            Change::Programs { paths } => self.wrote(self.repo.common_dir(), paths),
            Change::Settings { keys, .. } => self.command(|command| keys.iter().any(|key| command.sets(key))),
        }
    }

    /// Whether the run took this entry out of the stash: git said so, or it took out more than it had put there. A person uses the
    /// same stash meanwhile.
    fn took_out(&self, entry: &str) -> bool {
        let count = |fits: fn(&GitCommand) -> bool| self.commands.iter().filter(|command| fits(command)).count();
        count(GitCommand::empties_stash) > count(GitCommand::fills_stash) || self.events.contains(&format!("({entry})"))
    }

    /// Returns whether the run's tools wrote one of these files below a directory.
    fn wrote(&self, dir: &Path, paths: &[String]) -> Option<String> {
        let is_written = |path: &PathBuf| {
            self.files.iter().any(|file| match file.strip_suffix('/') {
                Some(above) => path.starts_with(above),
                None => path == Path::new(file),
            })
        };
        let path = paths.iter().map(|path| dir.join(path)).find(is_written)?;
        Some(format!("it wrote {}", path.display()))
    }
}

/// Returns the files that an agent's tools wrote, by the events of its CLI. Blocking.
fn written_by_tools(dir: &RunDir, events: &str, worktree: &Path, main: &Path) -> Vec<String> {
    let Ok(launch) = dir.read_launch() else { return Vec::new() };
    let (worktree, main) = (worktree.to_string_lossy(), main.to_string_lossy());
    let place = Place { dir: &worktree, main: &main };
    let dialect = launch.dialect.dialect();
    match dialect.live_reader(&launch.spec.opening).filter(|_| launch.spec.stdin == Stdin::Live) {
        Some(mut reader) => written_in(&mut *reader, events, place),
        None => written_in(&mut *dialect.reader(launch.kind), events, place),
    }
}

fn written_in(reader: &mut (impl EventReader + ?Sized), events: &str, place: Place<'_>) -> Vec<String> {
    let (mut calls, mut files) = (BTreeMap::new(), Vec::new());
    for event in events.lines().flat_map(|line| reader.line(line)) {
        if let AgentEvent::ToolCall { id, name, input } = event {
            if SHELLS.contains(&name.to_ascii_lowercase().as_str()) {
                calls.insert(id, input);
            }
        } else if let AgentEvent::ToolResult { id, ok: true, edits, .. } = event {
            let lines = calls.remove(&id);
            let in_shell = lines.iter().flat_map(|line| written(line, place));
            let moved = edits.iter().filter_map(|edit| edit.moved_to.clone());
            let edited = edits.iter().map(|edit| edit.path.clone()).chain(moved);
            files.extend(in_shell.chain(edited).filter(|path| path.starts_with('/')));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::models::agents::DialectKind;
    use orch_core::tasks::outcome::RunKind;

    fn claude(calls: &[(&str, serde_json::Value, bool)]) -> Vec<String> {
        let mut events = String::new();
        for (number, (name, input, failed)) in calls.iter().enumerate() {
            let id = format!("t{number}");
            let call = serde_json::json!({"type": "assistant", "parent_tool_use_id": null, "message": {"model": "m", "content":
                [{"type": "tool_use", "id": id, "name": name, "input": input}]}});
            let result = serde_json::json!({"type": "user", "message": {"content":
                [{"type": "tool_result", "tool_use_id": id, "is_error": failed, "content": "x"}]}});
            events.push_str(&format!("{call}\n{result}\n"));
        }
        let mut reader = DialectKind::Claude.dialect().reader(RunKind::Work);
        written_in(&mut *reader, &events, Place { dir: "/w", main: "/m" })
    }

    #[test]
    fn a_tool_that_wrote_a_file_is_proof_and_one_that_read_it_or_was_refused_is_none() {
        let shell = |line: &str| serde_json::json!({"command": line});
        let write = serde_json::json!({"file_path": "/m/README.md", "content": "x"});
        assert_eq!(claude(&[("Bash", shell("echo x > /m/README.md"), false)]), ["/m/README.md"]);
        assert_eq!(claude(&[("Bash", shell("cd /m && rm -r docs"), false)]), ["/m/docs/"]);
        assert_eq!(claude(&[("Write", write.clone(), false)]), ["/m/README.md"]);
        assert_eq!(claude(&[("Bash", shell("cat /m/README.md; grep x /m/a > b"), false)]), ["/w/b"]);
        assert_eq!(claude(&[("Write", write, true), ("Bash", shell("rm /m/a"), true)]), [""; 0]);
    }
}
