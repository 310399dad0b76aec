//! Checks the settings of model selection: references that can be parsed, aliases without cycles, providers that exist.

use super::{Check, is_variable};
use crate::problem::did_you_mean;
use orch_core::models::catalog::{Catalog, ModelRef};
use orch_core::models::resolve::{Reference, alias_cycles, parse};

impl Check<'_> {
    pub(super) fn model_selection(&mut self) {
        let config = self.config;
        for id in config.models.keys() {
            let is_plain = !id.chars().any(|c| c.is_whitespace() || c.is_control());
            if id.parse::<ModelRef>().is_err() || !is_plain {
                self.wrong(&format!("models.{id}"), "write it as provider/model, for instance openai/gpt-5.2");
            }
        }
        for (name, provider) in &config.providers {
            let key = format!("providers.{name}");
            if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
                self.wrong(&key, "a name has no blanks and no slash");
            }
            if provider.key_variable.as_deref().is_some_and(|variable| !is_variable(variable)) {
                self.wrong(
                    &format!("{key}.key_variable"),
                    "not a name of a variable; the API key itself does not belong here",
                );
            }
            let is_address = |url: &str| url.starts_with("https://") || url.starts_with("http://");
            if provider.base_url.as_deref().is_some_and(|url| !is_address(url)) {
                self.wrong(&format!("{key}.base_url"), "must begin with https:// or http://");
            }
        }
        self.aliases();
        self.selection();
    }

    fn aliases(&mut self) {
        let aliases = &self.config.model_aliases;
        for (name, target) in aliases {
            let key = format!("model_aliases.{name}");
            let is_name = matches!(parse(name), Ok(Reference::Name(_))) && !name.contains([':', '/']);
            if !is_name || !name.contains(char::is_alphanumeric) {
                self.wrong(&key, "a name of your own has letters or digits, no colon and no slash, and is not auto");
            }
            if let Err(error) = parse(target) {
                self.wrong(&key, error);
            }
        }
        for (name, error) in alias_cycles(aliases) {
            self.wrong(&format!("model_aliases.{name}"), error);
        }
    }

    fn selection(&mut self) {
        let selection = &self.config.model_selection.0;
        for (key, reference) in [("model", &selection.model), ("small_model", &selection.small_model)] {
            if let Some(Err(error)) = reference.as_deref().map(parse) {
                self.wrong(&format!("model_selection.{key}"), error);
            }
        }
        if selection.preferred_providers.is_empty() {
            return;
        }
        let catalog = Catalog::with(&self.config.model_additions());
        let names = || catalog.providers().iter().map(|provider| provider.id.as_str());
        for name in &selection.preferred_providers {
            if !names().any(|known| known == name) {
                let meant = did_you_mean(name, names());
                self.wrong("model_selection.preferred_providers", format_args!("there is no provider {name:?}{meant}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::layers::{Layer, load};
    use orch_core::base::money::Usd;

    fn config(text: &str) -> Result<crate::Config, String> {
        let layer = Layer::Global { path: "c".into(), text: text.to_owned() };
        let texts = |problems: Vec<crate::ConfigProblem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        load(&[layer]).map(|loaded| loaded.config).map_err(|problems| texts(problems).join("\n"))
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = config(text).expect_err(text);
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn the_documented_settings_are_understood_in_either_spelling() {
        let text = "modelSelection:\n  mode: balanced\n  maxCostPer1kTokens: 0.01\n  preferredProviders: [anthropic, openai]\n\
                    modelAliases:\n  sonnet: anthropic/claude-sonnet-4-20250514\n  opus: anthropic/claude-opus-4-20250514\n  \
                    gpt4: openai/gpt-4o\n  gemini: google/gemini-2.0-flash\n";
        let config = config(text).expect("valid");
        let selection = &config.model_selection.0;
        assert_eq!(selection.max_cost_per_1k_tokens, Some(Usd::from_micros(10_000)));
        assert_eq!(selection.preferred_providers, ["anthropic", "openai"]);
        assert_eq!(config.model_aliases.len(), 4);
    }

    #[test]
    fn a_model_with_dots_in_its_name_can_be_described() {
        let text = "models:\n  openai/gpt-5.2:\n    vision: false\n    input_usd_per_mtok: 1.5\n  local/x: {tier: pro}\n\
                    providers:\n  local: {base_url: 'http://127.0.0.1:8080/v1'}\n";
        let additions = config(text).expect("valid").model_additions();
        let ids: Vec<String> = additions.overrides.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(ids, ["local/x", "openai/gpt-5.2"]);
        assert_eq!(additions.overrides[1].1.input_price, Some(Usd::from_micros(1_500_000)));
        assert!(additions.providers[0].declared);
    }

    #[test]
    fn an_unknown_tag_or_tier_is_refused_wherever_a_model_is_named() {
        let meant = "there is no tag \"auto:fsat\", did you mean auto:fast?";
        for agent in ["claude", "opencode"] {
            refused(&format!("model_map: {{medium: {{{agent}: 'auto:fsat'}}}}\n"), meant);
            refused(&format!("fallback: {{medium: ['{agent}/auto:fsat']}}\n"), meant);
            refused(&format!("escalation: {{ladder: ['{agent}/auto:fsat']}}\n"), meant);
        }
        refused("router: {model: 'auto:fsat'}\n", meant);
        refused("model_map: {review: {claude: 'node:bogus'}}\n", "hint: tags are");
        refused("model_map: {medium: {claude: 'tier:huge'}}\n", "there is no \"tier:huge\"");
        let none = "\"anthropic/\" is not a reference to a model";
        refused("model_map: {medium: {claude: anthropic/}}\n", none);
        refused("fallback: {medium: [claude/anthropic/]}\n", none);
        refused("router: {model: anthropic/}\n", none);
        refused("model_selection: {model: anthropic/}\n", none);
        refused("model_aliases: {x: anthropic/}\n", none);
        assert!(config("model_map: {medium: {claude: 'auto:fast', codex: 'tier:pro'}}\n").is_ok());
    }

    #[test]
    fn an_invalid_setting_is_reported_with_its_place() {
        refused("model_aliases: {a: b, b: a}\n", "c:1:20: model_aliases.a: the alias leads back to itself: a → b → a");
        refused("model_aliases: {'auto:x': sonnet}\n", "no colon and no slash");
        refused("model_aliases: {x: 'auto:fsat'}\n", "there is no tag \"auto:fsat\", did you mean auto:fast?");
        refused("models: {gpt: {vision: true}}\n", "models.gpt: write it as provider/model");
        refused("models: {a/b: {input_usd_per_mtok: -1}}\n", "expected an amount in dollars");
        refused("models: {a/b: {input_usd_per_mtok: .nan}}\n", "not a finite number");
        refused("models: {a/b: {visoin: true}}\n", "did you mean \"vision\"?");
        refused("model_selection: {preferred_providers: [antropic]}\n", "did you mean \"anthropic\"?");
        refused("model_selection: {small_model: ' '}\n", "the reference to a model is empty");
        refused("model_selection: {mode: cheap}\n", "expected one of performance, balanced, economical");
        refused("providers: {x: {key_variable: sk-123}}\n", "the API key itself does not belong here");
        refused("providers: {x: {base_url: localhost}}\n", "must begin with https://");
    }
}
