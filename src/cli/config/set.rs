//! `orch config set`: changes one value of a file that people edit. Refuses invalid values, and keeps concurrent
//! changes.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings;
use crate::cli::ui::text;
use orch_config::FileKind;
use orch_config::edit::{self, SetError};
use orch_sys::fs::exchange_write;
use serde_json::json;
use std::path::Path;

/// The lock of everything that writes configuration files of this home.
pub const LOCK: &str = "config.lock";

/// Arguments of `orch config set`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The dotted key: engine.max_parallel
    key: String,
    /// The value; null restores the default, a list is [a, b]
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// Change this project's .orch.yml instead of config.yml
    #[arg(long)]
    project: bool,
}

/// Changes the setting.
pub async fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    let (file, path) = if args.project {
        let none = || CliError::NotFound {
            message: format!("there is no {} here", settings::PROJECT_FILE),
            hint: Some("orch init writes one".to_owned()),
        };
        (FileKind::Project, settings::project_file(&context.cwd).ok_or_else(none)?)
    } else {
        orch_sys::fs::create_dir_private(home.root())?;
        (FileKind::Global, home.config_file())
    };
    let changed = write(&path, file, &home.state().join(LOCK), &args.key, &args.value)?;
    settings::notify_daemon(context).await?;
    if context.ui.is_json() {
        context.ui.json(&json!({ "file": path, "key": args.key, "changed": changed }))?;
    } else {
        let shown = text::line(&args.value);
        let place = path.to_string_lossy();
        let word = if changed { "is now" } else { "was already" };
        context.ui.data(&format!("{} {word} {shown} in {}\n", args.key, text::line(&place)))?;
        if args.project && changed {
            context.ui.note("next: orch init approves the changed file");
        }
    }
    Ok(Exit::Done)
}

/// Changes one setting in a file. Returns whether the file has changed.
pub fn write(path: &Path, file: FileKind, lock: &Path, key: &str, value: &str) -> Result<bool, CliError> {
    write_all(path, file, lock, &[(key, value)])
}

/// Changes several settings that are valid together: all of them, or none.
pub fn write_all(path: &Path, file: FileKind, lock: &Path, changes: &[(&str, &str)]) -> Result<bool, CliError> {
    let old = settings::text_of(path)?;
    let new = edit::set_all(old.as_deref().unwrap_or_default(), file, path, changes).map_err(refused)?;
    if old.as_deref() == Some(new.as_str()) {
        return Ok(false);
    }
    exchange_write(path, lock, new.as_bytes(), old.as_deref().map(str::as_bytes))
        .map_err(|source| CliError::Write { path: path.to_owned(), source })?;
    Ok(true)
}

fn refused(error: SetError) -> CliError {
    let message = error.to_string();
    match error {
        SetError::Unknown(_) => {
            CliError::NotFound { message, hint: Some("orch config show prints every key".to_owned()) }
        }
        SetError::Misplaced { file, .. } => {
            let hint = match file {
                FileKind::Global => "orch config set --project changes the project's file",
                FileKind::Project => "without --project, config.yml is changed",
            };
            CliError::usage(message, hint)
        }
        SetError::Value { .. } | SetError::Text(_) | SetError::Invalid(_) => CliError::Usage { message, hint: None },
    }
}
