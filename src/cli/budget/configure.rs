//! Writes the agreement with a provider to `config.yml`: all of its keys, or none.

use crate::cli::amount::usd;
use crate::cli::config::set::{LOCK, write_all};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings;
use crate::cli::ui::text;
use clap::ValueEnum;
use jiff::civil::Date;
use orch_config::FileKind;
use orch_config::resolved_budget::Account as Agreed;
use orch_config::validate::odd::unknown_account;
use orch_core::economics::budget::{Billing, Unit};
use serde_json::json;

/// Arguments of `orch budget configure`.
#[derive(Debug, clap::Args)]
pub struct Account {
    /// The provider's name, or an agent's
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// How the provider is paid
    #[arg(long, value_enum)]
    billing_type: Option<Kind>,
    /// The daily limit in US dollars; none: no limit
    #[arg(long, value_name = "USD", value_parser = daily, allow_hyphen_values = true)]
    daily_budget: Option<Daily>,
    /// Accounts with lower numbers are recommended first
    #[arg(long, allow_hyphen_values = true)]
    priority: Option<i64>,
}

/// Arguments of `orch budget configure-period`.
#[derive(Debug, clap::Args)]
pub struct Period {
    /// The provider's name, or an agent's
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// The first day: 2026-02-01
    #[arg(long, value_name = "DATE")]
    start: Date,
    /// The day after the last one: 2026-03-01
    #[arg(long, value_name = "DATE")]
    end: Date,
    /// The quota
    #[arg(long, value_name = "NUMBER")]
    allowance: u64,
    /// The unit of the quota
    #[arg(long, value_enum)]
    unit: Option<Counted>,
    /// Percentage of the quota that is reserved for you: 20 or 20%
    #[arg(long, value_name = "PERCENT", value_parser = percent, allow_hyphen_values = true)]
    reserve: Option<u8>,
}

/// [`Billing`], as a command-line value.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// By usage
    Token,
    /// In advance, for a period
    Subscription,
}

/// [`Unit`], as a command-line value.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Counted {
    /// Dollars
    Usd,
    /// Runs
    Requests,
}

#[derive(Debug, Clone)]
struct Daily(String);

fn daily(text: &str) -> Result<Daily, String> {
    if text == "none" {
        return Ok(Daily("null".to_owned()));
    }
    let dollars = usd(text)?;
    Ok(Daily(dollars.dollars().to_string()))
}

/// Parses a percentage, with or without its sign.
fn percent(text: &str) -> Result<u8, String> {
    let plain = text.strip_suffix('%').map_or(text, str::trim_end);
    let percent = plain.parse::<u8>().ok().filter(|percent| *percent < 100);
    percent.ok_or_else(|| "expected percent from 0 to 99, as 20 or 20%".to_owned())
}

/// Writes how an account is paid.
pub async fn account(said: &Account, context: &Context) -> Result<Exit, CliError> {
    if said.billing_type.is_none() && said.daily_budget.is_none() && said.priority.is_none() {
        let hint = format!(
            "give at least one of --billing-type, --daily-budget, --priority; orch budget status {} shows the present agreement",
            said.account
        );
        return Err(CliError::usage("no option was given, and nothing was written", &hint));
    }
    let known = agreed(&said.account, context)?;
    let before = known.as_ref().map_or(Billing::Token, |known| known.billing_type);
    let after = said.billing_type.map_or(before, |kind| match kind {
        Kind::Token => Billing::Token,
        Kind::Subscription => Billing::Subscription,
    });
    let mut changes = vec![("billing_type", after.as_str().to_owned())];
    // The keys of the other kind of agreement are removed.
    let is_there = |key: &str| match (&known, key) {
        (Some(known), "daily_budget") => known.daily_budget.is_some(),
        (Some(known), "start") => known.start.is_some(),
        (Some(known), "end") => known.end.is_some(),
        (Some(known), "allowance") => known.allowance.is_some(),
        (Some(_) | None, _) => false,
    };
    let gone: &[&'static str] = match after {
        Billing::Token => &["start", "end", "allowance"],
        Billing::Subscription => &["daily_budget"],
    };
    changes.extend(gone.iter().filter(|key| is_there(key)).map(|key| (*key, "null".to_owned())));
    changes.extend(said.daily_budget.as_ref().map(|Daily(value)| ("daily_budget", value.clone())));
    changes.extend(said.priority.map(|priority| ("priority", priority.to_string())));
    write(&said.account, &changes, context).await
}

/// Writes a period.
pub async fn period(said: &Period, context: &Context) -> Result<Exit, CliError> {
    let known = agreed(&said.account, context)?;
    if known.is_none_or(|known| known.billing_type != Billing::Subscription) {
        let message = format!("{} is not a subscription: only one has a period", said.account);
        return Err(CliError::usage(
            message,
            &format!("orch budget configure {} --billing-type subscription", said.account),
        ));
    }
    let mut changes = vec![
        ("start", said.start.to_string()),
        ("end", said.end.to_string()),
        ("allowance", said.allowance.to_string()),
    ];
    changes.extend(said.unit.map(|unit| {
        let unit = match unit {
            Counted::Usd => Unit::Usd,
            Counted::Requests => Unit::Requests,
        };
        ("unit", unit.as_str().to_owned())
    }));
    changes.extend(said.reserve.map(|reserve| ("reserve_percent", reserve.to_string())));
    write(&said.account, &changes, context).await
}

fn agreed(account: &str, context: &Context) -> Result<Option<Agreed>, CliError> {
    let home = context.setup()?.home;
    let config = settings::global(context, &home)?.config;
    Ok(config.budget.accounts.get(account).cloned())
}

async fn write(account: &str, changes: &[(&'static str, String)], context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    orch_sys::fs::create_dir_private(home.root())?;
    let keyed: Vec<(String, &str)> =
        changes.iter().map(|(key, value)| (format!("budget.accounts.{account}.{key}"), value.as_str())).collect();
    let keyed: Vec<(&str, &str)> = keyed.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let path = home.config_file();
    let changed = write_all(&path, FileKind::Global, &home.state().join(LOCK), &keyed)?;
    settings::notify_daemon(context).await?;
    if context.ui.is_json() {
        let values: serde_json::Map<_, _> =
            changes.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        context.ui.json(&json!({ "file": path, "account": account, "set": values, "changed": changed }))?;
    } else {
        let place = path.to_string_lossy();
        for (key, value) in changes {
            let (account, value) = (text::line(account), text::line(value));
            context.ui.data(&format!("budget.accounts.{account}.{key} is {value} in {}\n", text::line(&place)))?;
        }
    }
    if let Some(warning) = unknown_account(account, &settings::global(context, &home)?.config) {
        context.ui.warning(&format!("budget.accounts.{}: {warning}", text::line(account)));
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn a_percentage_may_have_its_sign() {
        for said in ["20", "20%", "20 %"] {
            assert_eq!(percent(said), Ok(20), "{said}");
        }
        for said in ["", "%", "100", "100%", "-1", "0.2", "20%%", "20 percent"] {
            assert!(percent(said).is_err(), "{said}");
        }
    }
}
