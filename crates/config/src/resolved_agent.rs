//! The resolved settings of agents: the known ones with their defaults, and programs that the person declared.

use super::overlay::overlay;
use super::raw::{RawAgent, RawCodexSandbox, RawKind, RawMode, RawPrompt};
use super::resolved_channels::Reference;
use super::resolved_models::present;
use super::secret::Secret;
use orch_core::models::agents::{CodexSandbox, DialectKind, Mode, PromptVia, api};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Agents by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Agents(BTreeMap<String, AgentConfig>);

/// Complete settings of one agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentConfig {
    /// Protocol of the program.
    pub kind: DialectKind,
    /// Program: a name to look up in PATH, or a path.
    pub command: String,
    /// Arguments appended to orch's own; for [`DialectKind::Command`] with placeholders.
    pub args: Vec<String>,
    /// Environment variables of this agent; [`AgentConfig::environment`] expands their references.
    pub env: BTreeMap<String, Secret>,
    /// Names of variables (a trailing `*` matches any suffix) passed on from the daemon's environment.
    pub pass_env: Vec<String>,
    /// How the prompt is passed. Only [`DialectKind::Command`] may differ from standard input.
    pub prompt: PromptVia,
    /// Kind of output. Only [`DialectKind::Command`] may have a screen.
    pub mode: Mode,
    /// Mode of codex's own sandbox; other kinds ignore it.
    pub sandbox: CodexSandbox,
    /// Whether the repository's own agent configuration takes effect.
    pub trust_repository: bool,
    /// Longest run in seconds, 0: no limit; `None`: as for other agents.
    pub timeout_seconds: Option<u64>,
    /// Memory limit of a run in megabytes, 0: no limit; `None`: as for other agents.
    pub memory_mb: Option<u64>,
    /// Whether it accepts messages while it works; only for kinds with [`AgentConfig::can_be_live`].
    pub live: bool,
    /// Maximum number of its tasks at once; `None`: only the global limit.
    pub max_parallel: Option<u32>,
}

/// A `${NAME}` whose variable is not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("env.{key} refers to {variable}, which is not set")]
pub struct MissingVariable {
    /// The agent's variable.
    pub key: String,
    /// The daemon's variable that it refers to.
    pub variable: String,
}

/// The agents that need no declaration, with their protocols.
pub const KNOWN: [(&str, DialectKind); 5] = [
    ("claude", DialectKind::Claude),
    ("codex", DialectKind::Codex),
    ("opencode", DialectKind::Opencode),
    ("kimi", DialectKind::Claude),
    ("minimax", DialectKind::Claude),
];

impl Default for Agents {
    fn default() -> Self {
        Self(KNOWN.iter().map(|&(name, kind)| (name.to_owned(), AgentConfig::new(kind, name))).collect())
    }
}

impl Agents {
    /// Returns the agent of that name.
    pub fn get(&self, name: &str) -> Option<&AgentConfig> {
        self.0.get(name)
    }

    /// Returns the agent that answers questions under that name; includes [`api`], which works on no tasks.
    pub fn answerer(&self, name: &str) -> Option<&AgentConfig> {
        static API: LazyLock<AgentConfig> = LazyLock::new(|| AgentConfig::new(DialectKind::Api, api::NAME));
        if name == api::NAME { Some(&API) } else { self.get(name) }
    }

    /// Iterates over all agents in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AgentConfig)> {
        self.0.iter().map(|(name, agent)| (name.as_str(), agent))
    }

    /// Iterates over all names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn with(mut self, raw: BTreeMap<String, RawAgent>) -> Self {
        for (name, raw) in raw {
            let base = self.0.remove(&name).unwrap_or_else(|| AgentConfig::declared(&raw));
            self.0.insert(name, base.with(raw));
        }
        self
    }
}

impl AgentConfig {
    /// Creates an agent with the defaults for its protocol and program.
    pub fn new(kind: DialectKind, command: &str) -> Self {
        Self {
            kind,
            command: command.to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            pass_env: Vec::new(),
            prompt: PromptVia::default(),
            mode: Mode::default(),
            sandbox: CodexSandbox::default(),
            trust_repository: false,
            timeout_seconds: None,
            memory_mb: None,
            live: Self::can_be_live(kind),
            max_parallel: None,
        }
    }

    /// Returns whether agents of this kind can accept messages while they work.
    pub fn can_be_live(kind: DialectKind) -> bool {
        kind.dialect().live_reader(&serde_json::Value::Null).is_some()
    }

    /// Returns the defaults of a declared agent. Without a command it uses the usual program of its kind. `validate`
    /// checks that kind and command are present.
    fn declared(raw: &RawAgent) -> Self {
        let kind = raw.kind.map_or(DialectKind::Command, DialectKind::from);
        let usual = KNOWN.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name);
        Self::new(kind, usual)
    }

    fn with(self, raw: RawAgent) -> Self {
        let kind = raw.kind.map_or(self.kind, DialectKind::from);
        let mode = raw.mode.map_or(self.mode, Mode::from);
        let usual = if kind == self.kind { self.live } else { Self::can_be_live(kind) };
        overlay!(self with raw {
            [command, args, pass_env, trust_repository]
            ?[max_parallel, timeout_seconds, memory_mb]
            kind,
            live: raw.live.unwrap_or(usual),
            env: raw.env.map_or(self.env, |env| present(Some(env))),
            prompt: raw.prompt.map_or(if mode == Mode::Screen { PromptVia::File } else { self.prompt }, PromptVia::from),
            mode,
            sandbox: raw.sandbox.map_or(self.sandbox, CodexSandbox::from),
        })
    }

    /// Returns the agent's variables with every `${NAME}`, and a whole `env:NAME`, replaced from the daemon's
    /// environment. `$${` stands for `${`.
    ///
    /// # Errors
    /// Names the first variable that is not set there. Never shows a value.
    pub fn environment(&self, daemon: &BTreeMap<String, String>) -> Result<BTreeMap<String, Secret>, MissingVariable> {
        self.env
            .iter()
            .map(|(key, value)| match expand(value.expose(), daemon) {
                Ok(expanded) => Ok((key.clone(), Secret::new(expanded))),
                Err(variable) => Err(MissingVariable { key: key.clone(), variable }),
            })
            .collect()
    }
}

fn expand(text: &str, daemon: &BTreeMap<String, String>) -> Result<String, String> {
    // The same syntax as channels use for secrets. Only a bare variable name counts: `env:production is up` is text.
    if let Ok(Reference::Env(variable)) = text.parse() {
        return daemon.get(&variable).cloned().ok_or(variable);
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        let inner = &reference["${".len()..];
        if let Some(before) = before.strip_suffix('$') {
            expanded.extend([before, "${"]);
            rest = inner;
            continue;
        }
        let Some((variable, after)) = inner.split_once('}') else { break };
        expanded.push_str(before);
        expanded.push_str(daemon.get(variable).ok_or(variable)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

impl From<RawKind> for DialectKind {
    fn from(kind: RawKind) -> Self {
        match kind {
            RawKind::Claude => Self::Claude,
            RawKind::Codex => Self::Codex,
            RawKind::Opencode => Self::Opencode,
            RawKind::Command => Self::Command,
        }
    }
}

impl From<RawPrompt> for PromptVia {
    fn from(way: RawPrompt) -> Self {
        match way {
            RawPrompt::Stdin => Self::Stdin,
            RawPrompt::File => Self::File,
        }
    }
}

impl From<RawMode> for Mode {
    fn from(mode: RawMode) -> Self {
        match mode {
            RawMode::Lines => Self::Lines,
            RawMode::Screen => Self::Screen,
        }
    }
}

impl From<RawCodexSandbox> for CodexSandbox {
    fn from(mode: RawCodexSandbox) -> Self {
        match mode {
            RawCodexSandbox::FullAuto => Self::FullAuto,
            RawCodexSandbox::WorkspaceWrite => Self::WorkspaceWrite,
            RawCodexSandbox::DangerFullAccess => Self::DangerFullAccess,
            RawCodexSandbox::None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents(raw: serde_json::Value) -> Agents {
        Agents::default().with(serde_json::from_value(raw).unwrap())
    }

    #[test]
    fn known_agents_need_no_declaration() {
        let agents = Agents::default();
        assert_eq!(agents.names().collect::<Vec<_>>(), ["claude", "codex", "kimi", "minimax", "opencode"]);
        let kimi = agents.get("kimi").unwrap();
        assert_eq!((kimi.kind, kimi.command.as_str()), (DialectKind::Claude, "kimi"));
    }

    #[test]
    fn a_declared_agent_of_a_known_kind_uses_its_program() {
        let agents = agents(serde_json::json!({
            "work": {"kind": "claude", "args": ["--x"]}, "bot": {"kind": "command", "command": "./bot.sh"}
        }));
        let work = agents.get("work").unwrap();
        assert_eq!(
            (work.kind, work.command.as_str(), work.args.as_slice()),
            (DialectKind::Claude, "claude", &["--x".to_owned()][..])
        );
        assert_eq!(agents.get("bot").unwrap().command, "./bot.sh");
    }

    #[test]
    fn agents_that_can_be_live_are_live_unless_the_person_turns_it_off() {
        let agents = agents(serde_json::json!({
            "kimi": {"live": false}, "minimax": {"kind": "codex"}, "bot": {"kind": "command", "command": "./bot.sh"}
        }));
        let live = |name: &str| agents.get(name).unwrap().live;
        assert_eq!(["claude", "kimi", "minimax", "opencode", "bot"].map(live), [true, false, true, true, false]);
    }

    #[test]
    fn an_agent_with_a_screen_gets_the_prompt_as_a_file() {
        let agents = agents(serde_json::json!({
            "bot": {"kind": "command", "command": "./b", "mode": "screen"}, "two": {"kind": "command", "command": "./b"}
        }));
        let of = |name: &str| agents.get(name).map(|agent| (agent.mode, agent.prompt)).unwrap();
        assert_eq!((of("bot"), of("two")), ((Mode::Screen, PromptVia::File), (Mode::Lines, PromptVia::Stdin)));
    }

    #[test]
    fn references_are_taken_from_the_environment_of_the_daemon() {
        let daemon = BTreeMap::from([("TOKEN".to_owned(), "t".to_owned()), ("EMPTY".to_owned(), String::new())]);
        for (text, expanded) in [
            ("plain", "plain"),
            ("${TOKEN}", "t"),
            ("a${TOKEN}b${TOKEN}", "atbt"),
            ("${EMPTY}", ""),
            ("$TOKEN", "$TOKEN"),
            ("$${TOKEN}", "${TOKEN}"),
            ("env:TOKEN", "t"),
            ("env:TOKEN and more", "env:TOKEN and more"),
            ("env:", "env:"),
            ("${open", "${open"),
            ("é$${}${TOKEN}", "é${}t"),
            ("", ""),
        ] {
            assert_eq!(expand(text, &daemon).as_deref(), Ok(expanded), "{text}");
        }
        assert_eq!(expand("x${GONE}", &daemon), Err("GONE".to_owned()));
        assert_eq!(expand("env:GONE", &daemon), Err("GONE".to_owned()));
    }

    #[test]
    fn a_missing_variable_is_reported_by_name_and_values_stay_hidden() {
        let agents = agents(serde_json::json!({"claude": {"env": {"KEY": "sk-1${GONE}"}}}));
        let claude = agents.get("claude").unwrap();
        let missing = claude.environment(&BTreeMap::new()).unwrap_err();
        assert_eq!(missing.to_string(), "env.KEY refers to GONE, which is not set");
        assert!(!format!("{agents:?}").contains("sk-1"));
        assert!(!serde_json::to_string(&agents).unwrap().contains("sk-1"));
    }
}
