//! Maps settings of other orchestrators to those of orch. PURE.

/// The equivalent of another orchestrator's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    /// A key with the same meaning.
    Key(&'static str),
    /// No single key; the text says what to write instead.
    Advice(&'static str),
}

const fn key(name: &'static str) -> Renamed {
    Renamed::Key(name)
}

/// Names in lower case without `_` and `-`, with their equivalents.
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
    ("costoptimization", Renamed::Advice("`orch config preset save-money` sets what makes runs cheaper")),
    (
        "profiles",
        Renamed::Advice(
            "the router chooses a profile for each task; router.default_skills and router.allowed_tools hold for all of them",
        ),
    ),
    (
        "permissions",
        Renamed::Advice("workflow.sandbox, workflow.allowed_paths and agents.codex.sandbox control what agents may do"),
    ),
    (
        "warmpool",
        Renamed::Advice(
            "agents are started for each run; agents.NAME.live: true lets you send it messages while it works",
        ),
    ),
    ("budgets", Renamed::Advice("budget.accounts.NAME, or `orch budget configure NAME --daily-budget 50`")),
    ("dailybudget", Renamed::Advice("budget.per_day, or `orch budget configure NAME --daily-budget 50`")),
    ("worktrees", Renamed::Advice("the variable ORCH_WORKTREES names their directory")),
    ("jobs", Renamed::Advice("recurring jobs are in jobs.yml: `orch job add`")),
];

/// Returns the equivalent of a key of another orchestrator.
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
    fn every_name_of_another_orchestrator_leads_to_an_existing_key() {
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
        assert_eq!(renamed("orchestrator.warmPool").map(|new| matches!(new, Renamed::Advice(_))), Some(true));
        assert_eq!(renamed("colour"), None);
    }
}
