//! What one channel has sent and is still to send: which notices become one message, when it is said, what follows
//! when it could not be. PURE; the owner of the book stores its [changes](Book::changes) before anything else happens.
//!
//! A notice is a row from the moment it is taken. It is said, or goes with another one into the same message, or is
//! counted as dropped, or was answered before it was said: nothing else can become of it.

use super::{Filter, Notice, NoticeKind, render_message};
use crate::base::ids::TaskId;
use crate::base::names::fingerprint;
use crate::notices::outbox::{OutboxItem, Stage};
use crate::operations::channel::{ChannelKind, ChatMessage};
use crate::operations::quiet::QuietHours;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So many may wait in a channel.
pub const MOST: usize = 500;
/// How long the first of what many tasks may meet waits for the others.
const FAN_IN: SignedDuration = SignedDuration::from_secs(3);
/// How soon the same cause is sent again, at first; each time it is twice as long.
const AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// The longest time until it is.
const SELDOM: SignedDuration = SignedDuration::from_hours(24);
/// More than so many that wait at once become one message.
const DIGEST: usize = 5;
/// The longest pause after a failure that goes away.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// The longest pause after a refusal.
const LONGEST_REFUSED: SignedDuration = SignedDuration::from_hours(1);
/// So often everything is refused before a message is given up: half a day.
const REFUSALS: u32 = 16;
/// So often a message is refused that others are not before it is given up: a quarter of an hour.
const OWN_REFUSALS: u32 = 5;
/// How much longer than the channel a message waits that could not be said so often, so that others get their turn: the service
/// may be at odds with this one alone.
const OFTEN: u32 = 8;
/// See [`OFTEN`].
const BEHIND: SignedDuration = SignedDuration::from_secs(1);
/// How long it is remembered what was said.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long what was given up is kept.
const DEAD: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Numbers of rows for one place in the history: two for each channel.
const ROWS: u64 = 8;

/// What is sent to a channel.
#[derive(Debug, Clone, Copy)]
pub enum Level {
    /// Everything.
    All,
    /// What waits for the person or went wrong.
    Errors,
    /// What a person says.
    Nothing,
}

/// The person's wishes, for one channel.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How much.
    pub level: Level,
    /// What.
    pub filter: Filter,
    /// When not.
    pub quiet: Option<QuietHours>,
    /// In which zone.
    pub zone: TimeZone,
}

/// Why something was not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Not now; perhaps until then.
    Later(Option<Duration>, String),
    /// This message never; others may be taken.
    Never(String),
    /// Nothing, until a person changes something there.
    Closed(String),
}

/// One message that is to be said now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The row that represents it.
    pub lead: u64,
    /// All rows that it covers, the oldest first.
    pub rows: Vec<u64>,
    /// Its words.
    pub content: ChatMessage,
    /// The message in whose place it goes.
    pub change: Option<String>,
    /// The task's message before it, with its new text: its buttons are gone.
    pub retire: Option<(String, ChatMessage)>,
}

/// One channel's.
#[derive(Debug, Clone)]
pub struct NoticeQueue {
    channel: ChannelKind,
    items: BTreeMap<u64, OutboxItem>,
    dropped: u64,
    changed: BTreeSet<u64>,
    /// Nothing is said before.
    not_before: Option<Timestamp>,
    /// Refusals one after the other.
    in_vain: u32,
}

impl NoticeQueue {
    /// As it was stored.
    pub fn new(channel: ChannelKind, items: Vec<OutboxItem>, dropped: u64) -> Self {
        let items = items.into_iter().map(|item| (item.id, item)).collect();
        Self { channel, items, dropped, changed: BTreeSet::new(), not_before: None, in_vain: 0 }
    }

    /// How many were dropped since that was last said.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// All rows.
    pub fn items(&self) -> impl Iterator<Item = &OutboxItem> {
        self.items.values()
    }

    /// What changed since this was last asked: rows with their present content, or without one.
    pub fn changes(&mut self) -> Vec<(u64, Option<OutboxItem>)> {
        std::mem::take(&mut self.changed).into_iter().map(|id| (id, self.items.get(&id).cloned())).collect()
    }

    /// Gives a name to every row that has none. The numbers of rows are those of one journal: another home, or a new journal, has
    /// the same ones.
    pub fn name(&mut self, mut new: impl FnMut() -> String) {
        for item in self.items.values_mut().filter(|item| item.key.is_none()) {
            item.key = Some(new());
            self.changed.insert(item.id);
        }
    }

    /// The name of a row.
    pub fn key(&self, row: u64) -> Option<&str> {
        self.items.get(&row)?.key.as_deref()
    }

    /// A machine reads it: each notice by itself and at once, for it does its own sorting.
    fn is_for_machines(&self) -> bool {
        self.channel == ChannelKind::Webhook
    }

    fn number(&self, notice: &Notice) -> u64 {
        let place = ChannelKind::ALL.iter().position(|kind| *kind == self.channel).unwrap_or(0) as u64;
        let made = if notice.kind == NoticeKind::Summary { ROWS / 2 } else { 0 };
        notice.seq * ROWS + made + place
    }

    fn lets_through(notice: &Notice, rules: &Rules) -> bool {
        // A person's own words are filtered by nothing: they were sent here.
        let is_wanted = match rules.level {
            Level::All => true,
            Level::Errors => notice.is_error(),
            Level::Nothing => false,
        };
        notice.kind == NoticeKind::Note || (is_wanted && rules.filter.passes(notice))
    }

    /// Takes a notice in. The same one for a second time changes nothing.
    pub fn take(&mut self, notice: Notice, rules: &Rules, now: Timestamp) {
        let id = self.number(&notice);
        if !Self::lets_through(&notice, rules) || self.items.contains_key(&id) {
            return;
        }
        let mut item = OutboxItem {
            id,
            channel: self.channel,
            state: Stage::Pending,
            attempts: 0,
            not_before: now,
            streak: 0,
            key: None,
            error: None,
            notice,
        };
        if !self.is_for_machines() {
            self.gather(&mut item, now);
        }
        self.items.insert(id, item);
        self.changed.insert(id);
        self.bound();
    }

    /// Puts a new notice beside those of the same cause: into one that still waits, or after a while since the last one.
    fn gather(&self, item: &mut OutboxItem, now: Timestamp) {
        let same = || self.items.values().filter(|other| other.notice.key() == item.notice.key());
        if let Some(lead) = same().find(|other| other.state == Stage::Pending) {
            item.state = Stage::Merged { into: lead.id };
            return;
        }
        if item.notice.kind.is_shared() {
            item.not_before = later(now, FAN_IN);
        }
        let is_repeatable =
            item.notice.kind.is_shared() || (item.notice.kind == NoticeKind::Failed && item.notice.about.is_none());
        let said = same().filter_map(|other| match &other.state {
            Stage::Sent { at, .. } => Some((*at, other.streak)),
            Stage::Pending | Stage::Merged { .. } | Stage::Dead { .. } => None,
        });
        let Some((at, streak)) = said.max().filter(|_| is_repeatable) else { return };
        let pause = doubled(AGAIN, streak, SELDOM);
        if now < later(at, pause.saturating_add(pause)) {
            item.streak = streak.saturating_add(1);
        }
        item.not_before = item.not_before.max(later(at, pause));
    }

    /// What waits is never more than so much: the oldest goes that is neither critical nor a summary of others.
    fn bound(&mut self) {
        while self.open().count() > MOST {
            let leads: BTreeSet<u64> = self.open().filter_map(into).collect();
            let oldest = |spares: bool| {
                let goes = |item: &&OutboxItem| !(leads.contains(&item.id) || spares && item.notice.is_critical);
                self.open().find(goes).map(|item| item.id)
            };
            let Some(id) = oldest(true).or_else(|| oldest(false)) else { return };
            self.items.remove(&id);
            self.changed.insert(id);
            self.dropped += 1;
        }
    }

    /// Whether something waits that asks a person about a task.
    pub fn asks(&self) -> bool {
        self.items.values().any(|item| item.state == Stage::Pending && item.notice.kind.asks())
    }

    /// Lets go of what asks about a task and is answered by now: the task asks nothing any more, or something newer. It
    /// would be sent as if it waited. A machine gets what happened all the same.
    /// Returns whether there was any.
    pub fn settle(&mut self, waits: impl Fn(TaskId) -> bool) -> bool {
        if self.is_for_machines() {
            return false;
        }
        let asking = |item: &&OutboxItem| item.state == Stage::Pending && item.notice.kind.asks();
        let mut groups: Vec<(TaskId, Vec<u64>)> = Vec::new();
        for item in self.items.values().filter(asking) {
            groups.extend(item.notice.task().map(|task| (task, self.group(item.id))));
        }
        let newest = |task: TaskId| groups.iter().filter(|(of, _)| *of == task).flat_map(|(_, rows)| rows).max();
        let is_settled = |(task, rows): &&(TaskId, Vec<u64>)| !waits(*task) || rows.iter().max() != newest(*task);
        let settled: Vec<u64> = groups.iter().filter(is_settled).flat_map(|(_, rows)| rows.clone()).collect();
        for id in &settled {
            self.items.remove(id);
            self.changed.insert(*id);
        }
        !settled.is_empty()
    }

    /// What is still to be said, the oldest first.
    fn open(&self) -> impl Iterator<Item = &OutboxItem> {
        let is_pending = |id: &u64| self.items.get(id).is_some_and(|item| item.state == Stage::Pending);
        self.items.values().filter(move |item| match &item.state {
            Stage::Pending => true,
            Stage::Merged { into } => is_pending(into),
            Stage::Sent { .. } | Stage::Dead { .. } => false,
        })
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.open().count()
    }

    /// The row and those that are said with it, the oldest first.
    fn group(&self, lead: u64) -> Vec<u64> {
        self.items.values().filter(|item| item.id == lead || into(item) == Some(lead)).map(|p| p.id).collect()
    }

    fn due_at(&self, item: &OutboxItem, rules: &Rules, now: Timestamp) -> Timestamp {
        let at = self.not_before.map_or(item.not_before, |pause| pause.max(item.not_before)).max(now);
        if item.notice.is_critical || item.notice.kind == NoticeKind::Note || self.is_for_machines() {
            return at;
        }
        rules.quiet.and_then(|quiet| quiet.end_of(at, &rules.zone)).map_or(at, |end| end.max(at))
    }

    /// When something is to be said next, as far as that is known now.
    pub fn next(&self, rules: &Rules, now: Timestamp) -> Option<Timestamp> {
        let pending = self.items.values().filter(|item| item.state == Stage::Pending);
        pending.map(|item| self.due_at(item, rules, now)).min()
    }

    /// What is to be said now.
    pub fn due(&self, rules: &Rules, now: Timestamp) -> Option<Delivery> {
        let is_held = |item: &OutboxItem| {
            let passes = item.notice.is_critical || item.notice.kind == NoticeKind::Note || self.is_for_machines();
            !passes && rules.quiet.and_then(|quiet| quiet.end_of(now, &rules.zone)).is_some()
        };
        if self.not_before.is_some_and(|pause| now < pause) {
            return None;
        }
        let pending = self.items.values().filter(|item| item.state == Stage::Pending);
        let ready: Vec<&OutboxItem> = pending.filter(|item| item.not_before <= now && !is_held(item)).collect();
        let (critical, rest): (Vec<&OutboxItem>, Vec<&OutboxItem>) =
            ready.into_iter().partition(|item| item.notice.is_critical);
        let first = critical.first().or(rest.first())?;
        let slept =
            |item: &&&OutboxItem| rules.quiet.is_some_and(|quiet| quiet.end_of(item.notice.at, &rules.zone).is_some());
        let is_digest = critical.is_empty()
            && !self.is_for_machines()
            && (rest.len() > DIGEST || rest.iter().filter(slept).count() > 1 || (self.dropped > 0 && rest.len() > 1));
        if is_digest {
            let mut rows: Vec<u64> = rest.iter().flat_map(|item| self.group(item.id)).collect();
            rows.sort_unstable();
            return Some(self.delivery(first.id, rows));
        }
        Some(self.delivery(first.id, self.group(first.id)))
    }

    fn delivery(&self, lead: u64, rows: Vec<u64>) -> Delivery {
        let notices: Vec<&Notice> = rows.iter().filter_map(|id| self.items.get(id)).map(|p| &p.notice).collect();
        let dropped = if self.is_for_machines() { 0 } else { self.dropped };
        let content = render_message(&notices, dropped);
        let before = content.task.and_then(|task| self.live(task));
        let asks = notices.iter().any(|notice| notice.kind.asks());
        // An edited message makes no sound: what waits for the person is said anew, and what was there asks no more.
        let (change, retire) = match before {
            Some((message, _)) if !asks => (Some(message), None),
            Some((message, notice)) => {
                let buttonless = ChatMessage { buttons: Vec::new(), is_urgent: false, ..render_message(&[notice], 0) };
                (None, (!notice.buttons.is_empty()).then_some((message, buttonless)))
            }
            None => (None, None),
        };
        Delivery { lead, rows, content, change, retire }
    }

    /// A task's last message, and its notice.
    fn live(&self, task: TaskId) -> Option<(String, &Notice)> {
        let of_task = |item: &&OutboxItem| item.notice.task() == Some(task);
        let sent = self.items.values().filter(of_task).filter_map(|item| {
            if let Stage::Sent { at, message: Some(message) } = &item.state {
                Some((*at, item.id, message, &item.notice))
            } else {
                None
            }
        });
        sent.max_by_key(|(at, id, ..)| (*at, *id)).map(|(_, _, message, notice)| (message.clone(), notice))
    }

    /// It was said, under this name.
    pub fn said(&mut self, delivery: &Delivery, message: Option<String>, now: Timestamp) {
        (self.not_before, self.in_vain) = (None, 0);
        // What is about several can be changed into nothing.
        let message = message.filter(|_| delivery.content.task.is_some());
        if !self.is_for_machines() {
            self.dropped = 0;
        }
        for id in &delivery.rows {
            let Some(item) = self.items.get_mut(id) else { continue };
            let (lead, message) = (*id == delivery.lead, message.clone());
            item.state = if lead { Stage::Sent { at: now, message } } else { Stage::Merged { into: delivery.lead } };
            (item.attempts, item.error) = (0, None);
            self.changed.insert(*id);
        }
        self.forget(now);
    }

    /// It was not said.
    pub fn refused(&mut self, delivery: &Delivery, why: Refused, now: Timestamp) {
        let is_alone = self.open().all(|item| delivery.rows.contains(&item.id));
        let is_of_channel = !matches!(why, Refused::Never(_));
        let in_vain = self.in_vain.saturating_add(u32::from(is_of_channel));
        let Some(item) = self.items.get_mut(&delivery.lead) else { return };
        item.attempts = item.attempts.saturating_add(1);
        let (pause, why, is_over) = match why {
            Refused::Later(after, why) => {
                let own = doubled(SignedDuration::from_secs(1), in_vain - 1, LONGEST_PAUSE);
                let asked = after.and_then(|after| SignedDuration::try_from(after).ok()).unwrap_or_default();
                (jittered(own, item.id, item.attempts).max(asked), why, false)
            }
            Refused::Closed(why) => {
                let own = doubled(SignedDuration::from_secs(30), in_vain - 1, LONGEST_REFUSED);
                (jittered(own, item.id, item.attempts), why, item.attempts >= REFUSALS)
            }
            Refused::Never(why) => {
                let own = doubled(SignedDuration::from_secs(30), item.attempts - 1, LONGEST_REFUSED);
                (jittered(own, item.id, item.attempts), why, item.attempts >= OWN_REFUSALS)
            }
        };
        item.error = Some(why.clone());
        let steps_behind = item.attempts >= OFTEN && !is_alone;
        self.in_vain = in_vain;
        // What holds up the whole channel holds up none of its messages more than another: they keep their order, also for a
        // process that comes after this one.
        if is_of_channel {
            self.not_before = Some(later(now, pause));
        }
        if steps_behind || !is_of_channel {
            item.not_before = later(now, if steps_behind { pause.saturating_add(BEHIND) } else { pause });
        }
        self.changed.insert(delivery.lead);
        if is_over {
            for id in delivery.rows.clone() {
                let Some(item) = self.items.get_mut(&id) else { continue };
                item.state = Stage::Dead { at: now, why: why.clone() };
                self.changed.insert(id);
            }
        }
    }

    /// The channel was set up anew: what was given up is tried once more, and nothing waits for an earlier failure.
    pub fn revive(&mut self, now: Timestamp) {
        (self.not_before, self.in_vain) = (None, 0);
        for item in self.items.values_mut() {
            if matches!(&item.state, Stage::Dead { at, .. } if now < later(*at, REMEMBERED)) {
                (item.state, item.attempts, item.not_before) = (Stage::Pending, 0, now);
                self.changed.insert(item.id);
            }
        }
        self.bound();
    }

    /// Drops what was said long ago.
    fn forget(&mut self, now: Timestamp) {
        let is_old = |item: &OutboxItem| match &item.state {
            Stage::Pending => false,
            Stage::Sent { at, .. } => later(*at, REMEMBERED) < now,
            Stage::Dead { at, .. } => later(*at, DEAD) < now,
            Stage::Merged { into } => self
                .items
                .get(into)
                .is_none_or(|lead| matches!(&lead.state, Stage::Sent { at, .. } if later(*at, REMEMBERED) < now)),
        };
        let old: Vec<u64> = self.items.values().filter(|item| is_old(item)).map(|item| item.id).collect();
        for id in old {
            self.items.remove(&id);
            self.changed.insert(id);
        }
    }
}

fn into(item: &OutboxItem) -> Option<u64> {
    match item.state {
        Stage::Merged { into } => Some(into),
        Stage::Pending | Stage::Sent { .. } | Stage::Dead { .. } => None,
    }
}

fn later(at: Timestamp, pause: SignedDuration) -> Timestamp {
    at.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// Twice as long each time, and never longer than that.
fn doubled(first: SignedDuration, times: u32, longest: SignedDuration) -> SignedDuration {
    first.checked_mul(1_i32.checked_shl(times.min(20)).unwrap_or(i32::MAX)).unwrap_or(longest).min(longest)
}

/// A quarter more or less, so that many who failed together do not come again together.
fn jittered(pause: SignedDuration, id: u64, attempt: u32) -> SignedDuration {
    let die = fingerprint(format!("{id} {attempt}").as_bytes()) % 1000;
    let share = 0.75 + die as f64 / 2000.0;
    SignedDuration::try_from_secs_f64(pause.as_secs_f64() * share).unwrap_or(pause)
}

#[cfg(test)]
mod tests;
