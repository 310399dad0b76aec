//! Tests a thousand readers of one run's output, one of which never reads: the others do not wait for it, and the
//! daemon's memory stays constant.

use super::setup;
use crate::kit::http::{Events, get};
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

const READERS: usize = 1000;
/// The output before the readers connect: more than sockets and buffers hold.
const BEFORE: usize = 24 << 20;
/// The most that a reader may cost the daemon while it keeps up, in bytes.
const PER_READER: u64 = 128 << 10;

fn figure(socket: &Path, name: &str) -> u64 {
    let page = get(socket, "/metrics").body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}:\n{page}"));
    line.trim().parse().expect("a number")
}

/// `talker` prints much output in long lines, then one line for each change of `say`.
fn talker(sealed: &SealedBox) {
    let base = sealed.base().display().to_string();
    sealed.program(
        "quick",
        &format!(
            "#!/bin/sh\ncat > /dev/null\nyes \"$(head -c 4000 /dev/zero | tr '\\0' x)\" | head -c {BEFORE}\necho; echo ready\n\
             while [ ! -e '{base}/say' ]; do sleep 0.05; done\n\
             for i in 1 2 3 4 5 6 7 8 9 10; do echo \"live $i\"; done\n\
             echo more >> README.md; git commit -qam said; echo 'the end'\n"
        ),
    );
}

#[test]
fn a_thousand_readers_hear_everything_though_one_of_them_never_reads() {
    // Each reader takes a descriptor of this process.
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(4096, |most| most.min(4096));
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).expect("descriptors for the readers");
    }
    let (sealed, repo, socket) = setup("");
    talker(&sealed);
    sealed.orch_in(repo.dir(), ["task", "add", "Talk", "-l", "agent:quick"]).ok();
    wait::wait_until("the talker to be ready", RUN, || {
        get(&socket, "/v1/status").json()["running"][0]["last_line"] == "ready"
    });
    let before = figure(&socket, "process_resident_memory_bytes");
    let mut silent = UnixStream::connect(&socket).expect("a daemon");
    silent.write_all(b"GET /v1/tasks/1/stream?from=0 HTTP/1.1\r\nhost: orch\r\n\r\n").expect("it listens");
    let readers: Vec<Events> = (1..READERS).map(|_| Events::open(&socket, "/v1/tasks/1/stream?tail=0", &[])).collect();
    wait::wait_until("all to be counted", SOON, || {
        figure(&socket, "orch_feed_readers{feed=\"task\"}") == READERS as u64
    });
    assert_eq!(figure(&socket, "orch_followed_runs"), 1);
    let while_reading = figure(&socket, "process_resident_memory_bytes");
    write_file(&sealed.base().join("say"), "");
    for reader in readers {
        let mut text = String::new();
        for event in reader {
            text.push_str(event.data["content"].as_str().unwrap_or_default());
            if event.data["is_final"] == true {
                break;
            }
        }
        let live: Vec<&str> = text.lines().filter(|line| line.starts_with("live ")).collect();
        assert_eq!(live.len(), 10, "{text}");
    }
    let after = figure(&socket, "process_resident_memory_bytes");
    let most = before + READERS as u64 * PER_READER;
    assert!(while_reading < most && after < most, "{before} before, {while_reading} while reading, {after} after");
    drop(silent);
    wait::wait_until("nobody to read any more", SOON, || figure(&socket, "orch_feed_readers{feed=\"task\"}") == 0);
    sealed.finish();
}
