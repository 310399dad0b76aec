//! Asking a run to end, by a file in its directory: it works whoever lives, and cannot be missed.

use super::launch::{RunDir, RunFileError};
use super::signals::Asked;
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability};
use serde::{Deserialize, Serialize};

/// The file with the name of the person who is in the pane; `orch task attach` writes it.
const ATTACHED: &str = "attached.txt";
/// Names are shorter.
const LONGEST_NAME: usize = 4 << 10;

/// Why a run is to end. Stored as `stop.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequest {
    /// For a person: `cancelled by the user`.
    pub reason: String,
}

impl RunDir {
    /// Asks the runner to end the run. A run that has not started will not start its agent any more.
    ///
    /// # Errors
    /// When the request cannot be written.
    pub fn request_stop(&self, reason: &str) -> Result<(), RunFileError> {
        point!("stop.before");
        self.write(&self.stop(), &StopRequest { reason: reason.to_owned() }, Durability::Cached)?;
        point!("stop.after");
        Ok(())
    }

    /// Who asked for the end, and how. `orch task attach` leaves the name of whoever entered the pane.
    pub(super) fn told_asked(&self, asked: Asked) -> String {
        match asked {
            Asked::Signal => "stopped by a signal to the runner".to_owned(),
            Asked::Keys => match self.attached() {
                Some(who) => format!("stopped by {who}, with Ctrl-C in its pane"),
                None => "stopped with Ctrl-C in its pane".to_owned(),
            },
        }
    }

    /// Who entered the pane last and is there still.
    fn attached(&self) -> Option<String> {
        let bytes = fs::read_limited(&self.path().join(ATTACHED), LONGEST_NAME).ok()?;
        let name: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(100).collect();
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// The reason of a request, when there is one. A request that cannot be read is one all the same; a disk that does
    /// not say whether there is one has asked for nothing, and is asked again at the next look.
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
        assert_eq!(dir.told_asked(Asked::Keys), "stopped with Ctrl-C in its pane");
        fs::write_private(&place.path().join(ATTACHED), b"ada\n", Durability::Cached).expect("written");
        assert_eq!(dir.told_asked(Asked::Keys), "stopped by ada, with Ctrl-C in its pane");
        assert_eq!(dir.told_asked(Asked::Signal), "stopped by a signal to the runner");
        // What cannot be looked at is neither there nor not there.
        assert_eq!(RunDir::new(dir.stop().join("below")).stop_requested(), None);
    }
}
