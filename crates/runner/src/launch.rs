//! What the daemon hands to the runner, and the layout of a run's directory. Secrets are in a file of their own, which
//! the runner removes as it reads it.

use super::inbox::Handed;
use super::own_lines;
use orch_core::base::external::{External, ExternalFailure};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::models::agents::{DialectKind, LaunchSpec};
use orch_core::tasks::outcome::RunKind;
use orch_core::text::output;
use orch_core::text::redact::{Pattern, Redactor};
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability, FsError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Everything the runner needs to know, without secrets. Stored as `launch.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The id of the run; its processes carry it as a mark in their environment.
    pub run_id: RunId,
    /// The id of the task.
    pub task_id: TaskId,
    /// The purpose of the run.
    pub kind: RunKind,
    /// The name of the agent, as in `agents.<name>`.
    pub agent: String,
    /// The model, as the CLI names it.
    pub model: Option<String>,
    /// The dialect of its output.
    pub dialect: DialectKind,
    /// How to start the agent.
    pub spec: LaunchSpec,
    /// When to end the run.
    #[serde(default)]
    pub limits: Limits,
    /// The user's own patterns to mask, in addition to secret values and known tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<Pattern>,
    /// The user's messages that are part of the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Handed>,
    /// The daemon's datagram socket that is notified of start and end.
    pub wake_socket: Option<PathBuf>,
}

/// Limits that orch enforces, whatever the CLI does. Times in milliseconds, sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// How long the run may take.
    pub timeout_ms: u64,
    /// How long it may print nothing and use no processor time.
    pub silence_ms: u64,
    /// How long the agent may take to end after it was asked to.
    pub grace_ms: u64,
    /// How long its process may live on after its turn has ended.
    pub linger_ms: u64,
    /// How much it may print; `None` for no limit.
    pub max_output_bytes: Option<u64>,
    /// How much private memory all of its processes together may use; `None` for no limit.
    pub memory_bytes: Option<u64>,
    /// How its health is checked.
    pub health: HealthCheck,
}

/// How the runner checks the health of its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    /// Whether health is reported; otherwise only the limit of silence is enforced.
    pub enabled: bool,
    /// The time between two checks, in milliseconds; less where the limit of silence is short.
    pub interval_ms: u64,
    /// The longest time a check may take, in milliseconds; a slower one is ignored.
    pub timeout_ms: u64,
    /// How many checks after the first must agree before a verdict.
    pub max_retries: u32,
    /// The silence after which the agent is stale, in milliseconds.
    pub stale_ms: u64,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { enabled: true, interval_ms: 30_000, timeout_ms: 3_000, max_retries: 3, stale_ms: 300_000 }
    }
}

impl Launch {
    /// Returns the redactor for a run with this environment.
    pub(super) fn redactor(&self, env: &BTreeMap<String, String>) -> Redactor {
        Redactor::from_environment(env).with_patterns(&self.redact)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout_ms: 1_800_000,
            silence_ms: 600_000,
            grace_ms: 5_000,
            linger_ms: 10_000,
            max_output_bytes: None,
            memory_bytes: None,
            health: HealthCheck::default(),
        }
    }
}

impl Limits {
    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}

/// Why a run's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunFileError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// A file does not hold what it should.
    #[error("{} is damaged: {source}", path.display())]
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// A side file of the agent would land outside of the run's directory.
    #[error("side file {} is not inside the run's directory", path.display())]
    Outside {
        /// The path that it names.
        path: PathBuf,
    },
}

impl External for RunFileError {
    fn external(&self) -> Option<ExternalFailure> {
        match self {
            Self::File(error) => error.external(),
            Self::Damaged { .. } | Self::Outside { .. } => None,
        }
    }
}

/// The largest control file that is read, in bytes.
const MAX_FILE: usize = 64 << 20;

/// The directory of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir(PathBuf);

/// Defines the paths of the files in the directory of a run.
macro_rules! files {
    ($($(#[$meta:meta])* $file:ident = $name:expr;)*) => {
        impl RunDir {
            $($(#[$meta])*
            pub fn $file(&self) -> PathBuf {
                self.0.join($name)
            })*
        }
    };
}

files! {
    /// `launch.json`: a [`Launch`].
    launch = "launch.json";
    /// `env.json`: the agent's environment; exists only between the daemon's write and the runner's start.
    env = "env.json";
    /// `prompt.md`: what the agent reads on stdin.
    prompt = "prompt.md";
    /// `run.lock`: held by the runner while it is alive.
    lock = "run.lock";
    /// `started.json`: a [`super::Started`]. It exists if and only if the run was ever started.
    started = "started.json";
    /// `health.json`: a [`orch_core::base::health::Health`]; once it has changed.
    health = "health.json";
    /// `stop.json`: a request to end the run.
    stop = "stop.json";
    /// `events.jsonl`: the agent's own output, raw. Never shown: it may hold secrets.
    events = output::EVENTS;
    /// `stderr.log`: the agent's stderr, raw.
    stderr = output::STDERR;
    /// `screen.raw`: what an agent with a screen wrote to its terminal, raw.
    screen = output::SCREEN;
    /// `transcript.log`: readable lines, masked.
    transcript = output::TRANSCRIPT;
    /// `transcript.times`: when which part of the transcript was written, see [`orch_core::timeline`].
    timeline = output::TIMELINE;
    /// `transcript.styles`: the styles of the transcript's lines, see [`orch_core::styled`].
    styles = output::STYLES;
    /// `agent.jsonl`: the agent's own lines, masked.
    raw = output::RAW;
    /// `activity.jsonl`: what the agent did, masked: [`orch_core::tasks::outcome::AgentEvent`]s with their times.
    activity = output::ACTIVITY;
    /// `outcome.json`: a [`super::RunReport`].
    outcome = output::OUTCOME;
    /// `evidence/`: the output of checks.
    evidence = "evidence";
}

impl RunDir {
    /// Names the directory at this path, whether it exists or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Creates the directory and writes what the runner needs: the prompt, the environment of the agent and the launch.
    ///
    /// # Errors
    /// A file cannot be written; the run must not be started then.
    pub fn prepare(&self, launch: &Launch, env: &BTreeMap<String, String>, prompt: &str) -> Result<(), RunFileError> {
        fs::create_dir_private(&self.0)?;
        point!("prompt.before");
        fs::write_private(&self.prompt(), prompt.as_bytes(), Durability::Cached)?;
        point!("prompt.after");
        self.write_env(env)?;
        point!("launch.before");
        self.write(&self.launch(), launch, Durability::Cached)?;
        point!("launch.after");
        Ok(())
    }

    /// Flushes the directory's entry and its parent's to the disk: without them a flushed report would be lost.
    ///
    /// # Errors
    /// The directories cannot be flushed.
    pub(super) fn sync_parents(&self) -> Result<(), RunFileError> {
        let runs = self.0.parent().unwrap_or(&self.0);
        [runs, runs.parent().unwrap_or(runs)].into_iter().try_for_each(|dir| Ok(fs::sync_dir(dir)?))
    }

    /// Writes the agent's environment. Call this right before each start: the runner removes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_env(&self, env: &BTreeMap<String, String>) -> Result<(), RunFileError> {
        point!("env.before");
        self.store_digests(env)?;
        self.write(&self.env(), env, Durability::Cached)?;
        point!("env.after");
        Ok(())
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes what only a second reading of the output needs, once the report is written.
    pub(super) fn remove_reread_files(&self) {
        self.remove_digests();
        [self.transcript(), self.raw(), self.activity()].iter().for_each(|file| own_lines::forget(file));
    }

    /// Reads `launch.json`.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn read_launch(&self) -> Result<Launch, RunFileError> {
        self.read(&self.launch())
    }

    /// Reads the agent's environment and removes the file, even if it is damaged.
    pub(super) fn take_env(&self) -> Result<BTreeMap<String, String>, RunFileError> {
        let path = self.env();
        let env = self.read(&path);
        match std::fs::remove_file(&path) {
            Err(source) if env.is_ok() => Err(FsError::Io { action: "remove", path, source }.into()),
            Ok(()) | Err(_) => env,
        }
    }

    /// Writes the side files that the dialect asked for.
    pub(super) fn write_side_files(&self, files: &BTreeMap<PathBuf, String>) -> Result<(), RunFileError> {
        for (path, text) in files {
            let inside = path.starts_with(&self.0) && !path.components().any(|part| part == Component::ParentDir);
            if !inside {
                return Err(RunFileError::Outside { path: path.clone() });
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_private(parent)?;
            }
            fs::write_private(path, text.as_bytes(), Durability::Cached)?;
        }
        Ok(())
    }

    pub(super) fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<T, RunFileError> {
        let bytes = fs::read_limited(path, MAX_FILE)?;
        serde_json::from_slice(&bytes).map_err(|source| RunFileError::Damaged { path: path.to_owned(), source })
    }

    pub(super) fn write<T: Serialize>(
        &self,
        path: &Path,
        value: &T,
        durability: Durability,
    ) -> Result<(), RunFileError> {
        let bytes = serde_json::to_vec_pretty(value)
            .map_err(|source| RunFileError::Damaged { path: path.to_owned(), source })?;
        Ok(fs::write_private(path, &bytes, durability)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is written again of a file that was read.
    fn again<T: DeserializeOwned + Serialize>(text: &str) -> serde_json::Result<String> {
        serde_json::to_string(&serde_json::from_str::<T>(text)?)
    }

    /// A run outlives the daemon that started it, so its files are read by other versions.
    #[test]
    fn the_files_of_a_run_are_read_and_written_again_to_the_byte() {
        for line in include_str!("../../../tests/fixtures/run-files.txt").lines() {
            let (file, text) = line.split_once(' ').expect("a name and JSON");
            let written = match file {
                "launch" => again::<Launch>(text),
                "started" => again::<crate::Started>(text),
                "outcome" => again::<crate::RunReport>(text),
                "message" => again::<Handed>(text),
                "receipt" => again::<crate::Receipt>(text),
                "stop" => again::<crate::StopRequest>(text),
                "health" => again::<orch_core::base::health::Health>(text),
                "run_ended" => again::<orch_core::tasks::outcome::Outcome>(text),
                "event" => again::<orch_core::tasks::outcome::AgentEvent>(text),
                other => panic!("no file {other}"),
            };
            assert_eq!(written.expect("it reads back"), text, "{file}");
        }
    }

    #[test]
    fn the_layout_of_a_run_is_the_documented_one() {
        let run = RunDir::new("/runs/7-2-000000ab");
        for (path, expected) in [
            (run.launch(), "launch.json"),
            (run.prompt(), "prompt.md"),
            (run.events(), "events.jsonl"),
            (run.transcript(), "transcript.log"),
            (run.outcome(), "outcome.json"),
            (run.evidence(), "evidence"),
        ] {
            assert_eq!(path, run.path().join(expected));
        }
    }
}
