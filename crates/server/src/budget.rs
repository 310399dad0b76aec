//! Answers what may be spent, and what is left of it.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::read::Body;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orch_api::budget::{AccountView, BudgetView, CapView, RecordSpending, RecordView};
use orch_api::error::ErrorCode;
use orch_core::base::money::Usd;
use orch_core::economics::budget::{Record, RunInFlight, Scope, SpendLedger, burn, recommend, standings};
use orch_core::planning::plan::directory;

/// The longest note, in characters.
const MAX_NOTE: usize = 2_000;

/// Returns the state of everything that has a limit.
pub async fn status(State(state): State<ApiState>) -> Result<Json<BudgetView>, ApiError> {
    let view = state.engine.snapshot().await?;
    if let Some(problem) = &view.settings.unread {
        let hint = Some("orch config validate");
        return Err(ApiError::new(ErrorCode::Usage, format!("what may be spent is not known: {problem}"), hint));
    }
    let (zone, config) = (TimeZone::system(), &view.settings.config);
    let (rules, payees) = (config.budget.rules(), config.payees());
    let today = view.now.to_zoned(zone.clone()).date();
    let since = rules.since(today).to_zoned(zone.clone()).map_or(Timestamp::UNIX_EPOCH, |start| start.timestamp());
    let charges = state.engine.charges_since(Some(since)).await?;
    let records = state.engine.spends_since(since).await?;
    let mut book = SpendLedger::default();
    book.enter(&payees, view.only_project(), &charges, &records, &zone);
    let dirs: Vec<_> = view.projects.iter().map(|project| project.dir.clone()).collect();
    let of_run = |run| -> Option<&std::path::Path> {
        let task = view.tasks.get(run)?;
        directory(task, &dirs).ok()
    };
    let in_flight: Vec<RunInFlight<'_>> = view
        .live_runs
        .iter()
        .map(|run| RunInFlight {
            agent: run.agent.as_str(),
            model: run.model.as_deref(),
            project: of_run(&run.task),
            reserved: run.reserved,
            has_ended: false,
        })
        .collect();
    let all = standings(&rules, &payees, &book, &in_flight, view.now, &zone);
    let of_account = |wanted: &str| {
        let found = all.iter().find(|(scope, _)| *scope == Scope::Account(wanted.to_owned()));
        found.map(|(_, standing)| standing.clone())
    };
    let accounts = rules.accounts.iter().filter_map(|(name, account)| {
        let standing = of_account(name)?;
        let burn = burn(&rules, name, &standing, &book, view.now, &zone);
        Some(AccountView::new(name, account, standing, burn))
    });
    let caps = all.iter().filter(|(scope, _)| !matches!(scope, Scope::Account(_)));
    let recommended = recommend(&rules, &|name| of_account(name));
    Ok(Json(BudgetView {
        accounts: accounts.collect(),
        caps: caps.map(|(scope, standing)| CapView::new(scope, standing.clone())).collect(),
        recommended: recommended.map(|(name, _)| name.to_owned()),
    }))
}

/// Writes down what was spent beside orch's runs.
pub async fn record(Caller(state): Caller, Body(said): Body<RecordSpending>) -> Result<Json<RecordView>, ApiError> {
    let invalid = |message: String, hint: &str| Err(ApiError::new(ErrorCode::Usage, message, Some(hint)));
    let view = state.engine.snapshot().await?;
    let RecordSpending { account, cost_usd, model, note } = said;
    if !view.settings.config.budget.accounts.contains_key(&account) {
        let hint = format!("orch budget configure {account} --billing-type token");
        let message = format!("there is no account {account:?}: nothing is agreed with it");
        return Err(ApiError::new(ErrorCode::NotFound, message, Some(&hint)));
    }
    if cost_usd.is_some_and(|cost| cost < Usd::ZERO) {
        return invalid("an amount that was spent is not below 0".to_owned(), "orch budget record NAME --cost 3.50");
    }
    if note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        return invalid(format!("the note is longer than {MAX_NOTE} characters"), "say it in fewer words");
    }
    let record = Record { account, at: view.now, cost: cost_usd, model, note };
    Ok(Json(RecordView::from(state.engine.record_spending(record).await?)))
}
