//! Who may say something, and what is told of those who may not: nothing to them, and to the owner once per stranger and
//! day. The id decides; how somebody calls themselves is shown and never believed.

use super::channel_store::ChannelStore;
use super::parse::plain;
use jiff::civil::Date;
use orch_core::channel::ChannelKind;
use orch_engine::handle::EngineError;
use std::collections::BTreeSet;

/// Keys under which the day is kept on which the owner was told of a stranger.
pub const TOLD: &str = "stranger/";
/// The longest name that is shown, in characters.
const LONGEST_NAME: usize = 40;

/// Whether somebody with this id may say something. Where nobody is listed, nobody may.
pub fn is_listed(listed: &BTreeSet<String>, user: &str) -> bool {
    !user.is_empty() && listed.contains(user)
}

/// Somebody who is not on the list, and what they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Their id; of who has none (a post in a channel), that of the place.
    pub id: String,
    /// How they call themselves.
    pub name: String,
    /// What they did, in a few words: `wrote`, `pressed a button`.
    pub did: &'static str,
}

/// Has the owner told of those of them of whom they were not told today: a line of the history for each, from which all
/// channels are told as the person wants it.
///
/// # Errors
/// The journal cannot be read or written; who is not told yet is told when they come again.
pub async fn announce(
    store: &ChannelStore,
    channel: ChannelKind,
    strangers: Vec<Stranger>,
    today: Date,
) -> Result<(), EngineError> {
    let today = today.to_string();
    for stranger in strangers {
        let key = format!("{TOLD}{}", stranger.id);
        if store.kept(&key).await?.as_deref() != Some(&today) {
            store.announce_stranger(told(&stranger, channel), key, today.clone()).await?;
        }
    }
    Ok(())
}

/// The line of one of them.
fn told(stranger: &Stranger, channel: ChannelKind) -> String {
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
    async fn the_owner_is_told_of_each_once_a_day() {
        let store = ChannelStore::in_memory();
        let (one, two) = (stranger("1", "a"), stranger("2", "a"));
        let (first, second) = ("1 calls itself “a” and wrote (telegram)", "2 calls itself “a” and wrote (telegram)");
        for (come, day, expected) in [
            (vec![one.clone(), two.clone(), one.clone()], 1, &[first, second][..]),
            (vec![two.clone(), one.clone()], 1, &[first, second]),
            (vec![two.clone()], 2, &[first, second, second]),
        ] {
            announce(&store, ChannelKind::Telegram, come, date(2026, 3, day)).await.expect("memory");
            let announced = store.below(ANNOUNCED).await.expect("memory");
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
        let line = told(&stranger("9", &name), ChannelKind::Discord);
        assert_eq!(line, "9 calls itself “owner” and wrote (discord)");
    }
}
