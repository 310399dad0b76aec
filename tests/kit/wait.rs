//! Waiting for a state. The only module of the tests that reads a clock or sleeps; no test waits for a time.

use std::time::{Duration, Instant};

/// The limit for what normally takes milliseconds; only a bug reaches it.
pub const SOON: Duration = Duration::from_secs(20);

/// The limit for a whole run of an agent CLI on a busy machine.
pub const RUN: Duration = Duration::from_secs(120);

/// Waits until `ready`; panics at the deadline, naming `what` was awaited.
pub fn wait_until(what: &str, deadline: Duration, mut ready: impl FnMut() -> bool) {
    wait_some(what, deadline, || ready().then_some(()));
}

/// Waits until `ready` gives a value, and returns it; panics at the deadline, naming `what` was awaited.
pub fn wait_some<T>(what: &str, deadline: Duration, ready: impl FnMut() -> Option<T>) -> T {
    poll(deadline, ready).unwrap_or_else(|| panic!("waited {deadline:?} in vain for {what}"))
}

/// Waits until `ready` and returns at once: it polls without a pause, for a test that must act at that moment.
pub fn catch(what: &str, deadline: Duration, mut ready: impl FnMut() -> bool) {
    let caught = poll_every(Duration::ZERO, deadline, || ready().then_some(()));
    caught.unwrap_or_else(|| panic!("waited {deadline:?} in vain for {what}"));
}

/// Waits until `ready` gives a value, at most until the deadline.
pub fn poll<T>(deadline: Duration, ready: impl FnMut() -> Option<T>) -> Option<T> {
    poll_every(Duration::from_micros(200), deadline, ready)
}

/// Polls with growing pauses: `pause` is the first, each is twice as long as the one before, up to 10 ms.
#[expect(clippy::disallowed_methods, reason = "the one clock and the one pause of the tests")]
fn poll_every<T>(mut pause: Duration, deadline: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}
