//! Launches OpenCode. [`reader`] reads its events, [`live`] keeps its conversation open, and [`conversation`] drives the
//! server behind that.
//!
//! The user's `opencode.json` stays in force; the repository's stays off unless the user trusts it. A question to the
//! user would be refused and end the turn, so every permission is granted or denied beforehand.

mod bridge_message;
pub mod conversation;
mod failure;
mod live;
mod reader;

pub use bridge_message::BridgeMessage;

use super::argv::{Argv, checked_id, checked_model, text_of};
use super::text::one_line;
use super::{Dialect, EventReader, LaunchRefused, LaunchRequest, LaunchSpec, LiveReader, Session, Stdin};
use crate::tasks::outcome::RunKind;
use bridge_message::{Model, Opening};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const NAME: &str = "opencode";
/// The variables that its program gets from the daemon.
const PASS_ENV: [&str; 1] = ["OPENCODE_*"];

/// The hidden subcommand of the bridge to OpenCode's server; the server's own command line follows it.
pub const BRIDGE: &str = "__opencode";

/// The most characters of a conversation's title.
const TITLE: usize = 200;

/// The dialect of OpenCode.
#[derive(Debug, Clone, Copy)]
pub struct Opencode;

impl Dialect for Opencode {
    fn launch(&self, request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused> {
        if let Some(opening) = opening(request)? {
            return live_launch(request, &opening);
        }
        let mut argv = Argv::new(NAME, &["run", "--format", "json"]);
        argv.value("--title", &title(request));
        argv.model(request)?;
        if let Session::Resume { .. } = &request.session {
            argv.value("--session", checked_id(NAME, &request.session)?);
        }
        // It retries silently: only this log says why.
        argv.extend(&["--print-logs", "--log-level", "ERROR"]);
        argv.extra(request);
        Ok(LaunchSpec { env: environment(request)?, ..LaunchSpec::new(request, argv.finish()?, &PASS_ENV) })
    }

    /// Plugins in these are run in spite of `OPENCODE_DISABLE_PROJECT_CONFIG` and `OPENCODE_PURE` (1.18).
    fn unstoppable_settings(&self) -> &'static [&'static str] {
        &[".opencode", "opencode.json", "opencode.jsonc"]
    }

    fn reader(&self, _kind: RunKind) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }

    fn live_reader(&self, opening: &Value) -> Option<Box<dyn LiveReader>> {
        Some(Box::new(live::Live::new(opening)))
    }
}

/// Returns a title that is never empty: without one, OpenCode asks the model for it.
fn title(request: &LaunchRequest) -> String {
    let title = one_line(&request.title, TITLE);
    if title.is_empty() { "task".to_owned() } else { title }
}

/// Returns the server's parameters in the place of options. `None` when the run is not live, or needs an option that only
/// the one-shot command has.
fn opening(request: &LaunchRequest) -> Result<Option<Opening>, LaunchRefused> {
    if !request.live || request.kind != RunKind::Work {
        return Ok(None);
    }
    let Some(mut opening) = options(&request.extra_args) else { return Ok(None) };
    opening.title = title(request);
    if let Session::Resume { .. } = &request.session {
        opening.session = Some(checked_id(NAME, &request.session)?.to_owned());
    }
    opening.model = match checked_model(NAME, request)?.map(|name| name.split_once('/')) {
        None => None,
        Some(Some((provider, model))) => Some(Model { provider: provider.to_owned(), model: model.to_owned() }),
        Some(None) => return Ok(None),
    };
    Ok(Some(opening))
}

/// Converts the user's own arguments, if the server supports all of them.
fn options(args: &[String]) -> Option<Opening> {
    let mut opening = Opening::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(name, value)| (name, Some(value)));
        let mut value = || value.map(str::to_owned).or_else(|| args.next().cloned());
        match name {
            "--agent" => opening.agent = Some(value()?),
            "--variant" => opening.variant = Some(value()?),
            "--thinking" if arg == name => opening.thinking = true,
            _ => return None,
        }
    }
    Some(opening)
}

/// Launches the run over `opencode serve`, which takes messages while it works. The agent's process is the bridge to it.
fn live_launch(request: &LaunchRequest, opening: &Opening) -> Result<LaunchSpec, LaunchRefused> {
    let mut argv = Argv::new(NAME, &[BRIDGE, text_of(NAME, "the program", &request.command)?, "serve"]);
    argv.extend(&["--hostname=127.0.0.1", "--port=0", "--print-logs", "--log-level", "ERROR"]);
    Ok(LaunchSpec {
        program: request.orch.clone(),
        env: environment(request)?,
        stdin: Stdin::Live,
        opening: json!(opening),
        ..LaunchSpec::new(request, argv.finish()?, &PASS_ENV)
    })
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

/// Returns the permissions of a run. They are added to the user's own; of two matching rules the later one wins.
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

/// Returns the rules for directories outside the worktree: open, for compilers and caches, except the user's own checkout.
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
