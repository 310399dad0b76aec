//! `orch version`: prints the version, and starts nothing.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use serde_json::json;

/// Prints the version.
pub fn run(context: &Context) -> Result<Exit, CliError> {
    let version = env!("CARGO_PKG_VERSION");
    if context.ui.is_json() {
        context.ui.json(&json!({ "version": version }))?;
    } else {
        context.ui.data(&format!("orch {version}\n"))?;
    }
    Ok(Exit::Done)
}
