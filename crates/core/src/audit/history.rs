//! The facts of the history: what happened, as data. The engine makes a fact, the journal stores its kind and its data, and
//! [`render`] makes the sentence that a person reads. Kinds are stable words, and appear nowhere else in the program.
//!
//! Facts are the record format of the history themselves: a row is never written anew, so a change of what is stored of a
//! fact needs another [`VERSION`]. `tests/fixtures/facts.txt` holds what is stored of each.

mod facts_of_home;
mod facts_of_money;
mod facts_of_tasks;
mod facts_of_work;
mod render;
mod standing;
#[cfg(test)]
mod tests;

pub use facts_of_home::{
    BreakerClosed, ChannelFact, CommandRun, Due, FileFact, FileProblem, Fired, GcFact, Hindrance, JobFact, JobFailure,
    ProjectFact, ServiceFact,
};
pub use facts_of_money::{BatchFact, Spending};
pub use facts_of_tasks::{EditConflict, EditSource, MessageFact, ModelFact, PutBack, Stays, TaskFact};
pub use facts_of_work::{
    Beginning, Choice, Death, IntegrationFact, Landing, LeftBehind, NotIntegrated, ReviewFact, RouteFact, RunEnd,
    RunFact,
};
pub(crate) use render::to_raise;
pub use standing::Standing;

pub use crate::planning::batch::BatchEnd;
pub use crate::tasks::spec_merge::FieldChange;

use serde_json::{Map, Value};

/// The version of the data of a fact that this orch writes. A line of version 0 has a sentence instead.
pub const VERSION: u32 = 1;

/// Kinds of what was found at odds about a task between the file, commands and orch.
pub const CONFLICTS: [&str; 4] = ["edit_conflict", "status_refused", "put_back", "task_returned"];
/// The kind of work that reached its goal.
pub const ACCEPTED: &str = "done";
/// The kind of work that was taken back.
pub const REVERTED: &str = "reverted";
/// Kinds that describe how a run went on and ended.
const OF_ATTEMPTS: [&str; 5] = ["run_ended", "judged", "reviewed", "not_integrated", "rejected"];

/// A subject of the history: each variant is a kind with its data. The literal is the kind, which is stored and public.
macro_rules! facts {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$of_variant:meta])* $kind:literal $variant:ident
            $(($inner:ty))?
            $({ $($(#[$of_field:meta])* $field:ident: $type:ty),* $(,)? })?),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "kind", content = "data")]
        pub enum $name {
            $($(#[$of_variant])* #[serde(rename = $kind)] $variant
                $(($inner))?
                $({ $($(#[$of_field])* $field: $type),* })?),*
        }

        impl $name {
            /// All kinds of this subject.
            pub const KINDS: &'static [&'static str] = &[$($kind),*];

            /// The stable word.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $kind),* }
            }
        }
    };
}
pub(super) use facts;

/// All subjects, and a line of before facts were stored.
macro_rules! subjects {
    ($($(#[$doc:meta])* $name:ident($type:ty)),* $(,)?) => {
        /// Something that happened.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Fact {
            $($(#[$doc])* $name($type),)*
            /// A line that was stored as a sentence, or whose data this orch does not know.
            Untyped {
                /// Its kind.
                kind: String,
                /// Its sentence.
                text: String,
            },
        }

        $(impl From<$type> for Fact {
            fn from(fact: $type) -> Self {
                Self::$name(fact)
            }
        })*

        /// The kinds of all subjects.
        pub const KINDS: &[&[&str]] = &[$(<$type>::KINDS),*];

        impl Fact {
            /// The stable word.
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$name(fact) => fact.kind(),)*
                    Self::Untyped { kind, .. } => kind,
                }
            }

            fn document(&self) -> serde_json::Result<Value> {
                match self {
                    $(Self::$name(fact) => serde_json::to_value(fact),)*
                    Self::Untyped { text, .. } => Ok(serde_json::json!({ "data": { "text": text } })),
                }
            }

            fn of_document(kind: &str, document: Value) -> serde_json::Result<Self> {
                match kind {
                    $(_ if <$type>::KINDS.contains(&kind) => serde_json::from_value(document).map(Self::$name),)*
                    _ => Err(serde::de::Error::custom("a kind that this orch does not know")),
                }
            }
        }
    };
}

subjects! {
    /// What a task is and what people want of it.
    Task(TaskFact),
    /// The routing.
    Route(RouteFact),
    /// Runs and their results.
    Run(RunFact),
    /// The second look at work.
    Review(ReviewFact),
    /// The way of work to its base branch.
    Integration(IntegrationFact),
    /// Which model is used.
    Model(ModelFact),
    /// What is said to agents.
    Message(MessageFact),
    /// Money.
    Spending(Spending),
    /// Batches.
    Batch(BatchFact),
    /// Jobs that recur.
    Job(JobFact),
    /// Files of the person.
    File(FileFact),
    /// The daemon and what it switches.
    Service(ServiceFact),
    /// Registered repositories.
    Project(ProjectFact),
    /// Worktrees that are removed.
    Gc(GcFact),
    /// What is said in channels.
    Channel(ChannelFact),
}

impl Fact {
    /// The fields, for the journal and for programs: an object, empty where the kind says everything.
    ///
    /// # Errors
    /// A path in it is not Unicode.
    pub fn data(&self) -> serde_json::Result<Value> {
        let data = self.document()?.get_mut("data").map(Value::take);
        Ok(data.unwrap_or_else(|| Value::Object(Map::new())))
    }

    /// The version in which [`data`](Self::data) is.
    pub fn version(&self) -> u32 {
        if let Self::Untyped { .. } = self { 0 } else { VERSION }
    }

    /// The fact of a kind with these fields. What this orch does not know, of an older or a newer one, stays as it is.
    pub fn read(kind: &str, version: u32, data: &Value) -> Self {
        let untyped = || {
            let text = data.get("text").and_then(Value::as_str).map_or_else(|| data.to_string(), str::to_owned);
            Self::Untyped { kind: kind.to_owned(), text }
        };
        if version != VERSION {
            return untyped();
        }
        let mut document = Map::new();
        document.insert("kind".to_owned(), kind.into());
        if data.as_object().is_none_or(|fields| !fields.is_empty()) {
            document.insert("data".to_owned(), data.clone());
        }
        Self::of_document(kind, Value::Object(document)).unwrap_or_else(|_| untyped())
    }

    /// The sentence for a person.
    pub fn text(&self) -> String {
        render::text(self)
    }

    /// The state of the task after it, where the fact has one.
    pub fn standing(&self) -> Option<&Standing> {
        match self {
            Self::Task(fact) => fact.standing(),
            Self::Run(fact) => fact.standing(),
            Self::Review(fact) => fact.standing(),
            Self::Integration(fact) => fact.standing(),
            Self::Route(_)
            | Self::Model(_)
            | Self::Message(_)
            | Self::Spending(_)
            | Self::Batch(_)
            | Self::Job(_)
            | Self::File(_)
            | Self::Service(_)
            | Self::Project(_)
            | Self::Gc(_)
            | Self::Channel(_)
            | Self::Untyped { .. } => None,
        }
    }

    /// What orch asks a person by it.
    pub fn question(&self) -> Option<&str> {
        if let Standing::Asks { question } = self.standing()? { Some(question) } else { None }
    }

    /// Whether it describes how a run went on and ended, which the next attempt should know.
    pub fn is_of_an_attempt(&self) -> bool {
        OF_ATTEMPTS.contains(&self.kind())
    }
}
