//! Tests a channel without a daemon, by checking its token and chat.

use super::{TEXT, off};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::text;
use crate::daemon::Trial;
use orch_core::operations::channel::ChannelKind;
use serde::Serialize;

/// The result. Part of the JSON contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The channel.
    channel: ChannelKind,
    /// `found`, `sent`, `untried`, `unreached` or `refused`.
    state: &'static str,
    /// The name of the bot, and of the chat.
    found: Option<String>,
    /// The error message.
    error: Option<String>,
}

impl Tried {
    /// Tests the channel; `None` if it is off.
    pub async fn now(kind: ChannelKind, context: &Context) -> Result<Option<Self>, CliError> {
        let setup = context.setup()?;
        let trial = context.ui.wait("asking", setup.try_channel(kind, TEXT)).await;
        Ok(trial.map(|trial| Self::new(kind, trial)))
    }

    fn new(channel: ChannelKind, trial: Trial) -> Self {
        let (state, found, error) = match trial {
            Trial::Found(found) => ("found", Some(found), None),
            Trial::Sent => ("sent", None, None),
            Trial::NoSecret(why) => ("untried", None, Some(why)),
            Trial::Unreachable(why) => ("unreached", None, Some(why)),
            Trial::Refused(why) => ("refused", None, Some(why)),
        };
        Self { channel, state, found, error }
    }

    /// Returns whether the channel works, as far as it was checked.
    pub fn is_right(&self) -> bool {
        matches!(self.state, "found" | "sent")
    }

    /// Returns whether nothing was checked: the daemon may have what is missing here.
    pub fn is_open(&self) -> bool {
        self.state == "untried"
    }

    /// Describes the result for a person.
    pub fn describe(&self) -> String {
        let error = self.error.as_deref().map_or("no answer".into(), text::line);
        match (self.state, &self.found) {
            (_, Some(found)) => format!("token and chat are valid ({}); no message was sent", text::line(found)),
            ("sent", None) => "the test message was sent".to_owned(),
            ("untried", None) => format!("not tried: {error}"),
            ("unreached", None) => format!("no answer: {error}"),
            (_, None) => format!("it is refused: {error}"),
        }
    }
}

/// `orch channel test` without a daemon.
pub async fn test(kind: ChannelKind, context: &Context) -> Result<Exit, CliError> {
    let tried = Tried::now(kind, context).await?.ok_or_else(|| off(kind))?;
    if context.ui.is_json() {
        context.ui.json(&tried)?;
    } else {
        context.ui.data(&format!("{kind}: {}\n", tried.describe()))?;
        if tried.is_right() {
            context.ui.note("no daemon runs, which sends the notifications: orch serve, or orch service start");
        } else {
            context
                .ui
                .note(&format!("set it right: orch channel add {kind}; orch channel list shows how it is set up"));
        }
    }
    Ok(if tried.is_right() { Exit::Done } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_trial_is_one_safe_line() {
        let of = |trial| Tried::new(ChannelKind::Telegram, trial);
        let found = of(Trial::Found("@orch_bot in A\u{1b}[2J group".to_owned()));
        assert!(found.is_right() && !found.describe().contains('\u{1b}'), "{}", found.describe());
        let refused = of(Trial::Refused("Telegram refuses the bot's token".to_owned()));
        assert!(!refused.is_right() && refused.describe().contains("refused: Telegram"), "{}", refused.describe());
        let open = of(Trial::NoSecret("the variable TG is not set".to_owned()));
        assert!(open.is_open() && !open.is_right() && open.describe().contains("TG"), "{}", open.describe());
        assert_eq!(of(Trial::Sent).describe(), "the test message was sent");
        assert!(of(Trial::Unreachable("gone".to_owned())).describe().contains("no answer: gone"));
    }
}
