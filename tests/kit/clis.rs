//! The real agent CLIs: where they are installed, and how each is pointed at the scripted model server. It never skips
//! and never falls back to a real endpoint: without the CLIs a test fails with instructions.

use std::path::{Path, PathBuf};

/// The agent CLIs that orch drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// Claude Code.
    Claude,
    /// Codex CLI.
    Codex,
    /// OpenCode.
    Opencode,
}

/// The configuration that points a CLI at the model server only.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The environment variables.
    pub env: Vec<(&'static str, String)>,
    /// The files: the path relative to HOME, and the text.
    pub files: Vec<(&'static str, String)>,
}

impl Agent {
    /// All agents.
    pub const ALL: [Self; 3] = [Self::Claude, Self::Codex, Self::Opencode];

    /// The name of the command, and of the agent in orch.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Opencode => "opencode",
        }
    }

    /// The model to name on its command line, with the server's setup.
    pub fn model(self) -> &'static str {
        match self {
            Self::Claude => "haiku",
            Self::Codex => "fake-model",
            Self::Opencode => "fake/fake-model",
        }
    }

    /// The arguments of a run with its prompt on stdin.
    pub fn run_args(self) -> Vec<String> {
        let args: &[&str] = match self {
            Self::Claude => &[
                "-p",
                "--output-format",
                "stream-json",
                "--verbose",
                "--model",
                "haiku",
                "--setting-sources",
                "",
                "--strict-mcp-config",
                "--allowedTools",
                "Bash",
            ],
            Self::Codex => &["exec", "--json", "--sandbox", "danger-full-access", "-"],
            Self::Opencode => &["run", "--format", "json", "-m", "fake/fake-model", "--title", "task"],
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// The arguments of a run that continues a conversation.
    pub fn resume_args(self, session: &str) -> Vec<String> {
        let mut args = self.run_args();
        match self {
            Self::Claude => args.splice(1..1, ["--resume".to_owned(), session.to_owned()]).for_each(drop),
            Self::Codex => args.splice(4..4, ["resume".to_owned(), session.to_owned()]).for_each(drop),
            Self::Opencode => args.extend(["-s".to_owned(), session.to_owned()]),
        }
        args
    }
}

/// Returns the configuration that points `agent` at the server at `url` (`http://127.0.0.1:<port>`).
pub fn setup(agent: Agent, url: &str) -> Setup {
    let variables = |pairs: &[(&'static str, &str)]| pairs.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    match agent {
        Agent::Claude => Setup {
            env: variables(&[
                ("ANTHROPIC_BASE_URL", url),
                ("ANTHROPIC_API_KEY", "sk-ant-dummy"),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
                ("CLAUDE_CODE_DISABLE_AUTO_MEMORY", "1"),
                ("DISABLE_AUTOUPDATER", "1"),
                ("CLAUDE_CODE_MAX_RETRIES", "1"),
            ]),
            files: Vec::new(),
        },
        Agent::Codex => Setup {
            env: variables(&[("OPENAI_API_KEY", "dummy-key")]),
            files: vec![(".codex/config.toml", codex_config(url))],
        },
        Agent::Opencode => Setup {
            env: variables(&[
                ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
                ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
                ("OPENCODE_DISABLE_PROJECT_CONFIG", "1"),
                ("npm_config_registry", "http://127.0.0.1:9/"),
            ]),
            files: vec![(".config/opencode/opencode.json", opencode_config(url))],
        },
    }
}

/// Returns the part of orch's `config.yml` for [`setup`]: the models of the CLIs' setup, and variables that orch does not
/// pass on from the daemon's environment by default.
pub fn orch_config() -> String {
    let models = Agent::ALL.map(|agent| format!("{}: {}", agent.name(), agent.model())).join(", ");
    let map: String =
        ["simple", "medium", "complex", "review"].iter().map(|level| format!("  {level}: {{ {models} }}\n")).collect();
    format!(
        "model_map:\n{map}agents:\n  claude:\n    env: {{ CLAUDE_CODE_MAX_RETRIES: \"1\" }}\n  opencode:\n    env: {{ npm_config_registry: \"http://127.0.0.1:9/\" }}\n"
    )
}

fn codex_config(url: &str) -> String {
    format!(
        r#"model = "fake-model"
model_provider = "fake"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.fake]
name = "fake"
base_url = "{url}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

[features]
plugins = false
apps = false
unbounded_connection_retries = false
"#
    )
}

fn opencode_config(url: &str) -> String {
    let model = serde_json::json!({
        "name": "Fake model",
        "limit": { "context": 200_000, "output": 8192 },
        "cost": { "input": 1.0, "output": 5.0, "cache_read": 0.1, "cache_write": 1.25 }
    });
    // OpenCode adds `$schema` to a global configuration without it.
    let config = serde_json::json!({
        "$schema": "https://opencode.ai/config.json",
        "share": "disabled",
        "autoupdate": false,
        "enabled_providers": ["fake"],
        "provider": { "fake": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Fake",
            "options": { "baseURL": format!("{url}/v1"), "apiKey": "dummy-key" },
            "models": { "fake-model": model }
        } }
    });
    format!("{config:#}\n")
}

/// The directory of the installed commands: `ORCH_TEST_CLIS`, or where `scripts/install-agent-clis` puts them.
/// Panics if one is missing.
pub fn directory() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/agent-clis/node_modules/.bin");
    #[expect(clippy::disallowed_methods, reason = "tests are told by their caller where the CLIs are")]
    let directory = std::env::var_os("ORCH_TEST_CLIS").map_or(default, PathBuf::from);
    for agent in Agent::ALL {
        let program = directory.join(agent.name());
        assert!(
            program.is_file(),
            "{} is not installed; `make test` installs the agent CLIs (by scripts/install-agent-clis), \
             or set ORCH_TEST_CLIS to their directory",
            program.display()
        );
    }
    directory
}
