//! The command line of the scripted agent: Claude Code's options that matter to it. Others are ignored, so that it can
//! replace the real CLI.

use serde_json::Value;

/// The default model.
const DEFAULT_MODEL: &str = super::price::MODELS[1].name;

/// The conversation of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Session {
    /// A new one with this id.
    New(String),
    /// An existing one.
    Resume(String),
}

/// The parsed options.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flags {
    /// `--session-id` or `--resume`; by default, a new conversation with a random id.
    pub session: Session,
    /// `--model`.
    pub model: String,
    /// `--json-schema`.
    pub schema: Option<Value>,
    /// `--input-format stream-json`.
    pub lines: bool,
}

/// An invalid command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadFlags {
    /// The id is not a valid file name.
    #[error("{0:?} is not the id of a conversation: letters, digits, - and _")]
    Session(String),
    /// The schema is not JSON.
    #[error("--json-schema is not JSON: {0}")]
    Schema(String),
}

impl Flags {
    /// Parses `--name=value` and `--name value`.
    pub(super) fn parse(args: &[String]) -> Result<Self, BadFlags> {
        let schema = match value_of(args, "--json-schema") {
            Some(text) => Some(serde_json::from_str(text).map_err(|error| BadFlags::Schema(error.to_string()))?),
            None => None,
        };
        let session = match (value_of(args, "--resume"), value_of(args, "--session-id")) {
            (Some(id), _) => Session::Resume(checked(id)?),
            (None, Some(id)) => Session::New(checked(id)?),
            (None, None) => Session::New(uuid::Uuid::new_v4().to_string()),
        };
        let model = value_of(args, "--model").filter(|model| !model.is_empty()).unwrap_or(DEFAULT_MODEL).to_owned();
        let lines = value_of(args, "--input-format") == Some("stream-json");
        Ok(Self { session, model, schema, lines })
    }

    /// Returns the conversation's id.
    pub(super) fn session_id(&self) -> &str {
        let (Session::New(id) | Session::Resume(id)) = &self.session;
        id
    }
}

fn value_of<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    args.iter().enumerate().find_map(|(at, arg)| match arg.strip_prefix(name)? {
        "" => args.get(at + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    })
}

/// Checks an id, which becomes a file name.
fn checked(id: &str) -> Result<String, BadFlags> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.len() > 100 || !id.chars().all(plain) {
        return Err(BadFlags::Session(id.to_owned()));
    }
    Ok(id.to_owned())
}
