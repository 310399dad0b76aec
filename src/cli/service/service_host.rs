//! The supervisors of this machine, and calls of `systemctl --user`, `launchctl` and `brew`.

use super::definitions::{Found, found};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::daemon::Setup;
use orch_api::client::Client;
use orch_api::endpoint;
use orch_api::status::{EngineMode, StatusView};
use orch_core::operations::service::definition::{LABEL, UNIT};
use orch_core::operations::service::supervisor::{
    Standing, Supervisor, Surroundings, decide, of_homebrew, of_launchd, of_systemd, path_of_systemd,
};
use orch_sys::process::{Invocation, Output, run_async, which};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a supervisor may take: it waits for the daemon itself.
const PATIENCE: Duration = Duration::from_secs(90);
/// The default `PATH` of launchd's services, and of systemd's.
const LAUNCHDS_PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";
const SYSTEMDS_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The properties to request from systemd.
const PROPERTIES: &str =
    "LoadState,ActiveState,SubState,MainPID,ExecMainCode,ExecMainStatus,NRestarts,Result,UnitFileState";

/// The state of the machine that concerns services.
pub struct ServiceHost<'a> {
    /// The context of the command.
    pub context: &'a Context,
    /// The home.
    pub setup: Setup,
    /// The person's home directory.
    pub dir: PathBuf,
    /// The facts that determine the supervisor.
    pub around: Surroundings,
    /// The installed definitions.
    pub found: Vec<Found>,
    environment: Vec<(String, String)>,
}

impl<'a> ServiceHost<'a> {
    /// Collects the state.
    pub fn new(context: &'a Context) -> Result<Self, CliError> {
        let setup = context.setup()?;
        let variable = |name: &str| context.environment.get(name).filter(|value| !value.is_empty()).cloned();
        let dir = variable("HOME").map(PathBuf::from).filter(|dir| dir.is_absolute()).ok_or_else(|| {
            CliError::usage("HOME is not set, and services are written there", "set HOME to your own directory")
        })?;
        let mut environment: Vec<(String, String)> =
            context.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let own = setup.orch.canonicalize().unwrap_or_else(|_| setup.orch.clone());
        let runtime = variable("XDG_RUNTIME_DIR").map_or_else(usual_runtime_dir, PathBuf::from);
        if variable("XDG_RUNTIME_DIR").is_none() {
            environment.push(("XDG_RUNTIME_DIR".to_owned(), runtime.to_string_lossy().into_owned()));
        }
        let has = |name: &str| which(name, context.path()).is_some();
        let around = Surroundings {
            is_macos: cfg!(target_os = "macos"),
            program: own.to_string_lossy().into_owned(),
            homebrew_prefix: variable("HOMEBREW_PREFIX"),
            has_brew: has("brew"),
            has_launchctl: has("launchctl"),
            has_systemctl: has("systemctl"),
            has_user_session: ["systemd/private", "bus"].iter().any(|name| runtime.join(name).exists()),
            user: variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "$USER".to_owned()),
        };
        let found = found(&dir, variable("XDG_CONFIG_HOME").map(PathBuf::from).as_deref());
        Ok(Self { context, setup, dir, around, found, environment })
    }

    /// Returns the requested supervisor, or the one for this installation.
    pub fn choose(&self, wanted: Option<Supervisor>) -> Result<Supervisor, CliError> {
        if let Some(wanted) = wanted {
            return Ok(wanted);
        }
        decide(&self.around).map_err(|none| CliError::Refused {
            message: format!("no supervisor can keep the daemon running here: {}", none.why),
            hint: Some(none.advice),
        })
    }

    /// Checks whether a requested supervisor is available.
    pub fn reachable(&self, supervisor: Supervisor) -> Result<(), CliError> {
        let around = &self.around;
        let is_there = match supervisor {
            Supervisor::Systemd => around.has_systemctl && around.has_user_session,
            Supervisor::Launchd => around.has_launchctl,
            Supervisor::Homebrew => around.has_brew,
        };
        if is_there {
            return Ok(());
        }
        let refused = decide(&Surroundings { is_macos: supervisor == Supervisor::Launchd, ..around.clone() });
        let message = format!("{} is not there", supervisor.describe());
        Err(match refused {
            Err(none) => CliError::Refused { message: format!("{message}: {}", none.why), hint: Some(none.advice) },
            Ok(other) => CliError::Refused { message, hint: Some(format!("this machine has {}", other.describe())) },
        })
    }

    /// Returns the definition that applies.
    pub fn installed(&self, wanted: Option<Supervisor>) -> Result<&Found, CliError> {
        let mut fit = self.found.iter().filter(|found| wanted.is_none_or(|wanted| wanted == found.supervisor));
        let first = fit.next().ok_or_else(|| CliError::NotFound {
            message: "no service is installed".to_owned(),
            hint: Some(match decide(&self.around) {
                Ok(Supervisor::Homebrew) => "brew services start orch".to_owned(),
                Ok(Supervisor::Launchd | Supervisor::Systemd) => "orch service install".to_owned(),
                Err(none) => format!("{}: {}", none.why, none.advice),
            }),
        })?;
        match fit.find(|other| other.supervisor != first.supervisor) {
            Some(other) => Err(two(first, other)),
            None => Ok(first),
        }
    }

    /// Returns the service's state according to a supervisor; empty if the supervisor is unavailable.
    pub async fn state(&self, supervisor: Supervisor) -> Standing {
        let domain = self.launchd_service();
        let args: Vec<&str> = match supervisor {
            Supervisor::Systemd => vec!["show", UNIT, "--property", PROPERTIES],
            Supervisor::Launchd => vec!["print", &domain],
            Supervisor::Homebrew => vec!["info", "orch", "--json"],
        };
        let text = match self.call(supervisor, &args).await {
            Ok(output) if output.success() => output.text(),
            Ok(_) | Err(_) => return Standing::default(),
        };
        match supervisor {
            Supervisor::Systemd => of_systemd(&text),
            Supervisor::Launchd => of_launchd(&text),
            Supervisor::Homebrew => serde_json::from_str(&text).map(|info| of_homebrew(&info)).unwrap_or_default(),
        }
    }

    /// Returns the `PATH` of the service: its own, or the supervisor's default.
    pub async fn path_of(&self, found: &Found) -> String {
        if let Some(path) = &found.definition.path {
            return path.clone();
        }
        let is_launchds = found.file.extension().is_some_and(|extension| extension == "plist");
        if is_launchds {
            return LAUNCHDS_PATH.to_owned();
        }
        let said = self.call(Supervisor::Systemd, &["show-environment"]).await.ok();
        let said = said.filter(|output| output.success()).and_then(|output| path_of_systemd(&output.text()));
        said.unwrap_or_else(|| SYSTEMDS_PATH.to_owned())
    }

    /// Runs a command of a supervisor, which must succeed.
    pub async fn order(&self, supervisor: Supervisor, args: &[&str]) -> Result<(), CliError> {
        let output = self.call(supervisor, args).await?;
        if output.success() {
            return Ok(());
        }
        let said = [output.error_text(), output.text()].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let last = said.lines().next_back().unwrap_or("it did not say why").to_owned();
        Err(CliError::Refused {
            message: format!("{} did not {}: {last}", supervisor.describe(), args.join(" ")),
            hint: Some(match supervisor {
                Supervisor::Systemd => "journalctl --user -u orch -n 20; orch service logs".to_owned(),
                Supervisor::Launchd => format!("launchctl print {}; orch service logs", self.launchd_service()),
                Supervisor::Homebrew => "brew services info orch; orch service logs".to_owned(),
            }),
        })
    }

    async fn call(&self, supervisor: Supervisor, args: &[&str]) -> Result<Output, CliError> {
        let (name, first): (&str, &[&str]) = match supervisor {
            Supervisor::Systemd => ("systemctl", &["--user", "--no-pager"]),
            Supervisor::Launchd => ("launchctl", &[]),
            Supervisor::Homebrew => ("brew", &["services"]),
        };
        let program = which(name, self.context.path()).ok_or_else(|| CliError::Refused {
            message: format!("{} cannot be asked: {name} is not in PATH", supervisor.describe()),
            hint: Some("orch service status shows which supervisor has the service".to_owned()),
        })?;
        let call = Invocation::new(program, "/").args(first).args(args).envs(self.environment.iter().cloned());
        Ok(run_async(&call.env("HOMEBREW_NO_AUTO_UPDATE", "1").time_limit(PATIENCE)).await?)
    }

    /// Returns launchd's domain of this person.
    pub fn launchd_domain(&self) -> String {
        format!("gui/{}", rustix::process::getuid().as_raw())
    }

    /// Returns launchd's name of the service.
    pub fn launchd_service(&self) -> String {
        format!("{}/{LABEL}", self.launchd_domain())
    }

    /// Returns the daemon of this home with a client.
    pub async fn daemon(&self) -> Option<(Client, StatusView)> {
        let client = self.setup.connect().await?;
        let status = client.call(&endpoint::BriefStatus).await.ok()?;
        (status.mode != EngineMode::Command).then_some((client, status))
    }

    /// Returns the home that a definition uses.
    pub fn home_of(&self, found: &Found) -> PathBuf {
        let home = found.definition.home.as_ref().map_or_else(|| self.dir.join(".orch"), PathBuf::from);
        home.canonicalize().unwrap_or(home)
    }

    /// Returns whether the home is the default one.
    pub fn is_usual_home(&self) -> bool {
        let usual = self.dir.join(".orch");
        self.setup.home.root() == usual.canonicalize().unwrap_or(usual)
    }

    /// Returns whether this person's services run without a login. Only systemd makes a difference there.
    pub fn lingers(&self) -> bool {
        Path::new("/var/lib/systemd/linger").join(&self.around.user).exists()
    }
}

/// Returns the error for two supervisors, which would start the daemon in turn, each against the other.
pub fn two(one: &Found, other: &Found) -> CliError {
    CliError::Refused {
        message: format!(
            "two supervisors have the service: {} ({}) and {} ({})",
            one.supervisor.describe(),
            one.file.display(),
            other.supervisor.describe(),
            other.file.display()
        ),
        hint: Some("take one away: orch service uninstall --supervisor homebrew|launchd|systemd".to_owned()),
    }
}

fn usual_runtime_dir() -> PathBuf {
    PathBuf::from(format!("/run/user/{}", rustix::process::getuid().as_raw()))
}
