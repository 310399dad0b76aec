//! Builds an argument vector that cannot be misread: a value from outside is one argument of the form `--flag=value`, so
//! that it never becomes an option of its own.

use super::{LaunchRefused, LaunchRequest, Session};
use std::path::Path;

/// Linux's limit for one argument, without its terminating zero byte.
const MAX_ARG: usize = 128 * 1024 - 1;

/// Collects the arguments for one agent.
pub(super) struct Argv {
    agent: &'static str,
    args: Vec<String>,
}

impl Argv {
    /// Starts with orch's own arguments.
    pub(super) fn new(agent: &'static str, own: &[&str]) -> Self {
        Self { agent, args: own.iter().map(|&arg| arg.to_owned()).collect() }
    }

    /// Adds more of orch's own arguments.
    pub(super) fn extend(&mut self, own: &[&str]) {
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

    /// Adds the model, if the request names one.
    pub(super) fn model(&mut self, request: &LaunchRequest) -> Result<(), LaunchRefused> {
        if let Some(model) = checked_model(self.agent, request)? {
            self.value("--model", model);
        }
        Ok(())
    }

    /// Adds the user's own arguments, unchanged.
    pub(super) fn extra(&mut self, request: &LaunchRequest) {
        self.args.extend(request.extra_args.iter().cloned());
    }

    /// Returns the vector; refuses arguments with which no program can be started.
    pub(super) fn finish(self) -> Result<Vec<String>, LaunchRefused> {
        for arg in &self.args {
            if arg.contains('\0') {
                return Err(refused(self.agent, "an argument", "it holds a zero byte".to_owned()));
            }
            if arg.len() > MAX_ARG {
                let reason = format!("it has {} bytes, and the limit is {MAX_ARG}", arg.len());
                return Err(refused(self.agent, "an argument", reason));
            }
        }
        Ok(self.args)
    }
}

/// Returns the model, if the request names one; refuses an empty name and one that looks like an option.
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

/// Returns the conversation's id; it must consist of letters, digits, `-` and `_`, and not look like an option.
pub(super) fn checked_id<'a>(agent: &'static str, session: &'a Session) -> Result<&'a str, LaunchRefused> {
    let (Session::New { id } | Session::Resume { id }) = session;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.starts_with('-') || !id.chars().all(plain) {
        return Err(refused(agent, "the session", format!("{id:?} is not a session's id")));
    }
    Ok(id)
}

/// Returns a path as text; refuses one that is not UTF-8, because arguments and JSON cannot hold it.
pub(super) fn text_of<'a>(agent: &'static str, field: &'static str, path: &'a Path) -> Result<&'a str, LaunchRefused> {
    path.to_str().ok_or_else(|| refused(agent, field, format!("{} is not valid UTF-8", path.display())))
}

pub(super) fn refused(agent: &'static str, field: &'static str, reason: String) -> LaunchRefused {
    LaunchRefused::BadValue { agent, field, reason }
}

/// Copies names of variables.
pub(super) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
