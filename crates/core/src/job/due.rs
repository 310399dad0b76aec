//! Which times of a job are dealt with now, and how. PURE: the schedule, the zone and the time are arguments, and the
//! answer is the same for the same arguments, so that an engine that died before it was stored decides it again.

use super::{CatchUp, Cause, JobRecord, Overlap};
use crate::schedule::Schedule;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How late a time is still taken for one that has just come.
pub const GRACE: SignedDuration = SignedDuration::from_mins(2);
/// How many times are made up for at most, and how many wait at most.
pub const MOST: usize = 100;

/// What becomes of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// The job fires.
    Fire {
        /// For this time.
        due: Timestamp,
        /// Why.
        cause: Cause,
    },
    /// It waits for the firing before.
    Queue {
        /// Which.
        due: Timestamp,
    },
    /// It does not, because the firing before is still under way.
    Skip {
        /// Which.
        due: Timestamp,
        /// For a person.
        why: &'static str,
    },
    /// Times passed while nobody looked, and are not made up for.
    Missed {
        /// The first and the last that are known.
        span: (Timestamp, Timestamp),
        /// How many are known.
        count: usize,
        /// There were earlier ones.
        more: bool,
    },
}

/// The clock of one job.
#[derive(Debug, Clone)]
pub struct Timer {
    /// Its schedule.
    pub schedule: Schedule,
    /// Its zone.
    pub zone: TimeZone,
}

impl Timer {
    /// When the job has to be looked at next by time alone.
    pub fn next(&self, record: &JobRecord) -> Option<Timestamp> {
        let due = self.schedule.next(record.through, &self.zone).filter(|_| record.spec.enabled)?;
        due.checked_add(record.spec.delay()).ok()
    }

    /// The next `count` times at which the job fires by its schedule alone, after `now`: the time, and when it fires.
    pub fn upcoming(&self, record: &JobRecord, now: Timestamp, count: usize) -> Vec<(Timestamp, Timestamp)> {
        let delay = record.spec.delay();
        let mut last = record.through.max(now.saturating_sub(delay).unwrap_or(now));
        let mut times = Vec::new();
        while times.len() < count {
            let Some(due) = self.schedule.next(last, &self.zone) else { break };
            last = due;
            let Ok(fires) = due.checked_add(delay) else { break };
            if !record.remembers(due) {
                times.push((due, fires));
            }
        }
        times
    }

    /// Times that have come since `record.through`, oldest first, at most so many of the newest; and whether there were
    /// earlier ones.
    fn come(&self, record: &JobRecord, until: Timestamp, most: usize) -> (Vec<Timestamp>, bool) {
        let mut come = Vec::new();
        let mut before = until;
        while let Some(due) = self.schedule.last(before, &self.zone).filter(|due| *due > record.through) {
            if come.len() == most {
                come.reverse();
                return (come, true);
            }
            come.push(due);
            let Ok(next) = due.checked_sub(SignedDuration::from_nanos(1)) else { break };
            before = next;
        }
        come.reverse();
        (come, false)
    }
}

/// Deals with all times that have come. `is_busy`: the firing before is under way.
pub fn advance(record: &mut JobRecord, timer: &Timer, mut is_busy: bool, now: Timestamp) -> Vec<Move> {
    let mut moves = Vec::new();
    if !record.spec.enabled {
        return moves;
    }
    if !is_busy && let Some(due) = record.waiting.pop_front() {
        moves.push(Move::Fire { due, cause: Cause::Queue });
        is_busy = true;
    }
    let until = now.saturating_sub(record.spec.delay()).unwrap_or(now);
    record.rewind(until);
    let (come, more) = timer.come(record, until, MOST);
    let Some(newest) = come.last().copied() else { return moves };
    record.through = newest;
    let come: Vec<Timestamp> = come.into_iter().filter(|due| !record.remembers(*due)).collect();
    let made_up = made_up(record.spec.catch_up, &come, until);
    let missed: Vec<Timestamp> =
        come.iter().filter(|due| !made_up.iter().any(|(made, _)| made == *due)).copied().collect();
    if let (Some(first), Some(last)) = (missed.first(), missed.last()) {
        moves.push(Move::Missed { span: (*first, *last), count: missed.len(), more });
    } else if more {
        moves.push(Move::Missed { span: (newest, newest), count: 0, more });
    }
    for (due, cause) in made_up {
        record.remember(due);
        if !is_busy {
            is_busy = record.spec.overlap() != Overlap::Allow;
            moves.push(Move::Fire { due, cause });
            continue;
        }
        match record.spec.overlap() {
            Overlap::Allow => moves.push(Move::Fire { due, cause }),
            Overlap::Queue if record.waiting.len() < MOST => {
                record.waiting.push_back(due);
                moves.push(Move::Queue { due });
            }
            Overlap::Queue => moves.push(Move::Skip { due, why: "a hundred of its times wait already" }),
            Overlap::Skip => moves.push(Move::Skip { due, why: "the firing before is still under way" }),
        }
    }
    moves
}

/// The times for which the job fires: those that have just come, and of the late ones what `catch_up` says.
fn made_up(catch_up: CatchUp, come: &[Timestamp], until: Timestamp) -> Vec<(Timestamp, Cause)> {
    let is_late = |due: &&Timestamp| until.duration_since(**due) > GRACE;
    let late = come.iter().take_while(is_late).count();
    let (late, present) = come.split_at(late);
    let late: &[Timestamp] = match catch_up {
        CatchUp::Skip => &[],
        // One firing is enough, and the one that has just come is one.
        CatchUp::Once if !present.is_empty() => &[],
        CatchUp::Once => &late[late.len().saturating_sub(1)..],
        CatchUp::All => late,
    };
    let late = late.iter().map(|due| (*due, Cause::CatchUp));
    late.chain(present.iter().map(|due| (*due, Cause::Schedule))).collect()
}

#[cfg(test)]
mod tests;
