//! Feeds the circuit breakers with what failed and what went well, and writes what becomes of them into the history.
//! Which failure speaks against what, and when one opens, says `core::planning::breaker`.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::settings::directory_of;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::{BreakerClosed, ServiceFact};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::time::to_the_second;
use orch_core::planning::breaker::{Breaker, Change, State, Target, failure_target};
use orch_core::tasks::event::IntegrationProblem;
use orch_core::tasks::evidence::{CheckState, Evidence, Integration};
use orch_core::tasks::judge::Verdict;
use orch_core::tasks::outcome::{Failure, Outcome};
use orch_core::tasks::task::{Run, State as TaskState};
use std::collections::BTreeSet;
use std::path::PathBuf;

impl Engine {
    /// Lets breakers try again whose time has come, and forgets what is too old.
    pub(crate) fn time_breakers(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        if self.state.breakers.is_empty() {
            return;
        }
        let rule = self.settings.config.breaker.rule();
        let known: Vec<(String, Breaker)> = self.state.breakers.iter().map(|(n, b)| (n.clone(), b.clone())).collect();
        for (name, before) in known {
            let (after, change) = before.clone().advance(&rule, now);
            if after.as_ref() != Some(&before) {
                change_set.put_breaker(&mut self.state, &name, after);
            }
            if change.is_some() {
                self.note_breaker(change_set, &before, change, now);
            }
        }
    }

    /// Weighs the end of a run for or against its agent. To be called before the agent is avoided because of it.
    pub(crate) fn weigh_outcome(&mut self, change_set: &mut ChangeSet, run: &Run, outcome: &Outcome, now: Timestamp) {
        match outcome {
            Outcome::Finished { .. } => self.credit_agent(change_set, &run.agent, now),
            Outcome::Failed(failure) if !self.is_being_stopped(run) => {
                // Of several providers one is left alone, which its agent is not to blame for.
                let is_cooling = self.is_cooling_down(&run.agent, run.model.as_deref(), now)
                    || self.speaks_of_provider(run, outcome, now);
                let dir = self.dir_of(run.task);
                let target = failure_target(failure, &run.agent, dir.as_deref(), None, is_cooling);
                self.blame(change_set, target, run.task, &failure.detail, now);
            }
            // What a person ended says nothing.
            Outcome::Failed(_) | Outcome::Cancelled { .. } => {}
        }
    }

    /// Weighs a verdict: checks that passed, and what counts against them.
    pub(crate) fn weigh_verdict(
        &mut self,
        change_set: &mut ChangeSet,
        run: &RunId,
        verdict: &Verdict,
        evidence: &Evidence,
        now: Timestamp,
    ) {
        let Some((task, dir)) = run.task().and_then(|task| Some((task, self.dir_of(task)?))) else { return };
        let of = |command: &str| Target::Check { dir: dir.clone(), command: command.to_owned() };
        for check in evidence.checks.iter().filter(|check| check.state == CheckState::Passed) {
            self.credit(change_set, &of(&check.command), now);
        }
        let failed = evidence.checks.iter().find(|check| check.state != CheckState::Passed);
        let command = failed.map(|check| check.command.as_str());
        match verdict {
            // Whether it is a success is known when it is where it belongs.
            Verdict::Accept | Verdict::HandOn { .. } => {}
            // A check that was red before as well says nothing of any work.
            Verdict::Ask { question, .. } => {
                let target = command.map(of);
                self.blame(change_set, target, task, question, now);
            }
            Verdict::Fail(failure) => {
                let target = failure_target(failure, "", Some(&dir), command, false);
                self.blame(change_set, target, task, &failure.detail, now);
            }
        }
    }

    /// Weighs the result of an integration.
    pub(crate) fn weigh_integration(
        &mut self,
        change_set: &mut ChangeSet,
        run: &RunId,
        result: &Result<Integration, IntegrationProblem>,
        now: Timestamp,
    ) {
        let Some((task, dir)) = run.task().and_then(|task| Some((task, self.dir_of(task)?))) else { return };
        if result.is_ok() {
            self.credit(change_set, &Target::Project { dir }, now);
        } else if let Err(IntegrationProblem::Work(failure)) = result {
            let target = failure_target(failure, "", Some(&dir), None, false);
            self.blame(change_set, target, task, &failure.detail, now);
        }
    }

    /// Records a success of an agent.
    pub(crate) fn credit_agent(&mut self, change_set: &mut ChangeSet, agent: &str, now: Timestamp) {
        self.credit(change_set, &Target::agent(agent), now);
    }

    /// Weighs a failure before the run itself.
    pub(crate) fn weigh_failure(&mut self, change_set: &mut ChangeSet, run: &Run, failure: &Failure, now: Timestamp) {
        self.weigh_outcome(change_set, run, &Outcome::Failed(failure.clone()), now);
    }

    /// Records that the project of a task could not be prepared.
    pub(crate) fn blame_project(&mut self, change_set: &mut ChangeSet, task: TaskId, detail: &str, now: Timestamp) {
        let target = self.dir_of(task).map(|dir| Target::Project { dir });
        self.blame(change_set, target, task, detail, now);
    }

    /// Closes breakers for a person, and ends cooldowns of agents: of one name, or all. Returns the names.
    pub(crate) fn reset_breakers(
        &mut self,
        change_set: &mut ChangeSet,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<String>, EngineError> {
        let all: Vec<Breaker> = self.state.breakers.values().cloned().collect();
        let names = |breaker: &Breaker| breaker.target.to_string();
        let meant: Vec<Breaker> = all.into_iter().filter(|b| name.is_none_or(|name| names(b) == name)).collect();
        let tried_again = self.stop_leaving_alone(change_set, name, now);
        if let (Some(name), true) = (name, meant.is_empty() && tried_again.is_empty()) {
            return Err(EngineError::NoBreaker(name.to_owned()));
        }
        for breaker in &meant {
            change_set.put_breaker(&mut self.state, &names(breaker), None);
            if breaker.closing_change().is_some() {
                let closed = BreakerClosed::ByHand { target: breaker.target.clone() };
                change_set.note(&mut self.state, now, None, None, ServiceFact::BreakerClosed(closed));
            }
        }
        for name in &tried_again {
            let closed = BreakerClosed::CooldownEnded { name: name.clone() };
            change_set.note(&mut self.state, now, None, None, ServiceFact::BreakerClosed(closed));
        }
        let closed: BTreeSet<String> = meant.iter().map(names).chain(tried_again).collect();
        Ok(closed.into_iter().collect())
    }

    /// Returns why this agent is not to be asked now, where its breaker is open.
    pub(crate) fn broken(&self, agent: &str, now: Timestamp) -> Option<String> {
        let rule = self.settings.config.breaker.rule();
        let breaker = self.state.breakers.get(&Target::agent(agent).to_string()).filter(|_| rule.failures > 0)?;
        let until = breaker.open_until(now)?;
        Some(format!("breaker {} is open until {}: {}", breaker.target, to_the_second(until), breaker.detail))
    }

    fn blame(
        &mut self,
        change_set: &mut ChangeSet,
        target: Option<Target>,
        task: TaskId,
        detail: &str,
        now: Timestamp,
    ) {
        let Some(target) = target else { return };
        let rule = self.settings.config.breaker.rule();
        let name = target.to_string();
        let before = self.state.breakers.get(&name).cloned();
        let (after, change) = before.clone().unwrap_or_else(|| Breaker::new(target)).failed(task, detail, &rule, now);
        if after.failures.is_empty() || before.as_ref() == Some(&after) {
            return;
        }
        self.note_breaker(change_set, &after, change, now);
        change_set.put_breaker(&mut self.state, &name, Some(after));
    }

    fn credit(&mut self, change_set: &mut ChangeSet, target: &Target, now: Timestamp) {
        if self.state.breakers.is_empty() {
            return;
        }
        let name = target.to_string();
        let Some(breaker) = self.state.breakers.get(&name).cloned() else { return };
        self.note_breaker(change_set, &breaker, breaker.closing_change(), now);
        change_set.put_breaker(&mut self.state, &name, None);
    }

    fn note_breaker(&mut self, change_set: &mut ChangeSet, breaker: &Breaker, change: Option<Change>, now: Timestamp) {
        let Some(change) = change else { return };
        let target = breaker.target.clone();
        let fact = match change {
            Change::Opened => ServiceFact::BreakerOpened {
                target,
                until: match breaker.state {
                    State::Open { until, .. } => Some(until),
                    State::Closed | State::HalfOpen { .. } => None,
                },
                failures: breaker.failures.len(),
                detail: breaker.detail.clone(),
            },
            Change::HalfOpened => ServiceFact::BreakerHalfOpen { target },
            Change::Closed => ServiceFact::BreakerClosed(BreakerClosed::Recovered { target }),
        };
        change_set.note(&mut self.state, now, None, None, fact);
    }

    pub(crate) fn dir_of(&self, task: TaskId) -> Option<PathBuf> {
        directory_of(self.state.tasks.get(&task)?, &self.state.projects).ok()
    }

    fn is_being_stopped(&self, run: &Run) -> bool {
        let task = self.state.tasks.get(&run.task);
        task.is_some_and(|task| matches!(task.state, TaskState::InProgress { stopping: Some(_), .. }))
    }
}
