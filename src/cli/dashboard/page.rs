//! Renders the screen of `orch dashboard`. PURE. What does not fit is counted: running agents come first, then tasks
//! that need a person, then waiting tasks with reasons, then the past and the future.

use crate::cli::status::page::{Page, Section, count, worker};
use crate::cli::ui::paint::{Role, role_of};
use crate::cli::ui::table::{Cell, Column, Width, cell};
use crate::cli::ui::text;
use orch_api::batches::BatchView;
use orch_api::dashboard::{DashboardView, EndedView, HeldView, ProjectView};
use orch_api::health::HealthView;
use orch_api::status::{QuestionView, RunningView};
use orch_core::base::money::Usd;
use orch_core::tasks::task::Status;
use std::borrow::Cow;

/// The most tasks of a list that are named.
const NAMED: usize = 6;

/// Renders the screen. Each line ends with a line feed, and none is wider than the screen.
pub fn render(page: &Page, view: &DashboardView, nobody_serves: bool) -> String {
    let (overview, slots) = (&view.overview, &view.overview.status.slots);
    let mut lines = page.head(&overview.status, nobody_serves);
    if slots.because.is_none() {
        let slots_line = format!("slots: {} of {} busy", slots.busy, slots.total);
        lines.push(text::fit(&slots_line, page.columns).into_owned());
    }
    lines.push(page.spend(&overview.today));
    lines.extend(page.batches(overview));
    if let Some(batch) = view.batch.as_ref().filter(|batch| batch.state.is_over()) {
        let text = format!("batch {} has ended: {}", batch.name, crate::cli::batch::summary(batch));
        lines.push(text::fit(&text, page.columns).into_owned());
    }
    if view.projects.len() > 1 {
        lines.extend(page.few(view.projects.iter().map(project_row).collect(), "orch project list"));
    }
    let mut sections = vec![
        running(page, &overview.running),
        needs_you(page, &overview.needs_you, count(&overview.status, &[Status::NeedsReview])),
        held(page, &view.held),
        ended(page, &view.ended),
        upcoming(page, view),
    ];
    sections.extend(view.batch.as_ref().map(|batch| batch_section(page, batch)));
    page.filled(lines, sections)
}

fn project_row(project: &ProjectView) -> String {
    let known = Status::ALL.iter().filter_map(|status| Some((status.as_str(), project.counts.get(status.as_str())?)));
    let counts: Vec<String> = known.map(|(word, count)| format!("{count} {word}")).collect();
    let name = project.name.as_deref().unwrap_or("no project");
    format!("{}: {}", text::line(name), counts.join(", "))
}

fn money(cost: Option<Usd>) -> String {
    cost.map(|cost| cost.to_string()).unwrap_or_default()
}

fn running(page: &Page, running: &[RunningView]) -> Section {
    const HEAD: [Column; 6] = [
        Column::number("id"),
        Column::new("agent", Width::Most(24)),
        Column::number("age"),
        Column::number("cost"),
        Column::new("title", Width::Rest(12)),
        Column::new("last line", Width::Rest(8)),
    ];
    let row = |run: &RunningView| -> [Cell<'static>; 6] {
        [
            cell(run.task_id.to_string()),
            (worker(&run.agent, run.model.as_deref()).into(), Some(Role::Active)),
            cell(page.now.age(run.since)),
            cell(money(run.cost_usd)),
            cell(run.title.clone()),
            match run.health.as_ref().and_then(HealthView::trouble) {
                Some(trouble) => (trouble.to_owned().into(), Some(Role::Warning)),
                None => (run.last_line.clone().unwrap_or_default().into(), Some(Role::Faint)),
            },
        ]
    };
    let rows: Vec<_> = running.iter().map(row).collect();
    page.section("running", "orch status", &HEAD, &rows, rows.len())
}

fn needs_you(page: &Page, asking: &[QuestionView], total: usize) -> Section {
    const HEAD: [Column; 4] = [
        Column::number("id"),
        Column::new("title", Width::Rest(10)),
        Column::new("what is asked", Width::Rest(12)),
        Column::new("next", Width::Most(34)),
    ];
    let row = |task: &QuestionView| -> [Cell<'static>; 4] {
        let question = task.kind.in_a_line(&task.question);
        let next = task.choices.iter().find(|choice| choice.starts_with("orch "));
        let next = next.cloned().unwrap_or_else(|| format!("orch why {}", task.id));
        [
            cell(task.id.to_string()),
            cell(task.title.clone()),
            (question.into(), Some(Role::Warning)),
            (next.into(), Some(Role::Active)),
        ]
    };
    let rows: Vec<_> = asking.iter().map(row).collect();
    page.section("needs you", "orch list", &HEAD, &rows, total)
}

fn held(page: &Page, held: &[HeldView]) -> Section {
    const HEAD: [Column; 4] = [
        Column::number("held"),
        Column::new("why", Width::Whole),
        Column::new("tasks", Width::Most(24)),
        Column::new("the first of them", Width::Rest(20)),
    ];
    let row = |group: &HeldView| -> [Cell<'static>; 4] {
        // A plain enum serializes to its name.
        let reason = serde_json::to_value(group.reason).ok();
        let reason = reason.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned();
        let mut named: Vec<String> = group.tasks.iter().take(NAMED).map(ToString::to_string).collect();
        if group.count > named.len() as u64 {
            named.push("…".to_owned());
        }
        let until = group.until.map(|until| format!("until {}: ", page.now.local(until))).unwrap_or_default();
        [
            cell(group.count.to_string()),
            cell(reason),
            cell(named.join(" ")),
            (format!("{until}{}", group.detail).into(), Some(Role::Faint)),
        ]
    };
    let rows: Vec<_> = held.iter().map(row).collect();
    page.section("waiting", "orch list", &HEAD, &rows, rows.len())
}

fn ended(page: &Page, ended: &[EndedView]) -> Section {
    const HEAD: [Column; 6] = [
        Column::number("id"),
        Column::new("ended", Width::Whole),
        Column::new("is now", Width::Whole),
        Column::new("agent", Width::Most(24)),
        Column::number("cost"),
        Column::new("title", Width::Rest(12)),
    ];
    let row = |run: &EndedView| -> [Cell<'static>; 6] {
        [
            cell(run.task_id.to_string()),
            cell(format!("{} ago", page.now.age(run.ended_at))),
            (Cow::Borrowed(run.status.as_str()), Some(role_of(run.status))),
            cell(worker(&run.agent, run.model.as_deref())),
            cell(money(run.cost_usd)),
            cell(run.title.clone()),
        ]
    };
    let rows: Vec<_> = ended.iter().map(row).collect();
    page.section("last ends", "orch events", &HEAD, &rows, rows.len())
}

fn upcoming(page: &Page, view: &DashboardView) -> Section {
    const HEAD: [Column; 3] =
        [Column::new("job", Width::Whole), Column::new("at", Width::Whole), Column::new("what", Width::Rest(12))];
    let row = |time: &orch_api::jobs::UpcomingView| -> [Cell<'static>; 3] {
        [cell(time.job.as_str().to_owned()), cell(page.now.until(time.at)), cell(time.what.clone())]
    };
    let rows: Vec<_> = view.upcoming.iter().map(row).collect();
    page.section("coming next", "orch job next", &HEAD, &rows, rows.len())
}

fn batch_section(page: &Page, batch: &BatchView) -> Section {
    const HEAD: [Column; 4] = [
        Column::number("id"),
        Column::new("status", Width::Whole),
        Column::number("spent"),
        Column::new("title", Width::Rest(12)),
    ];
    let rows = batch.rows.iter().flatten().map(|row| -> [Cell<'static>; 4] {
        [
            cell(row.id.to_string()),
            (Cow::Borrowed(row.status.as_str()), Some(role_of(row.status))),
            cell(money(row.spent_usd)),
            cell(row.title.clone()),
        ]
    });
    let rows: Vec<_> = rows.collect();
    page.section("the batch, in its order", "orch batch show", &HEAD, &rows, rows.len())
}

#[cfg(test)]
mod tests;
