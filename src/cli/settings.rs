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

/// Name of a project's file.
pub const PROJECT_FILE: &str = ".orch.yml";
/// How long a daemon is given to take over what was written.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest configuration file that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// A file's text; `None` where there is no file.
pub fn text_of(path: &Path) -> Result<Option<String>, FsError> {
    match fs::read_text(path, LARGEST) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Has a daemon, if one runs, take over what was written, so that it holds for the next command. What cannot be told to it,
/// it finds by itself a moment later.
pub async fn tell_daemon(context: &Context) -> Result<(), CliError> {
    let Some(client) = context.setup()?.connect().await else { return Ok(()) };
    let told = client.call(&endpoint::SettingsReload);
    match timeout(PATIENCE, told).await {
        Ok(Ok(view)) => view.problems.iter().for_each(|problem| context.ui.warning(problem)),
        Ok(Err(_)) | Err(_) => context.ui.note("the daemon takes it over as soon as it sees the file"),
    }
    Ok(())
}

/// What is said everywhere but in a project.
pub fn layers(context: &Context, home: &Home) -> Result<Vec<Layer>, CliError> {
    let mut layers = vec![Layer::Environment(context.environment.clone()), Layer::Flags(context.flags.clone())];
    let path = home.config_file();
    if let Some(text) = text_of(&path)? {
        layers.push(Layer::Global { path, text });
    }
    Ok(layers)
}

/// What holds outside of any project.
pub fn global(context: &Context, home: &Home) -> Result<Loaded, CliError> {
    load(&layers(context, home)?).map_err(CliError::Config)
}

/// The project file that a directory is under: beside it or above it, not beyond its repository.
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
