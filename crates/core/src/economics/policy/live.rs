//! A policy for a running task: the decision of a replay, based on what this home has recorded, among the available
//! agents. Pure: the same task, attempts and records give the same advice.

use super::Policy;
use super::decide::{Attempt, Decision, Situation, decide};
use super::dice::Dice;
use super::history::{Judged, MIN_TASKS};
use super::learned::Learned;
use crate::base::ids::TaskId;
use crate::base::money::Usd;
use crate::economics::track_record::Sample;
use crate::tasks::advice::Advice;
use crate::tasks::escalation::Rung;

/// The purpose of the random number, for [`Dice`].
const EXPLORING: u64 = 0x706f_6c69_6379;

/// An available agent and model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The agent and model, as the settings name them.
    pub rung: Rung,
    /// The name under which its runs are recorded: the agent, and the model as its program receives it.
    pub recorded_as: String,
}

/// An attempt at the task since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The name under which it is recorded.
    pub recorded_as: String,
    /// The cost, where it is known.
    pub cost: Option<Usd>,
}

/// All inputs of a policy.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The policy's name in reasons.
    pub name: &'a str,
    /// The policy.
    pub policy: &'a Policy,
    /// The task's group: its repository.
    pub group: &'a str,
    /// The task's id.
    pub task: TaskId,
    /// The available agents and models, in the order of the ladder.
    pub offers: &'a [Offer],
    /// The failed attempts so far, in order.
    pub tried: &'a [Tried],
    /// The judged runs of this home.
    pub runs: &'a [Judged],
}

impl Judged {
    /// Converts a sample of a task's work. Samples that a person recorded by hand have no task.
    pub fn from_sample(sample: &Sample) -> Option<Self> {
        let project = sample.project.as_deref().and_then(|dir| dir.file_name());
        Some(Self {
            task: sample.source.task()?.0,
            group: project.map_or_else(|| "all".to_owned(), |name| name.to_string_lossy().into_owned()),
            model: recorded_as(&sample.agent, sample.model.as_deref()),
            accepted: sample.is_accepted(),
            cost: sample.cost,
        })
    }
}

/// Returns the name under which runs of an agent with a model are recorded.
pub fn recorded_as(agent: &str, model: Option<&str>) -> String {
    Rung { agent: agent.to_owned(), model: model.map(str::to_owned) }.to_string()
}

impl Case<'_> {
    /// Returns the advice for this case.
    pub fn advice(&self) -> Advice {
        let tasks: std::collections::BTreeSet<u64> = self.runs.iter().map(|run| run.task).collect();
        let is_known = tasks.len() >= MIN_TASKS && self.runs.iter().any(|run| run.cost.is_some());
        let names_nobody = self.policy.ladder_of(self.group).is_empty();
        if self.offers.is_empty() {
            return self.keep("nobody whom it names can be had now");
        }
        if !is_known && names_nobody {
            let known = tasks.len();
            return self
                .keep(&format!("it names no ladder, and {known} of {MIN_TASKS} tasks are judged that it learns from"));
        }
        let ladder: Vec<String> = self.offers.iter().map(|offer| offer.recorded_as.clone()).collect();
        let columns = self.columns(&ladder);
        let learned = Learned::from_counts(if is_known { self.runs } else { &[] }, &columns, self.policy.learning);
        let policy = self.policy_here(ladder, is_known);
        let attempts = self.attempts(&learned);
        let draw = Dice::for_purpose(self.task.0, &[EXPLORING]).unit();
        let situation = Situation { group: self.group, attempts: &attempts, draw };
        match decide(&policy, &learned, &situation) {
            Decision::Try { model, prospect } => {
                let why = match is_known {
                    true => format!(
                        "{:.0} % likelier solved for about ${:.2}, by {} judged tasks",
                        prospect.gain.max(0.0) * 100.0,
                        prospect.price,
                        tasks.len()
                    ),
                    false => format!(
                        "the next of its ladder ({} of {MIN_TASKS} tasks judged that it learns from)",
                        tasks.len()
                    ),
                };
                let rung = self.offers[model].rung.clone();
                Advice::Use { reason: format!("policy {}: {rung}, {why}", self.name), rung }
            }
            Decision::Accept { confidence, .. } | Decision::Ask { confidence } => self.stop(&attempts, confidence),
        }
    }

    /// Returns the policy for the available models. Accepted work stays accepted: there is no second opinion.
    fn policy_here(&self, ladder: Vec<String>, is_known: bool) -> Policy {
        let policy = if is_known { self.policy.clone() } else { self.policy.unlearned() };
        Policy { ladder, groups: std::collections::BTreeMap::new(), second_opinion: false, ..policy }
    }

    /// Returns the available models, followed by tried ones that are not available now.
    fn columns(&self, ladder: &[String]) -> Vec<String> {
        let mut columns = ladder.to_vec();
        for tried in self.tried {
            if !columns.contains(&tried.recorded_as) {
                columns.push(tried.recorded_as.clone());
            }
        }
        columns
    }

    /// Returns all failed attempts; those of models that are not available now count as attempts and money, too.
    fn attempts(&self, learned: &Learned) -> Vec<Attempt> {
        let attempt = |tried: &Tried| {
            let model = learned.index_of(&tried.recorded_as)?;
            Some(Attempt { model, cost: tried.cost, calls: None, accepted: false })
        };
        self.tried.iter().filter_map(attempt).collect()
    }

    fn keep(&self, why: &str) -> Advice {
        Advice::Keep { reason: format!("policy {}: kept, {why}", self.name) }
    }

    fn stop(&self, attempts: &[Attempt], confidence: f64) -> Advice {
        let failed = match attempts.len() {
            0 => String::new(),
            1 => "1 attempt failed, and ".to_owned(),
            many => format!("{many} attempts failed, and "),
        };
        let right = if attempts.is_empty() {
            String::new()
        } else {
            // A whole number avoids "-0".
            let percent = (confidence.clamp(0.0, 1.0) * 100.0).round() as u8;
            format!(" (the work so far is right with {percent} %)")
        };
        Advice::Stop {
            reason: format!("policy {} stops here: {failed}{}{right}", self.name, self.why_no_other(attempts)),
        }
    }

    /// Describes why no other model is tried.
    fn why_no_other(&self, attempts: &[Attempt]) -> String {
        let spent: Usd = attempts.iter().filter_map(|attempt| attempt.cost).sum();
        match self.policy.budget {
            Some(most) if spent >= most => return format!("its money is spent: {spent} of {most} (stop.max_cost_usd)"),
            Some(_) | None => {}
        }
        if attempts.len() >= self.policy.max_tries {
            return "no more are allowed (stop.max_tries)".to_owned();
        }
        let has_left = |offer: &Offer| self.tried.iter().all(|tried| tried.recorded_as != offer.recorded_as);
        let is_anybody_left = self.offers.iter().any(has_left);
        match (attempts.is_empty(), is_anybody_left, self.policy.budget) {
            (true, _, _) => "nobody is likely enough to solve it for the price".to_owned(),
            (false, false, _) => "nobody else of its ladder is left".to_owned(),
            (false, true, Some(most)) => {
                format!("no other is worth its price, or can be paid with what is left ({spent} of {most} are spent)")
            }
            (false, true, None) => "no other is worth its price".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::economics::policy::{Order, Worth};
    use crate::tasks::route::RouteResult;
    use proptest::prelude::*;

    fn offers(names: &[&str]) -> Vec<Offer> {
        let offer = |name: &&str| Offer { rung: name.parse().expect("a rung"), recorded_as: (*name).to_owned() };
        names.iter().map(offer).collect()
    }

    fn tried(names: &[&str]) -> Vec<Tried> {
        names.iter().map(|&name| Tried { recorded_as: name.to_owned(), cost: Some(Usd::from_micros(10_000)) }).collect()
    }

    /// `cheap` solves easy tasks and `dear` nearly all; both have tried each of these tasks.
    fn history(tasks: u64) -> Vec<Judged> {
        let run = |task, model: &str, accepted, micros| Judged {
            task,
            group: "shop".to_owned(),
            model: model.to_owned(),
            accepted,
            cost: Some(Usd::from_micros(micros)),
        };
        (0..tasks)
            .flat_map(|task| [run(task, "a/cheap", task % 2 == 0, 10_000), run(task, "a/dear", task % 8 != 1, 200_000)])
            .collect()
    }

    fn word(policy: &Policy, names: &[&str], failed: &[&str], runs: &[Judged]) -> Advice {
        let (offers, tried) = (offers(names), tried(failed));
        let case = Case { name: "p.yml", policy, group: "shop", task: TaskId(7), offers: &offers, tried: &tried, runs };
        case.advice()
    }

    fn rung(word: &Advice) -> Option<String> {
        match word {
            Advice::Use { rung, .. } => Some(rung.to_string()),
            Advice::Stop { .. } | Advice::Keep { .. } => None,
        }
    }

    fn ladder(names: &[&str]) -> Policy {
        Policy { ladder: names.iter().map(|&name| name.to_owned()).collect(), ..Policy::default() }
    }

    #[test]
    fn before_anything_is_known_the_ladder_is_climbed_rung_by_rung() {
        let policy = ladder(&["a/cheap", "a/dear"]);
        let names = ["a/cheap", "a/dear"];
        let first = word(&policy, &names, &[], &history(3));
        assert_eq!(rung(&first).as_deref(), Some("a/cheap"), "{first:?}");
        let Advice::Use { reason, .. } = &first else { panic!("{first:?}") };
        assert_eq!(reason, "policy p.yml: a/cheap, the next of its ladder (3 of 20 tasks judged that it learns from)");
        assert_eq!(rung(&word(&policy, &names, &["a/cheap"], &[])).as_deref(), Some("a/dear"));
        let stopped = word(&policy, &names, &names, &[]);
        assert!(
            matches!(&stopped, Advice::Stop { reason } if reason.starts_with("policy p.yml stops here: 2 attempts failed")),
            "{stopped:?}"
        );
        let nothing = word(&Policy::default(), &names, &[], &[]);
        assert!(matches!(&nothing, Advice::Keep { reason } if reason.contains("names no ladder")), "{nothing:?}");
        let nobody = word(&policy, &[], &[], &history(40));
        assert!(matches!(&nobody, Advice::Keep { reason } if reason.contains("can be had now")), "{nobody:?}");
    }

    #[test]
    fn what_is_learned_decides_who_begins_and_who_follows() {
        let policy = Policy { gate: super::super::Gate::PERFECT, ..ladder(&["a/dear", "a/cheap"]) };
        let names = ["a/dear", "a/cheap"];
        let first = word(&policy, &names, &[], &history(40));
        assert_eq!(rung(&first).as_deref(), Some("a/cheap"), "the most for the money: {first:?}");
        let next = word(&policy, &names, &["a/cheap"], &history(40));
        assert_eq!(rung(&next).as_deref(), Some("a/dear"), "{next:?}");
        let fixed = Policy { order: Order::Fixed, ..policy };
        assert_eq!(rung(&word(&fixed, &names, &[], &history(40))).as_deref(), Some("a/dear"));
    }

    #[test]
    fn what_is_not_worth_its_price_stops_and_says_so() {
        let worth = Some(Worth::level(1e-6).expect("a worth"));
        let policy = Policy { worth, ..ladder(&["a/cheap", "a/dear"]) };
        let stopped = word(&policy, &["a/cheap", "a/dear"], &[], &history(40));
        let Advice::Stop { reason } = &stopped else { panic!("{stopped:?}") };
        assert_eq!(reason, "policy p.yml stops here: nobody is likely enough to solve it for the price");
        let spent = Policy { budget: Some(Usd::from_micros(15_000)), ..ladder(&["a/cheap", "a/dear"]) };
        assert!(
            rung(&word(&spent, &["a/cheap", "a/dear"], &["a/cheap"], &history(40))).is_none(),
            "the budget is spent"
        );
        let once = Policy { max_tries: 1, ..ladder(&["a/cheap", "a/dear"]) };
        assert!(matches!(word(&once, &["a/cheap", "a/dear"], &["a/cheap"], &[]), Advice::Stop { .. }));
    }

    #[test]
    fn who_was_tried_and_is_not_on_offer_now_counts_as_an_attempt_and_as_money() {
        let names = ["a/cheap", "a/dear"];
        let twice = Policy { max_tries: 2, ..ladder(&names) };
        assert_eq!(rung(&word(&twice, &names, &["gone/one"], &[])).as_deref(), Some("a/cheap"));
        let stopped = word(&twice, &names, &["gone/one", "gone/two"], &[]);
        let Advice::Stop { reason } = &stopped else { panic!("{stopped:?}") };
        assert!(reason.starts_with("policy p.yml stops here: 2 attempts failed, and no more are allowed"), "{reason}");
        let poor = Policy { budget: Some(Usd::from_micros(10_000)), ..ladder(&names) };
        for runs in [Vec::new(), history(40)] {
            let stopped = word(&poor, &names, &["gone/one", "gone/two"], &runs);
            let Advice::Stop { reason } = &stopped else { panic!("{stopped:?}") };
            assert!(reason.contains("its money is spent: $0.02 of $0.01 (stop.max_cost_usd)"), "{reason}");
            assert!(!reason.contains("-0 %"), "{reason}");
        }
        let alone = word(&ladder(&names), &names[..1], &["a/cheap"], &[]);
        let Advice::Stop { reason } = &alone else { panic!("{alone:?}") };
        assert!(reason.contains("1 attempt failed, and nobody else of its ladder is left"), "{reason}");
    }

    #[test]
    fn a_word_is_told_with_the_route() {
        let route = RouteResult {
            agent: "b".to_owned(),
            model: None,
            complexity: crate::tasks::route::Complexity::Medium,
            reason: "round robin".to_owned(),
            profile: crate::tasks::route::AgentProfile::default(),
            selected_skills: Vec::new(),
            warning: None,
        };
        let taken = word(&ladder(&["a/cheap"]), &["a/cheap"], &[], &[]).apply(route.clone());
        assert_eq!((taken.agent.as_str(), taken.model.as_deref()), ("a", Some("cheap")));
        assert!(taken.reason.starts_with("round robin; policy p.yml: a/cheap, "), "{}", taken.reason);
        let kept = word(&Policy::default(), &["a/cheap"], &[], &[]).apply(route);
        assert_eq!(kept.agent, "b");
    }

    proptest! {
        #[test]
        fn nobody_is_tried_twice_and_the_ladder_ends(
            order in proptest::bool::ANY, known in 0u64..60, explore in 0.0f64..1.0, task in 0u64..50,
        ) {
            let names = ["a/cheap", "a/dear", "b/new"];
            let order = if order { Order::Fixed } else { Order::Learned };
            let policy = Policy { order, explore, ..ladder(&names) };
            let (offers, runs) = (offers(&names), history(known));
            let mut failed = Vec::new();
            for _ in 0..=names.len() {
                let case = Case { name: "p", policy: &policy, group: "shop", task: TaskId(task), offers: &offers, tried: &failed, runs: &runs };
                match case.advice() {
                    Advice::Use { rung, .. } => {
                        let recorded_as = rung.to_string();
                        prop_assert!(failed.iter().all(|one: &Tried| one.recorded_as != recorded_as));
                        failed.push(Tried { recorded_as, cost: None });
                    }
                    Advice::Stop { .. } => return Ok(()),
                    Advice::Keep { .. } => prop_assert!(false, "it has a ladder and somebody to try"),
                }
            }
            prop_assert!(false, "it did not end");
        }
    }
}
