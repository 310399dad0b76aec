//! Examples for the tests of several commands.

use super::ui::time::Now;
use jiff::tz::TimeZone;
use orch_api::types::TaskView;

/// Returns the present time of the examples.
pub fn now() -> Now {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    Now { at: "2026-03-01T12:00:00Z".parse().expect("a time"), zone }
}

/// Returns a task that waits for a person, with all optional fields and with hostile texts.
pub fn task() -> TaskView {
    serde_json::from_str(include_str!("../../tests/fixtures/cli/task.json")).expect("the shape of the API")
}
