//! Runs one command of a project with a time limit, and keeps its output.

use crate::deps::{Deps, agent_env};
use orch_core::base::ids::RunId;
use orch_core::tasks::evidence::{Check, CheckState};
use orch_runner::contained;
use orch_sys::clock::instant;
use orch_sys::process::{Excess, Invocation, Output, ProcessError, RUN_MARK, run_async, sweep};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How much of a check's output is kept, in bytes.
const CHECK_OUTPUT: usize = 1 << 20;

/// How much of it goes into the evidence and back to the agent, in bytes.
pub(crate) const CHECK_TAIL: usize = 8 << 10;

/// Runs a shell line as a check: its output is whole, but for what is over the limit.
pub async fn run_check(
    deps: &Deps,
    command: &str,
    run: &RunId,
    dir: &Path,
    limit: Duration,
    env: &BTreeMap<String, String>,
) -> (Check, String) {
    let mark = format!("{run}-check");
    let call = Invocation::new("/bin/sh", dir)
        .args(["-c", command])
        .envs(agent_env::for_checks(&deps.environment))
        .envs(env)
        .env(RUN_MARK, &mark)
        .time_limit(limit)
        .output_limit(CHECK_OUTPUT, Excess::KeepTail);
    let begun = instant();
    let result = run_async(&contained(call, &deps.program())).await;
    // The container has ended what the check left behind; here is what is left where the container itself was killed.
    let swept = tokio::task::spawn_blocking(move || sweep(&mark, Duration::from_millis(200))).await;
    if let Err(error) = swept {
        tracing::warn!(%run, %error, "the processes of a check could not be looked for");
    }
    let text =
        |output: &Output| [&output.stdout, &output.stderr].map(|bytes| whole_words(bytes, output.truncated)).concat();
    let (state, exit_code, output) = match result {
        Ok(output) => {
            let state = if output.success() { CheckState::Passed } else { CheckState::Failed };
            (state, output.exit.code, text(&output))
        }
        Err(ProcessError::TimedOut { printed, .. }) => {
            (CheckState::TimedOut, None, printed.map(|printed| text(&printed)).unwrap_or_default())
        }
        Err(error) => (CheckState::NotStarted, None, error.to_string()),
    };
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    (Check { exit_code, duration_ms, ..Check::new(command, state) }, output)
}

/// Output as text. Where its beginning was dropped, so is the rest of the word that was cut: it may be the rest of a
/// secret, which nothing could recognize.
fn whole_words(bytes: &[u8], is_cut: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.find(char::is_whitespace).filter(|_| is_cut) {
        Some(end) => text[end..].to_owned(),
        None => text.into_owned(),
    }
}

/// Returns the end of a text, cut at a character.
pub(crate) fn tail(text: &str, max: usize) -> &str {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
