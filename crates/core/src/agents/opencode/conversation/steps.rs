//! What a conversation wants done: the types of its steps, without anything that decides on them.

use serde_json::Value;

/// What a request to the server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The conversation itself.
    Session,
    /// What is said in it so far.
    History,
    /// Taking a message back.
    TakeBack,
    /// A message; the answer comes when the turn is over.
    Say(usize),
    /// Anything whose answer changes nothing.
    Aside,
}

/// A request to the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What for.
    pub purpose: Purpose,
    /// HTTP method.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// JSON to send.
    pub body: Option<Value>,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Print this line.
    Print(String),
    /// Ask the server.
    Ask(Ask),
    /// There is no conversation: say why on stderr, and leave.
    Leave(String),
}

/// The server's answer; `None`: there was none.
pub type Answer = Option<(u16, Value)>;
