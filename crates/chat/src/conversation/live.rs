//! The output of a task as one live message with the task's state and the end of the output. The content is PURE; following
//! the API is at the end of the file. The service decides how often the message is updated: each state replaces the one
//! before.

use super::render::{chat_commands, cut, mark_code};
use jiff::Timestamp;
use orch_api::client::{Client, ClientError};
use orch_api::endpoint;
use orch_api::queries::StreamQuery;
use orch_api::stream::StreamEvent;
use orch_api::types::TaskView;
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::operations::channel::{Block, ChatMessage, Span};
use orch_core::tasks::task::Status;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Bytes of output that are remembered.
const REMEMBERED: usize = 16 << 10;
/// Longest output that is shown, in UTF-16 units; it fits into a message of any service with the rest.
pub const SHOWN: usize = 1_500;
/// Maximum number of lines that are shown.
const LINES: usize = 30;
/// Pause before a broken stream is opened again.
const AGAIN: Duration = Duration::from_secs(2);
/// Maximum number of attempts to open the stream.
const TRIES: u32 = 30;
/// Interval at which cost and state are refreshed, even without output.
const REFRESH: Duration = Duration::from_secs(60);

/// Whether a state of a live message is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// More states follow.
    Grows,
    /// The final state.
    Last,
}

/// The live message of one task.
#[derive(Debug, Clone)]
pub struct Live {
    task: TaskId,
    title: String,
    state: String,
    attempt: u32,
    worker: Option<String>,
    cost: Option<Usd>,
    since: Timestamp,
    tail: String,
    verdict: Option<String>,
}

impl Live {
    /// Creates the message of a task.
    pub fn new(view: &TaskView, now: Timestamp) -> Self {
        let run = view.runs.iter().flatten().rev().find(|run| run.outcome.is_none());
        Self {
            task: view.id,
            title: cut(view.title.lines().next().unwrap_or_default(), 100),
            state: view.status.as_str().to_owned(),
            attempt: view.attempts,
            worker: view.route.as_ref().map(|route| worker(&route.agent, route.model.as_deref())),
            cost: view.cost_usd,
            since: run.and_then(|run| run.started_at).unwrap_or(now),
            tail: String::new(),
            verdict: None,
        }
    }

    /// Updates the state of the task.
    pub fn refresh(&mut self, view: &TaskView) {
        self.state = match &view.hold {
            Some(hold) => format!("waits: {}", chat_commands(&hold.detail)),
            None => view.status.as_str().to_owned(),
        };
        (self.attempt, self.cost) = (view.attempts, view.cost_usd);
    }

    /// Applies an event of the stream.
    pub fn apply(&mut self, event: &StreamEvent, now: Timestamp) {
        match event {
            StreamEvent::Output(chunk) => self.push(&chunk.content),
            StreamEvent::Run(run) => {
                self.state = Status::InProgress.as_str().to_owned();
                self.attempt = run.attempt;
                self.worker = Some(worker(&run.agent, run.model.as_deref()));
                if !self.tail.is_empty() {
                    self.since = now;
                    self.push(&format!("▶ attempt {}\n", run.attempt));
                }
            }
            StreamEvent::Waiting { because, .. } => self.state = format!("waits: {}", chat_commands(because)),
            StreamEvent::Cut { .. } => self.push("… (the transcript was cut)\n"),
            // Delayed output still arrives.
            StreamEvent::Lagged { .. } => {}
            StreamEvent::Settled { task } => {
                self.state = task.status.as_str().to_owned();
                self.cost = task.cost_usd;
                self.verdict = Some(verdict(task));
            }
        }
    }

    fn push(&mut self, text: &str) {
        self.tail.push_str(text);
        if self.tail.len() > 2 * REMEMBERED {
            let mut from = self.tail.len() - REMEMBERED;
            while !self.tail.is_char_boundary(from) {
                from += 1;
            }
            self.tail.drain(..from);
        }
    }

    /// Ends the message with this text, unless the task is settled.
    pub fn end(&mut self, why: &str) {
        self.verdict.get_or_insert_with(|| why.to_owned());
    }

    /// Returns whether the message is final.
    pub fn is_over(&self) -> bool {
        self.verdict.is_some()
    }

    /// Renders the message.
    pub fn render(&self, now: Timestamp) -> ChatMessage {
        let mut facts = vec![self.state.clone()];
        facts.extend((self.attempt > 1).then(|| format!("attempt {}", self.attempt)));
        facts.extend(self.worker.clone());
        facts.extend(self.cost.map(|cost| cost.to_string()));
        let took = now.duration_since(self.since).as_secs().max(0);
        facts.push(if took < 60 { format!("{took} s") } else { format!("{} min", took / 60) });
        let mut blocks = vec![
            Block::Line(vec![Span::Bold(format!("#{} {}", self.task, self.title))]),
            Block::plain(facts.join(" · ")),
        ];
        let tail = end_of(&self.tail);
        blocks.extend((!tail.trim().is_empty()).then_some(Block::Block(tail)));
        blocks.extend(self.verdict.as_ref().map(|verdict| Block::Line(mark_code(&cut(verdict, 800)))));
        ChatMessage { blocks, task: Some(self.task), ..ChatMessage::default() }
    }
}

fn worker(agent: &str, model: Option<&str>) -> String {
    model.map_or_else(|| agent.to_owned(), |model| format!("{agent}/{model}"))
}

fn verdict(task: &TaskView) -> String {
    let said = task.question.as_deref().or(task.summary.as_deref()).unwrap_or_default();
    let said = said.lines().next().unwrap_or_default();
    let mark = if said.is_empty() { "" } else { ": " };
    format!("■ {}{mark}{}", task.status.as_str(), chat_commands(said))
}

/// Returns the last lines that fit, or the end of the last line.
fn end_of(text: &str) -> String {
    let mut capacity = SHOWN;
    let mut lines: Vec<String> = Vec::new();
    for line in text.trim_end_matches('\n').rsplit('\n').take(LINES) {
        let length = line.encode_utf16().count() + 1;
        if length > capacity {
            if lines.is_empty() {
                let mut units = 0;
                let fits = |c: &char| {
                    units += c.len_utf16();
                    units < SHOWN
                };
                let reversed: Vec<char> = line.chars().rev().take_while(fits).collect();
                lines.push(reversed.into_iter().rev().collect());
            }
            break;
        }
        capacity -= length;
        lines.push(line.to_owned());
    }
    lines.reverse();
    lines.join("\n")
}

/// Follows a task until it is settled or `stop` is cancelled. Passes each state of the message to `show`.
///
/// # Errors
/// The task does not exist.
pub async fn follow(
    client: &Client,
    task: TaskId,
    stop: &CancellationToken,
    now: impl Fn() -> Timestamp,
    mut show: impl FnMut(ChatMessage, Stage),
) -> Result<(), ClientError> {
    let view = client.call(&endpoint::TaskShow { id: task }).await?;
    let mut live = Live::new(&view, now());
    let mut cursor: Option<String> = None;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + REFRESH, REFRESH);
    for _ in 0..TRIES {
        let tail = cursor.is_none().then_some(LINES);
        let query = StreamQuery { tail, cursor: cursor.clone(), ..StreamQuery::default() };
        let opened = client.stream(&endpoint::TaskStream { id: task, query }).await;
        if let Ok(mut events) = opened {
            loop {
                let event = tokio::select! {
                    event = events.event() => event,
                    _ = ticks.tick() => {
                        if let Ok(view) = client.call(&endpoint::TaskShow { id: task }).await {
                            live.refresh(&view);
                        }
                        show(live.render(now()), Stage::Grows);
                        continue;
                    }
                    () = stop.cancelled() => {
                        live.end("■ the stream was ended");
                        show(live.render(now()), Stage::Last);
                        return Ok(());
                    }
                };
                let Ok(Some(event)) = event else { break };
                live.apply(&event, now());
                if let StreamEvent::Output(chunk) = &event {
                    cursor = Some(format!("{}:{}", chunk.run_id, chunk.end));
                }
                let stage = if live.is_over() { Stage::Last } else { Stage::Grows };
                show(live.render(now()), stage);
                if stage == Stage::Last {
                    return Ok(());
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = stop.cancelled() => break,
        }
    }
    live.end("■ the stream broke off; /stream starts a new one");
    show(live.render(now()), Stage::Last);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_api::stream::OutputChunkView;
    use orch_api::types::TaskContext;
    use orch_core::base::ids::RunId;
    use orch_core::tasks::task::{FileState, Spec, Task};
    use proptest::prelude::*;

    fn live() -> Live {
        Live {
            task: TaskId(7),
            title: "Mend it".to_owned(),
            state: "in_progress".to_owned(),
            attempt: 1,
            worker: Some("claude/opus".to_owned()),
            cost: Some(Usd::from_micros(120_000)),
            since: Timestamp::UNIX_EPOCH,
            tail: String::new(),
            verdict: None,
        }
    }

    fn said(content: &str) -> StreamEvent {
        StreamEvent::Output(OutputChunkView {
            task_id: TaskId(7),
            run_id: RunId::new(TaskId(7), 1, 0),
            offset: 0,
            end: 0,
            timestamp: Timestamp::UNIX_EPOCH,
            content: content.to_owned(),
            is_final: false,
        })
    }

    #[test]
    fn the_message_tells_how_it_stands_and_the_end_of_what_was_said() {
        let mut live = live();
        for number in 1..=40 {
            live.apply(&said(&format!("line {number}\n")), Timestamp::UNIX_EPOCH);
        }
        let now = Timestamp::from_second(185).expect("a time");
        let text = live.render(now).plain_text();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#7 Mend it"));
        let facts = lines.next().expect("facts");
        assert!(facts.starts_with("in_progress · claude/opus · $0.12") && facts.ends_with("3 min"), "{facts}");
        assert_eq!((lines.next(), lines.last()), (Some("line 11"), Some("line 40")));
        live.end("■ the stream was ended");
        assert!(live.render(now).plain_text().ends_with("\n■ the stream was ended\n"));
    }

    #[test]
    fn a_silent_agent_costs_and_takes_time_all_the_same() {
        let mut task = Task::new(TaskId(7), Spec::default(), FileState::default(), Timestamp::UNIX_EPOCH);
        let mut live = Live::new(&TaskView::new(&task, &TaskContext::default()), Timestamp::UNIX_EPOCH);
        task.cost = Some(Usd::from_micros(1_500_000));
        let now = Timestamp::from_second(120).expect("a time");
        live.refresh(&TaskView::new(&task, &TaskContext::default()));
        assert_eq!(live.render(now).plain_text().lines().nth(1), Some("new · $1.50 · 2 min"));
        task.state = orch_core::tasks::task::State::Done;
        live.refresh(&TaskView::new(&task, &TaskContext::default()));
        assert_eq!(live.render(now).plain_text().lines().nth(1), Some("done · $1.50 · 2 min"));
    }

    #[test]
    fn a_run_that_begins_is_a_state_and_not_its_number() {
        let mut live = live();
        let facts = |live: &Live| live.render(Timestamp::UNIX_EPOCH).plain_text().lines().nth(1).map(str::to_owned);
        assert_eq!(facts(&live).as_deref(), Some("in_progress · claude/opus · $0.12 · 0 s"));
        live.attempt = 2;
        assert_eq!(facts(&live).as_deref(), Some("in_progress · attempt 2 · claude/opus · $0.12 · 0 s"));
    }

    proptest! {
        #[test]
        fn whatever_is_said_the_message_is_bounded_and_shows_the_end(texts in prop::collection::vec("\\PC{0,2000}\n?", 0..60)) {
            let mut live = live();
            for text in &texts {
                live.apply(&said(text), Timestamp::UNIX_EPOCH);
            }
            prop_assert!(live.tail.len() <= 2 * REMEMBERED);
            let text = live.render(Timestamp::UNIX_EPOCH).plain_text();
            prop_assert!(text.encode_utf16().count() < SHOWN + 500);
            let all: String = texts.concat();
            let last = all.trim_end_matches('\n').chars().next_back().filter(|c| !c.is_whitespace());
            prop_assert!(last.is_none_or(|last| text.contains(last)));
        }
    }
}
