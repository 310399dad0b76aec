//! Stop requests, as a file in the run's directory: it works whether or not the runner is alive, and cannot be missed.

use super::launch::{RunDir, RunFileError};
use super::signals::StopSource;
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability};
use serde::{Deserialize, Serialize};

/// The file with the name of the user who is attached to the pane; `orch task attach` writes it.
const ATTACHED: &str = "attached.txt";
/// The longest name that is read, in bytes.
const MAX_NAME: usize = 4 << 10;

/// Why a run is to end. Stored as `stop.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequest {
    /// The reason for a person, such as `cancelled by the user`.
    pub reason: String,
}

impl RunDir {
    /// Asks the runner to end the run. A run that has not started will not start its agent any more.
    ///
    /// # Errors
    /// The request cannot be written.
    pub fn request_stop(&self, reason: &str) -> Result<(), RunFileError> {
        point!("stop.before");
        self.write(&self.stop(), &StopRequest { reason: reason.to_owned() }, Durability::Cached)?;
        point!("stop.after");
        Ok(())
    }

    /// Describes who asked for the end, and how. `orch task attach` stores the name of the user who entered the pane.
    pub(super) fn describe_stop(&self, source: StopSource) -> String {
        match source {
            StopSource::Signal => "stopped by a signal to the runner".to_owned(),
            StopSource::Keys => match self.attached() {
                Some(who) => format!("stopped by {who}, with Ctrl-C in its pane"),
                None => "stopped with Ctrl-C in its pane".to_owned(),
            },
        }
    }

    /// Returns the name of the user who is attached to the pane.
    fn attached(&self) -> Option<String> {
        let bytes = fs::read_limited(&self.path().join(ATTACHED), MAX_NAME).ok()?;
        let name: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(100).collect();
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// Returns the reason of a stop request, if there is one. A request that cannot be read still counts; an error of the
    /// disk that hides whether there is one does not, and the next check tries again.
    pub(super) fn stop_requested(&self) -> Option<String> {
        match fs::read_limited(&self.stop(), 64 << 10) {
            Ok(bytes) => {
                let request = serde_json::from_slice::<StopRequest>(&bytes);
                Some(request.map_or_else(|_| "stopped on request".to_owned(), |request| request.reason))
            }
            Err(error) if error.is_not_found() => None,
            Err(_) => self.stop().try_exists().is_ok_and(|exists| exists).then(|| "stopped on request".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_cannot_be_read_is_one_and_a_disk_that_does_not_answer_has_asked_for_nothing() {
        let place = tempfile::tempdir().expect("a directory");
        let dir = RunDir::new(place.path());
        assert_eq!(dir.stop_requested(), None);
        std::fs::create_dir(dir.stop()).expect("a directory in its place");
        assert_eq!(dir.stop_requested().as_deref(), Some("stopped on request"));
        std::fs::remove_dir(dir.stop()).expect("it goes");
        dir.request_stop("cancelled").expect("a request");
        assert_eq!(dir.stop_requested().as_deref(), Some("cancelled"));
        assert_eq!(dir.describe_stop(StopSource::Keys), "stopped with Ctrl-C in its pane");
        fs::write_private(&place.path().join(ATTACHED), b"ada\n", Durability::Cached).expect("written");
        assert_eq!(dir.describe_stop(StopSource::Keys), "stopped by ada, with Ctrl-C in its pane");
        assert_eq!(dir.describe_stop(StopSource::Signal), "stopped by a signal to the runner");
        // A path that cannot be examined counts as no request.
        assert_eq!(RunDir::new(dir.stop().join("below")).stop_requested(), None);
    }
}
