//! Files that are changed in several steps: a `config.yml` that is being saved, the program of an agent that is being
//! upgraded. What they were before holds for a moment longer.

use orch_sys::clock::instant;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a `config.yml` that is gone, empty, or only the beginning of what it was may be in the middle of a save.
const SAVING: Duration = Duration::from_secs(10);

/// What was read last, and since when less than that is there.
#[derive(Debug, Clone, Default)]
pub struct Settling {
    text: Option<String>,
    cut_since: Option<Instant>,
    away: BTreeMap<String, Instant>,
}

impl Settling {
    /// Returns the text that holds although less is there now, because another program may be saving the file.
    pub fn held(&mut self, found: Option<&str>) -> Option<String> {
        let before = self.text.as_ref()?;
        let found = found.unwrap_or_default();
        if found.len() >= before.len() || !before.starts_with(found) {
            self.cut_since = None;
            return None;
        }
        let since = *self.cut_since.get_or_insert_with(instant);
        (since.elapsed() < SAVING).then(|| before.clone())
    }

    /// This text was read, and is in force.
    pub fn read(&mut self, text: Option<&str>) {
        self.text = text.map(str::to_owned);
        self.cut_since = None;
    }

    /// Adds agents whose program was there a moment ago to those whose program is there.
    pub fn keep_away(&mut self, installed: &mut Vec<String>, before: &[String], is_configured: impl Fn(&str) -> bool) {
        self.away.retain(|name, _| !installed.contains(name));
        let missing = before.iter().filter(|name| !installed.contains(name) && is_configured(name));
        for name in missing.cloned().collect::<Vec<_>>() {
            let since = *self.away.entry(name.clone()).or_insert_with(instant);
            if since.elapsed() < UPGRADE {
                installed.push(name);
            }
        }
    }

    /// Returns whether something is to be read again though no file changes.
    pub fn is_open(&self) -> bool {
        self.cut_since.is_some() || self.away.values().any(|since| since.elapsed() < UPGRADE)
    }
}

/// How long the program of an agent that was installed may be missing, as it is during an upgrade.
pub const UPGRADE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_only_a_part_of_what_it_was_is_being_saved() {
        let mut settling = Settling::default();
        assert_eq!(settling.held(None), None, "nothing was read before");
        settling.read(Some("a: 1\nb: 2\n"));
        for part in [None, Some(""), Some("a: 1\n"), Some("a: 1\nb")] {
            assert_eq!(settling.held(part).as_deref(), Some("a: 1\nb: 2\n"), "{part:?}");
            assert!(settling.is_open());
        }
        assert_eq!(settling.held(Some("a: 1\nb: 3\n")), None, "an edit is in force at once");
        assert!(!settling.is_open());
    }

    #[test]
    fn an_agent_whose_program_is_away_for_a_moment_stays_installed() {
        let (mut settling, before) = (Settling::default(), ["bot".to_owned(), "gone".to_owned()]);
        let mut installed = Vec::new();
        settling.keep_away(&mut installed, &before, |name| name == "bot");
        assert_eq!(installed, ["bot"]);
        assert!(settling.is_open());
        settling.keep_away(&mut installed, &before, |name| name == "bot");
        assert!(!settling.is_open(), "it is back");
    }
}
