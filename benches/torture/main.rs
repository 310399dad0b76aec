//! The torture table: real daemons, runners, agents, git and tmux in sealed boxes, made to fail in every way that is
//! known, and what is lost, doubled or stuck by it. The goal of every row is 0 / 0 / 0. `docs/explanation/reliability.md` tells
//! what it means. Exit code 1: some row is not.
//!
//! `make torture`, `make torture QUICK=1`, `make torture ROW=R2`, `make torture ROW=R2 FAULT=tmux`,
//! `make torture ROW=R1 POINT=claim.made`.
#![expect(clippy::disallowed_methods, reason = "the harness reads files and the clock as it pleases")]

mod check;
mod disk;
mod fixture;
mod fuzz;
mod gauge;
#[expect(unused_imports, reason = "the kit has tests of its own, which are not part of the table")]
#[path = "../../tests/kit/mod.rs"]
mod kit;
mod page;
mod row;
mod rows;
mod scene;
mod simulator;
mod table;

use row::{Row, Run, Size};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Instant;
use table::{Line, Outcome};

/// A link to the program that is tortured: another build meanwhile does not change it.
pub fn orch() -> &'static Path {
    static LINK: OnceLock<PathBuf> = OnceLock::new();
    LINK.get_or_init(|| {
        let built = Path::new(kit::sealed_box::ORCH);
        let dir = built.parent().and_then(Path::parent).expect("a target directory").join("torture");
        std::fs::create_dir_all(&dir).expect("a directory");
        let link = dir.join(format!("orch-{}", std::process::id()));
        std::fs::hard_link(built, &link).expect("a link to orch");
        link
    })
}

/// Returns whether to print details of a trial with findings: `WORDS=1`.
pub fn is_verbose() -> bool {
    variable("WORDS").is_some()
}

/// A variable that is not empty.
pub fn variable(name: &str) -> Option<String> {
    ::orch_sys::process::env_var(name).filter(|value| !value.is_empty())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some(well) = fuzz::child(&args) {
        return ExitCode::from(u8::from(!well));
    }
    let size = if args.iter().any(|arg| arg == "--quick") { Size::Quick } else { Size::Full };
    let wanted: Vec<&str> = args.iter().filter(|arg| !arg.starts_with("--")).map(String::as_str).collect();
    if let Some(unknown) = wanted.iter().find(|name| rows::all().iter().all(|row| !is(row, name))) {
        table::print_error(&format!("there is no row {unknown}"));
        return ExitCode::from(2);
    }
    if !is_verbose() {
        // A panic is reported in one line, with the trial.
        std::panic::set_hook(Box::new(|_| {}));
    }
    table::say(table::head().trim_end());
    let fault = variable("FAULT").unwrap_or_default();
    let chosen = |row: &Row| {
        (wanted.is_empty() || wanted.iter().any(|name| is(row, name))) && row.fault.contains(fault.as_str())
    };
    let rows: Vec<(&Row, Option<Line>)> =
        rows::all().into_iter().map(|row| (row, chosen(row).then(|| tried(row, size)))).collect();
    disk::clean_up();
    std::fs::remove_file(orch()).ok();
    // A row of which only some points were tried proves nothing about the row.
    if variable("POINT").is_none() && (size == Size::Full || args.iter().any(|arg| arg == "--bless")) {
        table::bless(&rows);
    }
    let broken: Vec<String> = rows.iter().filter_map(|(_, line)| line.as_ref()).flat_map(Line::broken).collect();
    broken.iter().for_each(|found| table::print_error(found));
    ExitCode::from(u8::from(!broken.is_empty()))
}

fn is(row: &Row, name: &str) -> bool {
    row.id.eq_ignore_ascii_case(name)
}

fn tried(row: &Row, size: Size) -> Line {
    let begun = Instant::now();
    let line = match row.run {
        Run::Trials { quick, full, run } => {
            let wished = variable("TIMES").and_then(|times| times.parse().ok());
            let tally = run(wished.unwrap_or(if size == Size::Quick { quick } else { full }), size);
            Line::new(row, Some(&Outcome { tally: &tally, seconds: begun.elapsed().as_secs(), size }))
        }
    };
    table::say(&line.markdown());
    line
}
