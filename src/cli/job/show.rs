//! Renders jobs for a person. PURE.

use crate::cli::ui::paint::Paint;
use crate::cli::ui::table::{Column, Width, cell, render};
use crate::cli::ui::text;
use crate::cli::ui::time::{Now, took};
use orch_api::jobs::{FiringView, JobView, MadeView};

const HEAD: [Column; 6] = [
    Column::new("job", Width::Whole),
    Column::new("schedule", Width::Whole),
    Column::new("zone", Width::Whole),
    Column::new("next", Width::Whole),
    Column::new("last", Width::Rest(12)),
    Column::new("what", Width::Rest(20)),
];

/// Renders the list of jobs.
pub fn listed(jobs: &[JobView], now: &Now, columns: usize, paint: Paint) -> String {
    if jobs.is_empty() {
        return "there is no job; `orch job add \"0 9 * * 1-5\" \"What is to be done\"` adds one\n".to_owned();
    }
    let rows: Vec<_> = jobs
        .iter()
        .map(|job| {
            [
                cell(job.id.as_str()),
                cell(job.schedule.as_str()),
                cell(job.tz.as_deref().unwrap_or_default()),
                cell(next(job, now)),
                cell(job.firings.first().map(|firing| last(firing, now)).unwrap_or_default()),
                cell(job.run.as_deref().unwrap_or(&job.task.title)),
            ]
        })
        .collect();
    render(&HEAD, &rows, columns, paint)
}

fn next(job: &JobView, now: &Now) -> String {
    match job.next_at {
        _ if !job.enabled => "off".to_owned(),
        Some(at) => now.local(at),
        None => "never".to_owned(),
    }
}

/// Renders `; it fires next at 09:00 (in 2h)`, or why it does not.
pub fn next_words(job: &JobView, now: &Now) -> String {
    match job.next_at {
        _ if !job.enabled => format!(", switched off; `orch job enable {}` switches it on", job.id),
        Some(at) => format!("; it fires next at {}", now.until(at)),
        None => "; it never fires".to_owned(),
    }
}

fn last(firing: &FiringView, now: &Now) -> String {
    format!("{} ago, {}", now.age(firing.at), outcome(firing))
}

/// Describes the result of a firing.
fn outcome(firing: &FiringView) -> String {
    match (firing.made, firing.task_id, firing.state) {
        (MadeView::Task, Some(task), _) => format!("task {task}"),
        (MadeView::Command, _, Some(state)) => state.as_str().to_owned(),
        (MadeView::Task | MadeView::Command, ..) => "runs".to_owned(),
        (MadeView::Nothing, ..) => "nothing".to_owned(),
    }
}

/// Renders everything about one job.
pub fn details(job: &JobView, now: &Now) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(&format!("{name:<10} {}\n", text::line(value)));
        }
    };
    line("job", job.id.as_str());
    line("schedule", &job.schedule);
    line("zone", job.tz.as_deref().unwrap_or("the machine's"));
    line("next", &job.next_at.filter(|_| job.enabled).map_or_else(|| next(job, now), |at| now.until(at)));
    line("title", &job.task.title);
    line("runs", job.run.as_deref().unwrap_or_default());
    let limit = job.timeout_seconds.map(|seconds| format!("{seconds} s")).unwrap_or_default();
    line("limit", &limit);
    line("labels", &job.task.labels.join(", "));
    line("dir", &job.task.dir.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default());
    line("agent", job.task.agent.as_deref().unwrap_or_default());
    line("model", job.task.model.as_deref().unwrap_or_default());
    line("catch_up", job.catch_up.as_str());
    line("overlap", job.overlap.as_str());
    line("jitter", &Some(job.jitter_seconds).filter(|s| *s > 0).map(|s| format!("up to {s} s")).unwrap_or_default());
    line("waiting", &Some(job.waiting).filter(|n| *n > 0).map(|n| format!("{n} of its times")).unwrap_or_default());
    if !job.task.body.is_empty() {
        out.push_str(&format!("\n{}\n", text::lines(job.task.body.trim_end())));
    }
    if !job.firings.is_empty() {
        out.push_str("\nlast firings, newest first\n");
        job.firings.iter().for_each(|firing| out.push_str(&firing_lines(firing, now)));
    }
    out
}

fn firing_lines(firing: &FiringView, now: &Now) -> String {
    let code = firing.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let took = firing.duration_ms.map(|ms| format!(", {}", took(ms))).unwrap_or_default();
    let why = firing.why.as_deref().map(|why| format!(": {}", text::line(why))).unwrap_or_default();
    let mut lines =
        format!("  {}  {} ({}){code}{took}{why}\n", now.local(firing.due), outcome(firing), firing.cause.as_str());
    if let Some(output) = firing.output.as_ref().filter(|_| firing.exit_code != Some(0)) {
        let tail = firing.output_tail.as_deref().unwrap_or_default();
        let last: Vec<&str> = tail.lines().rev().take(3).collect();
        last.iter().rev().for_each(|line| lines.push_str(&format!("      {}\n", text::line(line))));
        lines.push_str(&format!("      all of it: {}\n", output.display()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::now;
    use orch_core::operations::job::{
        CatchUp, Cause, CommandEnd, CommandState, Firing, JobId, JobRecord, JobSpec, Made, Overlap,
    };
    use orch_core::tasks::task::Spec;

    fn job() -> JobView {
        let spec = JobSpec {
            id: JobId::of_title("Backup"),
            schedule: "0 3 * * *".to_owned(),
            tz: Some("Europe/Berlin".to_owned()),
            task: Spec::default(),
            run: Some("make backup\u{1b}[2J".to_owned()),
            timeout_seconds: None,
            enabled: true,
            catch_up: CatchUp::Once,
            overlap: Some(Overlap::Queue),
            jitter_seconds: 60,
        };
        let end = CommandEnd {
            state: CommandState::Failed,
            exit_code: Some(3),
            duration_ms: 1500,
            tail: "a\nb\nno disk".to_owned(),
        };
        let made = Made::Command { run: "make backup".to_owned(), dir: None, timeout_seconds: 5, end: Some(end) };
        let due = "2026-03-01T02:00:00Z".parse().expect("a time");
        let firing = Firing { job: spec.id.clone(), due, at: due, cause: Cause::Schedule, made };
        let view = FiringView::new(&firing, "/h/output.log".into());
        JobView::new(&JobRecord::new(spec, due), "2026-03-02T02:00:00Z".parse().ok(), false, vec![view])
    }

    #[test]
    fn a_job_is_listed_with_when_and_what_and_how_it_went() {
        let text = listed(&[job()], &now(), 120, Paint::OFF);
        let row = text.lines().nth(1).expect("a row");
        assert!(row.starts_with("backup  0 3 * * *  Europe/Berlin  2026-03-02 03:00"), "{text}");
        assert!(row.contains("failed") && row.contains("make backup") && !row.contains('\u{1b}'), "{text}");
        let off = listed(&[JobView { enabled: false, ..job() }], &now(), 120, Paint::OFF);
        assert!(off.contains("  off  "), "{off}");
        assert!(listed(&[], &now(), 80, Paint::OFF).contains("orch job add"));
    }

    #[test]
    fn details_show_everything_and_the_end_of_a_failure() {
        let text = details(&job(), &now());
        for part in [
            "overlap    queue",
            "jitter     up to 60 s",
            "failed (schedule), exit code 3, 1.5s",
            "      no disk",
            "/h/output.log",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
