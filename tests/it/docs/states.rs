//! docs/reference/states.md: every event in every state that a task can come to, by the function that changes states.

use super::generated::{code, must_hold, table};
use crate::kit::lives::moves;
use orch_core::tasks::task::Status;

#[test]
fn the_state_diagram_is_what_the_code_does() {
    must_hold("docs/reference/states.md", "states", &text());
}

fn text() -> String {
    let rows: Vec<Vec<String>> =
        Status::ALL.iter().map(|status| vec![code(status.as_str()), meaning(*status).to_owned()]).collect();
    let mut text = table(&["status", "meaning"], &rows);
    text.push_str("\n```mermaid\nstateDiagram-v2\n    [*] --> new\n");
    let moves = moves();
    for (from, to) in moves.keys() {
        text.push_str(&format!("    {from} --> {to}\n"));
    }
    text.push_str("```\n\n");
    let by = |events: &std::collections::BTreeSet<String>| events.iter().cloned().collect::<Vec<_>>().join(", ");
    let rows: Vec<Vec<String>> =
        moves.iter().map(|((from, to), events)| vec![code(from), code(to), by(events)]).collect();
    text.push_str(&table(&["from", "to", "by"], &rows));
    text
}

fn meaning(status: Status) -> &'static str {
    match status {
        Status::New => "waits for its route: which agent and which model",
        Status::Routed => "has its route, and waits for a slot, or for the time of the next attempt",
        Status::InProgress => "an agent works on it",
        Status::InReview => {
            "the agent has finished: evidence is gathered, another agent reviews, the branch is integrated"
        }
        Status::Done => "accepted, and kept on its branch or merged",
        Status::Blocked => "waits for other tasks or for a missing directory; goes on by itself",
        Status::NeedsReview => "asks a person",
        Status::Cancelled => "given up",
    }
}
