//! Shows the effective settings and their origins: `orch config get` and `orch config show [--origin]`. Hides secrets.

use super::layers::Loaded;
use super::origin::Origin;
use super::problem::similar;
use super::renamed::{Renamed, renamed};
use super::render::{self, Note};
use super::resolved_agent::AgentConfig;
use super::shape;
use serde::Serialize;
use serde_json::Value as Json;

/// One setting with its origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Dotted key.
    pub key: String,
    /// Effective value.
    pub value: Json,
    /// Where the value was set.
    pub origin: Origin,
}

/// There is no such setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no setting is called {key:?}{}{}",
    .meant.as_ref().map(|key| format!(", did you mean {key:?}?")).unwrap_or_default(),
    .instead.map(|what| format!(": {what}")).unwrap_or_default()
)]
pub struct UnknownKey {
    /// The key that was asked for.
    pub key: String,
    /// The key that was probably meant.
    pub meant: Option<String>,
    /// What to do instead, if no single key is meant.
    pub instead: Option<&'static str>,
}

impl UnknownKey {
    /// Creates the error, with a suggestion where there is one.
    pub(super) fn new(key: &str, meant: Option<String>) -> Self {
        let (key, meant) = (key.to_owned(), meant.filter(|meant| meant != key));
        match renamed(&key) {
            Some(Renamed::Key(new)) => Self { key, meant: Some(new.to_owned()), instead: None },
            Some(Renamed::Advice(what)) => Self { key, meant: None, instead: Some(what) },
            None => Self { key, meant, instead: None },
        }
    }
}

impl Loaded {
    /// Returns all effective settings, with the keys of the files.
    pub fn show(&self) -> Json {
        let mut shown = serde_json::to_value(&self.config).unwrap_or_default();
        let models = shown["models"].as_object_mut().into_iter().flat_map(|models| models.values_mut());
        models.filter_map(Json::as_object_mut).for_each(|model| model.retain(|_, value| !value.is_null()));
        let agents = shown["agents"].as_object_mut().into_iter().flat_map(|agents| agents.values_mut());
        for agent in agents.filter_map(Json::as_object_mut) {
            let kind = agent.get("kind").cloned().unwrap_or_default();
            let live = serde_json::from_value(kind.clone()).is_ok_and(AgentConfig::can_be_live);
            agent.retain(|key, value| match key.as_str() {
                "timeout_seconds" | "memory_mb" => !value.is_null(),
                "sandbox" => kind == "codex",
                "prompt" | "mode" => kind == "command",
                "live" => live,
                _ => true,
            });
        }
        shown
    }

    /// Returns all effective settings as YAML.
    pub fn show_yaml(&self) -> String {
        render::yaml(&self.show(), &|_| Note::default())
    }

    /// Returns all effective settings as YAML, with the origin beside each value.
    pub fn show_with_origin(&self) -> String {
        let shown = self.show();
        let note = |key: &str| {
            let is_value = lookup(&shown, key).is_some_and(|value| !is_section(value));
            Note { above: Vec::new(), beside: is_value.then(|| self.origins.near(key).to_string()) }
        };
        render::yaml(&shown, &note)
    }

    /// Returns every value with its origin, in the order of [`Loaded::show`].
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        collect(&self.show(), String::new(), &mut |key, value| {
            let origin = self.origins.near(&key).clone();
            rows.push(Row { key, value: value.clone(), origin });
        });
        rows
    }

    /// Returns the value or the section at a dotted key; `null` for a setting that exists but is not set.
    ///
    /// # Errors
    /// There is no setting of that name; names the most similar one.
    pub fn get(&self, key: &str) -> Result<Json, UnknownKey> {
        let shown = self.show();
        let key = &*shape::canonical(key);
        if let Some(value) = lookup(&shown, key) {
            return Ok(value.clone());
        }
        let parent = key.rsplit_once('.').is_some_and(|(parent, _)| lookup(&shown, parent).is_some());
        if parent && shape::find(key).is_some() {
            return Ok(Json::Null);
        }
        Err(UnknownKey::new(key, meant(&shown, key).or_else(|| shape::suggest(key))))
    }
}

/// Looks up a dotted key. Free names may themselves contain dots (`models.openai/gpt-5.2.vision`).
fn lookup<'a>(shown: &'a Json, key: &str) -> Option<&'a Json> {
    let map = shown.as_object()?;
    let below = |(at, _): (usize, &str)| lookup(map.get(&key[..at])?, &key[at + 1..]);
    map.get(key).or_else(|| key.match_indices('.').find_map(below))
}

/// Returns the existing key that was probably meant.
fn meant(shown: &Json, key: &str) -> Option<String> {
    let mut value = shown;
    let mut meant = Vec::new();
    for part in key.split('.') {
        let map = value.as_object()?;
        let name = map.get_key_value(part).map(|(name, _)| name.as_str());
        let name = name.or_else(|| similar(part, map.keys().map(String::as_str)))?;
        meant.push(name);
        value = map.get(name)?;
    }
    Some(meant.join("."))
}

fn is_section(value: &Json) -> bool {
    value.as_object().is_some_and(|map| !map.is_empty())
}

fn collect(value: &Json, path: String, found: &mut dyn FnMut(String, &Json)) {
    match value.as_object().filter(|map| !map.is_empty()) {
        None => found(path, value),
        Some(map) => map.iter().for_each(|(key, value)| {
            let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            collect(value, full, found);
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::layers::{Layer, load};
    use super::super::resolved::Config;
    use super::*;
    use serde_json::json;

    fn loaded() -> Loaded {
        let text = "router:\n  model: opus\nagents:\n  claude:\n    env: {KEY: sk-secret}\n";
        load(&[
            Layer::Global { path: "/h/config.yml".into(), text: text.to_owned() },
            Layer::Environment([("ORCH_ENGINE_MAX_PARALLEL".to_owned(), "8".to_owned())].into()),
        ])
        .unwrap()
    }

    #[test]
    fn what_is_shown_is_what_can_be_typed() {
        let shown = loaded().show_yaml();
        let path = std::path::PathBuf::from("shown");
        // Keys that only a project's file may contain.
        let of_projects = "workspace:\n  copy: []\n  link: []\n  setup: []\n  env: {}\n";
        assert!(shown.contains(of_projects), "{shown}");
        let text = shown.replace("name: null\n", "").replace(of_projects, "");
        let again = load(&[Layer::Global { path, text }]).unwrap();
        assert_eq!(again.show(), loaded().show());
        assert!(!shown.contains("sk-secret") && shown.contains("KEY: \"***\""), "{shown}");
    }

    #[test]
    fn the_origin_stands_beside_every_value() {
        let shown = loaded().show_with_origin();
        for line in [
            "  model: opus  # /h/config.yml:2:10\n",
            "  mode: llm  # default\n",
            "  max_parallel: 8  # environment variable ORCH_ENGINE_MAX_PARALLEL\n",
            "      KEY: \"***\"  # /h/config.yml:5:16\n",
            "\nrouter:\n",
        ] {
            assert!(shown.contains(line), "{line:?} in {shown}");
        }
        let rows = loaded().rows();
        let row = rows.iter().find(|row| row.key == "router.model").unwrap();
        assert_eq!(
            serde_json::to_value(row).unwrap(),
            json!({"key": "router.model", "value": "opus",
                "origin": {"from": "file", "path": "/h/config.yml", "line": 2, "column": 10}})
        );
    }

    #[test]
    fn an_unknown_key_is_reported_with_the_one_that_was_meant() {
        let loaded = loaded();
        assert_eq!(loaded.get("engine.max_parallel"), Ok(json!(8)));
        assert_eq!(
            loaded.get("engine"),
            Ok(json!({
                "tick_seconds": 10, "max_parallel": 8, "adaptive": "memory", "max_parallel_ceiling": null,
                "min_free_disk_mb": 500, "self_memory_limit_mb": 512, "on_signal": "leave"
            }))
        );
        assert_eq!(loaded.get("workflow.base_branch"), Ok(Json::Null));
        assert_eq!(loaded.get("model_map.simple.opencode"), Ok(Json::Null));
        let text = "models: {openai/gpt-5.2: {vision: false}}".to_owned();
        let dotted = load(&[Layer::Global { path: "c".into(), text }]).unwrap();
        assert_eq!(dotted.get("models.openai/gpt-5.2.vision"), Ok(Json::Bool(false)));
        assert_eq!(loaded.get("agents.claude.env.KEY"), Ok(json!("***")));
        let error = |key| loaded.get(key).unwrap_err().to_string();
        assert_eq!(
            error("engine.max_paralel"),
            "no setting is called \"engine.max_paralel\", did you mean \"engine.max_parallel\"?"
        );
        assert_eq!(
            error("agents.cluade.comand"),
            "no setting is called \"agents.cluade.comand\", did you mean \"agents.claude.command\"?"
        );
        assert_eq!(error("agents.nobody.command"), "no setting is called \"agents.nobody.command\"");
        assert_eq!(error(""), "no setting is called \"\"");
    }

    #[test]
    fn every_key_of_the_schema_is_shown() {
        let shown = Loaded { config: Config::default(), origins: Default::default(), warnings: vec![] }.show();
        for key in shape::fixed_keys() {
            assert!(lookup(&shown, &key).is_some(), "{key}");
        }
    }
}
