//! Launches Codex CLI. [`reader`] reads its events, [`record`] its session file.
//!
//! The user's `config.toml`, and with it the model provider, stays in force. Codex limits retries per provider, and a
//! dialect does not know which provider the user chose: only what holds for all of them is set here (no endless wait for
//! the network). The runner's own limits bound the rest.

mod failure;
mod live;
mod reader;
mod record;

use super::argv::{Argv, checked_id, checked_model, text_of};
use super::{CodexSandbox, Dialect, EventReader, LaunchRefused, LaunchRequest, LaunchSpec, LiveReader, Session, Stdin};
use crate::tasks::outcome::RunKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

const NAME: &str = "codex";
/// The variables that its program gets from the daemon.
const PASS_ENV: [&str; 2] = ["OPENAI_*", "CODEX_*"];

/// The dialect of Codex CLI.
#[derive(Debug, Clone, Copy)]
pub struct Codex;

impl Dialect for Codex {
    fn launch(&self, request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused> {
        if request.live && request.kind == RunKind::Work && are_settings(&request.extra_args) {
            return live_launch(request);
        }
        let mut argv = Argv::new(NAME, &["exec", "--json"]);
        sandbox(&mut argv, request)?;
        argv.path("--cd", "the working directory", &request.worktree)?;
        argv.model(request)?;
        // As settings rather than `--disable`: a version that does not know a feature ignores the setting.
        argv.extend(&["-c", "features.unbounded_connection_retries=false"]);
        argv.extend(&["-c", "check_for_update_on_startup=false"]);
        if !request.trust_repository {
            argv.extend(&["-c", "project_doc_max_bytes=0"]);
        }
        let schema = request.run_dir.join("answer-schema.json");
        argv.path("--output-schema", "the run's directory", &schema)?;
        argv.extra(request);
        // The options of `exec` also apply to `resume`, but only before that word.
        if let Session::Resume { .. } = &request.session {
            argv.extend(&["resume", checked_id(NAME, &request.session)?]);
        }
        argv.extend(&["-"]);
        Ok(LaunchSpec {
            files: [(schema, request.answer_schema.to_string())].into(),
            ..LaunchSpec::new(request, argv.finish()?, &PASS_ENV)
        })
    }

    /// The MCP servers and hooks start once the user has trusted the checkout in Codex, whatever `-c projects` says.
    fn unstoppable_settings(&self) -> &'static [&'static str] {
        &[".codex"]
    }

    fn reader(&self, _kind: RunKind) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }

    fn live_reader(&self, opening: &Value) -> Option<Box<dyn LiveReader>> {
        Some(Box::new(live::Live::new(opening)))
    }
}

/// Parses the selectable models of `codex debug models`; `None` when the output is no such list.
pub fn listed_models(output: &str) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct List {
        models: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        slug: String,
        #[serde(default)]
        visibility: String,
    }
    let list: List = serde_json::from_str(output).ok()?;
    let shown = list.models.into_iter().filter(|model| model.visibility != "hide");
    Some(shown.map(|model| model.slug).collect())
}

/// Returns whether every command of Codex understands the user's own arguments. With others, `exec` is used.
fn are_settings(args: &[String]) -> bool {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let with_value = ["-c", "--config", "--enable", "--disable"].contains(&arg.as_str());
        let whole = ["--config=", "--enable=", "--disable="].iter().any(|flag| arg.starts_with(flag));
        if !(whole || with_value && args.next().is_some()) {
            return false;
        }
    }
    true
}

/// Launches the run over `codex app-server`, which takes messages while it works. What are options of `exec` are
/// parameters of the requests for the thread and its turns here.
///
/// A thread that begins with write access makes Codex trust the directory: it records that permanently in the user's own
/// `config.toml`, and from then on the repository's MCP servers and hooks start. So the thread begins read-only, and
/// every turn sets its own sandbox.
fn live_launch(request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused> {
    let mut argv = Argv::new(NAME, &["app-server"]);
    argv.extend(&["-c", "features.unbounded_connection_retries=false"]);
    argv.extend(&["-c", "check_for_update_on_startup=false"]);
    if !request.trust_repository {
        argv.extend(&["-c", "project_doc_max_bytes=0"]);
    }
    argv.extra(request);
    let mut thread = json!({
        "cwd": text_of(NAME, "the working directory", &request.worktree)?,
        "approvalPolicy": "never",
        "sandbox": "read-only",
    });
    if let Some(model) = checked_model(NAME, request)? {
        thread["model"] = json!(model);
    }
    let method = match &request.session {
        Session::New { .. } => "thread/start",
        Session::Resume { .. } => {
            thread["threadId"] = json!(checked_id(NAME, &request.session)?);
            thread["excludeTurns"] = json!(true);
            "thread/resume"
        }
    };
    Ok(LaunchSpec {
        stdin: Stdin::Live,
        opening: live::opening(method, &thread, &turn_policy(request)?, &request.answer_schema),
        ..LaunchSpec::new(request, argv.finish()?, &PASS_ENV)
    })
}

/// Returns the permissions of a live run's turns, as parameters of `turn/start`.
fn turn_policy(request: &LaunchRequest) -> Result<Value, LaunchRefused> {
    let policy = match request.codex_sandbox {
        CodexSandbox::FullAuto | CodexSandbox::WorkspaceWrite => {
            let dirs = git_roots(request);
            let roots = dirs.iter().map(|dir| text_of(NAME, "the git directory", dir));
            let roots = roots.collect::<Result<Vec<_>, _>>()?;
            json!({ "type": "workspaceWrite", "networkAccess": true, "writableRoots": roots })
        }
        CodexSandbox::DangerFullAccess | CodexSandbox::None => json!({ "type": "dangerFullAccess" }),
    };
    Ok(json!({ "approvalPolicy": "never", "sandboxPolicy": policy }))
}

/// Adds the sandbox mode, and what a commit needs under it.
fn sandbox(argv: &mut Argv, request: &LaunchRequest) -> Result<(), LaunchRefused> {
    match (request.kind, request.codex_sandbox) {
        (RunKind::Review, _) => argv.extend(&["--sandbox", "read-only"]),
        (RunKind::Route, _) => {
            argv.extend(&["--sandbox", "read-only", "--skip-git-repo-check"]);
            for off in ["shell_tool", "unified_exec", "multi_agent", "goals"] {
                argv.extend(&["-c", &format!("features.{off}=false")]);
            }
            argv.extend(&["-c", "web_search=\"disabled\""]);
        }
        (RunKind::Work, CodexSandbox::FullAuto | CodexSandbox::WorkspaceWrite) => {
            argv.extend(&["--sandbox", "workspace-write", "-c", "sandbox_workspace_write.network_access=true"]);
            git_directories(argv, request)?;
        }
        (RunKind::Work, CodexSandbox::DangerFullAccess) => argv.extend(&["--sandbox", "danger-full-access"]),
        (RunKind::Work, CodexSandbox::None) => argv.extend(&["--dangerously-bypass-approvals-and-sandbox"]),
    }
    Ok(())
}

/// Makes the git directories writable, both of them for a linked worktree: the sandbox keeps unnamed ones read-only.
fn git_directories(argv: &mut Argv, request: &LaunchRequest) -> Result<(), LaunchRefused> {
    git_roots(request).iter().try_for_each(|dir| argv.path("--add-dir", "the git directory", dir))
}

fn git_roots(request: &LaunchRequest) -> Vec<PathBuf> {
    match &request.git_dirs {
        Some(dirs) => vec![dirs.common.clone(), dirs.own.clone()],
        None => vec![request.worktree.join(".git")],
    }
}
