//! `orch backup` and `orch restore`: write a home into one file, and restore it. They work on the files themselves: a
//! running daemon is not asked, and prevents a restore.

use super::context::Context;
use super::context::resolve;
use super::error::CliError;
use super::exit::Exit;
use super::ui::text::line;
use crate::daemon::OpenError;
use orch_core::base::time::to_the_second;
use orch_engine::{BackupError, BackupWish, Manifest, RestoreError, RestoreWish, Restored, backup};
use orch_sys::clock::{Clock, SystemClock};
use serde::Serialize;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Arguments of `orch backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Include the output and transcripts of all kept runs
    #[arg(long)]
    with_runs: bool,
}

/// Arguments of `orch restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// A file written by orch backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Restore over an existing home, which is moved aside
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Written<'a> {
    file: &'a PathBuf,
    bytes: u64,
    manifest: &'a Manifest,
}

#[derive(Serialize)]
struct Brought<'a> {
    dry_run: bool,
    #[serde(flatten)]
    restored: &'a Restored,
}

/// Writes a backup.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    let file = resolve(&context.cwd, &args.file);
    let wish = BackupWish { force: args.force, with_runs: args.with_runs };
    let work = {
        let file = file.clone();
        tokio::task::spawn_blocking(move || backup(&home, &file, wish, SystemClock.now()))
    };
    let done = context.ui.wait("writing the backup", work).await;
    let manifest = done.map_err(|error| CliError::system("the backup broke off")(error.into()))??;
    let bytes = file.metadata().map_err(CliError::system("cannot read the backup"))?.len();
    if context.ui.is_json() {
        context.ui.json(&Written { file: &file, bytes, manifest: &manifest })?;
    } else {
        let parts = manifest.parts.len();
        context.ui.data(&format!("{} holds {parts} files in {bytes} bytes, and was read back\n", file.display()))?;
    }
    Ok(Exit::Done)
}

/// Restores a backup.
pub async fn restore(args: RestoreArgs, context: &Context) -> Result<Exit, CliError> {
    let setup = context.setup()?;
    let file = resolve(&context.cwd, &args.file);
    if !file.exists() {
        let hint = Some("orch backup FILE writes one".to_owned());
        return Err(CliError::NotFound { message: format!("there is no {}", file.display()), hint });
    }
    if setup.connect().await.is_some() {
        return Err(CliError::Refused {
            message: format!("an engine runs on {}", setup.home.root().display()),
            hint: Some("stop the daemon first; agents keep running".to_owned()),
        });
    }
    let wish = RestoreWish { dry_run: args.dry_run, force: args.force };
    let restored = context.ui.wait("restoring", setup.restore(&file, wish)).await?;
    if context.ui.is_json() {
        context.ui.json(&Brought { dry_run: args.dry_run, restored: &restored })?;
    } else {
        context.ui.data(&render(&restored, args.dry_run))?;
    }
    Ok(Exit::Done)
}

fn render(restored: &Restored, dry_run: bool) -> String {
    let Restored { manifest, set_aside, aside, missing } = restored;
    let (done, moved) = if dry_run { ("would be restored", "would be moved") } else { ("restored", "moved") };
    let mut text = format!(
        "{done}: {} files of {} (orch {})\n",
        manifest.parts.len(),
        to_the_second(manifest.created_at),
        manifest.version
    );
    if let Some(aside) = aside {
        text.push_str(&format!("{moved} aside: {} files to {}\n", set_aside.len(), aside.display()));
    }
    for one in missing {
        let of = one.task.map_or_else(String::new, |id| format!("task {id}: "));
        text.push_str(&format!("missing: {of}{} {}\n", one.kind, line(&one.name)));
    }
    text
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::Exists(_) => {
                Self::Refused { message, hint: Some("choose another name, or --force to replace it".to_owned()) }
            }
            BackupError::NoHome(_) => {
                Self::NotFound { message, hint: Some("ORCH_HOME names the home; orch init makes one".to_owned()) }
            }
            BackupError::NoDirectory(directory) => {
                let hint = format!("mkdir -p {}, or choose another place", directory.display());
                Self::NotFound { message, hint: Some(hint) }
            }
            BackupError::Directory(directory) => {
                let hint = format!("name a file in it: orch backup {}", directory.join("home.backup").display());
                Self::Refused { message, hint: Some(hint) }
            }
            BackupError::Journal(error) => OpenError::from(error).into(),
            BackupError::File(error) => Self::File(error),
            BackupError::Write { source, .. }
                if matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
            {
                let hint = Some("choose a directory that you may write to".to_owned());
                Self::Refused { message, hint }
            }
            BackupError::Write { .. } | BackupError::Unverified(_) => {
                Self::System { what: message, source: std::io::Error::other("is the disk full?") }
            }
        }
    }
}

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> Self {
        let message = error.to_string();
        let refused = |hint: &str| Self::Refused { message: message.clone(), hint: Some(hint.to_owned()) };
        match error {
            RestoreError::NotEmpty { .. } => {
                refused("--force moves it aside, into .orch/replaced; --dry-run shows what would be done")
            }
            RestoreError::Alive { .. } => refused(
                "wait until they end (`orch serve` follows them; `orch task cancel ID` ends one), or choose a newer backup",
            ),
            RestoreError::Newer { .. } => refused("install the newer orch, and restore with it"),
            RestoreError::Damaged { .. } => {
                Self::System { what: message, source: std::io::Error::other("nothing was changed; try another backup") }
            }
            RestoreError::Journal(error) => OpenError::from(error).into(),
            RestoreError::File(error) => Self::File(error),
        }
    }
}
