//! Tests the daemon's notifications to its supervisor.

use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{self, RUN, SOON};
use rustix::process::Signal;
use std::os::unix::net::UnixDatagram;

/// A supervisor's ear.
struct Supervisor {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Supervisor {
    fn new(sealed: &mut SealedBox, watchdog: &str) -> Self {
        let path = sealed.root().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        sealed.set("NOTIFY_SOCKET", path);
        sealed.set("WATCHDOG_USEC", watchdog);
        Self { socket, heard: Vec::new() }
    }

    fn listen(&mut self) {
        let mut bytes = [0; 1024];
        while let Ok(count) = self.socket.recv(&mut bytes) {
            self.heard.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
        }
    }

    /// Waits until a notification arrived this many times.
    fn until(&mut self, word: &str, times: usize) {
        wait::wait_until(&format!("{times} times {word}"), RUN, || {
            self.listen();
            self.times(word) >= times
        });
    }

    fn times(&self, word: &str) -> usize {
        self.heard.iter().filter(|heard| heard.lines().any(|line| line == word)).count()
    }
}

#[test]
fn the_daemon_notifies_its_supervisor_when_it_serves_lives_and_ends() {
    let mut sealed = SealedBox::new();
    let mut supervisor = Supervisor::new(&mut sealed, "400000");
    sealed.serve();
    let pid = sealed.daemon().pid().as_raw_nonzero().get();
    supervisor.until("READY=1", 1);
    supervisor.until(&format!("MAINPID={pid}"), 1);
    assert!(supervisor.heard[0].contains("READY=1"), "nothing is said before it serves: {:?}", supervisor.heard);
    supervisor.until("WATCHDOG=1", 5);
    sealed.daemon().signal(Signal::HUP);
    // The same process, and the supervisor knows when it serves again.
    supervisor.until("READY=1", 2);
    supervisor.until(&format!("MAINPID={pid}"), 2);
    assert_eq!(supervisor.times("STOPPING=1"), 0, "it does not end: {:?}", supervisor.heard);
    wait::wait_until("it to serve", RUN, || sealed.socket().is_some());
    sealed.stop_daemon().ok();
    supervisor.until("STOPPING=1", 1);
    assert_eq!(supervisor.heard.last().map(String::as_str), Some("STOPPING=1"));
    sealed.finish();
}

#[test]
fn an_agent_is_not_handed_the_way_to_the_supervisor() {
    let mut sealed = SealedBox::new();
    let mut supervisor = Supervisor::new(&mut sealed, "400000");
    let out = sealed.base().join("environment");
    sealed.program("look", &format!("#!/bin/sh\ncat > /dev/null\nenv > '{}'\n", out.display()));
    sealed.config("agents: {look: {kind: command, command: look}}\nrouter: {agents: [look], mode: round_robin}\n");
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    sealed.orch_in(repo.dir(), ["task", "add", "Look", "-l", "agent:look"]).ok();
    wait::wait_until("the agent", RUN, || {
        out.exists() && std::fs::read_to_string(&out).is_ok_and(|text| text.contains("ORCH_RUN_ID"))
    });
    let environment = std::fs::read_to_string(&out).expect("its environment");
    assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"), "{environment}");
    supervisor.until("WATCHDOG=1", 1);
    sealed.finish();
}

#[test]
fn a_daemon_that_stands_still_gives_no_sign_of_life() {
    let mut sealed = SealedBox::new();
    let mut supervisor = Supervisor::new(&mut sealed, "200000");
    sealed.serve();
    supervisor.until("WATCHDOG=1", 3);
    sealed.daemon().signal(Signal::STOP);
    // Notifications before the suspension arrive, and then none, for five times the supervisor's limit.
    let quiet = wait::poll(SOON, || {
        supervisor.listen();
        let before = supervisor.heard.len();
        wait::poll(std::time::Duration::from_secs(1), || {
            supervisor.listen();
            (supervisor.heard.len() > before).then_some(())
        })
        .is_none()
        .then_some(())
    });
    assert!(quiet.is_some(), "{:?}", supervisor.heard);
    sealed.daemon().signal(Signal::CONT);
    let heard = supervisor.times("WATCHDOG=1");
    supervisor.until("WATCHDOG=1", heard + 3);
    sealed.finish();
}
