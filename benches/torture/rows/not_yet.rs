//! Rows of the table that are not tried here yet, each with the reason. A row that comes takes its line's place.

use crate::row::{Row, Run};

const fn not(id: &'static str, fault: &'static str, why: &'static str) -> Row {
    Row { id, fault, goal: "", run: Run::Not(why) }
}

/// What does not exist yet.
pub const LATE: [Row; 1] = [not(
    "R22",
    "channels",
    "no row of its own: against servers with the real rules in `tests/it/telegram.rs`, `tests/it/discord.rs` and `tests/it/notices.rs`",
)];
