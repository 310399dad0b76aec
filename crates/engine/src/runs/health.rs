//! How agents fare, as their runners wrote it down: recorded with the run, recorded in the history, and asked about.
//! The end of a silence is in the runner's hands; here nothing is stopped.

use crate::engine::Engine;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::{Death, RunFact};
use orch_core::base::health::{Health, State as Fares};
use orch_core::base::ids::RunId;
use orch_core::tasks::message::Message;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::{Phase, Run, State};
use std::time::SystemTime;

/// How often an agent is asked in one run, each time in another silence. One that is silent again and again is not
/// helped by more words.
const MOST_QUESTIONS: u32 = 2;

impl Engine {
    /// Records how agents fare, and acts on it.
    pub(crate) fn on_health(
        &mut self,
        change_set: &mut ChangeSet,
        news: Vec<(RunId, Health, SystemTime)>,
        now: Timestamp,
    ) {
        for (id, found, written) in news {
            let Some(run) = self.state.runs.get(&id).filter(|run| run.phase == Phase::Running).cloned() else {
                continue;
            };
            self.watch.saw(id, written);
            let health = Health { asked: run.health.as_ref().map_or(0, |known| known.asked), ..found };
            if run.health.as_ref() != Some(&health) {
                self.record(change_set, run, health, now);
            }
        }
    }

    fn record(&mut self, change_set: &mut ChangeSet, run: Run, mut health: Health, now: Timestamp) {
        let before = run.health.as_ref().map_or(Fares::Healthy, |known| known.state);
        let change = match (before, health.state) {
            (Fares::Stale | Fares::Dead, Fares::Healthy) => {
                let since = run.health.as_ref().map_or(now, |known| known.since);
                Some(RunFact::Recovered { silent_seconds: health.since.duration_since(since).as_secs() })
            }
            (Fares::Healthy | Fares::Quiet | Fares::Dead, Fares::Stale) => {
                Some(RunFact::Silent { seconds: now.duration_since(health.since).as_secs() })
            }
            (Fares::Healthy | Fares::Quiet | Fares::Stale, Fares::Dead) => {
                Some(RunFact::Died(Death::Gone { seconds: now.duration_since(health.since).as_secs() }))
            }
            (Fares::Stale, Fares::Stale) | (Fares::Dead, Fares::Dead) => None,
            (_, Fares::Quiet) | (Fares::Healthy | Fares::Quiet, Fares::Healthy) => None,
        };
        if let Some(fact) = change {
            change_set.note(&mut self.state, now, Some(run.task), Some(run.id.clone()), fact);
        }
        let is_new = before != Fares::Stale && health.state == Fares::Stale;
        if is_new && health.asked < MOST_QUESTIONS && self.may_ask(&run) {
            health.asked += 1;
            self.ask_agent(change_set, &run, &health, now);
        }
        change_set.put_run(&mut self.state, Run { health: Some(health), ..run });
    }

    /// Only an agent that can be asked while it works: another one would hear of it when it does not matter any more.
    fn may_ask(&self, run: &Run) -> bool {
        let Some(task) = self.state.tasks.get(&run.task) else { return false };
        let works = matches!(&task.state, State::InProgress { run: at, stopping: None, .. } if *at == run.id);
        let asks = || self.settings.for_task(task, &self.state.projects).limits.asks();
        works && run.live && run.kind == RunKind::Work && self.responsible_for(task.id) && asks()
    }

    fn ask_agent(&mut self, change_set: &mut ChangeSet, run: &Run, health: &Health, now: Timestamp) {
        let text = format!("are you still at work? You are {}", health.describe(now));
        let message = Message::of_orch(self.state.next_message_id(), run.task, run.id.clone(), text, now);
        let fact = RunFact::AskedAgent { text: message.text.clone() };
        change_set.put_message(&mut self.state, message);
        change_set.note(&mut self.state, now, Some(run.task), Some(run.id.clone()), fact);
    }

    /// Records the end of a run that its runner did not report: another process found out.
    pub(crate) fn on_dead(&mut self, change_set: &mut ChangeSet, id: &RunId, why: &str, now: Timestamp) {
        let Some(run) = self.state.runs.get(id) else { return };
        let task = run.task;
        change_set.note(
            &mut self.state,
            now,
            Some(task),
            Some(id.clone()),
            RunFact::Died(Death::Reported { why: why.to_owned() }),
        );
    }
}
