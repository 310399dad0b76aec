//! What the engine does for runs that are over: packs and drops their output as `retention` says, and puts it into the
//! search index. Every check begins from what is on the disk, so a check that was killed is simply done again.

pub(crate) mod gc;
pub(crate) mod sidecar;

use crate::deps::Deps;
use jiff::Timestamp;
use orch_config::resolved::Retention;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::operations::retention::{Goes, Stock, Watch, excess, expired};
use orch_store::journal::{Compacted, Compaction};
use orch_store::search::{Block, IndexError, SearchIndex};
use orch_stream::{Kept, Pieces, RunFiles, Text, count, drop_raw, drop_text, kept, pack};
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
/// Bytes of text in one block of the index.
pub const BLOCK: usize = 64 << 10;

/// Checks everything that is kept, unless that was done a short while ago and is not forced. Blocking.
pub fn retain(deps: &Deps, limits: &Retention, open: &BTreeSet<TaskId>, is_due: bool, is_idle: bool) {
    let now = deps.clock.now();
    let stamp = deps.home.retention_stamp();
    let watch = Watch::new(last_pass(&stamp), now);
    if !watch.is_long_enough() && !is_due {
        return;
    }
    if watch.is_long_enough() {
        point!("retention.stamp.before");
        if let Err(error) = fs::write_private(&stamp, now.to_string().as_bytes(), Durability::Cached) {
            tracing::warn!(%error, "when finished runs were looked at cannot be written down");
        }
        point!("retention.stamp.after");
    }
    let scanned = scan(&deps.home.runs(), limits, open, watch.is_steady().then_some(now));
    scanned.unwrap_or_else(|error| tracing::warn!(%error, "finished runs cannot be looked through"));
    let age = limits.events().filter(|_| watch.is_steady());
    compact(deps, age.and_then(|age| now.checked_sub(age).ok()), is_idle);
}

/// Lets go of history that is older than `before`, and of room in the journal when nothing runs.
fn compact(deps: &Deps, before: Option<Timestamp>, is_idle: bool) {
    match deps.journal.compact(Compaction { before, is_idle }) {
        Ok(Compacted { entries: 0, bytes: 0, .. }) => {}
        Ok(Compacted { entries, bytes, .. }) => tracing::info!(entries, bytes, "the journal is smaller now"),
        Err(error) => tracing::warn!(%error, "the journal could not be made smaller"),
    }
}

pub(crate) fn last_pass(stamp: &Path) -> Option<Timestamp> {
    fs::read_text(stamp, 100).ok()?.trim().parse().ok()
}

/// `now`: things may be dropped by their age.
fn scan(runs: &Path, limits: &Retention, open: &BTreeSet<TaskId>, now: Option<Timestamp>) -> Result<(), fs::FsError> {
    let limits = limits.limits();
    let is_free = |run: &Kept| !open.contains(&run.files.task);
    let stock = |run: &Kept| Stock {
        run: run.files.run.clone(),
        free_since: run.ended.filter(|_| is_free(run)),
        raw: run.raw,
        text: run.text,
    };
    let found = kept(runs)?;
    if let Some(now) = now {
        carry_out(&found, &expired(&found.iter().map(stock).collect::<Vec<_>>(), &limits, now));
    }
    for run in kept(runs)?.iter().filter(|run| run.is_plain && run.ended.is_some() && is_free(run)) {
        if let Err(error) = pack(&run.files) {
            tracing::warn!(run = %run.files.run, %error, "a transcript stays unpacked");
        }
    }
    let found = kept(runs)?;
    carry_out(&found, &excess(&found.iter().map(stock).collect::<Vec<_>>(), &limits));
    Ok(())
}

fn carry_out(found: &[Kept], goes: &[Goes]) {
    let files: BTreeMap<&RunId, &RunFiles> = found.iter().map(|run| (&run.files.run, &run.files)).collect();
    for one in goes {
        let (Goes::Raw(run) | Goes::Text(run)) = one;
        let Some(files) = files.get(run) else { continue };
        point!("drop.before");
        let (what, gone) = match one {
            Goes::Raw(_) => ("raw output", drop_raw(files)),
            Goes::Text(_) => ("transcript", drop_text(files)),
        };
        point!("drop.after");
        match gone {
            Ok(()) => tracing::info!(%run, what, "dropped"),
            Err(error) => tracing::warn!(%run, what, %error, "not dropped"),
        }
    }
}

/// Puts runs into the index: these, or (`None`) all that are over and not in it; what is gone is taken out. A damaged
/// index is made anew. Blocking.
pub fn index(deps: &Deps, runs: Option<&[RunId]>) {
    let path = deps.home.search_index();
    let done = match fill(deps, SearchIndex::open(&path), runs) {
        Err(error) if error.is_damage() => {
            tracing::warn!(%error, "the search index is damaged and made anew");
            fill(deps, SearchIndex::anew(&path), None)
        }
        done => done,
    };
    // Without an index everything is read: slower, and as good.
    done.unwrap_or_else(|error| tracing::warn!(%error, "the search index is behind"));
}

fn fill(deps: &Deps, index: Result<SearchIndex, IndexError>, runs: Option<&[RunId]>) -> Result<(), IndexError> {
    let mut index = index?;
    let known = index.runs()?;
    let due: Vec<RunFiles> = match runs {
        Some(runs) => runs.iter().filter_map(|run| RunFiles::at(deps.home.run(run))).collect(),
        None => {
            let found = kept(&deps.home.runs()).unwrap_or_default();
            let there: BTreeSet<&RunId> = found.iter().filter(|run| run.text > 0).map(|run| &run.files.run).collect();
            known.keys().filter(|run| !there.contains(run)).try_for_each(|run| index.forget(run))?;
            let is_due = |run: &Kept| run.ended.is_some() && run.text > 0 && !known.contains_key(&run.files.run);
            found.into_iter().filter(is_due).map(|run| run.files).collect()
        }
    };
    for files in due {
        point!("index.before");
        let indexed = put(&mut index, &files);
        point!("index.after");
        match indexed {
            // One that cannot be read is not searched; that does not concern the others.
            Err(error @ IndexError::Text { .. }) => tracing::warn!(run = %files.run, %error, "a run is not indexed"),
            done => done?,
        }
    }
    index.settle()
}

fn put(index: &mut SearchIndex, files: &RunFiles) -> Result<(), IndexError> {
    let opened = Text::open(files);
    let text = match &opened {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(()),
        Err(error) => return index.put(&files.run, &mut |_| Err(io::Error::other(error.to_string()))),
    };
    let mut pieces = Pieces::new(text, 0, u64::MAX, BLOCK);
    let mut lines = 0;
    index.put(&files.run, &mut |into| {
        let Some(piece) = pieces.read()? else { return Ok(None) };
        into.push_str(&String::from_utf8_lossy(piece.bytes));
        let block = Block { begin: piece.offset, end: piece.offset + piece.bytes.len() as u64, lines };
        lines += count(piece.bytes);
        Ok(Some(block))
    })
}
