//! The dependencies of the engine: every adapter it calls, in one struct that the composition root makes.

pub(crate) mod agent_env;
pub(crate) mod damage;
pub(crate) mod job_key;
pub(crate) mod leases;
pub(crate) mod ledger;
pub(crate) mod obstacle;
pub(crate) mod repositories;
pub(crate) mod task_context;

use crate::deps::ledger::Ledger;
use crate::deps::obstacle::Obstacles;
use crate::settings::Sources;
use orch_config::home::Home;
use orch_store::journal::Journal;
use orch_sys::clock::Clock;
use orch_sys::tmux::Tmux;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Repositories by directory.
pub type Repositories = std::collections::HashMap<PathBuf, (orch_sys::git::Repo, Option<std::time::SystemTime>)>;

/// The adapters and settings that the engine works with.
pub struct Deps {
    /// The paths of the home.
    pub home: Home,
    /// The source of the time.
    pub clock: Arc<dyn Clock>,
    /// The journal, which holds what happened.
    pub journal: Journal,
    /// What became of the journal when it was last found damaged.
    pub damage: Option<damage::Damage>,
    /// The tmux server, which holds the agents' sessions.
    pub tmux: Tmux,
    /// Where this program was when this process began; see [`Self::program`].
    pub orch: PathBuf,
    /// The daemon's environment.
    pub environment: BTreeMap<String, String>,
    /// The socket on which runners wake this engine.
    pub wake_socket: PathBuf,
    /// Where settings come from.
    pub sources: Sources,
    /// git, located when it is first needed.
    pub git: tokio::sync::OnceCell<orch_sys::git::Git>,
    /// Repositories that were discovered, with the time stamp of their configuration.
    pub repositories: std::sync::Mutex<Repositories>,
    /// Held while the repository at a directory is discovered: a burst of tasks needs one discovery.
    pub discovering: crate::deps::repositories::Discovering,
    /// Base branches that this engine moved, so that no agent is blamed for it.
    pub ledger: Ledger,
    /// What is in the way of jobs now.
    pub obstacles: Obstacles,
}

impl Deps {
    /// 32 random bits.
    pub fn random(&self) -> u32 {
        let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// This program, where it can be started from now.
    pub fn program(&self) -> PathBuf {
        orch_sys::process::own_program(&self.orch)
    }

    /// Returns the directory of a run.
    pub fn run_dir(&self, run: &orch_core::base::ids::RunId) -> orch_runner::RunDir {
        orch_runner::RunDir::new(self.home.run(run))
    }
}
