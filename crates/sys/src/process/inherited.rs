//! Resets the signal state that a process inherits from its parent: the mask of blocked signals and the set of ignored
//! ones. Both survive the start of a program, and with SIGCHLD blocked or ignored the end of a child is never seen.
//! Each process of orch resets them before anything else, and thereby for every program that it starts.

use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The signals whose inherited "ignore" is reset. The standard library resets SIGPIPE for each child; the signals of
/// job control keep what the shell has chosen, because a handler would turn a write to the terminal into a loop.
const RESET: [i32; 8] = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM];

/// Unblocks every signal of the calling thread, and gives each ignored signal an empty handler: this process still
/// ignores the signal (`nohup`, a background job), but children get the default, because a handler does not survive the
/// start of a program. Must be called on the main thread before any other thread starts.
pub fn reset_signals() {
    if let Err(error) = SigSet::empty().thread_set_mask() {
        tracing::warn!(%error, "blocked signals stay blocked");
    }
    let ignored = ignored();
    for signal in RESET {
        if ignored & bit(signal) != 0
            && let Err(error) = flag::register(signal, Arc::new(AtomicBool::new(false)))
        {
            tracing::warn!(%error, signal, "the signal stays ignored");
        }
    }
}

/// Returns the ignored signals as the kernel's bit set. Where it cannot be read, SIGCHLD alone: for it an empty handler
/// equals the default, while another signal would no longer end this process.
#[cfg(target_os = "linux")]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").ok();
    status.and_then(|status| bits(&status, "SigIgn:")).unwrap_or(bit(SIGCHLD))
}

#[cfg(not(target_os = "linux"))]
fn ignored() -> u64 {
    bit(SIGCHLD)
}

fn bit(signal: i32) -> u64 {
    u32::try_from(signal - 1).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0)
}

/// Parses a bit set of `/proc/self/status`.
#[cfg(target_os = "linux")]
fn bits(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_signals_reads_as_the_kernel_writes_it() {
        let status = "SigBlk:\t0000000000010000\nSigIgn:\t0000000000001001\n";
        assert_eq!(bits(status, "SigBlk:"), Some(bit(SIGCHLD)));
        assert_eq!(bits(status, "SigIgn:"), Some(bit(SIGHUP) | 1 << 12));
        assert_eq!(bits(status, "SigCgt:"), None);
    }
}
