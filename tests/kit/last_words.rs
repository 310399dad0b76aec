//! What a person wants to read when a test with real programs has failed: the daemon's last words, and of every run
//! how it ended and the end of what was printed. Read only; the box is gone afterwards.

use std::path::Path;

/// The most that is told of one file, in bytes.
const TAIL: usize = 6 << 10;

/// Files of a run, in the order in which they tell its story. The events come last: they are the longest.
const FILES: [&str; 6] = ["started.json", "stop.json", "outcome.json", "stderr.log", "transcript.log", "events.jsonl"];

/// Everything worth telling of the state directory `state` and of a daemon that said `stderr`.
pub fn of(state: &Path, stderr: &str) -> String {
    let mut told = section("daemon's stderr", stderr) + &file(&state.join("orch.log"), "orch.log");
    let mut runs: Vec<_> = std::fs::read_dir(state.join("runs")).into_iter().flatten().flatten().collect();
    runs.sort_by_key(std::fs::DirEntry::file_name);
    for run in runs {
        let name = run.file_name().to_string_lossy().into_owned();
        told.extend(FILES.iter().map(|each| file(&run.path().join(each), &format!("run {name}: {each}"))));
    }
    told
}

fn file(path: &Path, title: &str) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    section(title, &String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL)..]))
}

fn section(title: &str, text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!("---- {title}\n{}\n", text.trim_end()) }
}
