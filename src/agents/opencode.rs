//! OpenCode: how it is launched. Its events are read in [`reader`].
//!
//! The user's `opencode.json` stays in force; the repository's stays off unless the user trusts it. A question to the
//! user would be refused and end the turn, so that every permission is either given or denied beforehand.

mod failure;
mod reader;

use super::argv::{Argv, checked_id, owned, text_of};
use super::text::one_line;
use super::{Dialect, EventReader, LaunchRefused, LaunchRequest, LaunchSpec, Session, Stdin};
use crate::domain::outcome::RunKind;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const NAME: &str = "opencode";

/// Most characters of a conversation's title.
const TITLE: usize = 200;

/// The dialect of OpenCode.
#[derive(Debug, Clone, Copy)]
pub struct Opencode;

impl Dialect for Opencode {
    fn launch(&self, request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused> {
        let mut argv = Argv::new(NAME, &["run", "--format", "json"]);
        // Without a title, it asks the model for one.
        let title = one_line(&request.title, TITLE);
        argv.value("--title", if title.is_empty() { "task" } else { &title });
        argv.model(request)?;
        if let Session::Resume { .. } = &request.session {
            argv.value("--session", checked_id(NAME, &request.session)?);
        }
        // It tries again in silence: only this log tells why.
        argv.words(&["--print-logs", "--log-level", "ERROR"]);
        argv.extra(request);
        Ok(LaunchSpec {
            program: request.command.clone(),
            args: argv.finish()?,
            cwd: request.worktree.clone(),
            env: environment(request)?,
            pass_env: owned(&["OPENCODE_*"]),
            stdin: Stdin::Prompt,
            files: BTreeMap::new(),
            opening: serde_json::Value::Null,
        })
    }

    fn reader(&self, _kind: RunKind) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }
}

fn environment(request: &LaunchRequest) -> Result<BTreeMap<String, String>, LaunchRefused> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    set("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned());
    set("OPENCODE_PERMISSION", permission(request)?.to_string());
    if !request.trust_repository {
        set("OPENCODE_DISABLE_PROJECT_CONFIG", "1".to_owned());
    }
    Ok(env)
}

/// The permissions of a run. They come on top of the user's own, and of two rules that fit the later one wins.
fn permission(request: &LaunchRequest) -> Result<Value, LaunchRefused> {
    match request.kind {
        RunKind::Route => Ok(json!({"*": "deny"})),
        RunKind::Review => Ok(json!({
            "*": "deny",
            "read": {"*": "allow", "*.env": "deny", "*.env.*": "deny"},
            "grep": "allow",
            "glob": "allow",
            "list": "allow",
        })),
        RunKind::Work => Ok(json!({"external_directory": outside(request)?, "doom_loop": "deny"})),
    }
}

/// Directories outside the worktree are open (compilers and caches live there), but the user's own checkout.
fn outside(request: &LaunchRequest) -> Result<Value, LaunchRefused> {
    let mut rules = Map::new();
    rules.insert("*".to_owned(), json!("allow"));
    if let (true, Some(main)) = (request.sandbox, request.main_dir.as_deref()) {
        let main = text_of(NAME, "the main directory", main)?.trim_end_matches('/').replace('*', "?");
        rules.insert(format!("{main}/*"), json!("deny"));
        rules.insert(main, json!("deny"));
    }
    Ok(Value::Object(rules))
}
