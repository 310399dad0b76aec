//! Classifies updates: who sent them, and whether to act on them. PURE. Only Telegram's numeric ids decide. Only a listed
//! user's own new message or button press is acted on.

use super::wire::{CallbackQuery, Chat, File, MemberChange, Message, Update, User};
use crate::conversation::strangers::{Stranger, is_listed};
use std::collections::BTreeSet;

/// Answer to an attachment that is not supported.
pub const UNREAD: &str = "Nothing was done: only text files are read, as a part of a new task (/add TITLE \
                          under it). Write the words without it.";

/// The chat, and who may send commands.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Id of the chat.
    pub chat: i64,
    /// Ids of listed users.
    pub users: BTreeSet<String>,
}

/// A message of a listed user.
#[derive(Debug, Clone)]
pub struct Words {
    /// Id of the user.
    pub user: String,
    /// Display name of the user.
    pub name: String,
    /// Id of the chat.
    pub chat: i64,
    /// Text of the message.
    pub text: String,
    /// Id of the message that this one replies to.
    pub answers: Option<i64>,
    /// Id of the topic.
    pub topic: Option<i64>,
    /// Attachment of the message.
    pub with: With,
}

/// The attachment of a message.
#[derive(Debug, Clone)]
pub enum With {
    /// No attachment.
    Nothing,
    /// A file.
    File(File),
    /// A picture, voice message, video or other kind that is not read.
    Other,
}

/// A button press of a listed user.
#[derive(Debug, Clone)]
pub struct Pressed {
    /// Id of the user.
    pub user: String,
    /// Display name of the user.
    pub name: String,
    /// Id of the chat.
    pub chat: i64,
    /// Id of the message with the button.
    pub message: i64,
    /// Token of the button.
    pub token: String,
    /// Id of the callback query, needed for the answer.
    pub query: String,
}

/// The classification of an update.
#[derive(Debug, Clone)]
pub enum Heard {
    /// A listed user wrote a message.
    Words(Words),
    /// A listed user pressed a button.
    Pressed(Pressed),
    /// A listed user did something unsupported, which this text explains in this chat.
    Unsupported(i64, &'static str),
    /// Someone who is not listed did something.
    Stranger(Stranger),
    /// The bot's status in its chat changed.
    Member(String),
    /// The chat got a new id.
    Moved(i64),
    /// The update is ignored.
    Nothing,
}

/// Classifies an update.
pub fn classify(update: Update, listed: &Listed) -> Heard {
    let Update { message, edited_message, channel_post, edited_channel_post, callback_query, my_chat_member, .. } =
        update;
    if let Some(message) = message {
        return wrote(message, listed);
    }
    if let Some(query) = callback_query {
        return pressed(query, listed);
    }
    if let Some(edited) = edited_message {
        if is_talk(&edited) {
            return Heard::Nothing;
        }
        return match sender(&edited, listed) {
            Ok(_) if is_ours(&edited.chat, &edited.from, listed) => {
                Heard::Unsupported(edited.chat.id, "Edited messages are not read; send a new message.")
            }
            Ok(_) => Heard::Nothing,
            Err(stranger) => {
                stranger.map_or(Heard::Nothing, |who| Heard::Stranger(Stranger { did: "edited a message", ..who }))
            }
        };
    }
    if let Some(post) = channel_post.or(edited_channel_post) {
        // The bot's own posts come back from its channel.
        return if post.chat.id == listed.chat {
            Heard::Nothing
        } else {
            Heard::Stranger(of_chat(&post.chat, "posted in a channel"))
        };
    }
    my_chat_member.map_or(Heard::Nothing, |change| member(change, listed))
}

fn wrote(message: Message, listed: &Listed) -> Heard {
    if let Some(chat) = message.migrate_to_chat_id
        && message.chat.id == listed.chat
    {
        return Heard::Moved(chat);
    }
    let (user, name) = match sender(&message, listed) {
        Ok(known) => known,
        Err(_) if is_talk(&message) => return Heard::Nothing,
        Err(stranger) => return stranger.map_or(Heard::Nothing, Heard::Stranger),
    };
    if !is_ours(&message.chat, &message.from, listed) {
        return Heard::Nothing;
    }
    if message.forward_origin.is_some() || message.via_bot.is_some() {
        if is_talk(&message) {
            return Heard::Nothing;
        }
        return Heard::Unsupported(
            message.chat.id,
            "Nothing was done: forwarded messages are ignored; write it yourself.",
        );
    }
    let text = message.text.clone().or_else(|| message.caption.clone());
    let with = with(&message);
    let text = match (text, &with) {
        (Some(text), _) => text,
        // A service message: someone joined, a message was pinned.
        (None, With::Nothing) => return Heard::Nothing,
        (None, With::File(_) | With::Other) if is_talk(&message) => return Heard::Nothing,
        (None, With::File(_)) => {
            return Heard::Unsupported(message.chat.id, "A file alone is not a command: write /add TITLE under it.");
        }
        (None, With::Other) => return Heard::Unsupported(message.chat.id, UNREAD),
    };
    let answers = message.reply_to_message.as_ref().map(|answered| answered.message_id);
    let topic = message.message_thread_id.filter(|_| message.is_topic_message);
    // Replies and messages in topics may be about a task; the caller looks that up.
    if is_talk(&message) && answers.is_none() && topic.is_none() {
        return Heard::Nothing;
    }
    Heard::Words(Words { user, name, chat: message.chat.id, text, answers, topic, with })
}

/// Returns the attachment of a message. A caption implies an attachment, even of an unknown kind.
fn with(message: &Message) -> With {
    let Message { photo, video, video_note, voice, audio, sticker, caption, .. } = message;
    let others = [photo, video, video_note, voice, audio, sticker];
    match &message.document {
        Some(file) => With::File(file.clone()),
        None if caption.is_some() || others.into_iter().any(Option::is_some) => With::Other,
        None => With::Nothing,
    }
}

fn pressed(query: CallbackQuery, listed: &Listed) -> Heard {
    let user = query.from.id.to_string();
    if query.from.is_bot || !is_listed(&listed.users, &user) {
        return Heard::Stranger(of_user(&query.from, "pressed a button"));
    }
    let Some(message) = query.message else { return Heard::Nothing };
    if !is_ours(&message.chat, &Some(query.from.clone()), listed) {
        return Heard::Nothing;
    }
    let token = query.data.unwrap_or_default();
    let (chat, message, query_id) = (message.chat.id, message.message_id, query.id);
    Heard::Pressed(Pressed { user, name: query.from.first_name, chat, message, token, query: query_id })
}

/// Returns whether a group message is not addressed to the bot: no command, and no reply to a bot.
fn is_talk(message: &Message) -> bool {
    let text = message.text.as_ref().or(message.caption.as_ref());
    let is_command = text.is_some_and(|text| text.trim_start().starts_with('/'));
    let answered = message.reply_to_message.as_ref().and_then(|answered| answered.from.as_ref());
    message.chat.id < 0 && !is_command && !answered.is_some_and(|user| user.is_bot)
}

/// Returns whether the chat is the configured one or the user's private chat with the bot.
fn is_ours(chat: &Chat, from: &Option<User>, listed: &Listed) -> bool {
    let is_private = chat.kind == "private" && from.as_ref().is_some_and(|user| user.id == chat.id);
    chat.id == listed.chat || is_private
}

/// Returns id and name of the listed user who wrote a message, or the stranger; `Err(None)` for posts of the bot's channel.
fn sender(message: &Message, listed: &Listed) -> Result<(String, String), Option<Stranger>> {
    if let Some(chat) = &message.sender_chat {
        // An anonymous administrator or a channel: the person is unknown.
        let is_own_channel = chat.id == listed.chat && chat.kind == "channel";
        return Err((!is_own_channel).then(|| of_chat(chat, "wrote without showing who they are")));
    }
    let Some(user) = &message.from else {
        return Err(Some(of_chat(&message.chat, "wrote without showing who they are")));
    };
    let id = user.id.to_string();
    if user.is_bot || !is_listed(&listed.users, &id) {
        let did = if message.forward_origin.is_some() { "forwarded a message" } else { "wrote" };
        return Err(Some(of_user(user, did)));
    }
    Ok((id, user.first_name.clone()))
}

fn of_user(user: &User, did: &'static str) -> Stranger {
    let name = match &user.username {
        Some(username) => format!("{} ({username})", user.first_name),
        None => user.first_name.clone(),
    };
    Stranger { id: user.id.to_string(), name, did }
}

fn of_chat(chat: &Chat, did: &'static str) -> Stranger {
    Stranger { id: chat.id.to_string(), name: chat.title.clone().unwrap_or_default(), did }
}

fn member(change: MemberChange, listed: &Listed) -> Heard {
    if change.chat.id == listed.chat {
        return Heard::Member(change.new_chat_member.status);
    }
    let is_known = is_listed(&listed.users, &change.from.id.to_string());
    if is_known {
        Heard::Nothing
    } else {
        Heard::Stranger(of_user(&change.from, "added the bot somewhere, or removed it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn listed() -> Listed {
        Listed { chat: -100, users: BTreeSet::from(["42".to_owned()]) }
    }

    fn heard(update: Value) -> Heard {
        classify(serde_json::from_value(update).expect("an update"), &listed())
    }

    fn message(from: Value, more: Value) -> Value {
        let mut message =
            json!({"message_id": 5, "from": from, "chat": {"id": -100, "type": "supergroup"}, "text": "/cancel 7"});
        for (key, value) in more.as_object().expect("an object") {
            message[key] = value.clone();
        }
        message
    }

    fn owner() -> Value {
        json!({"id": 42, "first_name": "Ada", "username": "ada"})
    }

    #[test]
    fn a_listed_persons_own_new_words_are_heard() {
        let Heard::Words(words) = heard(json!({"update_id": 1, "message": message(owner(), json!({}))})) else {
            panic!()
        };
        assert_eq!((words.user.as_str(), words.text.as_str(), words.chat), ("42", "/cancel 7", -100));
        let private = json!({"chat": {"id": 42, "type": "private"}, "text": "hello"});
        assert!(matches!(heard(json!({"update_id": 1, "message": message(owner(), private)})), Heard::Words(_)));
        let press = json!({"id": "q", "from": owner(), "data": "t", "message": message(json!({"id": 1, "is_bot": true}), json!({}))});
        let Heard::Pressed(pressed) = heard(json!({"update_id": 1, "callback_query": press})) else { panic!() };
        assert_eq!((pressed.message, pressed.token.as_str()), (5, "t"));
    }

    #[test]
    fn what_came_with_words_is_known_of_whatever_kind_it_is() {
        let came = |more: Value| {
            let mut more = more;
            more["text"] = Value::Null;
            more["caption"] = "/add Look at it".into();
            let Heard::Words(words) = heard(json!({"update_id": 1, "message": message(owner(), more)})) else {
                panic!()
            };
            words.with
        };
        assert!(matches!(came(json!({"document": {"file_id": "f"}})), With::File(file) if file.file_id == "f"));
        for kind in ["photo", "video", "voice", "audio", "paid_media", "what_comes_next_year"] {
            assert!(matches!(came(json!({kind: {"file_id": "f"}})), With::Other), "{kind}");
        }
        let Heard::Words(words) = heard(json!({"update_id": 1, "message": message(owner(), json!({}))})) else {
            panic!()
        };
        assert!(matches!(words.with, With::Nothing));
    }

    #[test]
    fn what_is_not_read_is_told_where_it_was_meant_for_the_bot() {
        for (what, more) in [
            ("a voice", json!({"chat": {"id": 42, "type": "private"}, "voice": {"file_id": "f"}})),
            (
                "a picture that answers the bot",
                json!({"photo": [{"file_id": "f"}], "reply_to_message": message(json!({"id": 1, "is_bot": true}), json!({}))}),
            ),
        ] {
            let mut more = more;
            more["text"] = Value::Null;
            let heard = heard(json!({"update_id": 1, "message": message(owner(), more)}));
            assert!(matches!(heard, Heard::Unsupported(_, text) if text == UNREAD), "{what}");
        }
        let picture = json!({"text": null, "photo": [{"file_id": "f"}]});
        let heard = heard(json!({"update_id": 1, "message": message(owner(), picture)}));
        assert!(matches!(heard, Heard::Nothing), "people show each other pictures");
    }

    #[test]
    fn whatever_is_not_plainly_that_does_nothing() {
        let stranger = |id: i64| json!({"id": id, "first_name": "Ada", "username": "ada"});
        let hidden = json!({"sender_chat": {"id": -100, "type": "supergroup", "title": "shop"}});
        for (what, update) in [
            ("a stranger", json!({"message": message(stranger(43), json!({}))})),
            (
                "a look-alike that is a bot",
                json!({"message": message(json!({"id": 42, "is_bot": true, "first_name": "Ada"}), json!({}))}),
            ),
            (
                "an anonymous admin",
                json!({"message": message(json!({"id": 1_087_968_824, "is_bot": true}), hidden.clone())}),
            ),
            ("the owner's id with a hidden sender", json!({"message": message(owner(), hidden)})),
            (
                "a channel's word",
                json!({"message": message(json!({"id": 136_817_688, "is_bot": true}), json!({"sender_chat": {"id": -9, "type": "channel"}}))}),
            ),
            (
                "a post",
                json!({"channel_post": {"message_id": 1, "chat": {"id": -9, "type": "channel"}, "text": "/cancel 7"}}),
            ),
            (
                "a press",
                json!({"callback_query": {"id": "q", "from": stranger(43), "data": "t", "message": message(stranger(1), json!({}))}}),
            ),
            ("an edit", json!({"edited_message": message(stranger(43), json!({}))})),
            (
                "an answer to the bot",
                json!({"message": message(stranger(43), json!({"text": "yes", "reply_to_message": message(json!({"id": 1, "is_bot": true}), json!({}))}))}),
            ),
            (
                "words to the bot alone",
                json!({"message": message(stranger(43), json!({"text": "hi", "chat": {"id": 43, "type": "private"}}))}),
            ),
            (
                "nobody",
                json!({"message": {"message_id": 1, "chat": {"id": -100, "type": "group"}, "text": "/cancel 7"}}),
            ),
        ] {
            let mut update = update;
            update["update_id"] = json!(1);
            assert!(matches!(heard(update), Heard::Stranger(_)), "{what}");
        }
        for (what, update) in [
            ("an edit by a listed person", json!({"edited_message": message(owner(), json!({}))})),
            ("what they forward", json!({"message": message(owner(), json!({"forward_origin": {"type": "user"}}))})),
            ("what a bot writes for them", json!({"message": message(owner(), json!({"via_bot": {"id": 9}}))})),
        ] {
            let mut update = update;
            update["update_id"] = json!(1);
            assert!(matches!(heard(update), Heard::Unsupported(-100, _)), "{what}");
        }
        for (what, update) in [
            ("another group", json!({"message": message(owner(), json!({"chat": {"id": -7, "type": "group"}}))})),
            (
                "another's private chat",
                json!({"message": message(owner(), json!({"chat": {"id": 43, "type": "private"}}))}),
            ),
            ("talk in the group", json!({"message": message(owner(), json!({"text": "lunch?"}))})),
            ("a stranger's talk in the group", json!({"message": message(stranger(43), json!({"text": "lunch?"}))})),
            ("a stranger who joins", json!({"message": message(stranger(43), json!({"text": null}))})),
            ("what was mended in it", json!({"edited_message": message(owner(), json!({"text": "lunch!"}))})),
            (
                "what a stranger mended in it",
                json!({"edited_message": message(stranger(43), json!({"text": "lunch!"}))}),
            ),
            (
                "what they forward to each other",
                json!({"message": message(owner(), json!({"text": "lunch", "forward_origin": {"type": "user"}}))}),
            ),
            (
                "an answer to each other",
                json!({"message": message(stranger(43), json!({"text": "yes", "reply_to_message": message(owner(), json!({}))}))}),
            ),
            (
                "a file for each other",
                json!({"message": message(owner(), json!({"text": null, "document": {"file_id": "f"}}))}),
            ),
            (
                "a press in another group",
                json!({"callback_query": {"id": "q", "from": owner(), "data": "t", "message": message(owner(), json!({"chat": {"id": -7, "type": "group"}}))}}),
            ),
            (
                "a press under a message that is too old",
                json!({"callback_query": {"id": "q", "from": owner(), "data": "t"}}),
            ),
            ("something new", json!({"something": {"id": 1}})),
        ] {
            let mut update = update;
            update["update_id"] = json!(1);
            assert!(matches!(heard(update), Heard::Nothing), "{what}");
        }
    }

    #[test]
    fn what_becomes_of_the_chat_is_heard() {
        let change = json!({"update_id": 1, "my_chat_member": {"chat": {"id": -100, "type": "group"}, "from": {"id": 43}, "new_chat_member": {"status": "kicked"}}});
        assert!(matches!(heard(change), Heard::Member(status) if status == "kicked"));
        let moved = message(json!({"id": 43}), json!({"migrate_to_chat_id": -1001}));
        assert!(matches!(heard(json!({"update_id": 1, "message": moved})), Heard::Moved(-1001)));
    }
}
