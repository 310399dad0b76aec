//! Measures the start of a command (`orch version`), and the size of the program.

use crate::Scale;
use crate::fixture::Fixture;
use crate::kit::sealed_box::ORCH;
use crate::measure::{Samples, figure, program_ms, random_pause};
use crate::table::{Row, Table};

const VERSION: f64 = 5.0;
const MEGABYTES: f64 = 20.0;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let fixture = Fixture::new("");
    let (mut bare, mut version) = (Samples::default(), Samples::default());
    for _ in 0..scale.pick(60, 15) {
        random_pause(0, 10);
        bare.add(program_ms(&fixture.program("true", fixture.sealed().root())));
        version.add(program_ms(&fixture.orch(["version"])));
    }
    fixture.finish();
    table.limit("orch version, against `true`", Some(&bare), &version, VERSION);
    let bytes = std::fs::metadata(ORCH).map_or(0, |found| found.len());
    let megabytes = bytes as f64 / 1e6;
    table.add(Row {
        name: "size of the program, as built here".to_owned(),
        orch: format!("{} MB", figure(megabytes)),
        goal: format!("≤ {MEGABYTES} MB"),
        reached: Some(megabytes <= MEGABYTES),
        ..Row::default()
    });
}
