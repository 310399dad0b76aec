//! The rules of routing, case by case, and what no answer can cause.

mod fuzzed;
mod rules;
mod wording;

use super::*;

pub(super) fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn task(id: u64, title: &str, labels: &[&str]) -> RouteInput {
    RouteInput {
        task_id: TaskId(id),
        title: title.to_owned(),
        body: String::new(),
        labels: names(labels),
        agent: None,
        model: None,
        complexity: None,
    }
}

pub(super) fn settings() -> RouterSettings {
    let tier = |claude: &str, codex: &str| {
        BTreeMap::from([("claude".to_owned(), claude.to_owned()), ("codex".to_owned(), codex.to_owned())])
    };
    RouterSettings {
        mode: RouterMode::Llm,
        fallback_executor: "codex".to_owned(),
        max_route_attempts: 3,
        agents: names(&["claude", "codex", "opencode", "kimi", "minimax"]),
        allowed_tools: names(&["git", "rg", "jq"]),
        default_skills: names(&["gh", "git-worktree"]),
        models: BTreeMap::from([
            (Complexity::Simple, tier("haiku", "gpt-5.1-codex-mini")),
            (Complexity::Medium, tier("sonnet", "gpt-5.2")),
            (Complexity::Complex, tier("opus", "gpt-5.3-codex")),
        ]),
        providers: BTreeMap::new(),
        descriptions: BTreeMap::new(),
        proven: None,
        left_out: 0,
    }
}

pub(super) fn all_three() -> Vec<String> {
    names(&["claude", "codex", "opencode"])
}

pub(super) fn resolved(decision: Decision) -> RouteResult {
    match decision {
        Decision::Resolved(result) => result,
        Decision::AskLlm => panic!("asked the LLM"),
        Decision::Impossible(why) => panic!("impossible: {why}"),
    }
}

pub(super) fn impossible(decision: Decision) -> Impossible {
    match decision {
        Decision::Impossible(why) => why,
        Decision::AskLlm => panic!("asked the LLM"),
        Decision::Resolved(result) => panic!("resolved to {}", result.agent),
    }
}
