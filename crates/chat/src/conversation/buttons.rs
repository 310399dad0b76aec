//! Buttons: what stands on the wire is a random token that says nothing; what it means is kept here, for one press by
//! one of the people it is for, under one message, about one task at one commit, for a day.

use super::channel_store::ChannelStore;
use jiff::{SignedDuration, Timestamp};
use orch_core::channel::{Button, Press};
use orch_engine::handle::EngineError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Keys of buttons that can be pressed.
pub const OPEN: &str = "button/";
/// Keys of those that were.
pub const USED: &str = "pressed/";
/// Keys of presses that are being carried out, by button and person: what is wanted, for an orch that dies over it.
pub const CLAIMED: &str = "pressing/";
/// Keys of the messages that they stand under.
pub const UNDER: &str = "under/";
/// How long a button can be pressed.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// How long it is known who pressed it.
pub const MEMORY: SignedDuration = SignedDuration::from_hours(24 * 7);
/// In place of an id: whoever is listed, where that is not said by ids alone.
pub const LISTED: &str = "listed";
/// The longest token that is looked up.
const LONGEST: usize = 64;

/// A button as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// What it asks for.
    pub press: Press,
    /// Who may press it.
    pub users: BTreeSet<String>,
    /// Until when.
    pub until: Timestamp,
}

/// Who pressed one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    by: String,
    at: Timestamp,
}

/// A press that was begun with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    press: Press,
    at: Timestamp,
    /// By which order.
    #[serde(default)]
    order: String,
}

/// A button as a service shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// What stands on it.
    pub label: String,
    /// What is sent when it is pressed.
    pub token: String,
}

/// Why a press does nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// It was pressed.
    #[error("it was pressed already{}", .by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default())]
    Used {
        /// By whom, where it was not the same person.
        by: Option<String>,
    },
    /// It is too old, or none of ours.
    #[error("this button is too old; /show tells how the task stands, with new ones")]
    Old,
    /// It is for somebody else.
    #[error("this button is for somebody else")]
    Foreign,
    /// It was taken from its message.
    #[error("this button belongs to another message; /show has new ones")]
    Elsewhere,
}

impl Bound {
    /// Whether this press counts.
    ///
    /// # Errors
    /// It does not.
    pub fn allows(&self, user: &str, now: Timestamp) -> Result<(), Void> {
        if !self.users.contains(user) && !self.users.contains(LISTED) {
            return Err(Void::Foreign);
        }
        if now > self.until {
            return Err(Void::Old);
        }
        Ok(())
    }
}

/// Makes the buttons of a message that is about to be shown to these people.
///
/// # Errors
/// The journal cannot be written.
pub async fn mint(
    store: &ChannelStore,
    buttons: &[Button],
    users: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Vec<Minted>, EngineError> {
    let mut minted = Vec::new();
    for button in buttons {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let until = now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX);
        let bound = Bound { press: button.press.clone(), users: users.clone(), until };
        store.keep(&format!("{OPEN}{token}"), serde_json::to_string(&bound).ok()).await?;
        minted.push(Minted { label: button.label.clone(), token });
    }
    Ok(minted)
}

/// The message that bears them is there.
///
/// # Errors
/// The journal cannot be written.
pub async fn bind(store: &ChannelStore, minted: &[Minted], message: &str) -> Result<(), EngineError> {
    for button in minted {
        // Beside the button, which may be taken at the same moment.
        store.keep(&format!("{UNDER}{}", button.token), Some(message.to_owned())).await?;
    }
    Ok(())
}

fn read(text: &str) -> Option<Bound> {
    serde_json::from_str(text).ok()
}

/// Takes a press: of all that are made of one button, one counts. `order`: which press this is; where orch died over it, what
/// it had taken is handed over again.
///
/// # Errors
/// The journal cannot be read or written.
pub async fn redeem(
    store: &ChannelStore,
    token: &str,
    (user, message): (&str, &str),
    (order, now): (&str, Timestamp),
) -> Result<Result<Press, Void>, EngineError> {
    let is_one = token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_one {
        return Ok(Err(Void::Old));
    }
    let (key, claim) = (format!("{OPEN}{token}"), format!("{CLAIMED}{token}/{user}"));
    let Some(bound) = store.kept(&key).await?.as_deref().and_then(read) else {
        return again(store, token, (user, &claim), order).await;
    };
    if let Err(void) = bound.allows(user, now) {
        return Ok(Err(void));
    }
    // Of one that orch had just shown when it died, the message is not known.
    if store.kept(&format!("{UNDER}{token}")).await?.is_some_and(|under| under != message) {
        return Ok(Err(Void::Elsewhere));
    }
    // Before it is taken, so that it is known what was wanted, wherever orch dies.
    let claimed = Claim { press: bound.press.clone(), at: now, order: order.to_owned() };
    store.keep(&claim, serde_json::to_string(&claimed).ok()).await?;
    if store.take(&key).await?.is_none() {
        return used(store, token, user).await.map(Err);
    }
    remember(store, token, user, now).await?;
    Ok(Ok(bound.press))
}

async fn remember(store: &ChannelStore, token: &str, user: &str, at: Timestamp) -> Result<(), EngineError> {
    let memory = Used { by: user.to_owned(), at };
    store.keep(&format!("{USED}{token}"), serde_json::to_string(&memory).ok()).await
}

/// A press of a button that was taken: the one that orch died over counts, and no other.
async fn again(
    store: &ChannelStore,
    token: &str,
    (user, claim): (&str, &str),
    order: &str,
) -> Result<Result<Press, Void>, EngineError> {
    let claim = store.kept(claim).await?.and_then(|text| serde_json::from_str::<Claim>(&text).ok());
    let Some(claim) = claim.filter(|claim| claim.order == order) else {
        return used(store, token, user).await.map(Err);
    };
    match used(store, token, user).await? {
        void @ Void::Used { by: Some(_) } => return Ok(Err(void)),
        Void::Used { by: None } => {}
        // It died before that was written down.
        Void::Old | Void::Foreign | Void::Elsewhere => remember(store, token, user, claim.at).await?,
    }
    Ok(Ok(claim.press))
}

async fn used(store: &ChannelStore, token: &str, user: &str) -> Result<Void, EngineError> {
    let kept = store.kept(&format!("{USED}{token}")).await?;
    let used = kept.and_then(|text| serde_json::from_str::<Used>(&text).ok());
    Ok(match used {
        Some(used) => Void::Used { by: (used.by != user).then_some(used.by) },
        None => Void::Old,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::ids::TaskId;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn approve() -> Press {
        Press::Approve { task: TaskId(7), commit: "abc".to_owned() }
    }

    async fn one(store: &ChannelStore) -> String {
        let button = Button { label: "Approve".to_owned(), press: approve() };
        let users = BTreeSet::from(["1".to_owned(), "2".to_owned()]);
        let minted = mint(store, &[button], &users, NOW).await.expect("memory");
        bind(store, &minted, "m5").await.expect("memory");
        minted[0].token.clone()
    }

    fn hours(hours: i64) -> Timestamp {
        NOW + SignedDuration::from_hours(hours)
    }

    #[tokio::test]
    async fn of_two_who_press_one_counts_and_the_other_is_told_who_did() {
        let store = ChannelStore::in_memory();
        let token = one(&store).await;
        assert!(token.len() >= 32, "{token}");
        let press = |user: &'static str, order: &'static str| redeem(&store, &token, (user, "m5"), (order, NOW));
        let (first, second) = tokio::join!(press("1", "a"), press("2", "b"));
        assert_eq!(first.expect("memory"), Ok(approve()));
        let told = second.expect("memory").expect_err("used").to_string();
        assert_eq!(told, "it was pressed already, by 1");
        let again = press("1", "c").await.expect("memory").expect_err("used");
        assert_eq!(again.to_string(), "it was pressed already");
    }

    #[tokio::test]
    async fn a_press_by_another_under_another_message_or_a_day_later_does_nothing_and_spends_nothing() {
        let store = ChannelStore::in_memory();
        let token = one(&store).await;
        for (user, message, now, void) in
            [("3", "m5", NOW, Void::Foreign), ("1", "m6", NOW, Void::Elsewhere), ("1", "m5", hours(25), Void::Old)]
        {
            assert_eq!(redeem(&store, &token, (user, message), ("a", now)).await.expect("memory"), Err(void));
        }
        for token in ["", "x", "../../etc/passwd", &"a".repeat(5_000), "pressed/x"] {
            assert_eq!(redeem(&store, token, ("1", "m5"), ("a", NOW)).await.expect("memory"), Err(Void::Old));
        }
        assert_eq!(redeem(&store, &token, ("1", "m5"), ("b", hours(24))).await.expect("memory"), Ok(approve()));
    }

    #[tokio::test]
    async fn a_button_that_was_pressed_before_its_message_was_known_does_not_come_back() {
        let store = ChannelStore::in_memory();
        let button = Button { label: "Approve".to_owned(), press: approve() };
        let minted = mint(&store, &[button], &BTreeSet::from(["1".to_owned()]), NOW).await.expect("memory");
        let token = minted[0].token.as_str();
        assert!(redeem(&store, token, ("1", "m5"), ("a", NOW)).await.expect("memory").is_ok());
        bind(&store, &minted, "m5").await.expect("memory");
        assert!(matches!(redeem(&store, token, ("1", "m5"), ("b", NOW)).await, Ok(Err(Void::Used { by: None }))));
    }

    #[tokio::test]
    async fn a_press_that_orch_died_over_counts_when_it_is_told_again_and_no_other_does() {
        for dies_before_the_memory in [false, true] {
            let store = ChannelStore::in_memory();
            let token = one(&store).await;
            let press = |user: &'static str, order: &'static str| {
                let (store, token) = (store.clone(), token.clone());
                async move { redeem(&store, &token, (user, "m5"), (order, hours(1))).await.expect("memory") }
            };
            assert_eq!(press("1", "a").await, Ok(approve()));
            if dies_before_the_memory {
                store.keep(&format!("{USED}{token}"), None).await.expect("memory");
            }
            assert_eq!(press("1", "a").await, Ok(approve()));
            assert_eq!(press("1", "a").await, Ok(approve()), "it died once more");
            // Another press of theirs, or of somebody else, is not that one.
            assert_eq!(press("1", "b").await, Err(Void::Used { by: None }));
            let by = Some("1".to_owned());
            assert_eq!(press("2", "a").await, Err(Void::Used { by }));
        }
    }
}
