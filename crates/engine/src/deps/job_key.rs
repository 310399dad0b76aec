//! What identifies a job: two jobs with the same key are the same, and never run beside each other.

use orch_core::base::ids::RunId;
use orch_core::operations::job::FiringKey;
use orch_core::tasks::message::MessageId;

/// What makes two jobs the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JobKey {
    /// Poll the runs.
    Poll,
    /// Read the home's files.
    ReadFiles,
    /// Write the file `tasks.yml`.
    WriteFile,
    /// Start a run.
    Start(RunId),
    /// Stop a run.
    Stop(RunId),
    /// Hand a message to a run.
    HandOver(RunId, MessageId),
    /// Throw the checkout of a review away.
    ClearReview(RunId),
    /// Judge a run's result.
    Judge(RunId),
    /// Integrate a run's result.
    Integrate(RunId),
    /// Compare a branch with its base.
    Compare(RunId),
    /// Try a project's checks.
    TryChecks(RunId),
    /// Read what running tasks have changed.
    ReadChanges,
    /// Ask the router for a person.
    TryRoute(RunId),
    /// Write the sidecars of changed tasks.
    Sidecars,
    /// Pack and drop the output of runs that are over.
    Retain,
    /// Put runs that are over into the search index.
    Index,
    /// Remove worktrees whose work is elsewhere too.
    Collect,
    /// Change `jobs.yml` for a person.
    ChangeJobs,
    /// Run the command of a job.
    RunCommand(FiringKey),
}
