//! What every command gets: the user interface, the environment, the location of the home, and a connection to the
//! engine (the daemon's, or one opened in this process).

use super::error::CliError;
use super::exit::Exit;
use super::ui::Ui;
use super::ui::paint::Paint;
use super::ui::time::Now;
use crate::daemon::{Running, Setup};
use crate::telemetry::{self, Sink};
use jiff::tz::TimeZone;
use orch_api::client::{Client, ClientError, Lines};
use orch_api::endpoint::{self, Request, ToRequest};
use orch_api::status::{EngineMode, StatusView};
use orch_config::environment::overrides;
use orch_config::home::Home;
use orch_core::base::external::External;
use orch_engine::Mode;
use orch_sys::clock::{self, Clock, SystemClock};
use orch_sys::git::Git;
use orch_sys::process::{file_limit, raise_file_limit};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// The context of a command.
pub struct Context {
    /// The user interface.
    pub ui: Ui,
    /// The environment, which is read once.
    pub environment: BTreeMap<String, String>,
    /// The working directory of the command.
    pub cwd: PathBuf,
    /// Settings from the command line.
    pub flags: Vec<(String, String)>,
}

impl Context {
    /// Returns the present time, in the person's time zone.
    pub fn now(&self) -> Now {
        Now { at: SystemClock.now(), zone: TimeZone::system() }
    }

    /// Prints one view of the API: rendered by `text`, or as a JSON document.
    pub async fn present<R>(
        &self,
        request: &R,
        text: impl FnOnce(&R::Answer, &Now, Paint) -> String,
    ) -> Result<Exit, CliError>
    where
        R: ToRequest<Answer: DeserializeOwned>,
    {
        self.present_with_note(request, text, |_, _| None).await
    }

    /// Does the same, and prints a note for a person, which may depend on whether the engine is of this process.
    pub async fn present_with_note<R>(
        &self,
        request: &R,
        text: impl FnOnce(&R::Answer, &Now, Paint) -> String,
        note: impl FnOnce(&R::Answer, bool) -> Option<String>,
    ) -> Result<Exit, CliError>
    where
        R: ToRequest<Answer: DeserializeOwned>,
    {
        let mut link = self.link().await?;
        if self.ui.is_json() {
            self.ui.raw_json(&link.raw(request).await?)?;
        } else {
            let view = link.call(request).await?;
            self.ui.data(&text(&view, &self.now(), self.ui.paint()))?;
            if let Some(note) = note(&view, link.is_own()) {
                self.ui.note(&note);
            }
        }
        link.close().await?;
        Ok(Exit::Done)
    }

    /// Sends a request to the engine, and returns its answer.
    pub async fn fetch<R>(&self, request: &R) -> Result<R::Answer, CliError>
    where
        R: ToRequest<Answer: DeserializeOwned>,
    {
        let mut link = self.link().await?;
        let answer = link.call(request).await?;
        link.close().await?;
        Ok(answer)
    }

    /// Returns the name of the person, taken from the environment.
    pub fn person(&self) -> String {
        let named = self.variable("USER").or_else(|| self.variable("LOGNAME"));
        named.unwrap_or("somebody").to_owned()
    }

    /// Returns the identity used for claims, which other people see.
    pub fn identity(&self) -> String {
        orch_engine::identity_of(&self.environment)
    }

    /// Returns `PATH`.
    pub fn path(&self) -> &str {
        self.environment.get("PATH").map_or("", String::as_str)
    }

    /// Returns the location of the home and the settings of an engine.
    pub fn setup(&self) -> Result<Setup, CliError> {
        let root = match (self.variable("ORCH_HOME"), self.variable("HOME")) {
            (Some(home), _) => resolve(&self.cwd, Path::new(home)),
            (None, Some(home)) => resolve(&self.cwd, &Path::new(home).join(".orch")),
            (None, None) => {
                let hint = "set ORCH_HOME to a directory for orch";
                return Err(CliError::usage("neither ORCH_HOME nor HOME is set", hint));
            }
        };
        let worktrees = self.variable("ORCH_WORKTREES").map(|dir| resolve(&self.cwd, Path::new(dir)));
        Ok(Setup {
            home: Home::new(root, worktrees),
            environment: self.environment.clone(),
            flags: self.flags.clone(),
            orch: std::env::current_exe().map_err(CliError::system("cannot determine the path of orch"))?,
        })
    }

    /// Describes settings from this command's environment and command line that a running engine was not started with,
    /// so that its runs do not have them. `None` if there are none.
    pub fn without_effect(&self, engine: &Engine) -> Option<String> {
        let Engine::Daemon(_, status) = engine else { return None };
        let own = overrides(&self.environment, &self.flags);
        let lost: Vec<&str> = own
            .iter()
            .filter(|(key, mark)| status.overrides.get(*key) != Some(*mark))
            .map(|(key, _)| key.as_str())
            .collect();
        let (pid, keys) = (status.pid, lost.join(", "));
        (!lost.is_empty())
            .then(|| format!("the daemon (pid {pid}) has its own settings: {keys} of this command has no effect there"))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Connects to the daemon, or opens an engine in this process that answers requests but starts nothing.
    pub async fn link(&self) -> Result<Link, CliError> {
        let setup = self.setup()?;
        // Only what matters when this process is the engine, and then only what needs an action.
        telemetry::start(Sink::Stderr, Some(self.variable("ORCH_LOG").unwrap_or("error")));
        let engine = Engine::find(&setup, Mode::Command).await?;
        if let Some(text) = self.without_effect(&engine) {
            self.ui.warning(&text);
        }
        Ok(Link { engine, setup, ui: self.ui, asked: false })
    }
}

/// Returns an absolute path without symbolic links and `..`, as far as the path exists.
pub fn resolve(cwd: &Path, path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in cwd.join(path).components() {
        match part {
            Component::Prefix(_) | Component::RootDir => resolved.push(part),
            Component::CurDir => {}
            Component::ParentDir => drop(resolved.pop()),
            Component::Normal(name) => {
                resolved.push(name);
                if let Ok(real) = resolved.canonicalize() {
                    resolved = real;
                }
            }
        }
    }
    resolved
}

/// How often a request is repeated after the engine that served it shut down.
const RELINKS: usize = 5;
/// How long a command waits for another command's engine.
const HANDOVER: Duration = Duration::from_secs(10);
/// The polling interval while it waits.
const LOOK: Duration = Duration::from_millis(10);

/// The engine that a command talks to.
pub enum Engine {
    /// The engine of another process, and its status.
    Daemon(Client, StatusView),
    /// The engine of this process.
    Own(Running),
}

impl Engine {
    /// Finds the engine that serves this home, or opens one in this process.
    ///
    /// The engine of another short command shuts down when that command ends, whatever else it is asked: this waits for
    /// that.
    pub async fn find(setup: &Setup, mode: Mode) -> Result<Self, CliError> {
        let deadline = Instant::from_std(clock::instant()) + HANDOVER;
        loop {
            let occupied = match setup.connect_or_open(mode).await? {
                (_, Some(running)) => return Ok(Self::Own(running)),
                (client, None) => match client.call(&endpoint::BriefStatus).await {
                    Ok(status) if status.mode != EngineMode::Command => return Ok(Self::Daemon(client, status)),
                    Ok(_) => setup.busy().into(),
                    Err(error) => CliError::from(error),
                },
            };
            if timeout_at(deadline, sleep(LOOK)).await.is_err() {
                return Err(occupied);
            }
        }
    }

    /// Returns a client of the engine.
    pub fn client(&self) -> &Client {
        match self {
            Self::Daemon(client, _) => client,
            Self::Own(running) => &running.client,
        }
    }

    /// Disconnects. An engine of this process first finishes what its mode demands.
    ///
    /// # Errors
    /// `tasks.yml` could not be written; the journal has everything.
    pub async fn leave(self) -> Result<(), CliError> {
        match self {
            Self::Daemon(..) => Ok(()),
            Self::Own(running) => running.finish().await.unwritten.map_or(Ok(()), |why| Err(CliError::Unwritten(why))),
        }
    }

    /// Disconnects at once.
    pub async fn stop(self) {
        if let Self::Own(running) = &self {
            running.signals.shutdown.cancel();
        }
        // What could not be written is in the journal, and the caller reports another error.
        self.leave().await.ok();
    }
}

/// A connection to an engine, for one command.
pub struct Link {
    engine: Engine,
    setup: Setup,
    ui: Ui,
    /// Whether the command asked for a change.
    asked: bool,
}

impl Link {
    /// Returns whether the engine is in this process, because no daemon runs.
    pub fn is_own(&self) -> bool {
        matches!(self.engine, Engine::Own(_))
    }

    /// Sends a request and reads its answer.
    pub async fn call<R>(&mut self, request: &R) -> Result<R::Answer, CliError>
    where
        R: ToRequest<Answer: DeserializeOwned>,
    {
        let bytes = self.raw(request).await?;
        serde_json::from_slice(&bytes).map_err(|e| ClientError::Unexpected(e.to_string()).into())
    }

    /// Sends a request and returns the answer without parsing it.
    pub async fn raw<R: ToRequest>(&mut self, request: &R) -> Result<Vec<u8>, CliError> {
        let request = request.to_request()?;
        self.asked |= !request.only_reads();
        for _ in 0..RELINKS {
            match self.engine.client().raw(&request).await {
                Err(error) if self.may_ask_again(&request, &error) => self.relink().await?,
                other => return Ok(other?.into()),
            }
        }
        Ok(self.engine.client().raw(&request).await?.into())
    }

    /// Returns whether the request may be sent to another engine after this error. A request that an engine has
    /// received must not be repeated, unless it only reads.
    fn may_ask_again<A>(&self, request: &Request<A>, error: &ClientError) -> bool {
        let is_unheard = matches!(error, ClientError::Unreachable { .. });
        !self.is_own() && (is_unheard || request.only_reads() && error.is_of_an_engine_that_left())
    }

    /// Opens a streamed answer.
    pub async fn stream<R: ToRequest>(&self, request: &R) -> Result<Lines<R::Answer>, CliError> {
        Ok(self.engine.client().stream(request).await?)
    }

    /// Connects again: the daemon may have shut down just now.
    async fn relink(&mut self) -> Result<(), CliError> {
        self.engine = Engine::find(&self.setup, Mode::Command).await?;
        Ok(())
    }

    /// Disconnects, and reports nothing.
    pub async fn leave(self) -> Result<(), CliError> {
        self.engine.leave().await
    }

    /// Disconnects, and reports problems of `tasks.yml` or `config.yml`.
    pub async fn close(self) -> Result<(), CliError> {
        let status = match &self.engine {
            Engine::Daemon(_, status) => status.clone(),
            Engine::Own(running) => running.client.call(&endpoint::BriefStatus).await?,
        };
        status.problems.iter().for_each(|problem| self.ui.warning(problem));
        match self.engine.leave().await {
            // A command that only read has its answer.
            Err(why) if !self.asked => self.ui.warning(&why.to_string()),
            left => left?,
        }
        Ok(())
    }
}

/// The least number of file descriptors for an engine that runs tasks: with fewer, runs would stall silently.
const FEWEST_FILES: u64 = 128;

/// Checks what an engine that runs tasks needs: recent versions of tmux and git, and enough file descriptors.
pub async fn need_programs(setup: &Setup) -> Result<(), CliError> {
    raise_file_limit();
    if let Some(limit) = file_limit().filter(|limit| *limit < FEWEST_FILES) {
        return Err(CliError::Refused {
            message: format!("this shell lets a program open {limit} files, and orch needs {FEWEST_FILES}"),
            hint: Some("ulimit -n 1024, or in a new shell; the limit of the system is `ulimit -Hn`".to_owned()),
        });
    }
    let (tmux, locks) = (setup.tmux(), setup.home.state().join("locks"));
    tried(|| tmux.check()).await?;
    tried(|| Git::locate(&setup.environment, &locks)).await.map(drop).map_err(CliError::Git)
}

/// The pauses before a program that gave no answer is asked again: it may be replaced at this moment.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

async fn tried<T, E: External>(call: impl AsyncFn() -> Result<T, E>) -> Result<T, E> {
    for pause in PAUSES {
        match call().await {
            Err(error) if error.external().is_some_and(|failure| failure.is_transient()) => sleep(pause).await,
            answered => return answered,
        }
    }
    call().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::Format;

    fn context(cwd: &Path, environment: &[(&str, &Path)]) -> Context {
        let environment: BTreeMap<String, String> =
            environment.iter().map(|(n, v)| ((*n).to_owned(), v.to_string_lossy().into_owned())).collect();
        Context { ui: Ui::new(Format::Text, &environment), environment, cwd: cwd.to_owned(), flags: Vec::new() }
    }

    #[test]
    fn a_home_is_the_same_however_it_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let real = dir.path().canonicalize().expect("it exists");
        std::fs::create_dir(real.join("there")).expect("made");
        std::os::unix::fs::symlink(real.join("there"), real.join("link")).expect("made");
        for name in ["there/.orch", "./there/../there/.orch/", "link/.orch", "missing/../there/.orch"] {
            let context = context(&real, &[("ORCH_HOME", Path::new(name))]);
            assert_eq!(context.setup().expect("a home").home.root(), real.join("there/.orch"), "{name}");
        }
        let by_home = context(&real, &[("HOME", &real.join("link"))]);
        assert_eq!(by_home.setup().expect("a home").home.root(), real.join("there/.orch"));
    }

    #[test]
    fn without_any_home_it_is_said_what_to_set() {
        let Err(error) = context(Path::new("/"), &[("ORCH_HOME", Path::new(""))]).setup() else { panic!("no home") };
        assert_eq!(error.view().hint.as_deref(), Some("set ORCH_HOME to a directory for orch"));
    }
}
