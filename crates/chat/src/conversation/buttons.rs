//! Buttons. A service sees only a random token; its meaning is stored here. A token is valid for one press, by one of the
//! users it is for, under one message, about one task at one commit, for a day.

use super::channel_store::ChannelStore;
use jiff::{SignedDuration, Timestamp};
use orch_core::operations::channel::{Button, Press};
use orch_engine::handle::EngineError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Prefix of the keys of buttons that can be pressed.
pub const OPEN: &str = "button/";
/// Prefix of the keys of pressed buttons.
pub const USED: &str = "pressed/";
/// Prefix of the keys of presses in progress, by button and user, so that a press survives a crash.
pub const CLAIMED: &str = "pressing/";
/// Prefix of the keys that store the message of a button.
pub const UNDER: &str = "under/";
/// How long a button can be pressed.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// How long it is remembered who pressed a button.
pub const MEMORY: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Placeholder for a user id: any listed user, where roles decide who is listed.
pub const LISTED: &str = "listed";
/// Longest token that is looked up, in bytes.
const LONGEST: usize = 64;

/// A stored button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The action.
    pub press: Press,
    /// Ids of users who may press it.
    pub users: BTreeSet<String>,
    /// When it expires.
    pub until: Timestamp,
}

/// The record of a press.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    by: String,
    at: Timestamp,
}

/// A press in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    press: Press,
    at: Timestamp,
    /// Key of the order that carries it out.
    #[serde(default)]
    order: String,
}

/// A button with its token, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// Label.
    pub label: String,
    /// What a press does; a service may show it by a color.
    pub press: Press,
    /// Token that the service sends back when it is pressed.
    pub token: String,
}

/// Why a press has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// The button was already pressed.
    #[error("it was already pressed{}", .by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default())]
    Used {
        /// Who pressed it, if it was another user.
        by: Option<String>,
    },
    /// The button is too old or unknown.
    #[error("this button is too old; /show shows the task with new ones")]
    Old,
    /// The button is for another user.
    #[error("this button is for somebody else")]
    Foreign,
    /// The token was used under another message.
    #[error("this button belongs to another message; /show has new ones")]
    Elsewhere,
}

impl Bound {
    /// Checks whether this user may press the button now.
    ///
    /// # Errors
    /// The reason why not.
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

/// Creates and stores the buttons of a message that is about to be sent to these users.
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
        store.set(&format!("{OPEN}{token}"), serde_json::to_string(&bound).ok()).await?;
        minted.push(Minted { label: button.label.clone(), press: button.press.clone(), token });
    }
    Ok(minted)
}

/// Stores the id of the message that the buttons were sent with.
///
/// # Errors
/// The journal cannot be written.
pub async fn bind(store: &ChannelStore, minted: &[Minted], message: &str) -> Result<(), EngineError> {
    for button in minted {
        // A separate entry, because the button may be redeemed concurrently.
        store.set(&format!("{UNDER}{}", button.token), Some(message.to_owned())).await?;
    }
    Ok(())
}

fn read(text: &str) -> Option<Bound> {
    serde_json::from_str(text).ok()
}

/// Redeems a press: of several presses of a button, one counts. `order` identifies this press; if the daemon crashed while
/// carrying it out, the same order gets the action again.
///
/// # Errors
/// The journal cannot be read or written.
pub async fn redeem(
    store: &ChannelStore,
    token: &str,
    user: &str,
    message: &str,
    order: &str,
    now: Timestamp,
) -> Result<Result<Press, Void>, EngineError> {
    let is_token = token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_token {
        return Ok(Err(Void::Old));
    }
    let (key, claim) = (format!("{OPEN}{token}"), format!("{CLAIMED}{token}/{user}"));
    let Some(bound) = store.get(&key).await?.as_deref().and_then(read) else {
        return resume_claim(store, token, user, &claim, order).await;
    };
    if let Err(void) = bound.allows(user, now) {
        return Ok(Err(void));
    }
    // After a crash right after sending, the message of a button is not stored.
    if store.get(&format!("{UNDER}{token}")).await?.is_some_and(|under| under != message) {
        return Ok(Err(Void::Elsewhere));
    }
    // Stored before the button is taken, so that the action survives a crash at any point.
    let claimed = Claim { press: bound.press.clone(), at: now, order: order.to_owned() };
    store.set(&claim, serde_json::to_string(&claimed).ok()).await?;
    if store.take(&key).await?.is_none() {
        return used(store, token, user).await.map(Err);
    }
    remember(store, token, user, now).await?;
    Ok(Ok(bound.press))
}

async fn remember(store: &ChannelStore, token: &str, user: &str, at: Timestamp) -> Result<(), EngineError> {
    let memory = Used { by: user.to_owned(), at };
    store.set(&format!("{USED}{token}"), serde_json::to_string(&memory).ok()).await
}

/// Handles a press of a redeemed button: only the order that a crash interrupted gets the action again.
async fn resume_claim(
    store: &ChannelStore,
    token: &str,
    user: &str,
    claim: &str,
    order: &str,
) -> Result<Result<Press, Void>, EngineError> {
    let claim = store.get(claim).await?.and_then(|text| serde_json::from_str::<Claim>(&text).ok());
    let Some(claim) = claim.filter(|claim| claim.order == order) else {
        return used(store, token, user).await.map(Err);
    };
    match used(store, token, user).await? {
        void @ Void::Used { by: Some(_) } => return Ok(Err(void)),
        Void::Used { by: None } => {}
        // The crash came before the press was recorded.
        Void::Old | Void::Foreign | Void::Elsewhere => remember(store, token, user, claim.at).await?,
    }
    Ok(Ok(claim.press))
}

async fn used(store: &ChannelStore, token: &str, user: &str) -> Result<Void, EngineError> {
    let kept = store.get(&format!("{USED}{token}")).await?;
    let used = kept.and_then(|text| serde_json::from_str::<Used>(&text).ok());
    Ok(match used {
        Some(used) => Void::Used { by: (used.by != user).then_some(used.by) },
        None => Void::Old,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::base::ids::TaskId;

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
    async fn of_two_presses_one_counts_and_the_other_user_learns_who_pressed() {
        let store = ChannelStore::in_memory();
        let token = one(&store).await;
        assert!(token.len() >= 32, "{token}");
        let press = |user: &'static str, order: &'static str| redeem(&store, &token, user, "m5", order, NOW);
        let (first, second) = tokio::join!(press("1", "a"), press("2", "b"));
        assert_eq!(first.expect("memory"), Ok(approve()));
        let error = second.expect("memory").expect_err("used").to_string();
        assert_eq!(error, "it was already pressed, by 1");
        let again = press("1", "c").await.expect("memory").expect_err("used");
        assert_eq!(again.to_string(), "it was already pressed");
    }

    #[tokio::test]
    async fn a_press_by_another_under_another_message_or_a_day_later_does_nothing_and_spends_nothing() {
        let store = ChannelStore::in_memory();
        let token = one(&store).await;
        for (user, message, now, void) in
            [("3", "m5", NOW, Void::Foreign), ("1", "m6", NOW, Void::Elsewhere), ("1", "m5", hours(25), Void::Old)]
        {
            assert_eq!(redeem(&store, &token, user, message, "a", now).await.expect("memory"), Err(void));
        }
        for token in ["", "x", "../../etc/passwd", &"a".repeat(5_000), "pressed/x"] {
            assert_eq!(redeem(&store, token, "1", "m5", "a", NOW).await.expect("memory"), Err(Void::Old));
        }
        assert_eq!(redeem(&store, &token, "1", "m5", "b", hours(24)).await.expect("memory"), Ok(approve()));
    }

    #[tokio::test]
    async fn a_button_that_was_pressed_before_its_message_was_known_does_not_come_back() {
        let store = ChannelStore::in_memory();
        let button = Button { label: "Approve".to_owned(), press: approve() };
        let minted = mint(&store, &[button], &BTreeSet::from(["1".to_owned()]), NOW).await.expect("memory");
        let token = minted[0].token.as_str();
        assert!(redeem(&store, token, "1", "m5", "a", NOW).await.expect("memory").is_ok());
        bind(&store, &minted, "m5").await.expect("memory");
        assert!(matches!(redeem(&store, token, "1", "m5", "b", NOW).await, Ok(Err(Void::Used { by: None }))));
    }

    #[tokio::test]
    async fn a_press_that_a_crash_interrupted_counts_when_it_is_repeated_and_no_other_does() {
        for dies_before_the_memory in [false, true] {
            let store = ChannelStore::in_memory();
            let token = one(&store).await;
            let press = |user: &'static str, order: &'static str| {
                let (store, token) = (store.clone(), token.clone());
                async move { redeem(&store, &token, user, "m5", order, hours(1)).await.expect("memory") }
            };
            assert_eq!(press("1", "a").await, Ok(approve()));
            if dies_before_the_memory {
                store.set(&format!("{USED}{token}"), None).await.expect("memory");
            }
            assert_eq!(press("1", "a").await, Ok(approve()));
            assert_eq!(press("1", "a").await, Ok(approve()), "it died once more");
            // Another press of theirs, or of another user, is not that one.
            assert_eq!(press("1", "b").await, Err(Void::Used { by: None }));
            let by = Some("1".to_owned());
            assert_eq!(press("2", "a").await, Err(Void::Used { by }));
        }
    }
}
