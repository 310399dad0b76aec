//! What may be recorded by hand, and what may not.

use super::*;
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().expect("a time")
}

fn known() -> Known {
    let worker = |agent: &str, model: &str| Worker { agent: agent.to_owned(), model: Some(model.to_owned()) };
    Known {
        own_types: BTreeSet::from(["poetry".to_owned()]),
        agents: ["claude", "codex", "opencode"].map(str::to_owned).into(),
        workers: [worker("claude", "sonnet"), worker("codex", "gpt"), worker("opencode", "gpt")].into(),
        projects: vec![("shop".to_owned(), PathBuf::from("/work/shop"))],
        not_in_catalog: None,
    }
}

fn word() -> Entry {
    Entry { task_type: "bug".to_owned(), model: "sonnet".to_owned(), by: "ada".to_owned(), ..Entry::default() }
}

#[test]
fn what_is_known_is_recorded_in_the_words_that_standings_are_kept_by() {
    let said = Entry {
        accepted: true,
        project: Some("shop".to_owned()),
        cost: Some(Usd::from_micros(410_000)),
        seconds: Some(90),
        note: " by hand ".to_owned(),
        ..word()
    };
    let recorded = check(said, &known(), now()).expect("it is sound");
    assert_eq!((recorded.task_type.as_str(), recorded.agent.as_str()), ("fix", "claude"));
    assert_eq!((recorded.ended_at, recorded.note.as_str()), (now(), "by hand"));
    let sample = Sample::from(recorded);
    assert!(sample.is_accepted() && sample.project == Some(PathBuf::from("/work/shop")));
    assert_eq!((sample.source.as_str(), sample.took), ("person", Some(SignedDuration::from_secs(90))));
    let failed = Sample::from(check(word(), &known(), now()).expect("it is sound"));
    assert_eq!((failed.verdict, failed.cost), (Verdict::Failed(None), None), "no price is no price of zero");
    let own = check(Entry { task_type: "Poetry".to_owned(), ..word() }, &known(), now()).expect("tasks here have it");
    assert_eq!(own.task_type, "poetry");
}

#[test]
fn what_cannot_be_true_or_is_not_known_is_refused_with_its_place_and_what_to_do() {
    let later = now() + SignedDuration::from_secs(1);
    let unknown = Known {
        not_in_catalog: Some(("there is no model \"gtp\"".to_owned(), "did you mean gpt?".to_owned())),
        ..known()
    };
    let with = |change: fn(&mut Entry)| {
        let mut word = word();
        change(&mut word);
        word
    };
    for (word, known, said, hint) in [
        (
            with(|w| w.task_type = "fixx".to_owned()),
            known(),
            "task type: there is no type \"fixx\"",
            "did you mean fix?",
        ),
        (with(|w| w.task_type = "zzzzzzz".to_owned()), known(), "task type: there is", "types are feature"),
        (with(|w| w.task_type = " ".to_owned()), known(), "task type: there is", "types are feature"),
        (with(|w| w.model = "gtp".to_owned()), unknown.clone(), "model: there is no model", "did you mean gpt?"),
        (with(|w| w.model = String::new()), known(), "model: no model is named", "orch models list"),
        (with(|w| w.model = "gpt".to_owned()), known(), "agent: more than one", "--agent: codex, opencode"),
        (with(|w| w.model = "haiku".to_owned()), known(), "agent: nobody here", "--agent: claude, codex, opencode"),
        (
            with(|w| w.agent = Some("clod".to_owned())),
            known(),
            "agent: there is no agent \"clod\"",
            "agents are claude",
        ),
        (with(|w| w.project = Some("barn".to_owned())), known(), "project: \"barn\" is no", "projects are shop"),
        (with(|w| w.cost = Some(Usd::from_micros(-1))), known(), "cost: ", "leave the cost out"),
        (with(|w| w.cost = Some(Usd::from_micros(i64::MAX))), known(), "cost: ", "leave the cost out"),
        (with(|w| w.seconds = Some(-1)), known(), "duration: -1 seconds", "leave the duration out"),
        (with(|w| w.note = "x".repeat(1_001)), known(), "note: longer than 1000", "shorter"),
        (Entry { ended_at: Some(later), ..super::tests::word() }, known(), "is in the future", "say when it ended"),
    ] {
        let refused = check(word.clone(), &known, now()).expect_err("it is refused");
        assert!(refused.to_string().contains(said), "{word:?}: {refused}");
        assert!(refused.hint().contains(hint), "{word:?}: {}", refused.hint());
    }
    // Who has worked here is known, whatever the catalog says.
    assert!(check(word(), &unknown, now()).is_ok());
}

proptest! {
    #[test]
    fn whatever_is_said_what_is_recorded_is_sound(
        task_type in ".{0,12}",
        model in "(sonnet|gpt|.{0,8})",
        agent in proptest::option::of("(claude|.{0,6})"),
        cost in proptest::option::of(any::<i64>()),
        seconds in proptest::option::of(any::<i64>()),
        ago in -1000i64..1000,
        note in ".{0,40}",
        accepted in any::<bool>(),
    ) {
        let ended_at = Some(now() - SignedDuration::from_secs(ago));
        let word = Entry { task_type, agent, model, accepted, cost: cost.map(Usd::from_micros), seconds, ended_at, note, ..word() };
        match check(word, &known(), now()) {
            Ok(recorded) => {
                prop_assert!(recorded.ended_at <= now() && recorded.cost.is_none_or(|cost| cost >= Usd::ZERO));
                prop_assert!(known().agents.contains(&recorded.agent) && !recorded.model.is_empty());
                let sample = Sample::from(recorded.clone());
                prop_assert_eq!(sample.task_type.to_string(), recorded.task_type.clone());
            }
            Err(refused) => prop_assert!(!refused.hint().is_empty() && !refused.to_string().is_empty()),
        }
    }
}
