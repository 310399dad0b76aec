//! Asking a run to end, by a file in its directory: it works whoever lives, and cannot be missed.

use super::launch::{RunDir, RunFileError};
use crate::adapters::crash::point;
use crate::adapters::fs::{self, Durability};
use serde::{Deserialize, Serialize};

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
        // What cannot be looked at is neither there nor not there.
        assert_eq!(RunDir::new(dir.stop().join("below")).stop_requested(), None);
    }
}
