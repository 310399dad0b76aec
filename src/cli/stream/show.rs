//! Prints a stream: its text, with the task's id before each line if there are several tasks, or one JSON document per
//! event.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::text;
use crate::cli::ui::transcript::{Mark, Piece, coloured, marked};
use orch_api::stream::{OutputChunkView, StreamEvent};
use orch_chat::Sink;
use orch_config::home::Home;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::text::output::Part;
use orch_core::text::styled::Styles;
use orch_stream::{RunFiles, StyleReader};
use std::collections::{BTreeMap, BTreeSet};

/// Prints events.
pub struct Show<'a> {
    context: &'a Context,
    /// Whether lines have the id of their task.
    several: bool,
    seen: BTreeSet<RunId>,
    /// The task of the last incomplete line, and its width, if there are several tasks.
    open: Option<(TaskId, usize)>,
    /// The home with the styles, if they are wanted.
    home: Option<Home>,
    colours: BTreeMap<RunId, StyleReader>,
}

impl<'a> Show<'a> {
    /// Creates an empty stream.
    pub fn new(context: &'a Context, several: bool, part: Part) -> Self {
        let is_coloured = part == Part::Output && context.ui.paint().on;
        let home = is_coloured.then(|| context.setup().ok().map(|setup| setup.home)).flatten();
        Self { context, several, seen: BTreeSet::new(), open: None, home, colours: BTreeMap::new() }
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
                    let text = format!("task {}, attempt {}: {}{model}", run.task_id, run.attempt, run.agent);
                    ui.aside(&if self.several { format!("{text}: {}", text::fit(&run.title, 60)) } else { text });
                }
            }
            StreamEvent::Lagged { from, to, .. } if to - from > 1 << 20 => {
                ui.aside(&format!("… {} MB behind, catching up", (to - from) >> 20));
            }
            StreamEvent::Lagged { .. } => {}
            StreamEvent::Cut { offset, .. } => {
                ui.warning(&format!("the transcript was truncated; it continues at byte {offset}"));
            }
            StreamEvent::Waiting { task_id, because } => ui.aside(&format!("task {task_id} waits: {because}")),
            StreamEvent::Settled { .. } => {}
        }
        Ok(())
    }

    fn output(&mut self, chunk: &OutputChunkView) -> Result<(), CliError> {
        let styles = self.styles(chunk);
        if chunk.is_final {
            self.colours.remove(&chunk.run_id);
        }
        if chunk.content.is_empty() {
            return Ok(());
        }
        let piece = Piece { content: &chunk.content, offset: chunk.offset, styles: &styles };
        if !self.several {
            return self.context.ui.data(&coloured(piece));
        }
        let name = format!("[{}] ", chunk.task_id);
        let mark = self.context.ui.paint().for_task(chunk.task_id, &name);
        let mut shown = String::new();
        let open = self.open.take();
        if open.is_some_and(|(task, _)| task != chunk.task_id) {
            shown.push('\n');
        }
        let open = open.filter(|(task, _)| *task == chunk.task_id).map(|(_, columns)| columns);
        // Read each time: the terminal may have been resized.
        let columns = self.context.ui.terminal_columns();
        let (lines, open) = marked(piece, Mark { text: &mark, width: text::width(&name) }, columns, open);
        shown.push_str(&lines);
        self.open = open.map(|columns| (chunk.task_id, columns));
        self.context.ui.data(&shown)
    }

    /// Returns the styles of a chunk's lines. If bytes were not valid text, no offset is right any more.
    fn styles(&mut self, chunk: &OutputChunkView) -> Styles {
        let is_whole = chunk.end.checked_sub(chunk.offset) == Some(chunk.content.len() as u64);
        let Some(home) = self.home.as_ref().filter(|_| is_whole && !chunk.content.is_empty()) else {
            return Styles::new();
        };
        let reader = self.colours.entry(chunk.run_id.clone()).or_insert_with(|| {
            let files = RunFiles::new(chunk.task_id, chunk.run_id.clone(), home.run(&chunk.run_id), Part::Output);
            StyleReader::new(&files.styles)
        });
        reader.between(chunk.offset, chunk.end)
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
        // An incomplete line is ended, so that the next output starts on its own line.
        if self.open.take().is_some() { self.context.ui.data("\n") } else { Ok(()) }
    }
}
