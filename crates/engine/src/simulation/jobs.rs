//! `jobs.yml` in the simulation, and the rules of what recurs: each time of a job makes at most one task, and where every
//! time is to be made up for, exactly one, whatever dies and whatever the clock does.

use super::dice::Dice;
use super::outside::DIR;
use super::rules::{Broken, must};
use super::stored::Tables;
use crate::engine::Engine;
use crate::files::file_job::{FileNews, Known};
use crate::files::jobs_file::JobsNews;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use orch_core::base::ids::TaskId;
use orch_core::operations::job::due::MOST;
use orch_core::operations::job::{CatchUp, CommandEnd, CommandState, Firing, FiringKey, JobRecord, Made, Overlap};
use orch_core::operations::schedule::Schedule;
use orch_core::planning::plan::Scope;
use orch_store::jobs_file::JobsDoc;
use orch_store::journal::Write;
use orch_sys::fs::Fingerprint;
use std::collections::{BTreeMap, BTreeSet};

/// What may recur.
const KINDS: [&str; 6] = [
    "{id: every, schedule: '0 9 */3 * *', title: 'every {{datetime}}', catch_up: all, overlap: allow",
    "{id: queued, schedule: '30 20 */4 * *', title: 'queued {{datetime}}', catch_up: all, overlap: queue",
    "{id: usual, schedule: '15 4 * * 1,4', title: 'usual {{date}}'",
    "{id: lazy, schedule: '@weekly', title: 'lazy {{date}}', catch_up: skip, overlap: allow",
    "{id: late, schedule: '45 2 */5 * *', title: 'late {{date}}', jitter: 2h, tz: Europe/Berlin",
    "{id: program, schedule: '20 6 */2 * *', run: 'make backup', catch_up: all, overlap: queue",
];

/// The file, and what the commands of its jobs did.
#[derive(Debug, Default)]
pub struct Jobs {
    kinds: Vec<usize>,
    version: u64,
    is_off: bool,
    begun: BTreeSet<FiringKey>,
}

impl Jobs {
    /// What recurs in the scenario of a seed: often nothing.
    pub fn for_seed(seed: u64) -> Vec<usize> {
        let mut dice = Dice::fate(seed, &[5]);
        if dice.chance(60) {
            return Vec::new();
        }
        (0..KINDS.len()).filter(|_| dice.chance(40)).collect()
    }

    pub fn new(kinds: &[usize]) -> Self {
        Self { kinds: kinds.to_vec(), ..Self::default() }
    }

    /// A person switches all of them off.
    pub fn switch_off(&mut self) {
        self.is_off = true;
        self.version += 1;
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        (!self.kinds.is_empty()).then(|| Fingerprint::numbered(self.version, Timestamp::UNIX_EPOCH))
    }

    /// Whether a look would find something new.
    pub fn is_news_to(&self, known: &Known) -> bool {
        !self.kinds.is_empty() && known.jobs != Some(self.fingerprint())
    }

    /// What a look finds, beside the rest.
    pub fn read(&self, known: &Known, news: FileNews) -> FileNews {
        if !self.is_news_to(known) {
            let known = Known { jobs: known.jobs, ..news.known };
            return FileNews { known, ..news };
        }
        let end = if self.is_off { ", enabled: false}" } else { "}" };
        let items: String = self.kinds.iter().map(|kind| format!("- {}, dir: {DIR}{end}\n", KINDS[*kind])).collect();
        let doc = JobsDoc::parse(&items, &|_| Ok(())).expect("it reads");
        assert!(doc.problems.is_empty(), "{:?}", doc.problems);
        let known = Known { jobs: Some(self.fingerprint()), ..news.known };
        FileNews { known, jobs: Some(JobsNews::Read(Box::new(doc))), ..news }
    }

    /// The command of a job is to be run.
    pub fn run(&mut self, firing: &Firing) -> CommandEnd {
        let state = if self.begun.insert(firing.key()) { CommandState::Passed } else { CommandState::Lost };
        CommandEnd { state, exit_code: Some(0), duration_ms: 1, tail: String::new() }
    }
}

/// A turn that is about to be stored, beside what is stored.
pub fn check_turn(stored: &Tables, writes: &[Write]) -> Result<(), Broken> {
    let mut new: BTreeMap<FiringKey, &Firing> = BTreeMap::new();
    let mut made: BTreeSet<TaskId> = BTreeSet::new();
    let mut records: Vec<&JobRecord> = Vec::new();
    for write in writes {
        if let Write::Task(task) = write
            && !stored.tasks.contains_key(&task.id)
        {
            made.insert(task.id);
        } else if let Write::Firing(firing) = write {
            new.insert(firing.key(), firing);
        } else if let Write::Job(_, record) = write {
            records.extend(record.as_deref());
        }
    }
    for (key, firing) in &new {
        match (stored.firings.get(key), &firing.made) {
            (None, Made::Task { task }) => {
                must(made.contains(task), || format!("{key} made task {task}, which is not"))?
            }
            (None, Made::Command { end, .. }) => must(end.is_none(), || format!("{key} ended before it was stored"))?,
            (None, Made::Nothing { .. }) => {}
            (Some(before), _) => must(before.is_open(), || format!("{key} fires twice"))?,
        }
    }
    records.into_iter().try_for_each(|record| all_accounted(stored, &new, record))
}

/// Where every time is to be made up for, each that is now dealt with has fired, or waits.
fn all_accounted(stored: &Tables, new: &BTreeMap<FiringKey, &Firing>, record: &JobRecord) -> Result<(), Broken> {
    let Some(before) = stored.jobs.get(&record.spec.id).filter(|before| before.spec == record.spec) else {
        return Ok(());
    };
    let id = &record.spec.id;
    let fired = |due: Timestamp| {
        let key = FiringKey { job: id.clone(), due };
        new.contains_key(&key) || stored.firings.contains_key(&key)
    };
    let gone = before.waiting.iter().find(|due| !record.waiting.contains(due) && !fired(**due));
    must(gone.is_none(), || format!("{id}: {gone:?} waited and is forgotten"))?;
    if record.spec.catch_up != CatchUp::All || record.spec.overlap() == Overlap::Skip {
        return Ok(());
    }
    let schedule = Schedule::parse(&record.spec.schedule).expect("it was read");
    let mut due = record.through;
    for _ in 0..MOST {
        if due <= before.through {
            break;
        }
        let is_there = fired(due) || record.waiting.contains(&due);
        must(is_there, || format!("{id}: {due} is dealt with and made nothing"))?;
        let earlier = due.checked_sub(SignedDuration::from_secs(1)).expect("a time");
        let Some(next) = schedule.last(earlier, &TimeZone::UTC) else { break };
        due = next;
    }
    Ok(())
}

/// The state as a turn left it: no time that has come waits for anything but what it may wait for.
pub fn check_engine(engine: &Engine, now: Timestamp) -> Result<(), Broken> {
    if engine.lifetime.mode().scope() != Scope::All || engine.lifetime.leaving().is_some() || !engine.file.is_read() {
        return Ok(());
    }
    let next = engine.timetable.next();
    must(next.is_none_or(|at| at > now), || format!("a job was due at {next:?} and did not fire"))
}

/// Nothing happens any more by itself.
pub fn check_rest(stored: &Tables) -> Result<(), Broken> {
    let open = stored.firings.values().find(|firing| firing.is_open());
    must(open.is_none(), || format!("a command is under way at the end of all time: {open:?}"))?;
    let mut makers: BTreeMap<TaskId, FiringKey> = BTreeMap::new();
    for firing in stored.firings.values() {
        if let Made::Task { task } = firing.made {
            must(stored.tasks.contains_key(&task), || format!("{} made a task that is forgotten", firing.key()))?;
            let other = makers.insert(task, firing.key());
            must(other.is_none(), || format!("task {task} was made by {} and {other:?}", firing.key()))?;
        }
    }
    Ok(())
}
