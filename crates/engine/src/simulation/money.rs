//! Budgets in the simulation, and their rule: nothing begins by itself on a day of which enough is spent.

use super::rules::{Broken, must};
use crate::engine::Engine;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orch_config::Config;
use orch_core::base::ids::RunId;
use orch_core::base::money::Usd;
use orch_core::economics::budget::{Billing, CRITICAL, SpendLedger};
use orch_core::tasks::task::{Phase, Task};
use orch_store::journal::Write;
use std::collections::BTreeMap;

/// Every fourth course has little money: for each day, for each project in a day, and some for an agent.
pub fn configure(config: &mut Config, seed: u64) {
    if seed % 4 != 1 {
        return;
    }
    let budget = &mut config.budget;
    budget.per_day = Some(Usd::from_micros(600_000));
    budget.per_project = (seed % 8 == 1).then_some(Usd::from_micros(300_000));
    let account = orch_config::resolved_budget::Account {
        billing_type: Billing::Token,
        daily_budget: Some(Usd::from_micros(250_000)),
        start: None,
        end: None,
        allowance: None,
        unit: orch_core::economics::budget::Unit::Usd,
        reserve_percent: 0,
        priority: 50,
    };
    budget.accounts.insert("anthropic".to_owned(), account);
}

/// What runs have cost, as far as it was stored before the present turn.
#[derive(Debug, Default)]
pub struct Paid {
    known: BTreeMap<RunId, (Timestamp, Usd)>,
    new: Vec<(RunId, Timestamp, Usd)>,
}

impl Paid {
    /// The turn before is over.
    pub fn next_turn(&mut self) {
        for (run, at, cost) in self.new.drain(..) {
            self.known.insert(run, (at, cost));
        }
    }

    /// A turn that is about to be stored.
    pub fn observe(&mut self, write: &Write) {
        if let Write::Run(run) = write
            && run.phase == Phase::Ended
            && let (Some(at), Some(cost)) = (run.ended_at, run.cost)
        {
            self.new.push((run.id.clone(), at, cost));
        }
    }

    /// Checks that a task that has started was affordable.
    pub fn allows(&self, engine: &Engine, task: &Task, now: Timestamp) -> Result<(), Broken> {
        let rules = engine.settings.config.budget.rules();
        let Some(most) = rules.per_day.filter(|_| !task.run_now && !task.spec.labels.iter().any(|l| l == CRITICAL))
        else {
            return Ok(());
        };
        let zone = TimeZone::system();
        let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let mut book = SpendLedger::default();
        let bill =
            |cost| orch_core::economics::budget::Bill { accounts: [None, None], project: None, cost: Some(cost) };
        self.known.values().for_each(|(at, cost)| book.charge(day(*at), bill(*cost)));
        let spent = book.day(day(now)).known;
        must(spent.dollars() < rules.exhaust * most.dollars(), || {
            format!("task {} began when {spent} of {most} for the day were spent", task.id)
        })
    }
}
