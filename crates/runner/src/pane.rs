//! Shows the transcript's lines in the tmux pane. The pane may be slow, stuck or gone; the run never waits for it.

use super::fit::Rendered;
use orch_core::text::styled::paint;
use std::borrow::Cow;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// How many batches may wait for a slow pane.
const QUEUE: usize = 16;

/// The most lines of one batch that are shown: more than any screen holds.
const BATCH_LINES: usize = 300;

/// How long [`Pane::close`] waits for the last lines to appear.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);

/// Queues lines for a thread that writes them.
pub(super) struct Pane {
    queue: SyncSender<String>,
    closed: Receiver<()>,
    /// How many lines did not fit since the last batch that did.
    skipped: usize,
}

impl Pane {
    /// Creates a pane that writes to `out`. Write errors are ignored: the terminal may be gone while the agent works on.
    pub(super) fn new(mut out: impl Write + Send + 'static) -> Self {
        let (queue, batches) = sync_channel::<String>(QUEUE);
        let (ended, closed) = sync_channel::<()>(1);
        let write = move || {
            for batch in batches {
                // A terminal that is gone is no reason to stop: the transcript is written elsewhere.
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
        let skipped = self.skipped + lines.len().saturating_sub(BATCH_LINES);
        let mut batch = String::new();
        if skipped > 0 {
            batch.push_str(&format!("\x1b[2m… {skipped} lines skipped here; the transcript has them\x1b[0m\n"));
        }
        for line in &lines[lines.len().saturating_sub(BATCH_LINES)..] {
            batch.push_str(&paint(&line.text, 0, line.style.pen(), &line.spans, |text| Cow::Borrowed(text)));
            batch.push('\n');
        }
        self.skipped = match self.queue.try_send(batch) {
            Ok(()) => 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.skipped + lines.len(),
        };
    }

    /// Waits at most [`CLOSE_TIMEOUT`] for what is queued.
    pub(super) fn close(self) {
        drop(self.queue);
        // The last lines are dropped when the pane does not take them in time.
        let _ = self.closed.recv_timeout(CLOSE_TIMEOUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Style;
    use std::io;
    use std::sync::{Arc, Condvar, Mutex};

    /// A terminal that accepts nothing until it is released.
    #[derive(Default)]
    struct Terminal {
        /// Whether it accepts writes, and what it has accepted.
        state: Mutex<(bool, Vec<u8>)>,
        released: Condvar,
    }

    impl Terminal {
        fn release(&self) {
            self.state.lock().expect("lock").0 = true;
            self.released.notify_all();
        }

        fn shown(&self) -> String {
            String::from_utf8(self.state.lock().expect("lock").1.clone()).expect("text")
        }
    }

    struct Writer(Arc<Terminal>);

    impl Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.state.lock().expect("lock");
            let mut state = self.0.released.wait_while(state, |(free, _)| !*free).expect("lock");
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
    fn a_stuck_pane_blocks_nothing_and_reports_skipped_lines_later() {
        let terminal = Arc::new(Terminal::default());
        let mut pane = Pane::new(Writer(Arc::clone(&terminal)));
        for _ in 0..1000 {
            pane.show(&lines(10));
        }
        assert!(pane.skipped > 0, "the terminal has taken one batch at most");
        terminal.release();
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
        terminal.release();
        let mut pane = Pane::new(Writer(Arc::clone(&terminal)));
        pane.show(&lines(BATCH_LINES + 5));
        pane.close();
        let shown = terminal.shown();
        assert!(shown.starts_with("\x1b[2m… 5 lines skipped"), "{shown}");
        assert!(shown.ends_with("\n304\n"), "{shown}");
    }
}
