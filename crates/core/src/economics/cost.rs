//! Spending by task, agent, model, project or day, summed up from the charges of runs. PURE.
//!
//! The figure that matters is the cost per merged change. A merged task counts once, in the group of the run that wrote
//! the merged work, together with everything spent on that task: its reviews, routing and earlier attempts by any agent
//! are the overhead of that run. Spending on a task that is not merged counts as overhead in the group of its last work
//! run.

use crate::base::ids::TaskId;
use crate::base::money::{Spend, Usd};
use crate::tasks::outcome::RunKind;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use strum::IntoStaticStr;

/// The cost of a finished run, with the facts of its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The task.
    pub task: TaskId,
    /// The task's title; empty if the task no longer exists.
    pub title: String,
    /// The task's repository, if it names one.
    pub project: Option<PathBuf>,
    /// Whether the task's change is merged.
    pub merged: bool,
    /// The purpose of the run.
    pub kind: RunKind,
    /// The agent.
    pub agent: String,
    /// The requested model.
    pub model: Option<String>,
    /// When the run ended.
    pub ended_at: Timestamp,
    /// The cost, if known.
    pub cost: Option<Usd>,
    /// Whether the cost is computed from tokens and catalog prices.
    pub computed: bool,
}

/// The key by which charges are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum By {
    /// The task.
    Task,
    /// The agent.
    #[default]
    Agent,
    /// The model that was asked for.
    Model,
    /// The repository.
    Project,
    /// The day on which a run ended.
    Day,
}

impl By {
    /// All keys.
    pub const ALL: [Self; 5] = [Self::Task, Self::Agent, Self::Model, Self::Project, Self::Day];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A group of charges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// The common value of the key; `None` for a run without a model or a task without a directory.
    pub key: Option<String>,
    /// The title, for [`By::Task`].
    pub title: Option<String>,
    /// The spending.
    pub spend: Spend,
    /// The number of runs whose cost is computed from tokens and catalog prices.
    pub computed: u64,
    /// The number of tasks.
    pub tasks: u64,
    /// The number of merged changes written by its runs.
    pub merged: u64,
    /// The spending on the tasks that count for this group, by any agent.
    pub credited: Spend,
    /// The part of `credited` that paid for the runs that wrote merged work.
    pub writing: Spend,
}

impl Group {
    /// Returns the cost per merged change with overhead; `None` if nothing is merged or no price is known.
    pub fn per_merged(&self) -> Option<Usd> {
        self.credited.sum().and_then(|sum| self.for_each_merged(sum))
    }

    /// Returns the overhead part of that: reviews, routing, earlier attempts and work that was not merged.
    pub fn overhead_per_merged(&self) -> Option<Usd> {
        let overhead = Usd::from_micros(self.credited.sum()?.micros() - self.writing.known.micros());
        self.for_each_merged(overhead)
    }

    fn for_each_merged(&self, sum: Usd) -> Option<Usd> {
        let merged = i64::try_from(self.merged).ok().filter(|merged| *merged > 0)?;
        Some(Usd::from_micros(sum.micros() / merged))
    }
}

/// The order of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Days chronologically, everything else by spending, the highest first.
    Spent,
    /// By the cost per merged change, the cheapest first; groups without one last, by spending.
    PerMerged,
}

/// Groups charges; days are those of `zone`.
pub fn groups(charges: &[Charge], by: By, zone: &TimeZone, order: Order) -> Vec<Group> {
    let keys: Vec<Option<String>> = charges.iter().map(|charge| key(charge, by, zone)).collect();
    let mut groups: BTreeMap<&Option<String>, (Group, BTreeSet<TaskId>)> = BTreeMap::new();
    for (charge, key) in charges.iter().zip(&keys) {
        let (group, tasks) = groups.entry(key).or_default();
        group.key.clone_from(key);
        group.title = (by == By::Task).then(|| charge.title.clone());
        group.spend.add(charge.cost);
        group.computed += u64::from(charge.computed);
        tasks.insert(charge.task);
    }
    let written = last_work(charges);
    for (at, charge) in charges.iter().enumerate() {
        // Spending on a task without a work run counts where it occurred.
        let credited = written.get(&charge.task).copied().unwrap_or(at);
        if let Some((group, _)) = groups.get_mut(&keys[credited]) {
            group.credited.add(charge.cost);
            if credited == at && charge.is_merged_work() {
                group.merged += 1;
                group.writing.add(charge.cost);
            }
        }
    }
    let sized = |(group, tasks): (Group, BTreeSet<TaskId>)| Group { tasks: tasks.len() as u64, ..group };
    let mut sorted: Vec<Group> = groups.into_values().map(sized).collect();
    match order {
        Order::Spent if by == By::Day => {}
        Order::Spent => sorted.sort_by(by_spend),
        Order::PerMerged => sorted.sort_by(|a, b| cheapest(a, b).then_with(|| by_spend(a, b))),
    }
    sorted
}

/// Sums up all charges.
pub fn total(charges: &[Charge]) -> Group {
    let (mut spend, mut writing, mut merged) = (Spend::default(), Spend::default(), 0);
    charges.iter().for_each(|charge| spend.add(charge.cost));
    for charge in last_work(charges).into_values().map(|at| &charges[at]).filter(|charge| charge.is_merged_work()) {
        merged += 1;
        writing.add(charge.cost);
    }
    let tasks: BTreeSet<TaskId> = charges.iter().map(|charge| charge.task).collect();
    let computed = charges.iter().filter(|charge| charge.computed).count() as u64;
    Group { key: None, title: None, spend, computed, tasks: tasks.len() as u64, merged, credited: spend, writing }
}

impl Charge {
    fn is_merged_work(&self) -> bool {
        self.merged && self.kind == RunKind::Work
    }
}

fn key(charge: &Charge, by: By, zone: &TimeZone) -> Option<String> {
    match by {
        By::Task => Some(charge.task.to_string()),
        By::Agent => Some(charge.agent.clone()),
        By::Model => charge.model.clone(),
        By::Project => charge.project.as_ref().map(|dir| dir.display().to_string()),
        By::Day => Some(charge.ended_at.to_zoned(zone.clone()).date().to_string()),
    }
}

/// Returns the index of each task's last work run: of a merged task, the one that wrote the merged work.
fn last_work(charges: &[Charge]) -> BTreeMap<TaskId, usize> {
    let mut last: BTreeMap<TaskId, usize> = BTreeMap::new();
    for (at, charge) in charges.iter().enumerate().filter(|(_, charge)| charge.kind == RunKind::Work) {
        let known = last.entry(charge.task).or_insert(at);
        if charges[*known].ended_at <= charge.ended_at {
            *known = at;
        }
    }
    last
}

fn by_spend(a: &Group, b: &Group) -> Ordering {
    Reverse(a.spend.known).cmp(&Reverse(b.spend.known)).then_with(|| natural(a).cmp(&natural(b)))
}

/// Sorts task numbers as numbers, and groups without a key last.
fn natural(group: &Group) -> (bool, u64, &str) {
    let key = group.key.as_deref();
    (key.is_none(), key.and_then(|key| key.parse().ok()).unwrap_or(0), key.unwrap_or_default())
}

fn cheapest(a: &Group, b: &Group) -> Ordering {
    let (a, b) = (a.per_merged(), b.per_merged());
    a.is_none().cmp(&b.is_none()).then(a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn charge(task: u64, agent: &str, ended_at: &str, micros: Option<i64>, merged: bool) -> Charge {
        Charge {
            task: TaskId(task),
            title: format!("task {task}"),
            project: None,
            merged,
            kind: RunKind::Work,
            agent: agent.to_owned(),
            model: None,
            ended_at: ended_at.parse().expect("a time"),
            cost: micros.map(Usd::from_micros),
            computed: micros.is_some_and(|micros| micros % 2 == 1),
        }
    }

    fn text(groups: &[Group]) -> Vec<(&str, i64, u64, Option<i64>)> {
        let row = |group: &'_ Group| (group.spend.known.micros(), group.merged, group.per_merged().map(Usd::micros));
        groups
            .iter()
            .map(|group| {
                let (known, merged, per) = row(group);
                (group.key.as_deref().unwrap_or("-"), known, merged, per)
            })
            .collect()
    }

    #[test]
    fn a_merge_counts_for_whom_wrote_it_and_its_review_is_overhead_of_that() {
        let review = |micros| Charge {
            kind: RunKind::Review,
            ..charge(1, "reviewer", "2026-03-01T12:00:00Z", Some(micros), true)
        };
        let charges = [charge(1, "writer", "2026-03-01T10:00:00Z", Some(700), true), review(200), review(100)];
        let groups = groups(&charges, By::Agent, &TimeZone::UTC, Order::Spent);
        assert_eq!(text(&groups), [("writer", 700, 1, Some(1000)), ("reviewer", 300, 0, None)]);
        assert_eq!(groups[0].overhead_per_merged(), Some(Usd::from_micros(300)));
        let all = total(&charges);
        assert_eq!((all.merged, all.per_merged().map(Usd::micros)), (1, Some(1000)));
        assert_eq!(all.overhead_per_merged().map(Usd::micros), Some(300));
    }

    #[test]
    fn a_merge_counts_for_whom_finished_it_and_all_that_was_spent_counts_for_it() {
        let charges = [
            charge(1, "cheap", "2026-03-01T10:00:00Z", Some(100), true),
            charge(1, "dear", "2026-03-01T11:00:00Z", Some(900), true),
            charge(2, "cheap", "2026-03-01T12:00:00Z", Some(200), true),
            charge(3, "cheap", "2026-03-01T12:30:00Z", Some(300), false),
        ];
        let groups = groups(&charges, By::Agent, &TimeZone::UTC, Order::Spent);
        assert_eq!(text(&groups), [("dear", 900, 1, Some(1000)), ("cheap", 600, 1, Some(500))]);
        let overhead: Vec<_> = groups.iter().map(|group| group.overhead_per_merged().map(Usd::micros)).collect();
        assert_eq!(overhead, [Some(100), Some(300)], "the first attempt of another, and what came to nothing");
        let all = total(&charges);
        assert_eq!((all.spend.known.micros(), all.tasks, all.merged), (1500, 3, 2));
        assert_eq!(all.per_merged(), Some(Usd::from_micros(750)));
    }

    #[test]
    fn the_cheapest_merge_comes_first_when_that_is_asked_and_who_merged_nothing_last() {
        let charges = [
            charge(1, "a", "2026-03-01T10:00:00Z", Some(900), true),
            charge(2, "b", "2026-03-01T10:00:00Z", Some(5000), false),
            charge(3, "c", "2026-03-01T10:00:00Z", Some(400), true),
            charge(4, "d", "2026-03-01T10:00:00Z", None, true),
        ];
        let groups = groups(&charges, By::Agent, &TimeZone::UTC, Order::PerMerged);
        let expected = [("c", 400, 1, Some(400)), ("a", 900, 1, Some(900)), ("b", 5000, 0, None), ("d", 0, 1, None)];
        assert_eq!(text(&groups), expected, "no price is no cheap price");
    }

    #[test]
    fn days_are_those_of_the_zone_in_their_order_also_where_one_has_25_hours() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let at = ["2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"];
        let charges: Vec<Charge> = at.iter().map(|at| charge(1, "a", at, Some(1), false)).collect();
        let days = groups(&charges, By::Day, &zone, Order::Spent);
        let days: Vec<_> = days.iter().map(|day| (day.key.as_deref(), day.spend.runs)).collect();
        assert_eq!(days, [(Some("2026-10-24"), 1), (Some("2026-10-25"), 2), (Some("2026-10-26"), 1)]);
    }

    #[test]
    fn tasks_stand_in_the_order_of_their_numbers_where_they_cost_the_same() {
        let at = "2026-03-01T10:00:00Z";
        let charges: Vec<Charge> = [10, 9, 100].iter().map(|id| charge(*id, "a", at, None, false)).collect();
        let text = groups(&charges, By::Task, &TimeZone::UTC, Order::Spent);
        let text: Vec<_> = text.iter().map(|group| (group.key.as_deref(), group.title.as_deref())).collect();
        assert_eq!(text, [(Some("9"), Some("task 9")), (Some("10"), Some("task 10")), (Some("100"), Some("task 100"))]);
    }

    fn any_charge() -> impl Strategy<Value = Charge> {
        let model = proptest::option::of("[ab]");
        let kind = prop::sample::select(vec![RunKind::Work, RunKind::Review, RunKind::Route]);
        (1u64..6, "[xy]", model, 0i64..1_000_000, proptest::option::of(0i64..1_000_000_000), kind).prop_map(
            |(task, agent, model, second, cost, kind)| Charge {
                model,
                kind,
                project: (task % 2 == 0).then(|| PathBuf::from("/shop")),
                ended_at: Timestamp::from_second(1_700_000_000 + second).expect("a time"),
                ..charge(task, &agent, "2026-03-01T10:00:00Z", cost, task % 3 == 0)
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_the_groups_nothing_is_lost_or_counted_twice(
            charges in proptest::collection::vec(any_charge(), 0..40),
        ) {
            let all = total(&charges);
            for by in By::ALL {
                for order in [Order::Spent, Order::PerMerged] {
                    let groups = groups(&charges, by, &TimeZone::UTC, order);
                    let sum = |of: fn(&Group) -> u64| groups.iter().map(of).sum::<u64>();
                    prop_assert_eq!(groups.iter().map(|group| group.spend.known).sum::<Usd>(), all.spend.known);
                    prop_assert_eq!(sum(|group| group.spend.runs), all.spend.runs);
                    prop_assert_eq!(sum(|group| group.spend.unpriced), all.spend.unpriced);
                    prop_assert_eq!(sum(|group| group.merged), all.merged);
                    prop_assert_eq!(groups.iter().map(|group| group.credited.known).sum::<Usd>(), all.credited.known);
                    prop_assert_eq!(groups.iter().map(|group| group.writing.known).sum::<Usd>(), all.writing.known);
                    prop_assert_eq!(sum(|group| group.computed), all.computed);
                    prop_assert!(sum(|group| group.tasks) >= all.tasks);
                }
            }
        }
    }
}
