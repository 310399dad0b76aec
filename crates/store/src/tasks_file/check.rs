//! What can only be seen over all entries: ids used twice, dependencies on nothing, tasks that wait for each other.

use super::{Entry, Problem, Severity};
use orch_config::yaml::{Lines, Tree};
use orch_core::base::ids::TaskId;
use std::collections::HashMap;

/// The parts of an entry that are checked here; kept of every one, also of those that are not wanted otherwise.
pub(super) struct Relation {
    line: u32,
    /// The id of the entry.
    pub(super) id: Option<TaskId>,
    depends_on: Vec<TaskId>,
    parent: Option<TaskId>,
}

impl Relation {
    pub(super) fn from_entry(entry: &Entry) -> Self {
        let Entry { line, id, spec, .. } = entry;
        Self { line: *line, id: *id, depends_on: spec.depends_on.clone(), parent: spec.parent }
    }
}

/// Refuses a file in which two tasks have the same id: a result could belong to either.
pub(super) fn duplicates(places: &Places<'_>, entries: &[Relation]) -> Result<(), Vec<Problem>> {
    let mut first: HashMap<TaskId, u32> = HashMap::new();
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let Some(id) = entry.id else { continue };
        if let Some(line) = first.insert(id, entry.line) {
            let message = format!("the id {id} is already used on line {line}");
            found.push(Found { index, key: "id", message });
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let mut problems = places.problems(found, entries);
    for problem in &mut problems {
        problem.hint =
            Some("remove the id here, and orch gives a new one; and the status, if it is to be run".to_owned());
    }
    Err(problems)
}

/// Tells of the entries that depend on nothing that exists, on themselves, or in a cycle; and which they are.
pub(super) fn relations(
    places: &Places<'_>,
    entries: &[Relation],
    known: &dyn Fn(TaskId) -> bool,
) -> (Vec<Problem>, Vec<usize>) {
    let by_id: HashMap<TaskId, usize> =
        entries.iter().enumerate().filter_map(|(index, entry)| Some((entry.id?, index))).collect();
    let missing = |id: &TaskId| !by_id.contains_key(id) && !known(*id);
    let mut found: Vec<Found> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        for id in entry.depends_on.iter().filter(|id| missing(id)) {
            let message = format!("depends on the task {id}, which does not exist");
            found.push(Found { index, key: "depends_on", message });
        }
        if let Some(id) = entry.parent.filter(missing) {
            let message = format!("is a part of the task {id}, which does not exist");
            found.push(Found { index, key: "parent", message });
        }
        if entry.id.is_some() && entry.parent == entry.id {
            found.push(Found { index, key: "parent", message: "is its own parent".to_owned() });
        }
    }
    found.extend(cycles(entries, &by_id));
    let unsound = found.iter().map(|found| found.index).collect();
    (places.problems(found, entries), unsound)
}

struct Found {
    index: usize,
    key: &'static str,
    message: String,
}

/// For every task in a cycle, the cycle. A task waits for what it depends on, and a parent for its parts.
fn cycles(entries: &[Relation], by_id: &HashMap<TaskId, usize>) -> Vec<Found> {
    let mut waits_for: Vec<Vec<usize>> = vec![Vec::new(); entries.len()];
    for (index, entry) in entries.iter().enumerate() {
        waits_for[index].extend(entry.depends_on.iter().filter_map(|id| by_id.get(id)));
        // A parent that is the task itself is reported as such.
        if let Some(parent) = entry.parent.and_then(|id| by_id.get(&id)).filter(|parent| **parent != index) {
            waits_for[*parent].push(index);
        }
    }
    let mut search = Search { waits_for, seen: vec![Seen::Not; entries.len()], circling: vec![false; entries.len()] };
    let mut found = Vec::new();
    for start in 0..entries.len() {
        for cycle in search.walk(start) {
            found.extend(describe_cycle(&cycle, entries));
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    OnPath,
    Done,
}

struct Search {
    waits_for: Vec<Vec<usize>>,
    seen: Vec<Seen>,
    /// The members of a cycle that was found; one cycle per member is reported.
    circling: Vec<bool>,
}

impl Search {
    /// Depth first from `start`, without recursion: chains may be as long as the file.
    fn walk(&mut self, start: usize) -> Vec<Vec<usize>> {
        let mut cycles = Vec::new();
        if self.seen[start] != Seen::Not {
            return cycles;
        }
        self.seen[start] = Seen::OnPath;
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(target) = self.waits_for[node].get(*next).copied() else {
                self.seen[node] = Seen::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match self.seen[target] {
                Seen::Not => {
                    self.seen[target] = Seen::OnPath;
                    path.push((target, 0));
                }
                Seen::OnPath if !(self.circling[target] && self.circling[node]) => {
                    let begin = path.iter().position(|(node, _)| *node == target).unwrap_or(0);
                    let cycle: Vec<usize> = path[begin..].iter().map(|(node, _)| *node).collect();
                    cycle.iter().for_each(|member| self.circling[*member] = true);
                    cycles.push(cycle);
                }
                Seen::OnPath | Seen::Done => {}
            }
        }
        cycles
    }
}

/// Named once per member, each time beginning with that member.
fn describe_cycle(cycle: &[usize], entries: &[Relation]) -> Vec<Found> {
    const SHOWN: usize = 12;
    let name = |index: usize| entries[index].id.map_or_else(|| "?".to_owned(), |id| id.to_string());
    let describe = |(at, index): (usize, &usize)| {
        let mut names: Vec<String> =
            (at..at + cycle.len().min(SHOWN)).map(|step| name(cycle[step % cycle.len()])).collect();
        if cycle.len() > SHOWN {
            names.push("…".to_owned());
        }
        names.push(name(*index));
        let message = match cycle {
            [_] => "depends on itself".to_owned(),
            _ => format!("waits for itself: {}", names.join(" → ")),
        };
        let by_dependency = !entries[*index].depends_on.is_empty();
        Found { index: *index, key: if by_dependency { "depends_on" } else { "parent" }, message }
    };
    cycle.iter().enumerate().map(describe).collect()
}

/// Finds the place of a key of an entry.
pub(super) struct Places<'a> {
    pub(super) text: &'a str,
    pub(super) tree: &'a Tree,
    pub(super) items: &'a [u32],
}

impl Places<'_> {
    fn problems(&self, found: Vec<Found>, entries: &[Relation]) -> Vec<Problem> {
        if found.is_empty() {
            return Vec::new();
        }
        let lines = Lines::new(self.text);
        let locate = |Found { index, key, message }| {
            let item = self.tree.resolve(self.items[index] as usize);
            let node = self.tree.pair(item, key).map_or(item, |(_, value)| value);
            let (line, column) = lines.position(self.text, self.tree.range(node).start);
            Problem { severity: Severity::Error, line, column, entry: entries[index].id, message, hint: None }
        };
        found.into_iter().map(locate).collect()
    }
}
