//! The world around the engine, made up: agents with their runners, git, providers. It knows what really happened, so
//! that what the engine believes can be compared with it.

use super::dice::Dice;
use super::rules::Broken;
use super::scenario::{AGENTS, Fault, HOUR, MINUTE, Millis, SECOND, Scenario};
use crate::job::report::Report;
use crate::verify::ending::Over;
use jiff::{SignedDuration, Timestamp};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::Usd;
use orch_core::tasks::delegation::{DelegationContext, apply_limits};
use orch_core::tasks::event::{IntegrationProblem, LaunchProblem};
use orch_core::tasks::evidence::{Check, CheckState, Evidence, IntegrateMode, Integration, IntegrationState};
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::judge::{Case, Verdict, judge};
use orch_core::tasks::message::{Message, MessageId};
use orch_core::tasks::outcome::{Ending, Failure, FailureClass, Outcome, RunKind};
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::review::Reviewers;
use orch_core::tasks::task::{OrderKind, Postponed, Run, Task, Workplace};
use orch_core::tasks::task_type::TaskType;
use orch_runner::{RunReport, Stop};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One agent with its runner, alive or not.
#[derive(Debug)]
pub struct Agent {
    pub task: TaskId,
    pub kind: RunKind,
    pub name: String,
    pub live: bool,
    pub began: Timestamp,
    pub stop_asked: bool,
    /// Its call was broken off while the machine slept.
    pub cut_off: bool,
    /// Messages it has taken up.
    pub heard: Vec<MessageId>,
    /// Set when it is gone.
    pub report: Option<RunReport>,
}

/// A provider that fails.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    pub class: FailureClass,
    /// When it is over, by the wall clock; known to agents when the provider tells.
    pub reset_at: Option<Timestamp>,
}

/// Everything outside of the engine, simulated.
pub struct Outside {
    seed: u64,
    faults: BTreeSet<Fault>,
    /// No fault strikes any more.
    pub calm: bool,
    pub agents: BTreeMap<RunId, Agent>,
    pub outages: BTreeMap<&'static str, Outage>,
    pub dir_gone: Arc<AtomicBool>,
    /// What the engine found when it last looked: a disk may be full for longer than the directory is gone, and what was
    /// planned before is stored after that.
    pub dir_seen_gone: Arc<AtomicBool>,
    /// Runs whose work was found good.
    pub accepted: BTreeSet<RunId>,
    /// Runs whose work was to be reviewed, and whether that was approved.
    pub reviewed: BTreeMap<RunId, bool>,
    /// The last work of a task that was judged: its run and its commit.
    heads: BTreeMap<TaskId, (RunId, String)>,
    /// Runs whose work the base branch holds.
    pub merged: BTreeSet<RunId>,
    /// Stops that were asked for before the runner was there.
    stops: BTreeSet<RunId>,
    /// How often each run's integration was tried.
    tries: BTreeMap<RunId, u64>,
}

/// Where the repository is.
pub const DIR: &str = "/simulated/repository";
/// How it is called.
pub const PROJECT: &str = "repository";

impl Outside {
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            seed: scenario.seed,
            faults: scenario.faults.clone(),
            calm: false,
            agents: BTreeMap::new(),
            outages: BTreeMap::new(),
            dir_gone: Arc::default(),
            dir_seen_gone: Arc::default(),
            accepted: BTreeSet::new(),
            reviewed: BTreeMap::new(),
            heads: BTreeMap::new(),
            merged: BTreeSet::new(),
            stops: BTreeSet::new(),
            tries: BTreeMap::new(),
        }
    }

    /// Whether a kind of fault may strike now.
    pub fn has(&self, fault: Fault) -> bool {
        !self.calm && self.faults.contains(&fault)
    }

    /// The fate of one thing in one respect.
    pub fn fate(&self, run: &RunId, respect: u64) -> Dice {
        let task = run.task().map_or(0, |task| task.0);
        Dice::fate(self.seed, &[2, task, run.ordinal().unwrap_or(0).into(), respect])
    }

    /// A run is to be started: the agent begins, unless it is there already. Tells how long it will work.
    pub fn start(
        &mut self,
        task: &Task,
        run: &Run,
        said: &[Message],
        now: Timestamp,
    ) -> Result<(Report, Option<Millis>), Broken> {
        let started = |live: bool| Report::Started {
            run: run.id.clone(),
            place: (run.kind == RunKind::Work).then(|| place(task)),
            session_id: None,
            live,
            at: now,
        };
        if let Some(agent) = self.agents.get(&run.id) {
            return Ok((started(agent.live), None));
        }
        if let Some(problem) = self.obstacle(run) {
            return Ok((Report::NotStarted { run: run.id.clone(), problem }, None));
        }
        let beside = |agent: &&Agent| agent.task == task.id && agent.kind == RunKind::Work && agent.report.is_none();
        if run.kind == RunKind::Work && self.agents.values().any(|agent| beside(&agent)) {
            return Err(Broken(format!("task {} runs twice at a time", task.id)));
        }
        let mut dice = self.fate(&run.id, 1);
        let live = dice.chance(60);
        let heard = if dice.chance(50) { said.iter().map(|message| message.id).collect() } else { Vec::new() };
        let agent = Agent {
            task: task.id,
            kind: run.kind,
            name: run.agent.clone(),
            live,
            began: now,
            stop_asked: self.stops.contains(&run.id),
            cut_off: false,
            heard,
            report: None,
        };
        self.agents.insert(run.id.clone(), agent);
        let works = self.works(&run.id);
        Ok((started(live), Some(works)))
    }

    fn obstacle(&self, run: &Run) -> Option<LaunchProblem> {
        if self.dir_gone.load(Ordering::Relaxed) && run.kind == RunKind::Work {
            return Some(LaunchProblem::MissingDir(PathBuf::from(DIR)));
        }
        let mut dice = self.fate(&run.id, 2);
        if !self.has(Fault::LaunchFails) || !dice.chance(8) {
            return None;
        }
        Some(match dice.below(3) {
            0 => LaunchProblem::Ask("the repository is in the middle of a rebase".to_owned()),
            1 => LaunchProblem::Failed(Failure::new(FailureClass::AgentMissing, "not in PATH")),
            _ => LaunchProblem::Failed(Failure::new(FailureClass::Crashed, "the runner did not come up")),
        })
    }

    fn works(&self, run: &RunId) -> Millis {
        let Some(agent) = self.agents.get(run) else { return 0 };
        if self.outages.contains_key(agent.name.as_str()) || agent.stop_asked {
            return 2 * SECOND;
        }
        let mut dice = self.fate(run, 3);
        match agent.kind {
            RunKind::Route => dice.between(SECOND, MINUTE),
            RunKind::Work | RunKind::Review if dice.chance(10) => dice.between(MINUTE, 8 * HOUR),
            RunKind::Work | RunKind::Review => dice.between(20 * SECOND, 40 * MINUTE),
        }
    }

    /// A run is to be stopped. Whether it will listen, if it is there.
    pub fn stop(&mut self, run: &RunId) -> bool {
        self.stops.insert(run.clone());
        let deaf = self.has(Fault::DeafAgents) && self.fate(run, 4).chance(40);
        let Some(agent) = self.agents.get_mut(run).filter(|agent| agent.report.is_none()) else { return false };
        agent.stop_asked |= !deaf;
        !deaf
    }

    /// A message is handed to an agent; it takes it up, if it still lives.
    pub fn hear(&mut self, run: &RunId, message: MessageId) {
        let listens = self.fate(run, 5 + message.0).chance(80) || self.calm;
        let agent = self.agents.get_mut(run).filter(|agent| agent.report.is_none());
        if let Some(agent) = agent.filter(|agent| listens && !agent.heard.contains(&message)) {
            agent.heard.push(message);
        }
    }

    /// An agent is at its end. Tells whether it was alive.
    pub fn end(&mut self, run: &RunId, now: Timestamp) -> bool {
        let Some(agent) = self.agents.get(run).filter(|agent| agent.report.is_none()) else { return false };
        let (ending, stopped) = match (agent.stop_asked, agent.kind) {
            (true, _) => (Ending::default(), Some(Stop::Asked { reason: "stopped by a person".to_owned() })),
            (false, RunKind::Route) => (self.routed(run, agent), None),
            (false, RunKind::Work) => self.worked(run, agent),
            (false, RunKind::Review) => (self.looked(run, agent), None),
        };
        let answer = ending.structured.clone().unwrap_or_default();
        let approves = |head: &str| answer["decision"] == "approve" && answer["commit"] == head;
        if let Some((work, _)) = self.heads.get(&agent.task).filter(|(_, head)| approves(head)) {
            self.reviewed.insert(work.clone(), true);
        }
        let cost = Usd::from_micros(i64::try_from(self.fate(run, 6).between(1, 90_000)).expect("small"));
        let ending = Ending { cost: Some(cost), ..ending };
        let report = RunReport {
            run_id: run.clone(),
            kind: agent.kind,
            started_at: agent.began,
            ended_at: now,
            exit: None,
            ending,
            stopped,
            swept: Vec::new(),
            warnings: Vec::new(),
            transcript_bytes: 0,
        };
        if let Some(agent) = self.agents.get_mut(run) {
            agent.report = Some(report);
        }
        true
    }

    /// Providers tell how long it takes, not what our clock will show.
    pub fn clock_was_set(&mut self, by: SignedDuration) {
        for outage in self.outages.values_mut() {
            outage.reset_at = outage.reset_at.and_then(|at| at.checked_add(by).ok());
        }
    }

    /// The machine slept. Tells whose call broke off by that.
    pub fn cut_off(&mut self, at: Millis) -> Vec<RunId> {
        let working = self.agents.iter().filter(|(_, agent)| agent.report.is_none());
        let unlucky: Vec<RunId> =
            working.filter(|(run, _)| self.fate(run, 1000 + at).chance(40)).map(|(run, _)| run.clone()).collect();
        for run in &unlucky {
            if let Some(agent) = self.agents.get_mut(run) {
                agent.cut_off = true;
            }
        }
        unlucky
    }

    fn outage(&self, agent: &Agent) -> Option<Ending> {
        if agent.cut_off {
            let failure = Failure::new(FailureClass::Network, "the connection was reset");
            return Some(Ending { failure: Some(failure), ..Ending::default() });
        }
        let outage = self.outages.get(agent.name.as_str())?;
        let failure = Failure { retry_at: outage.reset_at, ..Failure::new(outage.class, "the provider is out") };
        Some(Ending { failure: Some(failure), ..Ending::default() })
    }

    fn routed(&self, run: &RunId, agent: &Agent) -> Ending {
        if let Some(ending) = self.outage(agent) {
            return ending;
        }
        let mut dice = self.fate(run, 7);
        let answer = if self.has(Fault::RouterFails) && dice.chance(30) {
            json!({"executor": "nobody"})
        } else {
            let complexity = dice.pick(&["simple", "medium", "complex"]);
            json!({"executor": dice.pick(&AGENTS), "complexity": complexity, "reason": "it fits"})
        };
        Ending { structured: Some(answer), ..Ending::default() }
    }

    fn looked(&self, run: &RunId, agent: &Agent) -> Ending {
        if let Some(ending) = self.outage(agent) {
            return ending;
        }
        let mut dice = self.fate(run, 18);
        let commit = self.heads.get(&agent.task).map(|(_, head)| head.as_str()).unwrap_or_default();
        let answer = match dice.below(10) {
            0 if self.has(Fault::AgentFails) => {
                json!({"decision": "approve", "commit": "another one", "notes": "fine"})
            }
            1 if self.has(Fault::AgentFails) => json!({"notes": "fine"}),
            2..4 if self.has(Fault::BadWork) => {
                json!({"decision": "request_changes", "commit": commit, "notes": "not like that"})
            }
            _ => json!({"decision": "approve", "commit": commit, "notes": "fine"}),
        };
        Ending { structured: Some(answer), ..Ending::default() }
    }

    fn worked(&self, run: &RunId, agent: &Agent) -> (Ending, Option<Stop>) {
        if let Some(ending) = self.outage(agent) {
            return (ending, None);
        }
        let mut dice = self.fate(run, 8);
        let session_id = dice.chance(80).then(|| format!("talk-{}", agent.task));
        let answer = |status: &str| {
            let structured = Some(json!({"status": status, "summary": "what was done"}));
            Ending { session_id: session_id.clone(), structured, ..Ending::default() }
        };
        if let Some(delegations) = self.handed_on(run) {
            let structured = Some(json!({"status": "blocked", "summary": "others first", "delegations": delegations}));
            return (Ending { session_id, structured, ..Ending::default() }, None);
        }
        if !self.has(Fault::AgentFails) || dice.chance(55) {
            return (answer("done"), None);
        }
        match dice.below(100) {
            0..12 => (answer("needs_review"), None),
            12..24 => (answer("blocked"), None),
            24..34 => (answer("in_progress"), None),
            34..44 => (Ending { session_id, final_text: Some("All done!".to_owned()), ..Ending::default() }, None),
            44..58 => {
                let failure = Failure::new(FailureClass::Timeout, "it took too long");
                (Ending { session_id, ..Ending::default() }, Some(Stop::Limit { failure }))
            }
            58..62 => (Ending { session_id, ..Ending::default() }, Some(Stop::Asked { reason: "by hand".to_owned() })),
            _ => {
                let failure = Failure::new(dice.pick(FailureClass::ALL), "so it is");
                (Ending { session_id, failure: Some(failure), ..Ending::default() }, None)
            }
        }
    }

    /// Pieces of the work that are handed on: some, too many, or ones that no task can be made of.
    fn handed_on(&self, run: &RunId) -> Option<Vec<serde_json::Value>> {
        let mut dice = self.fate(run, 17);
        if !self.has(Fault::HandsOn) || !dice.chance(6) {
            return None;
        }
        let count = dice.pick(&[1, 2, 2, 3, 11]);
        let title = |piece: usize| format!("piece {piece} of run {}", super::rules::ordinal(run));
        let mut pieces: Vec<_> =
            (0..count).map(|piece| json!({"title": title(piece), "suggested_agent": dice.pick(&AGENTS)})).collect();
        if dice.chance(10) {
            pieces.push(json!({"title": " "}));
        }
        Some(pieces)
    }

    /// Examines what a run left; always with the same result.
    pub fn weigh(&mut self, run: &RunId, standing: &DelegationContext) -> Report {
        let mut dice = self.fate(run, 9);
        let head = format!("{:040x}", self.fate(run, 19).next());
        let mut evidence = Evidence { commits: vec!["1".to_owned()], files: 1, head, ..Evidence::default() };
        if self.has(Fault::BadWork) && dice.chance(35) {
            match dice.below(3) {
                0 => evidence.commits.clear(),
                1 => evidence.violations.push("wrote into /etc".to_owned()),
                _ => evidence.checks.push(failed_check()),
            }
        }
        let outcome = self.agents.get(run).and_then(|agent| agent.report.as_ref()).map(RunReport::outcome);
        let verdict = match outcome {
            Some(Outcome::Finished { answer }) => {
                let verdict = judge(&Case { answer: &answer, evidence: &evidence, task_type: &TaskType::Feature });
                apply_limits(verdict, &mut evidence, standing)
            }
            Some(Outcome::Failed(_) | Outcome::Cancelled { .. }) | None => {
                Verdict::Ask { question: "a run is judged that did not finish".to_owned(), kind: QuestionKind::Failed }
            }
        };
        if verdict == Verdict::Accept {
            self.accepted.insert(run.clone());
        }
        // Also where it is judged once more, in better times.
        let reviewers = match self.fate(run, 20).below(10) {
            0..3 => Reviewers::Agent,
            3 if self.has(Fault::BadWork) => Reviewers::AgentThenPerson,
            3 => Reviewers::Agent,
            _ => Reviewers::Nobody,
        };
        if reviewers != Reviewers::Nobody {
            self.reviewed.entry(run.clone()).or_insert(false);
        }
        if let Some(task) = run.task() {
            self.heads.insert(task, (run.clone(), evidence.head.clone()));
        }
        Report::Judged { run: run.clone(), verdict, evidence: Box::new(evidence), reviewers, record: None }
    }

    /// The work of a run is to reach the base branch.
    pub fn integrate(&mut self, task: &Task, run: &RunId, now: Timestamp) -> Report {
        let tried = self.tries.entry(run.clone()).or_default();
        *tried += 1;
        let mut dice = Dice::fate(*tried, &[self.fate(run, 10).next()]);
        let order = task.order().cloned();
        if order.as_ref().is_some_and(|order| order.kind == OrderKind::Revert) {
            let result = self.take_back(run, &mut dice);
            return Report::Integrated { run: run.clone(), order, result, record: None };
        }
        let result = if self.merged.contains(run) || !self.has(Fault::MergeFails) || dice.chance(50) {
            self.merged.insert(run.clone());
            let (mode, state) = (IntegrateMode::Merge, IntegrationState::Merged);
            Ok(Integration { mode, state, commit: Some(run.to_string()), restored: None })
        } else {
            Err(match dice.below(10) {
                0..3 => IntegrationProblem::Work(Failure::new(FailureClass::Conflict, "a.txt")),
                3..4 => IntegrationProblem::Work(Failure::new(FailureClass::ChecksFailed, "red after the merge")),
                8..9 => {
                    self.merged.insert(run.clone());
                    let (mode, state) = (IntegrateMode::Merge, IntegrationState::Merged);
                    let integration = Integration { mode, state, commit: Some(run.to_string()), restored: None };
                    let failure = Failure::new(FailureClass::ChecksFailed, "red on the base");
                    IntegrationProblem::Red { integration, failure: Box::new(failure) }
                }
                4..8 => IntegrationProblem::Wait(Postponed {
                    detail: "uncommitted changes".to_owned(),
                    until: now.checked_add(SignedDuration::from_secs(60)).unwrap_or(now),
                    reason: HoldReason::BaseDirty,
                }),
                _ => IntegrationProblem::Ask("the base branch is gone".to_owned()),
            })
        };
        Report::Integrated { run: run.clone(), order, result, record: None }
    }

    /// The work of a run is to leave the base branch.
    fn take_back(&mut self, run: &RunId, dice: &mut Dice) -> Result<Integration, IntegrationProblem> {
        if self.has(Fault::MergeFails) && dice.chance(30) {
            return Err(IntegrationProblem::Work(Failure::new(FailureClass::Conflict, "a.txt")));
        }
        self.merged.remove(run);
        let (mode, state) = (IntegrateMode::Merge, IntegrationState::Reverted);
        Ok(Integration { mode, state, commit: Some(format!("without {run}")), restored: None })
    }

    /// Returns the report of polling the runs.
    pub fn poll(&self, runs: &[RunId], listen: &BTreeSet<TaskId>) -> Report {
        let (mut heard, mut ended) = (Vec::new(), Vec::new());
        for run in runs {
            let Some(agent) = self.agents.get(run) else { continue };
            if listen.contains(&agent.task) {
                heard.extend(agent.heard.iter().map(|message| (run.clone(), *message)));
            }
            let over = |report| Over { report: Box::new(report), lost: None };
            ended.extend(agent.report.clone().map(|report| (run.clone(), over(report))));
        }
        Report::Polled { heard, health: Vec::new(), ended }
    }
}

fn failed_check() -> Check {
    Check { exit_code: Some(2), ..Check::new("make test", CheckState::Failed) }
}

fn place(task: &Task) -> Workplace {
    Workplace {
        terms: None,
        branch: format!("orch/{}", task.id),
        worktree: PathBuf::from(format!("/simulated/worktrees/{}", task.id)),
        base_branch: "main".to_owned(),
        base: "0".to_owned(),
        began_from: Vec::new(),
    }
}
