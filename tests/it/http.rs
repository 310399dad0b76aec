//! Tests the API as other programs see it: authentication over TCP, the form of errors, and the correctness of the
//! document.

mod subscribers;

use crate::kit::http::{Answer, Events, ask, get, request};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::{read_file, write_file};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// A daemon with one project; the agent `quick` changes a file.
fn setup(config: &str) -> (SealedBox, Repo, PathBuf) {
    let mut sealed = SealedBox::new();
    sealed
        .program("quick", "#!/bin/sh\ncat > /dev/null\necho 'I did it'\necho more >> README.md; git commit -qam did\n");
    sealed.config(&format!("agents: {{quick: {{kind: command, command: quick}}}}\n{config}"));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    let socket = sealed.socket().expect("a socket");
    (sealed, repo, socket)
}

fn listening(socket: &Path) -> String {
    wait::wait_some("the daemon to listen", SOON, || {
        let url = get(socket, "/v1/status?brief=true").json()["http"].as_str()?.to_owned();
        url.strip_prefix("http://").map(str::to_owned)
    })
}

fn over_tcp(address: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    request(TcpStream::connect(address).expect("it listens"), method, path, headers, "")
}

fn token(sealed: &SealedBox) -> String {
    read_file(&sealed.orch_home().join(".orch/http-token")).trim().to_owned()
}

/// Method and path of every route in the document, with an id of no task in its place.
fn routes(document: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            found.push((method.to_uppercase(), path.replace("{id}", "999")));
        }
    }
    found
}

#[test]
fn silent_connections_take_no_descriptors_from_the_engine_and_one_too_many_gets_an_error() {
    let (mut sealed, _repo, _) = setup("");
    sealed.stop_daemon().ok();
    let limited = format!("ulimit -n 128; exec '{ORCH}' serve");
    let daemon = sealed.run_program("sh").args(["-c", &limited]).start();
    let socket = wait::wait_some("the daemon", SOON, || sealed.socket());
    let silence = || UnixStream::connect(&socket).expect("a listener");
    let mut silent: Vec<UnixStream> = (0..200).map(|_| silence()).collect();
    sealed.write_tasks("- title: one\n  labels: ['agent:quick', 'complexity:simple']\n");
    wait::wait_until("the task's end", RUN, || sealed.read_tasks().contains("status: done"));
    // The connection that checked for the daemon may have taken a slot that is free since.
    let refused = wait::wait_some("no room", SOON, || {
        silent.push(silence());
        Some(get(&socket, "/v1/status?brief=true")).filter(|answer| answer.status != 200)
    });
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (503, Some("failed")), "{refused:?}");
    drop(silent);
    wait::wait_until("room", SOON, || get(&socket, "/v1/status?brief=true").status == 200);
    daemon.signal(Signal::TERM);
    daemon.finish(SOON).ok();
    sealed.finish();
}

#[test]
fn the_output_of_a_run_that_has_not_begun_is_not_taken_for_an_empty_one() {
    let (mut sealed, _repo, _) = setup("");
    sealed.stop_daemon().ok();
    let git = sealed.run_program("sh").args(["-c", "command -v git"]).run().ok().stdout;
    let gate = sealed.base().join("gate");
    let waits =
        format!("case \"$*\" in *'worktree add'*) until [ -e '{}' ]; do sleep 0.02; done;; esac", gate.display());
    sealed.program("git", &format!("#!/bin/sh\n{waits}\nexec '{}' \"$@\"\n", git.trim()));
    sealed.serve();
    let socket = sealed.socket().expect("a socket");
    sealed.write_tasks("- title: one\n  labels: ['agent:quick', 'complexity:simple']\n");
    let runs = || get(&socket, "/v1/tasks/1").json()["runs"].clone();
    let run = wait::wait_some("a run", RUN, || runs()[0]["run_id"].as_str().map(str::to_owned));
    let path = format!("/v1/tasks/1/output?run={run}");
    let early = get(&socket, &path);
    assert_eq!((early.status, early.json()["code"].as_str()), (404, Some("not_found")), "{early:?}");
    assert!(early.body.contains("has not begun"), "{early:?}");
    write_file(&gate, "");
    wait::wait_until("its beginning", RUN, || get(&socket, &path).status == 200);
    assert!(get(&socket, &path).body.contains("I did it"));
    sealed.finish();
}

#[test]
fn over_tcp_nobody_gets_in_without_the_token_or_from_another_site_by_any_route() {
    let (sealed, _, socket) = setup("http: {listen: '127.0.0.1:0'}\n");
    let address = listening(&socket);
    let bearer = format!("Bearer {}", token(&sealed));
    let (host, right) = (("host", address.as_str()), ("authorization", bearer.as_str()));
    let evil = address.replace("127.0.0.1", "evil.example");
    type Try<'a> = (&'a str, u16, Vec<(&'a str, &'a str)>);
    let tries: [Try<'_>; 8] = [
        ("no token", 401, vec![host]),
        ("a wrong token", 401, vec![host, ("authorization", "Bearer 0000000000000000000000000000000000")]),
        ("another scheme", 401, vec![host, ("authorization", "Basic b3JjaDpvcmNo")]),
        ("a name that was bound to this address (DNS rebinding)", 403, vec![("host", &evil), right]),
        ("no host", 403, vec![right]),
        ("another site's page", 403, vec![host, right, ("origin", "http://evil.example")]),
        ("a page without an origin", 403, vec![host, right, ("origin", "null")]),
        ("a form of another site", 403, vec![host, right, ("sec-fetch-site", "cross-site")]),
    ];
    let document = get(&socket, "/v1/openapi.json").json();
    let mut routes = routes(&document);
    routes.push(("GET".to_owned(), "/no/such/route".to_owned()));
    routes.push(("OPTIONS".to_owned(), "/v1/tasks".to_owned()));
    for (method, path) in &routes {
        for (what, status, headers) in &tries {
            let answer = over_tcp(&address, method, path, headers);
            assert_eq!(answer.status, *status, "{method} {path} with {what}: {answer:?}");
            assert_eq!(answer.json()["code"], "denied", "{method} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(get(&socket, "/v1/tasks").json(), json!([]), "nothing was done");
    assert_eq!(over_tcp(&address, "GET", "/v1/tasks", &[host, right]).status, 200);
    let here = format!("http://{address}");
    let own = over_tcp(&address, "GET", "/healthz", &[host, right, ("origin", &here)]);
    assert_eq!((own.status, own.body.as_str()), (200, "ok\n"));
    sealed.finish();
}

#[test]
fn the_port_follows_the_setting_and_the_token_is_kept_and_never_shown() {
    let (mut sealed, _, socket) = setup("");
    let off = sealed.orch(["http", "--json"]).ok().json();
    assert_eq!((&off["listen"], &off["url"]), (&Value::Null, &Value::Null));
    let file = sealed.orch_home().join(".orch/http-token");
    assert_eq!(off["token_file"], file.to_str().expect("a plain path"));
    assert!(!file.exists(), "no token before there is a use for it");
    sealed.orch(["config", "set", "http.listen", "127.0.0.1:0"]).ok();
    let address = listening(&socket);
    let first = token(&sealed);
    assert_eq!(file.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
    let output = sealed.orch(["http"]).ok();
    assert!(output.stdout.contains(&format!("tcp: http://{address}")), "{output}");
    for args in [&["http"][..], &["http", "--json"], &["config", "show"], &["config", "show", "--json"], &["status"]] {
        let ran = sealed.orch(args).ok();
        assert!(!ran.stdout.contains(&first) && !ran.stderr.contains(&first), "{ran}");
    }
    assert!(!read_file(&sealed.orch_home().join(".orch/orch.log")).contains(&first));
    sealed.stop_daemon();
    sealed.serve();
    listening(&socket);
    assert_eq!(token(&sealed), first);
    sealed.config("http: {listen: null}\n");
    wait::wait_until("the port to be closed", SOON, || get(&socket, "/v1/status").json()["http"].is_null());
    sealed.finish();
}

#[test]
fn an_address_that_other_machines_reach_is_refused_and_nothing_listens() {
    let (sealed, _, socket) = setup("");
    let refused = sealed.orch(["config", "set", "http.listen", "0.0.0.0:7777"]).code_is(2);
    assert!(refused.stderr.contains("loopback only"), "{refused}");
    write_file(&sealed.orch_home().join("config.yml"), "http: {listen: '0.0.0.0:0'}\n");
    let answer = wait::wait_some("the problem to be reported", SOON, || {
        let status = get(&socket, "/v1/status").json();
        let problems = status["problems"].to_string();
        problems.contains("http.listen").then_some((problems, status["http"].clone()))
    });
    assert!(answer.0.contains("loopback only") && answer.1.is_null(), "{answer:?}");
    assert!(!sealed.orch_home().join(".orch/http-token").exists());
    // A port in use is reported, and tried again.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    sealed.config(&format!("http: {{listen: '{address}'}}\n"));
    wait::wait_until("that to be reported", SOON, || {
        get(&socket, "/v1/status").json()["problems"].to_string().contains(&format!("http.listen {address}: "))
    });
    drop(taken);
    assert_eq!(listening(&socket), address);
    sealed.finish();
}

#[test]
fn the_document_shows_every_route_and_no_other() {
    let (sealed, _, socket) = setup("");
    let document = get(&socket, "/v1/openapi.json");
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    let routes = routes(&document);
    assert_eq!(routes.len(), orch_server::operations().len());
    let nowhere = "there is no /";
    for (method, path) in &routes {
        let other = if method == "GET" { "POST" } else { "GET" };
        if !routes.contains(&(other.to_owned(), path.clone())) {
            let answer = ask(&socket, other, path, "");
            assert_eq!((answer.status, &answer.json()["code"]), (405, &json!("usage")), "{other} {path}");
        }
        // A stream without an end is not waited for.
        if !path.ends_with("stream") && path != "/v1/events" {
            let answer = ask(&socket, method, path, "");
            let is_routed = answer.status != 405 && !answer.body.contains(nowhere);
            assert!(is_routed, "{method} {path}: {answer:?}");
        }
    }
    assert!(get(&socket, "/v1/nothing").body.contains(nowhere));
    // The router is put together in one place, together with the document.
    let routing = |path: &Path| read_file(path).matches(".route(").count();
    let routing: usize = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/server/src"))
        .iter()
        .map(|path| routing(path))
        .sum();
    assert_eq!(routing, 1);
    sealed.finish();
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn every_error_is_a_problem_with_a_code_and_large_bodies_are_refused() {
    let (sealed, _, socket) = setup("");
    let large = json!({ "title": "x", "body": "y".repeat(3 << 20) }).to_string();
    for (method, path, body, status, code) in [
        ("GET", "/v1/tasks/99", "", 404, "not_found"),
        ("GET", "/v1/tasks/x", "", 400, "usage"),
        ("GET", "/v1/nothing", "", 404, "not_found"),
        ("PUT", "/v1/tasks", "", 405, "usage"),
        ("POST", "/v1/tasks", "{", 400, "usage"),
        ("POST", "/v1/tasks", "{\"tittle\": \"x\"}", 422, "usage"),
        ("POST", "/v1/tasks", "{\"title\": \"\"}", 400, "usage"),
        ("POST", "/v1/tasks", &large, 413, "usage"),
        ("POST", "/v1/tasks/99/run", "", 404, "not_found"),
        ("GET", "/v1/tasks/1/stream?from=x", "", 400, "usage"),
        ("GET", "/v1/tasks/1/stream?cursor=x", "", 400, "usage"),
        ("GET", "/v1/events?after=-1", "", 400, "usage"),
    ] {
        let answer = ask(&socket, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}");
        let problem = answer.json();
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{method} {path}");
        assert!(["type", "title", "detail"].iter().all(|key| problem[key].is_string()), "{problem}");
    }
    // What the command line prints stays as it was.
    let document = sealed.orch(["task", "show", "99", "--json"]).code_is(3).json();
    assert_eq!(document["error"]["code"], "not_found");
    assert_eq!(document["error"]["message"], "there is no task 99");
    sealed.finish();
}

#[test]
fn figures_and_history_tell_what_happened_and_a_history_goes_on_where_it_was_left() {
    let (sealed, repo, socket) = setup("");
    let add = |title: &str| {
        let args = ["task", "add", title, "-l", "agent:quick", "--json"];
        sealed.orch_in(repo.dir(), args).ok().json()["id"].to_string()
    };
    let ids = [add("one"), add("two")];
    wait::wait_until("both to be done", RUN, || {
        get(&socket, "/metrics").body.contains("\norch_tasks{status=\"done\"} 2\n")
    });
    let figures = get(&socket, "/metrics");
    assert_eq!(figures.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "orch_run_starts_total{kind=\"work\"} 2",
        "orch_run_ends_total{kind=\"work\",outcome=\"finished\"} 2",
        "orch_runs_live 0",
        "orch_followed_runs 0",
        "# TYPE orch_loop_turn_seconds histogram",
        "# TYPE orch_journal_commit_seconds histogram",
    ] {
        assert!(figures.body.lines().any(|found| found == line), "{line}\n{}", figures.body);
    }
    let sample = |line: &str| line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok());
    assert!(figures.body.lines().all(|line| line.starts_with("# ") || sample(line)), "{}", figures.body);
    let all: Vec<_> = Events::open(&socket, "/v1/events?follow=false", &[]).collect();
    let seqs: Vec<u64> = all.iter().filter_map(|event| event.data["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert!(
        all.iter().all(|event| event.id == Some(event.data["seq"].to_string()) && event.data["kind"] == event.name)
    );
    let of_two = format!("/v1/events?follow=false&task={}", ids[1]);
    let of_two: Vec<_> = Events::open(&socket, &of_two, &[]).collect();
    assert!(of_two.len() > 3 && of_two.iter().all(|event| event.data["task_id"] == 2));
    let place = of_two[1].id.clone().expect("a place");
    let path = format!("/v1/events?after=0&task={}", ids[1]);
    let resumed = Events::open(&socket, &path, &[("last-event-id", &place)]);
    let resumed: Vec<_> = resumed.take(of_two.len() - 2).map(|event| event.id).collect();
    assert_eq!(resumed, of_two[2..].iter().map(|event| event.id.clone()).collect::<Vec<_>>());
    let wrong = request(
        std::os::unix::net::UnixStream::connect(&socket).expect("a daemon"),
        "GET",
        "/v1/events",
        &[("host", "orch"), ("last-event-id", "x")],
        "",
    );
    assert_eq!(wrong.status, 400);
    sealed.finish();
}
