//! Bringing a backup back into homes that are not in order.

use super::*;
use crate::rebuild;
use orch_core::tasks::task::{FileState, Seen, Spec, Status, Task};
use orch_runner::RunDir;
use orch_store::journal::{Journal, Write};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A home with one task in its journal, and a backup of it.
struct Place {
    dir: tempfile::TempDir,
    home: Home,
}

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::new(dir.path().join("home"), None);
        [home.state(), home.runs()].iter().for_each(|dir| fs::create_dir_private(dir).expect("made"));
        let place = Self { dir, home };
        place.store(1).await;
        backup(&place.home, &place.file(), BackupWish::default(), Timestamp::UNIX_EPOCH).expect("a backup");
        place
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("home.orch")
    }

    async fn store(&self, id: u64) {
        let (journal, _) = Journal::open(&self.home.journal()).expect("opens");
        let state =
            FileState::Written { status: Some(Status::New), since: Vec::new(), results: false, seen: Seen::Yes };
        let task = Task::new(TaskId(id), Spec::default(), state, Timestamp::UNIX_EPOCH);
        journal.commit(vec![Write::Task(Arc::new(task))]).await.expect("stored");
        journal.leave().await;
    }

    async fn restore(&self) -> Result<Restored, RestoreError> {
        let wish = RestoreWish { dry_run: false, force: true };
        restore(&self.home, &BTreeMap::new(), &self.file(), wish, Timestamp::UNIX_EPOCH).await
    }
}

#[tokio::test]
async fn what_was_known_of_the_old_journals_damage_is_not_done_to_the_restored_one() {
    let place = Place::new().await;
    let kept = place.home.damaged().join("20260101T000000.000Z");
    fs::create_dir_private(&kept).expect("made");
    let write = |path: &Path| fs::write_private(path, b"garbage", fs::Durability::Cached).expect("written");
    write(&kept.join("orch.db"));
    write(&rebuild::suspect(&place.home));
    assert!(rebuild::interrupted(&place.home));
    place.restore().await.expect("restored");
    assert!(!rebuild::interrupted(&place.home), "the next start makes no journal of the old one");
    assert!(!rebuild::suspect(&place.home).exists(), "nor doubts the restored one");
    assert!(kept.join("orch.db").exists() && rebuild::last_damage(&place.home).is_none());
}

#[tokio::test]
async fn a_backup_that_has_no_place_says_which_and_not_that_the_journal_is_at_fault() {
    let place = Place::new().await;
    let refused = |target: &Path| {
        let wish = BackupWish { force: true, with_runs: false };
        backup(&place.home, target, wish, Timestamp::UNIX_EPOCH).expect_err("refused").to_string()
    };
    let (nowhere, dir) = (place.dir.path().join("no/such/dir"), place.dir.path());
    assert_eq!(refused(&nowhere.join("x")), format!("there is no directory {}", nowhere.display()));
    assert_eq!(refused(dir), format!("{} is a directory", dir.display()));
    let in_a_file = place.file().join("x");
    assert_eq!(refused(&in_a_file), format!("there is no directory {}", place.file().display()));
}

#[tokio::test]
async fn a_restore_refuses_while_an_agent_works_that_the_backup_does_not_know() {
    let place = Place::new().await;
    let run = RunId::new(TaskId(1), 1, 7);
    let dir = RunDir::new(place.home.run(&run));
    fs::create_dir_private(dir.path()).expect("made");
    fs::write_private(&dir.started(), b"{}", fs::Durability::Cached).expect("written");
    let lock = fs::lock_exclusive(&dir.lock()).expect("a file").expect("free");
    match place.restore().await {
        Err(RestoreError::Alive { runs }) => assert_eq!(runs, [run]),
        other => panic!("{other:?}"),
    }
    assert!(interrupted_restore(&place.home).is_none() && !place.home.replaced().exists(), "nothing was moved");
    drop(lock);
    place.restore().await.expect("it has ended");
}

#[tokio::test]
async fn a_restore_that_was_cut_short_and_is_done_again_gives_no_number_out_twice() {
    let place = Place::new().await;
    place.store(9).await;
    // As the first try leaves it that was cut short after it had moved all of it aside.
    let aside = place.home.replaced().join("20260101T000000.000Z/.orch");
    fs::create_dir_private(&aside).expect("made");
    fs::move_aside(&place.home.journal(), &aside.join("orch.db")).expect("moved");
    std::fs::remove_file(witness(&place)).expect("there");
    place.restore().await.expect("restored");
    assert_eq!(Journal::open(&place.home.journal()).expect("opens").1.last_task_id, 9, "what was moved aside tells it");
}

#[tokio::test]
async fn the_journal_that_is_replaced_tells_which_numbers_were_given_out() {
    let place = Place::new().await;
    place.store(9).await;
    std::fs::remove_file(witness(&place)).expect("there");
    place.restore().await.expect("restored");
    assert_eq!(Journal::open(&place.home.journal()).expect("opens").1.last_task_id, 9);
}

fn witness(place: &Place) -> PathBuf {
    orch_store::witness::path_of(&place.home.journal())
}

#[tokio::test]
async fn a_backup_leaves_one_file_beside_it_and_the_journals_log_as_it_is() {
    let place = Place::new().await;
    let names = |dir: &Path| -> Vec<String> {
        archive::entries_of(dir)
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("home.orch"))
            .collect()
    };
    assert_eq!(names(place.dir.path()), ["home.orch"]);
    // As a daemon that was killed leaves it: the newest changes are in the log alone.
    let (journal, _) = Journal::open(&place.home.journal()).expect("opens");
    let state = FileState::Written { status: Some(Status::New), since: Vec::new(), results: false, seen: Seen::Yes };
    let task = Task::new(TaskId(2), Spec::default(), state, Timestamp::UNIX_EPOCH);
    journal.commit(vec![Write::Task(Arc::new(task))]).await.expect("stored");
    journal.abandon().await;
    drop(journal);
    let log = place.home.state().join("orch.db-wal");
    let before = std::fs::read(&log).expect("there");
    assert!(!before.is_empty());
    backup(&place.home, &place.file(), BackupWish { force: true, with_runs: false }, Timestamp::UNIX_EPOCH)
        .expect("done");
    assert!(std::fs::read(&log).expect("still there") == before);
    assert_eq!(names(place.dir.path()), ["home.orch"]);
}
