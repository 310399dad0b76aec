//! Cycles of tasks that wait for each other forever. PURE: the caller says which task waits for which.

use crate::base::ids::TaskId;
use std::collections::HashMap;

/// The most members that are named.
const NAMED: usize = 12;
/// The most cycles found at once; the caller may search again after removing these.
const AT_ONCE: usize = 100;

/// Tasks of which each waits for the next, and the last for the first.
pub type Cycle = Vec<TaskId>;

enum Seen {
    /// On the path from the start, at this index.
    OnPath(usize),
    /// Everything reachable from it was visited.
    Done,
}

/// Finds the cycles reachable from `starts`, each with a different first task. Removing the first task of each breaks
/// all cycles, unless there are more than a hundred.
pub fn cycles(starts: impl IntoIterator<Item = TaskId>, waits_for: &dyn Fn(TaskId) -> Vec<TaskId>) -> Vec<Cycle> {
    let mut seen: HashMap<TaskId, Seen> = HashMap::new();
    let mut found: HashMap<TaskId, Cycle> = HashMap::new();
    // Iterative, because chains may be as long as there are tasks.
    let mut path: Vec<(TaskId, std::vec::IntoIter<TaskId>)> = Vec::new();
    for start in starts {
        let mut next = (!seen.contains_key(&start)).then_some(start);
        loop {
            if let Some(task) = next.take() {
                seen.insert(task, Seen::OnPath(path.len()));
                path.push((task, waits_for(task).into_iter()));
            }
            let Some((task, targets)) = path.last_mut() else { break };
            let Some(target) = targets.next() else {
                seen.insert(*task, Seen::Done);
                path.pop();
                continue;
            };
            match seen.get(&target) {
                None => next = Some(target),
                Some(Seen::Done) => {}
                Some(Seen::OnPath(at)) if found.len() < AT_ONCE => {
                    found.entry(target).or_insert_with(|| path[*at..].iter().map(|(task, _)| *task).collect());
                }
                Some(Seen::OnPath(_)) => {}
            }
        }
    }
    let mut found: Vec<Cycle> = found.into_values().collect();
    found.sort_unstable();
    found
}

/// Renders a cycle starting with its member at `at`: `2 → 4 → 3 → 2`.
pub fn render(cycle: &[TaskId], at: usize) -> String {
    let names = cycle.iter().cycle().skip(at).take(cycle.len().min(NAMED)).map(ToString::to_string);
    let more = (cycle.len() > NAMED).then(|| "…".to_owned());
    let again = cycle.get(at).map(ToString::to_string);
    names.chain(more).chain(again).collect::<Vec<_>>().join(" → ")
}

/// The message about a task that would wait for itself over this cycle, where `tasks.yml` says so.
pub fn not_taken_over(cycle: &str) -> String {
    format!("waits for itself: {cycle}; what it depends on in tasks.yml is not taken over")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    type Waits = BTreeMap<u64, Vec<u64>>;

    fn found(waits: &Waits, starts: &[u64]) -> Vec<Vec<u64>> {
        let waits_for = |id: TaskId| waits.get(&id.0).into_iter().flatten().map(|id| TaskId(*id)).collect::<Vec<_>>();
        let cycles = cycles(starts.iter().map(|id| TaskId(*id)), &waits_for);
        cycles.into_iter().map(|cycle| cycle.into_iter().map(|id| id.0).collect()).collect()
    }

    #[test]
    fn a_circle_is_found_from_everything_that_waits_for_it_and_told_from_any_member() {
        let waits = Waits::from([(1, vec![2]), (2, vec![4, 5]), (3, vec![2]), (4, vec![3]), (5, vec![])]);
        assert_eq!(found(&waits, &[1]), [[2, 4, 3]]);
        assert_eq!(found(&waits, &[5]), [[0; 0]; 0]);
        let cycle = [2, 4, 3].map(TaskId);
        assert_eq!((render(&cycle, 0), render(&cycle, 2)), ("2 → 4 → 3 → 2".to_owned(), "3 → 2 → 4 → 3".to_owned()));
        assert_eq!(found(&Waits::from([(7, vec![7])]), &[7]), [[7]], "on itself");
        let long: Vec<TaskId> = (1..=20).map(TaskId).collect();
        assert!(render(&long, 0).ends_with("12 → … → 1"), "{}", render(&long, 0));
    }

    #[test]
    fn a_chain_as_long_as_a_file_is_walked_without_recursion() {
        let waits: Waits = (0..200_000).map(|id| (id, vec![(id + 1) % 200_000])).collect();
        assert_eq!(found(&waits, &[17]).iter().map(Vec::len).collect::<Vec<_>>(), [200_000]);
    }

    proptest! {
        #[test]
        fn without_the_first_of_each_no_circle_is_left(
            waits in prop::collection::btree_map(0u64..12, prop::collection::vec(0u64..12, 0..4), 0..12),
        ) {
            let all: Vec<u64> = (0..12).collect();
            let cycles = found(&waits, &all);
            for cycle in &cycles {
                for (at, id) in cycle.iter().enumerate() {
                    prop_assert!(waits[id].contains(&cycle[(at + 1) % cycle.len()]), "{cycle:?} is one");
                }
            }
            let gone: BTreeSet<u64> = cycles.iter().map(|cycle| cycle[0]).collect();
            let mut left: BTreeMap<u64, Vec<u64>> = waits.into_iter().filter(|(id, _)| !gone.contains(id)).collect();
            // Kahn's algorithm: tasks whose dependencies are all removed are removed, until none is left.
            loop {
                let ids: BTreeSet<u64> = left.keys().copied().collect();
                let before = left.len();
                left.retain(|_, on| on.iter().any(|other| ids.contains(other)));
                if left.len() == before { break }
            }
            prop_assert!(left.is_empty(), "{left:?} still wait");
        }
    }
}
