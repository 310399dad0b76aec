//! Finding out how a run ended, also where its runner died without a report.

use crate::deps::{Deps, agent_env};
use crate::settings::Settings;
use orch_core::base::external::{External, ExternalFailure};
use orch_core::base::health::Health;
use orch_core::base::ids::RunId;
use orch_core::tasks::outcome::{Ending, Failure, FailureClass, RunKind};
use orch_runner::{RunDir, RunReport, RunState};
use orch_sys::process::sweep;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

/// How a run ended, when it has. One whose runner died without a report is brought to its end first. Blocking.
///
/// # Errors
/// The system does not let it be examined now. The agent of the run may still be at work.
pub fn ended(deps: &Deps, settings: &Settings, run: &RunId) -> Result<Option<Over>, ExternalFailure> {
    let dir = deps.run_dir(run);
    let over = |report, lost: Option<String>| Ok(Some(Over { report: Box::new(report), lost }));
    let failed = |failure: Option<ExternalFailure>, error: String| {
        if let Some(failure) = failure.filter(ExternalFailure::is_transient) {
            return Err(failure);
        }
        tracing::error!(%run, error, "how a run ended cannot be told");
        over(gone(deps, run, &error), Some(error))
    };
    match orch_runner::inspect(&dir) {
        Ok(RunState::Ended(report)) => Ok(Some(Over { report, lost: None })),
        Ok(RunState::Running { .. }) => Ok(None),
        // The journal says that it was started: its directory was taken away under it.
        Ok(RunState::NotStarted) => {
            let why = "the run's directory is gone";
            over(gone(deps, run, why), Some(why.to_owned()))
        }
        Ok(RunState::Lost { started }) => match orch_runner::finish_lost(&dir, &environment_of(deps, settings, &dir)) {
            Ok(report) => {
                let who = started.map_or_else(String::new, |started| format!(" (process {})", started.runner.pid));
                over(report, Some(format!("its runner{who} is gone without a report")))
            }
            Err(error) => failed(error.external(), error.to_string()),
        },
        Err(error) => failed(error.external(), error.to_string()),
    }
}

/// Ends what is left of a run whose files do not say how it went, and reports it as crashed.
fn gone(deps: &Deps, run: &RunId, why: &str) -> RunReport {
    let swept = sweep(run.as_str(), Duration::from_secs(2));
    let now = deps.clock.now();
    RunReport {
        run_id: run.clone(),
        kind: RunKind::Work,
        started_at: now,
        ended_at: now,
        exit: None,
        ending: Ending { failure: Some(Failure::new(FailureClass::Crashed, why)), ..Ending::default() },
        stopped: None,
        swept: swept.iter().map(|process| format!("{process:?}")).collect(),
        warnings: Vec::new(),
        transcript_bytes: 0,
    }
}

/// Returns the environment that a run's agent was given, as far as it is known.
fn environment_of(deps: &Deps, settings: &Settings, dir: &RunDir) -> BTreeMap<String, String> {
    let Ok(launch) = dir.read_launch() else { return BTreeMap::new() };
    let agent = settings.config.agents.answerer(&launch.agent);
    let environment = agent.map(|agent| agent_env::for_agent(&deps.environment, &launch.spec.pass_env, agent));
    environment
        .and_then(|whole| {
            whole
                .inspect_err(|error| {
                    tracing::warn!(run = %launch.run_id, %error, "the environment of a lost run cannot be had whole");
                })
                .ok()
        })
        .unwrap_or_default()
}

/// When what is known of each run's health was written down.
pub type Seen = HashMap<RunId, SystemTime>;

/// A run that is over.
#[derive(Debug, Clone)]
pub struct Over {
    /// The report of the run.
    pub report: Box<RunReport>,
    /// What became of the runner, when it did not report itself.
    pub lost: Option<String>,
}

/// Returns what a runner wrote down since it was read last. Blocking.
pub fn news(deps: &Deps, run: &RunId, seen: &Seen) -> Option<(RunId, Health, SystemTime)> {
    let (health, written) = deps.run_dir(run).read_health(seen.get(run).copied())?;
    Some((run.clone(), health, written))
}
