//! An argument vector that cannot be misread: a value from outside stands as `--flag=value` in one argument, so that it
//! never becomes an option of its own.

use super::{LaunchRefused, LaunchRequest, Session};
use std::path::Path;

/// Linux's limit for one argument, with its closing zero.
const LONGEST: usize = 128 * 1024 - 1;

/// Builds the arguments for one agent.
pub(super) struct Argv {
    agent: &'static str,
    args: Vec<String>,
}

impl Argv {
    /// Starts with orch's own words.
    pub(super) fn new(agent: &'static str, own: &[&str]) -> Self {
        Self { agent, args: own.iter().map(|&arg| arg.to_owned()).collect() }
    }

    /// Adds orch's own words.
    pub(super) fn words(&mut self, own: &[&str]) {
        self.args.extend(own.iter().map(|&arg| arg.to_owned()));
    }

    /// Adds `--flag=value`.
    pub(super) fn value(&mut self, flag: &str, value: &str) {
        self.args.push(format!("{flag}={value}"));
    }

    /// Adds `--flag=path`.
    pub(super) fn path(&mut self, flag: &str, field: &'static str, path: &Path) -> Result<(), LaunchRefused> {
        let path = text_of(self.agent, field, path)?;
        self.value(flag, path);
        Ok(())
    }

    /// Adds the model, if one is wanted.
    pub(super) fn model(&mut self, request: &LaunchRequest) -> Result<(), LaunchRefused> {
        if let Some(model) = checked_model(self.agent, request)? {
            self.value("--model", model);
        }
        Ok(())
    }

    /// Adds what the user configured, unchanged.
    pub(super) fn extra(&mut self, request: &LaunchRequest) {
        self.args.extend(request.extra_args.iter().cloned());
    }

    /// The finished vector; refuses what no program can be started with.
    pub(super) fn finish(self) -> Result<Vec<String>, LaunchRefused> {
        for arg in &self.args {
            if arg.contains('\0') {
                return Err(refused(self.agent, "an argument", "it holds a zero byte".to_owned()));
            }
            if arg.len() > LONGEST {
                let reason = format!("it has {} bytes, and the longest possible are {LONGEST}", arg.len());
                return Err(refused(self.agent, "an argument", reason));
            }
        }
        Ok(self.args)
    }
}

/// The model, if one is wanted: a name, neither empty nor shaped like an option.
pub(super) fn checked_model<'a>(
    agent: &'static str,
    request: &'a LaunchRequest,
) -> Result<Option<&'a str>, LaunchRefused> {
    let Some(model) = request.model.as_deref() else { return Ok(None) };
    if model.is_empty() || model.starts_with('-') || model.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refused(agent, "the model", format!("{model:?} is not a model's name")));
    }
    Ok(Some(model))
}

/// The conversation's id: letters, digits, `-` and `_`, not shaped like an option.
pub(super) fn checked_id<'a>(agent: &'static str, session: &'a Session) -> Result<&'a str, LaunchRefused> {
    let (Session::New { id } | Session::Resume { id }) = session;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.starts_with('-') || !id.chars().all(plain) {
        return Err(refused(agent, "the session", format!("{id:?} is not a session's id")));
    }
    Ok(id)
}

/// A path as text; arguments and JSON cannot hold any other.
pub(super) fn text_of<'a>(agent: &'static str, field: &'static str, path: &'a Path) -> Result<&'a str, LaunchRefused> {
    path.to_str().ok_or_else(|| refused(agent, field, format!("{} is not valid UTF-8", path.display())))
}

pub(super) fn refused(agent: &'static str, field: &'static str, reason: String) -> LaunchRefused {
    LaunchRefused::BadValue { agent, field, reason }
}

/// Names of variables, owned.
pub(super) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
