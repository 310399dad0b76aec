//! Rows of the table that are not tried here yet, each with the reason. A row that comes takes its line's place.

use crate::row::{Row, Run};

const fn not(id: &'static str, fault: &'static str, why: &'static str) -> Row {
    Row { id, fault, goal: "", run: Run::Not(why) }
}

/// What does not exist yet.
pub const LATE: [Row; 2] = [
    not(
        "R18",
        "budgets",
        "no row of its own: in every fourth course of R24 money is short, and nothing begins by itself on a day of which enough is spent",
    ),
    not(
        "R22",
        "channels",
        "no row of its own: against servers with the real rules in `tests/it/telegram.rs`, `tests/it/discord.rs` and `tests/it/notices.rs`",
    ),
];
