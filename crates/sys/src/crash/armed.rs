//! Crash points in a build with the feature `failpoints`: reads from the environment, once, where this process dies.

use super::POINTS;
use crate::process::env_var;
use fail_parallel::{FailPointRegistry, cfg_callback, fail_point};
use rustix::process::{Signal, getpid, kill_process};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Names the point and, after a colon, the pass.
const AT: &str = "ORCH_CRASH_AT";
/// Names the log file.
const LOG: &str = "ORCH_CRASH_LOG";
/// Instead of a point: record every passed point.
const TRACE: &str = "trace";
/// Variables of a preloaded library that intercepts file operations; a run's programs get them too.
const LAYER: [&str; 5] = ["LD_PRELOAD", "ORCH_DISK_ROOT", "ORCH_DISK_CONTROL", "ORCH_DISK_TRACE", "ORCH_DISK_ONLY"];

/// Passes a crash point, which may kill the process.
pub fn pass(name: &'static str) {
    static ARMED: OnceLock<Arc<FailPointRegistry>> = OnceLock::new();
    let registry = ARMED.get_or_init(arm);
    fail_point!(Arc::clone(registry), name);
}

/// Returns the variables that child programs inherit.
pub(super) fn variables() -> Vec<(OsString, OsString)> {
    [AT, LOG].into_iter().chain(LAYER).filter_map(|name| Some((name.into(), env_var(name)?.into()))).collect()
}

fn arm() -> Arc<FailPointRegistry> {
    let registry = Arc::new(FailPointRegistry::new());
    let Some(order) = env_var(AT) else { return registry };
    let set = |name: &'static str, act: Box<dyn Fn() + Send + Sync>| {
        cfg_callback(Arc::clone(&registry), name, act).expect("a callback is no text that could be wrong");
    };
    if order == TRACE {
        POINTS.iter().for_each(|name| set(name, Box::new(|| log_pass(name, false).unwrap_or_default())));
        return registry;
    }
    let (wanted, pass) = order.split_once(':').unwrap_or((&order, "1"));
    let (name, pass) = match (POINTS.iter().find(|name| **name == wanted), pass.parse::<u32>()) {
        (Some(name), Ok(pass)) => (*name, pass),
        (None, _) | (_, Err(_)) => panic!("{AT}={order}: no such point, or no such pass"),
    };
    let passes = AtomicU32::new(0);
    set(
        name,
        Box::new(move || {
            if passes.fetch_add(1, Ordering::SeqCst) + 1 == pass && log_pass(name, true).is_ok() {
                die();
            }
        }),
    );
    registry
}

/// Appends a line to the log. With `once`, only if the log does not exist yet.
fn log_pass(name: &str, once: bool) -> std::io::Result<()> {
    let Some(log) = env_var(LOG) else { return Ok(()) };
    let mut options = OpenOptions::new();
    if once {
        options.write(true).create_new(true)
    } else {
        options.append(true).create(true)
    };
    let program = std::env::args_os().nth(1).unwrap_or_default();
    let line = format!("{name} {} {}\n", std::process::id(), program.to_string_lossy());
    options.open(log)?.write_all(line.as_bytes())
}

/// Kills this process without running destructors or flushing buffers.
fn die() -> ! {
    loop {
        // Repeat until the signal is delivered.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
