//! Checks whether an environment still has the secrets that a run was started with, because only known values can be
//! masked. The values are not stored: only names and digests under a key of the run's own, until the report is written.

use super::launch::{RunDir, RunFileError};
use orch_core::text::redact::is_masked;
use orch_sys::fs::Durability;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The digests of a run's secrets. Stored as `secrets.json`.
#[derive(Serialize, Deserialize)]
struct Secrets {
    key: String,
    /// Digests by the names of the variables.
    digests: BTreeMap<String, String>,
}

impl RunDir {
    fn secrets(&self) -> PathBuf {
        self.path().join("secrets.json")
    }

    /// Stores the digests of the secrets in `env`.
    pub(super) fn store_digests(&self, env: &BTreeMap<String, String>) -> Result<(), RunFileError> {
        let key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let masked = env.iter().filter(|(name, value)| is_masked(name, value));
        let digests = masked.map(|(name, value)| (name.clone(), digest(&key, name, value))).collect();
        self.write(&self.secrets(), &Secrets { key, digests }, Durability::Cached)
    }

    /// Returns a note for a person if this environment lacks secrets that the run was started with; `None` if it has all.
    pub(super) fn unknown_secrets(&self, env: &BTreeMap<String, String>) -> Option<String> {
        let lost: Vec<String> = match self.read::<Secrets>(&self.secrets()) {
            Ok(Secrets { key, digests }) => {
                let is_same =
                    |name: &String, kept: &String| env.get(name).is_some_and(|v| digest(&key, name, v) == *kept);
                digests.into_iter().filter(|(name, kept)| !is_same(name, kept)).map(|(name, _)| name).collect()
            }
            // Without the file, the number of secrets is unknown.
            Err(_) => vec!["none of them".to_owned()],
        };
        let lost = Some(lost.join(", ")).filter(|lost| !lost.is_empty())?;
        Some(format!(
            "its last output is not shown: its secrets are no longer known ({lost}); the run's directory has it"
        ))
    }

    /// Removes the digests once the report is written.
    pub(super) fn remove_digests(&self) {
        // A file that stays is removed with the run, and holds no values.
        let _ = std::fs::remove_file(self.secrets());
    }
}

fn digest(key: &str, name: &str, value: &str) -> String {
    let digest = Sha256::new().chain_update(key).chain_update(name).chain_update([0]).chain_update(value).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn env(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_an_environment_with_the_same_secrets_will_do_and_no_value_is_kept() {
        let home = tempfile::tempdir().expect("a directory");
        let dir = RunDir::new(home.path());
        assert!(dir.unknown_secrets(&env(&[])).is_some(), "nothing is known");
        let first = [("API_KEY", "canary-value-1"), ("GH_TOKEN", "canary-value-2"), ("HOME", "/home/me")];
        dir.store_digests(&env(&first)).expect("writable");
        let kept = std::fs::read_to_string(dir.secrets()).expect("readable");
        assert!(!kept.contains("canary") && !kept.contains("HOME"), "{kept}");
        assert_eq!(dir.secrets().metadata().expect("a file").permissions().mode() & 0o777, 0o600);
        let more = [("API_KEY", "canary-value-1"), ("GH_TOKEN", "canary-value-2"), ("OTHER_KEY", "canary-value-3")];
        assert_eq!(dir.unknown_secrets(&env(&more)), None);
        let other = dir.unknown_secrets(&env(&[("API_KEY", "canary-value-9")])).expect("lost");
        assert!(other.contains("(API_KEY, GH_TOKEN)") && !other.contains("canary"), "{other}");
    }
}
