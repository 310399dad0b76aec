//! `orch service`: manages the daemon as a service of Homebrew, launchd or systemd --user. Installs, removes, starts,
//! stops and inspects it; `domain::service` decides which supervisor is used and what its definition contains.

mod checkup;
mod definitions;
mod history;
mod install;
mod logs;
mod running;
mod service_host;
mod status;

pub use checkup::checkup;
pub use status::{Waiting, waiting};

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use clap::Subcommand;
use orch_core::operations::service::supervisor::Supervisor;
use orch_sys::process::RUN_MARK;

/// The commands of `orch service`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the service for this program, this home and this PATH; it starts at the next login or boot
    Install(install::Args),
    /// Stop the service and remove it; agents continue
    Uninstall(install::Removal),
    /// Start it now
    Start(running::Start),
    /// Stop it now; agents continue, and the next start takes them over
    Stop(running::Stop),
    /// Restart it with the program on the disk; runs are not affected
    Restart(running::Restart),
    /// Show the supervisor, the uptime, the version, how the service last ended, and whether a newer program is
    /// installed
    Status,
    /// Print the end of the daemon's log
    Logs(logs::Args),
    /// Show each start, stop and restart: version, process, reason, uptime, memory
    History(history::Args),
}

/// A supervisor, as a command-line value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Wanted {
    /// brew services
    Homebrew,
    /// launchd, of macOS
    Launchd,
    /// systemd --user, of Linux
    Systemd,
}

impl From<Wanted> for Supervisor {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Homebrew => Self::Homebrew,
            Wanted::Launchd => Self::Launchd,
            Wanted::Systemd => Self::Systemd,
        }
    }
}

/// Runs the subcommand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    let only_looks = matches!(command, Command::Status | Command::Logs(_) | Command::History(_));
    if !only_looks && context.environment.contains_key(RUN_MARK) {
        return Err(CliError::Refused {
            message: "what keeps the daemon running is a person's to change, and this is an agent's run".to_owned(),
            hint: Some("orch service status changes nothing".to_owned()),
        });
    }
    match command {
        Command::Install(args) => install::install(args, context).await,
        Command::Uninstall(args) => install::uninstall(args, context).await,
        Command::Start(args) => running::start(args, context).await,
        Command::Stop(args) => running::stop(args, context).await,
        Command::Restart(args) => running::restart(args, context).await,
        Command::Status => status::run(context).await,
        Command::Logs(args) => logs::run(args, context).await,
        Command::History(args) => history::run(args, context).await,
    }
}
