//! Every life that a task can have, up to a depth, and long lives at random. The torture table has many more of them.

use crate::kit::lives::{MOST_RUNS, every_life, moves, random_life};
use std::path::Path;

#[test]
fn every_life_to_a_depth_of_twelve_events_has_an_end_and_counts_right() {
    for alternatives in [&[][..], &["codex"]] {
        let walked = every_life(12, alternatives);
        assert!(walked.states > 2000, "{} states are not all of them", walked.states);
        assert!(walked.wrong.is_empty(), "{:#?}", walked.wrong);
        let runs = walked.most_runs;
        assert!(runs <= MOST_RUNS, "{runs} runs follow each other, and nobody is asked");
    }
}

/// Attempts stay within the limit, nothing is counted for what is refused, and there is always a way out.
#[test]
fn no_order_of_events_breaks_a_task() {
    let wrong: Vec<String> = (0..2000).filter_map(random_life).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const BEGIN: &str = "<!-- written by `ORCH_BLESS=1 cargo test --test it lives` -->\n";
const END: &str = "<!-- end -->\n";

/// The diagram as it follows from the code, in Mermaid, and the same as a table.
fn diagram() -> String {
    let mut out = String::from("\n```mermaid\nstateDiagram-v2\n    [*] --> new\n");
    let moves = moves();
    for (from, to) in moves.keys() {
        out.push_str(&format!("    {from} --> {to}\n"));
    }
    out.push_str("```\n\n| from | to | by |\n|---|---|---|\n");
    for ((from, to), events) in &moves {
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        out.push_str(&format!("| `{from}` | `{to}` | {} |\n", events.join(", ")));
    }
    out.push('\n');
    out
}

#[test]
fn the_state_diagram_is_what_the_code_does() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/states.md");
    let text = crate::kit::read_file(&page);
    let (before, rest) = text.split_once(BEGIN).expect("a place for the diagram");
    let (_, after) = rest.split_once(END).expect("an end of it");
    let fresh = format!("{before}{BEGIN}{}{END}{after}", diagram());
    if orch_sys::process::env_var("ORCH_BLESS").is_some() {
        crate::kit::write_file(&page, &fresh);
    } else {
        assert_eq!(text, fresh, "docs/reference/states.md is not what the code does; ORCH_BLESS=1 writes it anew");
    }
}
