//! What a provider's failure puts into a cooldown: an agent or, where an agent has models of many providers, that agent
//! with the models of one of them. Pure.

use super::plan::Cooldown;
use crate::base::names::provider_in;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Returns the key of the cooldown after a failure of the provider of `model`. `only`: the agent's only provider.
///
/// Agent names have no slash.
pub fn cooldown_key(agent: &str, only: Option<&str>, model: Option<&str>) -> String {
    match model.and_then(provider_in) {
        Some(provider) if only.is_none() => format!("{agent}/{provider}"),
        Some(_) | None => agent.to_owned(),
    }
}

/// Returns the active cooldown of an agent with a model, and its key. Of two cooldowns the longer one is returned.
pub fn active_cooldown<'c>(
    cooldowns: &'c BTreeMap<String, Cooldown>,
    agent: &str,
    model: Option<&str>,
    now: Timestamp,
) -> Option<(&'c str, &'c Cooldown)> {
    if cooldowns.is_empty() {
        return None;
    }
    let of_provider = cooldown_key(agent, None, model);
    let found = [agent, of_provider.as_str()].into_iter().filter_map(|name| cooldowns.get_key_value(name));
    let held = found.filter(|(_, cooldown)| cooldown.is_active(now));
    held.max_by_key(|(_, cooldown)| cooldown.until).map(|(name, cooldown)| (name.as_str(), cooldown))
}

/// Returns the providers whose models are in a cooldown for an agent.
pub fn cooling_providers<'c>(
    cooldowns: &'c BTreeMap<String, Cooldown>,
    agent: &'c str,
    now: Timestamp,
) -> impl Iterator<Item = (&'c str, &'c Cooldown)> {
    let of_agent = move |name: &'c str| name.strip_prefix(agent)?.strip_prefix('/');
    let named = cooldowns.iter().filter_map(move |(name, cooldown)| Some((of_agent(name)?, cooldown)));
    named.filter(move |(_, cooldown)| cooldown.is_active(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::outcome::FailureClass;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).expect("a time")
    }

    fn until(second: i64) -> Cooldown {
        let detail = format!("until {second}");
        Cooldown { since: Some(at(0)), until: at(second), class: FailureClass::RateLimited, detail }
    }

    #[test]
    fn a_failure_leaves_a_provider_alone_where_the_agent_has_several() {
        let rows = [
            ("opencode", None, Some("google/gemini-2.5-pro"), "opencode/google"),
            ("opencode", None, Some("openrouter/meta/llama"), "opencode/openrouter"),
            ("opencode", None, Some("big-pickle"), "opencode"),
            ("opencode", None, None, "opencode"),
            ("claude", Some("anthropic"), Some("anthropic/claude-sonnet-4-6"), "claude"),
            ("claude", Some("anthropic"), Some("sonnet"), "claude"),
            ("bot", None, Some("/x"), "bot"),
            ("bot", None, Some("x/"), "bot"),
        ];
        for (agent, only, model, name) in rows {
            assert_eq!(cooldown_key(agent, only, model), name, "{agent} {model:?}");
        }
    }

    #[test]
    fn one_provider_rests_and_the_others_of_the_same_agent_do_not() {
        let cooldowns = BTreeMap::from([("opencode/google".to_owned(), until(60))]);
        let rests = |agent, model, now| active_cooldown(&cooldowns, agent, model, at(now)).map(|(name, _)| name);
        assert_eq!(rests("opencode", Some("google/gemini-2.5-pro"), 1), Some("opencode/google"));
        assert_eq!(rests("opencode", Some("openai/gpt-5.2"), 1), None);
        assert_eq!(rests("opencode", None, 1), None, "its own choice is not known to be google's");
        assert_eq!(rests("open", Some("google/gemini-2.5-pro"), 1), None);
        assert_eq!(rests("opencode", Some("google/gemini-2.5-pro"), 60), None, "it is over");
        assert_eq!(rests("opencode", Some("google/gemini-2.5-pro"), -1), None, "the clock was set back");
        let providers = |agent| cooling_providers(&cooldowns, agent, at(1)).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!((providers("opencode"), providers("open")), (vec!["google"], vec![]));
    }

    #[test]
    fn of_agent_and_provider_the_one_counts_that_lasts_longer() {
        let cooldowns = BTreeMap::from([("opencode".to_owned(), until(30)), ("opencode/google".to_owned(), until(60))]);
        let rests = |model, now| active_cooldown(&cooldowns, "opencode", Some(model), at(now)).map(|(name, _)| name);
        assert_eq!(rests("google/gemini-2.5-pro", 1), Some("opencode/google"));
        assert_eq!(rests("openai/gpt-5.2", 1), Some("opencode"));
        assert_eq!(rests("openai/gpt-5.2", 31), None);
    }

    proptest! {
        #[test]
        fn what_failed_rests_and_nothing_of_another_agent_or_provider_does(
            agent in "[a-c]{1,2}", only in proptest::option::of("[x-z]"), model in proptest::option::of("[x-z/]{1,4}"),
            other_agent in "[a-c]{1,2}", other in proptest::option::of("[x-z/]{1,4}"),
        ) {
            let name = cooldown_key(&agent, only.as_deref(), model.as_deref());
            let cooldowns = BTreeMap::from([(name.clone(), until(60))]);
            let rests = |agent: &str, model: Option<&str>| active_cooldown(&cooldowns, agent, model, at(1)).is_some();
            prop_assert!(rests(&agent, model.as_deref()), "what failed rests");
            if other_agent != agent {
                prop_assert!(!rests(&other_agent, other.as_deref()));
            }
            let is_of_agent = name == agent;
            let provider = |model: &Option<String>| model.as_deref().and_then(provider_in).map(str::to_owned);
            prop_assert_eq!(rests(&agent, other.as_deref()), is_of_agent || provider(&other) == provider(&model));
        }
    }
}
