//! Where the agent CLIs look for credentials: names of variables and of files, never what is in them. PURE.

use super::DialectKind;
use crate::catalog::Tier;
use std::collections::BTreeSet;

/// Where a CLI may have its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Variables, each of which is enough.
    pub variables: &'static [&'static str],
    /// The variable that names the directory of its files, the directory below HOME where it is not set, and the file.
    pub file: (&'static str, &'static str, &'static str),
    /// Files of its settings, each below the directory that a variable names or one below HOME.
    pub settings: &'static [(&'static str, &'static str, &'static str)],
    /// Words in its settings, or among its arguments, that may lead it to another address or another key.
    pub diverts: &'static [&'static str],
    /// They may also be where this cannot be seen (the keychain of macOS).
    pub keychain: bool,
    /// What logs a person in.
    pub login: &'static str,
}

/// Where a kind of CLI has them; `None` for programs of which orch knows nothing.
pub fn credentials(kind: DialectKind) -> Option<Credentials> {
    match kind {
        DialectKind::Claude => Some(Credentials {
            variables: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"],
            file: ("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json"),
            settings: &[("CLAUDE_CONFIG_DIR", ".claude", "settings.json")],
            diverts: &["apiKeyHelper", "ANTHROPIC_", "CLAUDE_CODE_USE_"],
            keychain: true,
            login: "claude setup-token, or start claude and type /login",
        }),
        DialectKind::Codex => Some(Credentials {
            variables: &["OPENAI_API_KEY", "CODEX_API_KEY"],
            file: ("CODEX_HOME", ".codex", "auth.json"),
            settings: &[("CODEX_HOME", ".codex", "config.toml")],
            diverts: &["model_provider", "base_url", "--oss", "profile"],
            keychain: false,
            login: "codex login",
        }),
        DialectKind::Opencode => Some(Credentials {
            variables: &["OPENCODE_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"],
            file: ("", ".local/share/opencode", "auth.json"),
            settings: &[
                ("OPENCODE_CONFIG_DIR", ".config/opencode", "opencode.json"),
                ("OPENCODE_CONFIG_DIR", ".config/opencode", "opencode.jsonc"),
            ],
            diverts: &["provider"],
            keychain: false,
            login: "opencode auth login",
        }),
        DialectKind::Command | DialectKind::Api => None,
    }
}

/// Short names of models that a kind of CLI has itself, for models of its own provider.
pub fn own_model_names(kind: DialectKind) -> &'static [&'static str] {
    match kind {
        DialectKind::Claude => &["haiku", "sonnet", "opus", "fable", "opusplan"],
        DialectKind::Codex | DialectKind::Opencode | DialectKind::Command | DialectKind::Api => &[],
    }
}

/// How a kind of CLI lists the models that it knows: its arguments, and what reads its answer. `None`: it has no list of them
/// that is had without the network.
pub fn model_list(kind: DialectKind) -> Option<ModelList> {
    match kind {
        DialectKind::Codex => Some((&["debug", "models", "--bundled"], super::codex::listed_models)),
        DialectKind::Claude | DialectKind::Opencode | DialectKind::Command | DialectKind::Api => None,
    }
}

/// Arguments, and what reads the answer.
pub type ModelList = (&'static [&'static str], fn(&str) -> Option<BTreeSet<String>>);

/// The model of each tier for versions of a kind of CLI that know it; for others the catalog has a say.
/// Source: `model_map` of the seed `orch`.
pub fn first_of_tier(kind: DialectKind) -> &'static [(Tier, &'static str)] {
    match kind {
        DialectKind::Codex => {
            &[(Tier::Haiku, "gpt-5.1-codex-mini"), (Tier::Sonnet, "gpt-5.2"), (Tier::Pro, "gpt-5.3-codex")]
        }
        DialectKind::Claude | DialectKind::Opencode | DialectKind::Command | DialectKind::Api => &[],
    }
}

/// The provider that an agent speaks with and is paid for; `None`: whichever its model is of, or nobody knows.
pub fn provider_of(kind: DialectKind, name: &str) -> Option<&'static str> {
    match (kind, name) {
        (DialectKind::Claude, "kimi") => Some("moonshotai"),
        (DialectKind::Claude, "minimax") => Some("minimax"),
        (DialectKind::Claude, _) => Some("anthropic"),
        (DialectKind::Codex, _) => Some("openai"),
        (DialectKind::Opencode | DialectKind::Command | DialectKind::Api, _) => None,
    }
}
