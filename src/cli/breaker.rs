//! `orch breaker`: shows circuit breakers, and closes them by hand.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::paint::Paint;
use super::ui::table::{Column, Width, cell, render};
use super::ui::time::Now;
use clap::Subcommand;
use orch_api::breakers::{BreakerView, ResetBreakers};
use orch_api::endpoint;
use orch_core::planning::breaker::StateName;

/// The commands of `orch breaker`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the breakers that have counted failures
    #[command(visible_alias = "ls")]
    List,
    /// Close one breaker, or all of them and all agents' cooldowns: what they hold starts at once
    Reset {
        /// Its name, as listed: agent:claude
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
}

const HEAD: [Column; 5] = [
    Column::new("breaker", Width::Rest(20)),
    Column::new("state", Width::Whole),
    Column::number("failures"),
    Column::new("until", Width::Whole),
    Column::new("the last failure", Width::Rest(20)),
];

/// Runs the subcommand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::List => {
            let columns = context.ui.columns();
            let text = |breakers: &Vec<BreakerView>, now: &Now, paint| listed(breakers, now, columns, paint);
            context.present(&endpoint::BreakerList, text).await
        }
        Command::Reset { name } => reset(name, context).await,
    }
}

fn listed(breakers: &[BreakerView], now: &Now, columns: usize, paint: Paint) -> String {
    if breakers.is_empty() {
        return "no breaker has counted failures\n".to_owned();
    }
    let rows: Vec<_> = breakers
        .iter()
        .map(|breaker| {
            [
                cell(breaker.name.as_str()),
                cell(breaker.state.as_str()),
                cell(breaker.failures.to_string()),
                cell(breaker.until.map(|until| now.local(until)).unwrap_or_default()),
                cell(breaker.detail.as_str()),
            ]
        })
        .collect();
    render(&HEAD, &rows, columns, paint)
}

async fn reset(name: Option<String>, context: &Context) -> Result<Exit, CliError> {
    let text = |reset: &Vec<String>, _: &_, _| match reset.as_slice() {
        [] => "no breaker has counted failures\n".to_owned(),
        names => names.iter().map(|name| format!("{}\n", super::ui::text::line(name))).collect(),
    };
    context.present(&endpoint::BreakerReset { body: ResetBreakers { name } }, text).await
}

/// Describes an open breaker in one line.
pub fn in_the_way(breaker: &BreakerView, now: &Now) -> String {
    let BreakerView { name, detail, .. } = breaker;
    match (breaker.state, breaker.until) {
        (StateName::Open, Some(until)) => format!("breaker {name} is open until {}: {detail}", now.local(until)),
        (StateName::Open | StateName::Closed, _) => format!("breaker {name} is {}: {detail}", breaker.state.as_str()),
        (StateName::HalfOpen, _) => format!("breaker {name} is half-open, one task at a time tries: {detail}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::now;

    fn open() -> BreakerView {
        BreakerView {
            name: "agent:bot".to_owned(),
            state: StateName::Open,
            failures: 5,
            opened: 1,
            since: Some(now().at),
            until: "2026-03-01T12:30:00Z".parse().ok(),
            detail: "exit code 3: boom\u{1b}[2J".to_owned(),
        }
    }

    #[test]
    fn a_list_of_breakers_reads_like_this() {
        assert_eq!(
            listed(&[open()], &now(), 100, Paint::OFF),
            "breaker    state  failures  until  the last failure\n\
             agent:bot  open          5  13:30  exit code 3: boom\\u{1b}[2J\n"
        );
        assert_eq!(listed(&[], &now(), 100, Paint::OFF), "no breaker has counted failures\n");
    }

    #[test]
    fn what_stands_in_the_way_is_one_line() {
        let half = BreakerView { state: StateName::HalfOpen, until: None, detail: "boom".into(), ..open() };
        assert_eq!(in_the_way(&half, &now()), "breaker agent:bot is half-open, one task at a time tries: boom");
        assert!(in_the_way(&open(), &now()).starts_with("breaker agent:bot is open until 13:30: exit code 3"));
    }
}
