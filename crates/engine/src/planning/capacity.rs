//! What limits starts now, from the settings, the breakers and the state of the machine. The machine is measured only
//! when something wants to begin: an idle daemon measures nothing.

use crate::engine::Engine;
use crate::settings::directory_of;
use jiff::Timestamp;
use orch_config::raw::Adaptive;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::planning::breaker::StateName;
use orch_core::planning::plan::{Capacity, Hold};
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::task::{Phase, State, Task};
use orch_sys::git::Hanging;
use std::collections::BTreeMap;

impl Engine {
    /// Returns what limits starts, by what is known now.
    pub(crate) fn capacity_at(&self, now: Timestamp) -> Capacity {
        let config = &self.settings.config;
        let engine = &config.engine;
        let agents = config.agents.iter();
        let breakers = self.state.breakers.values().filter(|breaker| breaker.state_name() != StateName::Closed);
        Capacity {
            max_parallel: engine.max_parallel as usize,
            pace: self.planner.pace(engine.rule()),
            disk: self.planner.shortage(engine.min_free_disk_mb),
            agents: agents.filter_map(|(name, agent)| Some((name.to_owned(), agent.max_parallel? as usize))).collect(),
            projects: self.settings.project_limits(),
            overlap_rules: self.overlap_rules(),
            breakers: if config.breaker.failures == 0 { Vec::new() } else { breakers.cloned().collect() },
            balances: self.balances(&config.budget.rules(), now),
            prices: BTreeMap::new(),
            config_error: self.settings.unread.clone(),
            project_config_errors: self.settings.unread_projects.clone(),
            unapproved_projects: self.settings.unapproved_projects(),
            model_cooldowns: BTreeMap::new(),
            obstacles: self.obstacles(),
        }
    }

    /// What keeps the present step of a task from going on: a failure that is waited for, or a git command in its repository
    /// that makes no progress.
    pub(crate) fn obstacles(&self) -> BTreeMap<TaskId, Hold> {
        let mut holds = self.deps.obstacles.holds();
        if self.deps.is_any_hanging() {
            for task in self.state.tasks.values().filter(|task| self.is_step_under_way(task)) {
                let dir = directory_of(task, &self.state.projects).ok();
                if let Some(hanging) = dir.and_then(|dir| self.deps.hanging_in(&dir)) {
                    holds.insert(task.id, hold_of(&hanging));
                }
            }
        }
        holds
    }

    /// Returns whether a step of orch itself is under way, which needs the task's repository.
    fn is_step_under_way(&self, task: &Task) -> bool {
        let is_starting = |run: &RunId| self.state.runs.get(run).is_some_and(|run| run.phase == Phase::Starting);
        if let State::InProgress { run, stopping: None, .. } = &task.state {
            return is_starting(run);
        }
        task.state.is_checked() || task.state.reviewed_by().is_some_and(is_starting)
    }

    /// Measures the machine, unless that was just done or nothing depends on it. Returns whether it did.
    pub(crate) fn measure_machine(&mut self, now: Timestamp) -> bool {
        let engine = &self.settings.config.engine;
        let depends = engine.adaptive != Adaptive::None || engine.min_free_disk_mb > 0;
        let home = &self.deps.home;
        depends && self.planner.measure_machine([home.root().to_owned(), home.worktrees().to_owned()], now)
    }
}

/// Makes the hold of a task that needs the repository of a git command without progress.
fn hold_of(hanging: &Hanging) -> Hold {
    let Hanging { command, pid, quiet, limit, .. } = hanging;
    let (quiet, limit) = (quiet.as_secs(), limit.as_secs());
    let detail = format!("{command} (pid {pid}) has made no progress for {quiet} s; orch ends it after {limit} s");
    Hold { reason: HoldReason::System, detail, until: None }
}
