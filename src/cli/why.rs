//! `orch why`: why a task does not move now, and what will move it.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::paint::{Paint, Role, role_of};
use super::ui::text::{indented, line};
use super::ui::time::Now;
use crate::api::types::WhyView;
use crate::domain::ids::TaskId;

/// Arguments of `orch why`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
}

/// Prints it.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    context.present(&format!("/v1/tasks/{}/why", args.id), told).await
}

fn told(why: &WhyView, now: &Now, paint: Paint) -> String {
    let status = paint.text(role_of(why.status), why.status.as_str());
    let because = indented(&why.because, "  ");
    let mut told = format!("task {} is {status}\n{because}", why.id);
    if let Some(until) = why.hold.as_ref().and_then(|hold| hold.until) {
        told.push_str(&format!("  until {}\n", now.until(until)));
    }
    told.push_str(&format!("{} {}\n", paint.text(Role::Active, "next:"), next(why, now)));
    told
}

/// The API tells times in UTC; a person reads their own.
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
    use crate::domain::plan::{Hold, HoldReason};
    use crate::domain::task::Status;

    fn why(hold: Option<Hold>, because: &str, next: &str) -> WhyView {
        WhyView { id: TaskId(7), status: Status::Routed, hold, because: because.to_owned(), next: next.to_owned() }
    }

    #[test]
    fn a_wait_reads_like_this() {
        let until = "2026-03-01T12:30:00Z".parse().expect("a time");
        let detail = "claude: usage limit\u{1b}[2J reached";
        let hold = Hold { reason: HoldReason::RateLimited, detail: detail.to_owned(), until: Some(until) };
        let held = why(Some(hold), detail, &format!("orch looks again at {until}; `orch task run 7` does not wait"));
        assert_eq!(
            told(&held, &now(), Paint::OFF),
            "task 7 is routed\n  claude: usage limit\\u{1b}[2J reached\n  until 13:30 (in 30m)\n\
             next: orch looks again at 13:30; `orch task run 7` does not wait\n"
        );
        let free = why(None, "nothing holds it", "it starts now");
        assert_eq!(told(&free, &now(), Paint::OFF), "task 7 is routed\n  nothing holds it\nnext: it starts now\n");
    }
}
