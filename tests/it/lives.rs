//! Every life that a task can have, up to a depth, and long lives at random. The torture table has many more of them.

use crate::kit::lives::{MOST_RUNS, every_life, random_life};

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

/// Attempts stay within the limit, refused events are not counted, and there is always a way to an end.
#[test]
fn no_order_of_events_breaks_a_task() {
    let wrong: Vec<String> = (0..2000).filter_map(random_life).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
