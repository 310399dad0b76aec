//! Floods, and panes that are stuck or gone.

use super::*;

const MEGABYTES: u64 = 100;

/// Runs with a bounded address space: what needs more dies.
fn run_in_little_memory(fixture: &Fixture) -> RunReport {
    fixture.prepare();
    let (program, args) = runner_command();
    let script = "ulimit -v 400000; exec \"$@\"";
    let all = ["-c", script, "sh", program.to_str().expect("text")].map(str::to_owned).into_iter();
    let dir = fixture.dir().path().to_str().expect("text").to_owned();
    let program = Program::new("/bin/sh", fixture.home.path()).args(all.chain(args).chain([dir]));
    // Half a minute without optimization; more next to other tests.
    let ran = program.deadline(4 * RUN).run();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    fixture.report()
}

#[test]
fn a_hundred_megabytes_in_one_line_are_kept_raw_and_take_little_memory() {
    let fixture = Fixture::new(&format!("head -c {} /dev/zero | tr '\\0' x; echo; echo last", MEGABYTES << 20));
    let report = run_in_little_memory(&fixture);
    assert_eq!(summary(&report), "last");
    assert_eq!(fixture.dir().events().metadata().expect("exists").len(), (MEGABYTES << 20) + 6);
    assert!(fixture.transcript().contains("— a line of output is too long to be read: "), "the gap is marked");
    assert!(report.transcript_bytes < 1 << 20);
}

#[test]
fn a_hundred_megabytes_in_many_lines_are_all_in_the_transcript() {
    let row = "x".repeat(4095);
    let rows = (MEGABYTES << 20) / 4096;
    let fixture = Fixture::new(&format!("yes {row} | head -n {rows}; echo last"));
    let report = run_in_little_memory(&fixture);
    assert_eq!(summary(&report), "last");
    let text = std::fs::read(fixture.dir().transcript()).expect("readable");
    assert!(text.len() as u64 > MEGABYTES << 20);
    assert_eq!(text.split(|&byte| byte == b'\n').filter(|line| line == &row.as_bytes()).count() as u64, rows);
}

#[test]
fn half_a_line_at_the_end_is_read() {
    assert_eq!(summary(&Fixture::new("printf 'first\nlast words'").run()), "last words");
}

#[test]
fn a_pane_that_takes_nothing_does_not_hold_up_the_agent() {
    let fixture = Fixture::new("yes some words | head -n 50000; echo done");
    fixture.prepare();
    let (program, args) = runner_command();
    // The reader of the pipe stays, and never reads.
    let script = "dir=$1; shift; \"$@\" \"$dir\" | sleep 1000";
    let dir = fixture.dir();
    let all = ["-c", script, "sh", dir.path().to_str().expect("text"), program.to_str().expect("text")];
    let running = Program::new("/bin/sh", fixture.home.path())
        .args(all.map(str::to_owned).into_iter().chain(args))
        .envs([("PATH", "/usr/bin:/bin")])
        .start();
    let report = wait_some("the report", RUN, || match inspect(&fixture.dir()).expect("readable") {
        RunState::Ended(report) => Some(report),
        RunState::NotStarted | RunState::Running { .. } | RunState::Lost { .. } => None,
    });
    assert_eq!(summary(&report), "done");
    assert_eq!(fixture.transcript().lines().filter(|line| *line == "some words").count(), 50_000);
    drop(running);
}

#[test]
fn a_terminal_that_goes_away_ends_nothing() {
    let fixture = Fixture::new("touch begun; while [ ! -e go ]; do sleep 0.01; done; echo done");
    fixture.prepare();
    let running = fixture.runner().start();
    fixture.wait_for("begun");
    running.signal(Signal::HUP);
    write_file(&fixture.work("go"), "");
    running.finish(RUN);
    assert_eq!(summary(&fixture.report()), "done");
}

#[test]
fn the_death_of_the_tmux_server_ends_nothing() {
    let fixture = Fixture::new("touch begun; while [ ! -e go ]; do sleep 0.01; done; echo done");
    fixture.prepare();
    let socket = fixture.home.path().join("tmux.sock");
    let tmux = |args: Vec<String>| {
        let socket = ["-S", socket.to_str().expect("text"), "-f", "/dev/null"].map(str::to_owned);
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("TERM", "xterm")];
        Program::new("tmux", fixture.home.path()).args(socket.into_iter().chain(args)).envs(env).run()
    };
    let (program, args) = runner_command();
    let new = ["new-session", "-d", program.to_str().expect("text")].map(str::to_owned).into_iter();
    let dir = fixture.dir().path().to_str().expect("text").to_owned();
    let ran = tmux(new.chain(args).chain([dir]).collect());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    fixture.wait_for("begun");
    tmux(vec!["kill-server".into()]);
    wait_until("the end of the server", SOON, || tmux(vec!["list-sessions".into()]).code != Some(0));
    write_file(&fixture.work("go"), "");
    let report = wait_some("the report", RUN, || match inspect(&fixture.dir()).expect("readable") {
        RunState::Ended(report) => Some(report),
        RunState::NotStarted | RunState::Running { .. } | RunState::Lost { .. } => None,
    });
    assert_eq!((summary(&report).as_str(), &report.stopped), ("done", &None));
}
