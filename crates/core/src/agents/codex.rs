//! Codex CLI: how it is launched. Its events are read in [`reader`], its session file in [`record`].
//!
//! The user's `config.toml`, and with it the model provider, stays in force. Codex bounds its retries per provider, and
//! a dialect does not know which provider the user chose: set here is only what holds for all of them (no endless wait
//! for the network). The rest is bounded by the runner's own limits.

mod failure;
mod live;
mod reader;
mod record;

use super::argv::{Argv, checked_id, checked_model, owned, text_of};
use super::{CodexSandbox, Dialect, EventReader, LaunchRefused, LaunchRequest, LaunchSpec, LiveReader, Session, Stdin};
use crate::outcome::RunKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const NAME: &str = "codex";

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
        // As settings rather than `--disable`: a version that does not know a feature passes over the setting.
        argv.words(&["-c", "features.unbounded_connection_retries=false"]);
        argv.words(&["-c", "check_for_update_on_startup=false"]);
        if !request.trust_repository {
            argv.words(&["-c", "project_doc_max_bytes=0"]);
        }
        let schema = request.run_dir.join("answer-schema.json");
        argv.path("--output-schema", "the run's directory", &schema)?;
        argv.extra(request);
        // Options of `exec` hold for `resume` too, and only there: they come before it.
        if let Session::Resume { .. } = &request.session {
            argv.words(&["resume", checked_id(NAME, &request.session)?]);
        }
        argv.words(&["-"]);
        Ok(LaunchSpec {
            program: request.command.clone(),
            args: argv.finish()?,
            cwd: request.worktree.clone(),
            env: BTreeMap::new(),
            pass_env: owned(&["OPENAI_*", "CODEX_*"]),
            stdin: Stdin::Prompt,
            files: [(schema, request.answer_schema.to_string())].into(),
            opening: Value::Null,
        })
    }

    /// Its MCP servers and hooks start once the person has trusted the checkout in Codex, whatever `-c projects` says.
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

/// The models that `codex debug models` lists for a person to choose from; `None`: this is no such list.
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

/// Whether the person's own arguments are of a kind that every command of Codex understands. With others it is started
/// as ever.
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

/// The same run over `codex app-server`, which takes messages while it works. What `exec` is told by options is said with
/// the requests for the thread and its turns here.
///
/// A thread that begins with write access makes Codex trust the directory: it notes so in the user's own `config.toml`, for
/// good, and from then on the repository's MCP servers and hooks start. So the thread begins read-only, and every turn
/// brings its sandbox along.
fn live_launch(request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused> {
    let mut argv = Argv::new(NAME, &["app-server"]);
    argv.words(&["-c", "features.unbounded_connection_retries=false"]);
    argv.words(&["-c", "check_for_update_on_startup=false"]);
    if !request.trust_repository {
        argv.words(&["-c", "project_doc_max_bytes=0"]);
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
        program: request.command.clone(),
        args: argv.finish()?,
        cwd: request.worktree.clone(),
        env: BTreeMap::new(),
        pass_env: owned(&["OPENAI_*", "CODEX_*"]),
        stdin: Stdin::Live,
        files: BTreeMap::new(),
        opening: live::opening(method, &thread, &turn_policy(request)?, &request.answer_schema),
    })
}

/// What a turn of a live run may do, as `turn/start` is told.
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

/// The mode, and what it takes to commit under it.
fn sandbox(argv: &mut Argv, request: &LaunchRequest) -> Result<(), LaunchRefused> {
    match (request.kind, request.codex_sandbox) {
        (RunKind::Review, _) => argv.words(&["--sandbox", "read-only"]),
        (RunKind::Route, _) => {
            argv.words(&["--sandbox", "read-only", "--skip-git-repo-check"]);
            for off in ["shell_tool", "unified_exec", "multi_agent", "goals"] {
                argv.words(&["-c", &format!("features.{off}=false")]);
            }
            argv.words(&["-c", "web_search=\"disabled\""]);
        }
        (RunKind::Work, CodexSandbox::FullAuto | CodexSandbox::WorkspaceWrite) => {
            argv.words(&["--sandbox", "workspace-write", "-c", "sandbox_workspace_write.network_access=true"]);
            git_directories(argv, request)?;
        }
        (RunKind::Work, CodexSandbox::DangerFullAccess) => argv.words(&["--sandbox", "danger-full-access"]),
        (RunKind::Work, CodexSandbox::None) => argv.words(&["--dangerously-bypass-approvals-and-sandbox"]),
    }
    Ok(())
}

/// The sandbox keeps every git directory read-only that is not named: of a linked worktree, both.
fn git_directories(argv: &mut Argv, request: &LaunchRequest) -> Result<(), LaunchRefused> {
    git_roots(request).iter().try_for_each(|dir| argv.path("--add-dir", "the git directory", dir))
}

fn git_roots(request: &LaunchRequest) -> Vec<PathBuf> {
    match &request.git_dirs {
        Some(dirs) => vec![dirs.common.clone(), dirs.own.clone()],
        None => vec![request.worktree.join(".git")],
    }
}
