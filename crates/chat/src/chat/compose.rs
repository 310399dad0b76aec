//! Decides what a chat is sent and when: text is collected and appended to the last message by edits until that is full,
//! then to a new one, never faster than the service allows, and later when it refuses. PURE: the time since the chat
//! started is an argument, and results are reported back.

use super::Refusal;
use super::cut::{CLOSE, cut, measure, open_fence};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// First pause after a refusal that names none; each further refusal doubles it.
const BACKOFF: Duration = Duration::from_secs(1);
/// Longest pause after a refusal that names none.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// Shortest message that has capacity for fences and one character, in UTF-16 units.
const SHORTEST: usize = 64;

/// A rate limit: at most `count` requests within any span of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Number of requests; at least 1.
    pub count: usize,
    /// Length of the span.
    pub per: Duration,
}

/// Limits of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest message, in UTF-16 units; at least 64.
    pub longest: usize,
    /// Limit of messages and edits together.
    pub requests: Rate,
    /// Limit of edits alone.
    pub edits: Rate,
    /// How long text is collected before it is shown.
    pub gather: Duration,
}

impl Limits {
    /// Limits of one Telegram chat.
    pub const TELEGRAM: Self = Self {
        longest: 4096,
        requests: Rate { count: 1, per: Duration::from_secs(1) },
        edits: Rate { count: 20, per: Duration::from_secs(60) },
        gather: Duration::from_millis(500),
    };

    /// Limits of one Discord channel.
    pub const DISCORD: Self = Self {
        longest: 2000,
        requests: Rate { count: 5, per: Duration::from_secs(5) },
        edits: Rate { count: 5, per: Duration::from_secs(5) },
        gather: Duration::from_millis(500),
    };
}

/// The text of one message: output, and the fences that make it well-formed on its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Fence that reopens a code block of the previous message; empty: none.
    pub before: String,
    /// Output text.
    pub text: String,
    /// Fence that closes a code block that continues in the next message; empty: none.
    pub after: &'static str,
}

impl Message {
    fn new(before: String) -> Self {
        Self { before, ..Self::default() }
    }

    /// Returns the remaining capacity, in UTF-16 units.
    fn capacity(&self, longest: usize) -> usize {
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

    /// Returns the fence with which the next message starts.
    fn next_fence(&self) -> String {
        open_fence(self.fence(), &self.text).unwrap_or_default()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.before, self.text, self.after)
    }
}

/// A request to the service. The caller reports its result with [`Composer::done`] or [`Composer::refused`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op<Id> {
    /// Sends a new message.
    Send {
        /// The message.
        message: Message,
    },
    /// Appends to the last message.
    Edit {
        /// Id of the message.
        id: Id,
        /// The whole message.
        message: Message,
    },
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<Id> {
    /// There is no pending text.
    Nothing,
    /// A request is due at this time.
    At(Duration),
    /// This request is due now.
    Do(Op<Id>),
}

/// Times of the last requests under a rate limit.
#[derive(Debug, Clone)]
struct Window {
    rate: Rate,
    times: VecDeque<Duration>,
}

impl Window {
    fn new(rate: Rate) -> Self {
        Self { rate, times: VecDeque::new() }
    }

    /// Returns when the next request is allowed, so that the limit holds for every span, wherever it starts.
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
    /// Text that is in no message yet.
    pending: String,
    /// When the oldest pending text arrived.
    since: Duration,
    /// Whether pending text is shown without collecting more.
    flushed: bool,
    /// The last message, which can still grow.
    last: Option<(Id, Message)>,
    /// Returns the fence with which the next message starts.
    fence: String,
    requests: Window,
    edits: Window,
    /// No request before this time, after a refusal.
    blocked_until: Duration,
    refusals: u32,
}

impl<Id: Clone> Composer<Id> {
    /// Creates a composer without messages.
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
            blocked_until: Duration::ZERO,
            refusals: 0,
        }
    }

    /// Adds text.
    pub fn push(&mut self, text: &str, now: Duration) {
        if self.is_blank() {
            self.since = now;
        }
        self.pending.push_str(text);
    }

    /// Makes pending text due as soon as the service allows. Later text is collected again.
    pub fn flush(&mut self) {
        self.flushed = true;
    }

    /// Returns whether there is only whitespace, which no service accepts as a message.
    fn is_blank(&self) -> bool {
        self.pending.trim().is_empty()
    }

    /// Returns the next step. Calling it again with the same time gives the same result.
    pub fn next(&self, now: Duration) -> Next<Id> {
        if self.is_blank() {
            return Next::Nothing;
        }
        let is_full = measure(&self.pending) >= self.limits.longest;
        let gathered = if self.flushed || is_full { Duration::ZERO } else { self.since + self.limits.gather };
        let allowed = gathered.max(self.requests.free_at()).max(self.blocked_until);
        let (op, at) = match self.edit() {
            // An edit that does not take all text is skipped if a new message is possible sooner.
            Some((op, takes_all)) if takes_all || self.edits.free_at() <= now.max(allowed) => {
                (op, allowed.max(self.edits.free_at()))
            }
            Some(_) | None => (self.send(), allowed),
        };
        if at > now { Next::At(at) } else { Next::Do(op) }
    }

    /// Returns the edit that appends to the last message, and whether it takes all text. `None`: nothing fits.
    fn edit(&self) -> Option<(Op<Id>, bool)> {
        let (id, message) = self.last.as_ref()?;
        let length = cut(&self.pending, message.capacity(self.limits.longest), false);
        let op = Op::Edit { id: id.clone(), message: message.with(&self.pending[..length]) };
        // Services refuse edits without a visible change.
        let shows = !self.pending[..length].trim().is_empty();
        shows.then_some((op, length == self.pending.len()))
    }

    fn send(&self) -> Op<Id> {
        let message = Message::new(self.fence.clone());
        let from = self.text_start();
        let length = cut(&self.pending[from..], message.capacity(self.limits.longest), true);
        Op::Send { message: message.with(&self.pending[from..from + length]) }
    }

    /// Returns where the text of a new message starts: after empty lines and very deep indentation.
    fn text_start(&self) -> usize {
        let blank = self.pending.len() - self.pending.trim_start().len();
        let line = self.pending[..blank].rfind('\n').map_or(0, |feed| feed + 1);
        if blank - line < SHORTEST / 4 { line } else { blank }
    }

    /// Reports that a request succeeded; `id` is the id of a new message.
    pub fn done(&mut self, op: Op<Id>, id: Option<Id>, now: Duration) {
        self.record_request(&op, now);
        (self.refusals, self.blocked_until) = (0, Duration::ZERO);
        let (taken, id, message) = match (op, id) {
            (Op::Edit { id, message }, _) => {
                let had = self.last.as_ref().map_or(0, |(_, last)| last.text.len());
                (message.text.len() - had, Some(id), message)
            }
            (Op::Send { message }, id) => (self.text_start() + message.text.len(), id, message),
        };
        self.pending.drain(..taken);
        self.since = now;
        self.flushed &= !self.is_blank();
        self.fence = message.next_fence();
        self.last = id.map(|id| (id, message));
    }

    /// Reports that a request was refused: it is retried later or in a new message.
    pub fn refused(&mut self, op: Op<Id>, refusal: &Refusal, now: Duration) {
        self.record_request(&op, now);
        match refusal {
            Refusal::Gone => self.last = None,
            Refusal::Later { after, .. } => {
                let doubled = BACKOFF.saturating_mul(1 << self.refusals.min(10)).min(LONGEST_BACKOFF);
                self.refusals += 1;
                self.blocked_until = now.saturating_add(after.unwrap_or(doubled));
            }
            // The caller stops.
            Refusal::Never(_) | Refusal::Closed(_) => {}
        }
    }

    /// Records a request, which counts whatever its result.
    fn record_request(&mut self, op: &Op<Id>, now: Duration) {
        self.requests.take(now);
        if matches!(op, Op::Edit { .. }) {
            self.edits.take(now);
        }
    }
}
