//! After the agent: ends what it left behind, reads the rest, and puts the report together.

use super::claim::Started;
use super::launch::Launch;
use super::reading::Reading;
use super::report::{RunReport, Stop, drop_words};
use super::supervise::Ended;
use orch_core::outcome::{Ending, Exit, Failure, FailureClass};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::process::Swept;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a process that is left behind may take to end when it is asked to.
pub(super) const SWEEP_GRACE: Duration = Duration::from_secs(1);

/// How much unread output is read after a run that ended by itself.
const MOST: u64 = 256 << 20;

/// How much of it after a run that was made to end, perhaps because of a flood.
const MOST_AFTER_STOP: u64 = 16 << 20;

/// The report on a run whose output was followed. All its processes are gone.
pub(super) fn report(
    launch: &Launch,
    started: &Started,
    env: &BTreeMap<String, String>,
    mut reading: Reading,
    ended: Ended,
    swept: &[Swept],
) -> RunReport {
    let Ended { exit, stop: mut stopped, failure } = ended;
    reading.finish_lines(if stopped.is_some() { MOST_AFTER_STOP } else { MOST });
    let turn_ended = reading.reader().turn_ended();
    let known = exit.unwrap_or(Exit { code: None, signal: None });
    // How a process died after its turn was over says nothing about the turn.
    let forced = exit.is_none() || matches!(stopped, Some(Stop::Limit { .. } | Stop::Lingering));
    let told = if turn_ended && forced { Exit { code: Some(0), signal: None } } else { known };
    let mut ending = reading.ending(told, env);
    if let Some(why) = reading.untold() {
        drop_words(&mut ending, launch.kind, why);
    }
    if turn_ended && ending.failure.is_none() && matches!(stopped, Some(Stop::Limit { .. })) {
        stopped = Some(Stop::Lingering);
    }
    if failure.is_some() {
        ending.failure = failure;
    } else if exit.is_none() && stopped.is_none() && !turn_ended {
        ending.failure = Some(unseen(ending.failure.take()));
    }
    let mut report = blank(launch, started, ending);
    (report.exit, report.stopped) = (exit, stopped);
    report.swept = swept.iter().map(|one| format!("{} (pid {})", one.name, one.process.pid)).collect();
    last_lines(&mut report, reading);
    report
}

/// The failure of a run whose end nobody saw, unless its output tells of a better reason.
fn unseen(known: Option<Failure>) -> Failure {
    let vague = |failure: &Failure| matches!(failure.class, FailureClass::Crashed | FailureClass::Killed);
    known.filter(|failure| !vague(failure)).unwrap_or_else(|| {
        Failure::new(FailureClass::Crashed, "its runner was killed, and nobody saw how the agent ended")
    })
}

/// The report on a run whose agent did not start.
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

/// The last lines of the transcript.
fn last_lines(report: &mut RunReport, mut reading: Reading) {
    let mut told = Vec::new();
    told.extend(reading.untold().map(str::to_owned));
    if report.failure().is_some() && told.is_empty() {
        let stderr = reading.stderr_tail();
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(8)..];
        told.extend(last.iter().map(|line| format!("stderr: {line}")));
    }
    if reading.starts_before() > 0 {
        let times = reading.starts_before() + 1;
        told.push(format!("it was started {times} times, because another start of the program was at its files"));
    }
    if !report.swept.is_empty() {
        told.push(format!("ended what was left behind: {}", report.swept.join(", ")));
    }
    told.push(report.summary());
    reading.transcript.end(&told);
    reading.end_records(&report.outcome(), &report.ending);
    let (length, lost) = reading.transcript.close();
    report.transcript_bytes = length;
    report.warnings.extend(lost);
}
