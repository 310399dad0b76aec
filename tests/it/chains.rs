//! Who takes a task over whose provider has failed: the person's own chain, before the order of the agents.

use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_until};
use serde_json::Value;

/// What claude prints when its key is refused.
const REFUSED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agents/claude/auth-401.jsonl");

const GOOD: &str = "#!/bin/sh
cat > /dev/null
echo work > answer.txt && git add . && git commit -q -m work && echo finished
";

#[test]
fn the_chain_takes_over_with_its_model_and_skips_an_agent_in_cooldown() {
    let mut sealed = SealedBox::new();
    sealed.program("refused", &format!("#!/bin/sh\nread -r line\ncat '{REFUSED}'\nexit 1\n"));
    sealed.program("good", GOOD);
    sealed.config(
        "router: {agents: [first, other, second, chosen], fallback_executor: first}\n\
         workflow: {review: 'off'}\n\
         fallback: {medium: [first, second, chosen/strong]}\n\
         agents:\n  first: {kind: claude, command: refused}\n  second: {kind: claude, command: refused}\n  \
         other: {kind: command, command: good}\n  chosen: {kind: command, command: good}\n",
    );
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["add", "Find the answer"]).ok();
    sealed.serve();
    let show = || -> Value { sealed.orch(["task", "show", "1", "--json"]).ok().json() };
    wait_until("the task to be done", RUN, || show()["status"] == "done");
    let task = show();
    let mut runs = task["runs"].as_array().expect("runs").iter().filter(|run| run["kind"] == "work");
    let agents: Vec<&Value> = runs.clone().map(|run| &run["agent"]).collect();
    assert_eq!(agents, ["first", "second", "chosen"], "{task:#}");
    assert_eq!(runs.next_back().expect("a run")["model"], "strong", "{task:#}");
    assert_eq!(task["attempts"], 1, "a provider that fails is no attempt: {task:#}");
    assert_eq!(task["route"]["reason"], "moved from second: auth", "{task:#}");
    sealed.finish();
}

#[test]
fn what_waits_for_an_agent_that_is_left_alone_goes_to_the_next_of_its_chain() {
    let mut sealed = SealedBox::new();
    sealed.program("refused", &format!("#!/bin/sh\nread -r line\ncat '{REFUSED}'\nexit 1\n"));
    sealed.program("good", GOOD);
    sealed.config(
        "router: {mode: round_robin, agents: [first, second], fallback_executor: first}\n\
         engine: {max_parallel: 1}\nworkflow: {review: 'off'}\nfallback: {medium: [first, second]}\n\
         agents:\n  first: {kind: claude, command: refused}\n  second: {kind: command, command: good}\n",
    );
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    let ids = ["1", "2", "3", "4", "5", "6"];
    for id in ids {
        sealed.orch_in(repo.dir(), ["add", &format!("Find answer {id}")]).ok();
    }
    sealed.serve();
    let show = |id: &str| -> Value { sealed.orch(["task", "show", id, "--json"]).ok().json() };
    wait_until("all tasks to be done", RUN, || ids.iter().all(|id| show(id)["status"] == "done"));
    let tasks = ids.map(&show);
    let runs = tasks.iter().flat_map(|task| task["runs"].as_array().expect("runs"));
    assert_eq!(runs.filter(|run| run["agent"] == "first").count(), 1, "one has found out, the others did not try");
    let moved = tasks.iter().filter(|task| task["route"]["reason"] == "moved from first: auth");
    assert_eq!(moved.count(), 3, "every second task was routed to the first");
    // Whom a person names is waited for, and what comes now goes to the other at once.
    for args in [&["add", "Find the last", "--agent", "first"][..], &["add", "Find one more"], &["add", "And one more"]]
    {
        sealed.orch_in(repo.dir(), args).ok();
    }
    wait_until("the new ones to be done", RUN, || ["8", "9"].iter().all(|id| show(id)["status"] == "done"));
    wait_until("the last to wait", RUN, || show("7")["hold"]["reason"] == "auth");
    let of = |id: &str| show(id)["route"]["agent"].clone();
    assert_eq!((of("7"), of("8"), of("9")), ("first".into(), "second".into(), "second".into()));
    sealed.finish();
}
