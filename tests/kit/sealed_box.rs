//! A sealed box: a directory with its own HOME, `ORCH_HOME` and environment, in which the real orch runs real programs.
//! Its processes are found by the box's directory, and ended when the box is dropped, also when the test fails.

use super::clis::{self, Agent};
use super::inmates::{self, Inmate};
use super::last_words;
use super::model_server::ModelServer;
use super::process::{Program, Ran, Running, find_program, is_executable};
use super::repo::Repo;
use super::wait::{self, SOON};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The path of the tested orch.
pub const ORCH: &str = env!("CARGO_BIN_EXE_orch");

/// A directory name with characters that programs often mishandle, too long for a socket below it.
const AWKWARD: &str =
    "a long path with  spaces, 'single' and \"double\" quotes, $(dollar) #{brace} %s & ünïcödé 日本 مرحبا";

/// A sealed box.
pub struct SealedBox {
    root: TempDir,
    base: PathBuf,
    env: Vec<(OsString, OsString)>,
    daemon: Option<Running>,
    program: PathBuf,
}

impl SealedBox {
    /// Creates a box with short paths.
    pub fn new() -> Self {
        Self::below(None)
    }

    /// Creates a box whose `ORCH_HOME` and repositories have a long path with unusual characters.
    pub fn awkward() -> Self {
        Self::below(Some(AWKWARD))
    }

    fn below(name: Option<&str>) -> Self {
        let root = tempfile::Builder::new().prefix("ob-").tempdir_in("/tmp").expect("a directory in /tmp");
        let base = name.map_or_else(|| root.path().to_owned(), |name| root.path().join(name));
        let mut new = Self { base, root, env: Vec::new(), daemon: None, program: ORCH.into() };
        for dir in [new.home(), new.orch_home(), new.bin(), new.runtime(), new.path("tmp"), new.base.clone()] {
            std::fs::create_dir_all(dir).expect("a directory in the box");
        }
        new.private(&new.runtime());
        let path = std::env::join_paths([new.bin()].into_iter().chain(new.program_dirs()))
            .expect("no colon in the box's paths");
        for (key, value) in [
            ("PATH", path),
            ("HOME", new.home().into_os_string()),
            ("TMPDIR", new.path("tmp").into_os_string()),
            ("XDG_RUNTIME_DIR", new.runtime().into_os_string()),
            ("ORCH_HOME", new.orch_home().into_os_string()),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm".into()),
        ] {
            new.set(key, value);
        }
        new
    }

    // ---- places

    /// Returns the box's directory, which is always short and plain, and in the environment of every process in the box.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// HOME.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// `ORCH_HOME`.
    pub fn orch_home(&self) -> PathBuf {
        self.base.join("orch")
    }

    /// `XDG_RUNTIME_DIR`.
    pub fn runtime(&self) -> PathBuf {
        self.path("run")
    }

    /// Returns the first directory of `PATH`, for the test's own programs.
    pub fn bin(&self) -> PathBuf {
        self.path("bin")
    }

    /// `tasks.yml`.
    pub fn tasks_file(&self) -> PathBuf {
        self.orch_home().join("tasks.yml")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Returns the directory below which paths are awkward.
    pub fn base(&self) -> &Path {
        &self.base
    }

    // ---- environment

    /// Sets a variable for all programs that are started from now on.
    pub fn set(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        self.unset(&key);
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
    }

    /// Removes a variable.
    pub fn unset(&mut self, key: impl AsRef<OsStr>) {
        self.env.retain(|(name, _)| name != key.as_ref());
    }

    /// Sets the orch that the box runs from now on: another build, or a copy that is not replaced.
    pub fn is_run_by(&mut self, orch: impl Into<PathBuf>) {
        self.program = orch.into();
    }

    /// Returns the orch that the box runs.
    pub fn orch_program(&self) -> &Path {
        &self.program
    }

    /// Returns the environment of the box.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        self.env.clone()
    }

    /// Puts real agent CLIs into `PATH`, points them at `server`, and writes orch's config for it. `config` is appended, and
    /// must not contain `model_map` or `agents`.
    pub fn with_agents(&mut self, agents: &[Agent], server: &ModelServer, config: &str) {
        let directory = clis::directory();
        for agent in agents {
            let setup = clis::setup(*agent, &server.url());
            setup.files.iter().for_each(|(path, text)| super::write_file(&self.home().join(path), text));
            setup.env.iter().for_each(|(key, value)| self.set(key, value));
            symlink(directory.join(agent.name()), self.bin().join(agent.name())).expect("a box gets an agent once");
        }
        self.config(&format!("{}{config}", clis::orch_config()));
    }

    /// Writes a program into [`Self::bin`].
    ///
    /// Another process writes the file, because a child that another test starts at that moment could inherit a handle that
    /// is open for writing, and the program would be "busy".
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let file = self.bin().join(name);
        let args = [OsStr::new("-m"), OsStr::new("755"), OsStr::new("/dev/stdin"), file.as_os_str()];
        self.run_program("install").args(args).stdin(script).run().ok();
        file
    }

    /// Returns the machine's directories of programs without installed agent CLIs: a box has only the agents that the test
    /// gives it.
    fn program_dirs(&self) -> Vec<PathBuf> {
        #[expect(clippy::disallowed_methods, reason = "the box borrows git, tmux and node from the test's own PATH")]
        let own = std::env::var_os("PATH").unwrap_or_default();
        let standard = ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from);
        let found = ["git", "tmux", "node"].into_iter().filter_map(|name| find_program(Path::new(name), &own));
        let mut dirs: Vec<PathBuf> = Vec::new();
        for dir in found.filter_map(|file| file.parent().map(Path::to_owned)).chain(standard) {
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
        dirs.into_iter().enumerate().map(|(index, dir)| self.without_agents(index, dir)).collect()
    }

    /// Returns `dir`, or, if it contains an agent CLI, a directory of links to everything else in it.
    fn without_agents(&self, index: usize, dir: PathBuf) -> PathBuf {
        let is_agent = |name: &OsStr| Agent::ALL.iter().any(|agent| name == agent.name());
        if !Agent::ALL.iter().any(|agent| dir.join(agent.name()).exists()) {
            return dir;
        }
        let links = self.path(&format!("programs-{index}"));
        std::fs::create_dir_all(&links).expect("a directory in the box");
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| !is_agent(&entry.file_name()) && is_executable(&entry.path())) {
            symlink(entry.path(), links.join(entry.file_name())).expect("a link in the box");
        }
        links
    }

    fn private(&self, dir: &Path) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).expect("a directory of our own");
    }

    // ---- what the user does

    /// Creates a repository `name` with one commit, see [`Repo::create`].
    pub fn repo(&self, name: &str) -> Repo {
        Repo::create(&self.base.join(name), self.env())
    }

    /// Creates a repository `name` without a commit.
    pub fn empty_repo(&self, name: &str) -> Repo {
        Repo::create_empty(&self.base.join(name), self.env())
    }

    /// Writes `config.yml`.
    pub fn config(&self, yaml: &str) {
        super::write_file(&self.orch_home().join("config.yml"), yaml);
    }

    /// Writes `tasks.yml`.
    pub fn write_tasks(&self, yaml: &str) {
        super::write_file(&self.tasks_file(), yaml);
    }

    /// Reads `tasks.yml`.
    pub fn read_tasks(&self) -> String {
        super::read_file(&self.tasks_file())
    }

    /// Returns a program to run in the box's base directory.
    pub fn run_program(&self, program: impl AsRef<Path>) -> Program {
        self.run_program_in(program, &self.base)
    }

    /// Returns a program to run in the box, in `dir`.
    pub fn run_program_in(&self, program: impl AsRef<Path>, dir: &Path) -> Program {
        Program::new(program, dir).envs(self.env())
    }

    /// Runs orch in the box's base directory; `task add` runs in the repository if the box has only one, as a user would do.
    pub fn orch<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let words: Vec<&OsStr> = args.iter().take(2).map(OsString::as_os_str).collect();
        let adds = words.first().is_some_and(|word| *word == "add") || words == ["task", "add"];
        let dir = if adds { self.only_checkout() } else { None };
        self.orch_in(dir.as_deref().unwrap_or(&self.base), args)
    }

    /// Creates a registered repository `shop` in which no task starts, because everything is paused.
    pub fn quiet_repo(&self) -> Repo {
        let repo = self.repo("shop");
        self.orch_in(repo.dir(), ["init"]).ok();
        self.orch(["pause"]).ok();
        repo
    }

    /// Returns the main checkout of the only repository in the base directory.
    fn only_checkout(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(&self.base).expect("the box is readable");
        let dirs = entries.map(|entry| entry.expect("the box is readable").path());
        let mut checkouts = dirs.filter(|dir| dir.join(".git/HEAD").exists());
        checkouts.next().filter(|_| checkouts.next().is_none())
    }

    /// Runs orch in `dir`.
    pub fn orch_in<S: AsRef<OsStr>>(&self, dir: &Path, args: impl IntoIterator<Item = S>) -> Ran {
        self.run_program_in(&self.program, dir).args(args).run()
    }

    // ---- the daemon

    /// Starts the daemon, and returns when its socket answers.
    pub fn serve(&mut self) {
        assert!(self.daemon.is_none(), "this box has a daemon already");
        let mut daemon = self.run_program(&self.program).args(["serve"]).start();
        wait::wait_until("the daemon's socket", SOON, || {
            if !daemon.is_running() {
                let (stdout, stderr) = daemon.said();
                panic!("orch serve ended at once\nstdout:\n{stdout}\nstderr:\n{stderr}");
            }
            self.socket().is_some()
        });
        self.daemon = Some(daemon);
    }

    /// Returns the running daemon.
    pub fn daemon(&mut self) -> &mut Running {
        self.daemon.as_mut().expect("this box has a daemon")
    }

    /// Kills the daemon with SIGKILL, like a crash.
    pub fn kill_daemon(&mut self) {
        let daemon = self.daemon.take().expect("this box has a daemon");
        daemon.signal(Signal::KILL);
        daemon.finish(SOON);
    }

    /// Ends the daemon by SIGTERM, and returns its exit and output.
    pub fn stop_daemon(&mut self) -> Ran {
        let daemon = self.daemon.take().expect("this box has a daemon");
        daemon.signal(Signal::TERM);
        daemon.finish(SOON)
    }

    /// Waits for the daemon to end by itself, and returns its exit and output.
    pub fn ended_daemon(&mut self) -> Ran {
        self.daemon.take().expect("this box has a daemon").finish(SOON)
    }

    /// Starts another daemon that replaces the running one, and returns when it serves.
    pub fn replace_daemon(&mut self) {
        let next = self.run_program(ORCH).args(["serve", "--replace"]).start();
        let old = self.daemon.replace(next).expect("this box has a daemon");
        old.finish(SOON).code_is(0);
        wait::wait_until("the next daemon's socket", SOON, || self.socket().is_some());
    }

    /// Returns the API's socket: in the state directory, or in the runtime directory if its path would be too long.
    pub fn socket(&self) -> Option<PathBuf> {
        let not_tmux = |path: &PathBuf| !is_of_tmux(path);
        self.sockets().into_iter().filter(not_tmux).find(|path| UnixStream::connect(path).is_ok())
    }

    /// Returns the socket of orch's own tmux, if there is one.
    pub fn tmux_socket(&self) -> Option<PathBuf> {
        self.sockets().into_iter().find(|path| is_of_tmux(path))
    }

    fn sockets(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut dirs = vec![self.orch_home().join(".orch"), self.runtime()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => dirs.push(entry.path()),
                    Ok(kind) if kind.is_socket() => found.push(entry.path()),
                    Ok(_) | Err(_) => {}
                }
            }
        }
        found
    }

    // ---- the end

    /// Returns the processes of the box.
    pub fn inmates(&self) -> Vec<Inmate> {
        inmates::list(self.root())
    }

    /// Ends the daemon and tmux, and fails the test if another process of the box still runs.
    pub fn finish(mut self) {
        if self.daemon.is_some() {
            self.stop_daemon();
        }
        self.end_tmux();
        let gone = wait::poll(SOON, || self.inmates().is_empty().then_some(()));
        assert!(gone.is_some(), "processes are left in the box: {:#?}", self.inmates());
    }

    fn end_tmux(&self) {
        for socket in self.sockets().iter().filter(|path| is_of_tmux(path)) {
            // An old socket without a server is ignored.
            self.run_program_in("tmux", self.root())
                .args([OsStr::new("-S"), socket.as_os_str(), OsStr::new("kill-server")])
                .run();
        }
    }

    /// Renders the report on a failed test.
    #[expect(clippy::disallowed_macros, clippy::print_stderr, reason = "the test harness shows it with the failure")]
    fn tell_the_end(&self) {
        let (_, stderr) = self.daemon.as_ref().map(Running::said).unwrap_or_default();
        eprintln!("{}", last_words::read(&self.orch_home().join(".orch"), &stderr));
    }

    /// Kills all processes of the box, repeatedly until none is left, because a process may just start another one.
    fn sweep(&self) {
        wait::poll(SOON, || {
            let inmates = self.inmates();
            for pid in inmates.iter().filter_map(|inmate| Pid::from_raw(inmate.pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            inmates.is_empty().then_some(())
        });
    }
}

impl Drop for SealedBox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell_the_end();
        }
        self.daemon = None;
        self.sweep();
    }
}

fn is_of_tmux(socket: &Path) -> bool {
    socket.iter().any(|part| part.as_bytes().starts_with(b"tmux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_alive(pid: i32) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
    }

    /// Starts a process that has left its parent, its session and its environment.
    fn leave_behind(sealed: &SealedBox) -> i32 {
        let ran = sealed.run_program("sh").args(["-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"]).run().ok();
        ran.stdout.trim().parse().expect("a process id")
    }

    #[test]
    fn a_box_ends_what_runs_in_it_and_removes_itself_even_when_the_test_fails() {
        let sealed = SealedBox::new();
        let (root, pid) = (sealed.root().to_owned(), leave_behind(&sealed));
        wait::wait_until("the process to be seen", SOON, || sealed.inmates().iter().any(|one| one.pid == pid));
        let failed = std::thread::spawn(move || {
            let _sealed = sealed;
            std::panic::resume_unwind(Box::new("the test fails"));
        });
        assert!(failed.join().is_err());
        wait::wait_until("the process to be gone", SOON, || !is_alive(pid));
        assert!(!root.exists());
    }

    #[test]
    fn a_box_ends_its_tmux_server() {
        let sealed = SealedBox::awkward();
        let socket = sealed.runtime().join("tmux/default");
        std::fs::create_dir_all(sealed.runtime().join("tmux")).expect("a directory in the box");
        let args = [OsStr::new("-S"), socket.as_os_str(), "new-session".as_ref(), "-d".as_ref(), "sleep 1000".as_ref()];
        sealed.run_program("tmux").args(args).run().ok();
        assert!(sealed.inmates().iter().any(|one| one.command.contains("tmux")));
        sealed.finish();
    }

    #[test]
    fn a_program_sees_nothing_of_the_environment_of_the_test() {
        let sealed = SealedBox::new();
        let ran = sealed.run_program("env").run().ok();
        let mut names: Vec<&str> = ran.stdout.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["HOME", "LANG", "ORCH_HOME", "PATH", "TERM", "TMPDIR", "XDG_RUNTIME_DIR"]);
        for agent in Agent::ALL {
            assert_eq!(
                sealed.run_program("sh").args(["-c", &format!("command -v {}", agent.name())]).run().code,
                Some(127)
            );
        }
    }

    #[test]
    fn a_repository_of_a_box_is_ready_for_commits_below_any_path() {
        for sealed in [SealedBox::new(), SealedBox::awkward()] {
            let repo = sealed.repo("shop");
            assert_eq!(repo.git(["branch", "--show-current"]), "main");
            let linked = repo.worktree(&sealed.base().join("linked"), "work");
            linked.write("a/b.txt", "x\n");
            linked.commit("Add b");
            assert_eq!(repo.subjects("work"), ["Add b", "Begin"]);
            assert_eq!(repo.show("work", "a/b.txt").as_deref(), Some("x\n"));
            assert_eq!(repo.show("main", "a/b.txt"), None);
        }
    }

    #[test]
    fn programs_of_the_test_are_found_first() {
        let sealed = SealedBox::new();
        sealed.program("git", "#!/bin/sh\necho fake\n");
        assert_eq!(sealed.run_program("git").run().ok().stdout, "fake\n");
    }

    #[test]
    fn the_awkward_path_is_too_long_for_a_socket() {
        assert!(SealedBox::awkward().orch_home().as_os_str().len() > 108);
    }
}
