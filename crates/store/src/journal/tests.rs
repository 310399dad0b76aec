//! What becomes of a journal whose file, and not whose writer, tells something else than before.

use super::*;
use orch_core::audit::actor::Actor;
use orch_core::audit::history::Fact;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::Phase;

/// A journal with one run that has ended, closed.
async fn stored(dir: &Path) -> PathBuf {
    let path = dir.join("orch.db");
    let (journal, _) = Journal::open(&path).expect("opens");
    let at = Timestamp::UNIX_EPOCH;
    let run = Run {
        phase: Phase::Ended,
        started_at: Some(at),
        ended_at: Some(at),
        ..Run::new(RunId::new(TaskId(1), 1, 7), TaskId(1), RunKind::Work, "a".to_owned(), at)
    };
    journal.commit(vec![Write::Run(Box::new(run))]).await.expect("stored");
    journal.leave().await;
    path
}

fn entry(text: &str) -> Write {
    let fact = Fact::Untyped { kind: "kind".to_owned(), text: text.to_owned() };
    Write::Entry(Entry { seq: 1, at: Timestamp::UNIX_EPOCH, task_id: None, run_id: None, actor: Actor::Orch, fact })
}

/// Puts `to` in the place of the only `from` in the file, byte for byte.
fn change(path: &Path, from: &[u8], to: &[u8]) {
    use std::os::unix::fs::FileExt;
    let bytes = std::fs::read(path).expect("reads");
    let at: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    let [at] = at[..] else { panic!("it stands there {} times", at.len()) };
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("opens");
    file.write_all_at(to, at as u64).expect("written");
}

#[tokio::test]
async fn a_bit_that_makes_a_row_no_json_is_damage_and_not_an_error_for_ever() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = stored(dir.path()).await;
    change(&path, b"{\"id\":\"1-1-", b"{\"id\"z\"1-1-");
    for error in [whole(&path).expect_err("it changed"), Journal::open(&path).map(drop).expect_err("it changed")] {
        assert!(error.is_damage(), "{error}");
        assert!(error.to_string().contains("runs 1-1-00000007: its content is not what was stored"), "{error}");
    }
}

#[tokio::test]
async fn a_row_without_a_sum_that_is_no_json_is_damage_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = stored(dir.path()).await;
    Connection::open(&path).expect("opens").execute("UPDATE runs SET sum = NULL", []).expect("as of an older orch");
    change(&path, b"{\"id\":\"1-1-", b"{\"id\"z\"1-1-");
    for error in [whole(&path).expect_err("it changed"), Journal::open(&path).map(drop).expect_err("it changed")] {
        assert!(error.is_damage(), "{error}");
    }
}

#[tokio::test]
async fn what_is_in_the_way_is_not_the_journals_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = stored(dir.path()).await;
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("locked");
    assert!(!whole(&path).expect_err("it is locked").is_damage());
}

#[tokio::test]
async fn a_journal_that_is_abandoned_is_left_byte_for_byte() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = stored(dir.path()).await;
    let (journal, _) = Journal::open(&path).expect("opens");
    journal.commit(vec![entry("after")]).await.expect("stored");
    let files = || [path.clone(), dir.path().join("orch.db-wal")].map(|path| std::fs::read(path).expect("it is there"));
    let before = files();
    // No other connection has it open: SQLite tidies up behind the last one.
    *journal.reader.lock().expect("nobody reads") = Connection::open_in_memory().expect("memory");
    journal.abandon().await;
    drop(journal);
    assert!(files() == before, "its log is neither put into the file nor removed");
}

#[tokio::test]
async fn a_large_journal_that_nobody_examined_is_not_left_as_a_whole_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("orch.db");
    let (journal, _) = Journal::open(&path).expect("opens");
    journal.commit(vec![entry(&format!("the beginning{}", "x".repeat(17 << 20)))]).await.expect("stored");
    journal.leave().await;
    change(&path, b"the beginning", b"the bexinning");
    for trusted in [false, false, true] {
        let (journal, loaded) = Journal::open(&path).expect("opens");
        assert!(loaded.unexamined, "it was left before it was examined, and is to be examined yet");
        if trusted {
            journal.trust()();
        }
        journal.leave().await;
    }
    let (_, loaded) = Journal::open(&path).expect("opens");
    assert!(!loaded.unexamined, "it is as one left it who had examined it");
}

#[tokio::test]
async fn a_value_that_has_no_stored_form_is_not_the_journals_damage() {
    use std::os::unix::ffi::OsStringExt;
    let dir = tempfile::tempdir().expect("a directory");
    let (journal, _) = Journal::open(&dir.path().join("orch.db")).expect("opens");
    let no_text = PathBuf::from(std::ffi::OsString::from_vec(vec![0xff]));
    let scope = PauseScope::Project { dir: no_text, name: "shop".to_owned() };
    let pause = Pause { scope: scope.clone(), since: Timestamp::UNIX_EPOCH, by: "ada".to_owned() };
    let error = journal.commit(vec![Write::Pause(scope, Some(pause))]).await.expect_err("JSON has no such text");
    assert!(!error.is_damage() && error.to_string().contains("a pause cannot be stored"), "{error}");
}

#[tokio::test]
async fn a_head_that_forbids_to_write_is_damage() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().expect("a directory");
    let path = stored(dir.path()).await;
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opens");
    file.write_all_at(&[3], 18).expect("written");
    for error in [whole(&path).expect_err("it changed"), Journal::open(&path).map(drop).expect_err("it changed")] {
        assert!(error.is_damage(), "{error}");
    }
}

#[tokio::test]
async fn a_time_is_a_place_in_the_history() {
    let dir = tempfile::tempdir().expect("a directory");
    let (journal, _) = Journal::open(&dir.path().join("orch.db")).expect("opens");
    let at = |second: i64| Timestamp::from_second(second).expect("a time");
    assert_eq!(journal.place_at(at(0)).expect("readable"), 0, "of nothing");
    // The clock was put back between the second and the third.
    let lines = [100, 200, 150, 300].into_iter().zip(1..);
    let line = |(second, seq)| {
        let fact = Fact::Untyped { kind: "tick".to_owned(), text: String::new() };
        Write::Entry(Entry { seq, at: at(second), task_id: None, run_id: None, actor: Actor::Orch, fact })
    };
    journal.commit(lines.map(line).collect()).await.expect("stored");
    let places = [0, 100, 101, 160, 201, 301].map(|second| journal.place_at(at(second)).expect("readable"));
    assert_eq!(places, [0, 0, 1, 1, 3, 4]);
    journal.leave().await;
}

#[tokio::test]
async fn a_journal_whose_files_were_removed_is_written_whole_to_its_place_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = stored(dir.path()).await;
    let (journal, _) = Journal::open(&path).expect("opens");
    journal.commit(vec![entry("before")]).await.expect("stored");
    for file in std::fs::read_dir(dir.path()).expect("reads").flatten() {
        std::fs::remove_file(file.path()).expect("it was there");
    }
    journal.save_to(&path).await.expect("written anew");
    journal.abandon().await;
    whole(&path).expect("it is whole");
    let (anew, _) = Journal::open(&path).expect("opens");
    assert!(anew.run(&RunId::new(TaskId(1), 1, 7)).expect("reads").is_some());
    assert_eq!(anew.entries(0, None, 10).expect("reads").len(), 1);
}
