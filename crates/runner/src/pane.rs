//! The tmux pane: what a person sees at once. It may be slow, stuck or gone; nothing ever waits for it.

use super::fit::Rendered;
use orch_core::styled::paint;
use std::borrow::Cow;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// How many batches may wait for a slow pane.
const QUEUE: usize = 16;

/// How many lines of one batch are shown: more than any screen holds.
const SHOWN: usize = 300;

/// How long the end of the run waits for the last lines to appear.
const FAREWELL: Duration = Duration::from_millis(300);

/// Hands lines to a thread that writes them.
pub(super) struct Pane {
    queue: SyncSender<String>,
    closed: Receiver<()>,
    /// Lines that did not fit since the last one that did.
    skipped: usize,
}

impl Pane {
    /// A pane that writes to `out`. Its errors are ignored: the terminal may be gone while the agent works on.
    pub(super) fn new(mut out: impl Write + Send + 'static) -> Self {
        let (queue, batches) = sync_channel::<String>(QUEUE);
        let (ended, closed) = sync_channel::<()>(1);
        let write = move || {
            for batch in batches {
                // A pane that is gone is no reason to stop: the transcript is written elsewhere.
                let _ = out.write_all(batch.as_bytes()).and_then(|()| out.flush());
            }
            let _ = ended.send(());
        };
        // Without the thread the receiver is gone, and every line counts as skipped.
        let _ = thread::Builder::new().name("pane".into()).stack_size(128 << 10).spawn(write);
        Self { queue, closed, skipped: 0 }
    }

    /// Shows these lines, or counts them as skipped when the pane is behind.
    pub(super) fn show(&mut self, lines: &[Rendered]) {
        let skipped = self.skipped + lines.len().saturating_sub(SHOWN);
        let mut batch = String::new();
        if skipped > 0 {
            batch.push_str(&format!("\x1b[2m… {skipped} lines skipped here; the transcript has them\x1b[0m\n"));
        }
        for line in &lines[lines.len().saturating_sub(SHOWN)..] {
            batch.push_str(&paint(&line.text, 0, line.style.pen(), &line.spans, |text| Cow::Borrowed(text)));
            batch.push('\n');
        }
        self.skipped = match self.queue.try_send(batch) {
            Ok(()) => 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.skipped + lines.len(),
        };
    }

    /// Waits a moment for what is queued.
    pub(super) fn close(self) {
        drop(self.queue);
        // A pane that does not take its last lines in time is left.
        let _ = self.closed.recv_timeout(FAREWELL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Style;
    use std::io;
    use std::sync::{Arc, Condvar, Mutex};

    /// A terminal that takes nothing until it is let go.
    #[derive(Default)]
    struct Terminal {
        /// Whether it takes anything, and what it has taken.
        state: Mutex<(bool, Vec<u8>)>,
        freed: Condvar,
    }

    impl Terminal {
        fn let_go(&self) {
            self.state.lock().expect("lock").0 = true;
            self.freed.notify_all();
        }

        fn shown(&self) -> String {
            String::from_utf8(self.state.lock().expect("lock").1.clone()).expect("text")
        }
    }

    struct Writer(Arc<Terminal>);

    impl Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.state.lock().expect("lock");
            let mut state = self.0.freed.wait_while(state, |(free, _)| !*free).expect("lock");
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(count: usize) -> Vec<Rendered> {
        (0..count).map(|n| Rendered::plain(Style::Speech, n.to_string())).collect()
    }

    #[test]
    fn a_stuck_pane_holds_nobody_up_and_says_later_what_it_missed() {
        let terminal = Arc::new(Terminal::default());
        let mut pane = Pane::new(Writer(Arc::clone(&terminal)));
        for _ in 0..1000 {
            pane.show(&lines(10));
        }
        assert!(pane.skipped > 0, "the terminal has taken one batch at most");
        terminal.let_go();
        let mut tries = 0;
        while pane.skipped > 0 {
            pane.show(&lines(1));
            tries += 1;
            assert!(tries < 100_000_000);
        }
        pane.close();
        let shown = terminal.shown();
        assert!(shown.contains("lines skipped here; the transcript has them"), "{shown}");
    }

    #[test]
    fn a_flood_is_cut_to_what_a_person_could_see() {
        let terminal = Arc::new(Terminal::default());
        terminal.let_go();
        let mut pane = Pane::new(Writer(Arc::clone(&terminal)));
        pane.show(&lines(SHOWN + 5));
        pane.close();
        let shown = terminal.shown();
        assert!(shown.starts_with("\x1b[2m… 5 lines skipped"), "{shown}");
        assert!(shown.ends_with("\n304\n"), "{shown}");
    }
}
