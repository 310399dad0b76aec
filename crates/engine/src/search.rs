//! Searches the output of all runs. The index says where a match can be; the output there is read and compared,
//! so the result is exact, whether or not there is an index. Reads only.

use jiff::Timestamp;
use orch_config::home::Home;
use orch_core::audit::timeline::time_at;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::economics::pattern::Pattern;
use orch_store::search::{Block, SearchIndex};
use orch_stream::{Hit, Kept, RunFiles, Span, Start, Text, find, kept};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{io, thread};

/// How many found lines of one run wait to be taken.
const QUEUE: usize = 256;

/// What to search for, and where.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The pattern to search for.
    pub pattern: Pattern,
    /// Only in the runs of this task.
    pub task: Option<TaskId>,
    /// Only in what was written since.
    pub since: Option<Timestamp>,
    /// How many lines around a match are wanted.
    pub context: usize,
}

/// A line that matches.
#[derive(Debug)]
pub struct Found {
    /// The task that the line belongs to.
    pub task: TaskId,
    /// The run that the line belongs to.
    pub run: RunId,
    /// When the line was written, where that is known.
    pub at: Option<Timestamp>,
    /// The line and its place.
    pub hit: Hit,
}

/// What could not be searched.
#[derive(Debug)]
pub struct Trouble {
    /// The name of what could not be searched.
    pub what: String,
    /// The error that prevented it.
    pub error: io::Error,
}

/// One run to be searched.
struct Search {
    files: RunFiles,
    /// Where a match can be; `None`: anywhere.
    places: Option<Vec<Block>>,
}

/// A word of one run's search.
enum News {
    Found(Box<Found>),
    Trouble(Trouble),
}

/// Looks through the output of all runs of a home, in their order, until `take` breaks off. Returns what could not be
/// read.
///
/// # Errors
/// The runs cannot be listed.
pub fn search<B>(
    home: &Home,
    wanted: &Wanted,
    take: &mut dyn FnMut(Found) -> ControlFlow<B>,
) -> io::Result<(ControlFlow<B>, Vec<Trouble>)> {
    let runs = kept(&home.runs()).map_err(io::Error::other)?;
    let mut troubles = Vec::new();
    let places = places(home, wanted, &mut troubles);
    let searches = searches(runs, wanted, places);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(searches.len());
    // Each run has a queue of its own, so that they are reported in order while several are read.
    let (senders, receivers): (Vec<_>, Vec<_>) = searches.iter().map(|_| sync_channel(QUEUE)).unzip();
    let senders: Vec<_> = senders.into_iter().map(|sender| std::sync::Mutex::new(Some(sender))).collect();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let flow = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(search) = searches.get(index).filter(|_| !stop.load(Ordering::Relaxed)) else { return };
                    let sender = senders[index].lock().ok().and_then(|mut sender| sender.take());
                    if let Some(sender) = sender {
                        search.run(wanted, &sender);
                    }
                }
            });
        }
        let flow = hand_over(receivers, take, &mut troubles);
        stop.store(true, Ordering::Relaxed);
        flow
    });
    Ok((flow, troubles))
}

/// Takes the news run by run. A queue that is dropped stops its search.
fn hand_over<B>(
    receivers: Vec<Receiver<News>>,
    take: &mut dyn FnMut(Found) -> ControlFlow<B>,
    troubles: &mut Vec<Trouble>,
) -> ControlFlow<B> {
    for receiver in receivers {
        for news in receiver {
            match news {
                News::Found(found) => take(*found)?,
                News::Trouble(trouble) => troubles.push(trouble),
            }
        }
    }
    ControlFlow::Continue(())
}

/// What the index knows: the runs in it, and where in them a match can be.
type Places = (BTreeMap<RunId, u64>, BTreeMap<RunId, Vec<Block>>);

/// `None`: the index does not help.
fn places(home: &Home, wanted: &Wanted, troubles: &mut Vec<Trouble>) -> Option<Places> {
    let read = || -> Result<Option<Places>, orch_store::search::IndexError> {
        let Some(index) = SearchIndex::open_existing(&home.search_index())? else { return Ok(None) };
        let Some(places) = index.places(wanted.pattern.need())? else { return Ok(None) };
        Ok(Some((index.runs()?, places)))
    };
    read().unwrap_or_else(|error| {
        let error = io::Error::other(error);
        troubles.push(Trouble { what: "everything was read instead of the index".to_owned(), error });
        None
    })
}

fn searches(mut runs: Vec<Kept>, wanted: &Wanted, places: Option<Places>) -> Vec<Search> {
    runs.retain(|run| run.text > 0 && wanted.task.is_none_or(|task| run.files.task == task));
    runs.sort_by_key(|run| (run.files.task, run.files.run.ordinal(), run.files.run.clone()));
    let of = |files: &RunFiles| {
        let (known, places) = places.as_ref()?;
        known.contains_key(&files.run).then(|| places.get(&files.run).cloned().unwrap_or_default())
    };
    let searches = runs.into_iter().map(|run| Search { places: of(&run.files), files: run.files });
    searches.filter(|search| search.places.as_ref().is_none_or(|places| !places.is_empty())).collect()
}

impl Search {
    fn run(&self, wanted: &Wanted, news: &SyncSender<News>) {
        if let Err(error) = self.search_journal(wanted, news) {
            let what = format!("the output of run {} cannot be read", self.files.run);
            // The receiver is gone: it has seen enough.
            news.send(News::Trouble(Trouble { what, error })).ok();
        }
    }

    fn search_journal(&self, wanted: &Wanted, news: &SyncSender<News>) -> io::Result<()> {
        let Some(text) = Text::open(&self.files)? else { return Ok(()) };
        let begin = match wanted.since {
            Some(since) => self.files.place(Start::Since(since))?,
            None => 0,
        };
        if begin > 0 && begin >= text.length()? {
            return Ok(());
        }
        let mut marks = None;
        let mut take = |hit: Hit| {
            if hit.line.offset < begin {
                return ControlFlow::Continue(());
            }
            let marks = marks.get_or_insert_with(|| self.files.marks().unwrap_or_default());
            let at = time_at(marks, hit.line.offset);
            let found = Found { task: self.files.task, run: self.files.run.clone(), at, hit };
            match news.send(News::Found(Box::new(found))) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        };
        let parts = match &self.places {
            Some(places) => joined(places),
            None => vec![Span::ALL],
        };
        for part in parts {
            if find(&text, part, &wanted.pattern, wanted.context, &mut take)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Blocks that follow each other as one part.
fn joined(blocks: &[Block]) -> Vec<Span> {
    let mut parts: Vec<Span> = Vec::new();
    for block in blocks {
        match parts.last_mut().filter(|part| part.end == block.begin) {
            Some(part) => part.end = block.end,
            None => parts.push(Span { begin: block.begin, end: block.end, lines: block.lines }),
        }
    }
    parts
}
