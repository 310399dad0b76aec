//! Watchers of real files that are written concurrently.

use super::capture::{PIECE, read_piece};
use super::text::Text;
use super::*;
use orch_core::audit::timeline::Mark;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::text::output::{OutputChunk, Part};
use orch_sys::fs::{Durability, write_private};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// A run that the test writes.
struct Fixture {
    dir: tempfile::TempDir,
    log: File,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let log = OpenOptions::new().create(true).append(true).open(dir.path().join("transcript.log")).expect("a file");
        Self { dir, log }
    }

    fn files(&self) -> RunFiles {
        RunFiles::new(TaskId(7), RunId::new(TaskId(7), 1, 0xab), self.dir.path().to_owned(), Part::Output)
    }

    fn write(&mut self, text: impl AsRef<[u8]>) {
        self.log.write_all(text.as_ref()).expect("writable");
    }

    fn end(&self) {
        put(&self.files().outcome, "{}");
    }

    fn all(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.files().followed).expect("readable")).into_owned()
    }
}

fn put(path: &Path, text: &str) {
    write_private(path, text.as_bytes(), Durability::Cached).expect("writable");
}

async fn next(watched: &mut Subscription) -> Option<Delivery> {
    let next = tokio::time::timeout(Duration::from_secs(30), watched.next()).await;
    next.expect("something comes").expect("readable")
}

/// Everything up to the end, checked to be without gaps and doubles.
async fn rest(watched: &mut Subscription) -> (String, usize) {
    let (mut received, mut at, mut finals) = (String::new(), watched.cursor(), 0);
    while let Some(delivery) = next(watched).await {
        match delivery {
            Delivery::Output(chunk) => {
                assert_eq!(chunk.offset, at, "{chunk:?}");
                at = chunk.end;
                finals += usize::from(chunk.is_final);
                received.push_str(&chunk.content);
            }
            Delivery::Lagged { from, to } => assert!(from == at && to > from),
            Delivery::Cut { offset } => at = offset,
        }
    }
    (received, finals)
}

fn content(delivery: Option<Delivery>) -> String {
    match delivery {
        Some(Delivery::Output(chunk)) => chunk.content.clone(),
        other => panic!("no output: {other:?}"),
    }
}

#[tokio::test]
async fn early_and_late_watchers_see_the_same_bytes_and_the_end_once() {
    let (mut fixture, hub) = (Fixture::new(), Hub::default());
    let mut early = hub.subscribe(&fixture.files(), Start::Offset(0)).expect("readable");
    fixture.write("one\n");
    assert_eq!(content(next(&mut early).await), "one\n");
    fixture.write("two\nthr");
    assert_eq!(content(next(&mut early).await), "two\n");
    let mut late = hub.subscribe(&fixture.files(), Start::Offset(0)).expect("readable");
    let mut last = hub.subscribe(&fixture.files(), Start::Tail(1)).expect("readable");
    fixture.write("ee\nfour\nthe end");
    fixture.end();
    assert_eq!(rest(&mut early).await, ("three\nfour\nthe end".to_owned(), 1));
    assert_eq!(rest(&mut late).await, (fixture.all(), 1));
    assert_eq!(rest(&mut last).await.1, 1);
    let mut afterwards = hub.subscribe(&fixture.files(), Start::Offset(4)).expect("readable");
    assert_eq!(rest(&mut afterwards).await, (fixture.all()[4..].to_owned(), 1));
    assert_eq!(hub.followed(), 0, "nobody is followed any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_does_not_read_slows_nobody_and_loses_nothing() {
    let (mut fixture, hub) = (Fixture::new(), Hub::default());
    let mut sleeper = hub.subscribe(&fixture.files(), Start::Offset(0)).expect("readable");
    let mut reader = hub.subscribe(&fixture.files(), Start::Offset(0)).expect("readable");
    let line = format!("{}\n", "x".repeat(999));
    for _ in 0..20_000 {
        fixture.write(&line);
    }
    fixture.write("last\n");
    fixture.end();
    for watched in [&mut reader, &mut sleeper] {
        let (received, finals) = rest(watched).await;
        assert_eq!((received.len(), finals), (20_000_005, 1));
        assert!(received.ends_with("x\nlast\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watchers_see_everything() {
    let (mut fixture, hub) = (Fixture::new(), Hub::default());
    let files = fixture.files();
    let watchers: Vec<_> = (0..1000)
        .map(|_| {
            let mut watched = hub.subscribe(&files, Start::Offset(0)).expect("readable");
            tokio::spawn(async move { rest(&mut watched).await })
        })
        .collect();
    for number in 0..200 {
        fixture.write(format!("line {number}\n"));
        tokio::task::yield_now().await;
    }
    fixture.end();
    let all = fixture.all();
    for watcher in watchers {
        assert_eq!(watcher.await.expect("it ended"), (all.clone(), 1));
    }
}

#[tokio::test]
async fn a_transcript_that_is_cut_or_removed_is_told_and_ends_nothing_early() {
    let (mut fixture, hub) = (Fixture::new(), Hub::default());
    fixture.write("one\ntwo\n");
    let mut watched = hub.subscribe(&fixture.files(), Start::Offset(0)).expect("readable");
    assert_eq!(content(next(&mut watched).await), "one\ntwo\n");
    fixture.log.set_len(4).expect("cut");
    fixture.write("2\n");
    let mut seen = Vec::new();
    while !seen.contains(&Delivery::Cut { offset: 4 }) && !seen.contains(&Delivery::Cut { offset: 6 }) {
        seen.extend(next(&mut watched).await);
    }
    fixture.write("three\n");
    std::fs::remove_file(fixture.files().followed).expect("removed");
    fixture.write("four\n");
    fixture.end();
    let (received, finals) = rest(&mut watched).await;
    assert!(received.ends_with("three\nfour\n") && finals == 1, "{received:?}");
    let mut nothing = hub.subscribe(&fixture.files(), Start::Tail(5)).expect("an empty transcript");
    assert_eq!(rest(&mut nothing).await, (String::new(), 1));
}

#[tokio::test]
async fn a_run_whose_directory_is_gone_is_over() {
    let (mut fixture, hub) = (Fixture::new(), Hub::default());
    fixture.write("one\n");
    let mut watched = hub.subscribe(&fixture.files(), Start::Offset(0)).expect("readable");
    assert_eq!(content(next(&mut watched).await), "one\n");
    std::fs::remove_dir_all(fixture.dir.path()).expect("removed");
    assert_eq!(rest(&mut watched).await, (String::new(), 1));
}

#[tokio::test]
async fn bytes_that_are_no_text_keep_their_places() {
    let (mut fixture, hub) = (Fixture::new(), Hub::default());
    fixture.write(b"a\xff\xfe\0b\n");
    fixture.write(vec![b'y'; 100_000]);
    fixture.write("é\nend\n");
    fixture.end();
    let mut watched = hub.subscribe(&fixture.files(), Start::Offset(0)).expect("readable");
    let (received, _) = rest(&mut watched).await;
    assert!(received.starts_with("a\u{fffd}\u{fffd}\0b\nyyy") && received.ends_with("yé\nend\n"));
    assert_eq!(watched.cursor(), 100_013);
}

#[tokio::test]
async fn what_was_said_when_is_known_afterwards() {
    let (mut fixture, hub) = (Fixture::new(), Hub::default());
    let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time");
    let (early, late) = (at("2026-08-01T12:00:00Z"), at("2026-08-01T13:00:00Z"));
    fixture.write("one\ntwo\n");
    let marks = [Mark { offset: 0, at: early }, Mark { offset: 4, at: late }].map(Mark::line).concat();
    put(&fixture.files().timeline.expect("a timeline"), &marks);
    fixture.end();
    let since = |text: &str| hub.subscribe(&fixture.files(), Start::Since(at(text))).expect("readable");
    assert_eq!(rest(&mut since("2026-08-01T12:30:00Z")).await.0, "two\n");
    assert_eq!(rest(&mut since("2026-08-01T14:00:00Z")).await.0, "");
    let mut all = since("2026-08-01T11:00:00Z");
    let Some(Delivery::Output(chunk)) = next(&mut all).await else { panic!("no output") };
    assert_eq!(*chunk, OutputChunk { timestamp: early, ..(*chunk).clone() });
}

#[test]
fn a_full_buffer_is_told_however_little_of_it_is_handed_out() {
    let mut fixture = Fixture::new();
    fixture.write(format!("short\n{}\n", "x".repeat(2 * PIECE)));
    let text = Text::open(&fixture.files()).expect("readable").expect("there");
    let mut buffer = vec![0; PIECE];
    let first = read_piece(&text, 0, &mut buffer, false).expect("readable").expect("a piece");
    assert_eq!((first.content.as_str(), first.has_more), ("short\n", true));
    let last = read_piece(&text, 2 * PIECE as u64, &mut buffer, false).expect("readable").expect("a piece");
    assert!(!last.has_more);
}
