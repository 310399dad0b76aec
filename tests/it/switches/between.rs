//! Tests watchers between two daemons: one that shuts down, one that answers partially, a short command's engine, and
//! none.

use super::fixture::Fixture;
use crate::kit::wait::{self, RUN, SOON};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The answer to one request, before the connection ends.
enum Answer {
    /// As an engine in its last moment.
    Leaving,
    /// Nothing.
    Silence,
    /// A document.
    Document(String),
    /// These events.
    Events(Vec<Value>),
    /// These, and a half of the last.
    Cut(Vec<Value>),
}

impl Answer {
    fn text(&self) -> String {
        let events = |events: &[Value]| events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>();
        let with = |status: &str, kind: &str, body: &str| {
            format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{body}")
        };
        let feed = "text/event-stream";
        match self {
            Self::Leaving => {
                let detail = "the engine is shutting down";
                let problem = json!({"type": "about:blank", "title": "Shutting down", "status": 503, "detail": detail,
                    "code": "shutting_down", "hint": "try again"});
                with("503 Service Unavailable", "application/problem+json", &problem.to_string())
            }
            Self::Silence => String::new(),
            Self::Document(document) => with("200 OK", "application/json", document),
            Self::Events(said) => with("200 OK", feed, &events(said)),
            Self::Cut(said) => {
                let text = events(said);
                let last = text[..text.len() - 2].rfind("data: ").unwrap_or_default();
                with("200 OK", feed, &text[..(last + text.len()) / 2])
            }
        }
    }
}

/// Serves in the place of a daemon: one answer to each request. Returns the requests that came so far.
fn stand_in(socket: &Path, answers: Vec<Answer>) -> Arc<Mutex<Vec<String>>> {
    std::fs::remove_file(socket).ok();
    let listener = UnixListener::bind(socket).expect("a socket in the box");
    let (asked, seen) = (Arc::new(Mutex::new(Vec::new())), socket.to_owned());
    let text = Arc::clone(&asked);
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, request) = loop {
                let (stream, _) = listener.accept().expect("a connection");
                let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
                // A connection that only checks for a daemon sends no request.
                if let Some(request) = head.collect::<Vec<String>>().into_iter().next() {
                    break (stream, request);
                }
            };
            text.lock().expect("nobody panics with it").push(request);
            // Who has heard enough may be gone.
            stream.write_all(answer.text().as_bytes()).ok();
        }
        std::fs::remove_file(seen).ok();
    });
    asked
}

fn get(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("a daemon");
    stream.set_read_timeout(Some(SOON)).expect("a time");
    let request = format!("GET {path} HTTP/1.1\r\nhost: orch\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer that ends");
    answer
}

/// A finished task with all of its events, and the former address of a daemon.
struct Done {
    fixture: Fixture,
    id: String,
    events: Vec<Value>,
    socket: PathBuf,
    about: String,
}

fn done() -> Done {
    let mut fixture = Fixture::new("");
    let id = fixture.add("Tell", "", Some("teller"));
    fixture.sealed.serve();
    fixture.until_started(&[&id]);
    fixture.go();
    fixture.are_done_once(&[&id]);
    let messages = fixture.orch(&["stream", &id, "--from-start", "--json"]).ok().json_lines();
    let events = messages.into_iter().filter(|line| line["type"].is_string()).collect();
    let socket = fixture.sealed.socket().expect("a daemon");
    let about = get(&socket, "/v1/status?brief=true").split_once("\r\n\r\n").expect("an answer").1.to_owned();
    fixture.sealed.stop_daemon().ok();
    Done { fixture, id, events, socket, about }
}

impl Done {
    fn of_type(&self, kind: &str) -> Value {
        self.events.iter().find(|event| event["type"] == kind).expect("such an event").clone()
    }

    /// How a run is announced that is resumed at this place.
    fn run_at(&self, offset: &Value) -> Value {
        let mut run = self.of_type("run");
        run["offset"] = offset.clone();
        run
    }

    /// The first piece of output, in two.
    fn halves(&self) -> [Value; 2] {
        let whole = self.of_type("output");
        let (text, offset) = (whole["content"].as_str().expect("text"), whole["offset"].as_u64().expect("a place"));
        let middle = text.len() / 2;
        let (mut first, mut second) = (whole.clone(), whole.clone());
        first["content"] = text[..middle].into();
        second["content"] = text[middle..].into();
        first["end"] = (offset + middle as u64).into();
        second["offset"] = first["end"].clone();
        [first, second]
    }
}

#[test]
fn a_watcher_goes_on_after_a_daemon_that_was_leaving_and_one_that_said_half_a_word() {
    let done = done();
    let [first, second] = done.halves();
    let mut rest: Vec<Value> = done.events.iter().skip_while(|event| event["type"] != "output").cloned().collect();
    rest[0] = second.clone();
    let asked = stand_in(
        &done.socket,
        vec![
            Answer::Leaving,
            Answer::Events(vec![done.of_type("run"), first.clone()]),
            Answer::Leaving,
            Answer::Silence,
            Answer::Cut(vec![done.run_at(&first["end"]), second]),
            Answer::Events(rest),
        ],
    );
    let ran = done.fixture.orch(&["stream", &done.id, "--from-start"]).code_is(0);
    assert_eq!(Some(ran.stdout.as_str()), done.of_type("output")["content"].as_str());
    let asked = asked.lock().expect("nobody panics with it").clone();
    let cursor = format!("cursor={}:{}", first["run_id"].as_str().expect("a run"), first["end"]);
    assert!(asked.len() == 6 && asked[2..].iter().all(|request| request.contains(&cursor)), "{asked:#?}");
    done.fixture.close();
}

#[test]
fn a_request_in_a_daemons_last_moment_goes_to_the_next_one() {
    let done = done();
    let run = done.of_type("run");
    stand_in(&done.socket, vec![Answer::Leaving, Answer::Events(vec![run, done.of_type("output")])]);
    let all = done.fixture.start(&["stream", "--all"]);
    wait::wait_until("the output", SOON, || all.said().0.contains("told it all"));
    drop(all);
    stand_in(&done.socket, vec![Answer::Leaving, Answer::Events(vec![json!({"the": "next"})])]);
    let status = done.fixture.start(&["status", "--watch", "--json"]);
    wait::wait_until("the status", SOON, || status.said().0.contains("next"));
    drop(status);
    let about = || Answer::Document(done.about.clone());
    stand_in(&done.socket, vec![about(), Answer::Leaving, about(), Answer::Document("[]".to_owned())]);
    assert_eq!(done.fixture.orch(&["task", "list", "--json"]).code_is(0).stdout.trim(), "[]");
    done.fixture.close();
}

#[test]
fn a_command_that_serves_for_a_moment_does_not_end_a_watcher() {
    let done = done();
    let settled = done.of_type("settled");
    let mut lying = settled.clone();
    lying["task"]["status"] = "routed".into();
    lying["task"]["hold"] = json!({"reason": "no_daemon", "detail": "no daemon is running", "until": null});
    let [first, second] = done.halves();
    stand_in(
        &done.socket,
        vec![
            Answer::Events(vec![done.of_type("run"), first, lying]),
            Answer::Events(vec![done.run_at(&second["offset"]), second, settled]),
        ],
    );
    let ran = done.fixture.orch(&["stream", &done.id, "--from-start"]).code_is(0);
    assert_eq!(Some(ran.stdout.as_str()), done.of_type("output")["content"].as_str());
    done.fixture.close();
}

#[test]
fn a_run_that_ends_between_two_daemons_is_watched_until_the_next_one_has_judged_it() {
    let mut fixture = Fixture::new("");
    let id = fixture.add("Tell", "", Some("teller"));
    fixture.sealed.serve();
    fixture.until_started(&[&id]);
    let watcher = fixture.start(&["stream", &id, "--from-start"]);
    wait::wait_until("it to watch", RUN, || watcher.said().0.contains("line 3"));
    fixture.sealed.kill_daemon();
    fixture.go();
    wait::wait_until("the run's end", RUN, || watcher.said().1.contains("the run has ended"));
    fixture.sealed.serve();
    let ran = watcher.finish(RUN).code_is(0);
    assert!(ran.stdout.contains("told it all") && ran.stderr.contains("is done"), "{}{}", ran.stdout, ran.stderr);
    fixture.close();
}

#[test]
fn output_that_cannot_be_read_for_a_moment_is_not_lost() {
    let Done { mut fixture, id, .. } = done();
    fixture.sealed.serve();
    let path = fixture.show(&id)["runs"][0]["transcript"].as_str().map(PathBuf::from).expect("a transcript");
    let aside = path.with_extension("aside");
    // It may be packed by now.
    let was_there = std::fs::rename(&path, &aside).is_ok();
    std::fs::create_dir(&path).expect("a directory in its place");
    let watcher = fixture.start(&["stream", &id, "--from-start"]);
    let log = fixture.sealed.orch_home().join(".orch/orch.log");
    let is_in_trouble = || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        log.contains("a stream is held up") || log.contains("a stream breaks off")
    };
    wait::wait_until("the daemon to say that it cannot read it", SOON, is_in_trouble);
    std::fs::remove_dir(&path).expect("empty");
    if was_there {
        std::fs::rename(&aside, &path).expect("put back");
    }
    let ran = watcher.finish(RUN).code_is(0);
    assert!(ran.stdout.contains("line 0\n") && ran.stdout.contains("told it all"), "{}{}", ran.stdout, ran.stderr);
    fixture.close();
}

#[test]
fn a_place_in_a_run_that_the_next_daemon_does_not_know_leads_to_the_newest_run() {
    let Done { mut fixture, id, events, .. } = done();
    fixture.sealed.serve();
    let run = events[0]["run_id"].as_str().expect("a run");
    let last = run.chars().last().expect("an id");
    let unknown = format!("{}{}", &run[..run.len() - 1], if last == '2' { '3' } else { '2' });
    let socket = fixture.sealed.socket().expect("a daemon");
    let text = get(&socket, &format!("/v1/tasks/{id}/stream?cursor={unknown}:7"));
    assert!(text.contains("line 0\\n") && text.contains("told it all") && text.contains("settled"), "{text}");
    fixture.close();
}

#[test]
fn a_watcher_that_begins_between_two_daemons_waits_for_the_next_one_too() {
    let mut fixture = Fixture::new("");
    let id = fixture.add("Tell", "", Some("teller"));
    fixture.sealed.serve();
    fixture.until_started(&[&id]);
    fixture.sealed.kill_daemon();
    let watcher = fixture.start(&["stream", &id, "--from-start"]);
    wait::wait_until("it to watch", RUN, || watcher.said().0.contains("line 3"));
    fixture.go();
    wait::wait_until("the run's end", RUN, || watcher.said().1.contains("the run has ended"));
    fixture.sealed.serve();
    let ran = watcher.finish(RUN).code_is(0);
    assert!(ran.stdout.contains("told it all") && ran.stderr.contains("is done"), "{}{}", ran.stdout, ran.stderr);
    fixture.close();
}
