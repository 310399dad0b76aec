//! Where the agent CLIs look for credentials: names of variables and of files, never their contents. PURE.

use super::DialectKind;
use crate::models::catalog::Tier;
use std::collections::BTreeSet;

/// A file that a CLI keeps for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnFile {
    /// The variable that names its directory; empty where there is none.
    pub variable: &'static str,
    /// Its directory below HOME, if the variable is unset.
    pub dir: &'static str,
    /// Its name.
    pub name: &'static str,
}

/// The places of a CLI's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Variables, each of which is sufficient.
    pub variables: &'static [&'static str],
    /// Its credentials file.
    pub file: OwnFile,
    /// Its settings files.
    pub settings: &'static [OwnFile],
    /// Words in its settings or arguments that may direct it to another address or another key.
    pub diverts: &'static [&'static str],
    /// Whether they may also be in a keychain that cannot be checked (macOS).
    pub keychain: bool,
    /// The command that logs a person in.
    pub login: &'static str,
}

/// Returns the places for a kind of CLI; `None` for programs that orch does not know.
pub fn credentials(kind: DialectKind) -> Option<Credentials> {
    match kind {
        DialectKind::Claude => Some(Credentials {
            variables: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"],
            file: OwnFile { variable: "CLAUDE_CONFIG_DIR", dir: ".claude", name: ".credentials.json" },
            settings: &[OwnFile { variable: "CLAUDE_CONFIG_DIR", dir: ".claude", name: "settings.json" }],
            diverts: &["apiKeyHelper", "ANTHROPIC_", "CLAUDE_CODE_USE_"],
            keychain: true,
            login: "claude setup-token, or start claude and type /login",
        }),
        DialectKind::Codex => Some(Credentials {
            variables: &["OPENAI_API_KEY", "CODEX_API_KEY"],
            file: OwnFile { variable: "CODEX_HOME", dir: ".codex", name: "auth.json" },
            settings: &[OwnFile { variable: "CODEX_HOME", dir: ".codex", name: "config.toml" }],
            diverts: &["model_provider", "base_url", "--oss", "profile"],
            keychain: false,
            login: "codex login",
        }),
        DialectKind::Opencode => Some(Credentials {
            variables: &["OPENCODE_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"],
            file: OwnFile { variable: "", dir: ".local/share/opencode", name: "auth.json" },
            settings: &[
                OwnFile { variable: "OPENCODE_CONFIG_DIR", dir: ".config/opencode", name: "opencode.json" },
                OwnFile { variable: "OPENCODE_CONFIG_DIR", dir: ".config/opencode", name: "opencode.jsonc" },
            ],
            diverts: &["provider"],
            keychain: false,
            login: "opencode auth login",
        }),
        DialectKind::Command | DialectKind::Api => None,
    }
}

/// Returns a CLI's own short names for models of its provider.
pub fn own_model_names(kind: DialectKind) -> &'static [&'static str] {
    match kind {
        DialectKind::Claude => &["haiku", "sonnet", "opus", "fable", "opusplan"],
        DialectKind::Codex | DialectKind::Opencode | DialectKind::Command | DialectKind::Api => &[],
    }
}

/// Returns how a kind of CLI lists the models that it knows; `None` when it has no such list without the network.
pub fn model_list(kind: DialectKind) -> Option<ModelList> {
    match kind {
        DialectKind::Codex => Some((&["debug", "models", "--bundled"], super::codex::listed_models)),
        DialectKind::Claude | DialectKind::Opencode | DialectKind::Command | DialectKind::Api => None,
    }
}

/// The arguments that print a list of models, and the parser of the output.
pub type ModelList = (&'static [&'static str], fn(&str) -> Option<BTreeSet<String>>);

/// Returns the model of each tier for versions of a CLI that know it; for others the catalog decides.
/// Source: `model_map` of the seed `orch`.
pub fn first_of_tier(kind: DialectKind) -> &'static [(Tier, &'static str)] {
    match kind {
        DialectKind::Codex => {
            &[(Tier::Haiku, "gpt-5.1-codex-mini"), (Tier::Sonnet, "gpt-5.2"), (Tier::Pro, "gpt-5.3-codex")]
        }
        DialectKind::Claude | DialectKind::Opencode | DialectKind::Command | DialectKind::Api => &[],
    }
}

/// Returns the provider that an agent uses and pays; `None` when that depends on its model or is unknown.
pub fn provider_of(kind: DialectKind, name: &str) -> Option<&'static str> {
    match (kind, name) {
        (DialectKind::Claude, "kimi") => Some("moonshotai"),
        (DialectKind::Claude, "minimax") => Some("minimax"),
        (DialectKind::Claude, _) => Some("anthropic"),
        (DialectKind::Codex, _) => Some("openai"),
        (DialectKind::Opencode | DialectKind::Command | DialectKind::Api, _) => None,
    }
}
