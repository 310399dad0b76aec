//! What happens outside the engine's turn: jobs have their effects and report, agents end, the machine fails and mends.

use super::super::dice::Dice;
use super::super::file::{Copy, Shape};
use super::super::outside::Outage;
use super::super::rules::{Broken, ordinal};
use super::super::scenario::{Act, Fault, HOUR, MINUTE, Millis, Moment, SECOND};
use super::Course;
use crate::deps::job_key::JobKey;
use crate::engine::inputs::Input;
use crate::files::file_job::FileNews;
use crate::job::Job;
use crate::job::report::Report;
use crate::tasks_file::missing_tasks::Verdict;
use jiff::SignedDuration;
use orch_core::base::ids::{RunId, TaskId};
use orch_sys::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Something that is going to happen.
pub(super) enum Happening {
    Act(Act),
    /// A job has its effect.
    JobActs {
        epoch: u64,
        job: Box<Job>,
    },
    /// A job's report reaches the engine; `again`: for the second time.
    Report {
        epoch: u64,
        key: JobKey,
        report: Box<Report>,
        again: bool,
    },
    AgentEnds(RunId),
    Wake,
    Restart,
    DirBack,
    OutageEnds(&'static str),
    DiskFree,
    FileSound,
    /// An editor saves what it had opened.
    CopySaved(Copy),
    /// Somebody sees that most of the file is gone.
    Noticed(Option<Verdict>, Copy),
}

impl Course<'_> {
    pub(super) fn happen(&mut self, what: Happening) -> Result<(), Broken> {
        match what {
            Happening::Act(act) => self.act(act),
            Happening::JobActs { epoch, job } if epoch == self.epoch => self.job_acts(&job)?,
            Happening::Report { epoch, key, report, again } if epoch == self.epoch => self.report(key, *report, again),
            // Of a daemon that died.
            Happening::JobActs { .. } | Happening::Report { .. } => {}
            Happening::AgentEnds(run) => {
                if self.outside.end(&run, self.clock.now()) {
                    self.trace.say(self.at, || format!("the agent of run {} is gone", ordinal(&run)));
                    let is_lost = self.outside.has(Fault::LostWakes) && self.outside.fate(&run, 11).chance(30);
                    if !is_lost {
                        self.later(2, Happening::Wake);
                    }
                }
            }
            Happening::Wake => self.inputs.extend(self.engine.is_some().then_some(Input::Wake)),
            Happening::Restart => {
                if self.engine.is_none() {
                    self.start_engine();
                }
            }
            Happening::DirBack => self.outside.dir_gone.store(false, Ordering::Relaxed),
            Happening::OutageEnds(agent) => drop(self.outside.outages.remove(agent)),
            Happening::CopySaved(copy) => self.save_copy(copy),
            Happening::Noticed(verdict, whole) => self.notice(verdict, whole),
            Happening::FileSound => {
                self.file.shape = Shape::Sound;
                self.file_saved();
            }
            Happening::DiskFree => {
                self.disk_full = false;
                if let Some((change_set, leave, now)) = self.unstored.take() {
                    self.store(change_set, leave, now)?;
                }
            }
        }
        Ok(())
    }

    fn act(&mut self, act: Act) {
        self.trace.say(self.at, || format!("{act:?}"));
        match act {
            Act::Add { wish, priority, after, agent, no_project } => {
                self.add(wish, priority, &after, agent, no_project);
            }
            Act::Ask(wish, request) => {
                if let Some(id) = self.ids.get(&wish).copied() {
                    self.ask(id, request);
                }
            }
            Act::Rule(wish, word) => self.rule(wish, word),
            Act::Send(wish) => self.send(wish),
            Act::Claim(wish, claiming) => {
                if let Some(id) = self.ids.get(&wish).copied() {
                    self.claim(id, claiming);
                }
            }
            Act::Batch { batch, of, concurrency, budget } => self.make_batch(batch, &of, concurrency, budget),
            Act::SetBatch { batch, concurrency, budget } => self.set_batch(batch, concurrency, Some(budget)),
            Act::CancelBatch(batch) => self.cancel_batch(batch),
            Act::UnblockAll => self.unblock_all(),
            Act::Look => self.take_snapshot(),
            Act::Crash(Moment::Waiting, down) => {
                if self.engine.is_some() {
                    self.die(down);
                }
            }
            Act::Crash(moment, _) => self.dies_at = Some(moment),
            Act::ClockJump(seconds) => {
                let now = self.clock.now();
                self.clock.set(now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now));
                self.outside.clock_was_set(SignedDuration::from_secs(seconds));
                self.later(10 * SECOND, Happening::Wake);
            }
            Act::Suspend(lasts) => self.sleep(lasts),
            Act::Slow(lasts) => self.slow_until = self.slow_until.max(self.at + lasts),
            Act::MaxParallel(max) => {
                Arc::make_mut(&mut self.settings.config).engine.max_parallel = max;
                self.new_settings = true;
                self.inputs.extend(self.engine.is_some().then_some(Input::Files));
            }
            Act::DirGone(lasts) => {
                self.outside.dir_gone.store(true, Ordering::Relaxed);
                self.later(lasts, Happening::DirBack);
            }
            Act::Outage { agent, class, lasts, names_reset } => {
                let until = SignedDuration::from_millis(i64::try_from(lasts).unwrap_or(i64::MAX));
                let reset_at = names_reset.then(|| self.clock.now().checked_add(until).ok()).flatten();
                self.outside.outages.insert(agent, Outage { class, reset_at });
                self.later(lasts, Happening::OutageEnds(agent));
            }
            Act::DiskFull(lasts) => {
                self.disk_full = true;
                self.later(lasts, Happening::DiskFree);
            }
            Act::Edit(wish, change) => self.edit(wish, &change),
            Act::OldCopy(open) => {
                let copy = self.file.open();
                self.later(open, Happening::CopySaved(copy));
            }
            Act::Lose(noticed, verdict) => self.lose(noticed, verdict),
            Act::Switch(wanted, pauses) => self.switch(wanted, pauses),
            Act::Leave(how, down) => self.shut_down(how, down),
            Act::WriteBreaks => self.write_breaks = true,
            Act::Write(wish) => self.write_entry(wish),
            Act::BadFile(lasts, shape) => {
                self.file.shape = shape;
                self.file_saved();
                self.later(lasts, Happening::FileSound);
            }
        }
    }

    /// The machine sleeps: the clock that never jumps stands still, and with it everything here. The world outside goes
    /// on. Of those who were in the middle of a call some find it broken off.
    fn sleep(&mut self, lasts: Millis) {
        let slept = SignedDuration::from_millis(i64::try_from(lasts).unwrap_or(i64::MAX));
        let now = self.clock.now();
        self.clock.set(now.checked_add(slept).unwrap_or(now));
        let is_outside = |what: &Happening| matches!(what, Happening::OutageEnds(_));
        let meanwhile: Vec<(Millis, u64)> =
            self.queue.iter().filter(|(_, what)| is_outside(what)).map(|(key, _)| *key).collect();
        for key in meanwhile {
            if let Some(what) = self.queue.remove(&key) {
                self.later((key.0 - self.at).saturating_sub(lasts), what);
            }
        }
        for run in self.outside.cut_off(self.at) {
            self.later(2 * SECOND, Happening::AgentEnds(run));
        }
        self.later(10 * SECOND, Happening::Wake);
    }

    /// Starts a job, which has its effect in a while.
    pub(super) fn take_job(&mut self, job: Job) {
        let slow = if self.at < self.slow_until && !self.outside.calm { 100 } else { 1 };
        let latency = slow * self.latency(&job.key());
        if let Some(run) = run_of(&job.key()) {
            self.old_reports(&run);
        }
        self.later(latency, Happening::JobActs { epoch: self.epoch, job: Box::new(job) });
    }

    /// What was reported of earlier runs of the same task is reported once more, now of all times.
    fn old_reports(&mut self, run: &RunId) {
        let is_old = |(old, ..): &(RunId, JobKey, Report)| old.task() == run.task() && old != run;
        let reports: Vec<Report> =
            self.old.iter().filter(|old| is_old(old)).filter_map(|(_, _, report)| double(report)).collect();
        let keys: Vec<JobKey> = self.old.iter().filter(|old| is_old(old)).map(|(_, key, _)| key.clone()).collect();
        for (key, report) in keys.into_iter().zip(reports) {
            self.later(2, Happening::Report { epoch: self.epoch, key, report: Box::new(report), again: true });
        }
    }

    fn latency(&self, key: &JobKey) -> Millis {
        let of_run = |run: &RunId, respect, most: Millis| {
            let mut dice = self.outside.fate(run, respect);
            let is_slow = self.outside.has(Fault::SlowJobs) && dice.chance(10);
            dice.between(5, if is_slow { 2 * HOUR } else { most })
        };
        match key {
            JobKey::Start(run) => of_run(run, 12, 3 * SECOND),
            JobKey::Judge(run) => of_run(run, 13, 5 * MINUTE),
            JobKey::Integrate(run) => of_run(run, 14, 30 * SECOND),
            JobKey::Stop(run) => of_run(run, 15, 50),
            JobKey::HandOver(run, message) => of_run(run, 16 + message.0, 50),
            JobKey::Poll
            | JobKey::ClearReview(_)
            | JobKey::ReadFiles
            | JobKey::WriteFile
            | JobKey::TryRoute(_)
            | JobKey::Compare(_)
            | JobKey::TryChecks(_)
            | JobKey::ReadChanges
            | JobKey::Sidecars
            | JobKey::Retain
            | JobKey::Index
            | JobKey::ChangeJobs
            | JobKey::RunCommand(_)
            | JobKey::Collect => 5,
        }
    }

    fn job_acts(&mut self, job: &Job) -> Result<(), Broken> {
        let key = job.key();
        let mut dice = Dice::fate(self.scenario.seed, &[3, self.at]);
        // A start breaks before it does anything, in this life or an earlier one: what it had started it would not
        // know.
        let is_there = |run: &RunId| self.outside.agents.contains_key(run);
        let has_begun = matches!(&key, JobKey::Start(run) if is_there(run));
        let breaks = self.outside.has(Fault::JobsBreak) && dice.chance(2) && !has_begun;
        let report = if breaks || (key == JobKey::WriteFile && std::mem::take(&mut self.write_breaks)) {
            Report::Broken("a thread panicked".to_owned())
        } else {
            self.carry_out(job)?
        };
        let is_late = self.outside.has(Fault::SlowJobs) && dice.chance(3);
        let after = if is_late { dice.between(SECOND, HOUR) } else { dice.between(1, 20) };
        if self.outside.has(Fault::DoubleReports)
            && dice.chance(20)
            && let Some(double) = double(&report)
        {
            if let Some(run) = run_of(&key) {
                self.old.extend(self::double(&double).map(|again| (run, key.clone(), again)));
            }
            let much_later = after + dice.pick(&[1, 50, MINUTE, 3 * HOUR]);
            let (epoch, key, report) = (self.epoch, key.clone(), Box::new(double));
            self.later(much_later, Happening::Report { epoch, key, report, again: true });
        }
        self.later(after, Happening::Report { epoch: self.epoch, key, report: Box::new(report), again: false });
        Ok(())
    }

    fn report(&mut self, key: JobKey, report: Report, again: bool) {
        let Some(engine) = &mut self.engine else { return };
        let input = if again { Input::Report(key, report) } else { engine.ended(key, report) };
        self.inputs.push(input);
    }

    /// What a job does to the world, and what it tells of it.
    pub(super) fn carry_out(&mut self, job: &Job) -> Result<Report, Broken> {
        let now = self.clock.now();
        Ok(match job {
            Job::Start { task, run, said } => {
                if !self.stored.tables().runs.contains_key(&run.id) {
                    return Err(Broken(format!("run {} begins and is not stored", ordinal(&run.id))));
                }
                let (report, works) = self.outside.start(task, run, said, now)?;
                if let Some(works) = works {
                    self.trace.say(self.at, || format!("the agent of run {} begins", ordinal(&run.id)));
                    self.later(works, Happening::AgentEnds(run.id.clone()));
                }
                report
            }
            Job::Stop { run, .. } => {
                if self.outside.stop(run) {
                    self.later(3 * SECOND, Happening::AgentEnds(run.clone()));
                }
                Report::Nothing
            }
            Job::HandOver { run, message, .. } => {
                self.outside.hear(run, message.id);
                self.later(SECOND, Happening::Wake);
                Report::Nothing
            }
            Job::Judge { standing, run, .. } => self.outside.weigh(run, standing),
            Job::Integrate { task, run } => self.outside.integrate(task, run, now),
            Job::ReadChanges { tasks } => {
                Report::Touched(tasks.iter().map(|task| (task.id, touched(task.id))).collect())
            }
            Job::Poll { runs, listen, .. } => self.outside.poll(runs, listen),
            Job::ReadFiles { known } | Job::ReadOn { known, .. } => {
                let settings = std::mem::take(&mut self.new_settings).then(|| self.settings.clone());
                let news = match self.scenario.with_file {
                    true => self.file.read(known, &self.stored.tables()),
                    false => FileNews::default(),
                };
                let news = self.jobs.read(known, news);
                Report::Files(Box::new(FileNews { settings, ..news }))
            }
            Job::WriteFile { order } => {
                let ids = &mut self.ids;
                let written = self.file.write(order, now, &mut |wish, id| ids.extend([(wish, id)]));
                Report::Written(Box::new(written))
            }
            Job::RunCommand { firing } => {
                if !self.stored.tables().firings.contains_key(&firing.key()) {
                    return Err(Broken(format!("{} begins and is not stored", firing.key())));
                }
                Report::CommandEnded { key: firing.key(), end: self.jobs.run(firing) }
            }
            Job::ChangeJobs { .. }
            | Job::ClearReview { .. }
            | Job::Sidecars { .. }
            | Job::Retain { .. }
            | Job::Index { .. }
            | Job::Collect { .. }
            | Job::Compare { .. }
            | Job::TryChecks { .. }
            | Job::TryRoute { .. } => Report::Nothing,
        })
    }
}

/// What a task changes.
fn touched(task: TaskId) -> Arc<[String]> {
    Arc::from([format!("src/{}.rs", task.0 % 4)])
}

/// The run that a job is about.
fn run_of(key: &JobKey) -> Option<RunId> {
    if let JobKey::Start(run) | JobKey::Judge(run) | JobKey::Integrate(run) = key { Some(run.clone()) } else { None }
}

/// The same report once more, where it tells of a run.
fn double(report: &Report) -> Option<Report> {
    match report {
        Report::Polled { heard, health, ended } => {
            Some(Report::Polled { heard: heard.clone(), health: health.clone(), ended: ended.clone() })
        }
        Report::Started { run, place, session_id, live, at } => Some(Report::Started {
            run: run.clone(),
            place: place.clone(),
            session_id: session_id.clone(),
            live: *live,
            at: *at,
        }),
        Report::NotStarted { run, problem } => Some(Report::NotStarted { run: run.clone(), problem: problem.clone() }),
        Report::Judged { run, verdict, evidence, reviewers, record } => Some(Report::Judged {
            run: run.clone(),
            verdict: verdict.clone(),
            evidence: evidence.clone(),
            reviewers: *reviewers,
            record: record.clone(),
        }),
        Report::NotJudged { run, failure } => Some(Report::NotJudged { run: run.clone(), failure: failure.clone() }),
        Report::CommandEnded { key, end } => Some(Report::CommandEnded { key: key.clone(), end: end.clone() }),
        Report::JobsChanged { .. } => None,
        Report::Integrated { run, order, result, record } => Some(Report::Integrated {
            run: run.clone(),
            order: order.clone(),
            result: result.clone(),
            record: record.clone(),
        }),
        Report::Files(_)
        | Report::Written(_)
        | Report::Collected(_)
        | Report::Touched(_)
        | Report::Nothing
        | Report::Broken(_) => None,
    }
}
