//! The points of a build that has them: where this process dies, by its environment, read once.

use super::POINTS;
use crate::process::env_var;
use fail_parallel::{FailPointRegistry, cfg_callback, fail_point};
use rustix::process::{Signal, getpid, kill_process};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Names the point, and after a colon at which pass.
const AT: &str = "ORCH_CRASH_AT";
/// Names the file in which it is told.
const LOG: &str = "ORCH_CRASH_LOG";
/// Instead of a point: write down all of them.
const TRACE: &str = "trace";
/// A library between the process and its files, and its own orders: a run's programs are to have it, too.
const LAYER: [&str; 5] = ["LD_PRELOAD", "ORCH_DISK_ROOT", "ORCH_DISK_CONTROL", "ORCH_DISK_TRACE", "ORCH_DISK_ONLY"];

/// Passes a point.
pub fn pass(name: &'static str) {
    static ARMED: OnceLock<Arc<FailPointRegistry>> = OnceLock::new();
    let registry = ARMED.get_or_init(arm);
    fail_point!(Arc::clone(registry), name);
}

/// The variables, for a program that is to have them too.
pub(super) fn orders() -> Vec<(OsString, OsString)> {
    [AT, LOG].into_iter().chain(LAYER).filter_map(|name| Some((name.into(), env_var(name)?.into()))).collect()
}

fn arm() -> Arc<FailPointRegistry> {
    let registry = Arc::new(FailPointRegistry::new());
    let Some(order) = env_var(AT) else { return registry };
    let set = |name: &'static str, act: Box<dyn Fn() + Send + Sync>| {
        cfg_callback(Arc::clone(&registry), name, act).expect("a callback is no text that could be wrong");
    };
    if order == TRACE {
        POINTS.iter().for_each(|name| set(name, Box::new(|| tell(name, false).unwrap_or_default())));
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
            if passes.fetch_add(1, Ordering::SeqCst) + 1 == pass && tell(name, true).is_ok() {
                die();
            }
        }),
    );
    registry
}

/// Writes a line into the log. `once`: only if nobody has written anything.
fn tell(name: &str, once: bool) -> std::io::Result<()> {
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

/// No destructor, no buffer, no last word.
fn die() -> ! {
    loop {
        // Until it has come through.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
