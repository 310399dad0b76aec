//! The registered repositories: taking one in, forgetting one, and whether the directory of a task belongs to one. What the
//! file system says is remembered until the list of projects or a file of the person's changes.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::history::ProjectFact;
use orch_core::plan::directory;
use orch_core::task::{Run, Task};
use orch_store::journal::Project;
use orch_sys::git::main_checkout_around;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What is known of directories that are not themselves registered.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    known: Mutex<BTreeMap<PathBuf, bool>>,
}

impl Registered {
    /// Whether `dir` belongs to one of these projects: it is one, a folder of one, a linked worktree, or a symbolic link
    /// there. One that does not exist counts as registered: that it is missing is told by whoever needs it.
    pub(crate) fn holds(&self, dir: &Path, projects: &[PathBuf]) -> bool {
        if projects.iter().any(|project| project == dir) {
            return true;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(dir) {
            Some(is) => *is,
            None => *known.entry(dir.to_owned()).or_insert(is_registered(dir, projects)),
        }
    }

    /// Asks the file system anew.
    pub(crate) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn is_registered(dir: &Path, projects: &[PathBuf]) -> bool {
    let Some(root) = main_checkout_around(dir) else { return !dir.is_dir() };
    projects.iter().any(|project| *project == root || project.canonicalize().is_ok_and(|project| project == root))
}

impl Engine {
    pub(crate) fn register(&mut self, change_set: &mut ChangeSet, project: Project, now: Timestamp) {
        let fact = ProjectFact::Registered { name: project.name.clone(), dir: project.dir.clone() };
        change_set.put_project(&mut self.state, project);
        self.registered.forget();
        // What was just approved counts from the next word on.
        self.reload(change_set, now);
        change_set.note(&mut self.state, now, None, None, fact);
    }

    /// Forgets a registered repository, which may be gone. Tasks that name its directory wait until it is registered again.
    pub(crate) fn unregister(
        &mut self,
        change_set: &mut ChangeSet,
        name: &str,
        now: Timestamp,
    ) -> Result<Project, EngineError> {
        let is_it = |project: &&Project| project.name == name || project.dir == Path::new(name);
        let found: Vec<&Project> = self.state.projects.iter().filter(is_it).collect();
        let project = match found.as_slice() {
            [] => {
                let hint = "`orch project list` shows all".to_owned();
                return Err(EngineError::NotThere { message: format!("there is no project {name:?}"), hint });
            }
            [one] => Project::clone(one),
            [first, ..] => {
                let message = format!("{} projects are called {name:?}", found.len());
                let hint = Some(format!("name one by its directory: {}", first.dir.display()));
                return Err(EngineError::Invalid { message, hint });
            }
        };
        let is_there = |task: &Task| directory(task, &self.state.project_dirs) == Ok(project.dir.as_path());
        let works_there = |run: &Run| self.state.tasks.get(&run.task).is_some_and(|task| is_there(task));
        if let Some(run) = self.state.runs.values().find(|run| works_there(run)) {
            let message = format!("an agent works in project {}: task {}, run {}", project.name, run.task, run.id);
            let hint = format!("wait for it (`orch wait {0}`), or `orch cancel {0}`", run.task);
            return Err(EngineError::InTheWay { message, hint });
        }
        change_set.end_project(&mut self.state, &project.dir);
        self.registered.forget();
        self.reload(change_set, now);
        let fact = ProjectFact::Removed { name: project.name.clone(), dir: project.dir.clone() };
        change_set.note(&mut self.state, now, None, None, fact);
        Ok(project)
    }
}
