//! The rules of the strategies, one test for each.

use super::*;
use crate::economics::strategy::Strategy;
use crate::tasks::route::AgentProfile;
use proptest::prelude::*;

fn candidate(agent: &str, model: &str, tier: Tier, dollars: Option<i64>) -> Candidate {
    Candidate {
        is_paid_ahead: false,
        agent: agent.to_owned(),
        model: model.to_owned(),
        tier: Some(tier),
        price: dollars.map(|dollars| Usd::from_micros(dollars * 1_000_000)),
        unfit: None,
        record: Record::default(),
    }
}

fn case(strategy: Strategy) -> Case {
    Case {
        strategy,
        explore: 0.05,
        cheaper_for: None,
        task: TaskId(7),
        attempt: 1,
        task_type: TaskType::Feature,
        is_critical: false,
        is_escalation: false,
        names_agent: false,
        names_model: false,
        candidates: vec![
            candidate("claude", "haiku", Tier::Haiku, Some(3)),
            candidate("claude", "sonnet", Tier::Sonnet, Some(9)),
            candidate("claude", "opus", Tier::Opus, Some(15)),
            candidate("opencode", "deepseek", Tier::Sonnet, Some(1)),
        ],
    }
}

fn route(complexity: Complexity) -> RouteResult {
    RouteResult {
        agent: "claude".to_owned(),
        model: Some("sonnet".to_owned()),
        complexity,
        reason: "because".to_owned(),
        profile: AgentProfile::default(),
        selected_skills: Vec::new(),
        warning: None,
    }
}

/// Who takes a task of medium complexity, and what the reason says of it.
fn taken(case: &Case) -> (String, String) {
    let route = case.apply(route(Complexity::Medium));
    (format!("{}/{}", route.agent, route.model.unwrap_or_default()), route.reason)
}

#[track_caller]
fn kept(case: &Case, why: &str) {
    let (worker, reason) = taken(case);
    assert_eq!(worker, "claude/sonnet", "{reason}");
    assert!(reason.contains(&format!("kept, {why}")), "{reason}");
}

#[test]
fn what_is_paid_in_advance_is_cheaper_than_what_is_to_be_paid() {
    let mut cost_aware = case(Strategy::CostAware);
    cost_aware.candidates.push(Candidate { is_paid_ahead: true, ..candidate("codex", "sol", Tier::Opus, Some(40)) });
    let (worker, reason) = taken(&cost_aware);
    assert_eq!(worker, "codex/sol", "whatever its price: {reason}");
    assert!(
        reason.contains("codex/sol ($40.00 a million tokens, paid in advance) instead of claude/sonnet"),
        "{reason}"
    );
    cost_aware.candidates[1].is_paid_ahead = true;
    let (worker, reason) = taken(&cost_aware);
    assert_eq!(worker, "claude/sonnet", "its own is paid as well, and none of these is cheaper: {reason}");
    let critical = Case { is_critical: true, ..cost_aware };
    kept(&critical, "the task is critical");
}

#[test]
fn quality_takes_every_route_as_it_is() {
    for complexity in Complexity::ALL {
        assert_eq!(case(Strategy::Quality).apply(route(complexity)), route(complexity));
    }
}

#[test]
fn cost_aware_sends_routine_work_to_the_cheapest_that_can_do_it() {
    let expected = "because; cost_aware: opencode/deepseek ($1 a million tokens) instead of claude/sonnet ($9 a million \
                    tokens)";
    let (worker, reason) = taken(&case(Strategy::CostAware));
    assert_eq!((worker.as_str(), reason.replace(".00", "")), ("opencode/deepseek", expected.to_owned()));
    assert_eq!(case(Strategy::CostAware).apply(route(Complexity::Simple)).agent, "opencode");
}

#[test]
fn what_is_complex_critical_an_escalation_or_named_is_never_touched() {
    for strategy in [Strategy::CostAware, Strategy::Balanced] {
        let certain = || Case { explore: 1.0, ..case(strategy) };
        kept(&Case { is_critical: true, ..certain() }, "the task is critical");
        kept(&Case { is_escalation: true, ..certain() }, "its work has failed before");
        kept(&Case { names_model: true, ..certain() }, "the model was named");
        let complex = certain().apply(route(Complexity::Complex));
        assert_eq!((complex.model.as_deref(), complex.agent.as_str()), (Some("sonnet"), "claude"));
        assert!(complex.reason.ends_with("kept, the task is complex"), "{}", complex.reason);
    }
}

#[test]
fn who_cannot_do_it_or_has_failed_at_it_is_passed_over() {
    let mut case = case(Strategy::CostAware);
    case.candidates[3].unfit = Some("its provider limits requests".to_owned());
    assert_eq!(taken(&case).0, "claude/haiku");
    case.candidates[0].record = Record::even(1, 3);
    kept(&case, "nothing that can do it is known to be cheaper than claude/sonnet");
    case.candidates[0].record = Record::even(0, 2);
    assert_eq!(taken(&case).0, "claude/haiku", "two runs say nothing yet");
}

#[test]
fn a_price_that_is_not_known_is_not_cheap() {
    let mut case = case(Strategy::CostAware);
    case.candidates[3].price = None;
    assert_eq!(taken(&case).0, "claude/haiku", "of the same tier, and no price");
    case.candidates.remove(0);
    kept(&case, "nothing that can do it is known to be cheaper");
    case.candidates[2].tier = Some(Tier::Flash);
    assert_eq!(taken(&case).0, "opencode/deepseek", "a lower tier is cheaper");
    let own = RouteResult { model: None, ..route(Complexity::Simple) };
    assert!(case.apply(own).reason.contains("a model of its own choice is not known"));
}

#[test]
fn a_person_who_named_the_agent_keeps_it() {
    let case = Case { names_agent: true, ..case(Strategy::CostAware) };
    assert_eq!(taken(&case).0, "claude/haiku");
}

#[test]
fn types_of_tasks_can_be_left_out_and_balanced_makes_research_cheaper_only() {
    let docs = Some(vec![TaskType::Docs]);
    kept(&Case { cheaper_for: docs.clone(), ..case(Strategy::CostAware) }, "feature is none of router.cheaper_for");
    let of_docs = Case { cheaper_for: docs, task_type: TaskType::Docs, ..case(Strategy::CostAware) };
    assert_eq!(taken(&of_docs).0, "opencode/deepseek");
    let still = Case { explore: 0.0, ..case(Strategy::Balanced) };
    kept(&still, "as 100 % of routine work is");
    assert_eq!(taken(&Case { task_type: TaskType::Research, ..still }).0, "opencode/deepseek");
}

#[test]
fn balanced_explores_no_more_than_its_share_and_likes_what_it_knows_little_of() {
    let mut case = case(Strategy::Balanced);
    case.candidates[0].record = Record::even(9, 9);
    let mut tried = std::collections::BTreeMap::<String, u32>::new();
    for task in 1..=20_000 {
        case.task = TaskId(task);
        *tried.entry(taken(&case).0).or_default() += 1;
    }
    let explored: u32 = tried.iter().filter(|(who, _)| *who != "claude/sonnet").map(|(_, times)| times).sum();
    assert!((800..=1200).contains(&explored), "5 % of 20,000 are 1,000: {tried:?}");
    // Weights 1/10, 1 and 1.
    assert!(tried["claude/haiku"] * 5 < tried["claude/opus"], "{tried:?}");
    assert!(tried["opencode/deepseek"] > 300, "{tried:?}");
}

#[test]
fn with_nobody_else_there_is_nothing_to_try() {
    let mut case = Case { explore: 1.0, ..case(Strategy::Balanced) };
    case.candidates.retain(|one| one.model == "sonnet");
    kept(&case, "there is nothing else to try");
}

#[test]
fn a_share_is_written_with_its_sign() {
    assert_eq!((parse_share("5%"), parse_share(" 0 % "), parse_share("100%")), (Ok(0.05), Ok(0.0), Ok(1.0)));
    for text in ["5", "", "%", "-1%", "101%", "NaN%", "inf%", "five%"] {
        assert!(parse_share(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn the_same_question_has_the_same_answer_and_nobody_unfit_is_chosen(
        task in 1u64..10_000,
        attempt in 1u32..5,
        unfit in proptest::collection::vec(any::<bool>(), 4),
        explore in 0.0f64..1.0,
        is_balanced in any::<bool>(),
    ) {
        let strategy = if is_balanced { Strategy::Balanced } else { Strategy::CostAware };
        let mut case = Case { task: TaskId(task), attempt, explore, ..case(strategy) };
        for (one, unfit) in case.candidates.iter_mut().zip(unfit) {
            one.unfit = unfit.then(|| "not now".to_owned());
        }
        let first = case.apply(route(Complexity::Simple));
        prop_assert_eq!(&first, &case.apply(route(Complexity::Simple)));
        let chosen = case.candidates.iter().find(|one| one.is_of(&first)).expect("one of them");
        prop_assert!(chosen.unfit.is_none() || first.model.as_deref() == Some("sonnet"));
    }
}
