//! Golden files of the screen with tasks in every state, on terminals of several sizes:
//! `tests/fixtures/cli/status-*.txt`. `ORCH_BLESS=1 cargo test --lib status::page` writes them; review the difference
//! before committing it.

use super::*;
use orch_sys::fs;
use orch_sys::process::env_var;
use std::path::Path;

/// The sizes: half a screen, the default, a wide terminal, and one without enough lines.
const SIZES: [(usize, Option<usize>); 5] = [(60, None), (80, None), (100, None), (160, None), (100, Some(24))];

fn overview() -> Overview {
    serde_json::from_str(include_str!("../../../../../tests/fixtures/cli/status.json")).expect("the shape of the API")
}

#[test]
fn a_task_in_each_state_looks_like_this_on_narrow_and_on_wide_terminals() {
    let overview = overview();
    for status in Status::ALL {
        assert!(overview.status.counts.contains_key(status.as_str()), "{} is not in the picture", status.as_str());
    }
    let mut differ = Vec::new();
    for (columns, rows) in SIZES {
        let text = page(&overview, columns, rows);
        assert!(text.lines().all(|line| text::width(line) <= columns), "wider than {columns}:\n{text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        let size = rows.map_or_else(|| columns.to_string(), |rows| format!("{columns}x{rows}"));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/cli/status-{size}.txt"));
        if env_var("ORCH_BLESS").is_some() {
            fs::write_private(&file, text.as_bytes(), fs::Durability::Cached).expect("written");
        }
        let blessed = std::fs::read_to_string(&file).unwrap_or_default();
        if blessed != text {
            differ.push(format!("{} differs (ORCH_BLESS=1 writes it anew):\n{text}", file.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
