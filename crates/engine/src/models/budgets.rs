//! Keeps what was spent in memory as far as budgets ask for it, has cheaper models taken where money is short, and
//! writes into the history when an account runs low. `core::economics::budget` computes the state of an account.

use crate::catalog::reach::reach;
use crate::engine::Engine;
use crate::engine::money::{Pending, Spent};
use crate::settings::directory_of;
use crate::state::ChangeSet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use orch_core::audit::history::{Fact, ModelFact, Spending};
use orch_core::economics::budget::{Balances, Level, Record, Rules, Scope, Stop};
use orch_core::models::agent_model::needs_of_task;
use orch_core::models::degrade::{ExpensiveModel, Replacement};
use orch_core::models::price::{self, Prices};
use orch_core::models::resolve::Resolver;
use orch_core::tasks::model_policy::is_sticky;
use orch_core::tasks::route::{Complexity, RouteResult};
use orch_core::tasks::task::{Run, Task};
use orch_store::journal::JournalError;
use std::collections::BTreeMap;
use std::path::Path;

/// A limit is for a day: what was reported longer ago than this is reported again where it still holds.
const REPORTED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What becomes of a dear model where money is short.
pub(crate) struct Within {
    /// The model that is asked for.
    pub model: String,
    /// The fact that says why.
    pub fact: Fact,
}

impl Engine {
    /// Brings what is known of money up to date, and reports what ran short.
    pub(crate) fn update_money(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        let rules = self.settings.config.budget.rules();
        if rules.is_empty() {
            if self.models.money_mut().forget() {
                self.apply_pauses(now);
            }
            return;
        }
        let zone = TimeZone::system();
        let today = now.to_zoned(zone.clone()).date();
        if let Some(from) = self.models.money_mut().take_stale(rules.since(today), today) {
            self.read_money(from, today, &zone);
        }
        // They are in the journal when the turn is over. What ended between two turns counts for its own day.
        let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let ends = change_set.ended_runs().map(|run| run.ended_at.map_or(today, day));
        let stale_from = ends.chain(change_set.records_spending().then_some(today)).min();
        let ended = change_set.ended_runs().map(|run| self.pending(run)).collect();
        self.models.money_mut().end(ended, stale_from);
        let balances = self.balances(&rules, now);
        self.report_money(change_set, &rules, now);
        let agents = self.settings.config.agents.iter().map(|(name, _)| name);
        self.models.money_mut().take_balances(balances, agents);
        self.apply_pauses(now);
    }

    fn read_money(&mut self, from: Date, today: Date, zone: &TimeZone) {
        let start = from.to_zoned(zone.clone()).map(|start| start.timestamp());
        let start = start.unwrap_or(Timestamp::UNIX_EPOCH);
        let read = || -> Result<_, JournalError> {
            Ok((self.state.archive().charges_since(start)?, self.state.archive().spends_since(start)?))
        };
        match read() {
            Ok((charges, records)) => {
                let payees = self.settings.config.payees();
                let only = self.only_project().map(Path::to_owned);
                let spent = Spent { charges: &charges, records: &records, from, today };
                self.models.money_mut().enter(&spent, &payees, only.as_deref(), zone);
            }
            Err(error) => {
                tracing::error!(%error, "what was spent cannot be read");
                self.models.money_mut().set_unknown();
            }
        }
    }

    /// Returns what is short at this moment, with all that is under way.
    pub(crate) fn balances(&self, rules: &Rules, now: Timestamp) -> Balances {
        if rules.is_empty() {
            return Balances::default();
        }
        let live: Vec<Pending> = self.state.runs.values().map(|run| self.pending(run)).collect();
        self.models.money().balances(rules, self.settings.config.payees(), &live, now)
    }

    /// Replaces an expensive model where money is short: a cheaper one, unless its label or a person says otherwise,
    /// or nothing cheaper has what it needs. `None`: money is not short, or the model is not dear.
    pub(crate) fn within_budget(
        &mut self,
        balances: &Balances,
        task: &Task,
        route: &RouteResult,
        now: Timestamp,
    ) -> Option<Within> {
        let asked = route.model.clone().filter(|_| !balances.stops.is_empty())?;
        let (full_name, way) = self.cheaper_way(task, &route.agent, &asked, now);
        let dir = directory_of(task, &self.state.projects).ok();
        let words = balances.degrades(task, dir.as_deref(), &route.agent, Some(&full_name)).map(Stop::describe)?;
        let word = match (task.spec.model.is_some(), is_sticky(task)) {
            (true, _) => Some("the task names it"),
            (false, true) => Some("its model stays, by its policy"),
            (false, false) => None,
        };
        let kept = |why: &str| {
            let fact = ModelFact::Kept { model: asked.clone(), reason: why.to_owned(), short: words.clone() };
            (asked.clone(), fact)
        };
        let (model, fact) = match (way, word) {
            (Replacement::Same, _) => return None,
            (Replacement::Cheaper { .. } | Replacement::Kept(_), Some(word)) => kept(word),
            (Replacement::Kept(why), None) => kept(&why),
            (Replacement::Cheaper { name, description }, None) => {
                (name.clone(), ModelFact::Degraded { model: name, choice: description, short: words })
            }
        };
        Some(Within { model, fact: fact.into() })
    }

    /// Returns the full name of a model that an agent is asked for, and what would take its place.
    fn cheaper_way(&mut self, task: &Task, agent: &str, asked: &str, now: Timestamp) -> (String, Replacement) {
        let book = self.book_for(asked, now);
        let config = self.settings.for_task(task, &self.state.projects);
        let usability = self.usable_by(&book, agent, now);
        let dear = ExpensiveModel {
            reach: reach(&config, agent, &self.deps.environment),
            resolver: Resolver { usability: &usability, ..book.resolver() },
            needs: &needs_of_task(&task.spec),
            asked,
            mapped: [Complexity::Complex, Complexity::Medium, Complexity::Simple]
                .map(|complexity| config.model_for(complexity, agent)),
        };
        (dear.full_name().unwrap_or_else(|| asked.to_owned()), dear.replacement())
    }

    /// Returns the prices of a model of an agent, by the names that are known of it, the best first.
    pub(crate) fn prices(&mut self, agent: &str, names: [Option<&str>; 2], now: Timestamp) -> Option<Prices> {
        let names: Vec<&str> = names.into_iter().flatten().collect();
        if names.is_empty() {
            return None;
        }
        let provider = self.settings.config.payees().providers.remove(agent);
        price::prices(&self.book(now).catalog, provider.as_deref(), &names)
    }

    /// Records what was spent beside orch's runs, as a person says.
    pub(crate) fn record_spending(&mut self, change_set: &mut ChangeSet, record: Record, now: Timestamp) -> Record {
        let Record { account, cost, note, .. } = record.clone();
        change_set.note(&mut self.state, now, None, None, Spending::Recorded { account, cost, note });
        change_set.put_spend(record.clone());
        record
    }

    /// Returns where tasks belong that name no directory.
    fn only_project(&self) -> Option<&Path> {
        match self.state.project_dirs.as_slice() {
            [only] => Some(only),
            [] | [_, _, ..] => None,
        }
    }

    fn pending(&self, run: &Run) -> Pending {
        Pending::new(run, self.dir_of(run.task))
    }

    /// Records what ran short since the last report. What is under way is left out: it comes and goes.
    fn report_money(&mut self, change_set: &mut ChangeSet, rules: &Rules, now: Timestamp) {
        let payees = self.settings.config.payees();
        let balances = self.models.money().balances_without_runs(rules, payees, now);
        let levels: BTreeMap<Scope, Level> =
            balances.stops.iter().map(|stop| (stop.scope.clone(), stop.level)).collect();
        let before = self.models.money_mut().report(levels).unwrap_or_else(|| self.reported_before(&balances, now));
        for stop in balances.stops.iter().filter(|stop| before.get(&stop.scope).is_none_or(|level| *level < stop.level))
        {
            let (of, why, raise) = (stop.scope.clone(), stop.why.clone(), stop.raise.clone());
            let fact = match stop.level {
                Level::Exhausted => Spending::Exhausted { of, why, raise },
                Level::Degraded | Level::Ok => Spending::Short { of, why, raise },
            };
            change_set.note(&mut self.state, now, None, None, fact);
        }
    }

    /// What was reported as short within the last day, by the history: a daemon that starts does not report it again.
    fn reported_before(&self, balances: &Balances, now: Timestamp) -> BTreeMap<Scope, Level> {
        let mut levels = BTreeMap::new();
        if balances.stops.is_empty() {
            return levels;
        }
        let since = now.saturating_sub(REPORTED_FOR).unwrap_or(Timestamp::UNIX_EPOCH);
        let read = self.state.archive().each_since(since, &mut |fact| {
            if let Fact::Spending(Spending::Short { of, .. }) = fact {
                levels.insert(of, Level::Degraded);
            } else if let Fact::Spending(Spending::Exhausted { of, .. }) = fact {
                levels.insert(of, Level::Exhausted);
            }
        });
        if let Err(error) = read {
            tracing::warn!(%error, "whether it was reported that money is short cannot be read");
        }
        levels
    }
}
