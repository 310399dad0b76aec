//! Runs a program to its end on the calling thread, without helper threads: one poll covers every event.

use super::invocation::{Invocation, ProcessError};
use super::output::{Collected, Output, exit_of, output};
use crate::clock;
use orch_core::tasks::outcome::Exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long output is still read after the program has ended: a server that it left behind may hold the pipes for ever.
pub(super) const DRAIN: Duration = Duration::from_millis(250);

/// How often a child's end is checked where the kernel cannot announce it.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Runs a program and waits for its end.
///
/// # Errors
/// It cannot be started, or it exceeds a limit, in which case its process group is killed. An exit code other than 0 is
/// not an error.
pub fn run(invocation: &Invocation) -> Result<Output, ProcessError> {
    let mut command = invocation.group_command();
    let stdin = if invocation.stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|source| invocation.start_error(source))?;
    let mut conversation = Conversation::new(invocation, child);
    let result = conversation.run_to_end();
    if result.is_err() {
        conversation.kill();
    }
    let exit = result?;
    Ok(output(exit, conversation.stdout.collected, conversation.stderr.collected))
}

/// A pipe that is read into memory.
struct Source {
    pipe: Option<File>,
    collected: Collected,
}

impl Source {
    fn new(pipe: Option<OwnedFd>, invocation: &Invocation) -> Self {
        Self { pipe: pipe.map(non_blocking), collected: Collected::new(invocation) }
    }

    /// Reads what is available, at most one chunk at a time.
    fn read(&mut self, invocation: &Invocation) -> Result<(), ProcessError> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut chunk = [0; 64 << 10];
        match pipe.read(&mut chunk) {
            Ok(0) => self.pipe = None,
            Ok(count) => self.collected.push(&chunk[..count]).map_err(|excess| excess.error(invocation))?,
            Err(error) if is_transient(&error) => {}
            Err(source) => return Err(ProcessError::Lost { label: invocation.label(), source }),
        }
        Ok(())
    }
}

struct Conversation<'a> {
    invocation: &'a Invocation,
    child: Child,
    /// Becomes readable when the child has ended; `None` where the kernel does not support it.
    ended: Option<OwnedFd>,
    stdin: Option<(File, &'a [u8])>,
    stdout: Source,
    stderr: Source,
}

impl<'a> Conversation<'a> {
    fn new(invocation: &'a Invocation, mut child: Child) -> Self {
        let stdin = child.stdin.take().map(|pipe| (non_blocking(pipe.into()), invocation.stdin.as_slice()));
        let stdout = Source::new(child.stdout.take().map(Into::into), invocation);
        let stderr = Source::new(child.stderr.take().map(Into::into), invocation);
        let ended = exit_descriptor(&child);
        Self { invocation, child, ended, stdin, stdout, stderr }
    }

    fn run_to_end(&mut self) -> Result<Exit, ProcessError> {
        let limit = self.invocation.time_limit;
        let mut deadline = clock::instant() + limit;
        let mut exit = None;
        loop {
            let left = deadline.saturating_duration_since(clock::instant());
            if let Some(exit) = exit
                && (left.is_zero() || (self.stdout.pipe.is_none() && self.stderr.pipe.is_none()))
            {
                return Ok(exit);
            }
            if left.is_zero() {
                return Err(ProcessError::TimedOut { label: self.invocation.label(), limit, printed: None });
            }
            self.wait(left, exit.is_some()).map_err(|source| self.lost(source.into()))?;
            self.stdout.read(self.invocation)?;
            self.stderr.read(self.invocation)?;
            self.write();
            if exit.is_none() {
                exit = self.child.try_wait().map_err(|source| self.lost(source))?.map(exit_of);
                deadline = if exit.is_some() { clock::instant() + DRAIN } else { deadline };
            }
        }
    }

    /// Waits until a pipe is ready, the child has ended, or `left` has passed.
    fn wait(&self, left: Duration, exited: bool) -> Result<(), Errno> {
        let pipes = [&self.stdout.pipe, &self.stderr.pipe];
        let mut fds: Vec<PollFd> = pipes.into_iter().flatten().map(|pipe| PollFd::new(pipe, PollFlags::IN)).collect();
        fds.extend(self.stdin.as_ref().map(|(pipe, _)| PollFd::new(pipe, PollFlags::OUT)));
        let announced = self.ended.as_ref().filter(|_| !exited);
        fds.extend(announced.map(|fd| PollFd::new(fd, PollFlags::IN)));
        let left = if exited || announced.is_some() { left } else { left.min(POLL_INTERVAL) };
        poll_for(&mut fds, left)
    }

    fn write(&mut self) {
        let Some((pipe, rest)) = &mut self.stdin else { return };
        match pipe.write(rest) {
            Ok(count) => *rest = &rest[count..],
            Err(error) if is_transient(&error) => return,
            // The program closed its stdin early: not our failure.
            Err(_) => *rest = &[],
        }
        if rest.is_empty() {
            self.stdin = None;
        }
    }

    fn lost(&self, source: io::Error) -> ProcessError {
        ProcessError::Lost { label: self.invocation.label(), source }
    }

    /// Kills the process group. The leader is not reaped before, so its number cannot belong to another process.
    fn kill(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Polls; an interruption by a signal counts as a wake-up without events.
pub(super) fn poll_for(fds: &mut [PollFd], left: Duration) -> Result<(), Errno> {
    let timeout = Timespec::try_from(left).ok();
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sleeps with an empty poll: for states that nothing announces.
pub(super) fn pause(time: Duration) {
    let start: Instant = clock::instant();
    while let Some(left) = time.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        let _ = poll_for(&mut [], left);
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Makes a pipe end non-blocking. Should the kernel refuse, each use is still preceded by a poll.
fn non_blocking(pipe: OwnedFd) -> File {
    let _ = rustix::io::ioctl_fionbio(pipe.as_fd(), true);
    File::from(pipe)
}

#[cfg(target_os = "linux")]
fn exit_descriptor(child: &Child) -> Option<OwnedFd> {
    rustix::process::pidfd_open(Pid::from_child(child), rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn exit_descriptor(_child: &Child) -> Option<OwnedFd> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Excess;

    fn sh(script: &str) -> Invocation {
        Invocation::new("/bin/sh", "/").args(["-c", script]).env("PATH", "/usr/bin:/bin")
    }

    #[test]
    fn output_exit_code_and_streams_come_back_apart() {
        let output = run(&sh("echo out; echo err >&2; exit 3")).expect("runs");
        assert_eq!((output.exit.code, output.text(), output.error_text()), (Some(3), "out".into(), "err".into()));
        assert!(!output.success() && !output.truncated);
        let killed = run(&sh("kill -TERM $$")).expect("runs");
        assert_eq!((killed.exit.code, killed.exit.signal), (None, Some(15)));
    }

    #[test]
    fn stdin_arrives_whole_and_a_program_that_does_not_read_it_is_no_failure() {
        let text = "x".repeat(1 << 20);
        let output = run(&sh("cat").stdin(text.clone())).expect("runs");
        assert!(output.stdout == text.as_bytes());
        assert!(run(&sh("exit 0").stdin(text)).expect("runs").success());
    }

    #[test]
    fn the_environment_is_empty_but_for_what_was_given() {
        let output = run(&Invocation::new("/usr/bin/env", "/").env("A", "1 2")).expect("runs");
        assert_eq!(output.text(), "A=1 2");
    }

    #[test]
    fn a_time_limit_ends_the_children_too() {
        let started = clock::instant();
        let error = run(&sh("sleep 100 & sleep 100").time_limit(Duration::from_millis(100))).expect_err("too long");
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_server_left_behind_does_not_keep_the_caller_waiting() {
        let started = clock::instant();
        let output = run(&sh("sleep 5 & echo done")).expect("runs");
        assert_eq!(output.text(), "done");
        assert!(started.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn too_much_output_kills_or_is_cut_as_asked() {
        let flood = "head -c 3000000 /dev/zero | tr '\\0' x; echo last";
        let error = run(&sh(flood).output_limit(1000, Excess::Kill)).expect_err("too much");
        assert!(matches!(error, ProcessError::TooMuchOutput { limit: 1000, .. }), "{error}");
        let output = run(&sh(flood).output_limit(1000, Excess::KeepTail)).expect("runs");
        assert!(output.truncated && output.stdout.len() == 1000 && output.stdout.ends_with(b"xlast\n"));
    }

    #[test]
    fn a_missing_program_and_a_missing_directory_are_told_apart() {
        let error = run(&Invocation::new("/no/such/program", "/")).expect_err("missing");
        assert!(matches!(error, ProcessError::NotFound { .. }), "{error}");
        let error = run(&Invocation::new("/bin/sh", "/no/such/dir")).expect_err("missing");
        assert!(matches!(error, ProcessError::NoDirectory { .. }), "{error}");
    }
}
