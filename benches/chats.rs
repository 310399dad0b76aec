//! Measures a hundred tasks that stream into one Telegram group, against a Bot API with the real limits and a faster
//! clock.

use crate::Scale;
use crate::kit::talkers::crowd;
use crate::table::{Row, Table};
use std::time::Duration;

/// Tasks that stream at once.
const TASKS: u64 = 100;
/// Both clocks run so much faster.
const FASTER: u32 = 60;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let lasts = Duration::from_secs(scale.pick(600, 120));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let figures = runtime.expect("a runtime").block_on(crowd(TASKS, lasts, FASTER));
    let is_sound = figures.provoked == 0 && figures.last_states as u64 == TASKS && figures.messages as u64 == TASKS;
    table.add(Row {
        name: format!("{TASKS} tasks streaming into one chat for {} minutes (time × {FASTER})", lasts.as_secs() / 60),
        orch: format!("{} requests", figures.requests),
        own: format!("{} refused", figures.provoked),
        goal: "0 refused".to_owned(),
        reached: Some(is_sound),
        ..Row::default()
    });
    table.add(Row {
        name: "  · last states shown, each in one message".to_owned(),
        orch: figures.last_states.to_string(),
        goal: TASKS.to_string(),
        reached: Some(figures.last_states as u64 == TASKS && figures.messages as u64 == TASKS),
        ..Row::default()
    });
    table.add(Row {
        name: "  · the most that waited to be shown".to_owned(),
        orch: figures.most_waiting.to_string(),
        goal: format!("≤ {}", 2 * TASKS),
        reached: Some(figures.most_waiting as u64 <= 2 * TASKS),
        ..Row::default()
    });
}
