//! `orch serve --detach`: starts the daemon in the background, detached from the terminal, and waits until it answers.

use super::findings;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::stop::{Found, find};
use crate::daemon::Setup;
use orch_sys::clock;
use orch_sys::fs;
use orch_sys::process::{Identity, start_detached};
use std::ffi::OsString;
use std::fs::File;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// The output of a background daemon before it has a log, in the home's state directory.
const WORDS: &str = "serve.err";
/// The most bytes of it that are shown.
const SHOWN: usize = 16 << 10;
/// How long to wait: checking a large journal takes time.
const PATIENCE: Duration = Duration::from_secs(30);
/// The polling interval.
const LOOK: Duration = Duration::from_millis(20);

/// Starts the daemon, and returns when it answers.
pub(super) async fn run(replaces: bool, setup: &Setup, context: &Context) -> Result<Exit, CliError> {
    if !replaces && let Found::Answers(_, status) = find(setup).await? {
        return Err(CliError::Refused {
            message: format!("orch runs already as {} (pid {})", status.mode, status.pid),
            hint: Some("`orch status` shows its state; `orch serve -d --replace` replaces it".to_owned()),
        });
    }
    setup.prepare()?;
    let words = setup.home.state().join(WORDS);
    fs::write_private(&words, b"", fs::Durability::Cached)?;
    let stderr = File::options()
        .append(true)
        .open(&words)
        .map_err(CliError::system(format!("cannot open {}", words.display())))?;
    let arguments = background(std::env::args_os().skip(1));
    let mut child = start_detached(&setup.orch, &arguments, &context.cwd, stderr)
        .map_err(CliError::system("cannot start orch in the background"))?;
    let deadline = Instant::from_std(clock::instant()) + PATIENCE;
    let pid = child.id();
    loop {
        if let Some(ended) = child.try_wait().map_err(CliError::system("cannot wait for orch"))? {
            let said = fs::read_text(&words, SHOWN).unwrap_or_default();
            let said = said.trim().trim_start_matches("orch: ").to_owned();
            let message = if said.is_empty() { format!("orch did not start ({ended})") } else { said };
            return Err(CliError::Refused { message, hint: None });
        }
        if let Found::Answers(client, status) = find_now(setup).await
            && status.pid == pid
        {
            findings::print(&client, &setup.home, context).await;
            return render(setup, context, pid);
        }
        if timeout_at(deadline, sleep(LOOK)).await.is_err() {
            let message = format!("orch (pid {pid}) does not answer yet: its log is {}", setup.home.log().display());
            context.ui.warning(&message);
            return Ok(Exit::TimedOut);
        }
    }
}

/// Returns the daemon that answers now.
async fn find_now(setup: &Setup) -> Found {
    match setup.connect().await {
        Some(_) => find(setup).await.unwrap_or(Found::Nobody),
        None => Found::Nobody,
    }
}

fn render(setup: &Setup, context: &Context, pid: u32) -> Result<Exit, CliError> {
    let (home, log) = (setup.home.root().display().to_string(), setup.home.log());
    if context.ui.is_json() {
        context.ui.json(&serde_json::json!({ "pid": pid, "home": home, "log": log }))?;
    } else {
        context.ui.note(&format!("orch serves {home} (pid {pid}); log: {}; orch shutdown stops it", log.display()));
    }
    Ok(Exit::Done)
}

/// Returns the arguments for the background process.
fn background(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let is_detach = |argument: &OsString| argument == "-d" || argument == "--detach";
    let mut kept: Vec<OsString> = arguments.filter(|argument| !is_detach(argument)).collect();
    kept.push("--background".into());
    kept
}

/// Leaves the terminal's session, so that its end does not reach this process. A process that leads its group already
/// has no terminal.
pub(super) fn leave_terminal() {
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, pid = Identity::current().pid, "no new session");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_in_the_background_gets_the_same_arguments() {
        let given = ["--set", "a=b", "serve", "-d", "--replace"].map(OsString::from);
        let expected = ["--set", "a=b", "serve", "--replace", "--background"].map(OsString::from);
        assert_eq!(background(given.into_iter()), expected);
    }
}
