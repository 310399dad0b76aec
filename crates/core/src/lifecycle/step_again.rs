//! Questions after which orch does a step of its own once more: no agent runs for what failed beside the work.

use super::{ask_first, ask_with, kind_of_work};
use crate::external::ExternalFailure;
use crate::ids::RunId;
use crate::question::QuestionKind;
use crate::task::{ReviewStage, State, Task};

/// A step of orch itself failed for minutes. No agent is to run for that: what is offered is the same step once more.
pub(super) fn ask_about_step(task: &mut Task, step: &str, failure: &ExternalFailure, resume_at: State) {
    let id = task.id;
    let question = format!(
        "{step} has failed for minutes, and nothing of the work is lost: {failure}; mend that, then `orch task unblock {id}` \
         tries the same step again"
    );
    let choices = ["unblock", "cancel"].map(|verb| format!("orch task {verb} {id}"));
    ask_with(task, QuestionKind::Setup, question, choices.into());
    task.resume_at = Some(Box::new(resume_at));
}

/// The work is there, and the project's setup keeps it from being judged. What is offered first judges it once more, by the
/// settings of that moment.
pub(super) fn ask_about_setup(task: &mut Task, question: &str) {
    let id = task.id;
    let question = then_unblock(task, question, "judges the work again, without an agent");
    let of = |verbs: &[&str]| verbs.iter().map(|verb| format!("orch task {verb} {id}")).collect::<Vec<_>>();
    let choices = match task.has_judged_work() {
        true => {
            let reject = format!("orch task reject {id} -m \"…\"");
            [of(&["unblock", "diff", "approve"]), vec![reject], of(&["cancel"])].concat()
        }
        false => of(&["unblock", "retry", "cancel"]),
    };
    let judging = task.state.clone();
    ask_with(task, QuestionKind::Setup, question, choices);
    task.resume_at = Some(Box::new(judging));
}

/// The work was accepted, and a person decides what goes to the base. What they put on the branch by hand is judged first.
pub(super) fn ask_about_integration(task: &mut Task, run: &RunId, question: &str) {
    let unblock = format!("orch task unblock {}", task.id);
    let question = format!("{question}. `{unblock}` judges what is on the branch then, without an agent");
    ask_first(task, kind_of_work(task, QuestionKind::Setup), question, unblock);
    task.resume_at = Some(Box::new(State::InReview { run: run.clone(), review: ReviewStage::Judging }));
}

/// What the task's last run did is not to be forgotten by the next, which begins when the person has decided.
pub(super) fn ask_to_put_back(task: &mut Task, question: &str, next: State) {
    let question = then_unblock(task, question, "lets the next run begin");
    let choices = ["unblock", "cancel"].map(|verb| format!("orch task {verb} {}", task.id));
    ask_with(task, QuestionKind::Setup, question, choices.into());
    task.resume_at = Some(Box::new(next));
}

/// A question whose first line says what is done when the person has done their part.
fn then_unblock(task: &Task, question: &str, does: &str) -> String {
    let (first, rest) = question.split_once('\n').unwrap_or((question, ""));
    format!("{first}; then `orch task unblock {}` {does}\n{rest}", task.id).trim_end().to_owned()
}
