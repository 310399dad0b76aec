//! Becoming oneself again: the same arguments, the program as it is on the disk now.

use crate::adapters::process::{become_program, which};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use std::ffi::OsString;
use std::path::PathBuf;

/// Of the arguments, what only holds for the first start.
const ONCE: &str = "--replace";

/// Becomes the program that was started, as it is now. Comes back only with the reason why not.
pub fn respawn(context: &Context) -> CliError {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "orch".into());
    let args: Vec<OsString> = args.filter(|arg| arg != ONCE).collect();
    let program = program(&name, context);
    tracing::info!(program = %program.display(), "orch starts itself anew");
    CliError::system(format!("cannot start {} anew", program.display()))(become_program(&program, &name, &args))
}

/// As it was called: what stands there now may be a newer one, while the file that runs is gone.
fn program(name: &OsString, context: &Context) -> PathBuf {
    let called = PathBuf::from(name);
    if called.components().count() > 1 {
        return context.cwd.join(called);
    }
    let found = name.to_str().and_then(|name| which(name, context.path()));
    found.or_else(|| std::env::current_exe().ok()).unwrap_or(called)
}
