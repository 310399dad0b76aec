//! Replaces this process by itself: the same arguments, and the program that is on the disk now.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exe_path::program;
use orch_sys::process::become_program;
use std::ffi::OsString;

/// The argument that holds only for the first start.
const ONCE: &str = "--replace";

/// Executes the present program. Returns only an error.
pub fn respawn(context: &Context) -> CliError {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "orch".into());
    let args: Vec<OsString> = args.filter(|arg| arg != ONCE).collect();
    let program = program(&name, context);
    tracing::info!(program = %program.display(), "orch restarts");
    CliError::system(format!("cannot restart {}", program.display()))(become_program(&program, &name, &args))
}
