//! How recorded runs of the real agent CLIs read in the transcript: `fixtures/rendered/<agent>-<case>.txt`, line by line.
//! `ORCH_BLESS=1` writes those files anew; look at the difference before committing it.

use orch::agents::{DialectKind, EventReader};
use orch::domain::outcome::RunKind;
use orch::domain::redact::Redactor;
use orch::runner::Renderer;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const CASES: [(DialectKind, &str); 9] = [
    (DialectKind::Claude, "claude/edits"),
    (DialectKind::Claude, "claude/success-commit"),
    (DialectKind::Claude, "claude/rate-limit-after-tool"),
    (DialectKind::Codex, "codex/edits"),
    (DialectKind::Codex, "codex/app-server-edits"),
    (DialectKind::Codex, "codex/tool-fails"),
    (DialectKind::Opencode, "opencode/edits"),
    (DialectKind::Opencode, "opencode/tool-fails"),
    (DialectKind::Opencode, "opencode/thinking"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn reader(agent: DialectKind, case: &str) -> Box<dyn EventReader> {
    if case.contains("/app-server-") {
        return agent.dialect().live_reader(&Value::Null).expect("Codex can be talked to");
    }
    agent.dialect().reader(RunKind::Work)
}

/// The transcript of a recording.
fn rendered(agent: DialectKind, case: &str) -> String {
    let recorded = fs::read_to_string(fixtures().join(format!("agents/{case}.jsonl"))).expect("a recording");
    let mut reader = reader(agent, case);
    let mut renderer = Renderer::new(Redactor::default()).below(Path::new("$WORKTREE"));
    let events = recorded.lines().flat_map(|line| reader.line(line));
    events.flat_map(|event| renderer.event(&event)).map(|line| line.text + "\n").collect()
}

#[test]
fn recorded_runs_read_as_they_were_blessed() {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its caller to write what it expects")]
    let bless = std::env::var_os("ORCH_BLESS").is_some();
    let mut wrong = Vec::new();
    for (agent, case) in CASES {
        let path = fixtures().join(format!("rendered/{}.txt", case.replace('/', "-")));
        let text = rendered(agent, case);
        if bless {
            crate::kit::write_file(&path, &text);
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if text != expected {
            wrong.push(format!("{case}: expected\n{expected}got\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
