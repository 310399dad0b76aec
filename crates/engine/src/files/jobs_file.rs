//! `jobs.yml` as text: reading it, and changing it for a person. A change that meets another program's save is made anew.

use crate::deps::Deps;
use crate::error::EngineError;
use crate::files::file_job::unreadable;
use orch_core::operations::job::{JobId, JobSpec};
use orch_store::jobs_file::{JobsDoc, Severity, entry_of, with_entry, with_value, without_entry};
use orch_sys::clock;
use orch_sys::fs::{self, Fingerprint, WriteError, exchange_write};
use serde_json::Value;
use std::path::Path;

/// The largest `jobs.yml` that is read, in bytes.
const LARGEST: usize = 16 << 20;

/// How often a change is made anew because another program saved the file meanwhile.
const TRIES: usize = 5;

/// What `jobs.yml` holds.
#[derive(Debug)]
pub enum JobsNews {
    /// The file reads; a missing one reads as blank.
    Read(Box<JobsDoc>),
    /// It does not; what was in force stays so.
    Broken(String),
}

/// What a person wants changed in `jobs.yml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new job.
    Add(Box<JobSpec>, NameIs),
    /// It fires, or does not.
    Enable(JobId, bool),
    /// The job is removed.
    Remove(JobId),
}

/// Where the name of a new job comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameIs {
    /// A person chose it.
    Chosen,
    /// It was made from the title, and may get a number.
    Made,
}

/// A change that was made.
#[derive(Debug)]
pub struct Changed {
    /// What the file holds now.
    pub doc: JobsDoc,
    /// The job that it is about.
    pub job: JobId,
}

fn known_zone(name: &str) -> Result<(), String> {
    clock::zone(Some(name)).map(drop)
}

fn text_of(path: &Path) -> Result<Option<String>, String> {
    if let Some(target) = fs::dangling_link(path) {
        let (path, target) = (path.display(), target.display());
        return Err(format!(
            "{path} is a link to {target}, where there is no file; put the file there, or mend the link"
        ));
    }
    if Fingerprint::read(path).is_none() {
        return Ok(None);
    }
    fs::read_text(path, LARGEST).map(Some).map_err(|error| unreadable(path, &error))
}

/// Reads `jobs.yml`. Blocking.
pub fn read(path: &Path) -> JobsNews {
    let text = match text_of(path) {
        Ok(text) => text.unwrap_or_default(),
        Err(why) => return JobsNews::Broken(why),
    };
    match JobsDoc::parse(&text, &known_zone) {
        Ok(doc) => JobsNews::Read(Box::new(doc)),
        Err(problem) => JobsNews::Broken(format!("{}: {problem}; what it held before counts on", path.display())),
    }
}

fn invalid(message: impl Into<String>, hint: impl Into<String>) -> EngineError {
    EngineError::Invalid { message: message.into(), hint: Some(hint.into()) }
}

/// Changes `jobs.yml`; every byte that the change does not concern stays. Blocking.
///
/// # Errors
/// The file does not read, the change makes no sense in it, or it cannot be written; then it is as it was.
pub(crate) fn change(deps: &Deps, change: &Change) -> Result<Changed, EngineError> {
    let path = deps.home.jobs_file();
    for _ in 0..TRIES {
        let old = text_of(&path).map_err(|why| invalid(why, "then try again"))?;
        let text = old.clone().unwrap_or_default();
        let doc = JobsDoc::parse(&text, &known_zone).map_err(|problem| {
            invalid(format!("{} does not read: {problem}", path.display()), "mend it in an editor, then try again")
        })?;
        let (new, job) = changed(&text, &doc, change)?;
        if new == text {
            return Ok(Changed { doc, job });
        }
        let doc = JobsDoc::parse(&new, &known_zone).map_err(|problem| {
            invalid(format!("the change would break {}: {problem}", path.display()), "make it in an editor")
        })?;
        match exchange_write(&path, &deps.home.jobs_lock(), new.as_bytes(), old.as_deref().map(str::as_bytes)) {
            Ok(_) => return Ok(Changed { doc, job }),
            Err(WriteError::Changed { .. }) => {}
            Err(WriteError::Fs(error)) => {
                return Err(invalid(format!("{} cannot be written: {error}", path.display()), "then try again"));
            }
        }
    }
    let message = format!("{} is being saved by somebody else again and again", path.display());
    Err(EngineError::NotNow { message, hint: "try again".to_owned() })
}

/// Returns the text with the change, and the job it is about.
fn changed(text: &str, doc: &JobsDoc, change: &Change) -> Result<(String, JobId), EngineError> {
    let by_hand = |error: orch_config::yaml::EditError| invalid(error.to_string(), "make the change in an editor");
    match change {
        Change::Add(spec, name) => {
            let id = free_name(doc, &spec.id, *name)?;
            let spec = JobSpec { id: id.clone(), ..JobSpec::clone(spec) };
            let new = with_entry(text, &entry_of(&spec)).map_err(by_hand)?;
            let read = JobsDoc::parse(&new, &known_zone).ok().and_then(|doc| doc.entry(&id).cloned());
            match read.and_then(|entry| entry.spec) {
                Some(read) if read == spec => Ok((new, id)),
                Some(_) | None => Err(refusal(&new, doc.entries.len())),
            }
        }
        Change::Enable(id, enabled) => {
            let new = with_value(text, place(doc, id)?, "enabled", Value::Bool(*enabled)).map_err(by_hand)?;
            Ok((new.ok_or_else(|| missing(id))?, id.clone()))
        }
        Change::Remove(id) => {
            let new = without_entry(text, place(doc, id)?).map_err(by_hand)?;
            Ok((new.ok_or_else(|| missing(id))?, id.clone()))
        }
    }
}

fn place(doc: &JobsDoc, id: &JobId) -> Result<usize, EngineError> {
    doc.entry(id).map(|entry| entry.index).ok_or_else(|| missing(id))
}

/// There is no such job.
pub(crate) fn missing(id: &JobId) -> EngineError {
    EngineError::NotThere {
        message: format!("there is no job {id}"),
        hint: "`orch job list` shows all jobs".to_owned(),
    }
}

/// Returns the name, with a number behind it where it is taken and was not chosen by a person.
fn free_name(doc: &JobsDoc, id: &JobId, name: NameIs) -> Result<JobId, EngineError> {
    let is_free = |id: &JobId| doc.entry(id).is_none();
    match name {
        NameIs::Chosen if is_free(id) => Ok(id.clone()),
        NameIs::Chosen => {
            let message = format!("there is a job {id} already");
            Err(EngineError::NotNow { message, hint: "choose another --id, or remove that one first".to_owned() })
        }
        NameIs::Made if is_free(id) => Ok(id.clone()),
        // A number below this one is free: there are not so many entries.
        NameIs::Made => {
            let numbered = (2..).map(|number| id.numbered(number)).take(doc.entries.len() + 1).find(is_free);
            numbered.ok_or_else(|| invalid(format!("no name like {id} is free"), "choose one by --id"))
        }
    }
}

/// Returns what is wrong with the new entry, in the words of the file's reader.
fn refusal(new: &str, index: usize) -> EngineError {
    let doc = JobsDoc::parse(new, &known_zone).ok();
    let of_entry = doc.as_ref().and_then(|doc| doc.problems.iter().rfind(|p| p.severity == Severity::Error));
    match of_entry.filter(|_| doc.as_ref().is_some_and(|doc| doc.entries.len() > index)) {
        Some(problem) => EngineError::Invalid { message: problem.message.clone(), hint: problem.hint.clone() },
        None => invalid("the job would not read back as meant", "write it into jobs.yml by hand"),
    }
}
