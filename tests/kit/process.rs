//! Starts programs in tests: the environment is empty except for given variables, output goes to files, every wait has a
//! deadline, and a program that a test leaves running is killed with its process group.

use super::wait;
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A program to run.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    dir: PathBuf,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    deadline: Duration,
}

/// The exit and the output of a program.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output, with anything that is not UTF-8 replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    what: String,
}

/// A running program. Dropping it kills its process group.
pub struct Running {
    child: Child,
    what: String,
    stdout: File,
    stderr: File,
}

impl Program {
    /// `path` in `dir`; a bare name is looked up in the `PATH` of `env`.
    pub fn new(path: impl AsRef<Path>, dir: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            args: Vec::new(),
            dir: dir.as_ref().to_owned(),
            env: Vec::new(),
            stdin: Vec::new(),
            deadline: wait::RUN,
        }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets variables; the environment has no others.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, env: impl IntoIterator<Item = (K, V)>) -> Self {
        self.env.extend(env.into_iter().map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned())));
        self
    }

    /// Sets its standard input; empty by default.
    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.stdin = text.as_ref().to_owned();
        self
    }

    /// Sets the time after which `run` kills it and panics.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs the program to its end.
    pub fn run(self) -> Ran {
        let deadline = self.deadline;
        self.start().finish(deadline)
    }

    /// Starts the program as the leader of a process group of its own.
    pub fn start(self) -> Running {
        let [mut stdin, stdout, stderr] = [(); 3].map(|()| tempfile::tempfile().expect("a temporary file"));
        stdin.write_all(&self.stdin).and_then(|()| stdin.seek(SeekFrom::Start(0))).expect("a temporary file");
        let what = format!("{} {:?}", self.path.display(), self.args);
        let program = self.looked_up();
        #[expect(clippy::disallowed_methods, reason = "the one place where tests start programs")]
        let mut command = Command::new(program);
        command.args(&self.args).current_dir(&self.dir).env_clear().envs(self.env).process_group(0);
        command.stdin(stdin).stdout(output_to(&stdout)).stderr(output_to(&stderr));
        let child = command.spawn().unwrap_or_else(|error| panic!("{what} does not start: {error}"));
        Running { child, what, stdout, stderr }
    }

    /// Resolves a bare name in the program's own `PATH`, not in the test's.
    fn looked_up(&self) -> PathBuf {
        if self.path.components().count() > 1 {
            return self.path.clone();
        }
        let path = self.env.iter().rev().find(|(key, _)| key == "PATH").map(|(_, path)| path.clone());
        find_program(&self.path, &path.unwrap_or_default()).unwrap_or_else(|| self.path.clone())
    }
}

impl Running {
    /// Returns its process id, which is also its group's.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.exit().is_none()
    }

    /// Sends a signal to the process, not to its group.
    pub fn signal(&self, signal: Signal) {
        // The process may have exited meanwhile.
        let _ = rustix::process::kill_process(self.pid(), signal);
    }

    /// Returns its standard output and standard error so far.
    pub fn said(&self) -> (String, String) {
        (read_all(&self.stdout), read_all(&self.stderr))
    }

    /// Waits for its end. At the deadline its group is killed, and the test fails with its output.
    pub fn finish(mut self, deadline: Duration) -> Ran {
        let Some(status) = wait::poll(deadline, || self.exit()) else {
            self.kill_group();
            let (stdout, stderr) = self.said();
            panic!("{} did not end within {deadline:?}\nstdout:\n{stdout}\nstderr:\n{stderr}", self.what);
        };
        let (stdout, stderr) = self.said();
        Ran { code: status.code(), signal: status.signal(), stdout, stderr, what: std::mem::take(&mut self.what) }
    }

    fn exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of this process can be waited for")
    }

    fn kill_group(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    #[expect(clippy::disallowed_macros, clippy::print_stderr, reason = "the test harness shows it with the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (stdout, stderr) = self.said();
            eprintln!("{} had said until then\nstdout:\n{stdout}\nstderr:\n{stderr}", self.what);
        }
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill_group();
        }
    }
}

impl Ran {
    /// Asserts that the exit code is 0; a failure shows the output.
    pub fn ok(self) -> Self {
        self.code_is(0)
    }

    /// Asserts that the exit code is `code`; a failure shows the output.
    pub fn code_is(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Parses standard output as one JSON document; the test fails if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not one JSON document ({error}): {self}"))
    }

    /// Parses standard output as JSON lines; other lines are skipped.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}\nended with code {:?}, signal {:?}", self.what, self.code, self.signal)?;
        write!(f, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr)
    }
}

/// Finds the executable `name` in a list of directories as in `PATH`.
pub fn find_program(name: &Path, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|dir| dir.join(name)).find(|file| is_executable(file))
}

/// Returns whether `file` is an executable file.
pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn output_to(file: &File) -> Stdio {
    file.try_clone().expect("a file descriptor can be had").into()
}

/// Reads a file that the child may be writing to, by position: the two share one offset.
fn read_all(file: &File) -> String {
    use std::os::unix::fs::FileExt;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = file.read_at(&mut buffer, bytes.len() as u64) {
        bytes.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
