//! Tests of what on a screen becomes a line, and how often.

use super::*;
use crate::pty::frame::SETTLE_TIME;
use orch_sys::clock::instant;
use proptest::prelude::*;
use std::time::Duration;

const SIZE: TerminalSize = TerminalSize { columns: 20, rows: 5 };

/// Writes the chunks and reads the screen after each, as if no time passed, and finishes.
fn emitted(size: TerminalSize, chunks: &[&[u8]]) -> Vec<String> {
    let now = instant();
    let mut screen = Screen::new(size);
    let mut lines = Vec::new();
    for chunk in chunks {
        screen.write(chunk, now);
        lines.extend(screen.new_lines(now));
    }
    lines.extend(screen.finish(now));
    lines
}

fn emitted_from(chunks: &[&str]) -> Vec<String> {
    emitted(SIZE, &chunks.iter().map(|chunk| chunk.as_bytes()).collect::<Vec<_>>())
}

#[test]
fn a_progress_bar_is_emitted_once_in_its_last_state_before_what_follows_it() {
    let chunks = ["begin\r\n", "10%", "\r50%", "\r\x1b[K90%", "\r100%\r\n", "end\r\n"];
    assert_eq!(emitted_from(&chunks), ["begin", "100%", "end"]);
}

#[test]
fn what_is_drawn_again_after_a_clear_is_not_emitted_again() {
    let page = "one\r\ntwo\r\nthree\r\n";
    for clear in ["\x1b[2J\x1b[H", "\x1b[H\x1b[2J", "\x1b[H\x1b[J", "\x1bc", "\x1b[H\x1b[2J\x1b[3J"] {
        let again = ["one\r\n", "two\r\nthree\r\nfour\r\n"];
        assert_eq!(emitted_from(&[page, clear, again[0], again[1]]), ["one", "two", "three", "four"], "{clear:?}");
        assert_eq!(emitted_from(&[page, clear, "one\r\n", clear, page]), ["one", "two", "three"], "{clear:?}");
    }
    assert_eq!(emitted_from(&[page, "\x1b[H", page, "\x1b[Hone\x1b[K\r\n", "two\r\n"]), ["one", "two", "three"]);
}

#[test]
fn a_pending_line_is_emitted_before_a_clear() {
    assert_eq!(emitted_from(&["step 1\r\n\x1b[H\x1b[2Jstep 2\r\n\x1b[H\x1b[2Jstep 3"]), ["step 1", "step 2", "step 3"]);
}

#[test]
fn several_bars_are_emitted_at_first_and_when_they_settle() {
    let now = instant();
    let mut screen = Screen::new(SIZE);
    screen.write(b"a 0%\r\nb 0%\r\n", now);
    assert_eq!(screen.new_lines(now), ["a 0%", "b 0%"]);
    for percent in 1..=9 {
        screen.write(format!("\x1b[2Aa {percent}%\r\nb {percent}%\r\n").as_bytes(), now);
        assert_eq!(screen.new_lines(now), Vec::<String>::new());
    }
    let due = screen.next_check().expect("something is to be emitted");
    assert_eq!(due, now + SETTLE_TIME);
    assert_eq!(screen.new_lines(due), ["a 9%", "b 9%"]);
    assert_eq!(screen.next_check(), None);
}

#[test]
fn a_question_that_waits_on_its_line_is_emitted_when_it_settles() {
    let now = instant();
    let mut screen = Screen::new(SIZE);
    screen.write(b"go on? ", now);
    assert_eq!(screen.new_lines(now), Vec::<String>::new());
    assert_eq!(screen.new_lines(now + SETTLE_TIME), ["go on?"]);
    assert_eq!(screen.new_lines(now + SETTLE_TIME * 2), Vec::<String>::new());
}

#[test]
fn another_size_emits_nothing_again() {
    let now = instant();
    let mut screen = Screen::new(SIZE);
    let long = "a line that is longer than the screen is wide";
    screen.write(format!("short\r\n{long}\r\nend\r\n").as_bytes(), now);
    assert_eq!(screen.new_lines(now), ["short", long, "end"]);
    for (columns, rows) in [(7, 3), (40, 9), (60, 2), (20, 5)] {
        screen.resize(TerminalSize { columns, rows }, now);
        assert_eq!(screen.new_lines(now), Vec::<String>::new(), "{columns}x{rows}");
    }
    screen.write(b"more\r\n", now);
    assert_eq!(screen.finish(now), ["more"]);
}

#[test]
fn a_flood_is_emitted_line_by_line_wherever_it_scrolls() {
    let lines: Vec<String> = (0..5000).map(|n| format!("line {n}")).collect();
    let flood = lines.join("\r\n");
    assert_eq!(emitted_from(&[&flood]), lines);
    let part = ["\x1b[2;5r\x1b[2;1H", &flood];
    assert_eq!(emitted_from(&part), lines);
    let alternate = ["\x1b[?1049h", &flood, "\x1b[?1049l", "after"];
    assert_eq!(emitted_from(&alternate), [lines, vec!["after".to_owned()]].concat());
}

#[test]
fn a_full_screen_program_is_emitted_page_by_page_and_what_was_below_it_not_again() {
    let chunks = ["$ less x\r\n", "\x1b[?1049h\x1b[Hone\r\ntwo\r\n", "\x1b[?1049l", "$ "];
    assert_eq!(emitted_from(&chunks), ["$ less x", "one", "two", "$"]);
}

#[test]
fn a_pager_that_goes_back_emits_nothing_again() {
    let up = "\x1b[H\x1bMtwo\x1b[H\x1bMone";
    let down = "\x1b[5;1H\r\nsix\r\nseven\x1b[H";
    let chunks = ["\x1b[?1049h\x1b[Hone\r\ntwo\r\nthree\r\nfour\r\nfive", down, up, down, up, "\x1b[?1049l"];
    assert_eq!(emitted_from(&chunks), ["one", "two", "three", "four", "five", "six", "seven"]);
}

#[test]
fn a_line_of_any_length_is_one_line_and_bounded() {
    let long = "x".repeat(MAX_LINE + 5000);
    let lines = emitted_from(&[&long, "\r\nend\r\n"]);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].len() <= MAX_LINE + 100 && lines[0].len() >= MAX_LINE, "{}", lines[0].len());
}

#[test]
fn half_a_sequence_at_the_end_of_a_write_and_bytes_that_are_no_text_do_no_harm() {
    let chunks: [&[u8]; 6] = [b"a\x1b", b"[3", b"1mred\x1b[0", b"m\r\n\x00b\xff\xf0", b"\x9f\x99\x82\r\n", b"\x1b]0;t"];
    assert_eq!(emitted(SIZE, &chunks), ["ared", "b\u{fffd}\u{1f642}"]);
}

#[test]
fn a_screen_drawn_anew_elsewhere_looks_the_same() {
    let mut screen = Screen::new(SIZE);
    screen.write(b"one\r\n\x1b[31mtwo\x1b[0m\r\n", instant());
    let mut copy = Screen::new(SIZE);
    copy.write(screen.redraw().as_bytes(), instant());
    assert_eq!(copy.finish(instant()), ["one", "two"]);
}

#[test]
fn a_raw_file_is_replayed_in_its_recorded_sizes() {
    let now = instant();
    let sizes = [TerminalSize { columns: 9, rows: 3 }, TerminalSize { columns: 30, rows: 4 }];
    let mut screen = Screen::new(sizes[0]);
    let mut kept = encode_size(sizes[0]);
    let write = |screen: &mut Screen, kept: &mut String, text: &str| {
        kept.push_str(text);
        screen.write(text.as_bytes(), now);
    };
    write(&mut screen, &mut kept, "a long line that is broken\r\n\x1b[8;1;1t");
    screen.resize(sizes[1], now);
    kept.push_str(&encode_size(sizes[1]));
    write(&mut screen, &mut kept, "\x1b[3;28Hright\x1b[4;1Hbelow");
    let mut again = Screen::replaying(SIZE);
    again.write(kept.replace("\x1b[8;1;1t", "").as_bytes(), now);
    assert_eq!(again.redraw(), screen.redraw());
    assert_eq!(again.finish(now), screen.finish(now));
    let mut anew = Screen::replaying(SIZE);
    anew.write(screen.snapshot().as_bytes(), now);
    assert_eq!(anew.redraw(), screen.redraw());
}

/// What a program does to its last line.
#[derive(Debug, Clone)]
enum Act {
    /// Prints a line.
    Line(String),
    /// Redraws a bar in place, then leaves it.
    Bar(Vec<u8>),
    /// Draws its line again as it is, then goes on.
    Same(String),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        "[ab]{1,3}|[a-d ]{0,30}x".prop_map(Act::Line),
        prop::collection::vec(0_u8..100, 1..6).prop_map(Act::Bar),
        "[ab]{1,3}".prop_map(Act::Same),
    ]
}

/// What the program writes, and the lines that result.
fn played(acts: &[Act]) -> (String, Vec<String>) {
    let (mut written, mut lines) = (String::new(), Vec::new());
    for act in acts {
        match act {
            Act::Line(text) => {
                written.push_str(text);
                lines.push(text.clone());
            }
            Act::Bar(steps) => {
                for step in steps {
                    written.push_str(&format!("\r\x1b[K{step}%"));
                }
                lines.push(format!("{}%", steps.last().expect("a step")));
            }
            Act::Same(text) => {
                written.push_str(&format!("{text}\r{text}"));
                lines.push(text.clone());
            }
        }
        written.push_str("\r\n");
    }
    (written, lines)
}

proptest! {
    #[test]
    fn plain_prints_are_emitted_exactly_and_in_order(lines in prop::collection::vec("[ab]{1,2}|[abé日]{0,50}x|[ab ]{0,50}x", 0..40), cuts in prop::collection::vec(0_usize..400, 0..12)) {
        let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        prop_assert_eq!(emitted(SIZE, &chunks(text.as_bytes(), cuts)), lines);
    }

    #[test]
    fn each_final_line_is_emitted_once_and_in_order_however_it_came_about(acts in prop::collection::vec(act(), 0..30), cuts in prop::collection::vec(0_usize..400, 0..12)) {
        let (written, lines) = played(&acts);
        prop_assert_eq!(emitted(SIZE, &chunks(written.as_bytes(), cuts)), lines);
    }

    #[test]
    fn no_bytes_whatsoever_break_it(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b'\n')], 0..400), width in 1_u16..30) {
        let size = TerminalSize { columns: width, rows: 3 };
        let now = instant();
        let mut screen = Screen::new(size);
        for chunk in bytes.chunks(7) {
            screen.write(chunk, now);
            screen.new_lines(now);
            screen.resize(TerminalSize { columns: 31 - width, rows: 2 }, now + Duration::from_secs(1));
        }
        screen.finish(now);
    }
}

fn chunks(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    cuts.retain(|cut| *cut < bytes.len());
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}
