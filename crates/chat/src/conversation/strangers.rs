//! Decides who may send commands, and reports everyone else to the owner, once per stranger and day; strangers get no
//! answer. Only ids decide; display names are shown, never used for authorization.

use super::channel_store::ChannelStore;
use super::parse::plain;
use jiff::civil::Date;
use orch_core::operations::channel::ChannelKind;
use orch_engine::handle::EngineError;
use std::collections::BTreeSet;

/// Prefix of the keys that store the day on which a stranger was last reported.
pub const REPORTED: &str = "stranger/";
/// Longest display name that is shown, in characters.
const LONGEST_NAME: usize = 40;

/// Returns whether the user with this id may send commands. If no user is listed, no user may.
pub fn is_listed(listed: &BTreeSet<String>, user: &str) -> bool {
    !user.is_empty() && listed.contains(user)
}

/// A user who is not listed, and what they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Id of the user, or of the chat for posts without a user.
    pub id: String,
    /// Display name.
    pub name: String,
    /// What they did: `wrote`, `pressed a button`.
    pub did: &'static str,
}

/// Reports the strangers that were not reported today, each with an entry in the history, which all channels then report
/// according to their settings.
///
/// # Errors
/// The journal cannot be read or written; unreported strangers are reported when they write again.
pub async fn announce(
    store: &ChannelStore,
    channel: ChannelKind,
    strangers: Vec<Stranger>,
    today: Date,
) -> Result<(), EngineError> {
    let today = today.to_string();
    for stranger in strangers {
        let key = format!("{REPORTED}{}", stranger.id);
        if store.get(&key).await?.as_deref() != Some(&today) {
            store.announce_stranger(describe(&stranger, channel), key, today.clone()).await?;
        }
    }
    Ok(())
}

/// Returns the history entry about a stranger.
fn describe(stranger: &Stranger, channel: ChannelKind) -> String {
    let name: String = plain(&stranger.name).lines().next().unwrap_or_default().chars().take(LONGEST_NAME).collect();
    let called = if name.is_empty() { String::new() } else { format!(" calls itself “{name}” and") };
    format!("{}{called} {} ({channel})", stranger.id, stranger.did)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::channel_store::ANNOUNCED;
    use jiff::civil::date;

    fn stranger(id: &str, name: &str) -> Stranger {
        Stranger { id: id.to_owned(), name: name.to_owned(), did: "wrote" }
    }

    #[tokio::test]
    async fn each_stranger_is_reported_once_a_day() {
        let store = ChannelStore::in_memory();
        let (one, two) = (stranger("1", "a"), stranger("2", "a"));
        let (first, second) = ("1 calls itself “a” and wrote (telegram)", "2 calls itself “a” and wrote (telegram)");
        for (come, day, expected) in [
            (vec![one.clone(), two.clone(), one.clone()], 1, &[first, second][..]),
            (vec![two.clone(), one.clone()], 1, &[first, second]),
            (vec![two.clone()], 2, &[first, second, second]),
        ] {
            announce(&store, ChannelKind::Telegram, come, date(2026, 3, day)).await.expect("memory");
            let announced = store.with_prefix(ANNOUNCED).await.expect("memory");
            assert_eq!(announced.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_name_is_cut_made_plain_and_never_taken_for_an_id() {
        let listed = BTreeSet::from(["42".to_owned()]);
        assert!(is_listed(&listed, "42"));
        for user in ["", "043", "42 ", "owner", "４２", "-42"] {
            assert!(!is_listed(&listed, user), "{user}");
        }
        assert!(!is_listed(&BTreeSet::new(), "42") && !is_listed(&BTreeSet::from([String::new()]), ""));
        let name = format!("\u{202e}own\u{7}er\nsecond {}", "x".repeat(90));
        let line = describe(&stranger("9", &name), ChannelKind::Discord);
        assert_eq!(line, "9 calls itself “owner” and wrote (discord)");
    }
}
