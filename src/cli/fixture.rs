//! Examples that the tests of several commands render.

use super::ui::time::Now;
use jiff::tz::TimeZone;
use orch_api::types::TaskView;

/// The present of the examples.
pub fn now() -> Now {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    Now { at: "2026-03-01T12:00:00Z".parse().expect("a time"), zone }
}

/// A task that asks a person, with everything that a task can have, and hostile texts in it.
pub fn task() -> TaskView {
    serde_json::from_str(include_str!("../../tests/fixtures/cli/task.json")).expect("the shape of the API")
}
