//! R13: an agent that prints as fast as it can, with control characters; a watcher that hardly reads, next to one that
//! reads at once.

use crate::check::{self, Allowed};
use crate::fixture::{Ends, Fixture, Job, MARKS};
use crate::gauge;
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, pause, trials};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The row.
pub const ROW: Row = Row {
    id: "R13",
    code: file!(),
    fault: "agent prints megabytes at full speed, a line of 10 MB, NUL, invalid UTF-8, escape sequences; one watcher reads 1 kB/s",
    goal: "daemon below 64 MB, the transcript complete or its gap marked, the other watcher has all of it",
    run: Run::Trials { quick: 4, full: 1000, run },
};

/// The most memory of its own that the daemon may use, in megabytes.
const MOST_MB: u64 = 64;

fn run(megabytes: usize, _: Size) -> Tally {
    let note = Mutex::new(String::new());
    let mut tally = trials(1, 1, |_| storm(megabytes, &note));
    tally.times = megabytes;
    tally.note = note.into_inner().expect("nobody panics with it");
    tally
}

/// Lines of a thousand bytes with their numbers, then what is odd, then the work.
fn program(fixture: &Fixture, megabytes: usize) -> String {
    let go = fixture.note("go").display().to_string();
    format!(
        "while [ ! -e '{go}' ]; do sleep 0.05; done\n\
         awk 'BEGIN {{ pad = sprintf(\"%985s\", \"\"); gsub(/ /, \"x\", pad); \
         for (i = 0; i < {megabytes} * 1000; i++) print \"line \" i \" \" pad }}'\n\
         head -c 10485760 /dev/zero | tr '\\0' y; echo\n\
         printf 'nul \\000 nul\\nbad \\377\\376\\300\\200 utf8\\n'\n\
         awk 'BEGIN {{ for (i = 0; i < 20000; i++) \
         printf \"\\033[%dm\\033[2J\\033]52;c;aGk=\\007\\033P1;1|x\\033\\\\odd %d\\033[0m\\r\\n\", i % 108, i }}'\n\
         echo right > storm.txt; git add -A; git commit -qm Storm; echo the end"
    )
}

fn storm(megabytes: usize, note: &Mutex<String>) -> Findings {
    let file = ("storm.txt".to_owned(), "right\n".to_owned());
    let storm = Job { title: "Storm".into(), script: String::new(), ends: Ends::Done, file, starts: 1 };
    let jobs = [storm, Job::plain("calm", "")];
    let fixture = Fixture::empty("");
    fixture.hire("storm", "kind: command", &program(&fixture, megabytes));
    fixture.sealed.write_tasks(&format!("{}\n{}{}\n", MARKS[0], jobs[0].entry_for("storm"), MARKS[1]));
    let daemon = fixture.serves(1);
    let pid = daemon.pid().as_raw_nonzero().get();
    wait::wait_until("the agent", RUN, || fixture.show(1)["runs"][0]["started_at"].is_string());
    let (over, mut found) = (AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| reads_hardly(&fixture, &over));
        let quick = scope.spawn(|| Seen::read(follow(&fixture)));
        let end = gauge::AtEnd(&over);
        let most = scope.spawn(|| most_memory(pid, &over));
        let begun = Instant::now();
        std::fs::write(fixture.note("go"), "").expect("a file in the box");
        // Others are served meanwhile.
        fixture.save_tasks(&format!("{}\n{}", fixture.sealed.read_tasks().trim_end(), jobs[1].entry()));
        found.extend(fixture.until_done(2, RUN * 5));
        let took = begun.elapsed();
        let seen = quick.join().expect("it only reads");
        drop(end);
        let (most, slow) = (most.join().expect("it only looks"), slow.join().expect("it only reads"));
        found.extend(seen.judged(megabytes * 1000));
        if most / 1024 > MOST_MB {
            found.push(finding(Broken::Lost, format!("the daemon used {} MB", most / 1024)));
        }
        *note.lock().expect("nobody panics with it") = format!(
            "MB in {} s; daemon {} MB at most; {} of the lines left out and said so; the slow watcher got {} kB",
            took.as_secs(),
            most / 1024,
            seen.gaps,
            slow / 1024
        );
    });
    found.extend(fixture.leaves(daemon));
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// The most memory of its own that a process has while it is looked at, in kilobytes.
fn most_memory(pid: i32, over: &AtomicBool) -> u64 {
    let mut most = 0;
    while !over.load(Ordering::SeqCst) {
        most = most.max(gauge::usage(pid).map_or(0, |usage| usage.own_kb));
        pause(Duration::from_millis(20));
    }
    most
}

/// The run's output, followed to its end.
fn follow(fixture: &Fixture) -> impl BufRead {
    let mut stream = UnixStream::connect(fixture.sealed.socket().expect("a daemon")).expect("a daemon that listens");
    stream.set_read_timeout(Some(RUN)).expect("a timeout");
    stream.write_all(b"GET /v1/tasks/1/output HTTP/1.1\r\nhost: orch\r\nconnection: close\r\n\r\n").expect("it reads");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).expect("a head");
    }
    BufReader::new(Unchunked { reader, left: 0 })
}

/// Reads some bytes, then waits a second, and so on. Returns how many came.
fn reads_hardly(fixture: &Fixture, over: &AtomicBool) -> usize {
    let (mut reader, mut buffer, mut all) = (follow(fixture), [0; 1024], 0);
    while !over.load(Ordering::SeqCst) {
        all += reader.read(&mut buffer).expect("a stream that goes on");
        pause(Duration::from_secs(1));
    }
    all
}

/// A body without the marks of its chunks.
struct Unchunked<R> {
    reader: R,
    left: usize,
}

impl<R: BufRead> Read for Unchunked<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut size = String::new();
            while size.trim().is_empty() {
                size.clear();
                if self.reader.read_line(&mut size)? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            self.left = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
        }
        let most = into.len().min(self.left);
        let count = self.reader.read(&mut into[..most])?;
        self.left -= count;
        Ok(count)
    }
}

/// What a watcher saw.
#[derive(Default)]
struct Seen {
    /// The number of the line that comes next.
    next: usize,
    /// Lines that were omitted with a notice.
    gaps: usize,
    /// Lines that were omitted without a notice, or came twice.
    amiss: usize,
    /// Whether there was a notice.
    warned: bool,
    /// The long line, or a notice about its missing part.
    long: usize,
    cut: bool,
    odd: usize,
    /// Control characters that must not be there.
    control: usize,
    end: bool,
}

impl Seen {
    fn read(mut stream: impl BufRead) -> Self {
        let (mut seen, mut line) = (Self::default(), Vec::new());
        while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            seen.line(&String::from_utf8_lossy(&line));
            line.clear();
        }
        seen
    }

    fn line(&mut self, line: &str) {
        let number = |prefix: &str| line.strip_prefix(prefix)?.split([' ', '\r', '\n']).next()?.parse::<usize>().ok();
        self.control += line.chars().filter(|c| c.is_control() && !matches!(c, '\n' | '\t')).count();
        self.warned |= line.contains("bytes of output are left out here");
        self.cut |= line.contains("is too long to be read");
        self.end |= line.starts_with("the end");
        self.odd += usize::from(line.contains("odd "));
        self.long += line.bytes().filter(|byte| *byte == b'y').count();
        if let Some(number) = number("line ") {
            let missing = number.abs_diff(self.next);
            if self.warned {
                self.gaps += missing
            } else {
                self.amiss += missing
            };
            (self.next, self.warned) = (number + 1, false);
        }
    }

    fn judged(&self, lines: usize) -> Findings {
        let rest = lines.abs_diff(self.next);
        let amiss = self.amiss + if self.warned { 0 } else { rest };
        let mut found = Vec::new();
        let mut lost = |text: String| found.push(finding(Broken::Lost, text));
        if amiss > 0 {
            lost(format!("{amiss} of {lines} lines are missing, or came twice, without a word"));
        }
        if self.long < 10 << 20 && !self.cut && !self.warned {
            lost(format!("the long line has {} bytes, and nothing says why", self.long));
        }
        if self.odd != 20_000 && !self.warned {
            lost(format!("{} of 20000 odd lines came", self.odd));
        }
        if !self.end || self.control > 0 {
            lost(format!("the last line came: {}; control characters: {}", self.end, self.control));
        }
        found
    }
}
