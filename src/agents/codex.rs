//! Codex CLI: how it is launched. Its events are read in [`reader`], its session file in [`record`].
//!
//! The user's `config.toml`, and with it the model provider, stays in force. Codex bounds its retries per provider, and
//! a dialect does not know which provider the user chose: set here is only what holds for all of them (no endless wait
//! for the network). The rest is bounded by the runner's own limits.

mod failure;
mod reader;
mod record;

use super::argv::{Argv, checked_id, owned};
use super::{CodexSandbox, Dialect, EventReader, LaunchRefused, LaunchRequest, LaunchSpec, Session, Stdin};
use crate::domain::outcome::RunKind;
use std::collections::BTreeMap;

const NAME: &str = "codex";

/// The dialect of Codex CLI.
#[derive(Debug, Clone, Copy)]
pub struct Codex;

impl Dialect for Codex {
    fn launch(&self, request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused> {
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
        })
    }

    fn reader(&self, _kind: RunKind) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }
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
    match &request.git_dirs {
        Some(dirs) => {
            argv.path("--add-dir", "the git directory", &dirs.common)?;
            argv.path("--add-dir", "the git directory", &dirs.own)
        }
        None => argv.path("--add-dir", "the git directory", &request.worktree.join(".git")),
    }
}
