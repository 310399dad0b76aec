//! What jobs report to the loop. Plain data.

use crate::error::EngineError;
use crate::files::file_job::{FileNews, Writeback};
use crate::files::jobs_file::Changed as JobsChanged;
use crate::upkeep::gc;
use crate::verify::ending::Over;
use jiff::Timestamp;
use orch_core::base::external::ExternalFailure;
use orch_core::base::health::Health;
use orch_core::base::ids::RunId;
use orch_core::operations::job::{CommandEnd, FiringKey};
use orch_core::planning::overlap::Touched;
use orch_core::tasks::event::{IntegrationProblem, LaunchProblem};
use orch_core::tasks::evidence::{Evidence, Integration};
use orch_core::tasks::judge::Verdict;
use orch_core::tasks::message::MessageId;
use orch_core::tasks::review::Reviewers;
use orch_core::tasks::task::{Order, Run, Workplace};
use std::time::SystemTime;

/// What a job found or did.
#[derive(Debug)]
pub enum Report {
    /// The state of the runs.
    Polled {
        /// Messages that agents have taken up.
        heard: Vec<(RunId, MessageId)>,
        /// How agents fare, where that is news.
        health: Vec<(RunId, Health, SystemTime)>,
        /// Runs that ended.
        ended: Vec<(RunId, Over)>,
    },
    /// The home's files.
    Files(Box<FileNews>),
    /// `tasks.yml` was written, or not.
    Written(Box<Writeback>),
    /// The runner has the run.
    Started {
        /// The run that was started.
        run: RunId,
        /// Where it works; none for a routing question.
        place: Option<Workplace>,
        /// The conversation that orch chose.
        session_id: Option<String>,
        /// Its agent takes messages while it works.
        live: bool,
        /// When the run was started.
        at: Timestamp,
    },
    /// The run could not be started.
    NotStarted {
        /// The run that was to be started.
        run: RunId,
        /// Why the run could not be started.
        problem: LaunchProblem,
    },
    /// A run's result was judged.
    Judged {
        /// The run that was judged.
        run: RunId,
        /// The conclusion about the run.
        verdict: Verdict,
        /// The evidence of the verdict.
        evidence: Box<Evidence>,
        /// Who reviews it next.
        reviewers: Reviewers,
        /// The run's record, when orch's verdict is worse than the agent's word.
        record: Option<Box<Run>>,
    },
    /// The evidence of a run could not be gathered for minutes.
    NotJudged {
        /// The run that was to be judged.
        run: RunId,
        /// Which external call fails, and why.
        failure: ExternalFailure,
    },
    /// A branch was integrated, or not.
    Integrated {
        /// The run whose work was integrated.
        run: RunId,
        /// What was ordered when it began.
        order: Option<Order>,
        /// The result of the integration.
        result: Result<Integration, IntegrationProblem>,
        /// The run's record, when its work does not pass after the merge.
        record: Option<Box<Run>>,
    },
    /// What running tasks have changed.
    Touched(Touched),
    /// The worktrees were examined.
    Collected(Box<gc::Collected>),
    /// `jobs.yml` was changed for a person, or not.
    JobsChanged {
        /// The result of the change.
        result: Box<Result<JobsChanged, EngineError>>,
    },
    /// The command of a job is over.
    CommandEnded {
        /// The time of the job that fired.
        key: FiringKey,
        /// How the command ended.
        end: CommandEnd,
    },
    /// There is nothing to report.
    Nothing,
    /// The job itself broke.
    Broken(String),
}
