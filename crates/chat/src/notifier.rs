//! Sends notifications to a channel, outside the engine's loop. Reads the history: entries after the stored position
//! become outbox rows in the transaction that advances the position; rows are then sent and recorded as sent.
//! `domain::notice` decides what is sent and when.

use super::Channel;
use super::chat::Refusal;
use super::conversation::render::in_chat;
use jiff::{SignedDuration, Timestamp};
use orch_core::base::ids::TaskId;
use orch_core::notices::notice::queue::{Delivery, NoticeQueue, Refused, Rules};
use orch_core::notices::notice::{Context, Line, Notice, Tally, derive, may_tell, summary};
use orch_core::notices::outbox::{DROPPED, KeyValue, PLACE, TROUBLE};
use orch_core::operations::channel::{ChannelKind, ChatMessage};
use orch_core::operations::quiet::TimeOfDay;
use orch_core::planning::plan::directory;
use orch_core::tasks::task::{Status, Task};
use orch_core::text::redact::Redactor;
use orch_engine::handle::{EngineError, EngineHandle, Entry, View};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::crash::point;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Key of the time of the last daily summary.
const SUMMED: &str = "notices.summed";
/// Number of history entries read at once.
const PAGE: u32 = 500;
/// Time limit for sending a message.
const PATIENCE: Duration = Duration::from_secs(40);
/// Pause before the journal is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Longest sleep, because the system clock may change meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A channel with its notification settings.
pub struct Setup<C> {
    /// Kind of the channel.
    pub kind: ChannelKind,
    /// Connection to the channel.
    pub channel: C,
    /// The person's notification settings.
    pub rules: Rules,
    /// Time of the daily summary; `None`: no summary.
    pub daily_summary: Option<TimeOfDay>,
    /// Masks secrets.
    pub redactor: Redactor,
}

/// Sends notifications until it is cancelled. A message that is being sent is completed.
pub async fn run<C: Channel>(setup: Setup<C>, engine: EngineHandle, cancel: CancellationToken) {
    loop {
        match Dispatcher::open(&setup, &engine).await {
            Ok(mut dispatcher) => {
                let why = dispatcher.work(&cancel).await;
                if cancel.is_cancelled() {
                    return;
                }
                tracing::warn!(channel = %setup.kind, error = %why, "notices wait for the journal");
            }
            Err(EngineError::Stopping) => return,
            Err(error) => tracing::warn!(channel = %setup.kind, %error, "the outbox cannot be read"),
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

struct Dispatcher<'a, C> {
    setup: &'a Setup<C>,
    engine: &'a EngineHandle,
    book: NoticeQueue,
    place: u64,
    summed: Timestamp,
    /// Why the last message was not sent.
    failed: Option<String>,
    /// The stored problem of the channel.
    trouble: Option<String>,
}

impl<'a, C: Channel> Dispatcher<'a, C> {
    async fn open(setup: &'a Setup<C>, engine: &'a EngineHandle) -> Result<Self, EngineError> {
        let kind = setup.kind;
        let now = SystemClock.now();
        let dropped = engine.kept(kind, DROPPED).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut book = NoticeQueue::new(kind, engine.outbox(kind).await?, dropped);
        book.revive(now);
        let place = match engine.kept(kind, PLACE).await?.and_then(|text| text.parse().ok()) {
            Some(place) => place,
            // A new channel gets notifications from now on.
            None => engine.snapshot().await?.last_seq,
        };
        let summed = engine.kept(kind, SUMMED).await?.and_then(|text| text.parse().ok());
        // The problem may be solved; the next message shows it.
        engine.keep(kind, TROUBLE, None).await?;
        let mut dispatcher =
            Self { setup, engine, book, place, summed: summed.unwrap_or(now), failed: None, trouble: None };
        dispatcher.store().await?;
        Ok(dispatcher)
    }

    /// Runs until it is cancelled or the journal fails; then all state is read again.
    async fn work(&mut self, cancel: &CancellationToken) -> EngineError {
        let mut feed = self.engine.follow();
        loop {
            if let Err(error) = self.step(cancel).await {
                return error;
            }
            let sleep = self.sleep();
            tokio::select! {
                () = cancel.cancelled() => return EngineError::Stopping,
                () = tokio::time::sleep(sleep) => {}
                heard = feed.recv() => if matches!(heard, Err(RecvError::Closed)) {
                    return EngineError::Stopping;
                },
            }
            while feed.try_recv().is_ok() {}
        }
    }

    /// Reads new history entries and sends what is due.
    async fn step(&mut self, cancel: &CancellationToken) -> Result<(), EngineError> {
        loop {
            self.read().await?;
            self.sum_up().await?;
            self.settle().await?;
            let due = self.book.due(&self.setup.rules, SystemClock.now());
            let Some(delivery) = due.filter(|_| !cancel.is_cancelled()) else { return self.note_trouble().await };
            self.deliver(delivery).await?;
        }
    }

    /// Drops waiting questions that were answered meanwhile.
    async fn settle(&mut self) -> Result<(), EngineError> {
        if !self.book.asks() {
            return Ok(());
        }
        let view = self.engine.snapshot().await?;
        let waits = |id| view.tasks.get(&id).is_some_and(|task| task.status() == Status::NeedsReview);
        if self.book.settle(waits) { self.store().await } else { Ok(()) }
    }

    async fn read(&mut self) -> Result<(), EngineError> {
        loop {
            let lines = self.engine.entries(self.place, None, PAGE).await?;
            let Some(last) = lines.last().map(|line| line.seq) else { return Ok(()) };
            let now = SystemClock.now();
            for line in lines {
                if let Some(notice) = self.notice(&line).await? {
                    self.book.take(notice, &self.setup.rules, now);
                }
            }
            self.place = last;
            point!("outbox.take.before");
            self.store().await?;
            point!("outbox.take.after");
        }
    }

    async fn notice(&self, entry: &Entry) -> Result<Option<Notice>, EngineError> {
        let line = Line { seq: entry.seq, at: entry.at, fact: &entry.fact };
        let Some(id) = entry.task_id else {
            return Ok(derive(line, Context::default(), self.setup.kind).map(|notice| self.masked(notice)));
        };
        if !may_tell(&entry.fact) {
            return Ok(None);
        }
        let task = match self.engine.task(id).await {
            Ok(task) => task,
            // The task was lost with a damaged journal.
            Err(EngineError::NoTask(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let project = project_of(&task, &self.engine.snapshot().await?);
        let agent = match &entry.run_id {
            Some(run) => self.engine.runs_of(id).await?.into_iter().find(|known| known.id == *run).map(|run| run.agent),
            None => None,
        };
        let context = Context { task: Some(&task), project: project.as_deref(), agent: agent.as_deref() };
        Ok(derive(line, context, self.setup.kind).map(|notice| self.masked(notice)))
    }

    fn masked(&self, mut notice: Notice) -> Notice {
        let mask = |text: &str| self.setup.redactor.text(text).into_owned();
        notice.text = mask(&notice.text);
        notice.cause = mask(&notice.cause);
        if let Some(about) = &mut notice.about {
            about.title = mask(&about.title);
        }
        notice
    }

    /// Queues the daily summary when it is due.
    async fn sum_up(&mut self) -> Result<(), EngineError> {
        let Some(time) = self.setup.daily_summary else { return Ok(()) };
        let now = SystemClock.now();
        let due = time.last(now, &self.setup.rules.zone);
        if due <= self.summed {
            return Ok(());
        }
        let since = due.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(due);
        let mut tally = Tally::default();
        let mut after = self.engine.place_at(since).await?;
        loop {
            let lines = self.engine.entries(after, None, PAGE).await?;
            let Some(last) = lines.last() else { break };
            after = last.seq;
            lines.iter().for_each(|line| tally.count(&line.fact));
        }
        let spent = self.engine.spent_since(since).await?.known;
        let view = self.engine.snapshot().await?;
        let is_waiting = |task: &&std::sync::Arc<Task>| task.status() == Status::NeedsReview;
        let waiting: Vec<TaskId> = view.tasks.values().filter(is_waiting).map(|task| task.id).collect();
        let notice = summary(self.place, now, tally, &waiting, Some(spent));
        self.book.take(notice, &self.setup.rules, now);
        self.summed = due;
        self.store().await
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<(), EngineError> {
        point!("outbox.say.before");
        let sent = match tokio::time::timeout(PATIENCE, self.send(&delivery)).await {
            Ok(sent) => sent,
            Err(_) => Err(Refused::Later(None, format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        point!("outbox.say.after");
        let now = SystemClock.now();
        self.failed = match sent {
            Ok(message) => {
                self.book.said(&delivery, message, now);
                None
            }
            Err(why) => {
                let trouble = match &why {
                    Refused::Later(_, why) | Refused::Closed(why) => Some(why.clone()),
                    Refused::Never(why) => {
                        tracing::warn!(channel = %self.setup.kind, why, "the channel rejects a message");
                        None
                    }
                };
                self.book.refused(&delivery, why, now);
                trouble
            }
        };
        self.store().await?;
        point!("outbox.noted");
        Ok(())
    }

    /// Stores the problem of the channel when it changes.
    async fn note_trouble(&mut self) -> Result<(), EngineError> {
        let trouble = self.failed.clone().or_else(|| self.setup.channel.trouble());
        if trouble == self.trouble {
            return Ok(());
        }
        match &trouble {
            Some(why) => tracing::warn!(channel = %self.setup.kind, why, "a channel does not accept messages"),
            None => tracing::info!(channel = %self.setup.kind, "the channel accepts messages again"),
        }
        self.engine.keep(self.setup.kind, TROUBLE, trouble.clone()).await?;
        self.trouble = trouble;
        Ok(())
    }

    async fn send(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        let channel = &self.setup.channel;
        let message = self.localize(&delivery.content);
        if let Some(id) = &delivery.change {
            match channel.edit(id, &message).await {
                Ok(()) => return Ok(Some(id.clone())),
                // The message was deleted: a new one replaces it.
                Err(Refusal::Gone) => {}
                Err(refusal) => return Err(self.refused(refusal)),
            }
        }
        let notices = delivery.rows.iter().filter_map(|id| self.book.items().find(|item| item.id == *id));
        let notices: Vec<Notice> = notices.map(|item| item.notice.clone()).collect();
        let key = self.book.key(delivery.lead).unwrap_or_default();
        let id = channel.send_notices(key, &notices, &message).await;
        let id = id.map_err(|refusal| self.refused(refusal))?;
        if let Some((old, without)) = &delivery.retire
            && let Err(error) = channel.edit(old, &self.localize(without)).await
        {
            // Its buttons have no effect anyway.
            tracing::debug!(channel = %self.setup.kind, %error, "an old message keeps its buttons");
        }
        Ok(id)
    }

    /// Replaces terminal commands by those of the chat, for channels that accept commands.
    fn localize(&self, message: &ChatMessage) -> ChatMessage {
        match self.setup.kind {
            ChannelKind::Telegram | ChannelKind::Discord => in_chat(message.clone()),
            ChannelKind::Webhook | ChannelKind::Desktop => message.clone(),
        }
    }

    fn refused(&self, refusal: Refusal) -> Refused {
        match refusal {
            Refusal::Later { after, why } => Refused::Later(after, self.setup.redactor.text(&why).into_owned()),
            Refusal::Gone => Refused::Never("the message is gone".to_owned()),
            Refusal::Never(why) => Refused::Never(self.setup.redactor.text(&why).into_owned()),
            Refusal::Closed(why) => Refused::Closed(self.setup.redactor.text(&why).into_owned()),
        }
    }

    /// Stores outbox changes and the position in one transaction.
    async fn store(&mut self) -> Result<(), EngineError> {
        self.book.name(|| format!("orch-{}", uuid::Uuid::new_v4()));
        let (channel, at) = (self.setup.kind, SystemClock.now());
        let value = |key: &str, value: String| KeyValue::Value { channel, key: key.to_owned(), value: Some(value), at };
        let kept = vec![
            value(PLACE, self.place.to_string()),
            value(DROPPED, self.book.dropped().to_string()),
            value(SUMMED, self.summed.to_string()),
        ];
        self.engine.post(self.book.changes(), kept).await
    }

    fn sleep(&self) -> Duration {
        let now = SystemClock.now();
        let next = self.book.next(&self.setup.rules, now);
        let summary = self.setup.daily_summary.map(|time| time.next(now, &self.setup.rules.zone));
        let next = next.into_iter().chain(summary).min();
        let wait = next.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
        // Never without a pause: what is due but not sent has a reason that soon passes.
        wait.unwrap_or(LONGEST_SLEEP).clamp(Duration::from_millis(20), LONGEST_SLEEP)
    }
}

fn project_of(task: &Task, view: &View) -> Option<String> {
    let dirs: Vec<_> = view.projects.iter().map(|project| project.dir.clone()).collect();
    let dir = directory(task, &dirs).ok()?;
    view.projects.iter().find(|project| project.dir == dir).map(|project| project.name.clone())
}
