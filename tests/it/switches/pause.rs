//! Pauses.

use super::yard::Yard;
use crate::kit::wait::{self, RUN};

#[test]
fn a_pause_of_everything_survives_a_killed_daemon_and_lets_agents_at_work_go_on() {
    let mut yard = Yard::new("");
    let first = yard.add("Before", "", Some("teller"));
    yard.sealed.serve();
    yard.until_started(&[&first]);
    let paused = yard.orch(&["pause", "--json"]).ok().json();
    assert_eq!((&paused["changed"], &paused["paused"][0]["by"]), (&true.into(), &"ada".into()), "{paused}");
    let second = yard.add("While paused", "", None);
    assert_eq!(yard.hold(&second), "paused");
    yard.sealed.kill_daemon();
    yard.sealed.serve();
    wait::wait_until("the daemon to have read it", RUN, || yard.hold(&second) == "paused");
    let told = yard.orch(&["why", &second]).ok().stdout;
    assert!(told.contains("everything is paused since") && told.contains("by ada; `orch resume` ends it"), "{told}");
    assert!(told.contains("--anyway"), "{told}");
    assert!(yard.orch(&["status"]).ok().stdout.contains("everything is paused since"));
    yard.go();
    yard.are_done_once(&[&first]);
    assert_eq!((yard.show(&second)["status"].as_str(), yard.starts_of(&second)), (Some("new"), 0));
    assert!(!yard.orch(&["pause", "--json"]).ok().json()["changed"].as_bool().expect("a word"));
    yard.orch(&["resume"]).ok();
    yard.are_done_once(&[&second]);
    assert_eq!((yard.count(None, "paused"), yard.count(None, "resumed")), (1, 1));
    yard.close();
}

#[test]
fn a_paused_agent_is_not_chosen_and_holds_what_is_pinned_to_it() {
    let mut yard = Yard::new("");
    yard.go();
    yard.orch(&["pause", "--agent", "teller"]).ok();
    yard.orch(&["pause", "--agent", "nobody"]).code_is(3);
    let pinned = yard.add("Pinned", "", Some("teller"));
    let free = [yard.add("One", "", None), yard.add("Two", "", None)];
    yard.sealed.serve();
    for id in &free {
        let task = yard.until(id, "done");
        assert_eq!(task["route"]["agent"], "other", "{task:#}");
    }
    assert_eq!((yard.hold(&pinned), yard.starts_of(&pinned)), ("paused".to_owned(), 0));
    let resumed = yard.orch(&["resume"]).ok().stdout;
    assert!(resumed.contains("not paused: everything") && resumed.contains("orch resume --agent teller"), "{resumed}");
    yard.orch(&["resume", "--agent", "teller"]).ok();
    yard.are_done_once(&[&pinned]);
    yard.close();
}

#[test]
fn resume_all_leaves_no_pause_behind() {
    let yard = Yard::new("");
    for args in [&["pause", "--project", "shop"][..], &["pause", "--agent", "teller"], &["pause"]] {
        yard.orch(args).ok();
    }
    let id = yard.add("Paused", "", Some("teller"));
    let resumed = yard.orch(&["resume", "--all", "--json"]).ok().json();
    assert_eq!((&resumed["changed"], &resumed["paused"]), (&true.into(), &serde_json::json!([])), "{resumed}");
    assert_eq!(yard.count(None, "resumed"), 3);
    let again = yard.orch(&["resume", "--all", "--json"]).ok().json();
    assert_eq!(again["changed"], false, "{again}");
    yard.go();
    yard.orch(&["task", "run", &id]).ok();
    yard.are_done_once(&[&id]);
    yard.close();
}

#[test]
fn running_a_paused_task_is_refused_unless_it_is_wanted_all_the_same() {
    let yard = Yard::new("");
    yard.go();
    let id = yard.add("Paused", "", Some("teller"));
    yard.orch(&["pause", "--project", "shop"]).ok();
    let refused = yard.orch(&["task", "run", &id, "--json"]).code_is(7).json();
    assert!(refused["error"]["message"].as_str().is_some_and(|m| m.contains("project shop is paused")), "{refused}");
    assert!(refused["error"]["hint"].as_str().is_some_and(|hint| hint.contains("--anyway")), "{refused}");
    assert_eq!(yard.starts_of(&id), 0);
    yard.orch(&["task", "run", &id, "--anyway"]).ok();
    yard.are_done_once(&[&id]);
    yard.close();
}
