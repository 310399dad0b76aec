//! A damaged journal is kept as it was found, and a new one is made from what it still holds, `tasks.yml`, the
//! sidecars, the run directories and git. Every step may be cut short: the new journal takes its place in one move, and
//! until the report is written the next start begins again from the files that were kept. Who is believed is decided by
//! [`orch_core::rebuild`].

#[cfg(test)]
mod tests;
mod traces;

use crate::deps::damage::{self, Asked, Damage};
use jiff::Timestamp;
use orch_config::home::Home;
use orch_core::audit::actor::Actor;
use orch_core::audit::history::{Fact, TaskFact};
use orch_core::audit::rebuild::{Rebuilt, rebuild as decide};
use orch_core::base::ids::TaskId;
use orch_core::operations::job::JobRecord;
use orch_core::operations::pause::{Pause, PauseScope};
use orch_store::journal::{Care, Entry, Journal, JournalError, Project, Write, reserve};
use orch_store::salvage::{Salvaged, salvage};
use orch_store::witness;
use orch_sys::crash::point;
use orch_sys::fs::{self, FsError};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use traces::Gathered;

/// Rows that are stored at once.
const AT_ONCE: usize = 500;
/// The most gaps between numbers of tasks that are reported.
const GAPS: usize = 200;
/// The name of a journal inside the directory where it is kept.
const KEPT: &str = "orch.db";

/// Why no new journal could be made.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// A file cannot be kept or moved.
    #[error("the damaged journal cannot be kept: {0}")]
    File(#[from] FsError),
    /// The new journal cannot be written.
    #[error("no new journal can be made: {0}")]
    Journal(#[from] JournalError),
}

/// Makes the new journal. The engine's lock is held, and no process has the old one open.
///
/// # Errors
/// The disk does not take it; nothing is changed then, and it can be done again.
pub async fn rebuild(
    home: &Home,
    environment: &BTreeMap<String, String>,
    now: Timestamp,
    cause: &str,
) -> Result<Damage, RebuildError> {
    point!("rebuild.before");
    let kept = keep(home, now)?;
    point!("rebuild.kept");
    let read = kept.join("reading");
    copy_beside(&kept.join(KEPT), &read)?;
    let mut gathered = traces::gather(home, environment).await;
    let saved = salvage(&read, gathered.highest());
    remove(&read);
    gathered.take(&saved);
    let highest = saved.last_task_id.max(gathered.highest());
    let mut report = Damage::new(now, cause, &kept, &saved);
    if !saved.lost.is_empty() {
        report.lost.extend(unknown(&gathered, highest));
    }
    let made = home.state().join("rebuilding.db");
    remove(&made);
    reserve(&made, highest)?;
    let (journal, _) = Journal::open_with(&made, Care::All)?;
    let writes = writes(saved, gathered, now, &mut report);
    for part in writes.chunks(AT_ONCE) {
        journal.commit(part.to_vec()).await?;
    }
    journal.leave().await;
    drop(journal);
    point!("rebuild.made");
    swap(home, &made)?;
    point!("rebuild.placed");
    // Before the report: with it the work is done, and a mark that stays would have it done once more.
    believe(home)?;
    point!("rebuild.believed");
    report.write(&kept)?;
    point!("rebuild.after");
    Ok(report)
}

/// A journal was kept, and no report says what became of it.
pub fn interrupted(home: &Home) -> bool {
    damage::unfinished(&home.damaged()).is_some()
}

/// A file that exists as long as the journal is not to be believed, and says why.
pub fn suspect(home: &Home) -> PathBuf {
    home.damaged().join("suspect")
}

/// Another journal has taken the place of the one that was damaged: what was known of that one's damage concerns it no
/// more. What was kept of it stays.
///
/// # Errors
/// The disk does not take it; it can be done again.
pub fn supersede(home: &Home, by: &'static str, now: Timestamp) -> Result<(), FsError> {
    damage::supersede(&home.damaged(), by, now)?;
    believe(home)
}

/// The journal is believed again.
///
/// # Errors
/// The mark cannot be removed.
pub fn believe(home: &Home) -> Result<(), FsError> {
    let path = suspect(home);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FsError::Io { action: "remove", path, source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Returns the report on the last damage, as long as its directory exists.
pub fn last_damage(home: &Home) -> Option<Damage> {
    damage::latest(&home.damaged())
}

/// Copies the journal and the files beside it to a new directory; that of an unfinished try is used again.
fn keep(home: &Home, now: Timestamp) -> Result<PathBuf, RebuildError> {
    let damaged = home.damaged();
    fs::create_dir_private(&damaged)?;
    if let Some(unfinished) = damage::unfinished(&damaged) {
        return Ok(unfinished);
    }
    let name = now.strftime("%Y%m%dT%H%M%S%.3fZ").to_string();
    let (part, kept) = (damaged.join(format!(".{name}")), damaged.join(name));
    fs::create_dir_private(&part)?;
    copy_beside(&home.journal(), &part.join(KEPT))?;
    fs::move_aside(&part, &kept)?;
    fs::sync_dir(&damaged)?;
    Ok(kept)
}

/// Returns the files that make up one journal. The shared memory is nothing without a process.
fn files_of(journal: &Path) -> [PathBuf; 3] {
    let beside = |end: &str| {
        let mut name: OsString = journal.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    [journal.to_owned(), beside("-wal"), witness::path_of(journal)]
}

fn copy_beside(from: &Path, to: &Path) -> Result<(), FsError> {
    files_of(from).iter().zip(files_of(to)).try_for_each(|(from, to)| fs::copy_private(from, &to).map(drop))
}

fn remove(journal: &Path) {
    let mut shared: OsString = journal.as_os_str().to_owned();
    shared.push("-shm");
    for file in files_of(journal).into_iter().chain([PathBuf::from(shared)]) {
        // One that was never there is fine; one that stays is named after what it is, and is made anew.
        std::fs::remove_file(file).ok();
    }
}

/// Moves a journal that another journal takes the place of to where such files are kept. No process has it open.
///
/// # Errors
/// A file cannot be moved.
pub fn set_journal_aside(home: &Home, now: Timestamp) -> Result<(), FsError> {
    let aside = home.replaced().join(now.strftime("%Y%m%dT%H%M%S%.3fZ").to_string());
    fs::create_dir_private(&home.replaced())?;
    fs::create_dir_private(&aside)?;
    let journal = home.journal();
    for (from, to) in files_of(&journal).iter().zip(files_of(&aside.join(KEPT))) {
        fs::move_aside(from, &to)?;
    }
    // What is left of it is the shared memory, which is nothing without a process.
    remove(&journal);
    Ok(())
}

/// The new journal takes the place of the old one. What is in the old one's log must not be read into the new one, so
/// it goes first; all of it was kept.
fn swap(home: &Home, made: &Path) -> Result<(), RebuildError> {
    let journal = home.journal();
    remove(&journal);
    point!("rebuild.removed");
    for (from, to) in files_of(made).iter().zip(files_of(&journal)).rev() {
        fs::move_aside(from, &to)?;
        point!("rebuild.part");
    }
    fs::sync_dir(&home.state())?;
    Ok(())
}

/// Numbers that were given out, and of which there is no trace.
fn unknown(gathered: &Gathered, highest: u64) -> Vec<String> {
    let ends = gathered.tasks.keys().map(|id| id.0).chain([highest.saturating_add(1)]);
    let gaps = ends.scan(0, |last, id| Some((std::mem::replace(last, id) + 1, id.saturating_sub(1))));
    let describe = |(from, to)| format!("tasks {from} to {to}: nothing is left of them, if there ever were any");
    gaps.filter(|(from, to)| from <= to).take(GAPS).map(describe).collect()
}

/// Returns what was paused, switched off by failures and left alone, and the daemon's history. Where it is unknown what a
/// person had paused, everything is: what starts against their word cannot be taken back.
fn switched(saved: &mut Salvaged, now: Timestamp, report: &mut Damage) -> Vec<Write> {
    let pauses = saved.pauses.take().unwrap_or_else(|| {
        let what = "what was paused: everything is paused now, until `orch resume`";
        report.lost.push(what.to_owned());
        vec![Pause { scope: PauseScope::All, since: now, by: "orch: journal rebuilt".to_owned() }]
    });
    let pauses = pauses.into_iter().map(|pause| Write::Pause(pause.scope.clone(), Some(pause)));
    let breakers = std::mem::take(&mut saved.breakers).into_iter();
    let cooldowns = std::mem::take(&mut saved.cooldowns).into_iter();
    pauses
        .chain(breakers.map(|(name, breaker)| Write::Breaker(name, Some(breaker))))
        .chain(cooldowns.map(|(agent, cooldown)| Write::Cooldown(agent, Some(cooldown))))
        .chain(std::mem::take(&mut saved.service).into_iter().map(Write::Service))
        .chain(recurring(saved, now))
        .chain(std::mem::take(&mut saved.spends).into_iter().map(Write::Spend))
        .collect()
}

/// Returns what recurs, batches, what channels keep, and samples that a person recorded. It is unknown for which of the last
/// times a job has fired, so it goes on from now: what is missing is missed, and nothing is done twice.
fn recurring(saved: &mut Salvaged, now: Timestamp) -> Vec<Write> {
    let jobs = std::mem::take(&mut saved.jobs).into_iter();
    let on_from_now = |record: JobRecord| JobRecord { through: record.through.max(now), ..record };
    let jobs = jobs.map(on_from_now).map(|record| Write::Job(record.spec.id.clone(), Some(Arc::new(record))));
    let batches = std::mem::take(&mut saved.batches).into_iter().map(|batch| Write::Batch(Arc::new(batch)));
    let recorded = std::mem::take(&mut saved.recorded).into_iter().map(|one| Write::Recorded(Box::new(one)));
    let firings = std::mem::take(&mut saved.firings).into_iter().map(Write::Firing);
    let kept = std::mem::take(&mut saved.kept).into_iter().map(|kept| Write::Kept(Box::new(kept)));
    let outbox =
        std::mem::take(&mut saved.outbox).into_iter().map(|row| Write::OutboxItem(row.id, Some(Box::new(row))));
    jobs.chain(firings).chain(batches).chain(recorded).chain(kept).chain(outbox).collect()
}

/// Everything that the new journal holds.
fn writes(mut saved: Salvaged, gathered: Gathered, now: Timestamp, report: &mut Damage) -> Vec<Write> {
    let mut writes = switched(&mut saved, now, report);
    let Salvaged { entries, mut messages, projects, last_seq, .. } = saved;
    let known: Vec<PathBuf> = projects.iter().map(|project| project.dir.clone()).collect();
    let mut found = gathered.projects();
    found.retain(|project: &Project| !known.contains(&project.dir));
    report.projects_found(&found);
    writes.extend(projects.into_iter().chain(found).map(Write::Project));
    let Gathered { file, tasks, messages: handed, mut troubles, .. } = gathered;
    let mut seq = last_seq;
    let mut notes = Vec::new();
    let mut note = |task: Option<TaskId>, fact: Fact| {
        seq += 1;
        notes.push(Write::Entry(Entry { seq, at: now, task_id: task, run_id: None, actor: Actor::Orch, fact }));
    };
    for (id, traces) in &tasks {
        let Rebuilt { task, runs, doubt } = decide(*id, traces, file, now);
        report.count(&task, &runs);
        if let Some(why) = doubt {
            note(Some(*id), TaskFact::JournalDoubt { question: why.clone() }.into());
            report.asked.push(Asked { task: *id, why });
        }
        writes.push(Write::Task(Arc::new(task)));
        writes.extend(runs.into_iter().map(|run| Write::Run(Box::new(run))));
    }
    for message in handed {
        if messages.iter().all(|known| known.id != message.id) {
            let (id, task) = (message.id, message.task);
            troubles.push(format!("message {id} to task {task}: whether it was heard"));
            messages.push(message.refused("whether the agent heard it was lost with the journal", now));
        }
    }
    writes.extend(messages.into_iter().map(Write::Message));
    report.entries = entries.len();
    writes.extend(entries.into_iter().map(Write::Entry));
    report.lost.append(&mut troubles);
    note(None, report.fact().into());
    writes.extend(notes);
    writes
}
