//! Tasks that wait because a provider failed: for whom, how long, and who does them instead.

use super::*;

#[test]
fn whose_own_provider_is_out_for_long_waits_for_whoever_is_free_first() {
    let at = |seconds| now() + SignedDuration::from_secs(seconds);
    let mut scenario = Life::routed();
    (scenario.candidates, scenario.rests_until) = (vec!["codex".into()], Some(at(60)));
    let text = Failure { retry_at: Some(at(18_000)), ..Failure::new(FailureClass::RateLimited, "wait") };
    scenario.run_ends(Outcome::Failed(text.clone()));
    assert_eq!(scenario.next().2, Some(at(60)), "the other's minute, and not its own five hours");
    let mut asking = Life::routed();
    (asking.candidates, asking.rests_until) = (vec!["codex".into()], Some(at(53)));
    asking.run_ends(failed(FailureClass::Auth));
    assert_eq!((asking.task.status(), asking.next().2), (Status::Routed, Some(at(53))), "nobody is asked yet");
    asking.alternatives = vec!["codex".into()];
    asking.event(Event::ProviderRests { class: FailureClass::Auth });
    let route = asking.task.route.as_deref().expect("routed");
    assert_eq!((route.agent.as_str(), route.reason.as_str()), ("codex", "moved from claude: auth"));
    assert!(matches!(asking.next(), (NextRun::Again { resume: false, .. }, false, None)));
    let mut pinned = Life::routed();
    pinned.task.spec.agent = Some("claude".into());
    (pinned.candidates, pinned.rests_until) = (vec!["codex".into()], Some(at(60)));
    pinned.run_ends(Outcome::Failed(text));
    assert_eq!(pinned.next().2, Some(at(18_000)), "whom a person named is waited for");
}

#[test]
fn who_was_told_something_waits_for_whom_it_was_told() {
    let mut scenario = Life::routed();
    scenario.alternatives = vec!["codex".into()];
    scenario.event(Event::ProviderRests { class: FailureClass::Overloaded });
    assert_eq!(scenario.task.route.as_ref().map(|r| r.agent.as_str()), Some("codex"), "nothing was begun");
    let State::Routed { next, .. } = &mut scenario.task.state else { panic!("it waits") };
    *next = NextRun::Said;
    scenario.alternatives = vec!["claude".into()];
    scenario.event(Event::ProviderRests { class: FailureClass::Overloaded });
    assert_eq!(scenario.task.route.as_ref().map(|r| r.agent.as_str()), Some("codex"));
}
