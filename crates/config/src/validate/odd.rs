//! Warns about settings that are valid but most likely mistakes: accounts that match no provider or agent, unknown models.
//! `orch config validate` prints them. They are never errors, because providers and programs know more names than orch.
//! PURE.

use crate::origin::{Origin, Origins};
use crate::problem::{ConfigProblem, did_you_mean};
use crate::resolved::Config;
use orch_core::models::agents::DialectKind;
use orch_core::models::catalog::Catalog;
use orch_core::models::provider_access::ProviderAccess;
use orch_core::models::resolve::{Needs, Records, Reference, ResolveError, Resolver, parse};
use std::collections::BTreeMap;

/// Returns all warnings. `environment` is what agents inherit in addition to their own `env`.
pub fn likely_mistakes(
    config: &Config,
    origins: &Origins,
    environment: &BTreeMap<String, String>,
) -> Vec<ConfigProblem> {
    let warning =
        |key: &str, message: String| ConfigProblem::new(origins.near(key).clone(), format!("{key}: {message}"));
    let mut found: Vec<ConfigProblem> = Vec::new();
    for name in config.budget.accounts.keys() {
        found.extend(unknown_account(name, config).map(|message| warning(&format!("budget.accounts.{name}"), message)));
    }
    let (key, router) = ("router.fallback_executor", &config.router);
    if *origins.get(key) != Origin::Default && !router.agents.contains(&router.fallback_executor) {
        let message = format!("{} is not in router.agents: it gets no task if routing fails", router.fallback_executor);
        found.push(warning(key, message).hint("add it to router.agents, or name one of them".to_owned()));
    }
    let catalog = Catalog::with(&config.model_additions());
    for (key, model, variable) in known_references(config, environment) {
        if let Some(error) = unknown_model(&model, config, &catalog) {
            // The daemon's environment may have variables that this shell does not have.
            let unless = variable.map(|variable| {
                format!("; ignore this if {variable} sends the daemon's agent to a server that has this model")
            });
            found.push(warning(&key, error.to_string()).hint(format!(
                "{}{}",
                error.hint(),
                unless.unwrap_or_default()
            )));
        }
    }
    found
}

/// Returns why an account limits nothing, if it has the name of no provider and no agent.
pub fn unknown_account(account: &str, config: &Config) -> Option<String> {
    let catalog = Catalog::with(&config.model_additions());
    let providers = catalog.providers().iter().map(|provider| provider.id.as_str());
    let names: Vec<&str> = providers.chain(config.agents.names()).collect();
    let message = || {
        let meant = did_you_mean(account, names.iter().copied());
        format!("no provider and no agent is called {account:?}{meant}: it limits nothing")
    };
    (!names.contains(&account)).then(message)
}

/// Returns the keys with models that orch itself, or an agent whose models orch knows, must know, as key, model, and for an
/// agent the variable that would send it to another server.
fn known_references(
    config: &Config,
    environment: &BTreeMap<String, String>,
) -> Vec<(String, String, Option<&'static str>)> {
    let diversion = |agent: &str| diverting_variable(config, agent, environment);
    let mut all = Vec::new();
    let map = &config.model_map;
    for (tier, models) in
        [("simple", &map.simple), ("medium", &map.medium), ("complex", &map.complex), ("review", &map.review)]
    {
        let listed = models.iter().filter_map(|(agent, model)| Some((agent, model, diversion(agent)?)));
        all.extend(listed.map(|(agent, model, by)| (format!("model_map.{tier}.{agent}"), model.clone(), Some(by))));
    }
    let (ladder, chains) = (&config.escalation.ladder, &config.fallback);
    for (key, rungs) in [
        ("escalation.ladder", ladder),
        ("fallback.simple", &chains.simple),
        ("fallback.medium", &chains.medium),
        ("fallback.complex", &chains.complex),
    ] {
        let listed = rungs.iter().filter_map(|rung| Some((rung.model.clone()?, diversion(&rung.agent)?)));
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

/// Returns the variable that would send an agent to another server, if it is not set and the agent uses the model names of
/// its own provider. All other agents accept names that orch cannot know.
fn diverting_variable(config: &Config, agent: &str, environment: &BTreeMap<String, String>) -> Option<&'static str> {
    let agent = config.agent(agent)?;
    let variable = match agent.kind {
        DialectKind::Claude => "ANTHROPIC_BASE_URL",
        DialectKind::Codex => "OPENAI_BASE_URL",
        DialectKind::Opencode | DialectKind::Command | DialectKind::Api => return None,
    };
    let is_set = agent.env.contains_key(variable) || environment.contains_key(variable);
    (!is_set).then_some(variable)
}

/// Returns why this model is unknown. Tags and tiers are checked elsewhere: what they mean depends on the usable providers.
fn unknown_model(model: &str, config: &Config, catalog: &Catalog) -> Option<ResolveError> {
    if !matches!(parse(model), Ok(Reference::Name(_) | Reference::Explicit { .. })) {
        return None;
    }
    let (usability, records) = (ProviderAccess::default(), Records::default());
    let resolver = Resolver { catalog, usability: &usability, selection: &config.model_selection.0, records: &records };
    let error = resolver.resolve(model, &Needs::default()).err()?;
    error.names_nothing().then_some(error)
}

/// Returns whether the settings name this model for some agent.
pub fn uses_model(config: &Config, model: &str) -> bool {
    let map = &config.model_map;
    let of_map = [&map.simple, &map.medium, &map.complex, &map.review].into_iter().flat_map(BTreeMap::values);
    let chains = &config.fallback;
    let rungs = [&config.escalation.ladder, &chains.simple, &chains.medium, &chains.complex].into_iter().flatten();
    let of_rungs = rungs.filter_map(|rung| rung.model.as_ref());
    of_map.chain(of_rungs).chain([&config.router.model]).any(|own| own == model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Layer, load};

    fn warnings(text: &str) -> Vec<String> {
        let layer = Layer::Global { path: "c".into(), text: text.to_owned() };
        let loaded = load(&[layer]).expect(text);
        likely_mistakes(&loaded.config, &loaded.origins, &BTreeMap::new()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_agent_that_the_environment_sends_elsewhere_takes_names_that_orch_cannot_know() {
        let text = "model_map: {medium: {claude: mine, codex: yours}}\n";
        let layer = Layer::Global { path: "c".into(), text: text.to_owned() };
        let loaded = load(&[layer]).expect(text);
        let count = |variables: &[&str]| {
            let environment = variables.iter().map(|name| ((*name).to_owned(), "http://x".to_owned())).collect();
            likely_mistakes(&loaded.config, &loaded.origins, &environment).len()
        };
        assert_eq!(count(&[]), 2);
        assert_eq!((count(&["ANTHROPIC_BASE_URL"]), count(&["OPENAI_BASE_URL"])), (1, 1), "each its own");
        assert_eq!(count(&["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"]), 0);
        assert!(
            warnings(text).iter().all(|warning| warning.contains("_BASE_URL sends the daemon's agent")),
            "{:?}",
            warnings(text)
        );
    }

    #[track_caller]
    fn warns(text: &str, expected: &[&str]) {
        let all = warnings(text);
        assert_eq!(all.len(), 1, "{text}: {all:?}");
        for part in expected {
            assert!(all[0].contains(part), "{text}: {all:?}");
        }
    }

    #[test]
    fn an_unknown_account_is_reported_with_the_one_that_was_meant() {
        warns(
            "budget: {accounts: {antropic: {daily_budget: 5}}}\n",
            &["c:1:21: budget.accounts.antropic: no provider", "did you mean \"anthropic\"?", "it limits nothing"],
        );
        let sound = "budget: {accounts: {anthropic: {}, claude: {}, local: {}, bot: {}}}\n\
                     providers: {local: {base_url: 'http://127.0.0.1:1'}}\nagents: {bot: {kind: command, command: x}}\n";
        assert_eq!(warnings(sound), [""; 0]);
    }

    #[test]
    fn an_unknown_model_is_reported_where_it_is_written() {
        warns(
            "model_map: {medium: {claude: claude-sonet-4-6}}\n",
            &["model_map.medium.claude: no model", "claude-sonnet-4-6"],
        );
        warns("model_map: {review: {codex: nope/nope}}\n", &["there is no provider \"nope\"", "providers are"]);
        warns("fallback: {medium: [claude/nope]}\n", &["fallback.medium: no model is called \"nope\""]);
        warns("escalation: {ladder: [claude/sonnet, claude/nope]}\n", &["escalation.ladder: no model"]);
        warns("model_selection: {model: nope/nope}\n", &["model_selection.model: there is no provider"]);
        warns("model_aliases: {x: nope/zzz}\n", &["model_aliases.x: there is no provider \"nope\""]);
    }

    #[test]
    fn names_that_orch_cannot_know_are_accepted() {
        let own = "agents:\n  bot: {kind: command, command: x}\n  far: {kind: claude, env: {ANTHROPIC_BASE_URL: 'http://x'}}\n\
                   model_map: {medium: {bot: own, opencode: some/thing, far: mine, claude: sonnet, codex: gpt-5.2}}\n\
                   model_aliases: {quick: 'auto:fast', big: 'tier:pro', work: sonnet}\n\
                   fallback: {simple: [opencode/a/b, claude]}\n";
        assert_eq!(warnings(own), [""; 0]);
        assert_eq!(warnings(""), [""; 0], "the defaults cause no warning");
    }
}
