//! What a chat is sent, and when: text is gathered, put into the last message by editing it until that is full, then
//! into the next one, never faster than the service allows, and put off when it refuses. PURE: the time is handed in,
//! as the time since the chat was begun, and what was done is told back.

use super::Refusal;
use super::cut::{CLOSE, cut, measure, open_fence};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The first pause after a refusal that names none; doubled with each one that follows.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest of them.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// The shortest message that fences and one character fit into.
const SHORTEST: usize = 64;

/// So many within any span of that length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least 1.
    pub count: usize,
    /// In how long.
    pub per: Duration,
}

/// What a service allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in UTF-16 units; at least 64.
    pub longest: usize,
    /// Messages and edits together.
    pub requests: Rate,
    /// Edits alone.
    pub edits: Rate,
    /// How long text is gathered before it is shown.
    pub gather: Duration,
}

impl Limits {
    /// Telegram, in one chat.
    pub const TELEGRAM: Self = Self {
        longest: 4096,
        requests: Rate { count: 1, per: Duration::from_secs(1) },
        edits: Rate { count: 20, per: Duration::from_secs(60) },
        gather: Duration::from_millis(500),
    };

    /// Discord, in one channel.
    pub const DISCORD: Self = Self {
        longest: 2000,
        requests: Rate { count: 5, per: Duration::from_secs(5) },
        edits: Rate { count: 5, per: Duration::from_secs(5) },
        gather: Duration::from_millis(500),
    };
}

/// The text of one message: output, and the fences that make it whole by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Opens a block again that the message before it left open.
    pub before: String,
    /// The output.
    pub text: String,
    /// Closes a block that goes on in the next message.
    pub after: &'static str,
}

impl Message {
    fn new(before: String) -> Self {
        Self { before, ..Self::default() }
    }

    /// What else goes into it, in UTF-16 units.
    fn room(&self, longest: usize) -> usize {
        longest.max(SHORTEST).saturating_sub(measure(&self.before) + measure(&self.text) + measure(CLOSE))
    }

    fn with(&self, more: &str) -> Self {
        let text = format!("{}{more}", self.text);
        let open = open_fence(self.fence(), &text);
        Self { before: self.before.clone(), text, after: if open.is_some() { CLOSE } else { "" } }
    }

    fn fence(&self) -> Option<&str> {
        (!self.before.is_empty()).then_some(self.before.as_str())
    }

    /// What the next message begins with.
    fn handed_on(&self) -> String {
        open_fence(self.fence(), &self.text).unwrap_or_default()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.before, self.text, self.after)
    }
}

/// Something to ask of the service. What became of it is told by [`Composer::done`] or [`Composer::refused`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op<Id> {
    /// A new message.
    Send {
        /// The message.
        message: Message,
    },
    /// The last message again, with more in it.
    Edit {
        /// Which.
        id: Id,
        /// The whole message.
        message: Message,
    },
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<Id> {
    /// Nothing is held back.
    Nothing,
    /// Something, then.
    At(Duration),
    /// This, now.
    Do(Op<Id>),
}

/// When the last requests were made.
#[derive(Debug, Clone)]
struct Window {
    rate: Rate,
    times: VecDeque<Duration>,
}

impl Window {
    fn new(rate: Rate) -> Self {
        Self { rate, times: VecDeque::new() }
    }

    /// When another one is allowed: kept for every span of that length, wherever it begins.
    fn free_at(&self) -> Duration {
        let count = self.rate.count.max(1);
        match self.times.len().checked_sub(count) {
            Some(at) => self.times[at].saturating_add(self.rate.per),
            None => Duration::ZERO,
        }
    }

    fn take(&mut self, now: Duration) {
        self.times.push_back(now);
        while self.times.len() > self.rate.count.max(1) {
            self.times.pop_front();
        }
    }
}

/// The messages of one chat.
#[derive(Debug, Clone)]
pub struct Composer<Id> {
    limits: Limits,
    /// Taken, and in no message yet.
    pending: String,
    /// Since when.
    since: Duration,
    /// Everything is to be shown at once.
    flushed: bool,
    /// The message that still grows.
    last: Option<(Id, Message)>,
    /// What the next message begins with.
    fence: String,
    requests: Window,
    edits: Window,
    /// The service wants to be left alone until then.
    put_off: Duration,
    refusals: u32,
}

impl<Id: Clone> Composer<Id> {
    /// Nothing said yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pending: String::new(),
            since: Duration::ZERO,
            flushed: false,
            last: None,
            fence: String::new(),
            requests: Window::new(limits.requests),
            edits: Window::new(limits.edits),
            put_off: Duration::ZERO,
            refusals: 0,
        }
    }

    /// Takes text.
    pub fn push(&mut self, text: &str, now: Duration) {
        if self.is_blank() {
            self.since = now;
        }
        self.pending.push_str(text);
    }

    /// What was taken is shown as soon as the service allows. Text that comes later is gathered again.
    pub fn flush(&mut self) {
        self.flushed = true;
    }

    /// No service takes a message without anything in it.
    fn is_blank(&self) -> bool {
        self.pending.trim().is_empty()
    }

    /// What to do next. Asked again with the same time, it says the same.
    pub fn next(&self, now: Duration) -> Next<Id> {
        if self.is_blank() {
            return Next::Nothing;
        }
        let is_full = measure(&self.pending) >= self.limits.longest;
        let gathered = if self.flushed || is_full { Duration::ZERO } else { self.since + self.limits.gather };
        let allowed = gathered.max(self.requests.free_at()).max(self.put_off);
        let (op, at) = match self.edit() {
            // A message that is nearly full is left alone when a new one comes sooner.
            Some((op, takes_all)) if takes_all || self.edits.free_at() <= now.max(allowed) => {
                (op, allowed.max(self.edits.free_at()))
            }
            Some(_) | None => (self.send(), allowed),
        };
        if at > now { Next::At(at) } else { Next::Do(op) }
    }

    /// More in the last message, and whether that takes everything. `None`: nothing fits.
    fn edit(&self) -> Option<(Op<Id>, bool)> {
        let (id, message) = self.last.as_ref()?;
        let length = cut(&self.pending, message.room(self.limits.longest), false);
        let op = Op::Edit { id: id.clone(), message: message.with(&self.pending[..length]) };
        // A service takes no edit that shows nothing new.
        let shows = !self.pending[..length].trim().is_empty();
        shows.then_some((op, length == self.pending.len()))
    }

    fn send(&self) -> Op<Id> {
        let message = Message::new(self.fence.clone());
        let from = self.begin();
        let length = cut(&self.pending[from..], message.room(self.limits.longest), true);
        Op::Send { message: message.with(&self.pending[from..from + length]) }
    }

    /// Empty lines before the text of a new message are no text, nor is an indentation that would fill it.
    fn begin(&self) -> usize {
        let blank = self.pending.len() - self.pending.trim_start().len();
        let line = self.pending[..blank].rfind('\n').map_or(0, |feed| feed + 1);
        if blank - line < SHORTEST / 4 { line } else { blank }
    }

    /// It was done; `id`: of a new message.
    pub fn done(&mut self, op: Op<Id>, id: Option<Id>, now: Duration) {
        self.asked(&op, now);
        (self.refusals, self.put_off) = (0, Duration::ZERO);
        let (taken, id, message) = match (op, id) {
            (Op::Edit { id, message }, _) => {
                let had = self.last.as_ref().map_or(0, |(_, last)| last.text.len());
                (message.text.len() - had, Some(id), message)
            }
            (Op::Send { message }, id) => (self.begin() + message.text.len(), id, message),
        };
        self.pending.drain(..taken);
        self.since = now;
        self.flushed &= !self.is_blank();
        self.fence = message.handed_on();
        self.last = id.map(|id| (id, message));
    }

    /// It was not done: it is tried again, later or in a new message.
    pub fn refused(&mut self, op: Op<Id>, refusal: &Refusal, now: Duration) {
        self.asked(&op, now);
        match refusal {
            Refusal::Gone => self.last = None,
            Refusal::Later { after, .. } => {
                let doubled = BACKOFF.saturating_mul(1 << self.refusals.min(10)).min(LONGEST_BACKOFF);
                self.refusals += 1;
                self.put_off = now.saturating_add(after.unwrap_or(doubled));
            }
            // Who asks stops asking.
            Refusal::Never(_) | Refusal::Closed(_) => {}
        }
    }

    /// A request counts, whatever becomes of it.
    fn asked(&mut self, op: &Op<Id>, now: Duration) {
        self.requests.take(now);
        if matches!(op, Op::Edit { .. }) {
            self.edits.take(now);
        }
    }
}
