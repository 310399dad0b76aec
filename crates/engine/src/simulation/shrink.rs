//! A scenario that breaks a rule, made as small as it goes: whatever can be left out without mending it is left out.

use super::scenario::{HOUR, Scenario};

/// The smallest scenario that still fails, as far as `tries` looks lead.
pub fn shrink(scenario: &Scenario, fails: &mut dyn FnMut(&Scenario) -> bool) -> Scenario {
    let mut best = scenario.clone();
    loop {
        let size = |it: &Scenario| (it.steps.len(), it.faults.len(), it.jobs.len(), it.lasts);
        let before = size(&best);
        without_steps(&mut best, fails);
        for fault in best.faults.clone() {
            let mut less = best.clone();
            less.faults.remove(&fault);
            keep(&mut best, less, fails);
        }
        for job in best.jobs.clone() {
            let mut less = best.clone();
            less.jobs.retain(|other| *other != job);
            keep(&mut best, less, fails);
        }
        let mut shorter = best.clone();
        shorter.lasts = best.steps.last().map_or(HOUR, |step| step.at + HOUR).min(best.lasts);
        keep(&mut best, shorter, fails);
        if size(&best) == before {
            return best;
        }
    }
}

/// Removes steps, in halves first, then in smaller and smaller pieces.
fn without_steps(best: &mut Scenario, fails: &mut dyn FnMut(&Scenario) -> bool) {
    let mut piece = best.steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < best.steps.len() {
            let mut less = best.clone();
            less.steps.drain(at..(at + piece).min(best.steps.len()));
            if !keep(best, less, fails) {
                at += piece;
            }
        }
        if piece == 1 {
            return;
        }
        piece = piece.div_ceil(2);
    }
}

fn keep(best: &mut Scenario, smaller: Scenario, fails: &mut dyn FnMut(&Scenario) -> bool) -> bool {
    let still = fails(&smaller);
    if still {
        *best = smaller;
    }
    still
}
