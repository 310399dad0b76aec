//! Tests `orch status` in a real terminal (a pane of tmux), through changes, resizing, and the daemon's absence.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::terminal::Terminal;
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use serde_json::Value;

/// Terminal sequences in titles and output: for the clipboard, the title, a query.
const HOSTILE: &str = "x\u{1b}]52;c;cm0gLXJm\u{7}\u{1b}]0;owned\u{7}\u{1b}P$qm\u{1b}\\\u{9b}2Jy";

fn add(sealed: &SealedBox, repo: &Repo, title: &str, agent: &str) -> String {
    let label = format!("agent:{agent}");
    sealed.orch_in(repo.dir(), ["task", "add", title, "-l", &label, "--json"]).ok().json()["id"].to_string()
}

/// `speaker` prints hostile text, then the content of `say`, and runs until `stop` exists.
fn setup() -> (SealedBox, Repo) {
    let sealed = SealedBox::new();
    let base = sealed.base().display().to_string();
    sealed.program(
        "speaker",
        &format!(
            "#!/bin/sh\ncat > /dev/null\nprintf '%s\\n' '{HOSTILE}'\nlast=\n\
             while [ ! -e '{base}/stop' ]; do now=$(cat '{base}/say' 2> /dev/null); \
             [ \"$now\" = \"$last\" ] || echo \"$now\"; last=$now; sleep 0.05; done\n\
             echo more >> README.md; git commit -qam said\n"
        ),
    );
    sealed.config("agents: {speaker: {kind: command, command: speaker}}\nengine: {max_parallel: 1}\n");
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    (sealed, repo)
}

#[test]
fn a_watched_status_follows_what_happens_in_place_and_gives_the_screen_back() {
    let (mut sealed, repo) = setup();
    let first = add(&sealed, &repo, &format!("Speak {HOSTILE}"), "speaker");
    add(&sealed, &repo, "Wait for it", "speaker");
    let line = format!("{ORCH} status --watch; echo left with $?; exec cat");
    {
        let terminal = Terminal::new(&sealed, &line);
        terminal.shows("no daemon runs");
        terminal.shows("2 new");
    }
    sealed.serve();
    let terminal = Terminal::for_box(&sealed);
    terminal.shows("1 in_progress");
    write_file(&sealed.base().join("say"), "what it says now\n");
    terminal.shows("what it says now");
    terminal.shows("slot is busy");
    let title = terminal.tmux(&["display", "-p", "-t", "=t:", "#{pane_title}"]).ok().stdout;
    assert!(!title.contains("owned"), "{title}");
    assert!(terminal.tmux(&["show-buffer"]).code != Some(0), "somebody wrote to the clipboard");
    assert!(terminal.screen().contains("\\u{1b}]52"), "{}", terminal.screen());
    terminal.tmux(&["resize-window", "-t", "=t:", "-x", "60", "-y", "12"]).ok();
    wait::wait_until("a narrower screen", SOON, || {
        let screen = terminal.screen();
        screen.lines().all(|line| line.chars().count() <= 60) && screen.contains("running")
    });
    terminal.tmux(&["send-keys", "-t", "=t:", "C-c"]).ok();
    terminal.shows("left with 130");
    let modes = terminal.tmux(&["display", "-p", "-t", "=t:", "#{alternate_on} #{cursor_flag}"]).ok().stdout;
    assert_eq!(modes.trim(), "0 1", "the screen and the cursor are back");
    write_file(&sealed.base().join("stop"), "");
    sealed.orch(["task", "run", &first]).ok();
    terminal.tmux(&["kill-server"]).ok();
    sealed.finish();
}

#[test]
fn a_status_that_is_no_terminal_is_printed_below_and_as_json_one_line_for_each_change() {
    let (mut sealed, repo) = setup();
    sealed.serve();
    let json = sealed.run_program(ORCH).args(["status", "--watch", "--json"]).deadline(RUN).start();
    let plain = sealed.run_program(ORCH).args(["status", "--watch"]).deadline(RUN).start();
    wait::wait_until("the first document", SOON, || json.said().0.contains("\"running\":[]"));
    write_file(&sealed.base().join("stop"), "");
    let id = add(&sealed, &repo, &format!("Speak {HOSTILE}"), "speaker");
    wait::wait_until("the end of the task", RUN, || json.said().0.contains("\"done\":1"));
    wait::wait_until("the same in words", SOON, || plain.said().0.contains("1 done"));
    for signal in [&json, &plain] {
        signal.signal(rustix::process::Signal::INT);
    }
    let documents = json.finish(SOON).code_is(130).json_lines();
    assert!(documents.windows(2).all(|pair| pair[0] != pair[1]), "{documents:#?}");
    let words = plain.finish(SOON).code_is(130).stdout;
    assert!(words.starts_with("orch ") && !words.contains('\u{1b}'), "{words:?}");
    assert!(words.matches("today: ").count() >= 2, "{words}");
    let last = documents.last().expect("a document");
    assert_eq!((&last["today"]["runs"], &last["today"]["cost_usd"]), (&Value::from(1), &Value::Null), "{last:#}");
    let once = sealed.orch(["status", "--json"]).ok().json();
    assert_eq!(once["counts"], last["counts"]);
    assert_eq!(id, "1");
    sealed.finish();
}

#[test]
fn what_titles_and_agents_say_to_the_terminal_never_reaches_it() {
    let (mut sealed, repo) = setup();
    write_file(&sealed.base().join("stop"), "");
    sealed.serve();
    add(&sealed, &repo, &format!("Speak {HOSTILE}"), "speaker");
    let watched = sealed.run_program(ORCH).args(["stream", "1", "--from-start"]).deadline(RUN).run().ok();
    // Of what the agent printed, the text is left.
    assert!(watched.stdout.lines().any(|line| line == "xy"), "{watched}");
    let commands: [&[&str]; 8] = [
        &["stream", "1", "--from-start"],
        &["stream", "1", "--from-start", "--json"],
        &["status"],
        &["list"],
        &["show", "1"],
        &["why", "1"],
        &["log", "1"],
        &["events"],
    ];
    for args in commands {
        let ran = sealed.orch(args).ok();
        let is_safe = |text: &str| !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'));
        assert!(is_safe(&ran.stdout) && is_safe(&ran.stderr), "{args:?}: {:?}{:?}", ran.stdout, ran.stderr);
    }
    sealed.finish();
}
