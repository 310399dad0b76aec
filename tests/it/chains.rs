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
fn the_chain_takes_over_with_its_model_and_whoever_is_left_alone_is_passed_over() {
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
