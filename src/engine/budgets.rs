//! Keeps what was spent at hand as far as budgets ask for it, has cheaper models taken where money is short, and writes
//! into the history when an account runs low. How an account stands says `domain::budget`.

use super::main_loop::Engine;
use super::settings::directory_of;
use super::world::Turn;
use crate::domain::budget::{Book, Level, Purse, Record, Rules, Scope, Stop};
use crate::domain::model_policy::is_sticky;
use crate::domain::route::{Complexity, RouteResult};
use crate::domain::task::{Run, Task};
use crate::store::journal::JournalError;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A run that counts though its cost is not known yet: its agent, its model and its project.
pub(super) type Pending = (String, Option<String>, Option<PathBuf>);

/// What is known of money. Nothing of it is stored: the journal has the runs.
#[derive(Debug, Default)]
pub(super) struct Money {
    book: Book,
    /// From which day on, and on which day that was read.
    known: Option<(Date, Date)>,
    /// Runs have ended since, or something was recorded: from that day on it is read again.
    stale_from: Option<Date>,
    /// What ended in the present turn, and is not in the journal yet.
    ended: Vec<Pending>,
    /// Agents whose account is exhausted.
    exhausted: Vec<String>,
    /// What whoever chooses an agent should know, by its name.
    advice: BTreeMap<String, String>,
    /// What was told of that is short.
    told: BTreeMap<Scope, Level>,
    /// What the daemon finds short when it begins was told by the one before.
    has_begun: bool,
    /// The journal did not say what was spent.
    is_unknown: bool,
}

impl Engine {
    /// Brings what is known of money up to date, and tells what ran short.
    pub(super) fn mind_money(&mut self, turn: &mut Turn, now: Timestamp) {
        let rules = self.settings.config.budget.rules();
        if rules.is_empty() {
            if self.money.known.is_some() {
                self.money = Money::default();
                self.mind_pauses(now);
            }
            self.money.has_begun = true;
            return;
        }
        let zone = TimeZone::system();
        let today = now.to_zoned(zone.clone()).date();
        let since = rules.since(today);
        let begins_anew = self.money.known.is_none_or(|(known, read)| known > since || read != today);
        let stale_from = self.money.stale_from.take();
        if let Some(from) = if begins_anew { Some(since) } else { stale_from } {
            self.read_money(from.max(since), today, &zone);
        }
        // They are in the journal when the turn is over. What ended while nobody looked counts for its own day.
        let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let ends = turn.ended_runs().map(|run| run.ended_at.map_or(today, day));
        self.money.stale_from = ends.chain(turn.records_spending().then_some(today)).min();
        self.money.ended = turn.ended_runs().map(|run| self.pending(run)).collect();
        let purse = self.purse(&rules, now);
        self.tell_money(turn, &rules, now);
        let agents = self.settings.config.agents.iter().map(|(name, _)| name);
        self.money.exhausted = agents.filter(|name| purse.is_exhausted(name)).map(ToOwned::to_owned).collect();
        let agents = self.settings.config.agents.iter().map(|(name, _)| name);
        let advice = |name: &str| Some((name.to_owned(), purse.advice(&rules, name)?.to_owned()));
        self.money.advice = agents.filter_map(advice).collect();
        self.mind_pauses(now);
    }

    fn read_money(&mut self, from: Date, today: Date, zone: &TimeZone) {
        let start = from.to_zoned(zone.clone()).map(|start| start.timestamp());
        let start = start.unwrap_or(Timestamp::UNIX_EPOCH);
        let read = || -> Result<_, JournalError> {
            Ok((self.world.archive().charges_since(start)?, self.world.archive().spends_since(start)?))
        };
        match read() {
            Ok((charges, records)) => {
                let payees = self.settings.config.payees();
                let only = self.only_project().map(Path::to_owned);
                self.money.book.cut(from);
                self.money.book.enter(&payees, only.as_deref(), &charges, &records, zone);
                let known = self.money.known.map_or(from, |(known, _)| known.min(from));
                self.money.known = Some((known, today));
                self.money.is_unknown = false;
            }
            Err(error) => {
                tracing::error!(%error, "what was spent cannot be read");
                self.money.is_unknown = true;
            }
        }
    }

    /// What is short at this moment, with all that is under way.
    pub(super) fn purse(&self, rules: &Rules, now: Timestamp) -> Purse {
        if rules.is_empty() {
            return Purse::default();
        }
        let live: Vec<Pending> = self.world.runs.values().map(|run| self.pending(run)).collect();
        let of = |(agent, model, dir): &'_ Pending| (agent.clone(), model.clone(), dir.clone());
        let all: Vec<Pending> = live.iter().chain(&self.money.ended).map(of).collect();
        let in_flight: Vec<_> =
            all.iter().map(|(agent, model, dir)| (agent.as_str(), model.as_deref(), dir.as_deref())).collect();
        let mut purse =
            Purse::new(rules, self.settings.config.payees(), &self.money.book, &in_flight, now, &TimeZone::system());
        if self.money.is_unknown {
            let why = "what was spent cannot be read from the journal".to_owned();
            purse.stops.push(Stop { scope: Scope::Day, level: Level::Exhausted, is_over: true, why, until: None });
        }
        purse
    }

    /// Agents that nothing is to be given to, because what they are paid with is exhausted.
    pub(super) fn exhausted(&self) -> &[String] {
        &self.money.exhausted
    }

    /// What whoever chooses an agent should know of money, by the agents' names.
    pub(super) fn advice(&self) -> &BTreeMap<String, String> {
        &self.money.advice
    }

    /// The model that a task is begun with: a cheaper one where money is short, and neither its label nor a person says
    /// otherwise.
    pub(super) fn model_within_budget(
        &mut self,
        turn: &mut Turn,
        task: &Task,
        route: &RouteResult,
        now: Timestamp,
    ) -> Option<String> {
        let asked = route.model.clone();
        let dir = directory_of(task, &self.world.projects).ok();
        let stop = self.room.purse.degrades(task, dir.as_deref(), &route.agent, asked.as_deref());
        let Some(words) =
            stop.filter(|_| task.spec.model.is_none() && !task.run_now && !is_sticky(task)).map(Stop::words)
        else {
            return asked;
        };
        let config = self.settings.for_task(task, &self.world.projects);
        let dear = config.model_for(Complexity::Complex, &route.agent);
        let cheaper = config.model_for(Complexity::Medium, &route.agent);
        match (cheaper, asked.as_deref()) {
            (Some(cheaper), Some(model)) if dear == Some(model) && cheaper != model => {
                let text = format!("{cheaper} instead of {model}: {words}");
                turn.note(&mut self.world, now, Some(task.id), None, "model_degraded", text);
                Some(cheaper.to_owned())
            }
            (Some(_) | None, _) => asked,
        }
    }

    /// A person says what was spent beside orch's runs.
    pub(super) fn record_spending(&mut self, turn: &mut Turn, record: Record, now: Timestamp) -> Record {
        let cost = record.cost.map_or_else(|| "an unknown amount".to_owned(), |cost| cost.to_string());
        let note = record.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        turn.note(&mut self.world, now, None, None, "spending_recorded", format!("{}, {cost}{note}", record.account));
        turn.put_spend(record.clone());
        record
    }

    /// Where tasks belong that name no directory.
    fn only_project(&self) -> Option<&Path> {
        match self.world.project_dirs.as_slice() {
            [only] => Some(only),
            [] | [_, _, ..] => None,
        }
    }

    fn pending(&self, run: &Run) -> Pending {
        (run.agent.clone(), run.model.clone(), self.dir_of(run.task))
    }

    /// What ran short since it was last told. What is under way is left out: it comes and goes.
    fn tell_money(&mut self, turn: &mut Turn, rules: &Rules, now: Timestamp) {
        let payees = self.settings.config.payees();
        let purse = Purse::new(rules, payees, &self.money.book, &[], now, &TimeZone::system());
        let levels: BTreeMap<Scope, Level> = purse.stops.iter().map(|stop| (stop.scope.clone(), stop.level)).collect();
        let before = std::mem::replace(&mut self.money.told, levels);
        if !std::mem::replace(&mut self.money.has_begun, true) {
            return;
        }
        for stop in purse.stops.iter().filter(|stop| before.get(&stop.scope).is_none_or(|told| *told < stop.level)) {
            let (kind, follows) = match stop.level {
                Level::Exhausted => ("budget_exhausted", "nothing more begins of it"),
                Level::Degraded | Level::Ok => ("budget_short", "cheaper models are taken"),
            };
            turn.note(&mut self.world, now, None, None, kind, format!("{}; {follows}", stop.words()));
        }
    }
}
