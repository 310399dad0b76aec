//! Checks what the schema cannot express: that names refer to something, that keys suit the kind of agent, that a value
//! can be passed to a program. PURE.

mod budget;
mod channels;
mod models;
pub mod odd;
mod rungs;
mod workspace;

use super::origin::{Origin, Origins};
use super::problem::{ConfigProblem, did_you_mean};
use super::raw::{RawConfig, RawKind, RawMode, RawPrompt};
use super::resolved::Config;
use super::resolved_agent::{AgentConfig, KNOWN};
use orch_core::economics::strategy::parse_share;
use orch_core::models::agents::{DialectKind, api};
use orch_core::models::resolve::{ResolveError, parse};
use orch_core::text::redact::{Pattern, PatternError};
use std::collections::BTreeMap;
use std::path::Path;

/// A setting that is inconsistent with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inconsistency {
    pub(super) problem: ConfigProblem,
    /// Whether a project file may contain it: a project may name agents that this person does not have.
    project_may: bool,
}

impl Inconsistency {
    /// Returns whether this is only a warning, because the project file at that path may contain it.
    pub(super) fn is_warning(&self, project: Option<&Path>) -> bool {
        let by_project = match &self.problem.origin {
            Origin::File { path, .. } => Some(path.as_path()) == project,
            Origin::Default | Origin::Environment { .. } | Origin::Flag { .. } => false,
        };
        self.project_may && by_project
    }
}

/// Checks that every agent under `agents` is complete and has only keys that its kind supports, and that all typed values
/// can be parsed.
pub(super) fn check_declarations(raw: &RawConfig, origins: &Origins) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    for (name, agent) in raw.agents.iter().flatten() {
        let mut wrong = |key: &str, message: String, hint: Option<&str>| {
            let mut problem = ConfigProblem::new(origins.near(key).clone(), format!("{key}: {message}"));
            problem.hint = hint.map(str::to_owned);
            problems.push(problem);
        };
        let key = format!("agents.{name}");
        if name.as_str() == api::NAME {
            let hint = "router.agent: api asks a provider directly, without an agent; choose another name";
            wrong(&key, "this name is reserved".to_owned(), Some(hint));
            continue;
        }
        let known = KNOWN.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind);
        let Some(kind) = agent.kind.map(DialectKind::from).or(known) else {
            let meant = did_you_mean(name, KNOWN.iter().map(|(known, _)| *known));
            let hint = "for an agent of your own, set its kind: claude, codex, opencode or command";
            wrong(&key, format!("not an agent that orch knows{meant}"), Some(hint));
            continue;
        };
        if known.is_none() && agent.kind == Some(RawKind::Command) && agent.command.is_none() {
            wrong(&key, "an agent of kind command needs a command".to_owned(), None);
        }
        if agent.sandbox.is_some() && kind != DialectKind::Codex {
            wrong(&format!("{key}.sandbox"), "only agents of kind codex have this mode".to_owned(), None);
        }
        if agent.live == Some(true) && !AgentConfig::can_be_live(kind) {
            let message = "orch cannot talk to agents of this kind while they work".to_owned();
            wrong(&format!("{key}.live"), message, Some("leave it out: messages wait for the agent's next turn"));
        }
        if agent.prompt == Some(RawPrompt::File) && kind != DialectKind::Command {
            wrong(
                &format!("{key}.prompt"),
                "only agents of kind command can take the prompt as a file".to_owned(),
                None,
            );
        }
        if agent.mode == Some(RawMode::Screen) && kind != DialectKind::Command {
            let message = "only agents of kind command can have a screen for their output".to_owned();
            wrong(&format!("{key}.mode"), message, Some("leave it out: orch reads what this kind of agent prints"));
        }
        if agent.mode == Some(RawMode::Screen) && agent.prompt == Some(RawPrompt::Stdin) {
            let message = "an agent with a screen cannot take the prompt on stdin, which is its terminal".to_owned();
            let hint = "leave it out, or prompt: file, and have the program read {prompt_file} or $ORCH_PROMPT_FILE";
            wrong(&format!("{key}.prompt"), message, Some(hint));
        }
    }
    problems.extend(rungs::check_syntax(raw, origins));
    problems.extend(workspace::check(raw, origins));
    problems.extend(budget::check_dates(raw, origins));
    problems.extend(channels::check_syntax(raw, origins));
    problems
}

/// Checks that the resolved settings are consistent.
pub(super) fn check_consistency(config: &Config, origins: &Origins) -> Vec<Inconsistency> {
    let mut check = Check { config, origins, found: Vec::new() };
    check.agents();
    check.router();
    check.models();
    check.model_selection();
    check.budget();
    check.rungs();
    check.workflow();
    check.http();
    check.channels();
    check.redact();
    check.found
}

/// Checks that every `${NAME}` in an agent's variables is set in the environment of the daemon.
pub fn check_references(config: &Config, origins: &Origins, daemon: &BTreeMap<String, String>) -> Vec<ConfigProblem> {
    let missing = |(name, error): (&str, super::resolved_agent::MissingVariable)| {
        let origin = origins.near(&format!("agents.{name}.env.{}", error.key)).clone();
        ConfigProblem::new(origin, format!("agents.{name}.{error}"))
            .hint(format!("set {} in the environment of the daemon, or write $${{ for a plain ${{", error.variable))
    };
    let agents = config.agents.iter();
    agents.filter_map(|(name, agent)| Some((name, agent.environment(daemon).err()?))).map(missing).collect()
}

/// Arguments and variables of programs cannot contain a zero byte.
const ZERO: &str = "contains a zero byte";

struct Check<'a> {
    config: &'a Config,
    origins: &'a Origins,
    found: Vec<Inconsistency>,
}

impl Check<'_> {
    fn wrong(&mut self, key: &str, message: impl std::fmt::Display) {
        let problem = ConfigProblem::new(self.origins.near(key).clone(), format!("{key}: {message}"));
        self.found.push(Inconsistency { problem, project_may: false });
    }

    fn http(&mut self) {
        let listen = self.config.http.listen.as_deref();
        if let Some(Err(message)) = listen.map(super::http::loopback) {
            self.wrong("http.listen", message);
        }
    }

    fn redact(&mut self) {
        for (name, regex) in &self.config.redact.patterns {
            let Err(error) = Pattern::new(name, regex) else { continue };
            let key = format!("redact.patterns.{name}");
            let problem = ConfigProblem::new(self.origins.near(&key).clone(), format!("{key}: {error}"));
            let hint = match error {
                PatternError::Name(_) => "the name stands in the place of what is masked: [REDACTED:name]",
                PatternError::Regex(_) => {
                    "in YAML, put it between single quotes; look-around and \\1 do not exist here"
                }
                PatternError::Empty => "write + instead of *, or {1,} instead of {0,}",
            };
            self.found.push(Inconsistency { problem: problem.hint(hint), project_may: false });
        }
    }

    fn agents(&mut self) {
        let config = self.config;
        for (name, agent) in config.agents.iter() {
            let key = format!("agents.{name}");
            if !is_agent_name(name) {
                self.wrong(&key, "a name consists of lower-case letters, digits, - and _, and begins with a letter");
            }
            if agent.command.trim().is_empty() || agent.command.contains('\0') {
                self.wrong(&format!("{key}.command"), "not a name of a program");
            }
            if agent.args.iter().any(|argument| argument.contains('\0')) {
                self.wrong(&format!("{key}.args"), ZERO);
            }
            for (variable, value) in &agent.env {
                let key = format!("{key}.env.{variable}");
                if value.expose().contains('\0') {
                    self.wrong(&key, ZERO);
                }
                if !is_variable(variable) {
                    self.wrong(&key, "not a name of a variable");
                } else if variable.starts_with("ORCH_") {
                    self.wrong(&key, "variables of that kind are set by orch itself");
                }
            }
            for pattern in &agent.pass_env {
                if !is_variable(pattern.strip_suffix('*').unwrap_or(pattern)) {
                    self.wrong(&format!("{key}.pass_env"), format_args!("{pattern:?} is not a name of a variable"));
                }
            }
        }
    }

    fn router(&mut self) {
        let router = &self.config.router;
        if self.config.agents.answerer(&router.agent).is_none() {
            self.known_agent("router.agent", &router.agent);
        }
        self.known_agent("router.fallback_executor", &router.fallback_executor);
        if router.agents.is_empty() {
            self.wrong("router.agents", "needs at least one agent");
        }
        router.agents.iter().for_each(|name| self.known_agent("router.agents", name));
        self.model("router.model", &router.model);
        if let Err(problem) = parse_share(&router.explore) {
            self.wrong("router.explore", problem);
        }
        if router.cheaper_for.iter().flatten().any(|word| word.trim().is_empty()) {
            self.wrong("router.cheaper_for", "a type of task is a word such as docs");
        }
    }

    fn models(&mut self) {
        let map = &self.config.model_map;
        let tiers =
            [("simple", &map.simple), ("medium", &map.medium), ("complex", &map.complex), ("review", &map.review)];
        for (tier, models) in tiers {
            for (agent, model) in models {
                let key = format!("model_map.{tier}.{agent}");
                self.model(&key, model);
                if let Some(message) = self.unknown_agent(agent) {
                    let problem = ConfigProblem::new(self.origins.near(&key).clone(), format!("{key}: {message}"));
                    self.found.push(Inconsistency { problem, project_may: true });
                }
            }
        }
    }

    fn workflow(&mut self) {
        let workflow = &self.config.workflow;
        if workflow.checks.iter().any(|command| command.trim().is_empty()) {
            self.wrong("workflow.checks", "contains an empty command");
        }
        if workflow.checks.iter().any(|command| command.contains('\0')) {
            self.wrong("workflow.checks", ZERO);
        }
        for pattern in &workflow.allowed_paths {
            if let Err(error) = globset::Glob::new(pattern) {
                self.wrong("workflow.allowed_paths", format_args!("{pattern:?} is not a pattern: {}", error.kind()));
            }
        }
        for name in self.config.review.agents.iter().flatten() {
            if self.config.agent(name).is_none() {
                self.wrong("review.agents", format_args!("there is no agent {name:?}"));
            }
        }
        if let Some(branch) = &workflow.base_branch
            && !is_branch(branch)
        {
            self.wrong("workflow.base_branch", format_args!("{branch:?} is not a name of a branch"));
        }
        if let Some(name) = &self.config.name
            && (name.trim().is_empty() || name.chars().any(char::is_control))
        {
            self.wrong("name", "must be a line of text");
        }
    }

    /// Checks a model in the spelling of an agent's program, or a tag or tier, which must exist because no program knows
    /// them. A provider without a model is refused too.
    fn model(&mut self, key: &str, value: &str) {
        self.model_name(key, value);
        let is_invalid = |error: &ResolveError| {
            matches!(error, ResolveError::UnknownTag { .. } | ResolveError::UnknownTier { .. })
                || (matches!(error, ResolveError::NoName { .. }) && value.ends_with('/'))
        };
        if let Some(error) = parse(value).err().filter(is_invalid) {
            let problem = ConfigProblem::new(self.origins.near(key).clone(), format!("{key}: {error}"));
            self.found.push(Inconsistency { problem: problem.hint(error.hint()), project_may: false });
        }
    }

    fn known_agent(&mut self, key: &str, name: &str) {
        if let Some(message) = self.unknown_agent(name) {
            self.wrong(key, message);
        }
    }

    fn unknown_agent(&self, name: &str) -> Option<String> {
        let agents = &self.config.agents;
        if name == api::NAME {
            return Some("api answers the routing question only, by router.agent; it does no work".to_owned());
        }
        let unknown = || format!("no agent is called {name:?}{}", did_you_mean(name, agents.names()));
        agents.get(name).is_none().then(unknown)
    }

    /// Checks a model name that becomes one argument of a program and must not be taken for an option.
    fn model_name(&mut self, key: &str, value: &str) {
        let plain = !value.is_empty() && !value.chars().any(|c| c.is_whitespace() || c.is_control());
        if !plain || value.starts_with('-') {
            self.wrong(key, format_args!("{value:?} is not a name of a model"));
        }
    }
}

fn is_agent_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    name.len() <= 40 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(allowed)
}

fn is_variable(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Returns whether the name satisfies the rules of `git check-ref-format --branch`.
fn is_branch(name: &str) -> bool {
    let is_segment = |segment: &str| !segment.is_empty() && !segment.starts_with('.') && !segment.ends_with(".lock");
    let forbidden = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !name.starts_with('-')
        && !name.ends_with('.')
        && name != "@"
        && name != "HEAD"
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(forbidden)
        && name.split('/').all(is_segment)
}

#[cfg(test)]
mod tests {
    use super::super::layers::{Layer, load};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let reported = match load(&[Layer::Global { path: "c".into(), text: text.to_owned() }]) {
            Ok(_) => String::new(),
            Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        };
        assert_eq!(reported, expected, "{text}");
    }

    #[test]
    fn a_pattern_that_cannot_be_used_is_reported_with_its_place() {
        check(
            "redact:\n  patterns:\n    ticket: 'ACME-[0-9'\n",
            "c:3:13: redact.patterns.ticket: not a regular expression: unclosed character class\n  hint: in YAML, put it \
             between single quotes; look-around and \\1 do not exist here",
        );
        check(
            "redact: {patterns: {ticket: 'x*'}}\n",
            "c:1:29: redact.patterns.ticket: the expression matches the empty text\n  hint: write + instead of *, or {1,} \
             instead of {0,}",
        );
        check("redact: {patterns: {ticket: 'ACME-[0-9]{6}'}}\n", "");
    }

    #[test]
    fn an_agent_must_say_what_it_is() {
        check(
            "agents:\n  cluade:\n    args: [x]\n",
            "c:2:3: agents.cluade: not an agent that orch knows, did you mean \"claude\"?\n  hint: for an agent of your own, \
             set its kind: claude, codex, opencode or command",
        );
        check("agents:\n  bot:\n    kind: command\n", "c:2:3: agents.bot: an agent of kind command needs a command");
        check("agents: {bot: {kind: command, command: ./b.sh, prompt: file}, two: {kind: claude}}", "");
        check("agents: {claude: {}, codex: }", "");
        check(
            "agents: {Bot: {kind: claude}}",
            "c:1:10: agents.Bot: a name consists of lower-case letters, digits, - and _, and begins with a letter",
        );
    }

    #[test]
    fn a_key_that_its_kind_does_not_understand_is_reported() {
        check(
            "agents: {claude: {sandbox: none}}",
            "c:1:28: agents.claude.sandbox: only agents of kind codex have this mode",
        );
        check(
            "agents: {bot: {kind: command, command: ./bot.sh, live: true}}",
            "c:1:56: agents.bot.live: orch cannot talk to agents of this kind while they work\n  hint: leave it out: messages wait for the agent's next turn",
        );
        check(
            "agents: {codex: {prompt: file}}",
            "c:1:26: agents.codex.prompt: only agents of kind command can take the prompt as a file",
        );
    }

    #[test]
    fn a_screen_is_for_programs_of_ones_own_and_takes_the_prompt_as_a_file() {
        check(
            "agents: {claude: {mode: screen}}",
            "c:1:25: agents.claude.mode: only agents of kind command can have a screen for their output\n  hint: leave it \
             out: orch reads what this kind of agent prints",
        );
        check(
            "agents: {bot: {kind: command, command: ./b.sh, mode: screen, prompt: stdin}}",
            "c:1:70: agents.bot.prompt: an agent with a screen cannot take the prompt on stdin, which is its terminal\n  \
             hint: leave it out, or prompt: file, and have the program read {prompt_file} or $ORCH_PROMPT_FILE",
        );
        check("agents: {bot: {kind: command, command: ./b.sh, mode: screen, prompt: file}, claude: {mode: lines}}", "");
    }

    #[test]
    fn names_of_agents_must_refer_to_one() {
        check(
            "router: {agent: clade, agents: [claude, cdex], fallback_executor: kodex}",
            "c:1:17: router.agent: no agent is called \"clade\", did you mean \"claude\"?\n\
             c:1:67: router.fallback_executor: no agent is called \"kodex\", did you mean \"codex\"?\n\
             c:1:32: router.agents: no agent is called \"cdex\", did you mean \"codex\"?",
        );
        check("router: {agents: []}", "c:1:18: router.agents: needs at least one agent");
        check("model_map: {simple: {mybot: x}}", "c:1:29: model_map.simple.mybot: no agent is called \"mybot\"");
        check("model_map: {simple: {mybot: x}}\nagents: {mybot: {kind: codex}}", "");
    }

    #[test]
    fn a_ladder_has_rungs_of_known_agents() {
        check("escalation: {ladder: [claude/haiku, codex]}", "");
        check("escalation: {ladder: [clade/haiku]}", "c:1:22: escalation.ladder: no agent is called \"clade\"");
        check(
            "escalation: {ladder: [claude/]}",
            "c:1:22: escalation.ladder: \"claude/\" is not a rung: write agent or agent/model",
        );
        check("escalation: {ladder: [claude/--yes]}", "c:1:22: escalation.ladder: \"--yes\" is not a name of a model");
    }

    #[test]
    fn a_chain_has_at_most_five_rungs_of_known_agents() {
        check("fallback: {complex: [claude/opus, codex/o3, opencode/google/gemini-2.5-pro]}", "");
        check("fallback: {medium: [clade]}", "c:1:20: fallback.medium: no agent is called \"clade\"");
        check(
            "fallback: {simple: [codex/]}",
            "c:1:20: fallback.simple: \"codex/\" is not a rung: write agent or agent/model",
        );
        let six = "fallback: {simple: [codex, codex, codex, codex, codex, codex]}";
        check(six, "c:1:20: fallback.simple: 6 rungs, of which only 5 would ever be tried");
    }

    #[test]
    fn nothing_that_a_program_would_take_for_an_option_gets_through() {
        check("router: {model: --dangerous}", "c:1:17: router.model: \"--dangerous\" is not a name of a model");
        check(
            "model_map: {review: {codex: 'a b'}}",
            "c:1:29: model_map.review.codex: \"a b\" is not a name of a model",
        );
        for bad in ["-f", "a..b", "a b", "a/", "/a", "a.lock", "HEAD", "a~1", "@{u}", "x:y", ".a", "a/.b", "a\\\\b"] {
            let text = format!("workflow: {{base_branch: \"{bad}\"}}");
            let shown = bad.replace("\\\\", "\\");
            check(&text, &format!("c:1:25: workflow.base_branch: {shown:?} is not a name of a branch"));
        }
        for good in ["main", "release/1.2", "é", "feature/a-b_c"] {
            check(&format!("workflow: {{base_branch: {good}}}"), "");
        }
    }

    #[test]
    fn variables_of_an_agent_have_proper_names() {
        check("agents: {claude: {env: {A-B: x}}}", "c:1:30: agents.claude.env.A-B: not a name of a variable");
        check(
            "agents: {claude: {env: {ORCH_TASK_ID: '1'}}}",
            "c:1:39: agents.claude.env.ORCH_TASK_ID: variables of that kind are set by orch itself",
        );
        check(
            "agents: {claude: {pass_env: [A, AWS_*, '*']}}",
            "c:1:29: agents.claude.pass_env: \"*\" is not a name of a variable",
        );
        check("agents: {claude: {command: ' '}}", "c:1:28: agents.claude.command: not a name of a program");
        check("workflow: {checks: [\"a\\0b\"]}", "c:1:20: workflow.checks: contains a zero byte");
        check("workflow: {checks: [make, ' ']}", "c:1:20: workflow.checks: contains an empty command");
    }

    #[test]
    fn a_reference_to_a_variable_that_is_not_set_is_reported_with_its_place() {
        let text = "agents:\n  codex:\n    env:\n      KEY: pre-${MY_KEY}\n      OTHER: ${SET}\n";
        let loaded = load(&[Layer::Global { path: "c".into(), text: text.to_owned() }]).unwrap();
        let daemon = BTreeMap::from([("SET".to_owned(), "1".to_owned())]);
        let reported = check_references(&loaded.config, &loaded.origins, &daemon);
        assert_eq!(
            reported.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "c:4:12: agents.codex.env.KEY refers to MY_KEY, which is not set\n  hint: set MY_KEY in the environment of the \
              daemon, or write $${ for a plain ${"
            ]
        );
        assert_eq!(
            check_references(
                &loaded.config,
                &loaded.origins,
                &BTreeMap::from([("MY_KEY".into(), "x".into()), ("SET".into(), "1".into())])
            ),
            []
        );
    }
}
