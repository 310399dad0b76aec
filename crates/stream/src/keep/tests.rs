//! Packed transcripts: the same bytes at the same offsets, whatever the content, and whenever packing is interrupted.

use super::*;
use crate::{Delivery, Hit, Hub, Span, Start, find};
use orch_core::base::ids::TaskId;
use orch_core::economics::pattern::{Options, Pattern};
use orch_sys::fs::{Durability, write_private};
use proptest::prelude::*;
use std::ops::ControlFlow;

struct Fixture {
    _dir: tempfile::TempDir,
    files: RunFiles,
}

impl Fixture {
    fn new(text: &[u8]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let run = RunId::new(TaskId(7), 1, 0xab);
        let files = RunFiles::at(dir.path().join(run.as_str())).expect("a run's directory");
        std::fs::create_dir(&files.dir).expect("a directory");
        let fixture = Self { _dir: dir, files };
        fixture.write(&fixture.files.followed, text);
        fixture.write(&fixture.files.outcome, b"{}");
        fixture
    }

    fn write(&self, path: &Path, bytes: &[u8]) {
        write_private(path, bytes, Durability::Cached).expect("writable");
    }

    fn text(&self) -> Text {
        Text::open(&self.files).expect("readable").expect("a transcript")
    }

    fn all(&self) -> Vec<u8> {
        self.text().range(0, self.text().length().expect("a length")).expect("readable")
    }

    fn found(&self, source: &str, context: usize) -> Vec<Hit> {
        let pattern = Pattern::new(source, Options { is_regex: true, ..Options::default() }).expect("a pattern");
        let mut hits = Vec::new();
        let flow = find(&self.text(), Span::ALL, &pattern, context, &mut |hit| {
            hits.push(hit);
            ControlFlow::<()>::Continue(())
        });
        assert!(flow.expect("readable").is_continue());
        hits
    }
}

/// Returns three megabytes of lines, including a long one and invalid UTF-8.
fn mixed_content() -> Vec<u8> {
    let mut text: Vec<u8> = (0..40_000).flat_map(|n| format!("line {n} says something\n").into_bytes()).collect();
    text.extend(b"a\0b \xff\xfe\xc3 needle\n");
    text.extend(vec![b'x'; 5 << 20]);
    text.extend(b"needle\nthe end without a line feed");
    text
}

#[test]
fn a_packed_transcript_has_the_same_bytes_at_the_same_places() {
    let text = mixed_content();
    let fixture = Fixture::new(&text);
    let before = fixture.found("needle", 1);
    let tail = fixture.files.place(Start::Tail(3)).expect("readable");
    pack(&fixture.files).expect("packed");
    pack(&fixture.files).expect("packing twice is fine");
    assert!(!fixture.files.followed.exists());
    assert!(fixture.files.packed.metadata().expect("a file").len() < text.len() as u64 / 10);
    assert_eq!(fixture.all(), text);
    let at = text.len() / 2;
    assert_eq!(fixture.text().range(at as u64, at as u64 + 99).expect("readable"), text[at..at + 99]);
    assert_eq!(fixture.text().range(text.len() as u64, u64::from(u32::MAX)).expect("readable"), b"");
    assert_eq!(fixture.files.place(Start::Tail(3)).expect("readable"), tail);
    assert_eq!(fixture.found("needle", 1), before);
    let numbers: Vec<u64> = before.iter().map(|hit| hit.line.number).collect();
    assert_eq!(numbers, [40_001, 40_002]);
    assert_eq!(before[0].line.text, "a\0b \u{fffd}\u{fffd}\u{fffd} needle");
    assert_eq!(&before[0].line.text[before[0].matches[0].clone()], "needle");
    assert_eq!(before[0].before[0].text, "line 39999 says something");
    assert!(before[1].line.is_cut && before[1].line.text.len() < 5000 && before[1].line.text.ends_with("needle"));
    assert_eq!(before[1].after[0].text, "the end without a line feed");
}

#[test]
fn every_zstd_reads_it() {
    let text = mixed_content();
    let fixture = Fixture::new(&text);
    pack(&fixture.files).expect("packed");
    let packed = std::fs::read(&fixture.files.packed).expect("readable");
    assert!(zstd::decode_all(packed.as_slice()).expect("valid") == text);
}

#[test]
fn packing_that_was_killed_is_done_again() {
    let text = b"one\ntwo\n".repeat(1000);
    let fixture = Fixture::new(&text);
    // Killed during the write.
    let temp = fixture.files.dir.join(".transcript.log.zst.99-0.orch-tmp");
    fixture.write(&temp, b"half");
    // A power cut, after which the file has other content.
    fixture.write(&fixture.files.packed, b"half");
    assert_eq!(fixture.all(), text, "the plain one counts as long as it is there");
    pack(&fixture.files).expect("packed");
    assert_eq!(fixture.all(), text);
    assert!(!temp.exists() && !fixture.files.followed.exists());
    // Killed before the last step.
    fixture.write(&fixture.files.followed, &text);
    pack(&fixture.files).expect("packed");
    assert_eq!(fixture.all(), text);
    assert!(!fixture.files.followed.exists());
}

#[test]
fn a_damaged_file_is_told_and_never_read_wrongly() {
    let text = mixed_content();
    let fixture = Fixture::new(&text);
    pack(&fixture.files).expect("packed");
    let whole = std::fs::read(&fixture.files.packed).expect("readable");
    for length in [0, 5, 17, whole.len() / 2, whole.len() - 1] {
        fixture.write(&fixture.files.packed, &whole[..length]);
        let Err(error) = Text::open(&fixture.files) else { panic!("{length} bytes are no transcript") };
        assert!(error.to_string().contains("damaged"), "{error}");
    }
    let mut wrong = whole.clone();
    wrong[whole.len() / 2] ^= 0x40;
    fixture.write(&fixture.files.packed, &wrong);
    let read = fixture.text().range(0, text.len() as u64);
    assert!(read.is_err(), "the frames have checksums");
    let mut wrong = whole.clone();
    let at = whole.len() - FOOT - ENTRY;
    wrong[at..at + ENTRY].fill(0xff);
    fixture.write(&fixture.files.packed, &wrong);
    assert!(Text::open(&fixture.files).is_err());
}
const FOOT: usize = 9;
const ENTRY: usize = 8;

#[tokio::test]
async fn a_reader_keeps_its_place_while_the_transcript_is_packed_and_dropped() {
    let text = "a line\n".repeat(100_000);
    let fixture = Fixture::new(text.as_bytes());
    let mut early = Hub::default().subscribe(&fixture.files, Start::Offset(0)).expect("readable");
    let mut received = String::new();
    let mut step = 0;
    while let Some(delivery) = early.next().await.expect("readable") {
        let Delivery::Output(chunk) = delivery else { panic!("{delivery:?}") };
        assert_eq!(chunk.offset, received.len() as u64);
        received.push_str(&chunk.content);
        step += 1;
        if step == 2 {
            pack(&fixture.files).expect("packed");
            let mut late = Hub::default().subscribe(&fixture.files, Start::Offset(700)).expect("readable");
            let Some(Delivery::Output(chunk)) = late.next().await.expect("readable") else { panic!("no output") };
            assert_eq!((chunk.offset, &chunk.content[..7]), (700, "a line\n"));
        }
        if step == 4 {
            drop_text(&fixture.files).expect("dropped");
        }
    }
    assert_eq!(received, text);
    assert!(Text::open(&fixture.files).expect("no error").is_none());
}

#[test]
fn what_runs_keep_is_counted_and_raw_output_can_go_alone() {
    let fixture = Fixture::new(b"text\n");
    fixture.write(&fixture.files.dir.join(output::EVENTS), b"12345");
    fixture.write(&fixture.files.dir.join(output::STDERR), b"123");
    let runs = fixture.files.dir.parent().expect("a parent");
    fixture.write(&runs.join("no-run"), b"left alone");
    let measure = || kept(runs).expect("readable").remove(0);
    let first = measure();
    assert_eq!((first.raw, first.text, first.is_plain), (8, 5, true));
    assert!(first.ended.is_some());
    fixture.write(&fixture.files.dir.join(output::RAW), b"1234567");
    fixture.write(&fixture.files.dir.join(output::ACTIVITY), b"123456789");
    assert_eq!((measure().raw, measure().text), (15, 14));
    drop_raw(&fixture.files).expect("twice is fine");
    pack(&fixture.files).expect("packed");
    assert_eq!((measure().raw, measure().is_plain), (0, false));
    assert_eq!(fixture.all(), b"text\n");
    let events = RunFiles::new(fixture.files.task, fixture.files.run.clone(), fixture.files.dir.clone(), Part::Events);
    let events = Text::open(&events).expect("readable").expect("packed as well");
    assert_eq!(events.range(0, 99).expect("readable"), b"123456789");
    fixture.write(&fixture.files.styles, b"0 4 1\n");
    drop_text(&fixture.files).expect("dropped");
    assert!(!fixture.files.styles.exists() && measure().text == 0);
    assert_eq!(kept(Path::new("/nowhere/at/all")).expect("nothing"), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_bytes_come_back(text in proptest::collection::vec(any::<u8>(), 0..3000), from in 0_usize..3000) {
        let fixture = Fixture::new(&text);
        pack(&fixture.files).expect("packed");
        prop_assert_eq!(&fixture.all(), &text);
        let from = from.min(text.len());
        prop_assert_eq!(&fixture.text().range(from as u64, u64::from(u16::MAX)).expect("readable"), &text[from..]);
    }
}
