//! `orch why`: shows why a task does not move now, and what will move it.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::paint::{Paint, Role, role_of};
use super::ui::text::{indented, line};
use super::ui::time::Now;
use orch_api::endpoint;
use orch_api::types::WhyView;
use orch_core::base::ids::TaskId;

/// Arguments of `orch why`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
}

/// Prints the answer.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    context.present(&endpoint::TaskWhy { id: args.id }, render).await
}

fn render(why: &WhyView, now: &Now, paint: Paint) -> String {
    let status = paint.text(role_of(why.status), why.status.as_str());
    let because = indented(&why.because, "  ");
    let mut text = format!("task {} is {status}\n{because}", why.id);
    if let Some(until) = why.hold.as_ref().and_then(|hold| hold.until) {
        text.push_str(&format!("  until {}\n", now.until(until)));
    }
    if let Some(batch) = &why.batch {
        text.push_str(&format!("  it is in batch {} (orch batch show {0})\n", line(batch)));
    }
    text.push_str(&format!("{} {}\n", paint.text(Role::Active, "next:"), next(why, now)));
    text
}

/// Describes the next step. The API reports times in UTC; a person reads local time.
fn next(why: &WhyView, now: &Now) -> String {
    let next = line(&why.next);
    match why.hold.as_ref().and_then(|hold| hold.until) {
        Some(until) => next.replace(&until.to_string(), &now.local(until)),
        None => next.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::now;
    use orch_api::types::HoldView;
    use orch_core::planning::plan::{Hold, describe_end};
    use orch_core::tasks::hold::HoldReason;
    use orch_core::tasks::task::Status;

    fn why(hold: Option<HoldView>, because: &str, next: &str) -> WhyView {
        let (because, next) = (because.to_owned(), next.to_owned());
        WhyView { id: TaskId(7), status: Status::Routed, question_kind: None, hold, because, next, batch: None }
    }

    #[test]
    fn a_wait_reads_like_this() {
        let until = "2026-03-01T12:30:00Z".parse().expect("a time");
        let detail = "claude: usage limit\u{1b}[2J reached";
        let hold = HoldView { reason: HoldReason::RateLimited, detail: detail.to_owned(), until: Some(until) };
        let held = why(Some(hold), detail, &format!("orch looks again at {until}; `orch task run 7` does not wait"));
        assert_eq!(
            render(&held, &now(), Paint::OFF),
            "task 7 is routed\n  claude: usage limit\\u{1b}[2J reached\n  until 13:30 (in 30m)\n\
             next: orch looks again at 13:30; `orch task run 7` does not wait\n"
        );
        let of_batch = WhyView { batch: Some("night".to_owned()), ..why(None, "nothing holds it", "it starts now") };
        assert!(
            render(&of_batch, &now(), Paint::OFF).contains("\n  it is in batch night (orch batch show night)\nnext: ")
        );
        let free = why(None, "nothing holds it", "it starts now");
        assert_eq!(render(&free, &now(), Paint::OFF), "task 7 is routed\n  nothing holds it\nnext: it starts now\n");
    }

    #[test]
    fn every_hold_is_reported_with_its_reason_for_programs_and_its_end_for_people() {
        let later = "2026-03-01T12:30:00Z".parse().ok();
        for (reason, until) in HoldReason::ALL.into_iter().flat_map(|reason| [(reason, None), (reason, later)]) {
            let hold = HoldView { reason, detail: "for a reason".to_owned(), until };
            let view = why(Some(hold.clone()), &hold.detail, &describe_end(&Hold::from(&hold), TaskId(7), None));
            let text = render(&view, &now(), Paint::OFF);
            let (because, next) = text.split_once("\nnext: ").expect("what ends it stands at the end");
            assert!(because.contains("for a reason") && next.trim().len() > 10, "{reason:?}: {text}");
            assert_eq!(because.contains("until 13:30"), until.is_some(), "{text}");
            assert!(!text.contains("2026-"), "{reason:?} tells a time in UTC: {text}");
            let document = serde_json::to_value(&view).expect("plain data");
            assert_eq!(document["hold"]["reason"], serde_json::to_value(reason).expect("a word"));
            assert_eq!(document["next"], view.next);
        }
    }
}
