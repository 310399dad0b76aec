//! What happened, turn by turn: always as a hash, by which two courses are compared, and as text where somebody reads it.

use super::rules::ordinal;
use super::scenario::{DAY, HOUR, MINUTE, Millis, SECOND};
use orch_core::base::money::Usd;
use orch_store::journal::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The trace of one course.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
    /// Turns that stored something.
    pub turns: u64,
    /// The number of all turns.
    pub looks: u64,
}

impl Trace {
    /// One that is also told in words.
    pub fn in_words() -> Self {
        Self { lines: Some(Vec::new()), ..Self::default() }
    }

    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    pub fn say(&mut self, at: Millis, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let (days, hours, minutes) = (at / DAY, at % DAY / HOUR, at % HOUR / MINUTE);
            let seconds = (at % MINUTE) as f64 / SECOND as f64;
            lines.push(format!("day {days} {hours:02}:{minutes:02}:{seconds:06.3}  {}", text()));
        }
    }

    /// A turn that was stored. The random part of the names of runs is left out.
    pub fn change_set(&mut self, at: Millis, writes: &[Write]) {
        self.turns += u64::from(!writes.is_empty());
        at.hash(&mut self.hasher);
        for write in writes {
            match write {
                Write::Task(task) => {
                    (1, task.id, task.status(), task.progress.attempts, task.runs, task.spec.priority)
                        .hash(&mut self.hasher);
                }
                Write::Run(run) => (2, run.task, run.id.ordinal(), run.ended_at.is_some()).hash(&mut self.hasher),
                Write::Entry(entry) => {
                    (3, entry.seq, entry.task_id, entry.fact.kind(), entry.at).hash(&mut self.hasher);
                    let run = entry.run_id.as_ref().map(ordinal).unwrap_or_default();
                    let task = entry.task_id.map(|id| id.to_string()).unwrap_or_default();
                    self.say(at, || format!("task {task} run {run} {}: {}", entry.fact.kind(), entry.fact.text()));
                }
                Write::Project(_) | Write::Unregister(_) => 4.hash(&mut self.hasher),
                Write::Cooldown(agent, cooldown) => {
                    (5, agent, cooldown.as_ref().map(|c| c.until)).hash(&mut self.hasher);
                }
                Write::Message(message) => (6, message.id, message.state.as_str()).hash(&mut self.hasher),
                Write::Breaker(target, breaker) => {
                    let state = breaker.as_ref().map(|one| (one.state_name().as_str(), one.opened));
                    (8, target.to_string(), state).hash(&mut self.hasher);
                }
                Write::Pause(scope, pause) => (9, format!("{scope:?}"), pause.is_some()).hash(&mut self.hasher),
                Write::Service(entry) => (10, entry.at).hash(&mut self.hasher),
                Write::Job(id, record) => {
                    (11, id, record.as_ref().map(|record| (record.through, record.waiting.len())))
                        .hash(&mut self.hasher);
                }
                Write::Firing(firing) => (12, firing.key(), firing.at, firing.is_open()).hash(&mut self.hasher),
                Write::Batch(batch) => {
                    (13, batch.number, batch.spent().micros(), batch.end.is_some()).hash(&mut self.hasher)
                }
                Write::Spend(record) => (14, record.at, record.cost.map(Usd::micros)).hash(&mut self.hasher),
                Write::Recorded(recorded) => (15, recorded.number).hash(&mut self.hasher),
                Write::Answered(key, _) => (19, key).hash(&mut self.hasher),
                Write::Kept(_) => 16.hash(&mut self.hasher),
                Write::OutboxItem(id, item) => (17, id, item.is_some()).hash(&mut self.hasher),
                Write::Agreed(_) => 7.hash(&mut self.hasher),
                Write::Missing(tasks) => (18, tasks).hash(&mut self.hasher),
            }
        }
    }
}
