//! Classifies errors of the Bot API by what to do about them. PURE. Matches Telegram's error texts, because it has no codes
//! for them.

use super::client::BotError;
use std::time::Duration;

/// What to do about an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing: the state is already as requested.
    Done,
    /// Retry after this time.
    Again(Duration),
    /// Retry later; whether the request was carried out is unknown. Contains the reason.
    Later(String),
    /// The message to edit no longer exists or can no longer be edited.
    Gone,
    /// The topic no longer exists.
    NoTopic,
    /// The markup is rejected: send the text without it.
    NoMarkup,
    /// This message is rejected; others are accepted.
    Never(String),
    /// The chat accepts nothing until a person changes something. Contains the problem and what to do.
    Closed(String),
}

/// Classifies an error.
pub fn classify(error: &BotError) -> Meaning {
    match error {
        BotError::Flood(pause) => Meaning::Again(*pause),
        BotError::Server(_) | BotError::Network(_) | BotError::Garbled => Meaning::Later(error.to_string()),
        BotError::Unauthorized => Meaning::Closed(
            "Telegram refuses the bot's token: it is wrong or was revoked; @BotFather shows it".to_owned(),
        ),
        BotError::Moved(chat) => {
            Meaning::Closed(format!("the group became a supergroup: orch config set channels.telegram.chat_id {chat}"))
        }
        BotError::Conflict(why) => Meaning::Closed(why.clone()),
        BotError::Forbidden(why) => {
            Meaning::Closed(format!("the bot may not write there ({why}): add it to the chat again"))
        }
        BotError::Refused(why) => refused(why),
    }
}

fn refused(why: &str) -> Meaning {
    let lower = why.to_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    if has(&["message is not modified"]) {
        Meaning::Done
    } else if has(&["message to edit not found", "message can't be edited", "message_id_invalid"]) {
        Meaning::Gone
    } else if has(&["message thread not found", "topic_deleted", "topic_closed", "topic_id_invalid"]) {
        Meaning::NoTopic
    } else if has(&["can't parse entities", "message is too long", "message_too_long"]) {
        Meaning::NoMarkup
    } else if has(&["chat not found", "chat_id is empty", "group chat was deactivated", "peer_id_invalid"]) {
        Meaning::Closed(format!("there is no such chat ({why}): look at channels.telegram.chat_id"))
    } else if has(&["not enough rights", "have no rights", "chat_write_forbidden", "need administrator rights"]) {
        Meaning::Closed(format!("the bot has too few rights ({why}): make it an administrator who may post"))
    } else {
        Meaning::Never(why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_meaning() {
        let of_text = |why: &str| classify(&BotError::Refused(format!("Bad Request: {why}")));
        assert_eq!(of_text("message is not modified: specified new message content is the same"), Meaning::Done);
        assert_eq!(of_text("message to edit not found"), Meaning::Gone);
        assert_eq!(of_text("MESSAGE_ID_INVALID"), Meaning::Gone);
        assert_eq!(of_text("message thread not found"), Meaning::NoTopic);
        assert_eq!(of_text("can't parse entities: Unsupported start tag"), Meaning::NoMarkup);
        assert_eq!(of_text("wrong file identifier"), Meaning::Never("Bad Request: wrong file identifier".to_owned()));
        let Meaning::Closed(why) = of_text("chat not found") else { panic!() };
        assert!(why.contains("chat_id"), "{why}");
        let Meaning::Closed(why) = of_text("not enough rights to send text messages to the chat") else { panic!() };
        assert!(why.contains("administrator"), "{why}");
        let Meaning::Closed(why) =
            classify(&BotError::Forbidden("Forbidden: bot was kicked from the group chat".into()))
        else {
            panic!()
        };
        assert!(why.contains("kicked") && why.contains("add it"), "{why}");
        assert_eq!(classify(&BotError::Flood(Duration::from_secs(3))), Meaning::Again(Duration::from_secs(3)));
        assert_eq!(classify(&BotError::Network("gone")), Meaning::Later("gone".to_owned()));
    }
}
