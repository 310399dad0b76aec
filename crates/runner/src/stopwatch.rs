//! Measures how long each tool call takes, from the times at which call and result were read. PURE: time is an argument.
//! Where the CLI reports a duration, or none can be known, nothing is measured: no duration is better than a false one.

use orch_core::tasks::outcome::AgentEvent;
use std::collections::HashMap;
use std::time::Duration;

/// The most calls that are measured at once; further calls have no duration.
const MAX_OPEN: usize = 1024;

/// Measures the calls of one run.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    /// The time and the line at which each open call was read, by its id.
    open: HashMap<String, (Duration, u64)>,
    line: u64,
}

impl Stopwatch {
    /// Begins the next line of output. A result in the same line as its call has no duration: both were printed at the end.
    pub(super) fn next_line(&mut self) {
        self.line += 1;
    }

    /// Sets the duration of a result that has none. `at` is when the event arrived, since any fixed moment; `None` when
    /// that is unknown because the event is read late.
    pub(super) fn time(&mut self, event: &mut AgentEvent, at: Option<Duration>) {
        if let AgentEvent::ToolCall { id, .. } = event {
            self.open.remove(id.as_str());
            if let Some(at) = at.filter(|_| self.open.len() < MAX_OPEN) {
                self.open.insert(id.clone(), (at, self.line));
            }
        } else if let AgentEvent::ToolResult { id, took_ms, .. } = event {
            let started = self.open.remove(id.as_str()).filter(|(_, line)| *line != self.line);
            let between = || at?.checked_sub(started?.0);
            *took_ms = took_ms.or_else(|| u64::try_from(between()?.as_millis()).ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> AgentEvent {
        AgentEvent::ToolCall { id: id.into(), name: "Bash".into(), input: String::new() }
    }

    fn result(id: &str, took_ms: Option<u64>) -> AgentEvent {
        AgentEvent::ToolResult { id: id.into(), ok: true, output: String::new(), took_ms, edits: Vec::new() }
    }

    /// Returns the durations of the results, with each event in a line of its own at the given second.
    fn durations(events: Vec<(AgentEvent, Option<u64>)>) -> Vec<Option<u64>> {
        let mut watch = Stopwatch::default();
        let timed = events.into_iter().filter_map(|(mut event, at)| {
            watch.next_line();
            watch.time(&mut event, at.map(Duration::from_secs));
            let AgentEvent::ToolResult { took_ms, .. } = event else { return None };
            Some(took_ms)
        });
        timed.collect()
    }

    #[test]
    fn parallel_calls_have_each_their_own_duration() {
        let events = vec![
            (call("a"), Some(1)),
            (call("b"), Some(2)),
            (result("b", None), Some(5)),
            (result("a", None), Some(9)),
            (result("a", None), Some(10)),
        ];
        assert_eq!(durations(events), [Some(3000), Some(8000), None]);
    }

    #[test]
    fn what_was_read_late_and_what_is_unknown_has_no_duration() {
        let late =
            vec![(call("a"), None), (result("a", None), Some(5)), (call("b"), Some(6)), (result("b", None), None)];
        assert_eq!(durations(late), [None, None]);
        assert_eq!(durations(vec![(result("never started", None), Some(5))]), [None]);
        assert_eq!(durations(vec![(call("a"), Some(5)), (result("a", Some(42)), Some(9))]), [Some(42)]);
    }

    #[test]
    fn a_call_that_is_printed_with_its_result_has_no_duration() {
        let mut watch = Stopwatch::default();
        let (mut started, mut ended) = (call("a"), result("a", None));
        watch.time(&mut started, Some(Duration::from_secs(1)));
        watch.time(&mut ended, Some(Duration::from_secs(1)));
        assert_eq!(ended, result("a", None));
    }

    #[test]
    fn open_calls_take_a_bounded_room() {
        let mut watch = Stopwatch::default();
        for id in 0..5000 {
            watch.time(&mut call(&id.to_string()), Some(Duration::ZERO));
        }
        assert_eq!(watch.open.len(), MAX_OPEN);
    }
}
