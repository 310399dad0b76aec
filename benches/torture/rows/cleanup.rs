//! R20: orch's own code cleans up worktrees in random states over real git; every commit and every edit is searched for
//! afterwards.

use crate::kit::fixture::clean_up_worktrees;
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};

/// The row.
pub const ROW: Row = Row {
    id: "R20",
    code: file!(),
    fault: "clean-up of worktrees that are dirty, untracked, unpushed, stashed, detached, rebasing, bisecting, locked, with \
            repositories inside, at work, and mixtures of these",
    goal: "no commit and no edit is lost; what holds nothing goes",
    run: Run::Trials { quick: 40, full: 1000, run },
};

/// Worktrees of one repository.
const EACH: usize = 20;

fn run(times: usize, _: Size) -> Tally {
    let tally = trials(times.div_ceil(EACH), 2, |trial| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let tally = runtime.block_on(clean_up_worktrees(EACH as u64, trial as u64 + 2000));
        let lost = tally.lost.into_iter().map(|text| finding(Broken::Lost, text));
        lost.chain(tally.stuck.into_iter().map(|text| finding(Broken::Stuck, text))).collect::<Findings>()
    });
    Tally { times: times.div_ceil(EACH) * EACH, ..tally }
}
