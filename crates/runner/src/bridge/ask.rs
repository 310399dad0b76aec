//! Asks a provider's API one question in the place of an agent's program: the request is in a file of the run, the prompt on
//! stdin, the key in the environment; the answer is one line on stdout.

use orch_core::models::agents::api::{Ask, Endpoint, Line};
use orch_core::models::model_api::{Question, Reply};
use orch_sys::fs;
use orch_sys::process::env_var;
use orch_sys::provider_api::{Key, NoAnswer, Talk};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// The hidden subcommand: `orch __ask FILE`.
pub const SUBCOMMAND: &str = orch_core::models::agents::api::BRIDGE;

/// The largest file that is read, in bytes.
const MAX_FILE: usize = 8 << 20;
/// The longest prompt, in bytes.
const MAX_PROMPT: u64 = 8 << 20;
/// The longest wait for the answer. The runner's own limit is shorter.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Asks the question in `file`. Returns the exit code: 0 when there is an answer, 1 when there is none and a line says why.
pub fn run(file: &OsStr) -> u8 {
    let line = match ask(Path::new(file)) {
        Ok(line) => line,
        Err(error) => Line::Lacking { why: error.to_string() },
    };
    let is_answered = matches!(line, Line::Answered { .. });
    let is_printed = print(&line).is_ok();
    u8::from(!(is_answered && is_printed))
}

fn ask(file: &Path) -> Result<Line, Box<dyn std::error::Error>> {
    let Ask { endpoint, schema } = serde_json::from_str(&fs::read_text(file, MAX_FILE)?)?;
    let mut prompt = String::new();
    io::stdin().take(MAX_PROMPT).read_to_string(&mut prompt)?;
    let Endpoint { provider, api, base_url, model, .. } = &endpoint;
    let talk = Talk::new(provider, *api, base_url, key(&endpoint)?, TIMEOUT)
        .map_err(|error| format!("providers.{provider}.base_url: {error}"))?;
    print(&Line::Asked { model: format!("{provider}/{model}") })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let question = Question { provider, model, prompt: &prompt, schema: &schema };
    let answered = runtime.block_on(talk.ask(&question));
    Ok(answer_line(&endpoint, answered))
}

fn key(endpoint: &Endpoint) -> Result<Option<Key>, String> {
    let Some(name) = &endpoint.key_variable else { return Ok(None) };
    let value = env_var(name).ok_or_else(|| format!("{name} is not set"))?;
    match value.trim() {
        "" => Err(format!("{name} is empty")),
        value if name.ends_with("_TOKEN") => Ok(Some(Key::token(value))),
        value => Ok(Some(Key::new(value))),
    }
}

fn answer_line(endpoint: &Endpoint, answered: Result<Reply, NoAnswer>) -> Line {
    match answered {
        Ok(Reply { model, text, structured, tokens, cut }) => Line::Answered { model, text, structured, tokens, cut },
        Err(NoAnswer::Refused { status, text, retry_at }) => {
            Line::Refused { status: u64::from(status), text, retry_at }
        }
        Err(NoAnswer::Failed(failure)) => {
            Line::Unanswered { why: format!("{} {}", endpoint.provider, failure.describe()) }
        }
        Err(NoAnswer::Strange) => Line::Unanswered {
            why: format!("{} answers, but not with an answer of a model; is its base_url right?", endpoint.provider),
        },
    }
}

fn print(line: &Line) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    out.flush()
}
