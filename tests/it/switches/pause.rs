//! Tests pauses.

use super::fixture::Fixture;
use crate::kit::wait::{self, RUN};

#[test]
fn a_pause_of_everything_survives_a_killed_daemon_and_lets_agents_at_work_go_on() {
    let mut fixture = Fixture::new("");
    let first = fixture.add("Before", "", Some("teller"));
    fixture.sealed.serve();
    fixture.until_started(&[&first]);
    let paused = fixture.orch(&["pause", "--json"]).ok().json();
    assert_eq!((&paused["changed"], &paused["paused"][0]["by"]), (&true.into(), &"ada".into()), "{paused}");
    let second = fixture.add("While paused", "", None);
    assert_eq!(fixture.hold(&second), "paused");
    fixture.sealed.kill_daemon();
    fixture.sealed.serve();
    wait::wait_until("the daemon to have read it", RUN, || fixture.hold(&second) == "paused");
    let text = fixture.orch(&["why", &second]).ok().stdout;
    assert!(text.contains("everything is paused since") && text.contains("by ada; `orch resume` ends it"), "{text}");
    assert!(text.contains("--anyway"), "{text}");
    assert!(fixture.orch(&["status"]).ok().stdout.contains("everything is paused since"));
    fixture.go();
    fixture.are_done_once(&[&first]);
    assert_eq!((fixture.show(&second)["status"].as_str(), fixture.starts_of(&second)), (Some("new"), 0));
    assert!(!fixture.orch(&["pause", "--json"]).ok().json()["changed"].as_bool().expect("a word"));
    fixture.orch(&["resume"]).ok();
    fixture.are_done_once(&[&second]);
    assert_eq!((fixture.count(None, "paused"), fixture.count(None, "resumed")), (1, 1));
    fixture.close();
}

#[test]
fn a_paused_agent_is_not_chosen_and_holds_what_is_pinned_to_it() {
    let mut fixture = Fixture::new("");
    fixture.go();
    fixture.orch(&["pause", "--agent", "teller"]).ok();
    fixture.orch(&["pause", "--agent", "nobody"]).code_is(3);
    let pinned = fixture.add("Pinned", "", Some("teller"));
    let free = [fixture.add("One", "", None), fixture.add("Two", "", None)];
    fixture.sealed.serve();
    for id in &free {
        let task = fixture.until(id, "done");
        assert_eq!(task["route"]["agent"], "other", "{task:#}");
    }
    assert_eq!((fixture.hold(&pinned), fixture.starts_of(&pinned)), ("paused".to_owned(), 0));
    let resumed = fixture.orch(&["resume"]).ok().stdout;
    assert!(resumed.contains("not paused: everything") && resumed.contains("orch resume --agent teller"), "{resumed}");
    fixture.orch(&["resume", "--agent", "teller"]).ok();
    fixture.are_done_once(&[&pinned]);
    fixture.close();
}

#[test]
fn resume_all_leaves_no_pause_behind() {
    let fixture = Fixture::new("");
    for args in [&["pause", "--project", "shop"][..], &["pause", "--agent", "teller"], &["pause"]] {
        fixture.orch(args).ok();
    }
    let id = fixture.add("Paused", "", Some("teller"));
    let resumed = fixture.orch(&["resume", "--all", "--json"]).ok().json();
    assert_eq!((&resumed["changed"], &resumed["paused"]), (&true.into(), &serde_json::json!([])), "{resumed}");
    assert_eq!(fixture.count(None, "resumed"), 3);
    let again = fixture.orch(&["resume", "--all", "--json"]).ok().json();
    assert_eq!(again["changed"], false, "{again}");
    fixture.go();
    fixture.orch(&["task", "run", &id]).ok();
    fixture.are_done_once(&[&id]);
    fixture.close();
}

#[test]
fn running_a_paused_task_is_refused_unless_it_is_wanted_all_the_same() {
    let fixture = Fixture::new("");
    fixture.go();
    let id = fixture.add("Paused", "", Some("teller"));
    fixture.orch(&["pause", "--project", "shop"]).ok();
    let refused = fixture.orch(&["task", "run", &id, "--json"]).code_is(7).json();
    assert!(refused["error"]["message"].as_str().is_some_and(|m| m.contains("project shop is paused")), "{refused}");
    assert!(refused["error"]["hint"].as_str().is_some_and(|hint| hint.contains("--anyway")), "{refused}");
    assert_eq!(fixture.starts_of(&id), 0);
    fixture.orch(&["task", "run", &id, "--anyway"]).ok();
    fixture.are_done_once(&[&id]);
    fixture.close();
}
