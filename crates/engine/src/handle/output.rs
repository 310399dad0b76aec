//! What runs say and have said: their last lines, their files, and following them.

use crate::engine::engine_handle::EngineHandle;
use orch_core::tasks::task::Run;
use orch_core::text::output::Part;
use orch_stream::{RunFiles, Start, Subscription};
use std::path::PathBuf;

impl EngineHandle {
    /// Returns the last line that each of these runs has said, in their order.
    pub async fn last_lines(&self, runs: &[Run]) -> Vec<Option<String>> {
        let files: Vec<RunFiles> = runs
            .iter()
            .map(|run| RunFiles::new(run.task, run.id.clone(), self.run_dir(run), Part::default()))
            .collect();
        let silent = vec![None; runs.len()];
        let read = tokio::task::spawn_blocking(move || files.iter().map(orch_stream::last_line).collect());
        read.await.unwrap_or(silent)
    }

    /// Returns the number of runs that are followed.
    pub fn followed(&self) -> usize {
        self.hub.followed()
    }

    /// Returns the directory of a run.
    pub fn run_dir(&self, run: &Run) -> PathBuf {
        self.runs_dir.join(run.id.as_str())
    }

    /// Follows a part of a run's output from a place on to its end.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub async fn watch(&self, run: &Run, part: Part, start: Start) -> std::io::Result<Subscription> {
        let (hub, files) = (self.hub.clone(), RunFiles::new(run.task, run.id.clone(), self.run_dir(run), part));
        tokio::task::spawn_blocking(move || hub.subscribe(&files, start)).await.map_err(std::io::Error::other)?
    }
}
