//! The settings as commands need them: read from the files, without an engine.

use super::context::Context;
use super::error::CliError;
use orch_api::endpoint;
use orch_config::home::Home;
use orch_config::layers::{Layer, Loaded, load};
use orch_sys::fs::{self, FsError};
use orch_sys::git::is_top;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// The name of a project's file.
pub const PROJECT_FILE: &str = ".orch.yml";
/// How long a daemon may take to apply a change.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest configuration file that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// Returns a file's text, or `None` if there is no file.
pub fn text_of(path: &Path) -> Result<Option<String>, FsError> {
    match fs::read_text(path, LARGEST) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks a running daemon to read the settings, so that the change applies to the next command. If that fails, the
/// daemon finds the change by itself a moment later.
pub async fn notify_daemon(context: &Context) -> Result<(), CliError> {
    let Some(client) = context.setup()?.connect().await else { return Ok(()) };
    let text = client.call(&endpoint::SettingsReload);
    match timeout(PATIENCE, text).await {
        Ok(Ok(view)) => view.problems.iter().for_each(|problem| context.ui.warning(problem)),
        Ok(Err(_)) | Err(_) => context.ui.note("the daemon takes it over as soon as it sees the file"),
    }
    Ok(())
}

/// Returns the layers of settings outside of any project.
pub fn layers(context: &Context, home: &Home) -> Result<Vec<Layer>, CliError> {
    let mut layers = vec![Layer::Environment(context.environment.clone()), Layer::Flags(context.flags.clone())];
    let path = home.config_file();
    if let Some(text) = text_of(&path)? {
        layers.push(Layer::Global { path, text });
    }
    Ok(layers)
}

/// Returns the settings outside of any project.
pub fn global(context: &Context, home: &Home) -> Result<Loaded, CliError> {
    load(&layers(context, home)?).map_err(CliError::Config)
}

/// Finds the project file for a directory: in it or above it, within its repository.
pub fn project_file(dir: &Path) -> Option<PathBuf> {
    for dir in dir.ancestors() {
        let file = dir.join(PROJECT_FILE);
        if file.exists() {
            return Some(file);
        }
        if is_top(dir) {
            return None;
        }
    }
    None
}
