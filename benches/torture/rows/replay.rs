//! R25: journals of every version, whole and with omitted parts, opened, stored again and opened again by the present
//! code.

use crate::kit::dice::Dice;
use crate::kit::journals::{make, make_some, replay, versions};
use crate::row::{Broken, Row, Run, Size, Tally, finding, trials};

/// The row.
pub const ROW: Row = Row {
    id: "R25",
    code: file!(),
    fault: "journals of each stored version (`tests/fixtures/journals`), whole and in parts, opened by this orch",
    goal: "all that was said is said, in the same words; that the engine goes on with them: `tests/it/journal/versions.rs`",
    run: Run::Trials { quick: 27, full: 2000, run },
};

fn run(times: usize, _: Size) -> Tally {
    let all: Vec<usize> = versions().collect();
    trials(times, 2, |trial| {
        let version = all[trial % all.len()];
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("orch.db");
        if trial < all.len() {
            make(version, &path);
        } else {
            make_some(version, &path, &mut Dice::new(trial as u64));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let lost = runtime.block_on(replay(&path));
        lost.into_iter().map(|text| finding(Broken::Lost, format!("version {version}: {text}"))).collect()
    })
}
