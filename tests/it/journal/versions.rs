//! Tests journals of every version as written by that version: their content is readable now, and the engine continues
//! with it. Editing a released migration fails here, because these files do not change with it.

use crate::kit::dice::Dice;
use crate::kit::journals::{fixture, make, make_some, make_with_runs, replay, versions};
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_until};
use crate::kit::write_file;
use orch_store::journal::{Journal, SCHEMA};
use rusqlite::Connection;
use serde_json::Value;

#[test]
fn there_is_a_journal_of_every_version() {
    let missing: Vec<usize> = versions().filter(|version| !fixture(*version).exists()).collect();
    assert!(missing.is_empty(), "tests/fixtures/journals lacks versions {missing:?}: see the README there");
}

#[test]
fn a_journal_of_any_version_shows_what_happened_and_goes_on() {
    for version in versions() {
        let mut sealed = SealedBox::new();
        sealed.program("good", super::GOOD);
        sealed.config("agents: {good: {kind: command, command: good}}\n");
        let repo = sealed.repo("shop");
        std::fs::create_dir_all(sealed.orch_home().join(".orch")).expect("made");
        let db = sealed.orch_home().join(".orch/orch.db");
        make(version, &db);
        Connection::open(&db)
            .expect("a file")
            .execute("INSERT INTO projects (dir, name, created_at) VALUES (?1, 'shop', 0)", [repo.dir().to_str()])
            .expect("a project");
        write_file(
            &sealed.tasks_file(),
            "tasks:\n  - id: 1\n    title: Make a file\n    status: done\n  - id: 2\n    title: Wait for a person\n    \
             status: needs_review\n  - id: 3\n    title: New one\n    labels: [agent:good]\n    status: new\n",
        );
        sealed.serve();
        let show = |id: &str| -> Value { sealed.orch(["task", "show", id, "--json"]).ok().json() };
        let one = show("1");
        assert_eq!(
            (&one["status"], &one["runs"][0]["outcome"]["state"]),
            (&"done".into(), &"finished".into()),
            "{version}: {one:#}"
        );
        assert_eq!((&one["cost_usd"], &one["runs"][0]["cost_usd"]), (&0.25.into(), &0.25.into()), "{version}");
        let said = one["messages"].as_array().map_or(0, Vec::len);
        assert_eq!(said, usize::from(version >= 2), "{version}: there is a table of messages since the second");
        assert_eq!(show("2")["question"], "Which way?", "{version}");
        wait_until("the new one to be done", RUN, || show("3")["status"] == "done");
        let events = sealed.orch(["events"]).ok().stdout;
        assert!(events.contains("task_added") && events.contains("Make a file"), "{version}: {events}");
        sealed.stop_daemon();
        let connection = Connection::open(&db).expect("a file");
        let now: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
        assert_eq!(now, SCHEMA);
        sealed.finish();
    }
}

#[test]
fn a_home_of_an_older_orch_goes_on_with_what_was_under_way() {
    let mut sealed = SealedBox::new();
    sealed.program("good", super::GOOD);
    sealed.config("agents: {good: {kind: command, command: good}}\n");
    let repo = sealed.repo("shop");
    std::fs::create_dir_all(sealed.orch_home().join(".orch")).expect("made");
    let db = sealed.orch_home().join(".orch/orch.db");
    make_with_runs(&db);
    Connection::open(&db)
        .expect("a file")
        .execute("INSERT INTO projects (dir, name, created_at) VALUES (?1, 'shop', 0)", [repo.dir().to_str()])
        .expect("a project");
    let entry = |id: u32, title: &str, more: &str, status: &str| {
        format!("  - id: {id}\n    title: {title}\n{more}    labels: [agent:good]\n    status: {status}\n")
    };
    let entries = [
        entry(1, "Make a file", "", "done"),
        entry(2, "Wait for a person", "", "needs_review"),
        entry(3, "New one", "", "new"),
        entry(4, "Being started", "    body: Its text.\n", "in_progress"),
        entry(5, "Under way", "    body: Its text.\n", "in_progress"),
        entry(6, "Being routed", "    body: Its text.\n", "new"),
    ];
    write_file(&sealed.tasks_file(), &format!("tasks:\n{}", entries.concat()));
    sealed.serve();
    let show = |id: &str| -> Value { sealed.orch(["task", "show", id, "--json"]).ok().json() };
    for id in ["3", "4", "5", "6"] {
        wait_until(&format!("task {id} to be done"), RUN, || show(id)["status"] == "done");
    }
    assert_eq!(show("2")["question"], "Which way?");
    let batch = sealed.orch(["batch", "show", "night", "--json"]).ok().json();
    assert_eq!((&batch["state"], &batch["counts"]["done"]), (&"open".into(), &1.into()), "{batch:#}");
    sealed.stop_daemon();
    sealed.finish();
}

/// An older orch cannot read a journal of this version: it reports that, and changes no byte.
#[test]
fn a_journal_of_a_newer_orch_is_refused_with_what_to_do() {
    let sealed = SealedBox::new();
    std::fs::create_dir_all(sealed.orch_home().join(".orch")).expect("made");
    let db = sealed.orch_home().join(".orch/orch.db");
    make(SCHEMA, &db);
    Connection::open(&db).expect("a file").pragma_update(None, "user_version", SCHEMA + 1).expect("changed");
    let before = std::fs::read(&db).expect("there");
    for args in [["task", "list"].as_slice(), &["serve", "--once"], &["doctor", "--fix"]] {
        let ran = sealed.orch(args).code_is(1);
        assert!(format!("{ran}").contains("use that orch, or a newer one"), "{ran}");
    }
    assert_eq!(std::fs::read(&db).expect("there"), before);
    sealed.finish();
}

#[test]
fn opening_a_journal_twice_finds_nothing_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    for version in versions() {
        let path = dir.path().join(format!("{version}.db"));
        make(version, &path);
        for _ in 0..2 {
            let (_, loaded) = Journal::open(&path).expect("it opens");
            assert_eq!((loaded.last_task_id, loaded.last_seq), (3, 4), "{version}");
        }
    }
}

#[tokio::test]
async fn all_that_an_older_orch_said_is_said_by_this_one_in_the_same_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut dice = Dice::new(25);
    for version in versions() {
        let (whole, some) = (dir.path().join(format!("{version}.db")), dir.path().join(format!("{version}-some.db")));
        make(version, &whole);
        make_some(version, &some, &mut dice);
        for path in [whole, some] {
            let lost = replay(&path).await;
            assert!(lost.is_empty(), "version {version}: {lost:#?}");
        }
    }
    let path = dir.path().join("runs.db");
    make_with_runs(&path);
    let lost = replay(&path).await;
    assert!(lost.is_empty(), "{lost:#?}");
}
