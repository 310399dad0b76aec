//! Whether a task that could start overlaps with a running one of its project in a file. Checked only for tasks for
//! which there is capacity.

use super::{directory, takes_slot};
use crate::base::ids::TaskId;
use crate::planning::overlap::{Footprint, Overlap, Touched};
use crate::tasks::task::Task;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A running task that has, or may change, a file that another task is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOverlap {
    /// The running task.
    pub other: TaskId,
    /// The file or folder.
    pub file: String,
}

impl fmt::Display for FileOverlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "overlaps {} in {}", self.other, self.file)
    }
}

/// What happens with overlapping tasks, and what running ones have changed so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlapRules {
    /// `workflow.overlap`.
    pub usual: Overlap,
    /// `workflow.overlap` by directory, for projects that set it.
    pub projects: BTreeMap<PathBuf, Overlap>,
    /// The files that running tasks have changed.
    pub touched: Arc<Touched>,
}

impl OverlapRules {
    /// Creates rules that check nothing.
    pub fn off() -> Self {
        Self { usual: Overlap::Off, projects: BTreeMap::new(), touched: Arc::default() }
    }

    /// Returns the setting for a directory.
    pub fn for_dir(&self, dir: Option<&Path>) -> Overlap {
        dir.and_then(|dir| self.projects.get(dir)).copied().unwrap_or(self.usual)
    }

    /// Whether any project checks for overlaps.
    pub fn is_enabled(&self) -> bool {
        self.usual != Overlap::Off || self.projects.values().any(|overlap| *overlap != Overlap::Off)
    }
}

/// A running task and its files.
struct Running<'a> {
    id: TaskId,
    dir: Option<&'a Path>,
    files: Footprint,
}

/// The running tasks, collected when the first task is checked.
pub(super) struct OverlapCheck<'a> {
    rules: &'a OverlapRules,
    tasks: &'a BTreeMap<TaskId, Arc<Task>>,
    projects: &'a [PathBuf],
    running: Option<Vec<Running<'a>>>,
}

impl<'a> OverlapCheck<'a> {
    pub(super) fn new(
        rules: &'a OverlapRules,
        tasks: &'a BTreeMap<TaskId, Arc<Task>>,
        projects: &'a [PathBuf],
    ) -> Self {
        Self { rules, tasks, projects, running: None }
    }

    /// Returns the setting and the overlap if this task overlaps with a running one.
    pub(super) fn check(&mut self, task: &Task) -> Option<(Overlap, FileOverlap)> {
        let dir = directory(task, self.projects).ok();
        let overlap = self.rules.for_dir(dir);
        if overlap == Overlap::Off {
            return None;
        }
        let mine = Footprint::from_task(task);
        if mine.is_empty() {
            return None;
        }
        let (rules, tasks, projects) = (self.rules, self.tasks, self.projects);
        let running = self.running.get_or_insert_with(|| {
            let busy = tasks.values().filter(|task| takes_slot(task));
            busy.map(|task| Running::new(task, projects)).collect()
        });
        running.iter().filter(|other| other.dir == dir && other.id != task.id).find_map(|other| {
            let touched = rules.touched.get(&other.id).into_iter().flat_map(|files| files.iter().map(String::as_str));
            let file = mine.first_overlap(touched).or_else(|| mine.first_overlap(other.files.files()))?;
            Some((overlap, FileOverlap { other: other.id, file: file.to_owned() }))
        })
    }

    /// Adds a task that starts, so that later ones are checked against it.
    pub(super) fn add(&mut self, task: &'a Task) {
        if let Some(running) = &mut self.running {
            running.push(Running::new(task, self.projects));
        } else if self.rules.is_enabled() {
            let busy = self.tasks.values().filter(|task| takes_slot(task)).map(AsRef::as_ref);
            let all = busy.chain([task]).map(|task| Running::new(task, self.projects));
            self.running = Some(all.collect());
        }
    }
}

impl<'a> Running<'a> {
    fn new(task: &'a Task, projects: &'a [PathBuf]) -> Self {
        Self { id: task.id, dir: directory(task, projects).ok(), files: Footprint::from_task(task) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PlanInputs, now, routed, running};
    use super::super::{Action, Capacity, HoldReason};
    use super::*;
    use crate::tasks::evidence::Evidence;

    fn about(mut task: Task, file: &str) -> Task {
        task.spec.labels.push(format!("files:{file}"));
        task
    }

    fn capacity(usual: Overlap, touched: &[(u64, &str)]) -> Capacity {
        let touched = touched.iter().map(|(id, file)| (TaskId(*id), Arc::from([(*file).to_owned()])));
        let overlap_rules = OverlapRules { usual, touched: Arc::new(touched.collect()), ..OverlapRules::off() };
        Capacity { overlap_rules, ..Capacity::with_slots(4) }
    }

    #[test]
    fn a_task_waits_for_the_one_that_works_on_the_same_file_and_no_other_waits_for_it() {
        let inputs = PlanInputs::with_tasks([
            about(running(1), "src/parser.rs"),
            about(routed(2), "src/"),
            about(routed(3), "docs/"),
        ]);
        let plan = inputs.plan_in(&capacity(Overlap::Hold, &[]));
        let hold = plan.hold(TaskId(2)).expect("it waits");
        assert_eq!((hold.reason, hold.detail.as_str()), (HoldReason::Overlap, "overlaps 1 in src/parser.rs"));
        assert_eq!(plan.actions, [Action::Launch(TaskId(3))]);
        // It ends with the other.
        let alone = PlanInputs::with_tasks([about(routed(2), "src/"), about(routed(3), "docs/")]);
        assert_eq!(alone.plan_in(&capacity(Overlap::Hold, &[])).actions.len(), 2);
    }

    #[test]
    fn of_two_that_could_begin_together_the_first_begins() {
        let inputs = PlanInputs::with_tasks([about(routed(1), "a.rs"), about(routed(2), "src/a.rs"), routed(3)]);
        let plan = inputs.plan_in(&capacity(Overlap::Hold, &[]));
        assert_eq!(plan.actions, [Action::Launch(TaskId(1)), Action::Launch(TaskId(3))]);
        assert_eq!(plan.hold(TaskId(2)).map(|hold| hold.detail.as_str()), Some("overlaps 1 in src/a.rs"));
    }

    #[test]
    fn what_an_earlier_run_of_a_task_has_changed_counts_for_the_next_one() {
        let mut again = routed(2);
        let changed = vec!["src/parser.rs".to_owned(), "docs/parser.md".to_owned()];
        again.evidence = Some(Box::new(Evidence { changed, ..Evidence::default() }));
        let inputs = PlanInputs::with_tasks([about(running(1), "docs/"), again]);
        let plan = inputs.plan_in(&capacity(Overlap::Hold, &[]));
        assert_eq!(plan.hold(TaskId(2)).map(|hold| hold.detail.as_str()), Some("overlaps 1 in docs/parser.md"));
    }

    #[test]
    fn what_a_running_task_has_changed_counts_whatever_its_words_say() {
        let inputs = PlanInputs::with_tasks([running(1), about(routed(2), "src/a.rs")]);
        let plan = inputs.plan_in(&capacity(Overlap::Hold, &[(1, "src/a.rs")]));
        assert_eq!(plan.hold(TaskId(2)).map(|hold| hold.reason), Some(HoldReason::Overlap));
    }

    #[test]
    fn who_is_only_warned_begins_and_so_does_who_was_asked_for() {
        let inputs = PlanInputs::with_tasks([about(running(1), "a.rs"), about(routed(2), "a.rs")]);
        let warned = inputs.plan_in(&capacity(Overlap::Warn, &[]));
        assert_eq!(warned.actions, [Action::Launch(TaskId(2))]);
        assert_eq!(warned.overlaps, [(TaskId(2), FileOverlap { other: TaskId(1), file: "a.rs".to_owned() })]);
        let off = inputs.plan_in(&capacity(Overlap::Off, &[]));
        assert!(off.overlaps.is_empty() && off.actions.len() == 1);
        let asked = Task { run_now: true, ..about(routed(2), "a.rs") };
        let plan = PlanInputs::with_tasks([about(running(1), "a.rs"), asked]).plan_in(&capacity(Overlap::Hold, &[]));
        assert_eq!(plan.actions, [Action::Launch(TaskId(2))]);
    }

    #[test]
    fn another_project_is_another_ground() {
        let mut other = about(routed(2), "a.rs");
        other.spec.dir = Some("/other".into());
        let inputs = PlanInputs::with_tasks([about(running(1), "a.rs"), other]);
        assert_eq!(inputs.plan_in(&capacity(Overlap::Hold, &[])).actions, [Action::Launch(TaskId(2))]);
        let rules = OverlapRules {
            projects: [("/repo".into(), Overlap::Off)].into(),
            ..capacity(Overlap::Hold, &[]).overlap_rules
        };
        assert_eq!((rules.for_dir(Some(Path::new("/repo"))), rules.for_dir(None)), (Overlap::Off, Overlap::Hold));
        assert!(rules.is_enabled() && now() > jiff::Timestamp::UNIX_EPOCH);
    }
}
