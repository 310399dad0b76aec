//! What a journal that is rebuilt still knows of what was switched.

use super::*;
use orch_core::operations::service::ServiceEntry;
use orch_core::planning::breaker::Breaker;
use orch_core::planning::plan::Cooldown;
use orch_store::journal::Loaded;

fn read<T: orch_store::records::Stored>(text: &str) -> T {
    orch_store::records::from_json(text).expect("as it is stored")
}

fn pause() -> Pause {
    let scope = PauseScope::Agent { name: "bot".to_owned() };
    Pause { scope, since: Timestamp::UNIX_EPOCH, by: "ada".to_owned() }
}

fn breaker() -> Breaker {
    read(
        r#"{"target":{"kind":"agent","name":"codex"},"state":{"state":"open","since":"2026-11-20T08:40:00Z",
            "until":"2026-11-20T08:45:00Z"},"failures":[],"detail":"exit code 3","opened":1}"#,
    )
}

fn cooldown() -> Cooldown {
    read(r#"{"until":"2026-11-20T09:00:00Z","class":"rate_limited","detail":"later"}"#)
}

fn start() -> ServiceEntry {
    read(
        r#"{"at":"2026-11-20T08:29:00Z","kind":"start","cause":"command","version":"0.1.0","pid":4711,
            "why":"orch serve","lasted_seconds":null,"memory_bytes":14000000}"#,
    )
}

/// Switches a few things, does something to the journal, and tells what the rebuilt one knows.
async fn rebuilt(harm: impl FnOnce(&Path)) -> (Loaded, Damage) {
    let dir = tempfile::tempdir().expect("a directory");
    let home = Home::new(dir.path(), None);
    fs::create_dir_private(&home.runs()).expect("made");
    let (journal, _) = Journal::open(&home.journal()).expect("opens");
    let writes = vec![
        Write::Pause(pause().scope, Some(pause())),
        Write::Breaker("agent:codex".to_owned(), Some(breaker())),
        Write::Cooldown("claude".to_owned(), Some(cooldown())),
        Write::Service(start()),
    ];
    journal.commit(writes).await.expect("stored");
    journal.leave().await;
    drop(journal);
    harm(&home.journal());
    let report = rebuild(&home, &BTreeMap::new(), Timestamp::UNIX_EPOCH, "a test").await.expect("rebuilt");
    let (_, loaded) = Journal::open(&home.journal()).expect("opens");
    (loaded, report)
}

#[tokio::test]
async fn what_was_switched_is_switched_in_the_rebuilt_journal() {
    let (loaded, report) = rebuilt(|_| {}).await;
    assert_eq!((loaded.pauses, loaded.breakers), (vec![pause()], vec![breaker()]));
    assert_eq!(loaded.cooldowns, BTreeMap::from([("claude".to_owned(), cooldown())]));
    assert_eq!(loaded.service, [start()]);
    assert!(!report.lost.iter().any(|line| line.contains("paused")), "{:?}", report.lost);
}

#[tokio::test]
async fn where_nobody_can_tell_what_was_paused_everything_is() {
    let change = |path: &Path| {
        let text = std::fs::read(path).expect("reads");
        let at = text.windows(3).position(|part| part == b"ada").expect("it is stored there");
        let changed: Vec<u8> = text.iter().enumerate().map(|(i, byte)| if i == at { b'i' } else { *byte }).collect();
        fs::write_private(path, &changed, fs::Durability::Cached).expect("written");
    };
    let garbage = |path: &Path| fs::write_private(path, b"garbage", fs::Durability::Cached).expect("written");
    for (loaded, report) in [rebuilt(change).await, rebuilt(garbage).await] {
        let [pause] = &loaded.pauses[..] else { panic!("{:?}", loaded.pauses) };
        assert_eq!((&pause.scope, pause.by.as_str()), (&PauseScope::All, "orch: journal rebuilt"));
        assert!(report.lost.iter().any(|line| line.contains("orch resume")), "{:?}", report.lost);
    }
}
