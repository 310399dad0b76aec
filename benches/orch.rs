//! The benchmarks of orch: what its own part of a dispatch costs, how soon an end is recorded, what ten thousand tasks
//! cost, and what the daemon takes when there is nothing to do. `docs/reference/benchmarks.md` describes the method.
//!
//! Nothing is asserted: a row says `ok` or `over`. The exit code is 1 only when a row could not be measured.
//!
//! `make bench`, `make bench ARGS=--quick`, `make bench ARGS="plan idle"`.

mod agent;
mod burst;
mod chats;
mod commands;
mod crowd;
mod dispatch;
mod durable;
mod fixture;
mod flood;
mod idle;
#[expect(unused_imports, reason = "the kit has tests of its own, which are not part of a benchmark")]
#[path = "../tests/kit/mod.rs"]
mod kit;
mod library;
mod many;
mod measure;
mod poll;
mod queue;
mod redact;
mod resolve;
mod search;
mod stream;
mod table;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use table::Table;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Fewer rounds and shorter watches.
    pub quick: bool,
}

impl Scale {
    /// `full`, or `quick` when asked for.
    pub fn pick<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// A name by which rows can be asked for, and what measures them.
type Group = (&'static str, fn(Scale, &mut Table));

const GROUPS: [Group; 15] = [
    ("plan", library::rows),
    ("commands", commands::rows),
    ("many", many::rows),
    ("idle", idle::rows),
    ("dispatch", dispatch::rows),
    ("burst", burst::rows),
    ("redact", redact::rows),
    ("resolve", resolve::rows),
    ("search", search::rows),
    ("stream", stream::rows),
    ("flood", flood::rows),
    ("crowd", crowd::rows),
    ("durable", durable::rows),
    ("queue", queue::rows),
    ("chats", chats::rows),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, stamps, name] = args.as_slice() {
        match flag.as_str() {
            agent::FLAG => return agent::work(Path::new(stamps), name),
            agent::FLOODER => return agent::flood(Path::new(stamps), name),
            agent::TELLER => return agent::write_lines(Path::new(stamps), name),
            _ => {}
        }
    }
    let scale = Scale { quick: args.iter().any(|arg| arg == "--quick") };
    // cargo adds `--bench` of its own.
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|name| GROUPS.iter().all(|(group, _)| group != **name)) {
        let known: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
        table::say(&format!("there are no rows called {unknown:?}; there are: {}", known.join(", ")));
        return ExitCode::from(2);
    }
    table::head(scale.quick);
    let mut failed = false;
    for (name, rows) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|group| *group == name) {
            let mut table = Table::default();
            // What a broken row says went to stderr already; the other rows are still worth having.
            failed |= catch_unwind(AssertUnwindSafe(|| rows(scale, &mut table))).is_err();
            table.print();
        }
    }
    if failed {
        table::say("some rows could not be measured; see above");
    }
    ExitCode::from(u8::from(failed))
}
