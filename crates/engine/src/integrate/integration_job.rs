//! The job that integrates the work of a task: what failed and passes is tried again, until it is called off.

use crate::deps::job_key::JobKey;
use crate::deps::task_context::TaskContext;
use crate::integrate;
use crate::job::report::Report;
use crate::verify::overruled;
use orch_core::base::external::StepProblem;
use orch_core::base::ids::RunId;
use orch_core::tasks::event::IntegrationProblem;
use orch_core::tasks::evidence::Integration;
use orch_core::tasks::task::OrderKind;

/// Integrates the work of a run, unless that is called off before the base moves.
pub(crate) async fn integrate(cx: &TaskContext, run: RunId) -> Report {
    let TaskContext { deps, task, .. } = cx;
    let called_off = deps.ledger.prepare(&run);
    let integrated = called_off.run_until_cancelled(try_to_integrate(cx, &run)).await;
    let Some(result) = integrated else {
        integrate::clear(cx, &run).await;
        return Report::Nothing;
    };
    let order = task.order().cloned();
    let by_person = order.as_ref().is_some_and(|order| order.kind != OrderKind::Approve);
    // What a person wants on the base, or off it, says nothing of the run.
    let failure = if let Err(IntegrationProblem::Work(failure)) = &result { Some(failure) } else { None };
    let record = failure.filter(|_| !by_person).and_then(|failure| overruled(deps, &run, failure));
    Report::Integrated { run, order, result, record }
}

/// Integrates, and tries again what failed and passes.
async fn try_to_integrate(cx: &TaskContext, run: &RunId) -> Result<Integration, IntegrationProblem> {
    let deps = &cx.deps;
    let mut patience = deps.obstacles.patience(&*deps.clock, &JobKey::Integrate(run.clone()), Some(cx.task.id));
    loop {
        let result = integrate::integrate(cx, run).await;
        let problem = match &result {
            Err(IntegrationProblem::Ask(question)) => StepProblem::Ask(question.clone()),
            Err(IntegrationProblem::External(failure)) => StepProblem::External(failure.clone()),
            Err(IntegrationProblem::Work(_) | IntegrationProblem::Wait(_) | IntegrationProblem::Red { .. }) | Ok(_) => {
                return result;
            }
        };
        if !patience.is_again(&problem).await {
            return result;
        }
    }
}
