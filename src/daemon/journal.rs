//! Opens the journal of a home. A process that runs tasks rebuilds a damaged one; a short command only reports it.

use super::{OpenError, Setup};
use jiff::{SignedDuration, Timestamp};
use orch_config::home::Home;
use orch_engine::{
    Damage, EngineExit, Mode, RestoreWish, Restored, Signals, believe, interrupted_rebuild, interrupted_restore,
    last_damage, rebuild, restore, set_journal_aside, suspect,
};
use orch_store::journal::{Care, Journal, JournalError, Loaded, whole};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::fs::{self, Durability, FsError};
use std::path::Path;

/// The file with the time at which a suspected journal was last found to be intact.
const ACQUITTED: &str = "acquitted";
/// A journal that is damaged again within this time is not rebuilt automatically.
const REBUILD_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// How often the lock of a home is tried that a short command may hold, and the wait in between.
const MAX_TRIES: u32 = 50;
const RETRY: std::time::Duration = std::time::Duration::from_millis(100);

impl Setup {
    /// Opens the journal, and returns the report on a damage that was repaired. The caller holds the engine's lock.
    pub(super) async fn open_journal(&self, mode: Mode) -> Result<(Journal, Loaded, Option<Damage>), OpenError> {
        if let Some(file) = interrupted_restore(&self.home) {
            return Err(OpenError::Restoring { file });
        }
        let (path, care) = (self.home.journal(), care_for(mode));
        let cause = match known_damage(&self.home, SystemClock.now()) {
            Some(cause) => cause,
            None => match Journal::open_with(&path, care) {
                Err(error) if error.is_damage() => error.to_string(),
                opened => return opened.map(|(journal, loaded)| (journal, loaded, None)).map_err(OpenError::from),
            },
        };
        if care == Care::Some {
            return Err(OpenError::Damaged { cause });
        }
        if let Some(at) = recently_rebuilt(&self.home, SystemClock.now()) {
            return Err(OpenError::DamagedAgain { at, cause });
        }
        let damage = self.rebuild(&cause).await?;
        let (journal, loaded) = Journal::open_with(&path, care)?;
        Ok((journal, loaded, Some(damage)))
    }

    /// Checks the whole journal while no engine runs, and rebuilds it if it is damaged.
    ///
    /// # Errors
    /// An engine runs, or a new journal cannot be written.
    pub async fn mend(&self) -> Result<Option<Damage>, OpenError> {
        self.prepare()?;
        let _lock = fs::lock_exclusive(&self.home.lock())?.ok_or_else(|| self.busy())?;
        if let Some(file) = interrupted_restore(&self.home) {
            return Err(OpenError::Restoring { file });
        }
        let cause = match known_damage(&self.home, SystemClock.now()) {
            Some(cause) => cause,
            None if !self.home.journal().exists() => return Ok(None),
            None => match self.verify_journal() {
                Ok(()) => return Ok(None),
                Err(error) if error.is_damage() => error.to_string(),
                Err(error) => return Err(error.into()),
            },
        };
        self.rebuild(&cause).await.map(Some)
    }

    /// Restores a backup while no engine runs.
    ///
    /// # Errors
    /// An engine runs, the state of the home forbids it, or the file is unusable.
    pub async fn restore(&self, file: &Path, wish: RestoreWish) -> Result<Restored, OpenError> {
        self.prepare()?;
        let _lock = fs::lock_exclusive(&self.home.lock())?.ok_or_else(|| self.busy())?;
        restore(&self.home, &self.environment, file, wish, SystemClock.now()).await.map_err(OpenError::Restore)
    }

    /// Checks that the journal is intact, also while an engine runs.
    ///
    /// # Errors
    /// The damage.
    pub fn verify_journal(&self) -> Result<(), JournalError> {
        whole(&self.home.journal())
    }

    async fn rebuild(&self, cause: &str) -> Result<Damage, OpenError> {
        Ok(rebuild(&self.home, &self.environment, SystemClock.now(), cause).await?)
    }
}

fn care_for(mode: Mode) -> Care {
    if let Mode::Command = mode { Care::Some } else { Care::All }
}

/// Returns when the journal was rebuilt, if that is so recent that the cause of the damage must persist. A person may still
/// rebuild it by a command.
fn recently_rebuilt(home: &Home, now: Timestamp) -> Option<Timestamp> {
    let at = last_damage(home)?.at;
    (now.duration_since(at).abs() < REBUILD_INTERVAL).then_some(at)
}

/// Returns the damage that is known before the journal is opened.
fn known_damage(home: &Home, now: Timestamp) -> Option<String> {
    if let Ok(cause) = fs::read_text(&suspect(home), 64 << 10)
        && !is_acquitted(home, &cause, now)
    {
        return Some(cause);
    }
    if interrupted_rebuild(home) {
        return Some("rebuilding it was interrupted".to_owned());
    }
    let has_runs = || home.runs().read_dir().is_ok_and(|mut runs| runs.next().is_some());
    (!home.journal().exists() && has_runs()).then(|| format!("{} is gone", home.journal().display()))
}

/// Checks a suspected journal as a whole, because a temporary failure of the disk may have looked like damage. A journal
/// that is suspected again within [`REBUILD_INTERVAL`] counts as damaged in a way that no check finds.
fn is_acquitted(home: &Home, cause: &str, now: Timestamp) -> bool {
    let note = home.damaged().join(ACQUITTED);
    let last = fs::read_text(&note, 64).ok().and_then(|text| text.trim().parse::<Timestamp>().ok());
    if last.is_some_and(|last| now.duration_since(last).abs() < REBUILD_INTERVAL) {
        return false;
    }
    if let Err(error) = whole(&home.journal()) {
        tracing::warn!(%error, cause, "the journal was suspected and is damaged");
        return false;
    }
    let noted = fs::write_private(&note, now.to_string().as_bytes(), Durability::Synced);
    let believed = noted.and_then(|()| believe(home));
    match &believed {
        Ok(()) => tracing::info!(cause, "the journal was suspected, checked, and is intact"),
        Err(error) => tracing::warn!(%error, "cannot record that the journal is intact"),
    }
    believed.is_ok()
}

/// Records that the engine found damage while it ran: the next process that opens the journal rebuilds it.
pub(super) fn mark_damaged(home: &Home, cause: &str) {
    tracing::error!(cause, "the journal is damaged; no more runs start, and it will be rebuilt");
    let written = fs::create_dir_private(&home.damaged())
        .and_then(|()| fs::write_private(&suspect(home), cause.as_bytes(), Durability::Synced));
    if let Err(error) = written {
        tracing::error!(%error, "cannot record that the journal is damaged");
    }
}

/// Writes the journal again after the engine's state was removed while it ran, unless another engine runs there by now. If
/// that fails, the engine is not opened again, because it would have no state.
pub(super) async fn rewrite(home: &Home, journal: &Journal, exit: EngineExit, missing: &str) -> EngineExit {
    let written = save(home, journal).await;
    journal.abandon().await;
    match written {
        Ok(()) => {
            tracing::warn!(missing, "the journal is written again; the files in the directories of runs are lost");
            note_displaced(home, missing);
            EngineExit { damage: Some(missing.to_owned()), ..exit }
        }
        Err(error) => {
            let reason = format!("{missing}, and the journal cannot be written again: {error}");
            tracing::error!("{reason}");
            EngineExit { damage: None, unwritten: Some(reason), ..exit }
        }
    }
}

async fn save(home: &Home, journal: &Journal) -> Result<(), String> {
    let text = |error: FsError| error.to_string();
    fs::create_dir_private(home.root()).and_then(|()| fs::create_dir_private(&home.state())).map_err(text)?;
    let (mut tries, mut lock) = (MAX_TRIES, None);
    while lock.is_none() {
        lock = fs::lock_exclusive(&home.lock()).map_err(text)?;
        tries -= 1;
        if lock.is_none() && tries == 0 {
            return Err("another orch runs there now".to_owned());
        }
        if lock.is_none() {
            tokio::time::sleep(RETRY).await;
        }
    }
    if home.journal().exists() {
        // It belongs to a command that ran in between without any state.
        set_journal_aside(home, SystemClock.now()).map_err(text)?;
    }
    journal.save_to(&home.journal()).await.map_err(|error| error.to_string())
}

/// The file that says that the state was removed while an engine ran.
const DISPLACED: &str = "removed.txt";

fn note_displaced(home: &Home, missing: &str) {
    let file = home.state().join(DISPLACED);
    let text = format!(
        "{missing}: the journal was written again, the output of earlier runs is lost; when you have read this, remove {}",
        file.display()
    );
    if let Err(error) = fs::write_private(&file, text.as_bytes(), Durability::Cached) {
        tracing::warn!(%error, "cannot record that the state was removed");
    }
}

impl Setup {
    /// Returns the note that orch's state was removed while an engine ran, until a person removes it.
    pub fn displaced(&self) -> Option<String> {
        fs::read_text(&self.home.state().join(DISPLACED), 4096).ok()
    }
}

/// Checks a journal in the background that is too large to be checked before the engine starts.
pub(super) fn examine_in_background(home: &Home, signals: &Signals, journal: &Journal) {
    let (home, damaged, trust) = (home.clone(), signals.damaged.clone(), journal.trust());
    tokio::task::spawn_blocking(move || match whole(&home.journal()) {
        Ok(()) => {
            trust();
            tracing::info!("the journal was checked and is intact");
        }
        Err(error) if error.is_damage() => {
            mark_damaged(&home, &error.to_string());
            damaged.cancel();
        }
        Err(error) => tracing::warn!(%error, "the journal could not be checked"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[tokio::test]
    async fn a_journal_that_is_damaged_again_at_once_is_not_rebuilt_forever() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::new(dir.path(), None);
        let orch = "/bin/false".into();
        let setup = Setup { home: home.clone(), environment: BTreeMap::new(), flags: Vec::new(), orch };
        setup.prepare().expect("made");
        let harm = || fs::write_private(&home.journal(), &[b'x'; 8192], Durability::Cached).expect("written");
        harm();
        let (journal, _, damage) = setup.open_journal(Mode::Serve).await.expect("rebuilt");
        assert!(damage.is_some());
        journal.leave().await;
        harm();
        let kept = || home.damaged().read_dir().expect("reads").count();
        let before = kept();
        match setup.open_journal(Mode::Serve).await.map(|_| ()) {
            Err(OpenError::DamagedAgain { at, .. }) => assert_eq!(Some(at), damage.map(|damage| damage.at)),
            other => panic!("{other:?}"),
        }
        assert_eq!(kept(), before, "nothing more is kept");
        assert!(setup.mend().await.expect("a person may").is_some());
    }

    #[tokio::test]
    async fn a_journal_that_was_suspected_wrongly_is_used_unchanged_but_only_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::new(dir.path(), None);
        let orch = "/bin/false".into();
        let setup = Setup { home: home.clone(), environment: BTreeMap::new(), flags: Vec::new(), orch };
        setup.prepare().expect("made");
        let (journal, _, _) = setup.open_journal(Mode::Serve).await.expect("a journal");
        journal.leave().await;
        mark_damaged(&home, "a disk that failed for a moment");
        // This holds for a short command as well.
        let (journal, _, damage) = setup.open_journal(Mode::Command).await.expect("acquitted");
        assert!(damage.is_none() && !suspect(&home).exists());
        journal.leave().await;
        mark_damaged(&home, "again");
        let refused = setup.open_journal(Mode::Command).await.map(|_| ());
        assert!(matches!(refused, Err(OpenError::Damaged { ref cause }) if cause == "again"), "{refused:?}");
        let (journal, _, damage) = setup.open_journal(Mode::Serve).await.expect("rebuilt");
        assert!(damage.is_some());
        journal.leave().await;
    }

    #[test]
    fn a_rebuild_is_recent_for_ten_minutes_and_also_when_the_clock_went_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::new(dir.path(), None);
        let kept = home.damaged().join("20260101T000000.000Z");
        fs::create_dir_private(&kept).expect("made");
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let report = serde_json::json!({
            "at": at, "cause": "c", "kept": kept, "tasks": 0, "tasks_read": 0, "runs": 0, "entries": 0, "asked": [], "lost": [],
        });
        let document = report.to_string();
        fs::write_private(&kept.join("report.json"), document.as_bytes(), Durability::Cached).expect("written");
        for (minutes, recent) in [(0, true), (9, true), (-9, true), (11, false), (-11, false)] {
            let now = at + SignedDuration::from_mins(minutes);
            assert_eq!(recently_rebuilt(&home, now).is_some(), recent, "{minutes}");
        }
    }
}
