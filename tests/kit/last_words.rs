//! The report on a failed test with real programs: the end of the daemon's log, and of every run its outcome and the end
//! of its output. Only reads; the box is removed afterwards.

use std::path::Path;

/// The most bytes that are shown of one file.
const TAIL: usize = 6 << 10;

/// The files of a run in the order of the report. The events come last because they are the longest.
const FILES: [&str; 6] = ["started.json", "stop.json", "outcome.json", "stderr.log", "transcript.log", "events.jsonl"];

/// Renders the report on the state directory `state` and on a daemon with this `stderr`.
pub fn read(state: &Path, stderr: &str) -> String {
    let mut report = section("daemon's stderr", stderr) + &file(&state.join("orch.log"), "orch.log");
    let mut runs: Vec<_> = std::fs::read_dir(state.join("runs")).into_iter().flatten().flatten().collect();
    runs.sort_by_key(std::fs::DirEntry::file_name);
    for run in runs {
        let name = run.file_name().to_string_lossy().into_owned();
        report.extend(FILES.iter().map(|each| file(&run.path().join(each), &format!("run {name}: {each}"))));
    }
    report
}

fn file(path: &Path, title: &str) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    section(title, &String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL)..]))
}

fn section(title: &str, text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!("---- {title}\n{}\n", text.trim_end()) }
}
