//! Which times of a job are handled now, and how. PURE: schedule, zone and time are arguments, and the result depends
//! on them alone, so that an engine that died before storing it decides the same again.

use super::{CatchUp, Cause, JobRecord, Overlap};
use crate::operations::schedule::Schedule;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How late a time may be to count as on time.
pub const GRACE: SignedDuration = SignedDuration::from_mins(2);
/// The most times that are caught up, and the most that wait.
pub const MOST: usize = 100;

/// How a time is handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// The job fires.
    Fire {
        /// The time for which it fires.
        due: Timestamp,
        /// The cause.
        cause: Cause,
    },
    /// The time waits for the previous firing to end.
    Queue {
        /// The time that waits.
        due: Timestamp,
    },
    /// The time is skipped because the previous firing is still running.
    Skip {
        /// The time that is skipped.
        due: Timestamp,
        /// The reason, for a person.
        why: &'static str,
    },
    /// Times were missed while orch did not run, and are not caught up.
    Missed {
        /// The first and the last known time.
        span: (Timestamp, Timestamp),
        /// The number of known times.
        count: usize,
        /// Whether there were earlier ones.
        more: bool,
    },
}

/// The schedule of one job.
#[derive(Debug, Clone)]
pub struct Timer {
    /// The cron schedule.
    pub schedule: Schedule,
    /// The time zone.
    pub zone: TimeZone,
}

impl Timer {
    /// Returns when the job must be checked next.
    pub fn next(&self, record: &JobRecord) -> Option<Timestamp> {
        let due = self.schedule.next(record.through, &self.zone).filter(|_| record.spec.enabled)?;
        due.checked_add(record.spec.delay()).ok()
    }

    /// Returns the next `count` scheduled times after `now`, each with the time at which the job fires.
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

    /// Returns the times since `record.through`, oldest first and at most `most` of the newest; and whether there were
    /// earlier ones.
    fn due_times(&self, record: &JobRecord, until: Timestamp, most: usize) -> (Vec<Timestamp>, bool) {
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

/// Handles all times that have come. `is_busy`: the previous firing is still running.
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
    let (come, more) = timer.due_times(record, until, MOST);
    let Some(newest) = come.last().copied() else { return moves };
    record.through = newest;
    let come: Vec<Timestamp> = come.into_iter().filter(|due| !record.remembers(*due)).collect();
    let caught_up = caught_up(record.spec.catch_up, &come, until);
    let missed: Vec<Timestamp> =
        come.iter().filter(|due| !caught_up.iter().any(|(made, _)| made == *due)).copied().collect();
    if let (Some(first), Some(last)) = (missed.first(), missed.last()) {
        moves.push(Move::Missed { span: (*first, *last), count: missed.len(), more });
    } else if more {
        moves.push(Move::Missed { span: (newest, newest), count: 0, more });
    }
    for (due, cause) in caught_up {
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
            Overlap::Queue => moves.push(Move::Skip { due, why: "a hundred of its times are waiting already" }),
            Overlap::Skip => moves.push(Move::Skip { due, why: "the previous firing is still running" }),
        }
    }
    moves
}

/// Returns the times for which the job fires: those on time, and the late ones that `catch_up` includes.
fn caught_up(catch_up: CatchUp, come: &[Timestamp], until: Timestamp) -> Vec<(Timestamp, Cause)> {
    let is_late = |due: &&Timestamp| until.duration_since(**due) > GRACE;
    let late = come.iter().take_while(is_late).count();
    let (late, present) = come.split_at(late);
    let late: &[Timestamp] = match catch_up {
        CatchUp::Skip => &[],
        // One firing is enough, and one is on time.
        CatchUp::Once if !present.is_empty() => &[],
        CatchUp::Once => &late[late.len().saturating_sub(1)..],
        CatchUp::All => late,
    };
    let late = late.iter().map(|due| (*due, Cause::CatchUp));
    late.chain(present.iter().map(|due| (*due, Cause::Schedule))).collect()
}

#[cfg(test)]
mod tests;
