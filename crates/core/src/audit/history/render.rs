//! The sentences of the history. One fact, one sentence: nothing else is looked at.

mod of_home;
mod of_tasks;
mod of_work;

use super::{Fact, Standing};
use crate::base::ids::TaskId;
pub(crate) use of_home::to_raise;

/// The sentence.
pub(super) fn text(fact: &Fact) -> String {
    match fact {
        Fact::Task(fact) => of_tasks::task(fact),
        Fact::Model(fact) => of_tasks::model(fact),
        Fact::Message(fact) => of_tasks::message(fact),
        Fact::Route(fact) => of_work::route(fact),
        Fact::Run(fact) => of_work::run(fact),
        Fact::Review(fact) => of_work::review(fact),
        Fact::Integration(fact) => of_work::integration(fact),
        Fact::Spending(fact) => of_home::spending(fact),
        Fact::Batch(fact) => of_home::batch(fact),
        Fact::Job(fact) => of_home::job(fact),
        Fact::File(fact) => of_home::file(fact),
        Fact::Service(fact) => of_home::service(fact),
        Fact::Project(fact) => of_home::project(fact),
        Fact::Gc(fact) => of_home::gc(fact),
        Fact::Channel(fact) => fact.words().to_owned(),
        Fact::Untyped { text, .. } => text.clone(),
    }
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Asks { question } => format!("needs_review: {question}"),
        Standing::Resumes => "goes on when orch is back".to_owned(),
        Standing::Again { class, detail } => format!("again after {class}: {detail}"),
        Standing::Cancelled { reason } => format!("cancelled: {reason}"),
        Standing::Is { status } => status.as_str().to_owned(),
    }
}

/// `claude`, or `claude/opus`.
fn with_model(agent: &str, model: Option<&str>) -> String {
    model.map_or_else(|| agent.to_owned(), |model| format!("{agent}/{model}"))
}

/// `#3, #4`.
fn named(tasks: &[TaskId]) -> String {
    tasks.iter().map(|id| format!("#{id}")).collect::<Vec<_>>().join(", ")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
