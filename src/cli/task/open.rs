//! Opens a file in the person's viewer: the desktop's program for it, else a pager in a terminal.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use orch_sys::process::{Invocation, run_attached, which};
use std::path::Path;

/// The program that opens a file with the desktop's default.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Opens `file`. On failure, the error has its path.
pub fn open(file: &Path, context: &Context) -> Result<(), CliError> {
    let desktop = which(OPENER, context.path()).map(|opener| Invocation::new(opener, &context.cwd).arg(file));
    let tries = desktop.into_iter().chain(pager(context).map(|line| {
        let script = format!("{line} \"$@\"");
        Invocation::new("sh", &context.cwd).args(["-c", &script, &line]).arg(file)
    }));
    for viewer in tries {
        let shown = run_attached(&viewer.envs(context.environment.iter()));
        if shown.is_ok_and(|exit| exit.code == Some(0)) {
            return Ok(());
        }
    }
    let message = format!("nothing here can open it; the page is {}", file.display());
    Err(CliError::Refused { message, hint: Some(format!("install {OPENER}, or set PAGER and use a terminal")) })
}

/// Returns the pager, a shell command as usual. Without a terminal there is none.
fn pager(context: &Context) -> Option<String> {
    context.ui.terminal_columns()?;
    let named = context.environment.get("PAGER").filter(|value| !value.trim().is_empty()).cloned();
    named.or_else(|| which("less", context.path()).map(|_| "less".to_owned()))
}
