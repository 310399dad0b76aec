//! The routes: each endpoint of the table with the handler that serves it.

use super::read::Reads;
use super::{
    ApiState, batches, breakers, budget, channels, claims, cost, dashboard, edits, error, events, gc, health, jobs,
    messages, metrics, models, openapi, output, patterns, recorded, route, rulings, set_models, settings, status,
    stream, switches, tasks,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use orch_api::endpoint::{self, Description, Endpoint};

/// The largest body that is read, in bytes: the longest task that a person writes, many times over.
pub const LARGEST_BODY: usize = 2 << 20;

/// The router under construction, and the endpoints that it serves so far.
#[derive(Default)]
struct Routes {
    router: Router<ApiState>,
    operations: Vec<Description>,
}

impl Routes {
    /// Serves an endpoint with a handler that reads nothing but what the table says.
    fn serve<E, H, T>(mut self, handler: H) -> Self
    where
        E: Endpoint,
        H: Handler<T, ApiState>,
        T: Reads<E> + 'static,
    {
        let endpoint = E::DESCRIPTION;
        let method = MethodFilter::try_from(endpoint.method.clone()).expect("the table has methods that axum knows");
        self.router = self.router.route(endpoint.path, on(method, handler));
        self.operations.push(endpoint);
        self
    }
}

/// Returns the router of all endpoints.
pub fn router(state: ApiState) -> Router {
    all()
        .router
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(state)
}

/// The endpoints that the router serves.
pub fn operations() -> Vec<Description> {
    all().operations
}

fn all() -> Routes {
    let routes = channel_routes(process_routes(Routes::default()));
    stream_routes(batch_routes(job_routes(control_routes(breaker_routes(review_routes(edit_routes(request_routes(
        query_routes(routes),
    ))))))))
}

fn process_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::Healthz, _, _>(health::healthz)
        .serve::<endpoint::Metrics, _, _>(metrics::metrics)
        .serve::<endpoint::OpenApi, _, _>(openapi::document)
        .serve::<endpoint::Status, _, _>(status::status)
}

fn channel_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::ChannelList, _, _>(channels::list)
        .serve::<endpoint::Notify, _, _>(channels::notify)
        .serve::<endpoint::NoticeShow, _, _>(channels::notice)
}

fn query_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::Dashboard, _, _>(dashboard::dashboard)
        .serve::<endpoint::Cost, _, _>(cost::cost)
        .serve::<endpoint::Budget, _, _>(budget::status)
        .serve::<endpoint::BudgetRecord, _, _>(budget::record)
        .serve::<endpoint::Patterns, _, _>(patterns::patterns)
        .serve::<endpoint::SampleList, _, _>(patterns::samples)
        .serve::<endpoint::SimilarTasks, _, _>(patterns::similar)
        .serve::<endpoint::TaskList, _, _>(tasks::list)
        .serve::<endpoint::TaskRows, _, _>(tasks::rows)
        .serve::<endpoint::TaskShow, _, _>(tasks::show)
        .serve::<endpoint::TaskWhy, _, _>(tasks::why)
        .serve::<endpoint::TaskMessages, _, _>(messages::list)
        .serve::<endpoint::ProjectList, _, _>(tasks::projects)
        .serve::<endpoint::TaskOutput, _, _>(output::follow)
}

fn request_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::TaskAdd, _, _>(tasks::add)
        .serve::<endpoint::TaskRun, _, _>(tasks::run)
        .serve::<endpoint::TaskRetry, _, _>(tasks::retry)
        .serve::<endpoint::TaskInterrupt, _, _>(tasks::interrupt)
        .serve::<endpoint::TaskSend, _, _>(messages::send)
        .serve::<endpoint::TaskClaim, _, _>(claims::claim)
        .serve::<endpoint::TaskUnclaim, _, _>(claims::unclaim)
        .serve::<endpoint::TaskCancel, _, _>(tasks::cancel)
        .serve::<endpoint::TaskUnblock, _, _>(tasks::unblock)
        .serve::<endpoint::TaskRoute, _, _>(tasks::route)
        .serve::<endpoint::Route, _, _>(route::ask)
        .serve::<endpoint::SampleRecord, _, _>(recorded::record)
        .serve::<endpoint::UnblockAll, _, _>(tasks::unblock_all)
        .serve::<endpoint::ProjectRegister, _, _>(tasks::register)
        .serve::<endpoint::ProjectTry, _, _>(tasks::try_checks)
        .serve::<endpoint::ProjectRemove, _, _>(tasks::unregister)
}

fn edit_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::TaskWish, _, _>(edits::wish)
        .serve::<endpoint::TaskEdit, _, _>(edits::edit)
        .serve::<endpoint::MissingDecide, _, _>(edits::missing)
}

fn review_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::TaskDiff, _, _>(rulings::diff)
        .serve::<endpoint::TaskApprove, _, _>(rulings::approve)
        .serve::<endpoint::TaskReject, _, _>(rulings::reject)
        .serve::<endpoint::TaskMerge, _, _>(rulings::merge)
        .serve::<endpoint::TaskRevert, _, _>(rulings::revert)
}

fn breaker_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::BreakerList, _, _>(breakers::list)
        .serve::<endpoint::BreakerReset, _, _>(breakers::reset)
        .serve::<endpoint::Gc, _, _>(gc::clean)
}

fn control_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::ModelList, _, _>(models::list)
        .serve::<endpoint::ModelResolve, _, _>(models::resolve)
        .serve::<endpoint::ModelCompare, _, _>(models::compare)
        .serve::<endpoint::SetModelList, _, _>(set_models::list)
        .serve::<endpoint::SetModel, _, _>(set_models::set)
        .serve::<endpoint::ResetModel, _, _>(set_models::reset)
        .serve::<endpoint::SettingsReload, _, _>(settings::reload)
        .serve::<endpoint::Pause, _, _>(switches::pause)
        .serve::<endpoint::Resume, _, _>(switches::resume)
        .serve::<endpoint::Shutdown, _, _>(switches::shutdown)
        .serve::<endpoint::ServiceHistory, _, _>(switches::history)
}

fn job_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::JobList, _, _>(jobs::list)
        .serve::<endpoint::JobAdd, _, _>(jobs::add)
        .serve::<endpoint::JobShow, _, _>(jobs::show)
        .serve::<endpoint::JobEnable, _, _>(jobs::enable)
        .serve::<endpoint::JobDisable, _, _>(jobs::disable)
        .serve::<endpoint::JobRemove, _, _>(jobs::remove)
        .serve::<endpoint::JobRun, _, _>(jobs::run)
        .serve::<endpoint::Upcoming, _, _>(jobs::upcoming)
}

fn batch_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::BatchList, _, _>(batches::list)
        .serve::<endpoint::BatchCreate, _, _>(batches::create)
        .serve::<endpoint::BatchShow, _, _>(batches::show)
        .serve::<endpoint::BatchSet, _, _>(batches::set)
        .serve::<endpoint::BatchCancel, _, _>(batches::cancel)
}

fn stream_routes(routes: Routes) -> Routes {
    routes
        .serve::<endpoint::TaskStream, _, _>(stream::follow)
        .serve::<endpoint::StreamAll, _, _>(stream::follow_all)
        .serve::<endpoint::EventStream, _, _>(events::follow)
        .serve::<endpoint::StatusStream, _, _>(status::follow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_endpoint_of_the_table_is_served_and_no_other() {
        let keys = |all: &[Description]| -> BTreeSet<(String, &str)> {
            all.iter().map(|one| (one.method.to_string(), one.path)).collect()
        };
        assert_eq!(keys(&operations()), keys(endpoint::ALL));
    }
}
