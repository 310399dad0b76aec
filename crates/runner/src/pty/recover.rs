//! Recovers the last lines of a program whose runner was killed: replays the raw file through an emulator, and appends
//! the lines that follow the last one that was written.

use super::super::launch::RunDir;
use super::DEFAULT_SIZE;
use super::emulator::Screen;
use orch_sys::clock::instant;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The most lines at the end that are compared.
const MAX_LINES: usize = 2000;

/// How many bytes at the end of the written lines are read for that.
const TAIL: u64 = 4 << 20;

/// Appends the missing lines to the output of a run whose runner is gone. Does nothing for a run without a screen.
///
/// # Errors
/// The kernel's error.
pub(crate) fn recover(dir: &RunDir) -> io::Result<()> {
    let Ok(raw) = File::open(dir.screen()) else { return Ok(()) };
    let mut lines = OpenOptions::new().read(true).append(true).open(dir.events())?;
    let (written, is_whole) = last_lines(&mut lines)?;
    let missing = missing_lines(&written, &replay(raw)?);
    let mut text = if is_whole { String::new() } else { "\n".to_owned() };
    missing.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
    lines.write_all(text.as_bytes())
}

/// Returns the last lines of the file, and whether it ends with a line feed.
fn last_lines(file: &mut File) -> io::Result<(Vec<String>, bool)> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    Ok((lines[lines.len().saturating_sub(MAX_LINES)..].to_vec(), text.is_empty() || text.ends_with('\n')))
}

/// Returns the last lines that the program showed.
fn replay(mut raw: File) -> io::Result<Vec<String>> {
    let now = instant();
    let mut screen = Screen::replaying(DEFAULT_SIZE);
    let mut lines = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = raw.read(&mut buffer)?;
        screen.write(&buffer[..count], now);
        lines.extend(if count == 0 { screen.finish(now) } else { screen.new_lines(now) });
        lines.drain(..lines.len().saturating_sub(MAX_LINES));
        if count == 0 {
            return Ok(lines);
        }
    }
}

/// Returns the lines that were shown after the last written one.
fn missing_lines(written: &[String], shown: &[String]) -> Vec<String> {
    let ops = capture_diff_slices(Algorithm::Myers, written, shown);
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
    fn only_lines_after_the_last_written_one_are_missing() {
        for (written, shown, expected) in [
            ("", "a b", "a b"),
            ("a b", "a b", ""),
            ("a 10% b", "a b c d", "c d"),
            ("b c", "a b c d", "d"),
            ("a a", "a a a", "a"),
        ] {
            assert_eq!(missing_lines(&lines(written), &lines(shown)), lines(expected), "{written} / {shown}");
        }
    }
}
