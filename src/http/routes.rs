//! The list of routes. Router and OpenAPI document are made from the same entries, so that neither has anything that
//! the other has not.

use super::openapi::{Operation, get, post};
use super::{ApiState, error, events, health, messages, metrics, openapi, output, status, stream, tasks};
use crate::api::messages::{MessageView, NewMessage};
use crate::api::status::Overview;
use crate::api::stream::StreamEvent;
use crate::api::types::{EventView, NewProject, NewTask, RowsView, TaskView, WhyView};
use crate::domain::ids::TaskId;
use crate::domain::route::RouteResult;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, on};

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
    let routes = about(Routes::default());
    feeds(asking(reading(routes)))
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
        .add(ask("/v1/tasks/{id}/run", "Run it now"), tasks::run)
        .add(ask("/v1/tasks/{id}/retry", "Do it again from the beginning"), tasks::retry)
        .add(ask("/v1/tasks/{id}/interrupt", "End the agent's turn; the conversation is kept"), tasks::interrupt)
        .add(
            post("/v1/tasks/{id}/send", "Say something to its agent; the answer is the receipt")
                .body::<NewMessage>()
                .answer::<MessageView>(),
            messages::send,
        )
        .add(ask("/v1/tasks/{id}/cancel", "Give it up"), tasks::cancel)
        .add(ask("/v1/tasks/{id}/unblock", "Let it go on"), tasks::unblock)
        .add(
            post("/v1/tasks/{id}/route", "Ask the router which agent and model it would get; changes nothing")
                .answer::<RouteResult>(),
            tasks::route,
        )
        .add(
            post("/v1/unblock", "Let everything go on that waits for a person or for other work")
                .answer::<Vec<TaskId>>(),
            tasks::unblock_all,
        )
        .add(post("/v1/projects", "Register a repository").body::<NewProject>().answer::<NewProject>(), tasks::register)
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
