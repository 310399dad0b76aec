//! The home's own runs for `orch eval routing --history`.

use super::view::HistoryView;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::runtime::single_threaded;
use orch_api::endpoint;
use orch_api::patterns::SampleView;
use orch_api::queries::PatternsQuery;
use orch_core::economics::policy::history::{Judged, Stock, block};
use orch_core::economics::policy::outcomes::Outcomes;
use std::cell::RefCell;

/// Returns the runs that can be replayed.
///
/// # Errors
/// There are too few; the message says what is missing.
pub fn outcomes(context: &Context) -> Result<(Outcomes, HistoryView), CliError> {
    let read = RefCell::new(Vec::new());
    single_threaded(async {
        read.replace(context.fetch(&endpoint::SampleList { query: PatternsQuery::default() }).await?);
        Ok(crate::cli::exit::Exit::Done)
    })?;
    let runs: Vec<Judged> = read.into_inner().into_iter().filter_map(judged).collect();
    match block(&runs) {
        (stock, Some(outcomes)) => Ok((outcomes, view(&stock))),
        (stock, None) => Err(too_little(&stock)),
    }
}

/// A result recorded by hand belongs to no task, so no other model can have tried the same.
fn judged(sample: SampleView) -> Option<Judged> {
    let group =
        sample.project.as_deref().and_then(|dir| dir.file_name()).map(|name| name.to_string_lossy().into_owned());
    let model = match sample.model {
        Some(model) => format!("{}/{model}", sample.agent),
        None => sample.agent,
    };
    Some(Judged {
        task: sample.task_id?.0,
        group: group.unwrap_or_else(|| "all".to_owned()),
        model,
        accepted: sample.accepted,
        cost: sample.cost_usd,
    })
}

fn view(stock: &Stock) -> HistoryView {
    HistoryView {
        runs: stock.runs,
        unpriced: stock.unpriced,
        repeated: stock.repeated,
        tasks_by_model: stock.tasks_by_model.clone(),
    }
}

fn too_little(stock: &Stock) -> CliError {
    let by_model = stock.tasks_by_model.iter().map(|(model, tasks)| format!("{model} on {tasks}"));
    let by_model: Vec<String> = by_model.collect();
    let of_models = match by_model.is_empty() {
        true => String::new(),
        false => format!("; tasks with a priced run: {}", by_model.join(", ")),
    };
    let Stock { runs, unpriced, .. } = stock;
    CliError::Refused {
        message: format!(
            "the history of this home is too small for a replay: {} ({runs} judged runs, {unpriced} of them without a price{of_models})",
            stock.missing().join("; ")
        ),
        hint: Some(
            "orch patterns stats shows the samples; orch eval routing --outcomes FILE replays recorded outcomes"
                .to_owned(),
        ),
    }
}
