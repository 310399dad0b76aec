//! The table of all requests: method, path, path parameters, query, body and answer of each. The server registers its
//! handlers for these items, the client sends them, and the OpenAPI document is made from them. No other file spells a path.

mod shape;

pub use shape::{Description, Endpoint, Events, Request, SchemaOf, Text, ToRequest, Wait};

use super::availability::{CheckQuestion, ProvidersView};
use super::batches::{BatchView, CancelBatch, NewBatch, SetBatch};
use super::breakers::{BreakerView, ResetBreakers};
use super::budget::{BudgetView, RecordSpending, RecordView};
use super::channels::{ChannelView, NewNotice, NoticeView};
use super::claims::NewClaim;
use super::client::ClientError;
use super::cost::CostView;
use super::dashboard::DashboardView;
use super::edits::{DecideMissing, EditTask, TaskFields};
use super::evidence::CheckView;
use super::gc::{CleanUp, GcReport};
use super::jobs::{FiringView, JobView, NewJob, UpcomingView};
use super::messages::{MessageView, NewMessage};
use super::models::{CompareQuestion, ComparedView, ModelView, ResolutionView, ResolveQuestion};
use super::patterns::{NewSample, PatternsView, SampleView, SimilarView};
use super::queries::{
    CostQuery, DashboardQuery, DiffQuery, EventsQuery, HistoryQuery, ModelsQuery, OutputQuery, PatternsQuery,
    RowsQuery, RunQuery, SeenQuery, SimilarQuery, StatusQuery, StreamQuery, UpcomingQuery,
};
use super::route::{RouteQuestion, RouteResultView, RouteView};
use super::rulings::{Accept, DiffView, Reject};
use super::set_models::{NewSetModel, SetModelView, SetModelsView};
use super::settings::ReloadView;
use super::status::{Overview, StatusView};
use super::stream::StreamEvent;
use super::switches::{NewPause, PausesView, ServiceEntryView, ShutdownOrder, ShutdownView};
use super::types::{EventView, NewProject, NewTask, RemoveProject, RowsView, TaskView, TryChecks, WhyView};
use hyper::Method;
use orch_core::base::ids::TaskId;
use orch_core::operations::job::JobId;
use orch_core::planning::batch::BatchName;
use schemars::SchemaGenerator;
use shape::endpoints;

endpoints! {
    /// 200 while the engine's loop answers, else 503
    GET "/healthz" Healthz as "text/plain";
    /// Figures for Prometheus, text format 0.0.4
    GET "/metrics" Metrics as "text/plain";
    /// This document
    GET "/v1/openapi.json" OpenApi as "application/json";
    /// The state of everything; with brief=true the engine alone, without the lists
    GET "/v1/status" Status ? StatusQuery -> Overview;

    /// The channels: their states, what waits, what was given up
    GET "/v1/channels" ChannelList -> Vec<ChannelView>;
    /// Send a message to the channels; answers before it is sent
    POST "/v1/notices" Notify with NewNotice -> Vec<NoticeView>;
    /// What became of a line of the history in the channels
    GET "/v1/notices/{seq}" NoticeShow { seq: u64 } -> Vec<NoticeView>;

    /// The state of everything, or of the tasks of one batch, on one screen
    GET "/v1/dashboard" Dashboard ? DashboardQuery -> DashboardView;
    /// What was spent, by task, agent, model, project or day
    GET "/v1/cost" Cost ? CostQuery -> CostView;
    /// What may be spent, and what is left of it
    GET "/v1/budget" Budget -> BudgetView;
    /// Record what was spent outside of orch's runs
    POST "/v1/budget/records" BudgetRecord with RecordSpending -> RecordView;
    /// How agents and models have performed, and which one to use
    GET "/v1/patterns" Patterns ? PatternsQuery -> PatternsView;
    /// Every run that was judged, in the order of their ends
    GET "/v1/patterns/samples" SampleList ? PatternsQuery -> Vec<SampleView>;
    /// Tasks of the past that are like a text, and how they went
    GET "/v1/patterns/similar" SimilarTasks ? SimilarQuery -> Vec<SimilarView>;
    /// All tasks, without their runs and evidence
    GET "/v1/tasks" TaskList -> Vec<TaskView>;
    /// Tasks as small rows: all that are not settled, and settled ones as wanted
    GET "/v1/rows" TaskRows ? RowsQuery -> RowsView;
    /// A task with its runs and evidence
    GET "/v1/tasks/{id}" TaskShow { id: TaskId } -> TaskView;
    /// Why it does not move, and what moves it on
    GET "/v1/tasks/{id}/why" TaskWhy { id: TaskId } -> WhyView;
    /// The messages to its agents, and whether they have them
    GET "/v1/tasks/{id}/messages" TaskMessages { id: TaskId } -> Vec<MessageView>;
    /// The registered repositories
    GET "/v1/projects" ProjectList -> Vec<NewProject>;
    /// A run's transcript as plain text, followed to the end of the run
    GET "/v1/tasks/{id}/output" TaskOutput { id: TaskId } ? OutputQuery as "text/plain";

    /// Add a task
    POST "/v1/tasks" TaskAdd with NewTask -> TaskView;
    /// Run it now
    POST "/v1/tasks/{id}/run" TaskRun { id: TaskId } ? RunQuery -> TaskView;
    /// Do it again from the beginning
    POST "/v1/tasks/{id}/retry" TaskRetry { id: TaskId } ? SeenQuery -> TaskView;
    /// End the agent's turn; the conversation is kept
    POST "/v1/tasks/{id}/interrupt" TaskInterrupt { id: TaskId } ? SeenQuery -> TaskView;
    /// Send a message to its agent; the answer is the receipt
    POST "/v1/tasks/{id}/send" TaskSend { id: TaskId } with NewMessage -> MessageView;
    /// Claim it; refused if another person has claimed it
    POST "/v1/tasks/{id}/claim" TaskClaim { id: TaskId } with NewClaim -> TaskView;
    /// Give up the claim; refused if another person has claimed it
    POST "/v1/tasks/{id}/unclaim" TaskUnclaim { id: TaskId } with NewClaim -> TaskView;
    /// Give it up
    POST "/v1/tasks/{id}/cancel" TaskCancel { id: TaskId } ? SeenQuery -> TaskView;
    /// Let it go on
    POST "/v1/tasks/{id}/unblock" TaskUnblock { id: TaskId } ? SeenQuery -> TaskView;
    /// Ask the router which agent and model it would get; changes nothing
    POST "/v1/tasks/{id}/route" TaskRoute { id: TaskId } -> RouteResultView, wait Unlimited;
    /// Ask what a task that there is not would get, and likely cost; changes nothing
    POST "/v1/route" Route with RouteQuestion -> RouteView, wait Unlimited;
    /// Record a sample by hand; refused to agents
    POST "/v1/patterns/samples" SampleRecord with NewSample -> SampleView;
    /// Let everything go on that waits for a person or for other work
    POST "/v1/unblock" UnblockAll -> Vec<TaskId>;
    /// Register a repository
    POST "/v1/projects" ProjectRegister with NewProject -> NewProject;
    /// Run its checks on its base branch, each once, in a fresh checkout
    POST "/v1/projects/try" ProjectTry with TryChecks -> Vec<CheckView>, wait Unlimited;
    /// Forget a registered repository; its tasks stay
    POST "/v1/projects/remove" ProjectRemove with RemoveProject -> NewProject;

    /// What is wanted of a task, as tasks.yml has it
    GET "/v1/tasks/{id}/wish" TaskWish { id: TaskId } -> TaskFields;
    /// Change what is wanted of a task
    PATCH "/v1/tasks/{id}" TaskEdit { id: TaskId } with EditTask -> TaskView;
    /// Decide about open tasks that tasks.yml has lost; answers which they are
    POST "/v1/missing" MissingDecide with DecideMissing -> Vec<TaskView>;

    /// What its branch would change, or has changed; with stat=true only the figures
    GET "/v1/tasks/{id}/diff" TaskDiff { id: TaskId } ? DiffQuery -> DiffView;
    /// Accept its work as it is at a commit; refused to agents
    POST "/v1/tasks/{id}/approve" TaskApprove { id: TaskId } with Accept -> TaskView;
    /// Send its work back to its author, with a reason; refused to agents
    POST "/v1/tasks/{id}/reject" TaskReject { id: TaskId } with Reject -> TaskView;
    /// Merge its branch now, tested; refused to agents
    POST "/v1/tasks/{id}/merge" TaskMerge { id: TaskId } with Accept -> TaskView;
    /// Take its merge back by a commit, tested; refused to agents
    POST "/v1/tasks/{id}/revert" TaskRevert { id: TaskId } -> TaskView;

    /// Circuit breakers that have seen failures
    GET "/v1/breakers" BreakerList -> Vec<BreakerView>;
    /// Close a breaker by hand, or all, and leave its agent alone no longer; the answer is their names
    POST "/v1/breakers/reset" BreakerReset with ResetBreakers -> Vec<String>;
    /// Remove worktrees whose work is elsewhere too; with dry_run only list them
    POST "/v1/gc" Gc with CleanUp -> GcReport, wait Unlimited;

    /// All models, with what is known of them, and whether they can be used
    GET "/v1/models" ModelList ? ModelsQuery -> Vec<ModelView>, wait Unlimited;
    /// Ask which model a reference means, and why; changes nothing
    POST "/v1/models/resolve" ModelResolve with ResolveQuestion -> ResolutionView, wait Unlimited;
    /// Models side by side, each with its record here; changes nothing
    POST "/v1/models/compare" ModelCompare with CompareQuestion -> Vec<ComparedView>, wait Unlimited;
    /// Ask providers whether they can be used, unless a recent answer is known
    POST "/v1/models/check" ModelCheck with CheckQuestion -> ProvidersView, wait Unlimited;
    /// Models that are set for the daemon's lifetime
    GET "/v1/models/set" SetModelList -> Vec<SetModelView>;
    /// Set the model of a project's or an agent's work; refused to agents
    POST "/v1/models/set" SetModel with NewSetModel -> SetModelsView;
    /// Take back what was set; refused to agents
    POST "/v1/models/reset" ResetModel with NewSetModel -> SetModelsView;
    /// Take over what the files of the settings say now; answers when that is done
    POST "/v1/settings/reload" SettingsReload -> ReloadView;
    /// Nothing new starts there; agents at work go on
    POST "/v1/pause" Pause with NewPause -> PausesView;
    /// It goes on there
    POST "/v1/resume" Resume with NewPause -> PausesView;
    /// The daemon leaves: at once, when all is finished, or with its agents interrupted
    POST "/v1/shutdown" Shutdown with ShutdownOrder -> ShutdownView;
    /// The starts and ends of the daemon, oldest first
    GET "/v1/service/history" ServiceHistory ? HistoryQuery -> Vec<ServiceEntryView>;

    /// All jobs, each with its last firing
    GET "/v1/jobs" JobList -> Vec<JobView>;
    /// Add a job to jobs.yml
    POST "/v1/jobs" JobAdd with NewJob -> JobView;
    /// A job with its last firings
    GET "/v1/jobs/{id}" JobShow { id: JobId } -> JobView;
    /// It fires again, from now on
    POST "/v1/jobs/{id}/enable" JobEnable { id: JobId } -> JobView;
    /// It does not fire
    POST "/v1/jobs/{id}/disable" JobDisable { id: JobId } -> JobView;
    /// Take it out of jobs.yml; answers what it was
    POST "/v1/jobs/{id}/remove" JobRemove { id: JobId } -> JobView;
    /// Fire it now, whatever its schedule says
    POST "/v1/jobs/{id}/run" JobRun { id: JobId } -> FiringView;
    /// When jobs fire next, in the order of time
    GET "/v1/upcoming" Upcoming ? UpcomingQuery -> Vec<UpcomingView>;

    /// Batches that are open, and the last that have ended, without their rows
    GET "/v1/batches" BatchList -> Vec<BatchView>;
    /// Make a batch of tasks that are not over; whole or not at all
    POST "/v1/batches" BatchCreate with NewBatch -> BatchView;
    /// The newest batch of a name, with its tasks
    GET "/v1/batches/{name}" BatchShow { name: BatchName } -> BatchView;
    /// Change its concurrency or its budget
    PATCH "/v1/batches/{name}" BatchSet { name: BatchName } with SetBatch -> BatchView;
    /// Give up what is not over of it; finished work stays
    POST "/v1/batches/{name}/cancel" BatchCancel { name: BatchName } with CancelBatch -> BatchView;

    /// The output of a task, run after run, until it is at rest
    GET "/v1/tasks/{id}/stream" TaskStream { id: TaskId } ? StreamQuery => StreamEvent;
    /// The output of all running tasks
    GET "/v1/stream" StreamAll ? StreamQuery => StreamEvent;
    /// The history: what was missed, then what happens
    GET "/v1/events" EventStream ? EventsQuery => EventView;
    /// The state of everything, again after each change
    GET "/v1/status/stream" StatusStream => Overview;
}

/// [`Status`] with `brief`: the engine alone, without the lists.
#[derive(Debug, Clone)]
pub struct BriefStatus;

impl ToRequest for BriefStatus {
    type Answer = StatusView;

    fn to_request(&self) -> Result<Request<StatusView>, ClientError> {
        let request = Status { query: StatusQuery { brief: Some(true) } }.to_request()?;
        Ok(request.answered_with())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    fn target(request: &impl ToRequest) -> String {
        request.to_request().map(|request| request.target().to_owned()).expect("a request")
    }

    #[test]
    fn no_two_endpoints_have_the_same_method_and_path() {
        let all: BTreeSet<(&str, &str)> = ALL.iter().map(|one| (one.method.as_str(), one.path)).collect();
        assert_eq!(all.len(), ALL.len());
    }

    #[test]
    fn every_parameter_of_a_path_is_replaced() {
        let id = TaskId(7);
        assert_eq!(target(&TaskWhy { id }), "/v1/tasks/7/why");
        assert_eq!(target(&NoticeShow { seq: 3 }), "/v1/notices/3");
        let name: BatchName = "night-1".parse().expect("a name");
        assert_eq!(target(&BatchShow { name }), "/v1/batches/night-1");
        for one in ALL {
            let names = one.path.split('/').filter(|part| part.starts_with('{'));
            assert!(
                names.clone().count() <= 1 && names.clone().all(|name| ["{id}", "{name}", "{seq}"].contains(&name))
            );
        }
    }

    #[test]
    fn a_query_holds_what_was_given_and_each_value_is_one_value_whatever_it_holds() {
        let query = PatternsQuery {
            task_type: Some("fix".to_owned()),
            project: Some("/a b&c=d".to_owned()),
            label: Some("ü?#".to_owned()),
        };
        assert_eq!(target(&Patterns { query }), "/v1/patterns?type=fix&project=%2Fa%20b%26c%3Dd&label=%C3%BC%3F%23");
        assert_eq!(target(&Patterns { query: PatternsQuery::default() }), "/v1/patterns");
        let query = RunQuery { anyway: Some(true), ..RunQuery::default() };
        assert_eq!(target(&TaskRun { id: TaskId(1), query }), "/v1/tasks/1/run?anyway=true");
        assert_eq!(target(&BriefStatus), "/v1/status?brief=true");
    }

    #[test]
    fn a_body_without_a_json_form_is_an_error_and_not_a_request() {
        use std::os::unix::ffi::OsStringExt;
        let dir = PathBuf::from(std::ffi::OsString::from_vec(vec![0xff]));
        assert!(ProjectTry { body: TryChecks { dir } }.to_request().is_err());
    }
}
