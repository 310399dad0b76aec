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

/// Serves endpoints of the table, each with its handler.
macro_rules! serve {
    ($routes:ident, $($endpoint:ident => $handler:path,)+) => {
        $routes$(.serve::<endpoint::$endpoint, _, _>($handler))+
    };
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
    let routes = Routes::default();
    serve! { routes,
        Healthz => health::healthz,
        Metrics => metrics::metrics,
        OpenApi => openapi::document,
        Status => status::status,
        ChannelList => channels::list,
        Notify => channels::notify,
        NoticeShow => channels::notice,
        Dashboard => dashboard::dashboard,
        Cost => cost::cost,
        Budget => budget::status,
        BudgetRecord => budget::record,
        Patterns => patterns::patterns,
        SampleList => patterns::samples,
        SimilarTasks => patterns::similar,
        TaskList => tasks::list,
        TaskRows => tasks::rows,
        TaskShow => tasks::show,
        TaskWhy => tasks::why,
        TaskMessages => messages::list,
        ProjectList => tasks::projects,
        TaskOutput => output::follow,
        TaskAdd => tasks::add,
        TaskRun => tasks::run,
        TaskRetry => tasks::retry,
        TaskInterrupt => tasks::interrupt,
        TaskSend => messages::send,
        TaskClaim => claims::claim,
        TaskUnclaim => claims::unclaim,
        TaskCancel => tasks::cancel,
        TaskUnblock => tasks::unblock,
        TaskRoute => tasks::route,
        Route => route::ask,
        SampleRecord => recorded::record,
        UnblockAll => tasks::unblock_all,
        ProjectRegister => tasks::register,
        ProjectTry => tasks::try_checks,
        ProjectRemove => tasks::unregister,
        TaskWish => edits::wish,
        TaskEdit => edits::edit,
        MissingDecide => edits::missing,
        TaskDiff => rulings::diff,
        TaskApprove => rulings::approve,
        TaskReject => rulings::reject,
        TaskMerge => rulings::merge,
        TaskRevert => rulings::revert,
        BreakerList => breakers::list,
        BreakerReset => breakers::reset,
        Gc => gc::clean,
        ModelList => models::list,
        ModelResolve => models::resolve,
        ModelCompare => models::compare,
        ModelCheck => models::check,
        SetModelList => set_models::list,
        SetModel => set_models::set,
        ResetModel => set_models::reset,
        SettingsReload => settings::reload,
        Pause => switches::pause,
        Resume => switches::resume,
        Shutdown => switches::shutdown,
        ServiceHistory => switches::history,
        JobList => jobs::list,
        JobAdd => jobs::add,
        JobShow => jobs::show,
        JobEnable => jobs::enable,
        JobDisable => jobs::disable,
        JobRemove => jobs::remove,
        JobRun => jobs::run,
        Upcoming => jobs::upcoming,
        BatchList => batches::list,
        BatchCreate => batches::create,
        BatchShow => batches::show,
        BatchSet => batches::set,
        BatchCancel => batches::cancel,
        TaskStream => stream::follow,
        StreamAll => stream::follow_all,
        EventStream => events::follow,
        StatusStream => status::follow,
    }
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
