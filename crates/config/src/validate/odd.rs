//! What can be meant and most likely is not: accounts that nobody spends from, models that nobody knows. Told when somebody asks
//! whether the settings are sound, and stops nothing: providers and programs know more names than orch. PURE.

use crate::origin::{Origin, Origins};
use crate::problem::{ConfigProblem, did_you_mean};
use crate::resolved::Config;
use orch_core::agents::DialectKind;
use orch_core::catalog::Catalog;
use orch_core::provider_access::ProviderAccess;
use orch_core::resolve::{Needs, Records, Reference, ResolveError, Resolver, parse};
use std::collections::BTreeMap;

/// All that is odd. `environment`: what agents are started with besides their own `env`.
pub fn oddities(config: &Config, origins: &Origins, environment: &BTreeMap<String, String>) -> Vec<ConfigProblem> {
    let odd = |key: &str, message: String| ConfigProblem::new(origins.near(key).clone(), format!("{key}: {message}"));
    let mut found: Vec<ConfigProblem> = Vec::new();
    for name in config.budget.accounts.keys() {
        found.extend(stranger(name, config).map(|told| odd(&format!("budget.accounts.{name}"), told)));
    }
    let (key, router) = ("router.fallback_executor", &config.router);
    if *origins.of(key) != Origin::Default && !router.agents.contains(&router.fallback_executor) {
        let told = format!("{} is not in router.agents: it gets nothing when routing fails", router.fallback_executor);
        found.push(odd(key, told).hint("add it to router.agents, or name one of them".to_owned()));
    }
    let catalog = Catalog::with(&config.model_additions());
    for (key, model, variable) in named(config, environment) {
        if let Some(error) = unknown(&model, config, &catalog) {
            // A service may be started with more than this shell has.
            let unless =
                variable.map(|variable| format!("; or it is one of the server that {variable} names for the daemon"));
            found.push(odd(&key, error.to_string()).hint(format!("{}{}", error.hint(), unless.unwrap_or_default())));
        }
    }
    found
}

/// Why an account limits nothing: nobody is called so.
pub fn stranger(account: &str, config: &Config) -> Option<String> {
    let catalog = Catalog::with(&config.model_additions());
    let providers = catalog.providers().iter().map(|provider| provider.id.as_str());
    let names: Vec<&str> = providers.chain(config.agents.names()).collect();
    let told = || {
        let meant = did_you_mean(account, names.iter().copied());
        format!("no provider and no agent is called {account:?}{meant}: it limits nothing")
    };
    (!names.contains(&account)).then(told)
}

/// Where a model is named that orch itself, or an agent whose models it has a list of, must know; and for an agent the variable
/// that would send it to another server.
fn named(config: &Config, environment: &BTreeMap<String, String>) -> Vec<(String, String, Option<&'static str>)> {
    let list = |agent: &str| has_a_list(config, agent, environment);
    let mut all = Vec::new();
    let map = &config.model_map;
    for (tier, models) in
        [("simple", &map.simple), ("medium", &map.medium), ("complex", &map.complex), ("review", &map.review)]
    {
        let listed = models.iter().filter_map(|(agent, model)| Some((agent, model, list(agent)?)));
        all.extend(listed.map(|(agent, model, by)| (format!("model_map.{tier}.{agent}"), model.clone(), Some(by))));
    }
    let (ladder, chains) = (&config.escalation.ladder, &config.fallback);
    for (key, rungs) in [
        ("escalation.ladder", ladder),
        ("fallback.simple", &chains.simple),
        ("fallback.medium", &chains.medium),
        ("fallback.complex", &chains.complex),
    ] {
        let listed = rungs.iter().filter_map(|rung| Some((rung.model.clone()?, list(&rung.agent)?)));
        all.extend(listed.map(|(model, by)| (key.to_owned(), model, Some(by))));
    }
    let selection = &config.model_selection.0;
    for (key, model) in [("model", &selection.model), ("small_model", &selection.small_model)] {
        all.extend(model.clone().map(|model| (format!("model_selection.{key}"), model, None)));
    }
    let aliases = config.model_aliases.iter();
    all.extend(aliases.map(|(name, target)| (format!("model_aliases.{name}"), target.clone(), None)));
    all
}

/// Programs that are spoken with by their own provider's names. Others, and those that are sent to another server, take names that
/// orch cannot know. Returns the variable that would send it there.
fn has_a_list(config: &Config, agent: &str, environment: &BTreeMap<String, String>) -> Option<&'static str> {
    let agent = config.agent(agent)?;
    let variable = match agent.kind {
        DialectKind::Claude => "ANTHROPIC_BASE_URL",
        DialectKind::Codex => "OPENAI_BASE_URL",
        DialectKind::Opencode | DialectKind::Command | DialectKind::Api => return None,
    };
    let is_set = agent.env.contains_key(variable) || environment.contains_key(variable);
    (!is_set).then_some(variable)
}

/// Why nobody knows this model. What a tag or a tier means depends on who can be used, and is asked elsewhere.
fn unknown(model: &str, config: &Config, catalog: &Catalog) -> Option<ResolveError> {
    if !matches!(parse(model), Ok(Reference::Name(_) | Reference::Explicit { .. })) {
        return None;
    }
    let (usability, records) = (ProviderAccess::default(), Records::default());
    let resolver = Resolver { catalog, usability: &usability, selection: &config.model_selection.0, records: &records };
    let error = resolver.resolve(model, &Needs::default()).err()?;
    error.names_nothing().then_some(error)
}

/// Whether the settings ask some agent for a model of that name.
pub fn says(config: &Config, model: &str) -> bool {
    let map = &config.model_map;
    let of_map = [&map.simple, &map.medium, &map.complex, &map.review].into_iter().flat_map(BTreeMap::values);
    let chains = &config.fallback;
    let rungs = [&config.escalation.ladder, &chains.simple, &chains.medium, &chains.complex].into_iter().flatten();
    let of_rungs = rungs.filter_map(|rung| rung.model.as_ref());
    of_map.chain(of_rungs).chain([&config.router.model]).any(|said| said == model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Layer, load};

    fn told(text: &str) -> Vec<String> {
        let layer = Layer::Global { path: "c".into(), text: text.to_owned() };
        let loaded = load(&[layer]).expect(text);
        oddities(&loaded.config, &loaded.origins, &BTreeMap::new()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_agent_that_the_environment_sends_elsewhere_takes_names_that_orch_cannot_know() {
        let text = "model_map: {medium: {claude: mine, codex: yours}}\n";
        let layer = Layer::Global { path: "c".into(), text: text.to_owned() };
        let loaded = load(&[layer]).expect(text);
        let odd = |variables: &[&str]| {
            let environment = variables.iter().map(|name| ((*name).to_owned(), "http://x".to_owned())).collect();
            oddities(&loaded.config, &loaded.origins, &environment).len()
        };
        assert_eq!(odd(&[]), 2);
        assert_eq!((odd(&["ANTHROPIC_BASE_URL"]), odd(&["OPENAI_BASE_URL"])), (1, 1), "each its own");
        assert_eq!(odd(&["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"]), 0);
        assert!(told(text).iter().all(|told| told.contains("_BASE_URL names for the daemon")), "{:?}", told(text));
    }

    #[track_caller]
    fn is_odd(text: &str, expected: &[&str]) {
        let all = told(text);
        assert_eq!(all.len(), 1, "{text}: {all:?}");
        for part in expected {
            assert!(all[0].contains(part), "{text}: {all:?}");
        }
    }

    #[test]
    fn an_account_of_nobody_is_told_with_the_one_that_was_meant() {
        is_odd(
            "budget: {accounts: {antropic: {daily_budget: 5}}}\n",
            &["c:1:21: budget.accounts.antropic: no provider", "did you mean \"anthropic\"?", "it limits nothing"],
        );
        let sound = "budget: {accounts: {anthropic: {}, claude: {}, local: {}, bot: {}}}\n\
                     providers: {local: {base_url: 'http://127.0.0.1:1'}}\nagents: {bot: {kind: command, command: x}}\n";
        assert_eq!(told(sound), [""; 0]);
    }

    #[test]
    fn a_model_that_nobody_knows_is_told_where_it_is_written() {
        is_odd(
            "model_map: {medium: {claude: claude-sonet-4-6}}\n",
            &["model_map.medium.claude: no model", "claude-sonnet-4-6"],
        );
        is_odd("model_map: {review: {codex: nope/nope}}\n", &["there is no provider \"nope\"", "providers are"]);
        is_odd("fallback: {medium: [claude/nope]}\n", &["fallback.medium: no model is called \"nope\""]);
        is_odd("escalation: {ladder: [claude/sonnet, claude/nope]}\n", &["escalation.ladder: no model"]);
        is_odd("model_selection: {model: nope/nope}\n", &["model_selection.model: there is no provider"]);
        is_odd("model_aliases: {x: nope/zzz}\n", &["model_aliases.x: there is no provider \"nope\""]);
    }

    #[test]
    fn names_that_orch_cannot_know_are_left_alone() {
        let own = "agents:\n  bot: {kind: command, command: x}\n  far: {kind: claude, env: {ANTHROPIC_BASE_URL: 'http://x'}}\n\
                   model_map: {medium: {bot: own, opencode: some/thing, far: mine, claude: sonnet, codex: gpt-5.2}}\n\
                   model_aliases: {quick: 'auto:fast', big: 'tier:pro', work: sonnet}\n\
                   fallback: {simple: [opencode/a/b, claude]}\n";
        assert_eq!(told(own), [""; 0]);
        assert_eq!(told(""), [""; 0], "orch's own settings are none of it");
    }
}
