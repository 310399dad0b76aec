//! Renders the screen of `orch status`. PURE: the result depends only on the overview and the size. What does not fit
//! is counted: running agents come first, then tasks that need a person, then waiting tasks.

use crate::cli::batch::summary;
use crate::cli::breaker::in_the_way;
use crate::cli::models::set::one;
use crate::cli::models::show::left_alone;
use crate::cli::ui::paint::{Paint, Role, role_of};
use crate::cli::ui::table::{Cell, Column, Width, cell, render};
use crate::cli::ui::text;
use crate::cli::ui::time::Now;
use orch_api::health::HealthView;
use orch_api::status::{Overview, QueuedView, RunningView, SpendView, StatusView};
use orch_core::base::count;
use orch_core::tasks::task::Status;
use std::borrow::Cow;

/// The least height of a list: its heading, one line, and the count of the omitted ones.
const LEAST: usize = 3;
/// The most lines of one kind above the lists.
const FEW: usize = 6;

/// The parameters of the screen.
pub struct Page {
    /// The present time.
    pub now: Now,
    /// The width.
    pub columns: usize,
    /// The height; `None` if unlimited.
    pub rows: Option<usize>,
    /// The colours.
    pub paint: Paint,
}

/// A list with its heading.
pub struct Section {
    title: &'static str,
    /// The table, starting with its heading.
    lines: Vec<String>,
    /// The total number of rows.
    total: usize,
    /// The command that lists all rows.
    all: &'static str,
}

impl Page {
    /// Renders the screen. Each line ends with a line feed, and none is wider than the screen.
    pub fn render(&self, overview: &Overview, nobody_serves: bool) -> String {
        let mut lines = self.head(&overview.status, nobody_serves);
        lines.push(self.spend(&overview.today));
        lines.extend(self.batches(overview));
        if self.rows.is_some() {
            // If nothing but the screen is printed, it shows problems, too.
            let text = overview.status.problems.iter().map(|problem| text::fit(problem, self.columns));
            lines.extend(text.map(|problem| self.paint.text(Role::Bad, problem).into_owned()));
        }
        self.filled(lines, vec![self.running(overview), self.needs_you(overview), self.queued(overview)])
    }

    /// Renders these lines, and below them as much of the sections as fits.
    pub fn filled(&self, mut lines: Vec<String>, mut sections: Vec<Section>) -> String {
        sections.retain(|section| section.total > 0);
        let available = self.rows.map(|rows| rows.saturating_sub(lines.len()));
        for (section, height) in sections.iter().zip(heights(&sections, available)) {
            lines.extend(self.fitted(section, height));
        }
        lines.truncate(self.rows.unwrap_or(usize::MAX));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Renders the engine, the counts of tasks, and what prevents work.
    pub fn head(&self, status: &StatusView, nobody_serves: bool) -> Vec<String> {
        let engine = if nobody_serves {
            self.paint.text(Role::Warning, "no daemon runs").into_owned()
        } else {
            let state = match &status.shutting_down {
                Some(leaving) => leaving.how.describe(),
                None if status.idle => "nothing to do",
                None => "at work",
            };
            let http = status.http.as_deref().map(|http| format!(", {http}")).unwrap_or_default();
            let text = format!("orch {} runs as {} (pid {}{http}): {state}", status.version, status.mode, status.pid);
            text::fit(&text, self.columns).into_owned()
        };
        let known = Status::ALL.iter().filter_map(|s| Some((s.as_str(), status.counts.get(s.as_str())?)));
        let counts: Vec<String> = known.map(|(word, count)| format!("{count} {word}")).collect();
        let tasks = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        let mut lines = vec![engine, text::fit(&format!("tasks: {tasks}"), self.columns).into_owned()];
        let slots = &status.slots;
        if let Some(because) = &slots.because {
            let text = format!("slots: {} of {} busy ({because})", slots.busy, slots.total);
            lines.push(self.paint.text(Role::Warning, text::fit(&text, self.columns)).into_owned());
        }
        for breaker in &status.breakers {
            let text = text::fit(&in_the_way(breaker, &self.now), self.columns).into_owned();
            lines.push(self.paint.text(Role::Bad, text).into_owned());
        }
        for rest in &status.left_alone {
            let text = format!("cooldown: {}", left_alone(rest, &self.now));
            lines.push(self.paint.text(Role::Warning, text::fit(&text, self.columns)).into_owned());
        }
        for set in &status.set_models {
            let text = format!("models: {}; orch models reset", one(set));
            lines.push(self.paint.text(Role::Warning, text::fit(&text, self.columns)).into_owned());
        }
        let paused = status.paused.iter().map(|pause| text::fit(&pause.description, self.columns));
        lines.extend(paused.map(|text| self.paint.text(Role::Warning, text).into_owned()));
        lines
    }

    /// Renders today's spending.
    pub fn spend(&self, today: &SpendView) -> String {
        let sum = match today.cost_usd {
            Some(sum) => sum.to_string(),
            None => "unknown".to_owned(),
        };
        let runs = count::plural(today.runs, "run");
        let unpriced = match today.unpriced {
            0 => String::new(),
            some => format!(", {some} without a price"),
        };
        text::fit(&format!("today: {sum} ({runs}{unpriced})"), self.columns).into_owned()
    }

    /// Renders open batches.
    pub fn batches(&self, overview: &Overview) -> Vec<String> {
        let text = overview.batches.iter().map(|batch| format!("batch {}: {}", batch.name, summary(batch)));
        self.few(text.collect(), "orch batch list")
    }

    /// Limits lines to the first few, with the number of the others; `all` is the command that lists all.
    pub fn few(&self, mut messages: Vec<String>, all: &str) -> Vec<String> {
        let more = messages.len().saturating_sub(FEW);
        if more > 0 {
            messages.truncate(FEW);
            messages.push(format!("… and {more} more ({all})"));
        }
        messages.into_iter().map(|messages| text::fit(&messages, self.columns).into_owned()).collect()
    }

    fn is_narrow(&self) -> bool {
        self.columns < 80
    }

    /// Returns the largest width of an agent's name, and the least width of texts.
    fn shares(&self) -> (Width, Width) {
        if self.is_narrow() { (Width::Most(14), Width::Rest(8)) } else { (Width::Most(28), Width::Rest(12)) }
    }

    fn running(&self, overview: &Overview) -> Section {
        let (agent, rest) = self.shares();
        let head = [
            Column::number("id"),
            Column::new("agent", agent),
            Column::number("since"),
            Column::new("title", rest),
            Column::new("last line", rest),
        ];
        let row = |run: &RunningView| -> [Cell<'static>; 5] {
            [
                cell(run.task_id.to_string()),
                (worker(&run.agent, run.model.as_deref()).into(), Some(Role::Active)),
                cell(self.now.local(run.since)),
                cell(run.title.clone()),
                match run.health.as_ref().and_then(HealthView::trouble) {
                    Some(trouble) => (trouble.to_owned().into(), Some(Role::Warning)),
                    None => (run.last_line.clone().unwrap_or_default().into(), Some(Role::Faint)),
                },
            ]
        };
        let rows: Vec<_> = overview.running.iter().map(row).collect();
        self.section("running", "orch list", &head, &rows, rows.len())
    }

    fn needs_you(&self, overview: &Overview) -> Section {
        const HEAD: [Column; 3] = [
            Column::number("id"),
            Column::new("title", Width::Rest(12)),
            Column::new("what is asked (orch why ID)", Width::Rest(20)),
        ];
        let rows = overview.needs_you.iter().map(|task| -> [Cell<'_>; 3] {
            let question = task.kind.in_a_line(&task.question);
            [cell(task.id.to_string()), cell(task.title.as_str()), (Cow::Owned(question), Some(Role::Warning))]
        });
        let rows: Vec<_> = rows.collect();
        self.section("needs you", "orch list", &HEAD, &rows, count(&overview.status, &[Status::NeedsReview]))
    }

    fn queued(&self, overview: &Overview) -> Section {
        let (agent, rest) = self.shares();
        let head = [
            Column::number("id"),
            Column::new("status", Width::Whole),
            Column::new("agent", agent),
            Column::new("title", rest),
            Column::new("why it waits", if self.is_narrow() { rest } else { Width::Rest(20) }),
        ];
        let rows = overview.queued.iter().map(|task| -> [Cell<'_>; 5] {
            [
                cell(task.id.to_string()),
                (Cow::Borrowed(task.status.as_str()), Some(role_of(task.status))),
                cell(task.agent.as_deref().map(|agent| worker(agent, task.model.as_deref())).unwrap_or_default()),
                cell(task.title.as_str()),
                (self.why(task).into(), Some(Role::Faint)),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let waiting = [Status::New, Status::Routed, Status::InReview, Status::Blocked];
        self.section("queued", "orch list", &head, &rows, count(&overview.status, &waiting))
    }

    fn why(&self, task: &QueuedView) -> String {
        let Some(hold) = &task.hold else { return String::new() };
        let until = hold.until.map(|until| format!("until {}: ", self.now.local(until))).unwrap_or_default();
        format!("{until}{}", hold.detail)
    }

    /// Returns a section: its title and the command that lists all of it, its table, and the total number of rows.
    pub fn section<const N: usize>(
        &self,
        title: &'static str,
        all: &'static str,
        head: &[Column; N],
        rows: &[[Cell<'_>; N]],
        total: usize,
    ) -> Section {
        let table = render(head, rows, self.columns, self.paint);
        Section { title, lines: table.lines().map(str::to_owned).collect(), total: total.max(rows.len()), all }
    }

    /// Renders a section in this many lines, including the blank line before it.
    fn fitted(&self, section: &Section, height: usize) -> Vec<String> {
        let listed = section.lines.len() - 1;
        let all = listed == section.total && height >= listed + 3;
        let shown = if all { listed } else { height.saturating_sub(4).min(listed) };
        let mut lines = vec![String::new(), self.paint.text(Role::Strong, section.title).into_owned()];
        lines.extend(section.lines.iter().take(shown + 1).cloned());
        if shown < section.total {
            let more = format!("… and {} more ({})", section.total - shown, section.all);
            lines.push(self.paint.text(Role::Faint, text::fit(&more, self.columns)).into_owned());
        }
        lines.truncate(height);
        lines
    }
}

/// Distributes lines to sections: all of them if they fit, else at least a few each, with priority to the first.
fn heights(sections: &[Section], available: Option<usize>) -> Vec<usize> {
    // A blank line and a title; if rows are omitted, a line that says so.
    let wanted = |section: &Section| section.lines.len() + 2 + usize::from(section.lines.len() - 1 < section.total);
    let Some(mut available) = available else { return sections.iter().map(wanted).collect() };
    let mut heights = Vec::new();
    for (at, section) in sections.iter().enumerate() {
        let others: usize = sections[at + 1..].iter().map(|other| wanted(other).min(LEAST + 2)).sum();
        let height = wanted(section).min(available.saturating_sub(others).max(LEAST + 2)).min(available);
        available -= height;
        heights.push(height);
    }
    heights
}

/// Returns how many tasks have one of these states.
pub fn count(status: &StatusView, of: &[Status]) -> usize {
    let sum: u64 = of.iter().filter_map(|status_of| status.counts.get(status_of.as_str())).sum();
    usize::try_from(sum).unwrap_or(usize::MAX)
}

/// Renders agent and model.
pub fn worker(agent: &str, model: Option<&str>) -> String {
    match model {
        Some(model) => format!("{agent}/{model}"),
        None => agent.to_owned(),
    }
}

#[cfg(test)]
mod tests;
