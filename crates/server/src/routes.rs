//! The list of routes. Router and OpenAPI document are made from the same entries, so that neither has anything that
//! the other has not.

use super::openapi::{Operation, get, patch, post};
use super::{
    ApiState, batches, breakers, budget, channels, claims, cost, dashboard, edits, error, events, gc, health, jobs,
    messages, metrics, openapi, output, patterns, recorded, route, rulings, set_models, settings, status, stream,
    switches, tasks,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, on};
use orch_api::batches::{BatchView, CancelBatch, NewBatch, SetBatch};
use orch_api::breakers::{BreakerView, ResetBreakers};
use orch_api::budget::{BudgetView, RecordSpending, RecordView};
use orch_api::channels::{ChannelView, NewNotice, NoticeView};
use orch_api::claims::NewClaim;
use orch_api::cost::CostView;
use orch_api::dashboard::DashboardView;
use orch_api::edits::{DecideMissing, EditTask, TaskFields};
use orch_api::gc::{CleanUp, GcReport};
use orch_api::jobs::{FiringView, JobView, NewJob, UpcomingView};
use orch_api::messages::{MessageView, NewMessage};
use orch_api::patterns::{NewSample, PatternsView, SampleView, SimilarView};
use orch_api::route::{RouteQuestion, RouteView};
use orch_api::rulings::{Accept, DiffView, Reject};
use orch_api::set_models::{NewSetModel, SetModelView, SetModelsView};
use orch_api::settings::ReloadView;
use orch_api::status::Overview;
use orch_api::stream::StreamEvent;
use orch_api::switches::{NewPause, PausesView, ShutdownOrder, ShutdownView};
use orch_api::types::{EventView, NewProject, NewTask, RemoveProject, RowsView, TaskView, TryChecks, WhyView};
use orch_core::evidence::Check;
use orch_core::ids::TaskId;
use orch_core::route::RouteResult;
use orch_core::service::ServiceEntry;

/// The largest body that is read, in bytes: the longest task that a person writes, many times over.
pub const LARGEST_BODY: usize = 2 << 20;

/// Routes with what the document says of them.
#[derive(Default)]
struct Routes {
    router: Router<ApiState>,
    operations: Vec<Operation>,
}

impl Routes {
    fn add<H: Handler<T, ApiState>, T: 'static>(mut self, operation: Operation, handler: H) -> Self {
        let route: MethodRouter<ApiState> = on(operation.method.filter(), handler);
        self.router = self.router.route(operation.path, route);
        self.operations.push(operation);
        self
    }
}

/// The router.
pub fn router(state: ApiState) -> Router {
    all()
        .router
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(state)
}

/// What the document says.
pub fn operations() -> Vec<Operation> {
    all().operations
}

fn all() -> Routes {
    let routes = telling(about(Routes::default()));
    feeds(of_batches(recurring(switching(of_breakers(ruling(editing(asking(reading(routes)))))))))
}

fn telling(routes: Routes) -> Routes {
    routes
        .add(
            get("/v1/channels", "The ways to the person: how they fare, what waits, what was given up")
                .answer::<Vec<ChannelView>>(),
            channels::list,
        )
        .add(
            post("/v1/notices", "Say something in the channels; answers before it is said")
                .body::<NewNotice>()
                .answer::<Vec<NoticeView>>(),
            channels::notify,
        )
        .add(
            get("/v1/notices/{seq}", "What became of a line of the history in the channels")
                .answer::<Vec<NoticeView>>(),
            channels::notice,
        )
}

fn editing(routes: Routes) -> Routes {
    routes
        .add(
            get("/v1/tasks/{id}/wish", "What is wanted of a task, as tasks.yml has it").answer::<TaskFields>(),
            edits::wish,
        )
        .add(
            patch("/v1/tasks/{id}", "Change what is wanted of a task").body::<EditTask>().answer::<TaskView>(),
            edits::edit,
        )
        .add(
            post("/v1/missing", "Decide about open tasks that tasks.yml has lost; answers which they are")
                .body::<DecideMissing>()
                .answer::<Vec<TaskView>>(),
            edits::missing,
        )
}

fn of_batches(routes: Routes) -> Routes {
    routes
        .add(
            get("/v1/batches", "Batches that are open, and the last that have ended, without their rows")
                .answer::<Vec<BatchView>>(),
            batches::list,
        )
        .add(
            post("/v1/batches", "Make a batch of tasks that are not over; whole or not at all")
                .body::<NewBatch>()
                .answer::<BatchView>(),
            batches::create,
        )
        .add(
            get("/v1/batches/{name}", "The newest batch of a name, with its tasks").answer::<BatchView>(),
            batches::show,
        )
        .add(
            patch("/v1/batches/{name}", "Change its concurrency or its budget")
                .body::<SetBatch>()
                .answer::<BatchView>(),
            batches::set,
        )
        .add(
            post("/v1/batches/{name}/cancel", "Give up what is not over of it; finished work stays")
                .body::<CancelBatch>()
                .answer::<BatchView>(),
            batches::cancel,
        )
}

fn about(routes: Routes) -> Routes {
    routes
        .add(get("/healthz", "200 while the engine's loop answers, else 503").text("text/plain"), health::healthz)
        .add(get("/metrics", "Figures for Prometheus, text format 0.0.4").text("text/plain"), metrics::metrics)
        .add(get("/v1/openapi.json", "This document").text("application/json"), openapi::document)
        .add(
            get("/v1/status", "How things stand; with brief=true the engine alone, without the lists")
                .query::<status::Wanted>()
                .answer::<Overview>(),
            status::status,
        )
}

fn reading(routes: Routes) -> Routes {
    routes
        .add(
            get("/v1/dashboard", "The state of everything, or of the tasks of one batch, on one screen")
                .query::<dashboard::Wanted>()
                .answer::<DashboardView>(),
            dashboard::dashboard,
        )
        .add(
            get("/v1/cost", "What was spent, by task, agent, model, project or day")
                .query::<cost::Wanted>()
                .answer::<CostView>(),
            cost::cost,
        )
        .add(get("/v1/budget", "What may be spent, and what is left of it").answer::<BudgetView>(), budget::status)
        .add(
            post("/v1/budget/records", "Write down what was spent beside orch's runs")
                .body::<RecordSpending>()
                .answer::<RecordView>(),
            budget::record,
        )
        .add(
            get("/v1/patterns", "How agents and models have done, and whom that speaks for")
                .query::<patterns::Wanted>()
                .answer::<PatternsView>(),
            patterns::patterns,
        )
        .add(
            get("/v1/patterns/samples", "Every run that was judged, in the order of their ends")
                .query::<patterns::Wanted>()
                .answer::<Vec<SampleView>>(),
            patterns::samples,
        )
        .add(
            get("/v1/patterns/similar", "Tasks of the past that are like a text, and how they went")
                .query::<patterns::Like>()
                .answer::<Vec<SimilarView>>(),
            patterns::similar,
        )
        .add(get("/v1/tasks", "All tasks, without their runs and evidence").answer::<Vec<TaskView>>(), tasks::list)
        .add(
            get("/v1/rows", "Tasks as small rows: all that are not settled, and settled ones as wanted")
                .query::<tasks::WantedRows>()
                .answer::<RowsView>(),
            tasks::rows,
        )
        .add(get("/v1/tasks/{id}", "A task with its runs and evidence").answer::<TaskView>(), tasks::show)
        .add(get("/v1/tasks/{id}/why", "Why it does not move, and what moves it on").answer::<WhyView>(), tasks::why)
        .add(
            get("/v1/tasks/{id}/messages", "What was said to its agents, and whether they have it")
                .answer::<Vec<MessageView>>(),
            messages::list,
        )
        .add(get("/v1/projects", "The registered repositories").answer::<Vec<NewProject>>(), tasks::projects)
        .add(
            get("/v1/tasks/{id}/output", "A run's transcript as plain text, followed to the end of the run")
                .query::<output::Wanted>()
                .text("text/plain"),
            output::follow,
        )
}

fn asking(routes: Routes) -> Routes {
    let ask = |path, summary| post(path, summary).answer::<TaskView>();
    routes
        .add(post("/v1/tasks", "Add a task").body::<NewTask>().answer::<TaskView>(), tasks::add)
        .add(ask("/v1/tasks/{id}/run", "Run it now").query::<tasks::WantedRun>(), tasks::run)
        .add(ask("/v1/tasks/{id}/retry", "Do it again from the beginning").query::<tasks::Seen>(), tasks::retry)
        .add(
            ask("/v1/tasks/{id}/interrupt", "End the agent's turn; the conversation is kept").query::<tasks::Seen>(),
            tasks::interrupt,
        )
        .add(
            post("/v1/tasks/{id}/send", "Say something to its agent; the answer is the receipt")
                .body::<NewMessage>()
                .answer::<MessageView>(),
            messages::send,
        )
        .add(
            ask("/v1/tasks/{id}/claim", "Claim it; refused where somebody else has it").body::<NewClaim>(),
            claims::claim,
        )
        .add(
            ask("/v1/tasks/{id}/unclaim", "Let go of it; refused where somebody else has it").body::<NewClaim>(),
            claims::unclaim,
        )
        .add(ask("/v1/tasks/{id}/cancel", "Give it up").query::<tasks::Seen>(), tasks::cancel)
        .add(ask("/v1/tasks/{id}/unblock", "Let it go on").query::<tasks::Seen>(), tasks::unblock)
        .add(
            post("/v1/tasks/{id}/route", "Ask the router which agent and model it would get; changes nothing")
                .answer::<RouteResult>(),
            tasks::route,
        )
        .add(
            post("/v1/route", "Ask what a task that there is not would get, and likely cost; changes nothing")
                .body::<RouteQuestion>()
                .answer::<RouteView>(),
            route::ask,
        )
        .add(
            post("/v1/patterns/samples", "Record a sample by hand; refused to agents")
                .body::<NewSample>()
                .answer::<SampleView>(),
            recorded::record,
        )
        .add(
            post("/v1/unblock", "Let everything go on that waits for a person or for other work")
                .answer::<Vec<TaskId>>(),
            tasks::unblock_all,
        )
        .add(post("/v1/projects", "Register a repository").body::<NewProject>().answer::<NewProject>(), tasks::register)
        .add(
            post("/v1/projects/try", "Run its checks on its base branch, each once, in a fresh checkout")
                .body::<TryChecks>()
                .answer::<Vec<Check>>(),
            tasks::try_checks,
        )
        .add(
            post("/v1/projects/remove", "Forget a registered repository; its tasks stay")
                .body::<RemoveProject>()
                .answer::<NewProject>(),
            tasks::unregister,
        )
}

fn ruling(routes: Routes) -> Routes {
    routes
        .add(
            get("/v1/tasks/{id}/diff", "What its branch would change, or has changed; with stat=true only the figures")
                .query::<rulings::WantedDiff>()
                .answer::<DiffView>(),
            rulings::diff,
        )
        .add(
            post("/v1/tasks/{id}/approve", "Accept its work as it is at a commit; refused to agents")
                .body::<Accept>()
                .answer::<TaskView>(),
            rulings::approve,
        )
        .add(
            post("/v1/tasks/{id}/reject", "Send its work back to its author, with a reason; refused to agents")
                .body::<Reject>()
                .answer::<TaskView>(),
            rulings::reject,
        )
        .add(
            post("/v1/tasks/{id}/merge", "Merge its branch now, tested; refused to agents")
                .body::<Accept>()
                .answer::<TaskView>(),
            rulings::merge,
        )
        .add(
            post("/v1/tasks/{id}/revert", "Take its merge back by a commit, tested; refused to agents")
                .answer::<TaskView>(),
            rulings::revert,
        )
}

fn of_breakers(routes: Routes) -> Routes {
    routes
        .add(
            get("/v1/breakers", "Circuit breakers that have seen failures").answer::<Vec<BreakerView>>(),
            breakers::list,
        )
        .add(
            post(
                "/v1/breakers/reset",
                "Close a breaker by hand, or all, and leave its agent alone no longer; the answer is their names",
            )
            .body::<ResetBreakers>()
            .answer::<Vec<String>>(),
            breakers::reset,
        )
        .add(
            post("/v1/gc", "Remove worktrees whose work is elsewhere too; with dry_run tell which")
                .body::<CleanUp>()
                .answer::<GcReport>(),
            gc::clean,
        )
}

fn switching(routes: Routes) -> Routes {
    routes
        .add(
            get("/v1/models/set", "Models that are set for the daemon's lifetime").answer::<Vec<SetModelView>>(),
            set_models::list,
        )
        .add(
            post("/v1/models/set", "Set the model of a project's or an agent's work; refused to agents")
                .body::<NewSetModel>()
                .answer::<SetModelsView>(),
            set_models::set,
        )
        .add(
            post("/v1/models/reset", "Take back what was set; refused to agents")
                .body::<NewSetModel>()
                .answer::<SetModelsView>(),
            set_models::reset,
        )
        .add(
            post("/v1/settings/reload", "Take over what the files of the settings say now; answers when that is done")
                .answer::<ReloadView>(),
            settings::reload,
        )
        .add(
            post("/v1/pause", "Nothing new starts there; agents at work go on")
                .body::<NewPause>()
                .answer::<PausesView>(),
            switches::pause,
        )
        .add(post("/v1/resume", "It goes on there").body::<NewPause>().answer::<PausesView>(), switches::resume)
        .add(
            post("/v1/shutdown", "The daemon leaves: at once, when all is finished, or with its agents interrupted")
                .body::<ShutdownOrder>()
                .answer::<ShutdownView>(),
            switches::shutdown,
        )
        .add(
            get("/v1/service/history", "The starts and ends of the daemon, oldest first")
                .query::<switches::WantedHistory>()
                .answer::<Vec<ServiceEntry>>(),
            switches::history,
        )
}

fn recurring(routes: Routes) -> Routes {
    let ask = |path, summary| post(path, summary).answer::<JobView>();
    routes
        .add(get("/v1/jobs", "All jobs, each with its last firing").answer::<Vec<JobView>>(), jobs::list)
        .add(post("/v1/jobs", "Add a job to jobs.yml").body::<NewJob>().answer::<JobView>(), jobs::add)
        .add(get("/v1/jobs/{id}", "A job with its last firings").answer::<JobView>(), jobs::show)
        .add(ask("/v1/jobs/{id}/enable", "It fires again, from now on"), jobs::enable)
        .add(ask("/v1/jobs/{id}/disable", "It does not fire"), jobs::disable)
        .add(ask("/v1/jobs/{id}/remove", "Take it out of jobs.yml; answers what it was"), jobs::remove)
        .add(post("/v1/jobs/{id}/run", "Fire it now, whatever its schedule says").answer::<FiringView>(), jobs::run)
        .add(
            get("/v1/upcoming", "When jobs fire next, in the order of time")
                .query::<jobs::WantedTimes>()
                .answer::<Vec<UpcomingView>>(),
            jobs::upcoming,
        )
}

fn feeds(routes: Routes) -> Routes {
    routes
        .add(
            get("/v1/tasks/{id}/stream", "The output of a task, run after run, until it is at rest")
                .query::<stream::Wanted>()
                .events::<StreamEvent>(),
            stream::follow,
        )
        .add(
            get("/v1/stream", "The output of all running tasks").query::<stream::Wanted>().events::<StreamEvent>(),
            stream::follow_all,
        )
        .add(
            get("/v1/events", "The history: what was missed, then what happens")
                .query::<events::Wanted>()
                .events::<EventView>(),
            events::follow,
        )
        .add(get("/v1/status/stream", "How things stand, again after each change").events::<Overview>(), status::follow)
}
