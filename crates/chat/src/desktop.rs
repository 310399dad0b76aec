//! Desktop notifications on the machine of the daemon. The text never reaches a shell or a script: it is an argument, and
//! its markup is escaped.

use super::Channel;
use super::chat::Refusal;
use orch_core::operations::channel::ChatMessage;
use orch_sys::process::{Invocation, run_async, which};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Longest title and text, in characters; desktops show no more.
const TITLE: usize = 120;
const TEXT: usize = 400;
/// Time limit of the program.
const PATIENCE: Duration = Duration::from_secs(10);
/// AppleScript that shows its arguments.
const SCRIPT: [&str; 3] =
    ["on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run"];
/// Environment variables that the program needs to find the desktop.
const VARIABLES: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// The desktop of the daemon's session.
pub struct Desktop {
    environment: BTreeMap<String, String>,
    is_mac: bool,
}

impl Desktop {
    /// Creates the channel with the daemon's environment.
    pub fn new(environment: BTreeMap<String, String>) -> Self {
        Self { environment, is_mac: cfg!(target_os = "macos") }
    }

    fn invocation(&self, message: &ChatMessage) -> Result<Invocation, Refusal> {
        let name = if self.is_mac { "osascript" } else { "notify-send" };
        let path = self.environment.get("PATH").map_or("", String::as_str);
        let missing = || Refusal::Closed(format!("there is no {name}; on Debian it is in libnotify-bin"));
        let program: PathBuf = which(name, path).ok_or_else(missing)?;
        let invocation = Invocation::new(program, "/").time_limit(PATIENCE);
        let set = VARIABLES.iter().filter_map(|name| Some((*name, self.environment.get(*name)?)));
        Ok(invocation.envs(set).args(arguments(message, self.is_mac)))
    }
}

/// Returns the arguments of the program.
fn arguments(message: &ChatMessage, is_mac: bool) -> Vec<String> {
    let text = message.plain_text();
    let (title, body) = text.split_once('\n').unwrap_or((&text, ""));
    let (title, body) = (shown(title, TITLE), shown(body, TEXT));
    if is_mac {
        let script = SCRIPT.iter().flat_map(|line| ["-e".to_owned(), (*line).to_owned()]);
        // After `--`, a title that starts with a dash is not an option.
        return script.chain(["--".to_owned(), title, body]).collect();
    }
    let urgency = if message.is_urgent { "critical" } else { "normal" };
    let body = body.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    ["--app-name=orch", &format!("--urgency={urgency}"), "--", &title, &body].map(str::to_owned).to_vec()
}

fn shown(text: &str, most: usize) -> String {
    let plain: String = text.trim().chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    match plain.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &plain[..at]),
        None => plain,
    }
}

impl Channel for Desktop {
    async fn send(&self, message: &ChatMessage) -> Result<Option<String>, Refusal> {
        let output = run_async(&self.invocation(message)?).await;
        let output = output.map_err(|error| Refusal::Closed(error.to_string()))?;
        if output.success() {
            return Ok(None);
        }
        let why: String = output.error_text().lines().next().unwrap_or("it failed").chars().take(200).collect();
        Err(Refusal::Closed(format!("no desktop to show it on: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::operations::channel::Block;

    #[test]
    fn what_is_shown_is_an_argument_and_never_an_option_a_script_or_markup() {
        let blocks =
            vec![Block::plain("--icon=/etc/passwd \" & do shell script \"x"), Block::plain("<b>a</b>\u{7}\u{1b}[2J")];
        let message = ChatMessage { blocks, ..ChatMessage::default() };
        let linux = arguments(&message, false);
        assert_eq!(linux[2], "--");
        assert_eq!(linux[4], "&lt;b&gt;a&lt;/b&gt;  [2J");
        let mac = arguments(&message, true);
        assert_eq!(mac[6], "--");
        assert!(mac[7].starts_with("--icon") && mac[..6].iter().all(|part| !part.contains("passwd")), "{mac:?}");
        let long = ChatMessage { blocks: vec![Block::plain("ö".repeat(100_000))], ..ChatMessage::default() };
        assert_eq!(arguments(&long, false)[3].chars().count(), TITLE + 1);
    }
}
