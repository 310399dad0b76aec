//! How agents fare, as their runners wrote it down: recorded with the run, told in the history, and asked about. The end
//! of a silence is in the runner's hands; here nothing is stopped.

use super::doors::Doors;
use super::main_loop::Engine;
use super::world::Turn;
use crate::domain::health::{Health, State as Fares, span};
use crate::domain::ids::RunId;
use crate::domain::message::Message;
use crate::domain::outcome::RunKind;
use crate::domain::task::{Phase, Run, State};
use crate::runner::RunReport;
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::SystemTime;

/// How often an agent is asked in one run, each time in another silence. One that is silent again and again is not
/// helped by more words.
const MOST_QUESTIONS: u32 = 2;

/// When what is known of each run's health was written down.
pub type Seen = HashMap<RunId, SystemTime>;

/// A run that is over.
#[derive(Debug, Clone)]
pub struct Over {
    /// How it went.
    pub report: Box<RunReport>,
    /// What became of who was to report it, when somebody else had to.
    pub lost: Option<String>,
}

/// What a runner wrote down since it was read last. Blocking.
pub fn news(doors: &Doors, run: &RunId, seen: &Seen) -> Option<(RunId, Health, SystemTime)> {
    let (health, written) = doors.run_dir(run).read_health(seen.get(run).copied())?;
    Some((run.clone(), health, written))
}

impl Engine {
    /// Records how agents fare, and acts on it.
    pub(super) fn on_health(&mut self, turn: &mut Turn, news: Vec<(RunId, Health, SystemTime)>, now: Timestamp) {
        for (id, found, written) in news {
            let Some(run) = self.world.runs.get(&id).filter(|run| run.phase == Phase::Running).cloned() else {
                continue;
            };
            self.seen.insert(id, written);
            let health = Health { asked: run.health.as_ref().map_or(0, |known| known.asked), ..found };
            if run.health.as_ref() != Some(&health) {
                self.record(turn, run, health, now);
            }
        }
    }

    fn record(&mut self, turn: &mut Turn, run: Run, mut health: Health, now: Timestamp) {
        let before = run.health.as_ref().map_or(Fares::Healthy, |known| known.state);
        let told = match (before, health.state) {
            (Fares::Stale | Fares::Dead, Fares::Healthy) => {
                let since = run.health.as_ref().map_or(now, |known| known.since);
                Some(("worker:healthy", format!("at work again, after {}", span(health.since.duration_since(since)))))
            }
            (Fares::Healthy | Fares::Quiet | Fares::Dead, Fares::Stale) => Some(("worker:stale", health.told(now))),
            (Fares::Healthy | Fares::Quiet | Fares::Stale, Fares::Dead) => Some(("worker:dead", health.told(now))),
            (Fares::Stale, Fares::Stale) | (Fares::Dead, Fares::Dead) => None,
            (_, Fares::Quiet) | (Fares::Healthy | Fares::Quiet, Fares::Healthy) => None,
        };
        if let Some((kind, text)) = told {
            turn.note(&mut self.world, now, Some(run.task), Some(run.id.clone()), kind, text);
        }
        let is_new = before != Fares::Stale && health.state == Fares::Stale;
        if is_new && health.asked < MOST_QUESTIONS && self.may_ask(&run) {
            health.asked += 1;
            self.ask_agent(turn, &run, &health, now);
        }
        turn.put_run(&mut self.world, Run { health: Some(health), ..run });
    }

    /// Only an agent that can be asked while it works: another one would hear of it when it does not matter any more.
    fn may_ask(&self, run: &Run) -> bool {
        let Some(task) = self.world.tasks.get(&run.task) else { return false };
        let works = matches!(&task.state, State::InProgress { run: at, stopping: None, .. } if *at == run.id);
        let asks = || self.settings.for_task(task, &self.world.projects).limits.asks();
        works && run.live && run.kind == RunKind::Work && self.responsible_for(task.id) && asks()
    }

    fn ask_agent(&mut self, turn: &mut Turn, run: &Run, health: &Health, now: Timestamp) {
        let text = format!("are you still at work? You are {}", health.told(now));
        let message = Message::of_orch(self.world.next_message_id(), run.task, run.id.clone(), text, now);
        let told = format!("orch asks: {}", message.text);
        turn.put_message(&mut self.world, message);
        turn.note(&mut self.world, now, Some(run.task), Some(run.id.clone()), "worker:asked", told);
    }

    /// A run ended, and its runner did not tell: somebody else found out.
    pub(super) fn on_dead(&mut self, turn: &mut Turn, id: &RunId, why: &str, now: Timestamp) {
        let Some(run) = self.world.runs.get(id) else { return };
        let task = run.task;
        turn.note(&mut self.world, now, Some(task), Some(id.clone()), "worker:dead", why);
    }
}
