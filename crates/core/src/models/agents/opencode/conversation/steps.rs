//! The steps of a conversation, as types without decisions.

use serde_json::Value;

/// The purpose of a request to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Creates or reads the session.
    Session,
    /// Lists the messages so far.
    History,
    /// Deletes a message.
    Delete,
    /// Posts the message of this index; the response comes when the turn is over.
    Post(usize),
    /// A request whose response is ignored.
    Ignored,
}

/// A request to the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The purpose of the request.
    pub purpose: Purpose,
    /// The HTTP method.
    pub method: &'static str,
    /// The path and query.
    pub path: String,
    /// The JSON body.
    pub body: Option<Value>,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Prints this line.
    Print(String),
    /// Sends this request to the server.
    Ask(Ask),
    /// Exits with this error on stderr: there is no conversation.
    Exit(String),
}

/// The status and body of the server's response; `None` when there was none.
pub type Answer = Option<(u16, Value)>;
