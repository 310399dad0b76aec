//! The shapes on the wire. Stable: documented in `docs/reference/json.md`, absent values are `null`, times are RFC 3339 in UTC.

use super::evidence::{EvidenceView, IntegrateMode, IntegrationView};
use super::health::HealthView;
use super::last_worker::LastWorker;
use super::messages::MessageView;
use super::mirror::{mirror, words};
use super::route::RouteResultView;
pub use super::wanted::{NewProject, NewTask, RemoveProject, TaskDraft, TryChecks};
use jiff::Timestamp;
use orch_core::audit::actor::Actor;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::Usd;
use orch_core::planning::plan::Hold;
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::outcome::{FailureClass, Outcome, RunKind};
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::task::{BeganFrom, Run, Status, Task};
use orch_core::text::task_key::describe_ignored;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A task. In lists `runs` and `evidence` are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// The number of the task.
    pub id: TaskId,
    /// The title, in one line.
    pub title: String,
    /// The details.
    pub body: String,
    /// The labels.
    pub labels: Vec<String>,
    /// The directory of its repository.
    pub dir: Option<PathBuf>,
    /// The name of its project.
    pub project: Option<String>,
    /// Branch that its work starts from and goes to; `null`: the one that is checked out when it begins.
    #[serde(default)]
    pub base_branch: Option<String>,
    /// What becomes of accepted work by the settings of its project.
    #[serde(default)]
    pub integrate: Option<IntegrateMode>,
    /// The type of work: feature, bug, …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The status of the task.
    pub status: Status,
    /// What kind of help it needs from a person; `null`: none.
    #[serde(default)]
    pub question_kind: Option<QuestionKind>,
    /// What a person is asked.
    pub question: Option<String>,
    /// The commands that answer it.
    pub choices: Vec<String>,
    /// Why it does not move.
    pub hold: Option<HoldView>,
    /// The priority; higher starts first.
    pub priority: i64,
    /// The tasks that must be done before.
    pub depends_on: Vec<TaskId>,
    /// The task that it is a part of.
    pub parent: Option<TaskId>,
    /// The tasks that are parts of it.
    pub children: Vec<TaskId>,
    /// Who has claimed it.
    pub assignee: Option<String>,
    /// When it was claimed.
    #[serde(default)]
    pub claimed_at: Option<Timestamp>,
    /// The open batch that it is in.
    #[serde(default)]
    pub batch: Option<String>,
    /// Its branch.
    pub branch: Option<String>,
    /// The commit of its branch that orch has judged: what an approval is of.
    #[serde(default)]
    pub judged: Option<String>,
    /// The directory of its checkout.
    pub worktree: Option<PathBuf>,
    /// Agent and model, and why.
    pub route: Option<RouteResultView>,
    /// The agent of the last work run; `null`: there is none yet.
    #[serde(default)]
    pub worked_by: Option<LastWorker>,
    /// The number of attempts that were started.
    pub attempts: u32,
    /// What it cost so far, as far as known.
    pub cost_usd: Option<Usd>,
    /// The last summary of an agent.
    pub summary: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Accepted work of other tasks that its branch began from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub began_from: Vec<BeganFromView>,
    /// What became of the branch.
    pub integration: Option<IntegrationView>,
    /// All runs of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<Vec<RunView>>,
    /// The reasons for the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Option<EvidenceView>>,
    /// What was said to its agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<MessageView>>,
    /// What its entry in `tasks.yml` says that means nothing to orch, one sentence for each key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// What is unusual about the model and the labels that were just asked for; only where the task was added or changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What was found at odds between `tasks.yml`, commands and orch, and how it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<Vec<EventView>>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// The id of the run.
    pub run_id: RunId,
    /// The attempt that it belongs to.
    pub attempt: u32,
    /// The purpose of the run.
    pub kind: RunKind,
    /// The agent.
    pub agent: String,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Why this one; `null`: as the task's route says.
    pub reason: Option<String>,
    /// The id of the conversation, as the agent's CLI names it.
    pub session_id: Option<String>,
    /// When the agent was started.
    pub started_at: Option<Timestamp>,
    /// When the agent ended.
    pub ended_at: Option<Timestamp>,
    /// How; `null` while it runs.
    pub outcome: Option<OutcomeView>,
    /// What it cost; `null`: not known.
    pub cost_usd: Option<Usd>,
    /// `cost_usd` is computed from tokens and the catalog's prices: the CLI reported none.
    #[serde(default)]
    pub cost_computed: bool,
    /// The tokens that it used.
    pub tokens: Tokens,
    /// The file with its readable output.
    pub transcript: PathBuf,
    /// How its agent fares; `null` once it has ended, and as long as there is nothing to tell.
    #[serde(default)]
    pub health: Option<HealthView>,
}

/// Tokens of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// The tokens read at full price.
    pub input: Option<u64>,
    /// The tokens written.
    pub output: Option<u64>,
    /// The tokens read from the cache.
    pub cached: Option<u64>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeView {
    /// How it ended.
    pub state: OutcomeState,
    /// Of a failure: its class.
    pub class: Option<FailureClass>,
    /// A description for a person.
    pub detail: Option<String>,
    /// When the provider serves again.
    pub retry_at: Option<Timestamp>,
}

words! {
    /// How a run ended.
    pub enum OutcomeState {
        /// The agent ended with an answer.
        Finished = "finished",
        /// The run failed.
        Failed = "failed",
        /// A person or orch stopped it.
        Cancelled = "cancelled",
    }
}

mirror! {
    /// A named reason why a task does not continue, and when it is checked again.
    #[schemars(rename = "Hold")]
    pub struct HoldView for Hold {
        /// The kind of the reason.
        pub reason: HoldReason,
        /// The details for a person.
        pub detail: String,
        /// When the hold ends, where that is known.
        pub until: Option<Timestamp>,
    }
}

mirror! {
    /// Accepted work of a task on which another task builds.
    #[schemars(rename = "BeganFrom")]
    pub struct BeganFromView for BeganFrom {
        /// The task that made it.
        pub task: TaskId,
        /// The commit that was accepted.
        pub commit: String,
    }
}

/// One row of `orch task list`, small because there may be ten thousand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRow {
    /// The number of the task.
    pub id: TaskId,
    /// The status of the task.
    pub status: Status,
    /// The agent of the last run of work, before the first one that of the route.
    pub agent: Option<String>,
    /// The model of the same.
    pub model: Option<String>,
    /// The title.
    pub title: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// What kind of help it needs from a person; `null`: none.
    #[serde(default)]
    pub question_kind: Option<QuestionKind>,
    /// Why it waits, or what is asked.
    pub why: Option<String>,
}

/// The rows that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowsView {
    /// In the order of their ids.
    pub rows: Vec<TaskRow>,
    /// How many older settled tasks there are beside them.
    pub left_out: u64,
}

/// Why a task does not move now, and what will move it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    /// The id of the task.
    pub id: TaskId,
    /// The status of the task.
    pub status: Status,
    /// What kind of help it needs from a person; `null`: none.
    #[serde(default)]
    pub question_kind: Option<QuestionKind>,
    /// Why the task waits.
    pub hold: Option<HoldView>,
    /// Why it does not move, in a sentence.
    pub because: String,
    /// What moves it on.
    pub next: String,
    /// The open batch that it is in.
    #[serde(default)]
    pub batch: Option<String>,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its place: counted from 1 without a gap.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The task that it is about.
    pub task_id: Option<TaskId>,
    /// The run that it is about.
    pub run_id: Option<RunId>,
    /// Who did it.
    #[serde(default)]
    pub by: ActorKind,
    /// More about who: what the person spoke through (`telegram user 42`, `tasks.yml`; `null`: a terminal), the run, the job.
    #[serde(default)]
    pub who: Option<String>,
    /// The kind, as a stable word.
    pub kind: String,
    /// The text for a person.
    pub text: String,
    /// What happened, as fields; which, depends on the kind. `null`: an orch stored it that had only the sentence.
    #[serde(default)]
    pub data: Option<serde_json::Value>,
}

words! {
    /// Who did something. An older daemon does not say who.
    #[derive(Default)]
    pub enum ActorKind {
        /// orch, by its own rules.
        #[default]
        Orch = "orch",
        /// A person.
        Person = "person",
        /// A run: its agent, or a process that descends from it.
        Agent = "agent",
        /// A job whose time came.
        Schedule = "schedule",
        /// A process of which the system does not tell what it descends from.
        Unknown = "unknown",
    }
}

impl From<&Actor> for ActorKind {
    fn from(actor: &Actor) -> Self {
        match actor {
            Actor::Orch => Self::Orch,
            Actor::Person { .. } => Self::Person,
            Actor::Run(_) => Self::Agent,
            Actor::Schedule(_) => Self::Schedule,
            Actor::Unknown => Self::Unknown,
        }
    }
}

impl TaskView {
    /// Creates the view of a task as a list shows it.
    pub fn new(task: &Task, context: &TaskContext<'_>) -> Self {
        let (question, choices) = task.question().unzip();
        Self {
            id: task.id,
            title: task.spec.title.clone(),
            body: task.spec.body.clone(),
            labels: task.spec.labels.clone(),
            dir: task.spec.dir.clone().or_else(|| context.dir.map(Into::into)),
            project: context.project.map(str::to_owned),
            base_branch: task
                .place
                .as_ref()
                .map(|p| p.base_branch.clone())
                .or(context.base_branch.clone())
                .or_else(|| task.base_branch.clone()),
            integrate: context.integrate,
            kind: task.spec.kind.clone(),
            status: task.status(),
            question_kind: task.question_kind(),
            question: question.map(str::to_owned),
            choices: choices.map(<[String]>::to_vec).unwrap_or_default(),
            hold: context.hold.map(HoldView::from),
            priority: task.spec.priority,
            depends_on: task.spec.depends_on.clone(),
            parent: task.spec.parent,
            children: context.children.clone(),
            assignee: task.claimed_by().map(str::to_owned),
            claimed_at: task.claimed_since(),
            batch: context.batch.map(str::to_owned),
            branch: task.place.as_ref().map(|p| p.branch.clone()),
            judged: task.judged_commit().map(str::to_owned),
            worktree: task.place.as_ref().map(|p| p.worktree.clone()),
            route: task.route.as_deref().map(RouteResultView::from),
            worked_by: context.worked_by.clone(),
            attempts: task.progress.attempts,
            cost_usd: task.cost,
            summary: task.summary.clone(),
            created_at: task.created_at,
            updated_at: task.updated_at,
            began_from: task.place.iter().flat_map(|place| &place.began_from).map(BeganFromView::from).collect(),
            integration: task.integration.as_deref().map(IntegrationView::from),
            runs: None,
            evidence: None,
            messages: None,
            ignored: task.ignored.iter().map(|key| describe_ignored(key)).collect(),
            warnings: Vec::new(),
            conflicts: None,
        }
    }

    /// The same with everything: runs (each with the path of its transcript) and evidence.
    #[must_use]
    pub fn with_details(
        mut self,
        task: &Task,
        runs: Vec<RunView>,
        messages: Vec<MessageView>,
        conflicts: Vec<EventView>,
    ) -> Self {
        self.runs = Some(runs);
        self.messages = Some(messages);
        self.conflicts = Some(conflicts);
        self.evidence = Some(EvidenceView::from_task(task));
        self
    }
}

/// What a task's view needs beside the task.
#[derive(Debug, Default)]
pub struct TaskContext<'a> {
    /// Who made the last run of work.
    pub worked_by: Option<LastWorker>,
    /// The directory it belongs to when it names none itself.
    pub dir: Option<&'a std::path::Path>,
    /// The name of its project.
    pub project: Option<&'a str>,
    /// The base branch that its project's settings name.
    pub base_branch: Option<String>,
    /// `workflow.integrate` of its project.
    pub integrate: Option<IntegrateMode>,
    /// Why the task waits.
    pub hold: Option<&'a Hold>,
    /// The tasks that are parts of it.
    pub children: Vec<TaskId>,
    /// The open batch that it is in.
    pub batch: Option<&'a str>,
}

impl RunView {
    /// Creates the view of a run; `transcript` is the file of its output.
    pub fn new(run: &Run, transcript: PathBuf, now: Timestamp) -> Self {
        Self {
            health: HealthView::from_run(run, now),
            run_id: run.id.clone(),
            attempt: run.attempt,
            kind: run.kind,
            agent: run.agent.clone(),
            model: run.model.clone(),
            reason: run.model_reason.clone(),
            session_id: run.session_id.clone(),
            started_at: run.started_at,
            ended_at: run.ended_at,
            outcome: run.outcome.as_ref().map(OutcomeView::from),
            cost_usd: run.cost,
            cost_computed: run.cost_computed,
            tokens: Tokens { input: run.usage.input, output: run.usage.output, cached: run.usage.cached },
            transcript,
        }
    }
}

impl From<&Outcome> for OutcomeView {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Finished { answer } => Self {
                state: OutcomeState::Finished,
                class: None,
                detail: Some(answer.summary.clone()),
                retry_at: None,
            },
            Outcome::Failed(failure) => Self {
                state: OutcomeState::Failed,
                class: Some(failure.class),
                detail: Some(failure.detail.clone()),
                retry_at: failure.retry_at,
            },
            Outcome::Cancelled { detail } => {
                Self { state: OutcomeState::Cancelled, class: None, detail: Some(detail.clone()), retry_at: None }
            }
        }
    }
}
