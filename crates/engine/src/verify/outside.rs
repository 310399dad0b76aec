//! What changed in the repository outside of the worktree while a run lasted, and what of it the run did. Nothing is
//! held against a run that its own traces do not prove; what cannot be attributed is the person's, and is noted.

use super::trail::Trail;
use crate::deps::Deps;
use orch_core::base::external::StepProblem;
use orch_core::base::ids::RunId;
use orch_core::tasks::evidence::Evidence;
use orch_core::tasks::task::Workplace;
use orch_core::text::shell::word;
use orch_runner::RunDir;
use orch_sys::fs::{self, Durability, FsError};
use orch_sys::git::{Change, Checkout, Danger, Guard, RefChange, Repo};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest record of a repository, in bytes.
const RECORD: usize = 64 << 20;

/// The most paths that are typed in a command.
const PATHS_TYPED: usize = 20;

/// Refs by which git reads one object in the place of another.
const REPLACED: &str = "refs/replace/";

/// Refs that runs of a task made, by full name, with the commit or tag at which they left them. The task's next agents
/// may put them in order.
pub type OwnRefs = BTreeMap<String, String>;

/// What was there before a run. Kept in the run's directory as `guard.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Before {
    /// The state of the repository before the run.
    #[serde(flatten)]
    pub guard: Guard,
    /// What earlier runs of the task made.
    #[serde(default)]
    pub own_refs: OwnRefs,
}

impl Before {
    /// Keeps the record for when the run is over.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, dir: &RunDir) -> Result<(), FsError> {
        write_record(&dir.path().join("guard.json"), self)
    }

    /// Returns the record of a run; `None`: it has none that reads.
    pub fn load(dir: &RunDir) -> Option<Self> {
        read_record(&dir.path().join("guard.json"), RECORD)
    }
}

/// Where a run works, and under which rules.
pub struct Scene<'a> {
    /// The repository of the run.
    pub repo: &'a Repo,
    /// The run's own checkout.
    pub checkout: &'a Checkout,
    /// What it began from.
    pub place: &'a Workplace,
    /// The run that works there.
    pub run: &'a RunId,
    /// `workflow.sandbox`: the main checkout is closed to agents.
    pub sandbox: bool,
}

/// Writes what is known of a run's repository into the run's directory.
pub fn write_record(path: &Path, record: &impl Serialize) -> Result<(), FsError> {
    let bytes = serde_json::to_vec(record).map_err(|error| FsError::io("encode", path, error.into()))?;
    fs::write_private(path, &bytes, Durability::Cached)
}

/// Reads such a record of at most `limit` bytes; `None`: there is none that reads.
pub fn read_record<T: DeserializeOwned>(path: &Path, limit: usize) -> Option<T> {
    serde_json::from_slice(&fs::read_limited(path, limit).ok()?).ok()
}

/// Compares the repository with the record of it before the run. Returns the refs that this and the task's earlier runs made.
///
/// # Errors
/// git gives no answer: nothing is judged before the repository was compared.
pub async fn inspect_outside(deps: &Deps, scene: &Scene<'_>, evidence: &mut Evidence) -> Result<OwnRefs, StepProblem> {
    let dir = deps.run_dir(scene.run);
    let Some(Before { guard, own_refs }) = Before::load(&dir) else {
        evidence.notes.push("the record of the repository before the run is gone; it was not compared".to_owned());
        return Ok(OwnRefs::new());
    };
    let changes = guard.check(scene.repo, || deps.ledger.moves(scene.repo.common_dir())).await?;
    let (left_before, mut own_refs) = (own_refs.clone(), own_refs);
    if !changes.is_empty() {
        let (repo, checkout, run) = (scene.repo.clone(), scene.checkout.clone(), scene.run.clone());
        let read = tokio::task::spawn_blocking(move || Trail::read(repo, &checkout, &run, &dir)).await;
        match read {
            Ok(trail) => {
                let stashes_of_main = stashes_of_main(scene, &trail, &guard, &changes).await;
                let took_uncommitted = took_uncommitted(scene, &guard, &changes).await;
                let look =
                    Comparison { scene, trail, guard: &guard, took_uncommitted, changes: &changes, stashes_of_main };
                look.attribute(&mut own_refs, evidence).await;
            }
            Err(_) => evidence.notes.push("what the run did could not be read".to_owned()),
        }
    }
    note_branches_left(scene, &left_before, &own_refs, evidence).await;
    let of_stash = own_refs.iter().filter(|(name, _)| Change::is_of_stash(name));
    evidence.uncommitted.extend(of_stash.map(|(_, entry)| {
        let entry = entry.get(..10).unwrap_or(entry);
        format!("in the stash: {entry} (`git stash apply {entry}` brings it back)")
    }));
    Ok(own_refs)
}

/// Notes the branches and tags of the task's earlier runs that hold commits which the result does not have.
async fn note_branches_left(scene: &Scene<'_>, before: &OwnRefs, now: &OwnRefs, evidence: &mut Evidence) {
    let head = if evidence.head.is_empty() { &evidence.base } else { &evidence.head };
    for (name, at) in now.iter().filter(|(name, at)| before.get(*name) == Some(at) && !Change::is_of_stash(name)) {
        if !scene.repo.is_ancestor(at, head).await.unwrap_or(true) {
            let at = at.get(..10).unwrap_or(at);
            evidence.notes.push(format!("{name} ({at}) of an earlier run of this task is not in the result"));
        }
    }
}

/// What is different after a run, beside what shows who did it.
struct Comparison<'a> {
    scene: &'a Scene<'a>,
    trail: Trail,
    guard: &'a Guard,
    /// Something that was not committed in the main checkout when the run began is in commits that came there.
    took_uncommitted: bool,
    changes: &'a [Change],
    /// The entries of the stash into which the run put what was not committed in the main checkout.
    stashes_of_main: Vec<&'a str>,
}

impl Comparison<'_> {
    /// Separates what the run did from what others did: violations, and notes.
    async fn attribute(&self, own_refs: &mut OwnRefs, evidence: &mut Evidence) {
        let scene = self.scene;
        for change in self.changes {
            let proof = match self.trail.proof(change) {
                Some(_) if self.is_stash_of_another(change, own_refs).await => None,
                None => moved_from_worktree(scene, change).await,
                proof => proof,
            };
            let detail = change.describe();
            let Some(proof) = proof else {
                disown(change, own_refs);
                evidence.notes.push(format!("{detail} (nothing shows that this run did it)"));
                continue;
            };
            if is_own_work(scene, change, own_refs, evidence).await {
                follow(change, own_refs);
                continue;
            }
            let text = format!("{detail}, by this run: {proof}");
            let is_base = matches!(change, Change::Ref(moved) if moved.name == base_ref(scene.place));
            if is_forbidden(change, scene.sandbox || is_base) {
                let back = self.way_back(change).await;
                evidence.take_back = evidence.take_back.take().or_else(|| self.take_back(change, back.as_deref()));
                let back = back.filter(|_| !is_base);
                let back = back.map(|command| format!("; `{command}` puts it back"));
                evidence.violations.push(text + &back.unwrap_or_default());
                continue;
            }
            // What was stashed in the main checkout is the person's, and is reported with the files that are gone from
            // there.
            if !self.is_stash_of_main(change) {
                follow(change, own_refs);
            }
            evidence.notes.push(text);
        }
    }

    fn is_stash_of_main(&self, change: &Change) -> bool {
        change.new_stash().is_some_and(|entry| self.stashes_of_main.contains(&entry))
    }

    /// Returns whether a new entry of the stash was made where neither the run's branch is checked out nor one that the task's
    /// runs made, and where the run stashed nothing.
    async fn is_stash_of_another(&self, change: &Change, own_refs: &OwnRefs) -> bool {
        let Some(entry) = change.new_stash().filter(|_| !self.is_stash_of_main(change)) else { return false };
        let on = self.scene.repo.stashed_on(entry).await.ok().flatten();
        let is_own = |on: &str| {
            on == self.scene.place.branch || on == "(no branch)" || own_refs.contains_key(&format!("refs/heads/{on}"))
        };
        on.is_some_and(|on| !is_own(&on))
    }

    /// How a person undoes that the run moved the base branch. What came after it is theirs, and stays theirs to keep.
    fn take_back(&self, change: &Change, back: Option<&str>) -> Option<String> {
        let Change::Ref(moved @ RefChange { before: Some(before), after, .. }) = change else { return None };
        let root = word(self.scene.repo.root());
        let back = back?;
        let shown = after.iter().map(|after| format!("\n`git -C {root} log -p {before}..{after}` shows it"));
        let text = format!("unless other commits came since, `{back}` takes that back{}", shown.collect::<String>());
        (moved.name == base_ref(self.scene.place)).then_some(text)
    }

    /// Returns the command by which a person undoes a change. What they had not committed and the run has stays in the
    /// checkout.
    async fn way_back(&self, change: &Change) -> Option<String> {
        let (repo, root) = (self.scene.repo, word(self.scene.repo.root()));
        let moved = match change {
            Change::Ref(moved) => moved,
            Change::Head { from, .. } if is_commit(from) => {
                return Some(format!("git -C {root} switch --detach {from}"));
            }
            Change::Head { from, .. } => return Some(format!("git -C {root} switch {from}")),
            Change::Files { .. } if !self.stashes_of_main.is_empty() => return self.stash_back(),
            Change::Files { .. } | Change::Programs { .. } | Change::Settings { .. } => return self.removal(change),
        };
        let name = word(&moved.name);
        Some(match &moved.before {
            Some(before) if change.is_stash() => {
                let store = format!("git -C {root} stash store -m \"put back\" {before}");
                let is_unlisted = repo.is_unlisted_stash(before).await.unwrap_or(false);
                if is_unlisted { format!("git -C {root} update-ref -d refs/stash && {store}") } else { store }
            }
            Some(before) if moved.is_checked_out && self.moved_main_checkout(moved).await => {
                format!("git -C {root} reset {}{before}", if self.took_uncommitted { "" } else { "--keep " })
            }
            Some(before) => format!("git -C {root} update-ref {name} {before}"),
            None => format!("git -C {root} update-ref -d {name}"),
        })
    }

    /// Returns whether a branch moved by a command in the main checkout, which took the files there along.
    async fn moved_main_checkout(&self, moved: &RefChange) -> bool {
        match &moved.after {
            Some(after) => self.scene.repo.main_head_moved_to(after).await.unwrap_or(true),
            None => false,
        }
    }

    /// Returns the command that brings back what the run stashed in the main checkout.
    fn stash_back(&self) -> Option<String> {
        let entry = self.stashes_of_main.first()?;
        Some(format!("git -C {} stash apply --index {entry}", word(self.scene.repo.root())))
    }

    /// Returns the command that takes away what came beside what was there. What was in files of the main checkout goes to the
    /// stash.
    fn removal(&self, change: &Change) -> Option<String> {
        if !self.guard.is_undone_by_removing(change) {
            return None;
        }
        let root = word(self.scene.repo.root());
        let listed = |names: &[String]| names.iter().map(word).collect::<Vec<_>>().join(" ");
        match change {
            Change::Files { paths } if paths.len() <= PATHS_TYPED => {
                let paths = listed(paths);
                // The stash takes what the index has or git does not know; what was staged is neither.
                let stash = format!("git -C {root} stash push --include-untracked -- {paths}");
                Some(format!("git -C {root} reset --quiet -- {paths} && {stash}"))
            }
            Change::Programs { paths } => {
                Some(format!("cd {} && rm -r {}", word(self.scene.repo.common_dir()), listed(paths)))
            }
            Change::Settings { keys, .. } => {
                let unset = keys.iter().map(|key| format!("git -C {root} config --unset-all {}", word(key)));
                Some(unset.collect::<Vec<_>>().join(" && "))
            }
            Change::Files { .. } | Change::Head { .. } | Change::Ref(_) => None,
        }
    }
}

async fn took_uncommitted(scene: &Scene<'_>, guard: &Guard, changes: &[Change]) -> bool {
    for change in changes {
        if let Change::Ref(RefChange { before: Some(one), after: Some(two), is_checked_out: true, .. }) = change
            && guard.was_committed_between(scene.repo, one, two).await.unwrap_or(true)
        {
            return true;
        }
    }
    false
}

async fn stashes_of_main<'a>(scene: &Scene<'_>, trail: &Trail, guard: &Guard, changes: &'a [Change]) -> Vec<&'a str> {
    let gone_to =
        changes.iter().filter_map(|change| if let Change::Head { to, .. } = change { Some(to.as_str()) } else { None });
    let heads: Vec<&str> = gone_to.chain([guard.head()]).collect();
    let mut entries = Vec::new();
    for entry in changes.iter().filter_map(Change::new_stash).filter(|_| trail.stashed_main()) {
        let on = scene.repo.stashed_on(entry).await.ok().flatten();
        if on.is_some_and(|on| heads.contains(&on.as_str())) {
            entries.push(entry);
        }
    }
    entries
}

fn is_commit(at: &str) -> bool {
    at.len() >= 40 && at.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Removes a ref that another program moved from those of the task.
fn disown(change: &Change, own_refs: &mut OwnRefs) {
    if let Change::Ref(moved) = change {
        own_refs.remove(&moved.name);
    }
}

/// Records the commit of a ref of the task's own.
fn follow(change: &Change, own_refs: &mut OwnRefs) {
    let Change::Ref(RefChange { name, before, after, .. }) = change else { return };
    match after {
        Some(after) if before.is_none() || own_refs.contains_key(name) => {
            own_refs.insert(name.clone(), after.clone());
        }
        Some(_) => {}
        None => {
            own_refs.remove(name);
        }
    }
}

fn base_ref(place: &Workplace) -> String {
    format!("refs/heads/{}", place.base_branch)
}

/// Returns whether no run may make this change. `is_closed`: the main checkout and its branches are closed to it.
fn is_forbidden(change: &Change, is_closed: bool) -> bool {
    match change {
        Change::Programs { .. } | Change::Settings { danger: Danger::Program, .. } => true,
        Change::Settings { danger: Danger::None, .. } => false,
        Change::Files { .. } | Change::Head { .. } => is_closed,
        // Everybody's git shows other content from then on.
        Change::Ref(moved) if moved.name.starts_with(REPLACED) => true,
        // A branch, a tag or a stash entry that is new takes nothing away.
        Change::Ref(moved) => is_closed && moved.before.is_some(),
    }
}

/// Returns whether a ref is the task's own, which its agent may put in order: a run of it made the ref, or it stood at the
/// task's work.
async fn is_own_work(scene: &Scene<'_>, change: &Change, own_refs: &OwnRefs, evidence: &Evidence) -> bool {
    let Change::Ref(RefChange { name, before: Some(before), .. }) = change else { return false };
    if *name == base_ref(scene.place) {
        return false;
    }
    if own_refs.get(name) == Some(before) {
        return true;
    }
    if evidence.head.is_empty() {
        return false;
    }
    let in_work = scene.repo.is_ancestor(before, &evidence.head).await.unwrap_or(false);
    in_work && !scene.repo.is_ancestor(before, &evidence.base).await.unwrap_or(true)
}

/// Returns whether a branch that was there before moved from within the run's worktree: it was checked out there; or commits
/// that were made there are on the base now, and neither orch nor a command in the main checkout brought them there; or
/// they were made there on another branch.
async fn moved_from_worktree(scene: &Scene<'_>, change: &Change) -> Option<String> {
    let Change::Ref(RefChange { name, before, after: Some(after), .. }) = change else { return None };
    let is_branch = before.is_some() && name.starts_with("refs/heads/");
    if !is_branch {
        return None;
    }
    if scene.repo.moved_in(scene.checkout, name).await.ok()?.contains(after) {
        return Some("it was checked out in the worktree of the run when it moved there".to_owned());
    }
    if scene.repo.main_head_was_at(after).await.ok()? {
        return None;
    }
    let mut made = scene.repo.made_in(scene.checkout).await.ok()?;
    if *name != base_ref(scene.place) {
        let made_there = scene.repo.made_on(name).await.ok()?;
        made.retain(|sha| made_there.contains(sha));
    }
    let came = scene.repo.commits_added(before.as_deref(), after).await.ok()?;
    let own = came.iter().find(|sha| made.contains(*sha))?;
    Some(format!("its commit {} is there, and nobody merged it", own.get(..10).unwrap_or(own)))
}
