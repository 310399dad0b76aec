//! Tests that the workflows follow the rules, without a linter: actions pinned to commits, explicit permissions, no
//! external text in command lines, and existing scripts.

use crate::kit::process::Program;
use crate::kit::read_file;
use crate::kit::readers::left_out;
use crate::kit::write_file;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Name, text and document of each workflow.
fn workflows() -> Vec<(PathBuf, String, Value)> {
    let dir = root().join(".github/workflows");
    let files = std::fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path());
    let mut found: Vec<_> = files
        .map(|file| {
            let text = read_file(&file);
            let document = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file, text, document)
        })
        .collect();
    found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    found
}

/// What breaks a rule in one workflow.
fn breaches(text: &str, document: &Value) -> Vec<String> {
    let mut breaches = Vec::new();
    if document.get("permissions").is_none_or(|permissions| permissions == "write-all") {
        breaches.push("no permissions at the top".to_owned());
    }
    let trigger = document.get("on").map(Value::to_string).unwrap_or_default();
    if ["pull_request_target", "workflow_run", "issue_comment"].iter().any(|name| trigger.contains(name)) {
        breaches.push(format!("started by strangers with rights: {trigger}"));
    }
    let jobs = document.get("jobs").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, job) in &jobs {
        if job.get("timeout-minutes").is_none() {
            breaches.push(format!("{name}: no time limit"));
        }
        for step in job.get("steps").and_then(Value::as_array).into_iter().flatten() {
            if let Some(run) = step.get("run").and_then(Value::as_str) {
                if run.contains("${{") {
                    breaches.push(format!("{name}: an expression in a command line: {run}"));
                }
                breaches.extend(missing_scripts(run).map(|script| format!("{name}: no such script: {script}")));
            }
            let Some(uses) = step.get("uses").and_then(Value::as_str) else { continue };
            if !is_pinned(uses, text) {
                breaches.push(format!("{name}: not named by its commit, with its version beside it: {uses}"));
            }
            let keeps = step.pointer("/with/persist-credentials");
            if uses.starts_with("actions/checkout@") && keeps != Some(&Value::Bool(false)) {
                breaches.push(format!("{name}: the checkout keeps the token"));
            }
        }
    }
    breaches
}

fn is_pinned(uses: &str, text: &str) -> bool {
    let Some((_, commit)) = uses.split_once('@') else { return false };
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit && text.contains(&format!("{uses} # v"))
}

fn missing_scripts(run: &str) -> impl Iterator<Item = String> {
    let words = run.split(|c: char| c.is_whitespace() || "\"'()$;".contains(c));
    let scripts = words.filter(|word| word.starts_with("scripts/") || word.starts_with(".ci/"));
    scripts.filter(|script| !crate::kit::process::is_executable(&root().join(script))).map(str::to_owned)
}

#[test]
fn every_workflow_keeps_the_rules() {
    let found = workflows();
    assert!(found.len() >= 2, "ci and release");
    let all: Vec<String> = found
        .iter()
        .flat_map(|(file, text, document)| {
            breaches(text, document).into_iter().map(|breach| format!("{}: {breach}", file.display()))
        })
        .collect();
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn only_what_publishes_may_write() {
    let (_, _, release) = workflows().into_iter().find(|(file, ..)| file.ends_with("release.yml")).expect("a pipeline");
    let jobs = release["jobs"].as_object().expect("jobs");
    for (name, job) in jobs {
        let writes = job["permissions"].as_object().expect("said").values().any(|right| right == "write");
        assert_eq!(writes, name == "publish", "{name}");
    }
    let order: Vec<&str> = jobs.keys().map(String::as_str).collect();
    assert_eq!(order, ["check", "version", "build", "publish", "tap"]);
    let targets: Vec<&str> = release
        .pointer("/jobs/build/strategy/matrix/include")
        .and_then(Value::as_array)
        .expect("targets")
        .iter()
        .filter_map(|one| one["target"].as_str())
        .collect();
    assert_eq!(
        targets,
        ["aarch64-apple-darwin", "x86_64-apple-darwin", "x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"]
    );
}

#[test]
fn a_breach_is_found() {
    let text = "on: pull_request_target\njobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n      \
                - run: echo ${{ github.event.issue.title }} && scripts/none\n";
    let found = breaches(text, &serde_saphyr::from_str(text).expect("YAML")).join("\n");
    for part in ["permissions", "strangers", "time limit", "keeps the token", "command line", "scripts/none", "commit"]
    {
        assert!(found.contains(part), "{part} in {found}");
    }
}

/// The linters that `make test` has installed, and what they say of the workflows in a directory.
fn linted(directory: &Path) -> Option<crate::kit::process::Ran> {
    if !root().join(".cache/linters/versions").exists() {
        left_out("the linters of workflows", "actionlint (scripts/install-linters)");
        return None;
    }
    let check = Program::new(root().join("scripts/check-workflows"), root())
        .args(["--required".as_ref(), directory.as_os_str()]);
    let kept = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    Some(check.envs(kept).run())
}

#[test]
fn the_linters_find_nothing_in_the_workflows() {
    if let Some(ran) = linted(&root().join(".github/workflows")) {
        ran.ok();
    }
}

#[test]
fn the_linters_find_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let sound =
        "name: a\non: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: make\n";
    let file = dir.path().join("a.yml");
    for (change, found) in [
        (("ubuntu-24.04", "ubuntu-2404"), "runner-label"),
        (("run: make", "run: echo ${{ github.event.issue.title }}"), "untrusted"),
        (("run: make", "run: echo ${{ steps.x.outputs.y }}"), "is not defined"),
        (("on: push", "on: pushed"), "[events]"),
        (("on: push", "on: pull_request_target"), "dangerous-triggers"),
        (("steps:", "stepts:"), "syntax-check"),
        (("jobs:", "\tjobs: ["), "syntax-check"),
    ] {
        write_file(&file, &sound.replacen(change.0, change.1, 1));
        let Some(ran) = linted(dir.path()) else { return };
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(ran.code == Some(1) && text.contains(found), "{found}: {ran}");
    }
    write_file(&file, sound);
    linted(dir.path()).expect("linters").ok();
}
