//! Tests that the daemon stays controllable after its socket or files were removed, with signals blocked by its parent,
//! and with few descriptors; and that nothing is left of checks and commands.

use crate::kit::http::get;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::{read_file, write_file};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Commits, and records next to the repository how often it started and which signal masks it inherited.
const WORKER: &str = "#!/bin/sh\ncat > /dev/null\necho $ORCH_RUN_ID >> '{base}/starts'\n\
    grep -E 'Sig(Blk|Ign)' /proc/self/status > '{base}/agent-signals'\n\
    while [ -e '{base}/wait' ]; do sleep 0.05; done\n\
    echo more >> README.md; git commit -qam did\n";

fn setup(config: &str) -> (SealedBox, Repo) {
    let sealed = SealedBox::new();
    sealed.program("worker", &WORKER.replace("{base}", &sealed.base().display().to_string()));
    sealed.config(&format!("agents: {{worker: {{kind: command, command: worker}}}}\n{config}"));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    (sealed, repo)
}

fn add(sealed: &SealedBox, repo: &Repo, title: &str) -> String {
    let labels = ["-l", "agent:worker", "-l", "complexity:simple", "--json"];
    let args = [&["task", "add", title], labels.as_slice()].concat();
    sealed.orch_in(repo.dir(), args).ok().json()["id"].to_string()
}

fn show(sealed: &SealedBox, id: &str) -> Value {
    sealed.run_program(ORCH).args(["task", "show", id, "--json"]).deadline(RUN).run().ok().json()
}

fn until_done(sealed: &SealedBox, id: &str) {
    wait::wait_until("the task to be done", RUN, || show(sealed, id)["status"] == "done");
}

fn status(sealed: &SealedBox) -> Value {
    sealed.run_program(ORCH).args(["status", "--json"]).deadline(RUN).run().ok().json()
}

fn starts(sealed: &SealedBox) -> usize {
    std::fs::read_to_string(sealed.base().join("starts")).unwrap_or_default().lines().count()
}

// ---- the socket

#[test]
fn a_socket_that_was_removed_is_made_again_and_every_command_reaches_the_daemon() {
    let (mut sealed, repo) = setup("");
    sealed.serve();
    let pid = status(&sealed)["pid"].clone();
    let sockets = ["orch.sock", "wake.sock"].map(|name| sealed.orch_home().join(".orch").join(name));
    for socket in &sockets {
        std::fs::remove_file(socket).expect("it was there");
    }
    assert_eq!(status(&sealed)["pid"], pid, "the command waits until the daemon can be reached");
    let id = add(&sealed, &repo, "One");
    until_done(&sealed, &id);
    wait::wait_until("both sockets", SOON, || sockets.iter().all(|socket| socket.exists()));
    std::fs::remove_file(&sockets[0]).expect("it was there");
    let said = sealed.run_program(ORCH).args(["shutdown"]).deadline(RUN).run().ok();
    assert!(said.stderr.contains("has stopped"), "{said}");
    assert_eq!(sealed.ended_daemon().code, Some(0));
    assert!(sockets.iter().all(|socket| !socket.exists()));
    sealed.finish();
}

#[test]
fn a_daemon_whose_socket_cannot_be_made_again_is_found_by_its_lock_and_ended() {
    let (mut sealed, _repo) = setup("router: {mode: round_robin, agents: [worker]}\n");
    sealed.serve();
    let pid = sealed.daemon().pid().as_raw_nonzero().to_string();
    let socket = sealed.orch_home().join(".orch/orch.sock");
    std::fs::remove_file(&socket).expect("it was there");
    write_file(&socket.join("in the way"), "");
    let doctor = sealed.orch(["doctor"]).code_is(1);
    assert!(doctor.stdout.contains(&format!("pid {pid}")) && doctor.stdout.contains("not ready: daemon"), "{doctor}");
    let drain = sealed.run_program(ORCH).args(["shutdown", "--drain"]).deadline(RUN).run().code_is(7);
    assert!(drain.stderr.contains("does not answer"), "{drain}");
    let said = sealed.run_program(ORCH).args(["shutdown"]).deadline(RUN).run().ok();
    assert!(said.stderr.contains(&pid) && said.stderr.contains("has stopped"), "{said}");
    assert_eq!(sealed.ended_daemon().code, Some(0));
    sealed.finish();
}

// ---- the state

#[test]
fn state_that_was_removed_under_the_daemon_is_written_anew_and_nothing_begins_over_and_over() {
    let (mut sealed, repo) = setup("");
    let done = add(&sealed, &repo, "Done before");
    sealed.serve();
    until_done(&sealed, &done);
    write_file(&sealed.base().join("wait"), "");
    let open = add(&sealed, &repo, "At work");
    wait::wait_until("the agent", RUN, || starts(&sealed) == 2);
    let state = sealed.orch_home().join(".orch");
    std::fs::remove_dir_all(&state).expect("it was there");
    // A command that comes just now finds no daemon and makes a state of its own, in which nothing is known.
    sealed.run_program(ORCH).args(["list"]).deadline(RUN).run();
    wait::wait_until("the daemon to say so", RUN, || {
        let status = status(&sealed);
        status["problems"].to_string().contains("was removed while orch ran")
    });
    assert_eq!(show(&sealed, &done)["status"], "done", "what was known is known");
    std::fs::remove_file(sealed.base().join("wait")).expect("it was there");
    until_done(&sealed, &open);
    assert!(starts(&sealed) <= 4, "{} starts", starts(&sealed));
    let said = sealed.orch(["doctor"]).stdout;
    assert!(said.contains("was removed while orch ran"), "{said}");
    sealed.finish();
}

// ---- signals

fn knows_block_signal(sealed: &SealedBox) -> bool {
    sealed.run_program("env").args(["--block-signal=CHLD", "--ignore-signal=CHLD", "true"]).run().code == Some(0)
}

/// The bits of a line of `/proc/self/status`.
fn bits(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).expect("bits")
}

#[test]
fn signals_that_were_blocked_or_ignored_by_the_parent_are_not_inherited() {
    let sealed = SealedBox::new();
    if !knows_block_signal(&sealed) || !std::path::Path::new("/proc/self/status").exists() {
        return;
    }
    let (mut sealed, repo) = setup("");
    let output = sealed.base().join("check-signals");
    sealed.config(&format!(
        "agents: {{worker: {{kind: command, command: worker}}}}\n\
         workflow: {{checks: [\"grep -E 'Sig(Blk|Ign)' /proc/self/status > '{}'\"]}}\n",
        output.display()
    ));
    let blocked = format!(
        "#!/bin/sh\nexec env --block-signal --ignore-signal=CHLD --ignore-signal=HUP --ignore-signal=USR1 '{ORCH}' \"$@\"\n"
    );
    let blocked = sealed.program("blocked-orch", &blocked);
    sealed.is_run_by(blocked);
    let id = add(&sealed, &repo, "One");
    sealed.serve();
    until_done(&sealed, &id);
    for file in [output, sealed.base().join("agent-signals")] {
        let text = read_file(&file);
        assert_eq!(bits(&text, "SigBlk"), 0, "{file:?}: {text}");
        let children = 1 << 16 | 1 | 1 << 9;
        assert_eq!(bits(&text, "SigIgn") & children, 0, "{file:?}: {text}");
    }
    sealed.finish();
}

// ---- descriptors

#[test]
fn with_too_few_open_files_orch_refuses_with_words() {
    let (sealed, _repo) = setup("");
    let few = format!("ulimit -n 28; exec '{ORCH}' serve");
    let refused = sealed.run_program("sh").args(["-c", &few]).deadline(RUN).run().code_is(7);
    assert!(refused.stderr.contains("28 files") && refused.stderr.contains("ulimit -n"), "{refused}");
    sealed.finish();
}

// ---- what checks and commands leave behind

/// Starts a process that has neither a parent nor an environment by which it could be found.
fn double_fork(seconds: &str) -> String {
    format!("env -i sh -c '(env -i sh -c \"sleep {seconds} & sleep {seconds}\" > /dev/null 2>&1 &) ; exit 0'")
}

fn runs(argument: &str) -> bool {
    let all = std::fs::read_dir("/proc").expect("a directory").flatten();
    all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()))
}

#[test]
fn nothing_is_left_of_a_check_that_forks_twice_without_an_environment() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let (mut sealed, repo) = setup("");
    for (seconds, more, state) in [("98761", "", "passed"), ("98762", "; sleep 1000", "timed_out")] {
        let command = (double_fork(seconds) + more).replace('"', "\\\"");
        sealed.config(&format!(
            "agents: {{worker: {{kind: command, command: worker}}}}\n\
             workflow: {{max_attempts: 1, check_timeout_seconds: 2, checks: [\"{command}\"]}}\n"
        ));
        let id = add(&sealed, &repo, seconds);
        sealed.serve();
        let check = wait::wait_some("the check", RUN, || {
            show(&sealed, &id)["evidence"]["checks"][0]["state"].as_str().map(str::to_owned)
        });
        assert_eq!(check, state);
        sealed.stop_daemon().ok();
        assert!(!runs(seconds), "{state}");
    }
    sealed.finish();
}

#[test]
fn nothing_is_left_of_a_jobs_command_that_forks_twice_without_an_environment() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let (mut sealed, repo) = setup("");
    sealed.serve();
    let command = double_fork("98763");
    let job = ["job", "add", "@yearly", "--id", "leaver", "--run", &command];
    sealed.orch_in(repo.dir(), job).ok();
    let ran = sealed.run_program_in(ORCH, repo.dir()).args(["job", "run", "leaver"]).deadline(RUN).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    wait::wait_until("its end", RUN, || {
        let shown = sealed.orch(["job", "show", "leaver", "--json"]).ok().json();
        shown.to_string().contains("\"passed\"")
    });
    assert!(!runs("98763"));
    sealed.finish();
}

// ---- connections

#[test]
fn a_client_that_sends_no_whole_request_is_dropped_after_seconds() {
    let (mut sealed, _repo) = setup("http: {listen: '127.0.0.1:0'}\n");
    sealed.serve();
    let socket = sealed.socket().expect("a socket");
    let address = wait::wait_some("the daemon to listen", SOON, || {
        let url = get(&socket, "/v1/status?brief=true").json()["http"].as_str()?.to_owned();
        url.strip_prefix("http://").map(str::to_owned)
    });
    let token = read_file(&sealed.orch_home().join(".orch/http-token"));
    let slow_body = format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 1000\r\n\r\n{{",
        token.trim()
    );
    for part in ["", "GET / HTTP/1.1\r\nhost: x", &slow_body] {
        let began = Instant::now();
        let mut local = UnixStream::connect(&socket).expect("it listens");
        let mut remote = std::net::TcpStream::connect(&address).expect("it listens");
        let (mut said, patience) = (Vec::new(), Some(Duration::from_secs(25)));
        local.set_read_timeout(patience).expect("set");
        remote.set_read_timeout(patience).expect("set");
        for stream in [&mut local as &mut dyn Talks, &mut remote] {
            stream.write_all(part.as_bytes()).expect("sent");
        }
        for stream in [&mut local as &mut dyn Talks, &mut remote] {
            stream.read_to_end(&mut said).expect("the end");
        }
        assert!(began.elapsed() < Duration::from_secs(25), "{part:?}");
    }
    sealed.finish();
}

trait Talks: Read + Write {}
impl<T: Read + Write> Talks for T {}

// ---- doctor

#[test]
fn doctor_ends_with_ready_or_with_what_is_missing_and_takes_no_second() {
    let (mut sealed, repo) = setup("router: {mode: round_robin, agents: [worker]}\n");
    // A program that is slow to report its version delays nothing.
    sealed.program("claude", "#!/bin/sh\nexec sleep 20\n");
    sealed.set("ANTHROPIC_API_KEY", "sk-x");
    let began = Instant::now();
    let ready = sealed.orch_in(repo.dir(), ["doctor"]).ok();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(ready.stdout.lines().last(), Some("ready"), "{ready}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("http.listen={}", taken.local_addr().expect("an address"));
    let missing = sealed.orch(["doctor", "--set", &listen]).code_is(1);
    assert!(missing.stdout.lines().last().is_some_and(|line| line.starts_with("not ready: http")), "{missing}");
    sealed.config("engine: {max_parallel: many}\n");
    let missing = sealed.orch(["doctor"]).code_is(1);
    assert!(missing.stdout.lines().last().is_some_and(|line| line.contains("config")), "{missing}");
    sealed.finish();
}

#[test]
fn with_no_login_of_any_agent_nothing_is_ready() {
    let sealed = SealedBox::new();
    sealed.program("claude", "#!/bin/sh\necho '1.2.3 (Claude Code)'\n");
    sealed.config("router: {mode: round_robin, agents: [claude]}\n");
    let missing = sealed.orch(["doctor"]).code_is(1);
    assert!(missing.stdout.contains("no agent has a login (claude)"), "{missing}");
    assert!(missing.stdout.lines().last().is_some_and(|line| line.starts_with("not ready: agents")), "{missing}");
}

#[test]
fn a_missing_git_identity_is_found_by_doctor_and_by_init() {
    let sealed = SealedBox::new();
    let repo = sealed.repo("shop");
    sealed.program("worker", "#!/bin/sh\n:\n");
    sealed
        .config("agents: {worker: {kind: command, command: worker}}\nrouter: {mode: round_robin, agents: [worker]}\n");
    let known = sealed.orch_in(repo.dir(), ["doctor", "--json"]).json().to_string();
    assert!(known.contains("Test Person"), "{known}");
    for key in ["user.name", "user.email"] {
        repo.git(["config", "--unset", key]);
    }
    // git guesses a name from the system's where that has one.
    repo.git(["config", "user.useConfigOnly", "true"]);
    let init = sealed.orch_in(repo.dir(), ["init"]).ok();
    assert!(init.stderr.contains("git does not know who commits") && init.stderr.contains("user.email"), "{init}");
    for dir in [repo.dir(), sealed.base()] {
        let missing = sealed.orch_in(dir, ["doctor"]).code_is(1);
        assert!(missing.stdout.contains("not ready: author"), "{missing}");
    }
    sealed.finish();
}

// ---- serve

#[test]
fn a_daemon_in_the_background_answers_when_the_command_returns_and_outlives_it() {
    let (sealed, repo) = setup("");
    let began = sealed.run_program_in(ORCH, repo.dir()).args(["serve", "-d", "--json"]).deadline(RUN).run().ok();
    let pid = began.json()["pid"].clone();
    assert_eq!(status(&sealed)["pid"], pid);
    let id = add(&sealed, &repo, "One");
    until_done(&sealed, &id);
    let again = sealed.run_program(ORCH).args(["serve", "-d"]).deadline(RUN).run().code_is(7);
    assert!(again.stderr.contains("runs already"), "{again}");
    let replaced = sealed.run_program(ORCH).args(["serve", "-d", "--replace", "--json"]).deadline(RUN).run().ok();
    assert_ne!(replaced.json()["pid"], pid);
    sealed.run_program(ORCH).args(["shutdown"]).deadline(RUN).run().ok();
    sealed.finish();
}

#[test]
fn serve_says_what_it_finds_wrong_where_it_is_started() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (mut sealed, _repo) = setup(&format!("http: {{listen: '{address}'}}\n"));
    sealed.serve();
    wait::wait_until("the word of the port", RUN, || {
        sealed.daemon().said().1.contains(&format!("http.listen {address}"))
    });
    sealed.stop_daemon().ok();
    sealed.config("engine: {max_parallel: many}\n");
    let began = sealed.run_program(ORCH).args(["serve", "-d"]).deadline(RUN).run().ok();
    assert!(began.stderr.contains("config.yml:1"), "{began}");
    sealed.run_program(ORCH).args(["shutdown"]).deadline(RUN).run().ok();
    sealed.finish();
}

// ---- aliases

#[test]
fn twenty_thousand_tasks_through_one_alias_are_refused_quickly_with_the_reason() {
    let (sealed, _repo) = setup("");
    sealed.write_tasks(&format!("tasks:\n- &a {{title: x}}\n{}", "- *a\n".repeat(20_000)));
    let said = sealed.run_program(ORCH).args(["list"]).deadline(SOON).run();
    assert!(said.stderr.contains("more than 5000 aliases") && !said.stderr.contains("does not answer"), "{said}");
    sealed.finish();
}

#[test]
fn a_mistake_in_the_settings_has_the_documented_exit_codes() {
    let (sealed, repo) = setup("");
    sealed.config("bogus: 1\n");
    for (args, code) in [
        (&["list"][..], 0),
        (&["status"], 0),
        (&["task", "add", "One"], 0),
        (&["config", "show"], 2),
        (&["config", "validate"], 2),
        (&["init"], 2),
        (&["models", "list"], 2),
        (&["task", "run", "1"], 75),
        (&["serve", "--once"], 2),
        (&["serve", "--until-idle"], 2),
        (&["pulse"], 2),
        (&["doctor"], 1),
        (&["models", "check"], 64),
    ] {
        let ran = sealed.run_program_in(ORCH, repo.dir()).args(args).deadline(RUN).run();
        assert_eq!(ran.code, Some(code), "{args:?}: {ran}");
    }
    sealed.finish();
}

// ---- a full disk

/// Creates a home on a small disk, fills the disk, and checks.
const ON_A_FULL_DISK: &str = r#"
mkdir "$PLACE"; mount -t tmpfs -o size=4m none "$PLACE" || exit 99
export ORCH_HOME="$PLACE/home"; mkdir -m 700 "$ORCH_HOME"
"$ORCH" init > /dev/null && "$ORCH" add 'One thing' > /dev/null 2>&1 || exit 98
# It ends when the disk is full.
dd if=/dev/zero of="$PLACE/filler" bs=1k count=9000 2> /dev/null
for command in list status 'show 1' 'why 1' events; do "$ORCH" $command || { echo "$command: $?" >&2; exit 97; }; done
if "$ORCH" add 'Another thing'; then exit 96; fi
"#;

#[test]
fn commands_that_only_look_work_on_a_full_disk_and_others_say_why_not() {
    let (sealed, repo) = setup("");
    let run = |script: &str| {
        let program = sealed.run_program_in("unshare", repo.dir()).args(["-rm", "sh", "-c", script]);
        let place = sealed.base().join("small disk");
        program.envs([("PLACE", place.as_os_str()), ("ORCH", ORCH.as_ref())]).deadline(RUN).run()
    };
    let can_try = sealed.run_program("sh").args(["-c", "command -v unshare"]).run().code == Some(0);
    if !can_try || run("mkdir \"$PLACE\" && mount -t tmpfs none \"$PLACE\"").code != Some(0) {
        // Only Linux lets anybody mount a disk of his own, and not everywhere.
        return;
    }
    std::fs::remove_dir(sealed.base().join("small disk")).expect("it is empty");
    let ran = run(ON_A_FULL_DISK).ok();
    assert!(ran.stdout.contains("One thing") && ran.stderr.contains("disk is full"), "{ran}");
    sealed.finish();
}
