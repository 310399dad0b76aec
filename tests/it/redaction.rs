//! Secrets in an agent's output, in every disguise: none may be read anywhere but in the agent's own raw files.

use crate::kit::http::get;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_until};
use crate::kit::{read_file, write_file};
use orch_core::text::redact::Redactor;
use std::path::{Path, PathBuf};

/// With letters that encodings change. Its halves are long enough to be looked for by themselves.
const SECRET: &str = "cAn4ryBird/secret+Value9=Zq7xW";
const HALVES: [&str; 2] = ["cAn4ryBird/secr", "et+Value9=Zq7xW"];

/// Prints the secret in every encoding that a shell can produce. Each line has a label.
const LEAKY: &str = r#"#!/bin/sh
cat > /dev/null
s=$LEAKY_API_KEY
a=$(printf %s "$s" | cut -c1-15); b=$(printf %s "$s" | cut -c16-)
say() { printf '%s %s\n' "$1" "$2"; }
say plain "$s"
say reversed "$(printf %s "$s" | rev)"
say hex "$(printf %s "$s" | od -An -tx1 | tr -d ' \n')"
say HEX "$(printf %s "$s" | od -An -tx1 | tr -d ' \n' | tr a-f A-F)"
say base64 "$(printf %s "$s" | base64 -w 0)"
say base64-1 "$(printf 'u%s' "$s" | base64 -w 0)"
say base64-2 "$(printf 'u:%s' "$s" | base64 -w 0)"
say base64url "$(printf %s "$s" | base64 -w 0 | tr '+/' '-_')"
say url "$(printf %s "$s" | sed 's,/,%2F,g; s,+,%2B,g; s,=,%3D,g')"
say json "{\"key\":\"$s\"}"
printf 'colours %s\033[1;31m%s\033[0m\n' "$a" "$b"
printf 'nul %s\000%s\n' "$a" "$b"
printf 'joiner %s\342\200\213%s\n' "$a" "$b"
printf 'escaped %s\\u001b[1m%s\n' "$a" "$b"
printf 'two lines %s\n%s end\n' "$a" "$b"
printf 'two writes %s' "$a"; sleep 0.3; printf '%s end\n' "$b"
echo 'ticket ACME-123456'
printf 'github ghp_'; printf %s "$s$s" | tr -dc 'a-zA-Z0-9' | cut -c1-36
printf 'key -----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAsecretkeymaterial\n-----END RSA PRIVATE KEY-----\n'
echo "on stderr $s" >&2
echo more >> README.md; git commit -qam 'leak'
printf '{"status":"needs_review","summary":"the key is %s","reason":"is %s right?"}\n' "$s" "$s"
"#;

/// Its final answer has a key and the secret, both over several lines.
const WRAPPING: &str = r#"#!/bin/sh
cat > /dev/null
exec >&2
printf 'it broke:\n-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAsecretkeymaterial\n'
printf -- '-----END RSA PRIVATE KEY-----\n'
printf '%s\n    %s\n' "$(printf %s "$LEAKY_API_KEY" | cut -c1-15)" "$(printf %s "$LEAKY_API_KEY" | cut -c16-)"
exit 3
"#;

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new() -> Self {
        let mut sealed = SealedBox::new();
        sealed.set("LEAKY_API_KEY", SECRET);
        sealed.set("ORCH_LOG", "debug");
        sealed.program("leaky", LEAKY);
        sealed.program(
            "working",
            "#!/bin/sh\ncat > /dev/null\necho work > work.txt\ngit add work.txt\n\
             git commit -qm work\necho \"knows $LEAKY_API_KEY\"\n",
        );
        sealed.program("failing", "#!/bin/sh\ncat > /dev/null\necho \"it broke: $LEAKY_API_KEY\" >&2\nexit 3\n");
        sealed.program("wrapping", WRAPPING);
        sealed.config(
            "agents:\n  leaky: {kind: command, command: leaky, pass_env: [LEAKY_API_KEY]}\n  \
             working: {kind: command, command: working, pass_env: [LEAKY_API_KEY]}\n  \
             failing: {kind: command, command: failing, pass_env: [LEAKY_API_KEY]}\n  \
             wrapping: {kind: command, command: wrapping, pass_env: [LEAKY_API_KEY]}\n\
             workflow: {max_attempts: 1, checks: ['cat leak.txt; exit 1']}\n\
             redact: {patterns: {ticket: 'ACME-[0-9]{6}'}}\n",
        );
        let repo = sealed.repo("shop");
        // It was there before: an agent that commits it is refused before any check runs.
        repo.write("leak.txt", SECRET);
        repo.commit("Leak");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn run(&self, agent: &str) -> String {
        let label = format!("agent:{agent}");
        let args = ["task", "add", "Look around", "-l", &label, "--json"];
        let id = self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string();
        wait_until("the task comes to rest", RUN, || {
            let shown = self.sealed.orch(["task", "show", &id, "--json"]).ok().json();
            shown["status"] == "needs_review"
        });
        id
    }

    fn run_dir(&self, id: &str) -> PathBuf {
        let runs = self.sealed.orch_home().join(".orch/runs");
        let found = std::fs::read_dir(runs).expect("runs").flatten().map(|entry| entry.path());
        let is_it =
            |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&format!("{id}-")));
        found.into_iter().find(is_it).expect("a run")
    }

    /// Returns the agent's output with this label.
    fn printed(&self, id: &str, word: &str) -> String {
        let raw = std::fs::read(self.run_dir(id).join("events.jsonl")).expect("raw output");
        let raw = String::from_utf8_lossy(&raw).into_owned();
        let line = raw.lines().find_map(|line| line.strip_prefix(&format!("{word} ")));
        line.unwrap_or_else(|| panic!("it did not print {word}: {raw}")).to_owned()
    }
}

/// Every file below a directory but the raw output of agents and their worktrees.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
        let name = entry.file_name();
        if kind.is_dir() && name != "worktrees" {
            files(&path, found);
        } else if kind.is_file() && name != "events.jsonl" && name != "stderr.log" {
            found.push(path);
        }
    }
}

#[test]
fn a_secret_is_read_nowhere_but_in_the_raw_output_whatever_its_disguise() {
    let mut fixture = Fixture::new();
    fixture.sealed.serve();
    fixture.run("working");
    let id = fixture.run("leaky");
    assert_eq!(fixture.printed(&id, "plain"), SECRET);
    let disguises = ["reversed", "hex", "HEX", "base64", "base64url", "url", "github", "ticket"];
    let mut leaks: Vec<String> = disguises.iter().map(|word| fixture.printed(&id, word)).collect();
    // Encodings that depend on the secret alone, with any text before and after it.
    leaks.extend(["base64-1", "base64-2"].map(|word| fixture.printed(&id, word)[4..36].to_owned()));
    leaks.extend(HALVES.map(str::to_owned));
    leaks.push("secretkeymaterial".to_owned());

    let mut shown = Vec::new();
    files(&fixture.sealed.orch_home(), &mut shown);
    let mut texts: Vec<(String, String)> = shown
        .iter()
        .map(|path| {
            (path.display().to_string(), String::from_utf8_lossy(&std::fs::read(path).expect("a file")).into_owned())
        })
        .collect();
    for name in
        ["transcript.log", "agent.jsonl", "activity.jsonl", "outcome.json", "check-1.log", "orch.log", "tasks.yml"]
    {
        assert!(texts.iter().any(|(path, _)| path.ends_with(name)), "{name} is there");
    }
    for args in [
        &["stream", &id, "--from-start"][..],
        &["stream", &id, "--from-start", "--json"],
        &["stream", &id, "--from-start", "--raw"],
        &["stream", &id, "--from-start", "--events"],
        &["task", "log", &id],
        &["task", "show", &id, "--json"],
        &["task", "show", &id],
        &["status", "--json"],
        &["why", &id],
        &["search", "--json", "REDACTED"],
    ] {
        let ran = fixture.sealed.run_program(ORCH).args(args).run();
        texts.push((args.join(" "), ran.stdout + &ran.stderr));
    }
    let socket = fixture.sealed.socket().expect("a daemon");
    for path in [format!("tasks/{id}/output?from=0"), format!("tasks/{id}"), "events?after=0&follow=false".to_owned()] {
        texts.push((path.clone(), get(&socket, &format!("/v1/{path}")).body));
    }
    for (place, text) in &texts {
        for leak in &leaks {
            assert!(!text.contains(leak.as_str()), "{leak} in {place}:\n{text}");
        }
    }
    let transcript = read_file(&fixture.run_dir(&id).join("transcript.log"));
    for line in ["plain [REDACTED:LEAKY_API_KEY]", "ticket [REDACTED:ticket]", "[REDACTED:LEAKY_API_KEY] end"] {
        assert!(transcript.contains(&format!("{line}\n")), "{line}: {transcript}");
    }
    fixture.sealed.stop_daemon();
    fixture.sealed.finish();
}

#[test]
fn a_secret_on_stderr_of_a_failed_agent_is_read_nowhere() {
    let mut fixture = Fixture::new();
    fixture.sealed.serve();
    let ids = ["failing", "wrapping"].map(|agent| fixture.run(agent));
    assert!(read_file(&fixture.run_dir(&ids[0]).join("stderr.log")).contains(SECRET));
    assert!(read_file(&fixture.run_dir(&ids[1]).join("stderr.log")).contains(HALVES[1]));
    for id in ids {
        assert!(fixture.sealed.orch(["task", "show", &id]).ok().stdout.contains("[REDACTED:LEAKY_API_KEY]"));
    }
    // After all work: a busy daemon has files under temporary names.
    fixture.sealed.stop_daemon();
    let mut shown = Vec::new();
    files(&fixture.sealed.orch_home(), &mut shown);
    for path in shown {
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a file of the home")).into_owned();
        for leak in [HALVES[0], HALVES[1], "secretkeymaterial"] {
            assert!(!text.contains(leak), "{leak} in {}:\n{text}", path.display());
        }
    }
    fixture.sealed.finish();
}

#[test]
fn a_bad_pattern_is_reported_with_its_place() {
    let sealed = SealedBox::new();
    write_file(&sealed.orch_home().join("config.yml"), "redact:\n  patterns:\n    ticket: 'ACME-[0-9'\n");
    let ran = sealed.orch(["config", "show"]).code_is(2);
    assert!(ran.stderr.contains("config.yml:3:13: redact.patterns.ticket: not a regular expression"), "{}", ran.stderr);
    sealed.finish();
}

#[test]
fn hardly_a_byte_of_ordinary_text_is_masked() {
    let redactor = Redactor::default();
    let (mut all, mut masked, mut places) = (0, 0, Vec::new());
    let mut found = Vec::new();
    for dir in ["src", "docs", "tests", "benches", "scripts", "prompts"] {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut found);
    }
    found.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"));
    for path in found {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        all += text.len();
        for (number, line) in text.lines().enumerate() {
            let shown = redactor.text(line);
            let marks: usize =
                shown.split("[REDACTED:").skip(1).filter_map(|mark| mark.find(']')).map(|end| end + 11).sum();
            let lost = (line.len() + marks).saturating_sub(shown.len());
            if shown != line {
                masked += lost;
                places.push(format!("{}:{}: {shown}", path.display(), number + 1));
            }
        }
    }
    assert!(all > 2_000_000, "{all} bytes are too few to tell");
    assert!(masked * 1000 <= all, "{masked} of {all} bytes: {places:#?}");
}
