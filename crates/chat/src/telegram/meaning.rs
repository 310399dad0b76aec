//! What a refusal of the Bot API means for what was asked. PURE. The words are Telegram's own: it has no codes for them.

use super::client::BotError;
use std::time::Duration;

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// It was so already: that is as good as done.
    Done,
    /// The same again, after that.
    Again(Duration),
    /// The same again some time; whether it was done is not known. In words, what is in the way.
    Later(String),
    /// The message to change is no more, or is not to be changed any more.
    Gone,
    /// The topic is no more.
    NoTopic,
    /// The markup is not understood: the words alone.
    NoMarkup,
    /// This is not taken; other messages are.
    Never(String),
    /// Nothing in this chat, until a person has changed something: what is wrong, and what to do.
    Closed(String),
}

/// What it means.
pub fn of(error: &BotError) -> Meaning {
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
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["message is not modified"]) {
        Meaning::Done
    } else if says(&["message to edit not found", "message can't be edited", "message_id_invalid"]) {
        Meaning::Gone
    } else if says(&["message thread not found", "topic_deleted", "topic_closed", "topic_id_invalid"]) {
        Meaning::NoTopic
    } else if says(&["can't parse entities", "message is too long", "message_too_long"]) {
        Meaning::NoMarkup
    } else if says(&["chat not found", "chat_id is empty", "group chat was deactivated", "peer_id_invalid"]) {
        Meaning::Closed(format!("there is no such chat ({why}): look at channels.telegram.chat_id"))
    } else if says(&["not enough rights", "have no rights", "chat_write_forbidden", "need administrator rights"]) {
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
        let of_text = |why: &str| of(&BotError::Refused(format!("Bad Request: {why}")));
        assert_eq!(of_text("message is not modified: specified new message content is the same"), Meaning::Done);
        assert_eq!(of_text("message to edit not found"), Meaning::Gone);
        assert_eq!(of_text("MESSAGE_ID_INVALID"), Meaning::Gone);
        assert_eq!(of_text("message thread not found"), Meaning::NoTopic);
        assert_eq!(of_text("can't parse entities: Unsupported start tag"), Meaning::NoMarkup);
        assert_eq!(of_text("wrong file identifier"), Meaning::Never("Bad Request: wrong file identifier".to_owned()));
        let Meaning::Closed(told) = of_text("chat not found") else { panic!() };
        assert!(told.contains("chat_id"), "{told}");
        let Meaning::Closed(told) = of_text("not enough rights to send text messages to the chat") else { panic!() };
        assert!(told.contains("administrator"), "{told}");
        let Meaning::Closed(told) = of(&BotError::Forbidden("Forbidden: bot was kicked from the group chat".into()))
        else {
            panic!()
        };
        assert!(told.contains("kicked") && told.contains("add it"), "{told}");
        assert_eq!(of(&BotError::Flood(Duration::from_secs(3))), Meaning::Again(Duration::from_secs(3)));
        assert_eq!(of(&BotError::Network("gone")), Meaning::Later("gone".to_owned()));
    }
}
