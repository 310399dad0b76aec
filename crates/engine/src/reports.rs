//! What jobs report, applied to the state.

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::files::file_job::Writeback;
use crate::job::report::Report;
use crate::launch::question;
use crate::launch::run_start::Started;
use crate::recurring::job_command;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::{Fact, ReviewFact, RouteFact, RunFact};
use orch_core::base::ids::RunId;
use orch_core::prompts::prompt::data::one_line;
use orch_core::tasks::event::{Event, IntegrationProblem, LaunchProblem};
use orch_core::tasks::evidence::Evidence;
use orch_core::tasks::judge::Verdict;
use orch_core::tasks::outcome::{Failure, FailureClass, Outcome, RunKind};
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::review::Reviewers;
use orch_core::tasks::task::{Phase, Run, StopFor};
use orch_runner::RunReport;

/// The longest name of a model that is kept of what a CLI says, in characters.
const LONGEST_NAME: usize = 200;

impl Engine {
    pub(crate) fn on_report(&mut self, change_set: &mut ChangeSet, key: &JobKey, report: Report, now: Timestamp) {
        match report {
            Report::Polled { heard, health, ended } => {
                self.on_health(change_set, health, now);
                self.on_heard(change_set, heard, now);
                for (run, over) in ended {
                    if let Some(why) = &over.lost {
                        self.on_dead(change_set, &run, why, now);
                    }
                    self.on_run_ended(change_set, &run, &over.report, now);
                }
            }
            Report::Files(news) => {
                self.on_files(change_set, *news, now);
                self.file.note_progress();
            }
            Report::Written(result) => {
                self.file.set_write_tried();
                let failed = matches!(*result, Writeback::Failed(_));
                self.on_written(change_set, *result, now);
                if failed {
                    self.file.set_read();
                }
            }
            Report::Started { run, place, session_id, live, at } => {
                self.on_started(change_set, &run, Started { place, session_id }, live, at, now);
            }
            Report::NotStarted { run, problem } => self.on_not_started(change_set, &run, problem, now),
            Report::Judged { run, verdict, evidence, reviewers, record } => {
                self.overrule(change_set, record);
                self.weigh_verdict(change_set, &run, &verdict, &evidence, now);
                self.on_judged(change_set, &run, verdict, *evidence, reviewers, now);
            }
            Report::NotJudged { run, failure } => {
                self.for_task_of(change_set, &run, now, |run| Event::NotJudged { run, failure });
            }
            Report::Integrated { run, order, result, record } => {
                self.deps.ledger.integrated(&run);
                let task = run.task().and_then(|task| self.state.tasks.get(&task));
                if task.is_some_and(|task| task.order() != order.as_ref()) {
                    // A person has decided otherwise meanwhile: that is carried out now.
                    tracing::info!(%run, "the end of an integration is not what is wanted any more");
                    return;
                }
                self.overrule(change_set, record);
                self.weigh_integration(change_set, &run, &result, now);
                self.for_task_of(change_set, &run, now, |run| match result {
                    Ok(integration) => Event::Integrated { run, integration },
                    Err(problem) => Event::NotIntegrated { run, problem },
                });
            }
            Report::Touched(touched) => self.on_files_in_work(touched),
            Report::Collected(collected) => self.on_collected(change_set, *collected, now),
            Report::JobsChanged { result } => self.on_jobs_changed(change_set, *result, now),
            Report::CommandEnded { key, end } => self.on_command_ended(change_set, &key, end, now),
            Report::Nothing => {}
            Report::Broken(error) => self.on_broken(change_set, key, error, now),
        }
    }

    fn overrule(&mut self, change_set: &mut ChangeSet, record: Option<Box<Run>>) {
        if let Some(record) = record {
            change_set.put_run(&mut self.state, *record);
        }
    }

    /// Applies an event to the task of a run. A late report is logged and changes nothing.
    pub(crate) fn for_task_of(
        &mut self,
        change_set: &mut ChangeSet,
        run: &RunId,
        now: Timestamp,
        event: impl FnOnce(RunId) -> Event,
    ) {
        let Some(task) = run.task() else { return };
        self.expect(change_set, task, &event(run.clone()), now);
    }

    fn on_started(
        &mut self,
        change_set: &mut ChangeSet,
        id: &RunId,
        started: Started,
        live: bool,
        at: Timestamp,
        now: Timestamp,
    ) {
        let Some(mut run) = self.state.runs.get(id).cloned() else { return };
        run.phase = Phase::Running;
        run.started_at = Some(at);
        run.live = live;
        run.session_id = started.session_id.or(run.session_id);
        let (task, agent, model) = (run.task, run.agent.clone(), run.model.clone());
        let fact = match run.kind {
            RunKind::Work => Fact::from(RunFact::Started { agent, model }),
            RunKind::Review => ReviewFact::Started { agent, model }.into(),
            RunKind::Route => RouteFact::Started { agent, model }.into(),
        };
        change_set.put_run(&mut self.state, run);
        if let Some(place) = started.place {
            self.expect(change_set, task, &Event::Placed { place }, now);
        }
        change_set.note(&mut self.state, now, Some(task), Some(id.clone()), fact);
        // It may have ended before its start was recorded: its wake-up found no run then.
        self.poll_runs();
    }

    fn on_not_started(&mut self, change_set: &mut ChangeSet, id: &RunId, problem: LaunchProblem, now: Timestamp) {
        let Some(mut run) = self.state.runs.get(id).cloned() else { return };
        let failure = match &problem {
            LaunchProblem::MissingDir(dir) => {
                Failure::new(FailureClass::Crashed, format!("{} is not there", dir.display()))
            }
            LaunchProblem::Ask(question) | LaunchProblem::Setup(question) => {
                Failure::new(FailureClass::Crashed, question.clone())
            }
            LaunchProblem::PutBack(question) => Failure::new(FailureClass::SandboxViolation, question.clone()),
            LaunchProblem::External(failure) | LaunchProblem::BaseAway(failure) => {
                Failure::new(FailureClass::Crashed, failure.detail.clone())
            }
            LaunchProblem::Failed(failure) => failure.clone(),
        };
        run.phase = Phase::Ended;
        run.ended_at = Some(now);
        run.outcome = Some(match (&problem, run.kind) {
            (LaunchProblem::Failed(_) | LaunchProblem::PutBack(_), _) | (_, RunKind::Review | RunKind::Route) => {
                Outcome::Failed(failure.clone())
            }
            // No agent has crashed: none began.
            (_, RunKind::Work) => Outcome::Cancelled { detail: format!("it was not started: {}", failure.detail) },
        });
        if let LaunchProblem::Ask(question) | LaunchProblem::Setup(question) = &problem {
            self.blame_project(change_set, run.task, question, now);
        } else if let LaunchProblem::Failed(failure) = &problem {
            self.weigh_failure(change_set, &run, failure, now);
        }
        let (task, kind, agent) = (run.task, run.kind, run.agent.clone());
        change_set.put_run(&mut self.state, run);
        self.release_messages(change_set, id, false, now);
        match kind {
            RunKind::Work => self.for_task_of(change_set, id, now, |run| Event::LaunchFailed { run, problem }),
            RunKind::Review => self.review_failed(change_set, id, task, &agent, failure, now),
            RunKind::Route => self.route_failed(change_set, task, &failure.detail, now),
        }
    }

    /// Returns the report with what the run cost by its tokens and the catalog's prices, where its CLI reports tokens and no
    /// cost.
    fn with_cost(&mut self, run: &Run, report: &RunReport, now: Timestamp) -> RunReport {
        let mut report = report.clone();
        let ending = &mut report.ending;
        if ending.cost.is_none() {
            let names = [ending.model.as_deref(), run.model.as_deref()];
            ending.cost = self.prices(&run.agent, names, now).and_then(|prices| prices.cost(ending.usage));
            ending.cost_computed = ending.cost.is_some();
        }
        report
    }

    fn on_run_ended(&mut self, change_set: &mut ChangeSet, id: &RunId, report: &RunReport, now: Timestamp) {
        let Some(mut run) = self.state.runs.get(id).cloned() else { return };
        let report = &self.with_cost(&run, report, now);
        self.watch.ended(id, self.deps.clock.instant());
        run.phase = Phase::Ended;
        run.started_at = run.started_at.or(Some(report.started_at));
        run.ended_at = Some(report.ended_at);
        run.cost = report.ending.cost;
        run.cost_computed = report.ending.cost_computed;
        run.usage = report.ending.usage;
        run.session_id = report.ending.session_id.clone().or(run.session_id);
        let answered_by = report.ending.model.as_deref().map(|model| one_line(model, LONGEST_NAME));
        run.answered_by = answered_by.filter(|model| !model.is_empty());
        for warning in &report.warnings {
            let fact = RunFact::Warned { warning: warning.clone() };
            change_set.note(&mut self.state, now, Some(run.task), Some(id.clone()), fact);
        }
        match run.kind {
            RunKind::Work => self.on_work_ended(change_set, run, report, now),
            RunKind::Review => self.on_review_ended(change_set, run, report, now),
            RunKind::Route => self.on_route_ended(change_set, run, report, now),
        }
    }

    fn on_work_ended(&mut self, change_set: &mut ChangeSet, mut run: Run, report: &RunReport, now: Timestamp) {
        let outcome = report.outcome();
        run.outcome = Some(outcome.clone());
        self.weigh_outcome(change_set, &run, &outcome, now);
        self.cool_down(change_set, &run, &outcome, now);
        let (id, task, agent, model) = (run.id.clone(), run.task, run.agent.clone(), run.model.clone());
        // Only what the agent itself has named is there to be gone on with: one that died before its first word has
        // started no conversation, though orch has chosen a name for it.
        let ending = report.ending.clone();
        change_set.put_run(&mut self.state, run);
        self.release_messages(change_set, &id, matches!(outcome, Outcome::Finished { .. }), now);
        let event = Event::RunEnded { run: id, agent, model, ending: Box::new(ending), outcome };
        self.expect(change_set, task, &event, now);
    }

    fn on_route_ended(&mut self, change_set: &mut ChangeSet, mut run: Run, report: &RunReport, now: Timestamp) {
        let (id, task_id) = (run.id.clone(), run.task);
        let Some(task) = self.state.tasks.get(&task_id).cloned() else { return };
        let routing = self.routing(&task);
        let answer = question::read_answer(&self.deps, &routing, report);
        if let Some(outcome) = report.failure() {
            self.weigh_outcome(change_set, &run, &outcome, now);
            self.cool_down(change_set, &run, &outcome, now);
            run.outcome = Some(outcome);
        } else {
            self.credit_agent(change_set, &run.agent, now);
            run.outcome = Some(match &answer {
                Ok(route) => question::finished(route),
                Err(error) => Outcome::Failed(Failure::new(FailureClass::Malformed, error.clone())),
            });
        }
        if let Some(cost) = run.cost {
            let mut paid = orch_core::tasks::task::Task::clone(&task);
            paid.cost = Some(paid.cost.unwrap_or_default() + cost);
            change_set.put_task(&mut self.state, paid);
        }
        change_set.put_run(&mut self.state, run);
        let current =
            matches!(&task.state, orch_core::tasks::task::State::New { routing: Some(run), .. } if *run == id);
        if !current {
            return;
        }
        match answer {
            Ok(route) => self.expect(change_set, task_id, &Event::RouteChosen { route, failed: false }, now),
            Err(error) => self.route_failed(change_set, task_id, &error, now),
        }
    }

    /// Ends the record of a routing question whose answer is no longer needed, and the question itself.
    pub(crate) fn drop_route_run(&mut self, change_set: &mut ChangeSet, id: RunId, now: Timestamp) {
        if let Some(mut run) = self.state.runs.get(&id).cloned() {
            run.phase = Phase::Ended;
            run.ended_at = Some(now);
            run.outcome = Some(Outcome::Cancelled { detail: "the task was taken back".to_owned() });
            change_set.put_run(&mut self.state, run);
        }
        self.jobs.order(crate::job::Job::Stop { run: id, reason: StopFor::Cancel.reason() });
    }

    /// Handles a job that broke in an unforeseen way: the task asks a person instead of being tried for ever.
    fn on_broken(&mut self, change_set: &mut ChangeSet, key: &JobKey, error: String, now: Timestamp) {
        tracing::error!(job = ?key, %error, "a job broke");
        let question = format!("orch itself failed here ({error}); the log has more");
        match key {
            JobKey::Start(run) => self.on_not_started(change_set, &run.clone(), LaunchProblem::Ask(question), now),
            JobKey::Judge(run) => self.for_task_of(change_set, run, now, |run| Event::Judged {
                run,
                verdict: Verdict::Ask { question, kind: QuestionKind::Failed },
                evidence: Evidence::default(),
                reviewers: Reviewers::Nobody,
            }),
            JobKey::Integrate(run) => {
                self.deps.ledger.integrated(run);
                self.for_task_of(change_set, run, now, |run| Event::NotIntegrated {
                    run,
                    problem: IntegrationProblem::Ask(question),
                });
            }
            JobKey::ReadFiles => {
                self.file.start_over();
                self.file.set_read();
                self.unpark(change_set, now);
            }
            JobKey::WriteFile => self.on_written(change_set, Writeback::Failed(error), now),
            JobKey::Stop(run) => self.watch.could_not_ask(run.clone()),
            JobKey::Poll
            | JobKey::ClearReview(_)
            | JobKey::HandOver(..)
            | JobKey::TryRoute(_)
            | JobKey::Compare(_)
            | JobKey::TryChecks(_)
            | JobKey::ReadChanges
            | JobKey::Sidecars
            | JobKey::Retain
            | JobKey::Index => {}
            JobKey::Collect => self.collection_broke(change_set, &error),
            JobKey::ChangeJobs => {
                let broken = EngineError::Invalid { message: format!("orch itself failed here ({error})"), hint: None };
                self.on_jobs_changed(change_set, Err(broken), now);
            }
            JobKey::RunCommand(key) => self.on_command_ended(change_set, key, job_command::not_started(error), now),
        }
    }
}
