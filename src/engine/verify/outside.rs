//! What changed in the repository outside of the worktree while a run lasted, and what of it the run did. Nothing is held
//! against a run that its own traces do not prove; what nobody can attribute is the person's, and is noted.

use crate::adapters::fs;
use crate::adapters::git::{Change, Checkout, Danger, GitCommand, Guard, RefChange, Repo};
use crate::agents::{EventReader, Stdin};
use crate::domain::evidence::Evidence;
use crate::domain::external::StepProblem;
use crate::domain::ids::RunId;
use crate::domain::outcome::AgentEvent;
use crate::domain::shell::{Place, written};
use crate::domain::task::Workplace;
use crate::engine::doors::Doors;
use crate::engine::launch::guard_file;
use crate::runner::RunDir;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest record of a repository, in bytes.
const GUARD: usize = 64 << 20;
/// The most that is read of what an agent's CLI printed, in bytes.
const EVENTS: usize = 64 << 20;
/// The tools by which agents run a shell line.
const SHELLS: &[&str] = &["bash", "shell"];

/// Refs by which git reads one object in the place of another.
const REPLACED: &str = "refs/replace/";

/// Where a run works, and under which rules.
pub struct Scene<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// The run's own checkout.
    pub checkout: &'a Checkout,
    /// What it began from.
    pub place: &'a Workplace,
    /// The run.
    pub run: &'a RunId,
    /// `workflow.sandbox`: the main checkout is closed to agents.
    pub sandbox: bool,
}

/// Compares the repository with the record of it before the run.
///
/// # Errors
/// git gives no answer: nothing is judged before the repository was compared.
pub async fn look_outside(doors: &Doors, scene: &Scene<'_>, evidence: &mut Evidence) -> Result<(), StepProblem> {
    let dir = doors.run_dir(scene.run);
    let guard = fs::read_limited(&guard_file(&dir), GUARD).ok();
    let guard = guard.and_then(|bytes| serde_json::from_slice::<Guard>(&bytes).ok());
    let Some(guard) = guard else {
        evidence.notes.push("the record of the repository before the run is gone; it was not compared".to_owned());
        return Ok(());
    };
    let changes = guard.check(scene.repo, || doors.ledger.moves(scene.repo.common_dir())).await?;
    if changes.is_empty() {
        return Ok(());
    }
    let (repo, checkout, run) = (scene.repo.clone(), scene.checkout.clone(), scene.run.clone());
    let read = tokio::task::spawn_blocking(move || {
        let commands = repo.traced(&checkout, run.as_str());
        let events = fs::read_limited(&dir.events(), EVENTS).unwrap_or_default();
        let events = String::from_utf8_lossy(&events).into_owned();
        let files = written_by_tools(&dir, &events, (&checkout.work_tree, repo.root()));
        Trail { repo, commands, files, events }
    });
    let Ok(trail) = read.await else {
        evidence.notes.push("what the run did could not be read".to_owned());
        return Ok(());
    };
    for change in &changes {
        let proof = match trail.proof(change) {
            Some(_) if is_stash_of_another(scene, change).await => None,
            None => own_commits_came(scene, change, evidence).await,
            proof => proof,
        };
        let detail = change.describe();
        let Some(proof) = proof else {
            evidence.notes.push(format!("{detail} (nothing shows that this run did it)"));
            continue;
        };
        if is_own_work(scene, change, evidence).await {
            continue;
        }
        let told = format!("{detail}, by this run: {proof}");
        let is_base = matches!(change, Change::Ref(moved) if moved.name == base_ref(scene.place));
        if is_forbidden(change, scene.sandbox || is_base) {
            evidence.take_back = evidence.take_back.take().or_else(|| take_back(scene, guard.was_clean(), change));
            let back = way_back(scene, guard.was_clean(), change)
                .filter(|_| !is_base)
                .map(|command| format!("; `{command}` puts it back"));
            evidence.violations.push(told + &back.unwrap_or_default());
            continue;
        }
        if let Change::Ref(RefChange { before: None, after: Some(entry), .. }) = change
            && change.is_stash()
        {
            let entry = entry.get(..10).unwrap_or(entry);
            evidence.uncommitted.push(format!("in the stash: {entry} (`git stash apply {entry}` brings it back)"));
        }
        evidence.notes.push(told);
    }
    Ok(())
}

fn base_ref(place: &Workplace) -> String {
    format!("refs/heads/{}", place.base_branch)
}

/// How a person undoes that the run moved the base branch. What came after it is theirs, and stays theirs to keep.
fn take_back(scene: &Scene<'_>, was_clean: bool, change: &Change) -> Option<String> {
    let Change::Ref(moved @ RefChange { before: Some(before), after, .. }) = change else { return None };
    let root = scene.repo.root().display();
    let back = way_back(scene, was_clean, change)?;
    let shown = after.iter().map(|after| format!("\n`git -C {root} log -p {before}..{after}` shows it"));
    let told = format!("unless other commits came since, `{back}` takes that back{}", shown.collect::<String>());
    (moved.name == base_ref(scene.place)).then_some(told)
}

/// The command by which a person undoes that something was moved or deleted. `was_clean`: nothing in the main checkout was
/// uncommitted when the run began; what was may stand in the run's commits, and stays in the checkout.
fn way_back(scene: &Scene<'_>, was_clean: bool, change: &Change) -> Option<String> {
    let Change::Ref(moved) = change else { return None };
    let (root, name) = (scene.repo.root().display(), &moved.name);
    Some(match &moved.before {
        Some(before) if change.is_stash() => format!("git -C {root} stash store -m \"put back\" {before}"),
        Some(before) if moved.is_checked_out && moved.after.is_some() => {
            format!("git -C {root} reset {}{before}", if was_clean { "--keep " } else { "" })
        }
        Some(before) => format!("git -C {root} update-ref {name} {before}"),
        None => format!("git -C {root} update-ref -d {name}"),
    })
}

/// What no run may do, once it is proven that it did. `is_closed`: the main checkout and its branches are closed to it.
fn is_forbidden(change: &Change, is_closed: bool) -> bool {
    match change {
        Change::Programs { .. } | Change::Settings { danger: Danger::Program, .. } => true,
        Change::Settings { danger: Danger::None, .. } => false,
        Change::Files { .. } | Change::Head { .. } => is_closed,
        // Everybody's git shows other content from then on.
        Change::Ref(moved) if moved.name.starts_with(REPLACED) => true,
        // A branch, a tag or a stash entry that is new takes nothing away from anybody.
        Change::Ref(moved) => is_closed && moved.before.is_some(),
    }
}

/// Whether a ref stood at work of this very task, which its agent may put in order: a branch that an earlier run made.
async fn is_own_work(scene: &Scene<'_>, change: &Change, evidence: &Evidence) -> bool {
    let Change::Ref(RefChange { name, before: Some(before), .. }) = change else { return false };
    if *name == base_ref(scene.place) || evidence.head.is_empty() {
        return false;
    }
    let in_work = scene.repo.is_ancestor(before, &evidence.head).await.unwrap_or(false);
    in_work && !scene.repo.is_ancestor(before, &evidence.base).await.unwrap_or(true)
}

/// Whether a new entry of the stash was made where another branch is checked out than the run's.
async fn is_stash_of_another(scene: &Scene<'_>, change: &Change) -> bool {
    let Change::Ref(RefChange { after: Some(after), .. }) = change else { return false };
    let Some(on) = scene.repo.stashed_on(after).await.ok().flatten().filter(|_| change.is_stash()) else {
        return false;
    };
    on != scene.place.branch && on != "(no branch)"
}

/// Commits that were made in the run's worktree are on the base now, and neither orch nor a command in the main checkout
/// brought them there; or they were made there on another branch that was there before.
async fn own_commits_came(scene: &Scene<'_>, change: &Change, evidence: &Evidence) -> Option<String> {
    let Change::Ref(RefChange { name, before, after: Some(after), .. }) = change else { return None };
    let is_branch = before.is_some() && name.starts_with("refs/heads/");
    if !is_branch || evidence.commits.is_empty() || scene.repo.main_head_was_at(after).await.ok()? {
        return None;
    }
    let mut made = scene.repo.made_in(scene.checkout).await.ok()?;
    if *name != base_ref(scene.place) {
        let made_there = scene.repo.made_on(name).await.ok()?;
        made.retain(|sha| made_there.contains(sha));
    }
    let came = scene.repo.came(before.as_deref(), after).await.ok()?;
    let own = came.iter().find(|sha| made.contains(*sha))?;
    Some(format!("its commit {} is there, and nobody merged it", own.get(..10).unwrap_or(own)))
}

/// What a run did, by its own traces.
struct Trail {
    repo: Repo,
    /// The git commands that it made on the repository.
    commands: Vec<GitCommand>,
    /// The absolute paths that its tools wrote; one that ends with `/` stands for what is below it as well.
    files: Vec<String>,
    /// What its CLI printed.
    events: String,
}

impl Trail {
    /// What proves that the run made a change; `None`: nothing does.
    fn proof(&self, change: &Change) -> Option<String> {
        let command = |fits: &dyn Fn(&GitCommand) -> bool| {
            self.commands.iter().find(|command| fits(command)).map(GitCommand::line)
        };
        let in_main =
            |fits: fn(&GitCommand) -> bool| move |command: &GitCommand| fits(command) && self.repo.is_in_main(command);
        match change {
            Change::Files { paths } => {
                self.wrote(self.repo.root(), paths).or_else(|| command(&in_main(GitCommand::changes_checkout)))
            }
            Change::Head { .. } => command(&in_main(GitCommand::switches)),
            Change::Ref(RefChange { before: Some(entry), after: None, .. }) if change.is_stash() => {
                command(&|command| command.stashes(true)).filter(|_| self.took_out(entry))
            }
            Change::Ref(_) if change.is_stash() => command(&|command| command.stashes(false)),
            Change::Ref(moved) => {
                let moves = in_main(GitCommand::moves_branch);
                command(&|command| command.moves(&moved.name) || moved.is_checked_out && moves(command))
            }
            Change::Programs { paths } => self.wrote(self.repo.common_dir(), paths),
            Change::Settings { keys, .. } => command(&|command| keys.iter().any(|key| command.sets(key))),
        }
    }

    /// Whether the run took this entry out of the stash: git said so, or it took out more than it had put there. A person uses the
    /// same stash meanwhile.
    fn took_out(&self, entry: &str) -> bool {
        let count = |is_out| self.commands.iter().filter(|command| command.stashes(is_out)).count();
        count(true) > count(false) || self.events.contains(&format!("({entry})"))
    }

    /// Whether the run's tools wrote one of these files below a directory.
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

/// The files that an agent's tools wrote, by the events of its CLI. Blocking.
fn written_by_tools(dir: &RunDir, events: &str, (worktree, main): (&Path, &Path)) -> Vec<String> {
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
    use crate::agents::DialectKind;
    use crate::domain::outcome::RunKind;

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
