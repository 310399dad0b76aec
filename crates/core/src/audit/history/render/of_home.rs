//! Sentences of money, batches, jobs, files, the daemon, repositories and worktrees.

use crate::audit::history::{
    BatchFact, BreakerClosed, CommandRun, Due, FileFact, FileProblem, Fired, GcFact, Hindrance, JobFact, JobFailure,
    ProjectFact, ServiceFact, Spending,
};
use crate::base::money::Usd;
use crate::base::time::to_the_second;
use crate::planning::batch;
use std::time::Duration;

/// How many tasks of a batch are named.
const NAMED: usize = 20;

pub(super) fn spending(fact: &Spending) -> String {
    match fact {
        Spending::Short { of, why, raise } => {
            format!("{}: {why}; cheaper models are taken{}", of.describe(), raised(raise.as_deref()))
        }
        Spending::Exhausted { of, why, raise } => {
            format!("{}: {why}; nothing more begins of it{}", of.describe(), raised(raise.as_deref()))
        }
        Spending::Recorded { account, cost, note } => {
            let cost = cost.map_or_else(|| "an unknown amount".to_owned(), |cost| cost.to_string());
            let note = note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            format!("{account}, {cost}{note}")
        }
        Spending::SampleRecorded { by, accepted, task_type, agent, model } => {
            let outcome = if *accepted { "success" } else { "failure" };
            format!("{by} records a {outcome}: {task_type} by {agent} {model}")
        }
    }
}

fn raised(command: Option<&str>) -> String {
    command.map(to_raise).unwrap_or_default()
}

/// Returns the end of a sentence that names the command by which more money may be spent.
pub fn to_raise(command: &str) -> String {
    format!("; to let more begin: {command}")
}

pub(super) fn batch(fact: &BatchFact) -> String {
    match fact {
        BatchFact::Created { name, tasks, concurrency, budget } => {
            let listed: Vec<String> = tasks.iter().take(NAMED).map(ToString::to_string).collect();
            let more = if tasks.len() > NAMED { ", …" } else { "" };
            format!("{name}: tasks {}{more}; {}", listed.join(", "), limits(*concurrency, *budget))
        }
        BatchFact::Changed { name, concurrency, budget } => format!("{name}: {}", limits(*concurrency, *budget)),
        BatchFact::Cancelled { name, by, given_up, tasks } => {
            format!("{name}: cancelled by {by}; {given_up} of {tasks} tasks are given up")
        }
        BatchFact::Spent { name, spent, budget, raise } => {
            let (money, raise) = (batch::money(*spent, *budget), raised(raise.as_deref()));
            format!("{name}: {money} are spent, so nothing more of it begins{raise}")
        }
        BatchFact::Ended(end) => batch::table(end),
    }
}

fn limits(concurrency: u32, budget: Option<Usd>) -> String {
    let budget = budget.map_or_else(|| "no budget".to_owned(), |budget| format!("at most {budget}"));
    format!("{concurrency} at a time, {budget}")
}

pub(super) fn job(fact: &JobFact) -> String {
    match fact {
        JobFact::Added { job, schedule, enabled } | JobFact::Changed { job, schedule, enabled } => {
            let off = if *enabled { "" } else { ", switched off" };
            format!("{job}: {schedule}{off}")
        }
        JobFact::Removed { job } => format!("{job} is gone from jobs.yml"),
        JobFact::Fired { job, due, cause, makes: Fired::Command } => {
            format!("{job}: its command runs for {} ({})", due.local, cause.as_str())
        }
        JobFact::Fired { job, due, cause, makes: Fired::Task } => {
            format!("made by job {job} for {} ({})", due.local, cause.as_str())
        }
        JobFact::Queued { job, due } => format!("{job}: {} waits for the firing before", due.local),
        JobFact::Skipped { job, due, why } => format!("{job}: {} is left out: {why}", due.local),
        JobFact::Missed { job, first, last, count, more, catch_up } => {
            let times = missed(first, last, *count, *more);
            format!("{job}: {times} not made up for (catch_up: {})", catch_up.as_str())
        }
        JobFact::Ran(run) => command(run),
        JobFact::Failed(JobFailure::Command(run)) => {
            let last = run.last_line.as_ref().map(|line| format!(": {line}")).unwrap_or_default();
            format!("{}{last}", command(run))
        }
        JobFact::Failed(JobFailure::Task { job, due, why }) => format!("{job}: no task for {}: {why}", due.local),
    }
}

fn missed(first: &Due, last: &Due, count: usize, more: bool) -> String {
    let (first, last) = (&first.local, &last.local);
    match (count, more) {
        (0, _) => format!("more than a hundred times passed; those before {first} are"),
        (1, false) => format!("{first} passed while orch was away or its clock was wrong, and is"),
        (_, false) => format!("{count} times from {first} to {last} passed, and are"),
        (_, true) => format!("all times up to {last} passed, {count} and more, and are"),
    }
}

fn command(run: &CommandRun) -> String {
    let CommandRun { job, state, exit_code, duration_ms, last_line: _ } = run;
    let code = exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let took = Duration::from_millis(*duration_ms).as_secs_f64();
    format!("{job}: its command {}{code}, {took:.1} s", state.describe())
}

pub(super) fn file(fact: &FileFact) -> String {
    match fact {
        FileFact::ConfigProblem { problems } | FileFact::Problem(FileProblem::Read { problems }) => problems.join("\n"),
        FileFact::Problem(FileProblem::NotWritten { refused }) => {
            format!("not written to tasks.yml: {}", refused.join("; "))
        }
    }
}

pub(super) fn service(fact: &ServiceFact) -> String {
    match fact {
        ServiceFact::Lost { version, pid, why } => format!("orch {version} (pid {pid}) is gone: {why}"),
        ServiceFact::Respawns { used_mb, limit_mb } => format!(
            "orch uses {used_mb} MB of memory, engine.self_memory_limit_mb is {limit_mb}: it starts itself anew"
        ),
        ServiceFact::ShutsDown { mode, why } => format!("{why}: {}", mode.describe()),
        ServiceFact::Paused(pause) => pause.describe(),
        ServiceFact::Resumed { of, by } => format!("{} goes on: {by}", of.describe()),
        ServiceFact::Hindered(Hindrance::Storage { since, error }) => {
            format!("{error}; since {since} nothing could be stored and nothing was begun; it goes on now")
        }
        ServiceFact::Hindered(Hindrance::Outside { detail }) => detail.clone(),
        ServiceFact::JournalRebuilt { cause, tasks, asked, runs, lost, report } => format!(
            "the journal was damaged ({cause}) and was rebuilt: {tasks} tasks, {asked} of them ask where they stand, \
             {runs} runs; {lost} things are lost: see {}",
            report.display()
        ),
        ServiceFact::BreakerOpened { target, until: Some(until), failures, detail } => {
            let until = to_the_second(*until);
            format!(
                "breaker {target}: nothing begins there until {until}, after {failures} in a row failed; the last: {detail}"
            )
        }
        ServiceFact::BreakerOpened { target, until: None, .. } => format!("breaker {target}: nothing begins there"),
        ServiceFact::BreakerHalfOpen { target } => format!("breaker {target}: one task at a time may try"),
        ServiceFact::BreakerClosed(BreakerClosed::Recovered { target }) => {
            format!("breaker {target}: closed, all may go on")
        }
        ServiceFact::BreakerClosed(BreakerClosed::ByHand { target }) => format!("breaker {target} was closed by hand"),
        ServiceFact::BreakerClosed(BreakerClosed::CooldownEnded { name }) => {
            format!("{name} is no longer left alone: by hand")
        }
    }
}

pub(super) fn project(fact: &ProjectFact) -> String {
    let (ProjectFact::Registered { name, dir } | ProjectFact::Removed { name, dir }) = fact;
    format!("project {name} at {}", dir.display())
}

pub(super) fn gc(fact: &GcFact) -> String {
    match fact {
        GcFact::Removed { worktree, bytes, with_branch } => {
            let branch = if *with_branch { "its branch went with it, merged" } else { "its branch stays" };
            let worktree = worktree.display();
            format!(
                "worktree {worktree} is removed ({bytes} bytes): nothing was in it that is not elsewhere too; {branch}"
            )
        }
        GcFact::Settled { worktree, detail } => format!("worktree {}: {detail}", worktree.display()),
    }
}
