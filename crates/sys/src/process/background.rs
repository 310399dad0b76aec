//! Runs a program on the async runtime. Dropping the future kills the program.

use super::blocking::DRAIN;
use super::invocation::{EndBy, Invocation, ProcessError};
use super::output::{Collected, Output, exit_of, output};
use super::progress::{Watch, stuck};
use orch_core::tasks::outcome::Exit;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// Runs a program like [`super::run`], without blocking the caller's thread.
///
/// # Errors
/// As [`super::run`].
pub async fn run_async(invocation: &Invocation) -> Result<Output, ProcessError> {
    run_within(invocation, None).await
}

/// Runs a program like [`run_async`], and kills it when it makes no progress.
///
/// # Errors
/// As [`run_async`], and [`ProcessError::NoProgress`].
pub async fn run_watched(invocation: &Invocation, watch: Watch<'_>) -> Result<Output, ProcessError> {
    run_within(invocation, Some(watch)).await
}

async fn run_within(invocation: &Invocation, watch: Option<Watch<'_>>) -> Result<Output, ProcessError> {
    let mut command = Command::from(invocation.group_command());
    let stdin = if invocation.stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|source| invocation.start_error(source))?;
    let mut group = Group { child, ending: invocation.ending };
    let (mut out, mut err) = (Collected::new(invocation), Collected::new(invocation));
    let pid = group.child.id();
    let stuck = async {
        match (watch, pid) {
            (Some(watch), Some(pid)) => (pid, stuck(pid, watch).await),
            (None, _) | (_, None) => std::future::pending().await,
        }
    };
    let exchange = timeout(invocation.time_limit, communicate(invocation, &mut group.child, &mut out, &mut err));
    let result = tokio::select! {
        result = exchange => result,
        (pid, quiet) = stuck => {
            return Err(ProcessError::NoProgress { label: invocation.label(), pid, quiet });
        }
    };
    match result {
        Ok(exit) => exit.map(|exit| output(exit, out, err)),
        Err(_) => {
            group.end().await;
            let unfinished = Exit { code: None, signal: None };
            let printed = Some(Box::new(output(unfinished, out, err)));
            Err(ProcessError::TimedOut { label: invocation.label(), limit: invocation.time_limit, printed })
        }
    }
}

/// How long a container may take to end its processes.
const CONTAINER_END: Duration = Duration::from_secs(5);

/// A child with its process group, which is killed if it is dropped before it has ended.
struct Group {
    child: Child,
    ending: EndBy,
}

impl Group {
    /// Returns the group's leader while it is not reaped; afterwards its number may belong to another process.
    fn leader(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    /// Asks a container to end its processes and waits for it; what does not react is killed.
    async fn end(&mut self) {
        if self.ending == EndBy::Ask
            && let Some(leader) = self.leader()
        {
            let _ = kill_process(leader, Signal::TERM);
            let _ = timeout(CONTAINER_END, self.child.wait()).await;
        }
        if let Some(leader) = self.leader() {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader() {
            let _ = match self.ending {
                EndBy::Kill => kill_process_group(leader, Signal::KILL),
                EndBy::Ask => kill_process(leader, Signal::TERM),
            };
        }
    }
}

async fn communicate(
    invocation: &Invocation,
    child: &mut Child,
    out: &mut Collected,
    err: &mut Collected,
) -> Result<Exit, ProcessError> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut streams = Box::pin(async {
        let write = async {
            write_all(stdin, &invocation.stdin).await;
            Ok(())
        };
        tokio::try_join!(write, collect(stdout, out, invocation), collect(stderr, err, invocation))
    });
    // Both branches may be cancelled: `wait` is cancel-safe, and the streams keep what they have read.
    let exit = tokio::select! {
        exit = wait(child, invocation) => exit?,
        read = &mut streams => {
            read?;
            return wait(child, invocation).await;
        }
    };
    if let Ok(read) = timeout(DRAIN, &mut streams).await {
        read?;
    }
    Ok(exit)
}

async fn wait(child: &mut Child, invocation: &Invocation) -> Result<Exit, ProcessError> {
    child.wait().await.map(exit_of).map_err(|source| lost_contact(invocation, source))
}

async fn write_all(stdin: Option<ChildStdin>, bytes: &[u8]) {
    if let Some(mut pipe) = stdin {
        // A program that does not read all of its input is no failure.
        let _ = pipe.write_all(bytes).await;
    }
}

async fn collect(
    stream: Option<impl AsyncRead + Unpin>,
    into: &mut Collected,
    invocation: &Invocation,
) -> Result<(), ProcessError> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut chunk = vec![0; 16 << 10];
    loop {
        match stream.read(&mut chunk).await.map_err(|source| lost_contact(invocation, source))? {
            0 => return Ok(()),
            count => into.push(&chunk[..count]).map_err(|excess| excess.error(invocation))?,
        }
    }
}

fn lost_contact(invocation: &Invocation, source: io::Error) -> ProcessError {
    ProcessError::Lost { label: invocation.label(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::process::{Excess, RUN_MARK, marked};

    fn sh(script: &str) -> Invocation {
        Invocation::new("/bin/sh", "/").args(["-c", script]).env("PATH", "/usr/bin:/bin")
    }

    #[tokio::test]
    async fn it_behaves_like_the_blocking_call() {
        let call = sh("cat; echo err >&2; exit 3").stdin("some input");
        assert_eq!(run_async(&call).await.expect("runs"), super::super::run(&call).expect("runs"));
        let flood = sh("head -c 3000000 /dev/zero");
        let error = run_async(&flood.clone().output_limit(1000, Excess::Kill)).await.expect_err("too much");
        assert!(matches!(error, ProcessError::TooMuchOutput { .. }), "{error}");
        let output = run_async(&flood.output_limit(1000, Excess::KeepTail)).await.expect("runs");
        assert!(output.truncated && output.stdout.len() == 1000);
        let error = run_async(&Invocation::new("/no/such", "/")).await.expect_err("missing");
        assert!(matches!(error, ProcessError::NotFound { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_makes_no_progress_is_named_and_ended_and_one_that_works_is_not() {
        let (limit, samples) = (Duration::from_secs(2), std::sync::Mutex::new(Vec::new()));
        let on_sample = |pid, quiet| samples.lock().expect("not poisoned").push((pid, quiet));
        let watch = Watch { limit, on_sample: &on_sample };
        let error = run_watched(&sh("sleep 100"), watch).await.expect_err("it hangs");
        assert!(matches!(&error, ProcessError::NoProgress { quiet, .. } if *quiet >= limit), "{error}");
        assert!(samples.lock().expect("not poisoned").iter().any(|(pid, quiet)| *pid > 0 && *quiet > limit / 2));
        let works = sh("i=0; while [ $i -lt 12 ]; do sleep 0.3; i=$((i+1)); echo $i; done");
        assert!(run_watched(&works, watch).await.expect("it ends").success());
    }

    #[tokio::test]
    async fn a_server_left_behind_does_not_keep_the_caller_waiting() {
        let started = clock::instant();
        assert_eq!(run_async(&sh("sleep 5 & echo done")).await.expect("runs").text(), "done");
        assert!(started.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn a_limit_and_a_dropped_call_end_the_children_too() {
        let mark = format!("dropped-{}", std::process::id());
        let call = sh("sleep 100 & echo so far; sleep 100").env(RUN_MARK, &mark);
        let error = run_async(&call.clone().time_limit(Duration::from_millis(500))).await.expect_err("too long");
        let ProcessError::TimedOut { printed: Some(printed), .. } = error else { panic!("{error}") };
        assert_eq!(printed.text(), "so far");
        drop(timeout(Duration::from_millis(100), run_async(&call)).await);
        let deadline = clock::instant() + Duration::from_secs(10);
        while !marked(&mark).is_empty() {
            assert!(clock::instant() < deadline, "left behind: {:?}", marked(&mark));
            tokio::task::yield_now().await;
        }
    }
}
