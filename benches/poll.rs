//! The alternative to `orch stream`: polls each pane every two seconds for new lines.

use crate::fixture::Fixture;
use crate::measure::{now_ns, pause};
use crate::watch::Seen;
use orch_sys::process::{Invocation, run};
use std::path::Path;
use std::time::Duration;

/// The polling interval.
const PERIOD: Duration = Duration::from_secs(2);

/// Polls all panes of the box this many times; returns when the first and the last poll started.
pub fn poll(fixture: &Fixture, times: usize) -> (Seen, (u64, u64)) {
    let socket = fixture.sealed().tmux_socket().expect("orch's tmux runs");
    let sessions = tmux(fixture, &socket, &["list-sessions", "-F", "#{session_name}"]);
    let (mut seen, mut begun) = (Seen::default(), Vec::new());
    for _ in 0..times {
        begun.push(now_ns());
        for session in sessions.lines() {
            let screen = tmux(fixture, &socket, &["capture-pane", "-p", "-t", &format!("={session}:")]);
            let at = now_ns();
            for line in screen.lines() {
                // Most of a screen was there the last time.
                seen.again(line, at);
            }
        }
        pause(PERIOD);
    }
    (seen, (begun[0], begun[times - 1]))
}

fn tmux(fixture: &Fixture, socket: &Path, args: &[&str]) -> String {
    let call: Invocation = fixture.program("tmux", fixture.sealed().base()).arg("-S").arg(socket).args(args);
    run(&call).expect("tmux runs").text()
}
