//! Launches Claude Code and compatible CLIs. [`reader`] reads their events.
//!
//! The repository's settings, hooks and MCP servers stay off unless the user trusts the repository; the user's settings
//! in HOME stay in force. Values from outside never become options.

mod failure;
mod live;
mod reader;

use super::argv::{Argv, checked_id, text_of};
use super::{Dialect, EventReader, LaunchRefused, LaunchRequest, LaunchSpec, LiveReader, Session, Stdin};
use crate::tasks::outcome::RunKind;
use serde_json::Value;
use std::collections::BTreeMap;

const NAME: &str = "claude";

/// The tools of a reviewing agent: they change nothing.
const REVIEW_TOOLS: &str = "Read,Grep,Glob";

/// The tools of a working agent. Scheduling, worktrees and other agents are orch's responsibility, and without those tools
/// a request is less than half as long.
const WORK_TOOLS: &str = "Bash,Edit,Write,Read,Grep,Glob,NotebookEdit,WebFetch,WebSearch,TaskOutput,TaskStop";

/// The dialect of Claude Code.
#[derive(Debug, Clone, Copy)]
pub struct Claude;

impl Dialect for Claude {
    fn launch(&self, request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused> {
        let mut argv = Argv::new(NAME, &["-p", "--output-format", "stream-json", "--verbose"]);
        let live = request.live && request.kind == RunKind::Work;
        if live {
            argv.extend(&["--input-format", "stream-json", "--replay-user-messages"]);
        }
        argv.model(request)?;
        let flag = match &request.session {
            Session::New { .. } => "--session-id",
            Session::Resume { .. } => "--resume",
        };
        argv.value(flag, checked_id(NAME, &request.session)?);
        argv.extend(&["--permission-mode", "dontAsk"]);
        let tools = match request.kind {
            RunKind::Work => WORK_TOOLS,
            RunKind::Review => REVIEW_TOOLS,
            RunKind::Route => "",
        };
        // The tools that exist, and those that are allowed: the mode refuses everything that would need a permission.
        argv.extend(&["--tools", tools, "--allowedTools", tools]);
        for rule in protection(request)? {
            argv.value("--disallowedTools", &rule);
        }
        if !request.trust_repository {
            argv.extend(&["--setting-sources", "user", "--strict-mcp-config"]);
        }
        argv.value("--json-schema", &request.answer_schema.to_string());
        argv.extra(request);
        Ok(LaunchSpec {
            env: environment(request.kind),
            stdin: if live { Stdin::Live } else { Stdin::Prompt },
            ..LaunchSpec::new(request, argv.finish()?, &["ANTHROPIC_*", "CLAUDE_*", "DISABLE_AUTOUPDATER"])
        })
    }

    fn reader(&self, _kind: RunKind) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }

    fn live_reader(&self, _opening: &Value) -> Option<Box<dyn LiveReader>> {
        Some(Box::new(reader::Reader::default()))
    }
}

/// Returns the environment: no traffic except to the model, nothing shared between tasks, no expansion of `@path` in a
/// task's text, and few retries, because orch itself decides when and where to retry.
fn environment(kind: RunKind) -> BTreeMap<String, String> {
    let (retries, answer_begins_within_ms) = match kind {
        RunKind::Work | RunKind::Review => ("2", "180000"),
        RunKind::Route => ("1", "60000"),
    };
    [
        ("API_TIMEOUT_MS", answer_begins_within_ms),
        ("CLAUDE_CODE_DISABLE_ATTACHMENTS", "1"),
        ("CLAUDE_CODE_DISABLE_AUTO_MEMORY", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("CLAUDE_CODE_MAX_RETRIES", retries),
        ("DISABLE_AUTOUPDATER", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Returns the rules that keep a working agent out of the user's own checkout. Reading it stays possible; changes that
/// these rules cannot prevent are found afterwards by inspecting the checkout.
fn protection(request: &LaunchRequest) -> Result<Vec<String>, LaunchRefused> {
    let (RunKind::Work, true, Some(main)) = (request.kind, request.sandbox, request.main_dir.as_deref()) else {
        return Ok(Vec::new());
    };
    Ok(rules(text_of(NAME, "the main directory", main)?, request.worktree.starts_with(main)))
}

/// Returns the rules for `main`. If the worktree is inside of it, a rule for everything below would exclude the agent's
/// own directory: then the rules cover only the root of the checkout.
fn rules(main: &str, worktree_inside: bool) -> Vec<String> {
    // Characters with a meaning in the grammar of the rules are replaced by its wildcards: `?` in a path pattern, `*` in
    // a command.
    let main = main.trim_end_matches('/');
    if main.is_empty() {
        return Vec::new();
    }
    let path = main.replace(|c: char| "()[]{}*?!\\,\"'#".contains(c) || c.is_control(), "?");
    let command = main.replace(|c: char| "()*\\,\"'".contains(c) || c.is_control(), "*");
    let mut rules = Vec::new();
    if !worktree_inside {
        rules.push(format!("Edit(/{path}/**)"));
    }
    for quote in ["", "\"", "'"] {
        rules.push(format!("Bash(cd {quote}{command}{quote})"));
        rules.push(format!("Bash(git -C {quote}{command}{quote} *)"));
        if !worktree_inside {
            rules.push(format!("Bash(cd {quote}{command}/*)"));
        }
    }
    rules
}
