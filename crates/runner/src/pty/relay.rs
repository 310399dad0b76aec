//! Relays between a program's terminal and the pane, on a thread of its own: output of the program goes to the raw file,
//! to the pane and to the emulator, whose lines are appended to the run's output; what a person types goes to the
//! program. The thread sleeps while nothing happens, and ends when [`Relay::finish`] is called.

use super::super::launch::RunDir;
use super::super::log_file::{LogFile, Lost};
use super::super::signals;
use super::emulator::{Screen, encode_size};
use super::person::PaneTerminal;
use super::raw_file::RawFile;
use orch_sys::clock::instant;
use orch_sys::process::{Invocation, Terminal, TerminalSize, start_on_terminal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Output has settled when none came for this time.
const SETTLE_TIME: Duration = Duration::from_millis(5);

/// How long reading the screen is put off while output goes on.
const MAX_DELAY: Duration = Duration::from_millis(50);

/// The most bytes that one step reads, so that other work gets its turn.
const STEP_BYTES: usize = 64 << 10;

/// The most bytes that are read after the program has ended.
const MAX_REST: usize = 16 << 20;

/// The most typed bytes that are buffered for a program that does not read.
const MAX_TYPED: usize = 64 << 10;

/// The runner's side of a program's terminal.
pub(crate) struct Relay {
    thread: JoinHandle<()>,
    /// Closing it tells the thread that the program has ended.
    running: UnixStream,
    printed: Arc<AtomicU64>,
}

impl Relay {
    /// Starts the program on a terminal of the pane's size. Its lines are appended to `lines`.
    ///
    /// # Errors
    /// The kernel's error, also for a failed start: then nothing runs.
    pub(crate) fn start(invocation: &Invocation, dir: &RunDir, lines: File) -> io::Result<(Pid, Self)> {
        let mut raw = RawFile::open(dir)?;
        let (running, ended) = UnixStream::pair()?;
        // Before the size is read, so that no change of it is missed.
        let window = signals::window_changes()?;
        let pane = PaneTerminal::take_over()?;
        let size = pane.size();
        raw.write(encode_size(size).as_bytes(), &String::new);
        let (pid, terminal) = start_on_terminal(invocation, size)?;
        let printed = Arc::new(AtomicU64::new(0));
        let relay = RelayThread {
            terminal: Some(terminal),
            typed: Vec::new(),
            pane,
            window,
            ended,
            size,
            screen: Screen::new(size),
            raw,
            lines: LogFile::new(lines),
            pending: None,
            printed: Arc::clone(&printed),
        };
        match thread::Builder::new().name("relay".into()).spawn(|| relay.run()) {
            Ok(thread) => Ok((pid, Self { thread, running, printed })),
            Err(error) => {
                // No thread would read its output. It may have ended by itself.
                let _ = kill_process_group(pid, Signal::KILL);
                Err(error)
            }
        }
    }

    /// Returns the counter of the bytes that the program has written.
    pub(crate) fn printed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.printed)
    }

    /// Reads the rest of the output, appends the remaining lines, and restores the pane. The program must have ended.
    pub(crate) fn finish(self) {
        drop(self.running);
        // A thread that panicked has written what it could.
        let _ = self.thread.join();
    }
}

/// When the output since the last reading of the screen began, and when the last of it came.
#[derive(Clone, Copy)]
struct Pending {
    first: Instant,
    last: Instant,
}

/// The state of the thread.
struct RelayThread {
    /// The terminal; `None` once the program has closed it.
    terminal: Option<Terminal>,
    /// Typed bytes that the program has not read yet.
    typed: Vec<u8>,
    pane: PaneTerminal,
    /// Readable after a change of the pane's size.
    window: UnixStream,
    /// Reads end of file when the program has ended.
    ended: UnixStream,
    size: TerminalSize,
    screen: Screen,
    raw: RawFile,
    lines: LogFile,
    pending: Option<Pending>,
    printed: Arc<AtomicU64>,
}

impl RelayThread {
    fn run(mut self) {
        while !self.wait() {
            self.resize();
            self.forward_input();
            self.read(STEP_BYTES);
            self.pane.send(&|| self.screen.redraw());
            self.read_screen();
        }
        self.read(MAX_REST);
        let rest = self.screen.finish(instant());
        self.append_lines(&rest);
        self.pane.restore(&|| self.screen.redraw());
    }

    /// Sleeps until there is something to do. Returns whether the program has ended.
    fn wait(&self) -> bool {
        let now = instant();
        let settled = self.pending.map(|pending| (pending.last + SETTLE_TIME).min(pending.first + MAX_DELAY));
        let due = [settled, self.screen.next_check()].into_iter().flatten().min();
        let limit = due.map(|due| due.saturating_duration_since(now));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let interest = if self.typed.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let mut fds = vec![PollFd::new(&self.ended, PollFlags::IN), PollFd::new(&self.window, PollFlags::IN)];
        fds.extend(self.terminal.as_ref().map(|terminal| PollFd::new(terminal, interest)));
        fds.extend(self.pane.poll_fds(self.terminal.is_some() && self.typed.len() < MAX_TYPED));
        // An interruption by a signal counts as an event.
        let _ = poll(&mut fds, limit.as_ref());
        !fds[0].revents().is_empty()
    }

    fn resize(&mut self) {
        let mut bytes = [0; 64];
        if !matches!(self.window.read(&mut bytes), Ok(1..)) {
            return;
        }
        let size = self.pane.size();
        if size != self.size {
            self.size = size;
            self.raw.write(encode_size(size).as_bytes(), &|| self.screen.snapshot());
            self.screen.resize(size, instant());
            // Fails if the program has just ended.
            let _ = self.terminal.as_ref().map(|terminal| terminal.resize(size));
        }
    }

    /// Passes typed input on to the program.
    fn forward_input(&mut self) {
        if self.typed.len() < MAX_TYPED {
            self.pane.typed(&mut self.typed);
        }
        let Some(terminal) = &mut self.terminal else { return self.typed.clear() };
        if !self.typed.is_empty()
            && let Ok(count) = terminal.write(&self.typed)
        {
            self.typed.drain(..count);
        }
    }

    /// Reads up to `most` bytes of the program's output.
    fn read(&mut self, most: usize) {
        let mut buffer = [0; 16 << 10];
        let mut left = most;
        while let Some(terminal) = self.terminal.as_mut().filter(|_| left > 0) {
            match terminal.read(&mut buffer) {
                Ok(count @ 1..) => {
                    left = left.saturating_sub(count);
                    self.handle_output(&buffer[..count]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.terminal = None,
            }
        }
    }

    fn handle_output(&mut self, bytes: &[u8]) {
        let now = instant();
        // The raw file comes first: it survives this process.
        self.raw.write(bytes, &|| self.screen.snapshot());
        self.printed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.pane.show(bytes);
        self.screen.write(bytes, now);
        self.pending = Some(Pending { first: self.pending.map_or(now, |pending| pending.first), last: now });
    }

    /// Reads the screen, if it is due.
    fn read_screen(&mut self) {
        let now = instant();
        let settled =
            self.pending.is_some_and(|pending| now >= pending.last + SETTLE_TIME || now >= pending.first + MAX_DELAY);
        if settled || self.screen.next_check().is_some_and(|due| now >= due) {
            self.pending = None;
            let lines = self.screen.new_lines(now);
            self.append_lines(&lines);
        }
    }

    fn append_lines(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            self.lines.write(&text, gap);
        }
    }
}

/// Renders the line that marks a gap.
fn gap(lost: &Lost) -> String {
    format!("— {} lines could not be written here: {}\n", lost.lines, lost.cause)
}
