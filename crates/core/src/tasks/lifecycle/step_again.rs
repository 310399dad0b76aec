//! Questions after which orch repeats a step of its own: no agent runs for a failure outside the work.

use super::{ask_first, ask_with, kind_of_work};
use crate::base::external::ExternalFailure;
use crate::base::ids::RunId;
use crate::tasks::question::QuestionKind;
use crate::tasks::task::{ReviewStage, State, Task};

/// Asks about a step of orch that has failed for minutes. No agent can help; the choice offered is the same step again.
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

/// Asks about a project setup that keeps finished work from being judged. The first choice judges it again with the
/// settings of that moment.
pub(super) fn ask_about_setup(task: &mut Task, question: &str) {
    let id = task.id;
    let question = then_unblock(task, question, "judges the work again, without an agent");
    let commands = |verbs: &[&str]| verbs.iter().map(|verb| format!("orch task {verb} {id}")).collect::<Vec<_>>();
    let choices = match task.has_judged_work() {
        true => {
            let reject = format!("orch task reject {id} -m \"…\"");
            [commands(&["unblock", "diff", "approve"]), vec![reject], commands(&["cancel"])].concat()
        }
        false => commands(&["unblock", "retry", "cancel"]),
    };
    let judging = task.state.clone();
    ask_with(task, QuestionKind::Setup, question, choices);
    task.resume_at = Some(Box::new(judging));
}

/// Asks what goes to the base. Commits that the person adds to the branch by hand are judged first.
pub(super) fn ask_about_integration(task: &mut Task, run: &RunId, question: &str) {
    let unblock = format!("orch task unblock {}", task.id);
    let question = format!("{question}. `{unblock}` judges what is on the branch then, without an agent");
    ask_first(task, kind_of_work(task, QuestionKind::Setup), question, unblock);
    task.resume_at = Some(Box::new(State::InReview { run: run.clone(), review: ReviewStage::Judging }));
}

/// Asks about a forbidden change of the previous run, which the next run must not hide.
pub(super) fn ask_to_put_back(task: &mut Task, question: &str, next: State) {
    let question = then_unblock(task, question, "lets the next run begin");
    let choices = ["unblock", "cancel"].map(|verb| format!("orch task {verb} {}", task.id));
    ask_with(task, QuestionKind::Setup, question, choices.into());
    task.resume_at = Some(Box::new(next));
}

/// Appends to the question's first line what `orch task unblock` does.
fn then_unblock(task: &Task, question: &str, does: &str) -> String {
    let (first, rest) = question.split_once('\n').unwrap_or((question, ""));
    format!("{first}; then `orch task unblock {}` {does}\n{rest}", task.id).trim_end().to_owned()
}
