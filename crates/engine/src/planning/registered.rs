//! The registered repositories: taking one in, and forgetting one.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::ProjectFact;
use orch_core::planning::plan::directory;
use orch_core::tasks::task::{Run, Task};
use orch_store::journal::Project;
use std::path::Path;

impl Engine {
    pub(crate) fn register(&mut self, change_set: &mut ChangeSet, project: Project, now: Timestamp) {
        let fact = ProjectFact::Registered { name: project.name.clone(), dir: project.dir.clone() };
        change_set.put_project(&mut self.state, project);
        self.planner.forget_registered();
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
        self.planner.forget_registered();
        self.reload(change_set, now);
        let fact = ProjectFact::Removed { name: project.name.clone(), dir: project.dir.clone() };
        change_set.note(&mut self.state, now, None, None, fact);
        Ok(project)
    }
}
