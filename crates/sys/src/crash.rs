//! Crash points: named points before and after every durable write and every side effect, at which a test can kill the
//! process as a power cut or `kill -9` would. They exist only in builds with the feature `failpoints`; elsewhere a
//! point compiles to nothing.
//!
//! `ORCH_CRASH_AT=<point>[:<n>]` kills the process at its n-th pass of the point, `ORCH_CRASH_AT=trace` records which
//! points are passed. `ORCH_CRASH_LOG` names the file that either writes to; if it exists already, a process has
//! crashed before, and there is no second crash.

#[cfg(feature = "failpoints")]
mod armed;

#[cfg(feature = "failpoints")]
pub use armed::pass;

/// A place at which the process may be made to die. The name must stand in [`POINTS`], once, and in one place only.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {{
        $crate::crash::pass($name);
    }};
}

/// A place at which a build with the feature `failpoints` may be made to die. In this build it is nothing.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {{}};
}

pub use crash_point as point;

/// All crash points, in the order in which a task passes them.
pub const POINTS: &[&str] = &[
    "journal.opened",
    "journal.commit.before",
    "journal.commit.after",
    "private.staged",
    "private.placed",
    "streamed.staged",
    "streamed.placed",
    "exchange.staged",
    "exchange.synced",
    "exchange.named",
    "exchange.published",
    "exchange.exchanged",
    "exchange.compared",
    "exchange.kept",
    "exchange.put_back",
    "sidecar.before",
    "sidecar.after",
    "session.file.before",
    "session.file.after",
    "session.open.before",
    "session.open.after",
    "session.taken",
    "session.close.before",
    "session.close.after",
    "worktree.before",
    "worktree.after",
    "prepared.before",
    "prepared.after",
    "guard.before",
    "guard.after",
    "prompt.before",
    "prompt.after",
    "env.before",
    "env.after",
    "launch.before",
    "launch.after",
    "claim.locked",
    "claim.made",
    "claim.written",
    "runner.env.taken",
    "runner.agent.before",
    "runner.agent.after",
    "runner.agent.ended",
    "runner.swept",
    "outcome.before",
    "outcome.after",
    "outcome.settled",
    "runner.wake.after",
    "message.hand_over.before",
    "message.hand_over.after",
    "message.claim.before",
    "message.claim.after",
    "message.receipt.before",
    "message.receipt.after",
    "stop.before",
    "stop.after",
    "bury.swept",
    "bury.before",
    "bury.after",
    "judge.leftovers.before",
    "judge.leftovers.after",
    "judge.check.before",
    "judge.check.after",
    "judge.kept",
    "merge.scratch.made",
    "merge.committed",
    "merge.checked",
    "merge.advance.before",
    "merge.noted",
    "merge.locked",
    "merge.index.before",
    "merge.moved",
    "merge.advance.after",
    "merge.remove.before",
    "merge.remove.after",
    "retention.stamp.before",
    "retention.stamp.after",
    "pack.before",
    "pack.written",
    "pack.after",
    "drop.before",
    "drop.after",
    "index.before",
    "index.after",
    "outbox.take.before",
    "outbox.take.after",
    "outbox.say.before",
    "outbox.say.after",
    "outbox.noted",
    "revert.before",
    "revert.brought",
    "revert.restored",
    "revert.after",
    "gc.before",
    "gc.recorded",
    "gc.held",
    "gc.free",
    "gc.forgotten",
    "gc.unbound",
    "gc.deleted",
    "gc.after",
    "command.before",
    "command.claimed",
    "command.ended",
    "command.kept",
    "mend.before",
    "mend.after",
    "backup.copied",
    "backup.written",
    "backup.placed",
    "restore.marked",
    "restore.set_aside",
    "restore.part",
    "restore.placed",
    "restore.superseded",
    "restore.after",
    "rebuild.before",
    "rebuild.kept",
    "rebuild.made",
    "rebuild.removed",
    "rebuild.part",
    "rebuild.placed",
    "rebuild.believed",
    "rebuild.after",
    "press.taken",
    "press.done",
];

/// Returns the environment variables that a run's programs need for crash points; none in ordinary builds.
#[cfg(not(feature = "failpoints"))]
pub fn inherited_variables() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    Vec::new()
}

/// Returns the environment variables that a run's programs need for crash points.
#[cfg(feature = "failpoints")]
pub fn inherited_variables() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    armed::variables()
}
