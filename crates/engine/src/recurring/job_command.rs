//! Running the command of a job: as the checks of a project run, in its directory, with a time limit, its output kept. It
//! is started at most once, whatever becomes of orch meanwhile.

use crate::deps::{Deps, agent_env};
use crate::settings::Settings;
use orch_core::base::names::short_hash;
use orch_core::operations::job::{CommandEnd, CommandState, Firing, JobId, Made};
use orch_runner::contained;
use orch_store::journal::Project;
use orch_sys::clock::instant;
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability};
use orch_sys::process::{Excess, Invocation, ProcessError, RUN_MARK, run_async, sweep};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How much of a command's output is kept, in bytes.
const OUTPUT: usize = 1 << 20;
/// How much of it the history of the job holds, in bytes.
const TAIL: usize = 8 << 10;
/// The number of outputs that are kept of a job's commands.
const KEPT: usize = 50;

/// A command that could not be started.
pub fn not_started(why: String) -> CommandEnd {
    CommandEnd { state: CommandState::NotStarted, exit_code: None, duration_ms: 0, tail: why }
}

/// Returns where the command runs.
fn place(dir: Option<&PathBuf>, projects: &[Project]) -> Result<PathBuf, String> {
    let dir = match (dir, projects) {
        (Some(dir), _) => dir.clone(),
        (None, [only]) => only.dir.clone(),
        (None, []) => return Err("the job names no dir and no project is registered".to_owned()),
        (None, several) => return Err(format!("the job names no dir and there are {} projects", several.len())),
    };
    if dir.is_dir() { Ok(dir) } else { Err(format!("{} is not there", dir.display())) }
}

/// Runs it, unless it was started before.
pub(crate) async fn run(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    projects: &[Project],
    firing: &Firing,
) -> CommandEnd {
    let Made::Command { run, dir, timeout_seconds, .. } = &firing.made else {
        return not_started("there is no command".to_owned());
    };
    let key = firing.key();
    let all = deps.home.job_commands(&key.job);
    let own = all.join(key.due.as_millisecond().to_string());
    let mark = mark(&own);
    point!("command.before");
    match claim(&own) {
        Ok(true) => point!("command.claimed"),
        Ok(false) => {
            sweep_beside(mark).await;
            return CommandEnd { state: CommandState::Lost, exit_code: None, duration_ms: 0, tail: String::new() };
        }
        Err(why) => return not_started(why),
    }
    let dir = match place(dir.as_ref(), projects) {
        Ok(dir) => dir,
        Err(why) => return not_started(why),
    };
    let call = Invocation::new("/bin/sh", dir)
        .args(["-c", run])
        .envs(agent_env::for_jobs(&deps.environment, &deps.home))
        .env(RUN_MARK, &mark)
        .env("ORCH_JOB", key.job.as_str())
        .env("ORCH_JOB_DUE", key.due.to_string())
        .time_limit(Duration::from_secs(*timeout_seconds))
        .output_limit(OUTPUT, Excess::KeepTail);
    let begun = instant();
    let result = run_async(&contained(call, &deps.program())).await;
    let took = begun.elapsed();
    point!("command.ended");
    // The container has ended what the command left behind; here is what is left where the container itself was killed.
    sweep_beside(mark).await;
    let (state, exit_code, output) = match result {
        Ok(output) => {
            let state = if output.success() { CommandState::Passed } else { CommandState::Failed };
            let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            (state, output.exit.code, whole_words(text.concat(), output.truncated))
        }
        Err(ProcessError::TimedOut { .. }) => (CommandState::TimedOut, None, String::new()),
        Err(error) => (CommandState::NotStarted, None, error.to_string()),
    };
    let output = settings.config.redactor(&deps.environment).text(&output).into_owned();
    keep(&own, &output);
    point!("command.kept");
    drop_old(&all, &key.job);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    CommandEnd { state, exit_code, duration_ms, tail: tail(&orch_runner::sanitize(&output)).to_owned() }
}

/// Takes the command for this process and all time: `false` when it was taken before.
fn claim(own: &Path) -> Result<bool, String> {
    fs::create_dir_private(own).map_err(|error| error.to_string())?;
    match std::fs::File::create_new(own.join("started")) {
        Ok(file) => {
            // A power cut must not make it begin a second time.
            file.sync_all()
                .and_then(|()| fs::sync_dir(own).map_err(std::io::Error::other))
                .map_err(|e| e.to_string())?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the mark of the processes of one execution. It is made from the execution's directory, because jobs of two
/// homes may have the same name and time, and each home ends what carries its mark.
fn mark(own: &Path) -> String {
    format!("job-{}", short_hash(own.as_os_str().as_bytes()))
}

async fn sweep_beside(mark: String) {
    let swept = tokio::task::spawn_blocking(move || sweep(&mark, Duration::from_millis(200))).await;
    if let Err(error) = swept {
        tracing::warn!(%error, "the processes of a job's command could not be looked for");
    }
}

fn keep(own: &Path, output: &str) {
    if let Err(error) = fs::write_private(&own.join("output.log"), output.as_bytes(), Durability::Cached) {
        tracing::warn!(%error, "the output of a job's command could not be kept");
    }
}

/// Removes old outputs.
fn drop_old(all: &Path, job: &JobId) {
    let Ok(found) = std::fs::read_dir(all) else { return };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<i64>().ok());
    let mut times: Vec<i64> = found.filter_map(Result::ok).filter_map(number).collect();
    times.sort_unstable();
    let old = times.len().saturating_sub(KEPT);
    for time in &times[..old] {
        if let Err(error) = std::fs::remove_dir_all(all.join(time.to_string())) {
            tracing::warn!(%job, %error, "an old output of a job's command cannot be removed");
        }
    }
}

/// Where the beginning of the output was dropped, so is the rest of the word that was cut: it may be the rest of a secret.
fn whole_words(text: String, is_cut: bool) -> String {
    match text.find(char::is_whitespace).filter(|_| is_cut) {
        Some(end) => text[end..].to_owned(),
        None => text,
    }
}

/// Returns the end of a text, cut at a character.
fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_two_homes_do_not_share_a_mark() {
        let [one, other] = ["/a/.orch/jobs/dump/1000", "/b/.orch/jobs/dump/1000"].map(Path::new);
        assert_ne!(mark(one), mark(other));
        assert_ne!(mark(one), mark(Path::new("/a/.orch/jobs/dump/2000")));
    }
}
