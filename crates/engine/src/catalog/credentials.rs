//! What can be seen of credentials: the names of variables that are set and of files that are there. From it follows
//! which providers can be used. A key itself is taken only to be sent to its own provider; stored logins are never
//! read.

use orch_config::Config;
use orch_config::raw::RawProvider;
use orch_config::resolved_agent::AgentConfig;
use orch_core::models::agents::api::Endpoint;
use orch_core::models::agents::{DialectKind, OwnFile, credentials, provider_of};
use orch_core::models::catalog::{Catalog, Provider};
use orch_core::models::model_api::ModelApi;
use orch_core::models::provider_access::{Origin, ProviderAccess, Way, is_usable};
use orch_core::tasks::outcome::{Failure, FailureClass};
use orch_sys::fs;
use orch_sys::process::which;
use orch_sys::provider_api::{AddressError, Key, Request};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variables by their names.
pub type Environment = BTreeMap<String, String>;

/// The largest list of stored credentials that is read, in bytes.
const LARGEST: usize = 1 << 20;
/// A variable by which a CLI for one provider speaks with another.
pub const ELSEWHERE: &str = "ANTHROPIC_BASE_URL";

/// A variable with a login that only the agent's CLI knows how to use.
pub const LOGIN_OF_CLI: &str = "CLAUDE_CODE_OAUTH_TOKEN";
/// Variables with the address that a key belongs to, as the providers' own programs read them.
const ADDRESSES: [(&str, &str); 2] = [("anthropic", ELSEWHERE), ("openai", "OPENAI_BASE_URL")];

/// Returns the key of a provider and the variable that holds it.
pub fn key_of<'p>(environment: &Environment, provider: &'p Provider) -> Option<(&'p str, Key)> {
    let variables = provider.key_variables.iter().filter(|name| *name != LOGIN_OF_CLI);
    let mut set = variables.filter_map(|name| Some((name.as_str(), set_to(environment, name)?)));
    let (name, value) = set.next()?;
    Some((name, if name.ends_with("_TOKEN") { Key::token(value) } else { Key::new(value) }))
}

fn set_to<'c>(environment: &'c Environment, name: &str) -> Option<&'c str> {
    environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// Returns the question for a provider's list of models; `None`: its address is unknown.
pub fn list_request(
    environment: &Environment,
    declared: &BTreeMap<String, RawProvider>,
    provider: &Provider,
    key: Option<Key>,
) -> Option<Result<Request, AddressError>> {
    Some(Request::new(&provider.id, base_url(environment, declared, provider)?, key))
}

/// Returns where a provider's API is: from the person's settings, the environment of the provider's own programs, or the
/// catalog.
fn base_url<'a>(
    environment: &'a Environment,
    declared: &'a BTreeMap<String, RawProvider>,
    provider: &'a Provider,
) -> Option<&'a str> {
    let own = declared.get(&provider.id).and_then(|own| own.base_url.as_deref());
    let elsewhere = || set_to(environment, address_variable(&provider.id)?);
    own.or_else(elsewhere).or(provider.base_url.as_deref())
}

/// Returns where a model is asked directly, and with which key.
///
/// # Errors
/// The provider, its address or its key is unknown.
pub fn endpoint(
    environment: &Environment,
    declared: &BTreeMap<String, RawProvider>,
    catalog: &Catalog,
    model: &str,
) -> Result<Endpoint, Failure> {
    let unknown = |why: String| Failure::new(FailureClass::ModelNotFound, why);
    let provider = model.split_once('/').and_then(|(id, name)| Some((catalog.provider(id)?, name)));
    let Some((provider, name)) = provider else {
        let why = "orch asks it itself and must know whose model it is: write router.model as provider/model";
        return Err(unknown(format!("{model}: {why}; orch models list --usable shows them")));
    };
    let id = &provider.id;
    let base_url = base_url(environment, declared, provider);
    let base_url =
        base_url.ok_or_else(|| unknown(format!("nobody knows where {id} is: set providers.{id}.base_url")))?;
    let key_variable = key_of(environment, provider).map(|(variable, _)| variable.to_owned());
    let variables: Vec<&str> =
        provider.key_variables.iter().map(String::as_str).filter(|name| *name != LOGIN_OF_CLI).collect();
    if key_variable.is_none() && !(provider.declared && variables.is_empty()) {
        let why = match variables.as_slice() {
            [] => format!("no key is known for {id}: set providers.{id}.key_variable"),
            names => format!("{} is not set where the daemon is started", names.join(" or ")),
        };
        return Err(Failure::new(FailureClass::Auth, why));
    }
    Ok(Endpoint {
        provider: id.clone(),
        api: declared.get(id).and_then(|own| own.api).unwrap_or_else(|| ModelApi::for_provider(id)),
        base_url: base_url.to_owned(),
        key_variable,
        model: name.to_owned(),
    })
}

/// Returns where the address of a provider is said.
pub fn address_place(declared: &BTreeMap<String, RawProvider>, provider: &str) -> String {
    let is_own = declared.get(provider).is_some_and(|own| own.base_url.is_some());
    match address_variable(provider) {
        Some(variable) if !is_own => variable.to_owned(),
        Some(_) | None => format!("providers.{provider}.base_url"),
    }
}

fn address_variable(provider: &str) -> Option<&'static str> {
    ADDRESSES.iter().find(|(known, _)| *known == provider).map(|(_, variable)| *variable)
}

/// Returns whether an agent has credentials, as far as that is seen from outside.
/// `None`: nothing can be said; the error is what logs a person in.
pub fn login_of(environment: &Environment, agent: &AgentConfig) -> Option<Result<String, &'static str>> {
    let known = credentials(agent.kind)?;
    let is_set =
        |name: &&&str| agent.env.contains_key(**name) || environment.get(**name).is_some_and(|value| !value.is_empty());
    if let Some(name) = known.variables.iter().find(is_set) {
        return Some(Ok(format!("{name} is set")));
    }
    let file = file_of(environment, agent.kind)?;
    if file.is_file() {
        return Some(Ok(format!("credentials in {}", file.display())));
    }
    let is_hidden = known.keychain && cfg!(target_os = "macos");
    (!is_hidden).then_some(Err(known.login))
}

fn file_of(environment: &Environment, kind: DialectKind) -> Option<PathBuf> {
    found_at(environment, &credentials(kind)?.file)
}

fn found_at(environment: &Environment, file: &OwnFile) -> Option<PathBuf> {
    let home = environment.get("HOME").map(|home| Path::new(home).join(file.dir));
    let dir = environment.get(file.variable).map(PathBuf::from).or(home)?;
    Some(dir.join(file.name))
}

/// Returns which providers can be used, and what the others lack.
pub fn usability(environment: &Environment, config: &Config, catalog: &Catalog) -> ProviderAccess {
    let mut usability = ProviderAccess::default();
    for provider in catalog.providers() {
        match by_key(environment, provider) {
            Ok(way) => usability.allow(&provider.id, way),
            Err(missing) => usability.refuse(&provider.id, missing),
        }
    }
    for (name, agent) in config.agents.iter() {
        by_agent(environment, name, agent, &mut usability);
    }
    usability
}

/// Finds a key in a variable, or a provider of the person's own that asks for none.
fn by_key(environment: &Environment, provider: &Provider) -> Result<Way, String> {
    let is_set = |name: &&String| environment.get(*name).is_some_and(|value| !value.is_empty());
    let key = provider.key_variables.iter().find(is_set);
    let origin = match (key, provider.declared && provider.key_variables.is_empty()) {
        (Some(_), _) => Origin::Env,
        (None, true) if provider.base_url.is_some() => Origin::Custom,
        (None, true) => Origin::Config,
        (None, false) => Origin::Api,
    };
    match key {
        Some(name) => Ok(Way::Key(name.clone())),
        None if is_usable(origin, false) => Ok(Way::Declared),
        None if provider.key_variables.is_empty() => {
            Err("no key is known for it: declare it under providers".to_owned())
        }
        None => Err(format!("{} is not set", provider.key_variables.join(" or "))),
    }
}

/// Finds an agent's CLI that is installed and logged in.
fn by_agent(environment: &Environment, name: &str, agent: &AgentConfig, usability: &mut ProviderAccess) {
    if which(&agent.command, environment.get("PATH").map_or("", String::as_str)).is_none() {
        return;
    }
    let elsewhere = agent.env.contains_key(ELSEWHERE) || environment.contains_key(ELSEWHERE);
    if agent.kind == DialectKind::Opencode {
        return stored(environment, agent, usability);
    }
    let provider = match provider_of(agent.kind, name) {
        Some("anthropic") if elsewhere => return,
        Some(provider) => provider,
        None => return,
    };
    let own = agent.kind == DialectKind::Claude && provider != "anthropic";
    match login_of(environment, agent) {
        // These speak with their own provider by a variable of their own; they do not use a login of claude.
        Some(Ok(_))
            if own && !agent.env.keys().any(|variable| variable.contains("KEY") || variable.contains("TOKEN")) => {}
        Some(Ok(by)) => usability.allow(provider, Way::LoggedIn { agent: name.to_owned(), by }),
        Some(Err(login)) => usability.refuse(provider, format!("agent {name} is not logged in: {login}")),
        None => {
            let by = "it may have credentials in the keychain, which orch cannot see".to_owned();
            usability.allow(provider, Way::LoggedIn { agent: name.to_owned(), by });
        }
    }
}

/// Returns whether what an agent's program sends to a provider is the key of orch's own environment, by which orch asks it. A
/// login that is stored goes before that, a key or an address of the agent's own is another one, and its program's
/// settings may name one: a single mention of one makes the answer unknown.
pub fn uses_key(environment: &Environment, agent: &AgentConfig, provider: &Provider) -> bool {
    let own = |name: &str| agent.env.contains_key(name);
    if provider.key_variables.iter().any(|name| own(name)) || address_variable(&provider.id).is_some_and(own) {
        return false;
    }
    if may_be_diverted(environment, agent) {
        return false;
    }
    let Some(file) = file_of(environment, agent.kind) else { return true };
    match agent.kind {
        DialectKind::Claude | DialectKind::Codex => !file.is_file(),
        DialectKind::Opencode => !entries(&file).contains_key(&provider.id),
        DialectKind::Command | DialectKind::Api => true,
    }
}

/// Returns whether an agent's program may speak with another server, or with another key, than the environment says.
pub fn may_be_diverted(environment: &Environment, agent: &AgentConfig) -> bool {
    let Some(known) = credentials(agent.kind) else { return false };
    let diverts = |text: &str| known.diverts.iter().any(|word| text.contains(word));
    let read = |file: &OwnFile| {
        let file = found_at(environment, file)?;
        file.is_file().then(|| fs::read_text(&file, LARGEST).unwrap_or_default())
    };
    let has_own_files = known.settings.iter().any(|file| agent.env.contains_key(file.variable));
    has_own_files
        || agent.env.contains_key("HOME")
        || agent.args.iter().any(|arg| diverts(arg))
        || known.settings.iter().filter_map(read).any(|text| diverts(&text))
}

/// OpenCode keeps one entry for each provider that it is connected with; only their names are read.
fn stored(environment: &Environment, agent: &AgentConfig, usability: &mut ProviderAccess) {
    let Some(file) = file_of(environment, agent.kind) else { return };
    for provider in entries(&file).keys() {
        usability.allow(provider, Way::Stored(file.display().to_string()));
    }
}

fn entries(file: &Path) -> BTreeMap<String, IgnoredAny> {
    let text = fs::read_text(file, LARGEST).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_sys::fs::{Durability, write_private};

    /// Whether claude, codex and opencode of a home with that file send the keys of the environment.
    fn sends_key(file: &str, text: &str) -> [bool; 3] {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join(file);
        fs::create_dirs(path.parent().expect("a place")).expect("a directory");
        write_private(&path, text.as_bytes(), Durability::Cached).expect("a file");
        let environment = BTreeMap::from([("HOME".to_owned(), home.path().to_string_lossy().into_owned())]);
        let (config, catalog) = (Config::default(), Catalog::built_in());
        [("claude", "anthropic"), ("codex", "openai"), ("opencode", "openai")].map(|(agent, provider)| {
            let provider = catalog.provider(provider).expect("a provider");
            uses_key(&environment, config.agent(agent).expect("an agent"), provider)
        })
    }

    #[test]
    fn who_may_speak_with_another_server_or_key_says_nothing_of_the_key_in_the_environment() {
        let rows = [
            (".other/file", "anything", [true, true, true]),
            (".claude/settings.json", r#"{"model": "opus"}"#, [true, true, true]),
            (".claude/settings.json", r#"{"apiKeyHelper": "vault"}"#, [false, true, true]),
            (".claude/settings.json", r#"{"env": {"ANTHROPIC_BASE_URL": "http://x"}}"#, [false, true, true]),
            (".claude/.credentials.json", "{}", [false, true, true]),
            (".codex/config.toml", "model = 'gpt'\n", [true, true, true]),
            (".codex/config.toml", "model_provider = 'local'\n", [true, false, true]),
            (".codex/auth.json", "{}", [true, false, true]),
            (".config/opencode/opencode.json", r#"{"theme": "dark"}"#, [true, true, true]),
            (".config/opencode/opencode.jsonc", r#"{"provider": {"openai": {}}}"#, [true, true, false]),
            (".local/share/opencode/auth.json", r#"{"openai": {}}"#, [true, true, false]),
            (".local/share/opencode/auth.json", r#"{"google": {}}"#, [true, true, true]),
        ];
        for (file, text, sends) in rows {
            assert_eq!(sends_key(file, text), sends, "{file}: {text}");
        }
    }
}
