//! Settings of earlier orchestrators, and what they are called here. PURE.

/// What answers to the name of another orchestrator's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    /// This key.
    Key(&'static str),
    /// No single key; what to write instead.
    Otherwise(&'static str),
}

const fn key(name: &'static str) -> Renamed {
    Renamed::Key(name)
}

/// In small letters, without `_` and `-`.
const RENAMED: [(&str, Renamed); 21] = [
    ("ctomodel", key("router.model")),
    ("modelselectionstrategy", key("router.strategy")),
    ("smallmodel", key("model_selection.small_model")),
    ("maxcost", key("workflow.max_cost_usd")),
    ("concurrency", key("engine.max_parallel")),
    ("maxworkers", key("engine.max_parallel")),
    ("selfmemlimit", key("engine.self_memory_limit_mb")),
    ("supervisorselfmemlimit", key("engine.self_memory_limit_mb")),
    ("pulseinterval", key("engine.tick_seconds")),
    ("executors", key("router.agents")),
    ("fallbackchain", key("fallback")),
    ("fallbackchains", key("fallback")),
    ("autointegrate", key("workflow.integrate")),
    ("costoptimization", Renamed::Otherwise("`orch config preset save-money` sets what makes runs cheaper")),
    (
        "profiles",
        Renamed::Otherwise(
            "the router chooses a profile for each task; router.default_skills and router.allowed_tools hold for all of them",
        ),
    ),
    (
        "permissions",
        Renamed::Otherwise("workflow.sandbox, workflow.allowed_paths and agents.codex.sandbox say what agents may do"),
    ),
    (
        "warmpool",
        Renamed::Otherwise("agents are started for each run; agents.NAME.live: true keeps one talkable while it works"),
    ),
    ("budgets", Renamed::Otherwise("budget.accounts.NAME, or `orch budget configure NAME --daily-budget 50`")),
    ("dailybudget", Renamed::Otherwise("budget.per_day, or `orch budget configure NAME --daily-budget 50`")),
    ("worktrees", Renamed::Otherwise("the variable ORCH_WORKTREES names their directory")),
    ("jobs", Renamed::Otherwise("what recurs stands in jobs.yml: `orch job add`")),
];

/// What a key is called here that another orchestrator has.
pub fn renamed(name: &str) -> Option<Renamed> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let plain: String = last.chars().filter(|c| !matches!(c, '_' | '-')).collect::<String>().to_lowercase();
    RENAMED.iter().find(|(old, _)| *old == plain).map(|(_, new)| *new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape;

    #[test]
    fn what_other_orchestrators_call_it_leads_to_a_key_that_there_is() {
        for (old, new) in RENAMED {
            if let Renamed::Key(key) = new {
                assert!(shape::find(key).is_some(), "{old} leads to {key}");
            }
            assert!(shape::root().field(old).is_none(), "{old} is a key of its own");
        }
    }

    #[test]
    fn spelling_and_place_do_not_matter() {
        assert_eq!(renamed("cto_model"), Some(Renamed::Key("router.model")));
        assert_eq!(renamed("SUPERVISOR_SELF_MEM_LIMIT"), Some(Renamed::Key("engine.self_memory_limit_mb")));
        assert_eq!(renamed("orchestrator.warmPool").map(|new| matches!(new, Renamed::Otherwise(_))), Some(true));
        assert_eq!(renamed("colour"), None);
    }
}
