//! Stands between a program on its terminal and the pane, on a thread of its own: what the program writes goes to the
//! raw file, to the pane and to the emulator; the lines that come of it are appended to the run's output; what a person
//! types goes to the program. It sleeps while nothing happens, and ends when it is told that the program has ended.

use super::super::launch::RunDir;
use super::super::log_file::{LogFile, Lost};
use super::super::signals;
use super::emulator::{Screen, kept_size};
use super::person::Person;
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

/// Output has settled when nothing came for so long.
const QUIET: Duration = Duration::from_millis(5);

/// How long a look is put off while output goes on.
const LATEST: Duration = Duration::from_millis(50);

/// How much is read before everything else gets its turn.
const TURN: usize = 64 << 10;

/// How much is still read when the program has ended.
const REST: usize = 16 << 20;

/// How much of what was typed may wait for a program that does not read.
const TYPED: usize = 64 << 10;

/// The other side of a program's terminal.
pub(crate) struct Relay {
    thread: JoinHandle<()>,
    /// Closed when the program has ended.
    playing: UnixStream,
    printed: Arc<AtomicU64>,
}

impl Relay {
    /// Starts the program on a terminal of the pane's size. Its lines are appended to `lines`.
    ///
    /// # Errors
    /// The kernel's own, of the start as well: nothing runs then.
    pub(crate) fn start(invocation: &Invocation, dir: &RunDir, lines: File) -> io::Result<(Pid, Self)> {
        let mut raw = RawFile::open(dir)?;
        let (playing, ended) = UnixStream::pair()?;
        // Before the size is asked, so that no change of it is missed.
        let window = signals::window_changes()?;
        let person = Person::meet()?;
        let size = person.size();
        raw.write(kept_size(size).as_bytes(), &String::new);
        let (pid, terminal) = start_on_terminal(invocation, size)?;
        let printed = Arc::new(AtomicU64::new(0));
        let show = Show {
            terminal: Some(terminal),
            typed: Vec::new(),
            person,
            window,
            ended,
            size,
            screen: Screen::new(size),
            raw,
            lines: LogFile::new(lines),
            unseen: None,
            printed: Arc::clone(&printed),
        };
        match thread::Builder::new().name("stage".into()).spawn(|| show.run()) {
            Ok(thread) => Ok((pid, Self { thread, playing, printed })),
            Err(error) => {
                // Nobody would read it; it may have ended by itself.
                let _ = kill_process_group(pid, Signal::KILL);
                Err(error)
            }
        }
    }

    /// How many bytes the program has written so far.
    pub(crate) fn printed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.printed)
    }

    /// The program has ended: reads the rest, tells what is still to be told, and gives the pane back.
    pub(crate) fn finish(self) {
        drop(self.playing);
        // A thread that broke has told what it could.
        let _ = self.thread.join();
    }
}

/// What is not looked at yet: when it began to come, and when the last of it came.
#[derive(Clone, Copy)]
struct Unseen {
    first: Instant,
    last: Instant,
}

/// Everything that the thread owns.
struct Show {
    /// `None` once the program has closed it.
    terminal: Option<Terminal>,
    /// What the program has not read yet.
    typed: Vec<u8>,
    person: Person,
    /// Readable after a change of the pane's size.
    window: UnixStream,
    /// At its end when the program has ended.
    ended: UnixStream,
    size: TerminalSize,
    screen: Screen,
    raw: RawFile,
    lines: LogFile,
    unseen: Option<Unseen>,
    printed: Arc<AtomicU64>,
}

impl Show {
    fn run(mut self) {
        while !self.wait() {
            self.resize();
            self.listen();
            self.read(TURN);
            self.person.send(&|| self.screen.drawn());
            self.look();
        }
        self.read(REST);
        let rest = self.screen.finish(instant());
        self.tell(&rest);
        self.person.part(&|| self.screen.drawn());
    }

    /// Sleeps until there is something to do. Returns whether the program has ended.
    fn wait(&self) -> bool {
        let now = instant();
        let settled = self.unseen.map(|unseen| (unseen.last + QUIET).min(unseen.first + LATEST));
        let due = [settled, self.screen.next_look()].into_iter().flatten().min();
        let limit = due.map(|due| due.saturating_duration_since(now));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let wishes = if self.typed.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let mut fds = vec![PollFd::new(&self.ended, PollFlags::IN), PollFd::new(&self.window, PollFlags::IN)];
        fds.extend(self.terminal.as_ref().map(|terminal| PollFd::new(terminal, wishes)));
        fds.extend(self.person.awaited(self.terminal.is_some() && self.typed.len() < TYPED));
        // An interruption by a signal is news as well.
        let _ = poll(&mut fds, limit.as_ref());
        !fds[0].revents().is_empty()
    }

    fn resize(&mut self) {
        let mut bytes = [0; 64];
        if !matches!(self.window.read(&mut bytes), Ok(1..)) {
            return;
        }
        let size = self.person.size();
        if size != self.size {
            self.size = size;
            self.raw.write(kept_size(size).as_bytes(), &|| self.screen.kept());
            self.screen.resize(size, instant());
            // A program that just ended has no size.
            let _ = self.terminal.as_ref().map(|terminal| terminal.resize(size));
        }
    }

    /// Passes on what a person types.
    fn listen(&mut self) {
        if self.typed.len() < TYPED {
            self.person.typed(&mut self.typed);
        }
        let Some(terminal) = &mut self.terminal else { return self.typed.clear() };
        if !self.typed.is_empty()
            && let Ok(count) = terminal.write(&self.typed)
        {
            self.typed.drain(..count);
        }
    }

    /// Takes up to `most` bytes of what the program wrote.
    fn read(&mut self, most: usize) {
        let mut piece = [0; 16 << 10];
        let mut left = most;
        while let Some(terminal) = self.terminal.as_mut().filter(|_| left > 0) {
            match terminal.read(&mut piece) {
                Ok(count @ 1..) => {
                    left = left.saturating_sub(count);
                    self.take(&piece[..count]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.terminal = None,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let now = instant();
        // First where it is kept, whatever becomes of this process.
        self.raw.write(bytes, &|| self.screen.kept());
        self.printed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.person.show(bytes);
        self.screen.write(bytes, now);
        self.unseen = Some(Unseen { first: self.unseen.map_or(now, |unseen| unseen.first), last: now });
    }

    /// Looks at the screen, when it is time.
    fn look(&mut self) {
        let now = instant();
        let settled = self.unseen.is_some_and(|unseen| now >= unseen.last + QUIET || now >= unseen.first + LATEST);
        if settled || self.screen.next_look().is_some_and(|due| now >= due) {
            self.unseen = None;
            let lines = self.screen.look(now);
            self.tell(&lines);
        }
    }

    fn tell(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            self.lines.write(&text, gap);
        }
    }
}

/// The line that marks a gap.
fn gap(lost: &Lost) -> String {
    format!("— {} lines could not be written here: {}\n", lost.lines, lost.cause)
}
