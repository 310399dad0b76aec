//! `orch service install` and `uninstall`: write and remove the definition for a supervisor.

use super::Wanted;
use super::checkup::lacking;
use super::definitions::{Found, file_for, write};
use super::service_host::ServiceHost;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exe_path;
use crate::cli::exit::Exit;
use crate::cli::settings;
use orch_core::operations::service::definition::{Definition, UNIT, lasting_path};
use orch_core::operations::service::supervisor::Supervisor;
use orch_sys::fs;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `orch service install`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The supervisor; default: the one that fits this installation
    #[arg(long, value_name = "NAME")]
    supervisor: Option<Wanted>,
    /// Print the definition, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `orch service uninstall`.
#[derive(Debug, clap::Args)]
pub struct Removal {
    /// The supervisor; default: all that have the service
    #[arg(long, value_name = "NAME")]
    supervisor: Option<Wanted>,
}

/// The installed service. Part of the JSON contract.
#[derive(Serialize)]
struct Installed<'a> {
    supervisor: Supervisor,
    file: &'a Path,
    changed: bool,
    program: &'a str,
    path: Option<&'a str>,
    home: PathBuf,
}

/// Installs the service. Idempotent.
pub async fn install(args: Args, context: &Context) -> Result<Exit, CliError> {
    let host = ServiceHost::new(context)?;
    let supervisor = host.choose(args.supervisor.map(Supervisor::from))?;
    if let Some(other) = host.found.iter().find(|found| found.supervisor != supervisor && !found.is_packaged) {
        return Err(taken(supervisor, other));
    }
    let config = context.environment.get("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let Some(file) = file_for(supervisor, &host.dir, config.as_deref()) else {
        if context.ui.is_json() {
            context.ui.json(&serde_json::json!({ "supervisor": supervisor, "file": null, "changed": false }))?;
        } else {
            context.ui.note("Homebrew writes the service itself, when it is started; next: orch service start");
        }
        return Ok(Exit::Done);
    };
    let definition = definition(&host);
    let text = text_for(supervisor, &definition, &host)?;
    if args.dry_run {
        context.ui.note(&format!("would be written to {}:", file.display()));
        context.ui.data(&text)?;
        return Ok(Exit::Done);
    }
    host.reachable(supervisor)?;
    let before = host.found.iter().find(|found| found.file == file);
    if let Some(before) = before
        && host.home_of(before) != host.setup.home.root()
    {
        return Err(other_home(&host, before));
    }
    host.setup.prepare()?;
    let changed = before.is_none_or(|before| before.text != text);
    if changed {
        write(&file, &text)?;
    }
    if supervisor == Supervisor::Systemd {
        host.order(supervisor, &["daemon-reload"]).await?;
        host.order(supervisor, &["enable", UNIT]).await?;
    }
    print(&host, supervisor, &Installation { file: &file, before, definition: &definition, changed })
}

struct Installation<'a> {
    file: &'a Path,
    before: Option<&'a Found>,
    definition: &'a Definition,
    changed: bool,
}

fn print(host: &ServiceHost<'_>, supervisor: Supervisor, installation: &Installation<'_>) -> Result<Exit, CliError> {
    let ui = host.context.ui;
    warn(host, supervisor, installation.definition);
    if ui.is_json() {
        let (file, changed, definition) = (installation.file, installation.changed, installation.definition);
        let home = host.setup.home.root().to_owned();
        let (program, path) = (definition.program.as_str(), definition.path.as_deref());
        ui.json(&Installed { supervisor, file, changed, program, path, home })?;
        return Ok(Exit::Done);
    }
    let (file, home) = (installation.file.display(), host.setup.home.root().display());
    let said = match (installation.before, installation.changed) {
        (None, _) => format!("installed for {}: {file}", supervisor.describe()),
        (Some(_), false) => format!("installed already for {}: {file}", supervisor.describe()),
        (Some(before), true) => {
            let old = &before.definition.program;
            let moved =
                if *old == installation.definition.program { String::new() } else { format!("; it started {old}") };
            format!("updated for {}: {file}{moved}", supervisor.describe())
        }
    };
    ui.data(&format!("{said}\nstarts {} for {home}\n", installation.definition.program))?;
    let next = if installation.changed && installation.before.is_some() {
        "orch service restart"
    } else {
        "orch service start"
    };
    ui.note(&format!("next: {next}"));
    Ok(Exit::Done)
}

/// Warns about what the service would lack.
fn warn(host: &ServiceHost<'_>, supervisor: Supervisor, definition: &Definition) {
    let ui = host.context.ui;
    let built = ["/target/debug/", "/target/release/", "/tmp/"];
    if built.iter().any(|part| definition.program.contains(part)) {
        ui.warning(&format!("{} may be built over or removed: install orch to a lasting place", definition.program));
    }
    if let Ok(loaded) = settings::global(host.context, &host.setup.home) {
        for missing in lacking(definition, definition.path.as_deref().unwrap_or_default(), &loaded.config) {
            ui.warning(&missing);
        }
    }
    if supervisor == Supervisor::Systemd && !host.lingers() {
        let user = &host.around.user;
        ui.note(&format!(
            "it runs while {user} is logged in, and agents end with the last session; \
             always, also after a reboot: loginctl enable-linger {user}"
        ));
    }
}

/// Returns the service of this program, this home and this `PATH`.
fn definition(host: &ServiceHost<'_>) -> Definition {
    let lasting = |path: &Path| path.to_string_lossy().into_owned();
    let home = &host.setup.home;
    let has_own_worktrees = home.worktrees() != home.root().join("worktrees");
    Definition {
        program: lasting(&exe_path::own(host.context)),
        path: lasting_path(host.context.path()),
        home: (!host.is_usual_home()).then(|| lasting(home.root())),
        worktrees: has_own_worktrees.then(|| lasting(home.worktrees())),
        home_is_there: true,
    }
}

fn text_for(supervisor: Supervisor, definition: &Definition, host: &ServiceHost<'_>) -> Result<String, CliError> {
    let log = host.setup.home.state().join("service.log");
    let written = match supervisor {
        Supervisor::Systemd | Supervisor::Homebrew => definition.unit(),
        Supervisor::Launchd => definition.plist(&log.to_string_lossy()),
    };
    written.map_err(|error| CliError::usage(error.to_string(), "move it to a path of plain characters"))
}

fn taken(supervisor: Supervisor, other: &Found) -> CliError {
    CliError::Refused {
        message: format!(
            "{} has the service already ({}); with {} there would be two",
            other.supervisor.describe(),
            other.file.display(),
            supervisor.describe()
        ),
        hint: Some("orch service uninstall, then orch service install".to_owned()),
    }
}

fn other_home(host: &ServiceHost<'_>, before: &Found) -> CliError {
    let (there, here) = (host.home_of(before), host.setup.home.root());
    CliError::Refused {
        message: format!("the service serves the home {}, and this is {}", there.display(), here.display()),
        hint: Some(format!("ORCH_HOME='{}' orch service uninstall, then do it again", there.display())),
    }
}

/// Stops and removes the service, wherever it is installed.
pub async fn uninstall(args: Removal, context: &Context) -> Result<Exit, CliError> {
    let host = ServiceHost::new(context)?;
    let wanted = args.supervisor.map(Supervisor::from);
    let fits = |found: &&Found| wanted.is_none_or(|wanted| wanted == found.supervisor);
    let mut removed = Vec::new();
    for found in host.found.iter().filter(fits) {
        remove(&host, found).await?;
        removed.push(found);
    }
    if context.ui.is_json() {
        let files: Vec<&Path> = removed.iter().map(|found| found.file.as_path()).collect();
        context.ui.json(&serde_json::json!({ "removed": files }))?;
    } else if removed.is_empty() {
        context.ui.note("no service is installed");
    }
    for found in removed.iter().filter(|_| !context.ui.is_json()) {
        context.ui.data(&format!("{} no longer has it: {}\n", found.supervisor.describe(), found.file.display()))?;
    }
    if let Some((_, status)) = host.daemon().await {
        context.ui.note(&format!(
            "orch (pid {}) keeps running without a supervisor; orch shutdown stops it, agents keep running",
            status.pid
        ));
    }
    Ok(Exit::Done)
}

async fn remove(host: &ServiceHost<'_>, found: &Found) -> Result<(), CliError> {
    match found.supervisor {
        Supervisor::Homebrew => return host.order(Supervisor::Homebrew, &["stop", "orch"]).await,
        Supervisor::Launchd => {
            if host.state(Supervisor::Launchd).await.is_known {
                host.order(Supervisor::Launchd, &["bootout", &host.launchd_service()]).await?;
            }
        }
        Supervisor::Systemd => {
            // Without a user session of systemd, only the file exists.
            if host.around.has_user_session {
                host.order(Supervisor::Systemd, &["disable", "--now", UNIT]).await?;
            }
        }
    }
    if !found.is_packaged {
        fs::remove_file(&found.file)?;
    }
    if found.supervisor == Supervisor::Systemd && host.around.has_user_session {
        host.order(Supervisor::Systemd, &["daemon-reload"]).await?;
    }
    Ok(())
}
