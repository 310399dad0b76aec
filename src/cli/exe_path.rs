//! The path of this program as it was called: after an upgrade, the newer program has the same path.

use super::context::Context;
use orch_sys::process::which;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Returns the path of the program that was called as `name`. Symbolic links are kept, because upgrades move them.
pub fn program(name: &OsStr, context: &Context) -> PathBuf {
    let called = Path::new(name);
    if called.components().count() > 1 {
        return context.cwd.join(called);
    }
    let found = name.to_str().and_then(|name| which(name, context.path()));
    found.or_else(|| std::env::current_exe().ok()).unwrap_or_else(|| called.to_owned())
}

/// Returns the path of this program.
pub fn own(context: &Context) -> PathBuf {
    let name = std::env::args_os().next().unwrap_or_else(|| "orch".into());
    let called = program(&name, context);
    let plain: PathBuf = called.components().filter(|part| *part != std::path::Component::CurDir).collect();
    if plain.is_file() { plain } else { std::env::current_exe().unwrap_or(plain) }
}
