//! What `orch status` looks like in a real terminal, wide and narrow, with tasks in each state that lasts:
//! `fixtures/rendered/status-*.txt`. `ORCH_BLESS=1` writes those files anew; look at the difference before committing it. The
//! states that pass in a moment are in the pictures of `src/cli/status/page/tests/golden.rs`.

use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::terminal::Terminal;
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::{read_file, write_file};
use regex::Regex;
use serde_json::Value;
use std::path::Path;

/// Prints one line and works until it is released.
const SPEAKER: &str = "#!/bin/sh\ncat > /dev/null\necho 'reading the sources of 日本語'\n\
                       while [ ! -e \"$HOME/stop\" ]; do sleep 0.05; done\necho more >> README.md\ngit commit -qam said\n";
const GOOD: &str = "#!/bin/sh\ncat > /dev/null\necho work > work.txt && git add . && git commit -q -m work\n";
/// Changes nothing.
const LAZY: &str = "#!/bin/sh\ncat > /dev/null\necho finished\n";

fn add(sealed: &SealedBox, title: &str, more: &[&str]) -> String {
    let args = [&["add", title, "--json"][..], more].concat();
    sealed.orch_in(&sealed.root().join("shop"), args).ok().json()["id"].to_string()
}

fn status(sealed: &SealedBox, id: &str) -> Value {
    sealed.orch(["show", id, "--json"]).ok().json()["status"].clone()
}

/// The screen without what differs from run to run.
fn normalize(screen: &str) -> String {
    let plain = Regex::new(r"\d\d:\d\d").expect("an expression").replace_all(screen, "HH:MM").into_owned();
    let plain = Regex::new(r"\(pid \d+").expect("an expression").replace_all(&plain, "(pid N").into_owned();
    let own = env!("CARGO_PKG_VERSION");
    let lines = plain.lines().map(|line| line.trim_end().replace(&format!("orch {own}"), "orch VERSION"));
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}

#[test]
fn a_status_on_a_wide_and_on_a_narrow_terminal_looks_as_it_was_blessed() {
    let mut sealed = SealedBox::new();
    for (name, script) in [("speaker", SPEAKER), ("good", GOOD), ("lazy", LAZY)] {
        sealed.program(name, script);
    }
    sealed.config(
        "agents: {speaker: {kind: command, command: speaker}, good: {kind: command, command: good}, \
         lazy: {kind: command, command: lazy}}\n\
         router: {mode: round_robin, agents: [speaker]}\n\
         workflow: {max_attempts: 1}\nengine: {max_parallel: 1, adaptive: none}\n",
    );
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    for (title, agent, end) in [("Write the changelog", "good", "done"), ("Choose a database", "lazy", "needs_review")]
    {
        let id = add(&sealed, title, &["-l", &format!("agent:{agent}")]);
        wait::wait_until(end, RUN, || status(&sealed, &id) == end);
    }
    let title = "Fix the parser of dates with a title that says more than a narrow terminal holds";
    let working = add(&sealed, title, &["-l", "agent:speaker"]);
    wait::wait_until("it to work", RUN, || status(&sealed, &working) == "in_progress");
    let given_up = add(&sealed, "A thought", &["-l", "agent:speaker"]);
    sealed.orch(["cancel", &given_up]).ok();
    add(&sealed, "Sort the imports", &["-l", "agent:speaker"]);
    add(&sealed, "Release it", &["--depends-on", &working]);
    wait::wait_until("all to stand still", RUN, || {
        let now = sealed.orch(["status", "--json"]).ok().json();
        let said = now["running"][0]["last_line"].as_str().is_some_and(|line| line.contains("reading"));
        let states = ["done", "needs_review", "cancelled", "in_progress", "routed", "blocked"];
        said && states.iter().all(|word| now["counts"][word] == 1)
    });
    let line = format!(
        "stty -echo; for size in wide narrow; do read key; clear; '{ORCH}' status; echo end of the $size one; done; exec cat"
    );
    let terminal = Terminal::new(&sealed, &line);
    let mut wrong = Vec::new();
    for (columns, end) in [("100", "end of the wide one"), ("60", "end of the narrow one")] {
        terminal.tmux(&["resize-window", "-t", "=t:", "-x", columns, "-y", "30"]).ok();
        terminal.tmux(&["send-keys", "-t", "=t:", "Enter"]).ok();
        let mut screen = String::new();
        let seen = wait::poll(SOON, || {
            screen = terminal.screen();
            screen.contains(end).then_some(())
        });
        assert!(seen.is_some(), "{screen}");
        let text = normalize(&screen);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/rendered/status-{columns}.txt"));
        if orch_sys::process::env_var("ORCH_BLESS").is_some() {
            write_file(&file, &text);
        }
        let blessed = if file.exists() { read_file(&file) } else { String::new() };
        if blessed != text {
            wrong.push(format!("{} (ORCH_BLESS=1 writes it anew):\n{text}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    write_file(&sealed.home().join("stop"), "");
    terminal.close();
    sealed.finish();
}
