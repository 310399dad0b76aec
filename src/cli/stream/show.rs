//! How a stream looks: its text as it is, with the task's id before each line when there are several, or one JSON
//! document for each event.

use crate::api::stream::StreamEvent;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::text;
use crate::domain::ids::{RunId, TaskId};
use crate::domain::output::OutputChunk;
use crate::transports::Sink;
use std::collections::BTreeSet;

/// Shows events.
pub struct Show<'a> {
    context: &'a Context,
    /// Each line gets the id of its task.
    several: bool,
    seen: BTreeSet<RunId>,
    /// Tasks whose last line is not ended yet, when there are several.
    open: Option<TaskId>,
}

impl<'a> Show<'a> {
    /// Nothing shown yet.
    pub fn new(context: &'a Context, several: bool) -> Self {
        Self { context, several, seen: BTreeSet::new(), open: None }
    }

    fn event(&mut self, event: &StreamEvent) -> Result<(), CliError> {
        let ui = &self.context.ui;
        if ui.is_json() {
            return ui.json(event);
        }
        match event {
            StreamEvent::Output(chunk) => self.output(chunk)?,
            StreamEvent::Run(run) => {
                let first = self.seen.is_empty();
                if self.seen.insert(run.run_id.clone()) && (self.several || !first) {
                    let model = run.model.as_deref().map(|model| format!("/{model}")).unwrap_or_default();
                    let told = format!("task {}, attempt {}: {}{model}", run.task_id, run.attempt, run.agent);
                    ui.aside(&if self.several { format!("{told}: {}", text::fit(&run.title, 60)) } else { told });
                }
            }
            StreamEvent::Lagged { from, to, .. } if to - from > 1 << 20 => {
                ui.aside(&format!("… {} MB behind, catching up", (to - from) >> 20));
            }
            StreamEvent::Lagged { .. } => {}
            StreamEvent::Cut { offset, .. } => {
                ui.warning(&format!("somebody cut the transcript; it goes on at byte {offset}"));
            }
            StreamEvent::Waiting { task_id, because } => ui.aside(&format!("task {task_id} waits: {because}")),
            StreamEvent::Settled { .. } => {}
        }
        Ok(())
    }

    fn output(&mut self, chunk: &OutputChunk) -> Result<(), CliError> {
        if chunk.content.is_empty() {
            return Ok(());
        }
        let safe = text::output(&chunk.content);
        if !self.several {
            return self.context.ui.data(&safe);
        }
        let mark = self.context.ui.paint().of_task(chunk.task_id, &format!("[{}] ", chunk.task_id));
        let mut shown = String::with_capacity(safe.len() + 64);
        if self.open.is_some_and(|open| open != chunk.task_id) {
            shown.push('\n');
        }
        let mut goes_on = self.open == Some(chunk.task_id);
        for line in safe.split_inclusive('\n') {
            if !goes_on {
                shown.push_str(&mark);
            }
            shown.push_str(line);
            goes_on = !line.ends_with('\n');
        }
        self.open = goes_on.then_some(chunk.task_id);
        self.context.ui.data(&shown)
    }
}

impl Sink for Show<'_> {
    type Error = CliError;

    async fn start(&mut self) -> Result<(), CliError> {
        Ok(())
    }

    async fn deliver(&mut self, event: &StreamEvent) -> Result<(), CliError> {
        self.event(event)
    }

    async fn shutdown(&mut self) -> Result<(), CliError> {
        // A line that was left open is ended, so that what comes next stands on its own.
        if self.open.take().is_some() { self.context.ui.data("\n") } else { Ok(()) }
    }
}
