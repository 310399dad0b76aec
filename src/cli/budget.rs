//! `orch budget`: shows budgets and what is left of them, and configures how providers are paid.

mod configure;
mod page;

use super::amount::usd;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use clap::Subcommand;
use orch_api::budget::{AccountView, BudgetView, LimitView, RecordSpending};
use orch_api::endpoint;
use orch_core::base::money::Usd;
use orch_core::economics::budget::Level;

/// The commands of `orch budget`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show all accounts and all daily limits
    Status {
        /// Only this account
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Check the budget: exit code 0 ok, 1 degraded, 2 exhausted (64: no answer)
    Check {
        /// The account to check; without it, the best one
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Print the account that work should go to; exit code as for check
    Recommend,
    /// Show how fast money is spent, and how long the rest lasts at that rate
    BurnRate {
        /// Only this account
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Record money spent outside of orch
    Record {
        /// The account
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// The amount in US dollars; without it the amount is unknown, which is not zero
        #[arg(long, value_name = "USD", value_parser = usd, allow_hyphen_values = true)]
        cost: Option<Usd>,
        /// The model that was used
        #[arg(long)]
        model: Option<String>,
        /// What it was spent on
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Set how a provider is paid, and its daily limit
    Configure(configure::Account),
    /// Set the quota of a subscription, and its period
    ConfigurePeriod(configure::Period),
}

/// Runs the subcommand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Status { account } => status(account.as_deref(), context).await,
        Command::Check { account } => answer(check(account.as_deref(), context).await, context),
        Command::Recommend => answer(check(None, context).await, context),
        Command::BurnRate { account } => {
            let (view, now) = (fetch(account.as_deref(), context).await?, context.now());
            let columns = context.ui.columns();
            show(&view.accounts, &page::burn_rates(&view.accounts, &now, columns, context.ui.paint()), context)
        }
        Command::Record { account, cost, model, note } => {
            let said = RecordSpending { account, cost_usd: cost, model, note };
            context.present(&endpoint::BudgetRecord { body: said }, |record, _, _| page::recorded(record)).await
        }
        Command::Configure(account) => configure::account(&account, context).await,
        Command::ConfigurePeriod(period) => configure::period(&period, context).await,
    }
}

/// Converts a level into an exit code. The lowest codes are answers, so an error has another one.
fn answer(level: Result<Level, CliError>, context: &Context) -> Result<Exit, CliError> {
    Ok(match level {
        Ok(level) => Exit::Answer(code(level)),
        Err(error) => {
            context.ui.error(&error);
            Exit::NoAnswer
        }
    })
}

fn code(level: Level) -> u8 {
    match level {
        Level::Ok => 0,
        Level::Degraded => 1,
        Level::Exhausted => 2,
    }
}

async fn fetch(account: Option<&str>, context: &Context) -> Result<BudgetView, CliError> {
    let mut view = context.fetch(&endpoint::Budget).await?;
    if let Some(wanted) = account {
        let known: Vec<String> = view.accounts.iter().map(|account| account.name.clone()).collect();
        view.accounts.retain(|account| account.name == wanted);
        if view.accounts.is_empty() {
            let named = if known.is_empty() {
                "there is none yet".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            return Err(CliError::NotFound {
                message: format!("there is no account {wanted:?}: {named}"),
                hint: Some(format!("orch budget configure {wanted} --billing-type token --daily-budget 50")),
            });
        }
    }
    Ok(view)
}

async fn status(account: Option<&str>, context: &Context) -> Result<Exit, CliError> {
    let view = fetch(account, context).await?;
    let text = page::status(&view, account.is_some(), &context.now(), context.ui.columns(), context.ui.paint());
    match account {
        Some(_) => show(&view.accounts.first(), &text, context),
        None => show(&view, &text, context),
    }
}

/// Prints the state of an account, or of the recommended one, and returns its exit code.
async fn check(account: Option<&str>, context: &Context) -> Result<Level, CliError> {
    let view = fetch(account, context).await?;
    let found = match account {
        Some(_) => view.accounts.first().map(named),
        None => best(&view),
    };
    let (name, state) = match found {
        Some(found) => found,
        None if view.accounts.is_empty() => {
            show(
                &serde_json::json!({ "account": null, "level": "ok", "why": NO_ACCOUNT }),
                &format!("{NO_ACCOUNT}\n"),
                context,
            )?;
            return Ok(Level::Ok);
        }
        None => {
            let why = "every account is exhausted";
            let text = format!("{why}\n{}", page::reasons(&view.accounts));
            show(&serde_json::json!({ "account": null, "level": Level::Exhausted, "why": why }), &text, context)?;
            return Ok(Level::Exhausted);
        }
    };
    let output = serde_json::json!({ "account": name, "level": state.level, "why": state.why });
    show(&output, &page::answer(name, state), context)?;
    Ok(state.level)
}

/// The hint when no account has a limit.
const NO_ACCOUNT: &str = "no account has a limit: `orch budget configure` sets one";

fn named(account: &AccountView) -> (&str, &LimitView) {
    (&account.name, &account.state)
}

/// Returns the daily limit if it is exhausted, and otherwise the recommended account.
fn best(view: &BudgetView) -> Option<(&str, &LimitView)> {
    let day = view.caps.iter().find(|cap| cap.scope == "day").map(|cap| ("day", &cap.state));
    let recommended = view.recommended.as_deref();
    let account = view.accounts.iter().find(|account| Some(account.name.as_str()) == recommended).map(named);
    match (day, account) {
        (Some(day), Some(account)) => Some(if day.1.level > account.1.level { day } else { account }),
        (Some(day), None) if view.accounts.is_empty() || day.1.level == Level::Exhausted => Some(day),
        (Some(_) | None, account) => account,
    }
}

fn show(value: &impl serde::Serialize, text: &str, context: &Context) -> Result<Exit, CliError> {
    if context.ui.is_json() {
        context.ui.json(value)?;
    } else {
        context.ui.data(text)?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
