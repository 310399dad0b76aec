//! The report on how a run ended: the last file that the runner writes.

use super::render::duration;
use jiff::Timestamp;
use orch_core::base::ids::RunId;
use orch_core::tasks::answer::{Answer, AnswerStatus};
use orch_core::tasks::outcome::{Ending, Exit, Failure, Outcome, RunKind, Side};
use orch_core::text::redact::Redactor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Why orch ended the agent's process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Stop {
    /// A person or the engine asked for it.
    Asked {
        /// The reason, for a person.
        reason: String,
    },
    /// It exceeded one of orch's limits, or was in a state that it cannot leave by itself.
    Limit {
        /// The limit or state.
        failure: Failure,
    },
    /// Its turn had ended; only something that it left behind kept its process alive.
    Lingering,
}

/// The report on one run. Stored as `outcome.json`; secrets are masked in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// The id of the run.
    pub run_id: RunId,
    /// The purpose of the run.
    pub kind: RunKind,
    /// When the runner claimed it.
    pub started_at: Timestamp,
    /// When its last process was gone.
    pub ended_at: Timestamp,
    /// How the agent's process ended; `None` when it did not start, or its end is unknown.
    pub exit: Option<Exit>,
    /// What the dialect's reader concluded from the output.
    pub ending: Ending,
    /// Why orch ended the process, if it did.
    pub stopped: Option<Stop>,
    /// Processes that were left behind and had to be ended, one line each.
    pub swept: Vec<String>,
    /// What went wrong apart from the agent's own work.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Length of the transcript in bytes.
    pub transcript_bytes: u64,
}

impl RunReport {
    /// Returns the outcome of a run of [`RunKind::Work`].
    pub fn outcome(&self) -> Outcome {
        self.stop_outcome().unwrap_or_else(|| Outcome::from_ending(&self.ending))
    }

    /// Returns why there is no answer, for runs whose answer has another format; `None` when there may be one.
    pub fn failure(&self) -> Option<Outcome> {
        self.stop_outcome().or_else(|| self.ending.failure.clone().map(Outcome::Failed))
    }

    fn stop_outcome(&self) -> Option<Outcome> {
        match self.stopped.as_ref()? {
            Stop::Asked { reason } => Some(Outcome::Cancelled { detail: reason.clone() }),
            Stop::Limit { failure } => Some(Outcome::Failed(self.cause(failure).clone())),
            Stop::Lingering => None,
        }
    }

    /// Returns the provider's failure if there is one, else `limit`: a CLI that waits for its provider exceeds orch's limits
    /// too, and then the provider is the cause, not the task.
    fn cause<'a>(&'a self, limit: &'a Failure) -> &'a Failure {
        let of_provider = self.ending.failure.as_ref().filter(|f| f.class.side() == Side::Provider);
        of_provider.unwrap_or(limit)
    }

    /// Summarizes the run in one line for a person.
    pub(super) fn summary(&self) -> String {
        let what = match (&self.stopped, &self.ending.failure) {
            (Some(Stop::Asked { reason }), _) => reason.clone(),
            (Some(Stop::Limit { failure }), _) | (_, Some(failure)) => format!("{}: {}", failure.class, failure.detail),
            (Some(Stop::Lingering), None) => "turn completed, the process was ended".to_owned(),
            (None, None) => format!("turn completed{}", self.describe_answer()),
        };
        let exit = self.exit.map_or(String::new(), |exit| format!(", {exit}"));
        let took = self.ended_at.duration_since(self.started_at).as_millis();
        let took = duration(u64::try_from(took).unwrap_or_default());
        format!("run ended: {}{exit}, after {took}; {}", what.lines().next().unwrap_or_default(), self.describe_usage())
    }

    /// Describes the result that the agent reports.
    fn describe_answer(&self) -> String {
        match (self.kind, Outcome::from_ending(&self.ending)) {
            (RunKind::Route | RunKind::Review, _) | (_, Outcome::Cancelled { .. }) => String::new(),
            (RunKind::Work, Outcome::Finished { answer }) => match answer.status {
                AnswerStatus::Done => ", done".to_owned(),
                AnswerStatus::InProgress => ", not finished".to_owned(),
                AnswerStatus::Blocked => ", blocked".to_owned(),
                AnswerStatus::NeedsReview => ", a person is to decide".to_owned(),
            },
            (RunKind::Work, Outcome::Failed(failure)) => format!(", but {}: {}", failure.class, failure.detail),
        }
    }

    /// Describes tokens and cost; what is unknown is called unknown.
    fn describe_usage(&self) -> String {
        let Ending { usage, cost, usage_is_thread_total, .. } = &self.ending;
        let counts = [(usage.input, "in"), (usage.output, "out"), (usage.cached, "cached")];
        let counts: Vec<String> =
            counts.iter().filter_map(|(count, what)| Some(format!("{} {what}", (*count)?))).collect();
        let tokens = match (counts.is_empty(), usage_is_thread_total) {
            (true, _) => "tokens unknown".to_owned(),
            (false, false) => format!("tokens: {}", counts.join(", ")),
            (false, true) => format!("tokens of the whole conversation: {}", counts.join(", ")),
        };
        let cost = cost.map_or_else(|| "cost unknown".to_owned(), |cost| cost.to_string());
        format!("{tokens}; {cost}")
    }
}

/// Masks secrets in every text that comes from the agent.
pub(super) fn redact_ending(ending: &mut Ending, clean: &dyn Fn(&str) -> String, redactor: &Redactor) {
    // Written without `..`, so that a new field cannot be forgotten here.
    let Ending {
        session_id,
        model,
        final_text,
        structured,
        usage: _,
        cost: _,
        cost_computed: _,
        denials,
        failure,
        usage_is_thread_total: _,
    } = ending;
    // The final text may begin inside a secret: it may be only the last of several lines.
    let clean = |text: &str| redactor.rest_of_text(&clean(text));
    for text in [session_id, model, final_text].into_iter().flatten().chain(denials) {
        *text = clean(text);
    }
    if let Some(value) = structured {
        redactor.json(value);
        map_texts(value, &clean);
    }
    if let Some(Failure { class: _, detail, retry_at: _, conflict: _, round: _ }) = failure {
        *detail = clean(detail);
    }
}

/// Replaces every text that the agent wrote by `instead`. What orch decides by stays: the class of a failure, the status
/// of the work, the conversation, the usage.
pub(super) fn withhold_texts(ending: &mut Ending, kind: RunKind, instead: &str) {
    let answer = Answer::parse(ending.structured.as_ref(), ending.final_text.as_deref());
    let answer = answer.ok().filter(|_| kind == RunKind::Work);
    ending.structured = answer.map(|answer| json!({"status": answer.status, "summary": instead}));
    ending.final_text = None;
    let detail = ending.failure.as_mut().map(|failure| &mut failure.detail);
    ending.denials.iter_mut().chain(detail).for_each(|text| instead.clone_into(text));
}

fn map_texts(value: &mut Value, clean: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(items) => items.iter_mut().for_each(|item| map_texts(item, clean)),
        Value::Object(fields) => fields.values_mut().for_each(|field| map_texts(field, clean)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
