//! Facts of money: what is short, what a person records, and batches, which have budgets of their own.

use super::facts;
use crate::base::ids::TaskId;
use crate::base::money::Usd;
use crate::economics::budget::Scope;
use crate::planning::batch::{BatchEnd, BatchName};

facts! {
    /// Money, and what a person records by hand.
    Spending {
        /// Money is short: cheaper models are taken.
        "budget_short" Short {
            /// Whose.
            of: Scope,
            /// How short, in words.
            why: String,
            /// The command that gives it more.
            raise: Option<String>,
        },
        /// Money is spent: nothing more begins.
        "budget_exhausted" Exhausted {
            /// Whose.
            of: Scope,
            /// How much, in words.
            why: String,
            /// The command that gives it more.
            raise: Option<String>,
        },
        /// A person records what was spent beside orch's runs.
        "spending_recorded" Recorded {
            /// By which account.
            account: String,
            /// How much, where that is known.
            cost: Option<Usd>,
            /// A remark.
            note: Option<String>,
        },
        /// A person recorded a result of a model.
        "pattern_recorded" SampleRecorded {
            /// Who.
            by: String,
            /// Whether it was good.
            accepted: bool,
            /// Of which type of task.
            task_type: String,
            /// By which agent.
            agent: String,
            /// With which model.
            model: String,
        },
    }
}

facts! {
    /// Batches.
    BatchFact {
        /// A person made one.
        "batch_created" Created {
            /// Its name.
            name: BatchName,
            /// Its tasks.
            tasks: Vec<TaskId>,
            /// So many run at a time.
            concurrency: u32,
            /// So much may be spent.
            budget: Option<Usd>,
        },
        /// A person changed its limits.
        "batch_changed" Changed {
            /// Its name.
            name: BatchName,
            /// So many run at a time.
            concurrency: u32,
            /// So much may be spent.
            budget: Option<Usd>,
        },
        /// A person gave it up.
        "batch_cancelled" Cancelled {
            /// Its name.
            name: BatchName,
            /// Who.
            by: String,
            /// So many tasks were given up.
            given_up: usize,
            /// So many tasks it has.
            tasks: usize,
        },
        /// Its budget is spent.
        "batch_spent" Spent {
            /// Its name.
            name: BatchName,
            /// What was spent.
            spent: Usd,
            /// Of how much.
            budget: Option<Usd>,
            /// The command that gives it more.
            raise: Option<String>,
        },
        /// All of its tasks are over.
        "batch_ended" Ended(BatchEnd),
    }
}
