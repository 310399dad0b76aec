//! Tests settings of one command next to a daemon with other settings: ineffective ones are reported, and no run starts
//! without the requested settings.

use crate::kit::sealed_box::SealedBox;

const BOT: &str = "#!/bin/sh\ncat > /dev/null\necho work > answer.txt\ngit add answer.txt\ngit commit -qm work\n\
                   echo '{\"status\":\"done\",\"summary\":\"did it\"}'\n";

fn served_with(sandbox: Option<&str>) -> SealedBox {
    let mut sealed = SealedBox::new();
    sealed.program("bot", BOT);
    sealed.config(
        "agents: {bot: {kind: command, command: bot, env: {TOKEN: 'env:MINE'}}}\nrouter: {agents: [bot]}\n\
         workflow: {review: 'off'}\n",
    );
    sealed.set("MINE", "a value");
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    if let Some(sandbox) = sandbox {
        sealed.set("CODEX_SANDBOX", sandbox);
    }
    sealed.serve();
    sealed
}

fn add(sealed: &SealedBox) -> String {
    sealed.orch_in(&sealed.base().join("shop"), ["add", "Do it", "--json"]).ok().json()["id"].to_string()
}

#[test]
fn a_run_does_not_begin_without_the_settings_that_were_asked_for_with_it() {
    let mut sealed = served_with(None);
    sealed.orch(["pause"]).ok();
    let id = add(&sealed);
    sealed.set("CODEX_SANDBOX", "danger-full-access");
    let refused = sealed.orch(["task", "run", &id]).code_is(7);
    for part in ["agents.codex.sandbox of this command has no effect there", "orch config set"] {
        assert!(refused.stderr.contains(part), "{part}: {refused}");
    }
    let listed = sealed.orch(["list"]).ok();
    assert!(listed.stderr.contains("agents.codex.sandbox"), "who only looks is told: {listed}");
    sealed.unset("CODEX_SANDBOX");
    let refused = sealed.orch(["task", "run", &id, "--set", "workflow.max_attempts=9"]).code_is(7);
    assert!(refused.stderr.contains("workflow.max_attempts"), "{refused}");
    let shown = sealed.orch(["show", &id, "--json"]).ok().json();
    assert_eq!(shown["runs"].as_array().map(Vec::len), Some(0), "nothing was begun: {shown:#}");
    sealed.orch(["resume", "--all"]).ok();
    sealed.orch(["task", "run", &id]).ok();
    sealed.finish();
}

#[test]
fn what_the_daemon_was_started_with_as_well_is_in_force() {
    let mut sealed = served_with(Some("danger-full-access"));
    let id = add(&sealed);
    let ran = sealed.orch(["task", "run", &id]).ok();
    assert!(!ran.stderr.contains("has no effect"), "{ran}");
    sealed.set("CODEX_SANDBOX", "none");
    let refused = sealed.orch(["task", "run", &id]).code_is(7);
    assert!(refused.stderr.contains("agents.codex.sandbox"), "{refused}");
    sealed.finish();
}
