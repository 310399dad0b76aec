//! When a review by an agent starts, who makes it, and what becomes of its answer.

use crate::engine::Engine;
use crate::job::Job;
use crate::settings::directory_of;
use crate::state::ChangeSet;
use jiff::{SignedDuration, Timestamp};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::event::Event;
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::outcome::{Failure, FailureClass, Outcome, RunKind, Side};
use orch_core::tasks::review::{Candidate, ReviewAnswer, can_be_asked, choose};
use orch_core::tasks::task::{Postponed, ReviewStage, Run, State, Task};
use orch_runner::RunReport;
use std::sync::Arc;

/// When a reviewer is searched again, where no time is known: each time twice as late.
const WAIT: SignedDuration = SignedDuration::from_mins(5);

/// The longest of these waits.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(2);

/// How long no reviewer is searched: the first time, or twice the last wait.
fn next_wait(task: &Task) -> SignedDuration {
    let last = task.postponed_review().map_or(SignedDuration::ZERO, |wait| wait.until.duration_since(task.updated_at));
    (last + last).clamp(WAIT, LONGEST_WAIT)
}

impl Engine {
    /// Begins a review, or returns why no agent can make one now.
    pub(crate) fn begin_review(&mut self, change_set: &mut ChangeSet, id: TaskId, now: Timestamp) {
        let Some(task) = self.state.tasks.get(&id).cloned() else { return };
        let State::InReview { run: work, review: ReviewStage::Reviewing { review: None, .. } } = &task.state else {
            return;
        };
        let config = self.settings.for_task(&task, &self.state.projects);
        let candidates = self.review_candidates(&task, now);
        let author = task.route.as_ref().map_or("", |route| route.agent.as_str());
        let model = task.route.as_ref().and_then(|route| route.model.as_deref());
        let provider = provider_of(author, model);
        let Some(chosen) =
            choose(&candidates, author, &provider, &task.progress.failed_reviews, &task.progress.unread_reviews)
        else {
            let (detail, until) = self.why_nobody(&candidates, &task, now);
            return self.postpone_review(change_set, id, &detail, until, now);
        };
        let model = config.review_model(&chosen.agent).map(str::to_owned);
        let model = self.name_or_leave(&task, &chosen.agent, model, now);
        let run = self.new_run(&task, RunKind::Review, chosen.agent.clone(), model, now);
        self.expect(change_set, id, &Event::ReviewAsked { run: work.clone(), review: run.id.clone() }, now);
        change_set.put_run(&mut self.state, run);
    }

    fn review_candidates(&self, task: &Task, now: Timestamp) -> Vec<Candidate> {
        let config = self.settings.for_task(task, &self.state.projects);
        let agents = self.settings.may_review(&config);
        agents.iter().map(|agent| self.candidate(agent, config.review_model(agent), now)).collect()
    }

    /// A review that failed, and whether another reviewer is left.
    fn failed_review(&self, task: &Task, work: RunId, agent: String, failure: Failure, now: Timestamp) -> Event {
        let author = task.route.as_ref().map_or("", |route| route.agent.as_str());
        let mut unread = task.progress.unread_reviews.clone();
        unread.extend((failure.class.side() != Side::Provider).then(|| agent.clone()));
        let candidates = self.review_candidates(task, now);
        let is_last = !candidates.is_empty() && !can_be_asked(&candidates, author, &unread);
        Event::ReviewFailed { run: work, agent, failure, is_last }
    }

    fn candidate(&self, agent: &str, model: Option<&str>, now: Timestamp) -> Candidate {
        let is_cooling_down = self.is_cooling_down(agent, model, now);
        let is_free = !is_cooling_down && !self.state.pauses.holds_agent(agent) && self.broken(agent, now).is_none();
        Candidate { agent: agent.to_owned(), provider: provider_of(agent, model), is_free }
    }

    /// Returns why no agent can review, and when that may be over.
    fn why_nobody(&self, candidates: &[Candidate], task: &Task, now: Timestamp) -> (String, Timestamp) {
        let author = task.route.as_ref().map_or("", |route| route.agent.as_str());
        let later = now.checked_add(next_wait(task)).unwrap_or(now);
        let others: Vec<&str> =
            candidates.iter().map(|candidate| candidate.agent.as_str()).filter(|agent| *agent != author).collect();
        let cooldowns = others.iter().filter_map(|agent| self.state.cooldowns.get(*agent)).filter(|c| c.is_active(now));
        let first = cooldowns.min_by_key(|cooldown| cooldown.until);
        let paused: Vec<&str> = others.iter().copied().filter(|agent| self.state.pauses.holds_agent(agent)).collect();
        if first.is_none() && !paused.is_empty() {
            // The clock does not matter here: the end of the pause lets it go on.
            return (format!("no reviewer is to be had: {} paused", paused.join(", ")), Timestamp::MAX);
        }
        match (first, others.is_empty()) {
            (Some(cooldown), _) => {
                (format!("no reviewer is to be had: {}: {}", others.join(", "), cooldown.detail), cooldown.until)
            }
            (None, false) => (format!("no reviewer is to be had: {} cannot work now", others.join(", ")), later),
            (None, true) => ("no agent that may review is installed or free".to_owned(), later),
        }
    }

    /// Postpones a review: no agent makes it now.
    pub(crate) fn postpone_review(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        detail: &str,
        until: Timestamp,
        now: Timestamp,
    ) {
        let Some(task) = self.state.tasks.get(&id).cloned() else { return };
        let State::InReview { run, review: ReviewStage::Reviewing { .. } } = &task.state else { return };
        let wait = Postponed { detail: detail.to_owned(), until, reason: HoldReason::Review };
        self.expect(change_set, id, &Event::ReviewPostponed { run: run.clone(), wait }, now);
    }

    /// Agents may be asked again: reviews that waited for that go on.
    pub(crate) fn reviewers_are_back(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        let waits = |task: &&Arc<Task>| task.postponed_review().is_some_and(|wait| wait.until == Timestamp::MAX);
        let waiting: Vec<TaskId> = self.state.tasks.values().filter(waits).map(|task| task.id).collect();
        for id in waiting {
            self.postpone_review(change_set, id, "a pause has ended", now, now);
        }
    }

    fn clear_review(&mut self, task: &Task, run: &RunId) {
        if let Ok(dir) = directory_of(task, &self.state.projects) {
            self.jobs.order(Job::ClearReview { dir, run: run.clone() });
        }
    }

    pub(crate) fn on_review_ended(
        &mut self,
        change_set: &mut ChangeSet,
        mut run: Run,
        report: &RunReport,
        now: Timestamp,
    ) {
        let (id, task_id, agent, model) = (run.id.clone(), run.task, run.agent.clone(), run.model.clone());
        let Some(task) = self.state.tasks.get(&task_id).cloned() else { return };
        let commit = task.evidence.as_ref().map(|evidence| evidence.head.clone()).unwrap_or_default();
        let answer = match report.failure() {
            Some(outcome) => Err(outcome),
            None => ReviewAnswer::parse(&report.ending, &commit)
                .map_err(|error| Outcome::Failed(Failure::new(FailureClass::Malformed, error.to_string()))),
        };
        match &answer {
            Ok(_) => self.credit_agent(change_set, &agent, now),
            Err(outcome) => {
                self.weigh_outcome(change_set, &run, outcome, now);
                self.cool_down(change_set, &run, outcome, now);
            }
        }
        run.outcome = Some(match &answer {
            Ok(answer) => crate::launch::question::answered(format!("{}: {}", answer.decision, answer.notes)),
            Err(outcome) => outcome.clone(),
        });
        if let Some(cost) = run.cost {
            let mut paid = Task::clone(&task);
            paid.cost = Some(paid.cost.unwrap_or_default() + cost);
            change_set.put_task(&mut self.state, paid);
        }
        change_set.put_run(&mut self.state, run);
        self.clear_review(&task, &id);
        let State::InReview { run: work, review: ReviewStage::Reviewing { review: Some(current), .. } } = &task.state
        else {
            return;
        };
        if *current != id {
            return;
        }
        let run = work.clone();
        let event = match answer {
            Ok(answer) => Event::Reviewed { run, review: answer.into_review(&agent, model.as_deref(), &commit) },
            Err(Outcome::Failed(failure)) => self.failed_review(&task, run, agent, failure, now),
            Err(Outcome::Cancelled { detail }) => {
                self.failed_review(&task, run, agent, Failure::new(FailureClass::Killed, detail), now)
            }
            Err(Outcome::Finished { .. }) => return,
        };
        self.expect(change_set, task_id, &event, now);
    }

    /// Handles a review that did not begin.
    pub(crate) fn review_failed(
        &mut self,
        change_set: &mut ChangeSet,
        id: &RunId,
        task_id: TaskId,
        agent: &str,
        failure: Failure,
        now: Timestamp,
    ) {
        let Some(task) = self.state.tasks.get(&task_id).cloned() else { return };
        self.clear_review(&task, id);
        if task.state.reviewed_by() == Some(id)
            && let State::InReview { run, .. } = &task.state
        {
            let event = self.failed_review(&task, run.clone(), agent.to_owned(), failure, now);
            self.expect(change_set, task_id, &event, now);
        }
    }
}

/// Returns who serves the model that an agent uses, as far as its name shows.
fn provider_of(agent: &str, model: Option<&str>) -> String {
    match model.and_then(|model| model.split_once('/')) {
        Some((provider, _)) => provider.to_owned(),
        None => match agent {
            "claude" => "anthropic".to_owned(),
            "codex" => "openai".to_owned(),
            other => other.to_owned(),
        },
    }
}
