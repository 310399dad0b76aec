//! What happens in a simulation, as a value: what a person does, what befalls the machine, and which faults there are.
//! Made from a seed; made smaller by leaving things out.

use super::batches;
use super::dice::Dice;
use super::file::Shape;
use super::jobs::Jobs;
use super::outside::PROJECT;
use crate::tasks::claims::Claiming;
use crate::tasks::commands::Request;
use crate::tasks_file::missing_tasks::Verdict;
use orch_core::operations::pause::PauseSelector;
use orch_core::operations::service::ShutdownMode;
use orch_core::tasks::outcome::FailureClass;
use std::collections::BTreeSet;
use std::fmt;

/// Milliseconds of simulated time since its beginning.
pub type Millis = u64;

pub const SECOND: Millis = 1000;
pub const MINUTE: Millis = 60 * SECOND;
pub const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;

/// The agents that are installed.
pub const AGENTS: [&str; 3] = ["claude", "codex", "opencode"];

/// A kind of fault that may strike anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Agents fail, hang and die.
    AgentFails,
    /// Runs cannot be started.
    LaunchFails,
    /// The routing question is answered badly.
    RouterFails,
    /// Work is not what was asked for.
    BadWork,
    /// Branches do not merge.
    MergeFails,
    /// Reports come twice, also long after.
    DoubleReports,
    /// Jobs take long.
    SlowJobs,
    /// A runner's wake-up call is lost.
    LostWakes,
    /// A stop is not heard.
    DeafAgents,
    /// A job breaks before it reports.
    JobsBreak,
    /// Agents hand work on: also too much of it, and what is no work.
    HandsOn,
}

impl Fault {
    pub const ALL: [Self; 11] = [
        Self::AgentFails,
        Self::LaunchFails,
        Self::RouterFails,
        Self::BadWork,
        Self::MergeFails,
        Self::DoubleReports,
        Self::SlowJobs,
        Self::LostWakes,
        Self::DeafAgents,
        Self::JobsBreak,
        Self::HandsOn,
    ];
}

/// When a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// While it waits.
    Waiting,
    /// A turn is decided, and not stored.
    BeforeCommit,
    /// A turn is stored, and nothing of it is done.
    AfterCommit,
}

/// Something that happens. Tasks are named by their number in the scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A person adds a task.
    Add { wish: usize, priority: i64, after: Vec<usize>, agent: Option<&'static str>, no_project: bool },
    /// A person asks something of a task.
    Ask(usize, Request),
    /// A person decides about the work of a task.
    Rule(usize, Word),
    /// A person says something to its agent.
    Send(usize),
    /// Somebody claims a task, or lets go of it.
    Claim(usize, Claiming),
    /// A person makes a batch of tasks; a budget in millionths of a dollar.
    Batch { batch: usize, of: Vec<usize>, concurrency: u32, budget: Option<i64> },
    /// A person changes it.
    SetBatch { batch: usize, concurrency: u32, budget: Option<i64> },
    /// A person gives it up.
    CancelBatch(usize),
    /// `orch task unblock all`.
    UnblockAll,
    /// A person calls `orch status`.
    Look,
    /// The daemon dies, and is there again so much later.
    Crash(Moment, Millis),
    /// The wall clock jumps by so many seconds.
    ClockJump(i64),
    /// The machine sleeps for so long, and the world goes on. Agents that were in the middle of a call may fail.
    Suspend(Millis),
    /// Every effect takes a hundred times as long, for so long.
    Slow(Millis),
    /// `engine.max_parallel` is changed.
    MaxParallel(u32),
    /// The repository is not there for so long.
    DirGone(Millis),
    /// A provider fails for so long; whether it says until when.
    Outage { agent: &'static str, class: FailureClass, lasts: Millis, names_reset: bool },
    /// Nothing can be stored for so long.
    DiskFull(Millis),
    /// A person edits the entry of a task in `tasks.yml`.
    Edit(usize, Change),
    /// A person writes a new entry into `tasks.yml`.
    Write(usize),
    /// `tasks.yml` is opened in an editor, and saved unchanged so much later.
    OldCopy(Millis),
    /// Two thirds of `tasks.yml` are lost. Somebody notices after a while and decides, or puts back what was lost.
    Lose(Millis, Option<Verdict>),
    /// A person pauses something, or lets it go on.
    Switch(PauseSelector, bool),
    /// The daemon is asked to leave, and is there again so much after it has left.
    Leave(ShutdownMode, Millis),
    /// The next write of `tasks.yml` breaks in an unforeseen way.
    WriteBreaks,
    /// `tasks.yml` is no YAML for so long, or (an editor at work) empty.
    BadFile(Millis, Shape),
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Approve,
    Reject,
    Merge,
    Revert,
}

/// An edit of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Priority(i64),
    Status(&'static str),
    /// It depends on these: also on itself, or in a cycle.
    After(Vec<usize>),
    Delete,
}

/// When what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub at: Millis,
    pub act: Act,
}

/// What a seed is made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worlds {
    /// Everything at once.
    All,
    /// Clocks that jump and machines that sleep, and little else: what goes wrong here has no other cause.
    Clocks,
    /// A year or two of an orch that has little to do: what comes with months, seasons and long rests.
    Years,
}

impl Worlds {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::All, Self::Clocks, Self::Years];

    /// The word for it: `make simulate WORLDS=…`.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Clocks => "clocks",
            Self::Years => "years",
        }
    }
}

/// A simulation that has not started.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub seed: u64,
    pub worlds: Worlds,
    /// `engine.max_parallel` at the beginning.
    pub max_parallel: u32,
    pub faults: BTreeSet<Fault>,
    /// There is a `tasks.yml` that orch reads and writes.
    pub with_file: bool,
    /// The kinds of jobs that recur.
    pub jobs: Vec<usize>,
    /// The steps in the order of time.
    pub steps: Vec<Step>,
    /// How long the faults last. What is left then is settled in peace.
    pub lasts: Millis,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.with_file { "a tasks.yml" } else { "no tasks.yml" };
        let (parallel, hours) = (self.max_parallel, self.lasts / HOUR);
        writeln!(f, "  {parallel} at a time, {file}, jobs {:?}, {hours} hours, faults {:?}", self.jobs, self.faults)?;
        self.steps.iter().try_for_each(|Step { at, act }| {
            let (day, hour, minute) = (at / DAY, at % DAY / HOUR, at % HOUR / MINUTE);
            writeln!(f, "  day {day} {hour:02}:{minute:02}  {act:?}")
        })
    }
}

impl Scenario {
    /// The scenario of a seed in these worlds.
    pub fn of_worlds(worlds: Worlds, seed: u64) -> Self {
        match worlds {
            Worlds::All => Self::from_seed(seed),
            Worlds::Clocks => Self::of_clocks(seed),
            Worlds::Years => Self::of_years(seed),
        }
    }

    /// A task now and then, and every few weeks something that goes wrong.
    fn of_years(seed: u64) -> Self {
        let mut dice = Dice::fate(seed, &[7]);
        let lasts = dice.between(200, 800) * DAY;
        let wishes = usize::try_from(dice.between(5, 30)).expect("few");
        let mut steps = adds(&mut dice, wishes, lasts - 30 * DAY);
        let with_file = dice.chance(50);
        let count = dice.below(20);
        strew(&mut steps, &mut dice, (count, lasts), |dice| by_a_person(dice, wishes));
        let count = dice.below(30);
        strew(&mut steps, &mut dice, (count, lasts), misfortune);
        let count = if with_file { dice.below(10) } else { 0 };
        strew(&mut steps, &mut dice, (count, lasts), |dice| in_the_file(dice, wishes));
        let count = dice.below(6);
        strew(&mut steps, &mut dice, (count, lasts), switch);
        steps.extend(batches::steps(seed, wishes, lasts));
        steps.sort_by_key(|step| step.at);
        let faults = Fault::ALL.into_iter().filter(|_| dice.chance(30)).collect();
        let max_parallel = u32::try_from(dice.between(1, 4)).expect("small");
        Self { seed, worlds: Worlds::Years, max_parallel, faults, with_file, jobs: Jobs::for_seed(seed), steps, lasts }
    }

    /// Work that goes well, providers that limit the rate, daemons that die, and clocks.
    fn of_clocks(seed: u64) -> Self {
        let mut dice = Dice::fate(seed, &[4]);
        let lasts = dice.between(2, 14) * DAY;
        let wishes = usize::try_from(dice.between(2, 8)).expect("few");
        let mut steps = adds(&mut dice, wishes, lasts * 2 / 3);
        let count = dice.between(4, 24);
        strew(&mut steps, &mut dice, (count, lasts), clocks);
        for _ in 0..dice.below(5) {
            let act = crash(&mut dice);
            steps.push(Step { at: dice.below(lasts), act });
        }
        for _ in 0..dice.below(5) {
            // All agents are limited, while a task is added, and while they wait the clock jumps.
            let at = steps[usize::try_from(dice.below(wishes as u64)).expect("small")].at;
            let has_reset = dice.chance(50);
            for agent in AGENTS {
                let act = Act::Outage { agent, class: FailureClass::RateLimited, lasts: HOUR, names_reset: has_reset };
                steps.push(Step { at: at.saturating_sub(MINUTE), act });
            }
            steps.push(Step { at: at + dice.between(MINUTE, 40 * MINUTE), act: clocks(&mut dice) });
        }
        steps.sort_by_key(|step| step.at);
        let faults = [Fault::MergeFails, Fault::LostWakes].into_iter().filter(|_| dice.chance(50)).collect();
        let max_parallel = u32::try_from(dice.between(1, 4)).expect("small");
        Self {
            seed,
            worlds: Worlds::Clocks,
            max_parallel,
            faults,
            with_file: dice.chance(50),
            jobs: Jobs::for_seed(seed),
            steps,
            lasts,
        }
    }

    /// The scenario of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::fate(seed, &[1]);
        let lasts = dice.between(2, 28) * DAY;
        let faults = Fault::ALL.into_iter().filter(|_| dice.chance(70)).collect();
        let wishes = usize::try_from(dice.between(1, 14)).expect("few");
        let mut steps = adds(&mut dice, wishes, lasts * 2 / 3);
        let count = dice.below(40);
        strew(&mut steps, &mut dice, (count, lasts), |dice| by_a_person(dice, wishes));
        let count = dice.below(24);
        strew(&mut steps, &mut dice, (count, lasts), misfortune);
        let with_file = dice.chance(50);
        let count = if with_file { dice.below(25) } else { 0 };
        strew(&mut steps, &mut dice, (count, lasts), |dice| in_the_file(dice, wishes));
        if with_file && dice.chance(40) {
            // Opened while a task is new.
            let added = steps[usize::try_from(dice.below(wishes as u64)).expect("small")].at;
            steps.push(Step { at: added + SECOND, act: Act::OldCopy(dice.between(HOUR, DAY)) });
        }
        let count = dice.below(9);
        strew(&mut steps, &mut dice, (count, lasts), switch);
        // Dice of their own: the other steps of a seed stay what they were.
        let mut words = Dice::fate(seed, &[5]);
        for _ in 0..words.below(24) {
            let wish = usize::try_from(words.below(wishes as u64)).expect("small");
            let word = words.pick(&[Word::Approve, Word::Approve, Word::Reject, Word::Merge, Word::Revert]);
            steps.push(Step { at: words.below(lasts), act: Act::Rule(wish, word) });
        }
        steps.extend(batches::steps(seed, wishes, lasts));
        steps.sort_by_key(|step| step.at);
        let max_parallel = u32::try_from(dice.between(1, 4)).expect("small");
        Self { seed, worlds: Worlds::All, max_parallel, faults, with_file, jobs: Jobs::for_seed(seed), steps, lasts }
    }
}

/// Adds so many acts, each at a random moment before the end.
fn strew(steps: &mut Vec<Step>, dice: &mut Dice, (count, lasts): (u64, Millis), act: impl Fn(&mut Dice) -> Act) {
    for _ in 0..count {
        let at = dice.below(lasts);
        steps.push(Step { at, act: act(dice) });
    }
}

/// The tasks that people add before then, in the order of time: who waits for whom is said by tasks that are there by then.
fn adds(dice: &mut Dice, wishes: usize, before: Millis) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..wishes).map(|wish| Step { at: dice.below(before), act: add(dice, wish) }).collect();
    steps.sort_by_key(|step| step.at);
    steps
}

fn add(dice: &mut Dice, wish: usize) -> Act {
    let others = if wish == 0 { 0 } else { dice.below(3) };
    let after = (0..others).map(|_| dice.below(wish as u64)).map(|at| usize::try_from(at).expect("small")).collect();
    Act::Add {
        wish,
        priority: dice.pick(&[0, 0, 0, 5, -3]),
        after,
        agent: dice.chance(30).then(|| dice.pick(&AGENTS)),
        no_project: dice.chance(3),
    }
}

fn by_a_person(dice: &mut Dice, wishes: usize) -> Act {
    let wish = usize::try_from(dice.below(wishes as u64)).expect("small");
    match dice.below(100) {
        0..10 => Act::Ask(wish, Request::Run { past_pause: dice.chance(30), anew: dice.chance(10) }),
        10..25 => Act::Ask(wish, Request::Retry),
        25..35 => Act::Ask(wish, Request::Interrupt),
        35..48 => Act::Ask(wish, Request::Cancel),
        48..65 => Act::Ask(wish, Request::Unblock),
        65..82 => Act::Send(wish),
        82..90 => Act::UnblockAll,
        90..93 => Act::MaxParallel(u32::try_from(dice.between(1, 5)).expect("small")),
        93..98 => {
            let by = Some(dice.pick(&["ada", "bob"]).to_owned());
            Act::Claim(wish, Claiming { by, lets_go: dice.chance(40), force: dice.chance(30) })
        }
        _ => Act::Look,
    }
}

fn in_the_file(dice: &mut Dice, wishes: usize) -> Act {
    let mut wish = || usize::try_from(dice.below(wishes as u64)).expect("small");
    let (one, other) = (wish(), wish());
    match dice.below(100) {
        0..20 => Act::Edit(one, Change::Priority(dice.pick(&[-9, 3, 9]))),
        20..50 => Act::Edit(one, Change::Status(dice.pick(&["cancelled", "new", "done", "in_progress"]))),
        50..65 => Act::Edit(one, Change::After(vec![other])),
        65..74 => Act::Edit(one, Change::Delete),
        74..80 => Act::OldCopy(dice.pick(&[SECOND, MINUTE, 2 * HOUR, DAY])),
        80..84 => {
            let verdict = dice.pick(&[None, None, Some(Verdict::Restore), Some(Verdict::Cancel), Some(Verdict::List)]);
            Act::Lose(dice.pick(&[SECOND, MINUTE, 9 * HOUR]), verdict)
        }
        84..90 => Act::Write(1000 + one),
        90..93 => Act::WriteBreaks,
        _ => Act::BadFile(dice.pick(&[50, SECOND, HOUR]), dice.pick(&[Shape::Broken, Shape::Empty])),
    }
}

fn switch(dice: &mut Dice) -> Act {
    if dice.chance(60) {
        let how = dice.pick(&[ShutdownMode::Stop, ShutdownMode::Drain, ShutdownMode::Now, ShutdownMode::Respawn]);
        return Act::Leave(how, dice.pick(&[SECOND, MINUTE, 5 * HOUR]));
    }
    let wanted = match dice.below(3) {
        0 => PauseSelector::All,
        1 => PauseSelector::Agent(dice.pick(&AGENTS).to_owned()),
        _ => PauseSelector::Project(PROJECT.to_owned()),
    };
    Act::Switch(wanted, dice.chance(50))
}

fn misfortune(dice: &mut Dice) -> Act {
    const CLASSES: [FailureClass; 5] = [
        FailureClass::RateLimited,
        FailureClass::Overloaded,
        FailureClass::Network,
        FailureClass::Auth,
        FailureClass::Budget,
    ];
    match dice.below(100) {
        0..40 => crash(dice),
        40..55 => clocks(dice),
        55..70 => Act::Outage {
            agent: dice.pick(&AGENTS),
            class: dice.pick(&CLASSES),
            lasts: dice.between(MINUTE, 9 * HOUR),
            names_reset: dice.chance(50),
        },
        70..76 => rate_limit(dice),
        76..84 => Act::DirGone(dice.between(MINUTE, DAY)),
        84..92 => Act::Slow(dice.pick(&[MINUTE, HOUR, 6 * HOUR])),
        _ => Act::DiskFull(dice.between(SECOND, HOUR)),
    }
}

fn crash(dice: &mut Dice) -> Act {
    let moment = dice.pick(&[Moment::Waiting, Moment::BeforeCommit, Moment::AfterCommit]);
    Act::Crash(moment, dice.pick(&[SECOND, SECOND, MINUTE, 3 * HOUR, 2 * DAY]))
}

/// The provider answers 429 for an hour.
fn rate_limit(dice: &mut Dice) -> Act {
    Act::Outage {
        agent: dice.pick(&AGENTS),
        class: FailureClass::RateLimited,
        lasts: HOUR,
        names_reset: dice.chance(50),
    }
}

/// An hour is also what a clock jumps by where somebody keeps it in local time.
fn clocks(dice: &mut Dice) -> Act {
    const HOUR_S: i64 = 3600;
    const DAY_S: i64 = 24 * HOUR_S;
    if dice.chance(35) {
        return Act::Suspend(dice.pick(&[MINUTE, HOUR, HOUR, 8 * HOUR]));
    }
    let by = [90, HOUR_S, HOUR_S, DAY_S, 40 * DAY_S, 365 * DAY_S];
    let by = dice.pick(&by);
    Act::ClockJump(if dice.chance(50) { by } else { -by })
}
