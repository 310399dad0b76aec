//! What is known of money: what was spent as far as budgets ask for it, and what follows for agents and accounts. Nothing of
//! it is stored: the journal has the runs. `core::economics::budget` computes the state of an account.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use orch_core::base::money::Usd;
use orch_core::economics::budget::{Balances, Level, Payees, Record, Rules, RunInFlight, Scope, SpendLedger, Stop};
use orch_core::economics::cost::Charge;
use orch_core::tasks::task::Run;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A run that counts though its cost is not in the journal yet.
#[derive(Debug)]
pub(crate) struct Pending {
    agent: String,
    model: Option<String>,
    project: Option<PathBuf>,
    /// What it cost, else what is set aside for it.
    amount: Option<Usd>,
    has_ended: bool,
}

impl Pending {
    pub(crate) fn new(run: &Run, project: Option<PathBuf>) -> Self {
        Self {
            agent: run.agent.clone(),
            model: run.model.clone(),
            project,
            amount: run.cost.or(run.reserved),
            has_ended: run.ended_at.is_some(),
        }
    }

    fn in_flight(&self) -> RunInFlight<'_> {
        let (model, project) = (self.model.as_deref(), self.project.as_deref());
        RunInFlight { agent: &self.agent, model, project, reserved: self.amount, has_ended: self.has_ended }
    }
}

/// What was spent and recorded from a day on, as it was read.
pub(crate) struct Spent<'a> {
    pub charges: &'a [Charge],
    pub records: &'a [Record],
    /// The first day of it.
    pub from: Date,
    /// When it was read.
    pub today: Date,
}

/// What is known of money.
#[derive(Debug, Default)]
pub(crate) struct Money {
    ledger: SpendLedger,
    /// The day from which on spending is known, and the day on which that was read.
    known: Option<(Date, Date)>,
    /// Runs have ended since, or something was recorded: from that day on it is read again.
    stale_from: Option<Date>,
    /// What ended in the present turn, and is not in the journal yet.
    ended: Vec<Pending>,
    /// Agents whose account is exhausted.
    exhausted: Vec<String>,
    /// What the router should know of money, by the agent's name.
    advice: BTreeMap<String, String>,
    /// Accounts that are paid in advance, with something left.
    ahead: BTreeSet<String>,
    /// What was reported of that is short.
    reported: BTreeMap<Scope, Level>,
    /// What the daemon finds short when it starts was reported by the one before.
    has_begun: bool,
    /// The journal did not say what was spent.
    is_unknown: bool,
}

impl Money {
    /// Forgets what is known while nothing is limited. Returns whether anything was known.
    pub(crate) fn forget(&mut self) -> bool {
        let was_known = self.known.is_some();
        if was_known {
            *self = Self::default();
        }
        self.has_begun = true;
        was_known
    }

    /// Returns from which day on spending is to be read, where `since` matters; asked once. `None`: all of it is known.
    pub(crate) fn take_stale(&mut self, since: Date, today: Date) -> Option<Date> {
        let begins_anew = self.known.is_none_or(|(known, read)| known > since || read != today);
        let stale_from = self.stale_from.take();
        let from = if begins_anew { Some(since) } else { stale_from };
        from.map(|from| from.max(since))
    }

    /// Takes over what was read. `only`: where runs without a directory belong.
    pub(crate) fn enter(&mut self, spent: &Spent<'_>, payees: &Payees, only: Option<&Path>, zone: &TimeZone) {
        let Spent { charges, records, from, today } = *spent;
        self.ledger.cut(from);
        self.ledger.enter(payees, only, charges, records, zone);
        self.known = Some((self.known.map_or(from, |(known, _)| known.min(from)), today));
        self.is_unknown = false;
    }

    /// The journal does not say what was spent.
    pub(crate) fn set_unknown(&mut self) {
        self.is_unknown = true;
    }

    /// What ends in the present turn. It is in the journal when the turn is over, and read again from that day on.
    pub(crate) fn end(&mut self, ended: Vec<Pending>, stale_from: Option<Date>) {
        self.ended = ended;
        self.stale_from = stale_from;
    }

    /// Returns what is short at this moment, with all that is under way.
    pub(crate) fn balances(&self, rules: &Rules, payees: Payees, live: &[Pending], now: Timestamp) -> Balances {
        let in_flight: Vec<RunInFlight<'_>> = live.iter().chain(&self.ended).map(Pending::in_flight).collect();
        let mut balances = Balances::new(rules, payees, &self.ledger, &in_flight, now, &TimeZone::system());
        if self.is_unknown {
            let why = "what was spent cannot be read from the journal".to_owned();
            let (scope, level) = (Scope::Day, Level::Exhausted);
            balances.stops.push(Stop { scope, level, is_over: true, why, until: None, raise: None });
            balances.ahead.clear();
        }
        balances
    }

    /// Returns what is short by what is over.
    pub(crate) fn balances_without_runs(&self, rules: &Rules, payees: Payees, now: Timestamp) -> Balances {
        Balances::new(rules, payees, &self.ledger, &[], now, &TimeZone::system())
    }

    /// Replaces the reported levels. Returns what was reported before; `None`: this engine has reported nothing yet.
    pub(crate) fn report(&mut self, levels: BTreeMap<Scope, Level>) -> Option<BTreeMap<Scope, Level>> {
        let before = std::mem::replace(&mut self.reported, levels);
        std::mem::replace(&mut self.has_begun, true).then_some(before)
    }

    /// What follows from the balances for these agents.
    pub(crate) fn take_balances<'a>(&mut self, balances: Balances, agents: impl Iterator<Item = &'a str>) {
        self.exhausted.clear();
        self.advice.clear();
        for name in agents {
            self.exhausted.extend(balances.is_exhausted(name).then(|| name.to_owned()));
            self.advice.extend(balances.advice(name).map(|advice| (name.to_owned(), advice.to_owned())));
        }
        self.ahead = balances.ahead;
    }

    /// Returns the agents that get no work, because their account is exhausted.
    pub(crate) fn exhausted(&self) -> &[String] {
        &self.exhausted
    }

    /// Returns what the router should know of money, by the agents' names.
    pub(crate) fn advice(&self) -> &BTreeMap<String, String> {
        &self.advice
    }

    /// Accounts that are paid in advance, with something left.
    pub(crate) fn paid_ahead(&self) -> &BTreeSet<String> {
        &self.ahead
    }
}
