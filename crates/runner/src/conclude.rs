//! Builds the report once the agent is gone: reads the rest of its output and writes the last lines of the transcript.

use super::claim::Started;
use super::launch::Launch;
use super::reading::Reading;
use super::report::{RunReport, Stop, withhold_texts};
use super::supervise::Ended;
use orch_core::tasks::outcome::{Ending, Exit, Failure, FailureClass};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::process::Swept;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a process that the agent left behind may take to exit when it is asked to.
pub(super) const SWEEP_GRACE: Duration = Duration::from_secs(1);

/// How many bytes of unread output are read after a run that ended by itself.
const MAX_REST: u64 = 256 << 20;

/// How many of them after a run that orch stopped, perhaps because of a flood.
const MAX_REST_AFTER_STOP: u64 = 16 << 20;

/// Builds the report on a run whose output was followed. All its processes must be gone.
pub(super) fn report(
    launch: &Launch,
    started: &Started,
    env: &BTreeMap<String, String>,
    mut reading: Reading,
    ended: Ended,
    swept: &[Swept],
) -> RunReport {
    let Ended { exit, stop: mut stopped, failure } = ended;
    reading.finish_lines(if stopped.is_some() { MAX_REST_AFTER_STOP } else { MAX_REST });
    let turn_ended = reading.reader().turn_ended();
    let known = exit.unwrap_or(Exit { code: None, signal: None });
    // How a process died after its turn was over says nothing about the turn.
    let forced = exit.is_none() || matches!(stopped, Some(Stop::Limit { .. } | Stop::Lingering));
    let effective = if turn_ended && forced { Exit { code: Some(0), signal: None } } else { known };
    let mut ending = reading.ending(effective, env);
    if let Some(reason) = reading.withheld() {
        withhold_texts(&mut ending, launch.kind, reason);
    }
    if turn_ended && ending.failure.is_none() && matches!(stopped, Some(Stop::Limit { .. })) {
        stopped = Some(Stop::Lingering);
    }
    if failure.is_some() {
        ending.failure = failure;
    } else if exit.is_none() && stopped.is_none() && !turn_ended {
        ending.failure = Some(unknown_end(ending.failure.take()));
    }
    let mut report = blank(launch, started, ending);
    (report.exit, report.stopped) = (exit, stopped);
    report.swept = swept.iter().map(|one| format!("{} (pid {})", one.name, one.process.pid)).collect();
    write_last_lines(&mut report, reading);
    report
}

/// Returns the failure of a run whose end is unknown, unless its output gives a more specific one.
fn unknown_end(known: Option<Failure>) -> Failure {
    let vague = |failure: &Failure| matches!(failure.class, FailureClass::Crashed | FailureClass::Killed);
    known.filter(|failure| !vague(failure)).unwrap_or_else(|| {
        Failure::new(FailureClass::Crashed, "its runner was killed, and how the agent ended is unknown")
    })
}

/// Builds the report on a run whose agent did not start.
pub(super) fn not_started(launch: &Launch, started: &Started, failure: Failure) -> RunReport {
    blank(launch, started, Ending { failure: Some(failure), ..Ending::default() })
}

fn blank(launch: &Launch, started: &Started, ending: Ending) -> RunReport {
    RunReport {
        run_id: launch.run_id.clone(),
        kind: launch.kind,
        started_at: started.at,
        ended_at: SystemClock.now(),
        exit: None,
        ending,
        stopped: None,
        swept: Vec::new(),
        warnings: Vec::new(),
        transcript_bytes: 0,
    }
}

/// Writes the last lines of the transcript and closes it.
fn write_last_lines(report: &mut RunReport, mut reading: Reading) {
    let mut notes = Vec::new();
    notes.extend(reading.withheld().map(str::to_owned));
    if report.failure().is_some() && notes.is_empty() {
        let stderr = reading.stderr_tail();
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(8)..];
        notes.extend(last.iter().map(|line| format!("stderr: {line}")));
    }
    if reading.earlier_starts() > 0 {
        let times = reading.earlier_starts() + 1;
        notes.push(format!("it was started {times} times, because another start of the program used its files"));
    }
    if !report.swept.is_empty() {
        notes.push(format!("ended processes that were left behind: {}", report.swept.join(", ")));
    }
    notes.push(report.summary());
    reading.transcript.end(&notes);
    reading.end_records(&report.outcome(), &report.ending);
    let (length, lost) = reading.transcript.close();
    report.transcript_bytes = length;
    report.warnings.extend(lost);
}
