//! After a runner was killed: what its program showed last and nobody told any more. The bytes are there; they are
//! shown to an emulator once more, and what comes after the last line that was told is appended.

use super::super::launch::RunDir;
use super::UNSEEN;
use super::emulator::Screen;
use orch_sys::clock::instant;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// How many lines at the end are compared.
const LINES: usize = 2000;

/// How much of the end of the told lines is read for that.
const TAIL: u64 = 4 << 20;

/// Appends what is missing to the lines of a run whose runner is gone. Without a screen it does nothing.
///
/// # Errors
/// The kernel's own.
pub(crate) fn recover(dir: &RunDir) -> io::Result<()> {
    let Ok(raw) = File::open(dir.screen()) else { return Ok(()) };
    let mut lines = OpenOptions::new().read(true).append(true).open(dir.events())?;
    let (told, is_whole) = last_lines(&mut lines)?;
    let missed = missed(&told, &replayed(raw)?);
    let mut text = if is_whole { String::new() } else { "\n".to_owned() };
    missed.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
    lines.write_all(text.as_bytes())
}

/// The last lines of the file, and whether it ends with a line feed.
fn last_lines(file: &mut File) -> io::Result<(Vec<String>, bool)> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    Ok((lines[lines.len().saturating_sub(LINES)..].to_vec(), text.is_empty() || text.ends_with('\n')))
}

/// The last lines that the program showed.
fn replayed(mut raw: File) -> io::Result<Vec<String>> {
    let now = instant();
    let mut screen = Screen::replaying(UNSEEN);
    let mut lines = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = raw.read(&mut piece)?;
        screen.write(&piece[..count], now);
        lines.extend(if count == 0 { screen.finish(now) } else { screen.look(now) });
        lines.drain(..lines.len().saturating_sub(LINES));
        if count == 0 {
            return Ok(lines);
        }
    }
}

/// What was shown after the last line that was told.
fn missed(told: &[String], shown: &[String]) -> Vec<String> {
    let ops = capture_diff_slices(Algorithm::Myers, told, shown);
    let known = |op: &DiffOp| matches!(op, DiffOp::Equal { .. });
    let from = ops.iter().rfind(|op| known(op)).map_or(0, |op| op.new_range().end);
    shown[from..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn only_what_follows_the_last_told_line_is_missed() {
        for (told, shown, expected) in [
            ("", "a b", "a b"),
            ("a b", "a b", ""),
            ("a 10% b", "a b c d", "c d"),
            ("b c", "a b c d", "d"),
            ("a a", "a a a", "a"),
        ] {
            assert_eq!(missed(&lines(told), &lines(shown)), lines(expected), "{told} / {shown}");
        }
    }
}
