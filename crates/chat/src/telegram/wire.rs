//! The part of the Bot API that is spoken here: what comes in, typed, and only as much of it as is looked at.

use serde::Deserialize;
use serde_json::Value;

/// What is asked to be told of.
pub const ALLOWED_UPDATES: [&str; 6] =
    ["message", "edited_message", "channel_post", "edited_channel_post", "callback_query", "my_chat_member"];

/// Every answer.
#[derive(Debug, Deserialize)]
pub struct Reply {
    /// It was done.
    pub ok: bool,
    /// What came of it.
    #[serde(default)]
    pub result: Value,
    /// Why not: as HTTP has it.
    #[serde(default)]
    pub error_code: Option<u16>,
    /// Why not, in words.
    #[serde(default)]
    pub description: Option<String>,
    /// What to do about it.
    #[serde(default)]
    pub parameters: Option<Parameters>,
}

/// What to do about an error.
#[derive(Debug, Default, Deserialize)]
pub struct Parameters {
    /// Not before so many seconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// The group has another id now.
    #[serde(default)]
    pub migrate_to_chat_id: Option<i64>,
}

/// Something that happened.
#[derive(Debug, Clone, Deserialize)]
pub struct Update {
    /// Somebody wrote.
    #[serde(default)]
    pub message: Option<Message>,
    /// Somebody changed what they wrote.
    #[serde(default)]
    pub edited_message: Option<Message>,
    /// A post in a channel.
    #[serde(default)]
    pub channel_post: Option<Message>,
    /// One that was changed.
    #[serde(default)]
    pub edited_channel_post: Option<Message>,
    /// A button was pressed.
    #[serde(default)]
    pub callback_query: Option<CallbackQuery>,
    /// The bot was added somewhere, thrown out, or may do other things.
    #[serde(default)]
    pub my_chat_member: Option<MemberChange>,
}

/// Somebody.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    /// Which alone says who it is.
    pub id: i64,
    /// A program.
    #[serde(default)]
    pub is_bot: bool,
    /// As they call themselves.
    #[serde(default)]
    pub first_name: String,
    /// The same.
    #[serde(default)]
    pub username: Option<String>,
}

/// A place.
#[derive(Debug, Clone, Deserialize)]
pub struct Chat {
    /// Negative: of a group or a channel.
    pub id: i64,
    /// `private`, `group`, `supergroup` or `channel`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// How it is called.
    #[serde(default)]
    pub title: Option<String>,
    /// It has topics.
    #[serde(default)]
    pub is_forum: bool,
}

/// A message.
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    /// Its number in the chat.
    pub message_id: i64,
    /// Who wrote it.
    #[serde(default)]
    pub from: Option<User>,
    /// In whose name it was written, where not in that of a person.
    #[serde(default)]
    pub sender_chat: Option<Chat>,
    /// Where.
    pub chat: Chat,
    /// What.
    #[serde(default)]
    pub text: Option<String>,
    /// What stands under a file.
    #[serde(default)]
    pub caption: Option<String>,
    /// A file.
    #[serde(default)]
    pub document: Option<File>,
    /// A picture.
    #[serde(default)]
    pub photo: Option<Value>,
    /// A film.
    #[serde(default)]
    pub video: Option<Value>,
    /// A round one.
    #[serde(default)]
    pub video_note: Option<Value>,
    /// What somebody said.
    #[serde(default)]
    pub voice: Option<Value>,
    /// Music.
    #[serde(default)]
    pub audio: Option<Value>,
    /// A sticker.
    #[serde(default)]
    pub sticker: Option<Value>,
    /// It is somebody else's.
    #[serde(default)]
    pub forward_origin: Option<Value>,
    /// A program wrote it for them.
    #[serde(default)]
    pub via_bot: Option<Value>,
    /// What it answers.
    #[serde(default)]
    pub reply_to_message: Option<Box<Message>>,
    /// The topic.
    #[serde(default)]
    pub message_thread_id: Option<i64>,
    /// It stands in a topic.
    #[serde(default)]
    pub is_topic_message: bool,
    /// The group has become another one.
    #[serde(default)]
    pub migrate_to_chat_id: Option<i64>,
}

/// A file that somebody sent.
#[derive(Debug, Clone, Deserialize)]
pub struct File {
    /// To ask for it by.
    pub file_id: String,
    /// Its name.
    #[serde(default)]
    pub file_name: Option<String>,
    /// How large it is, in bytes.
    #[serde(default)]
    pub file_size: Option<u64>,
}

/// A button that was pressed.
#[derive(Debug, Clone, Deserialize)]
pub struct CallbackQuery {
    /// To answer it by.
    pub id: String,
    /// By whom.
    pub from: User,
    /// Under which message; one that is too old is not told.
    #[serde(default)]
    pub message: Option<Message>,
    /// What it bears.
    #[serde(default)]
    pub data: Option<String>,
}

/// What the bot may do in a chat has changed.
#[derive(Debug, Clone, Deserialize)]
pub struct MemberChange {
    /// Where.
    pub chat: Chat,
    /// By whom.
    pub from: User,
    /// How it is now.
    pub new_chat_member: Member,
}

/// What somebody is in a chat.
#[derive(Debug, Clone, Deserialize)]
pub struct Member {
    /// `member`, `administrator`, `restricted`, `left`, `kicked`, …
    pub status: String,
}

/// A file that can be fetched.
#[derive(Debug, Clone, Deserialize)]
pub struct Fetchable {
    /// Where, below the address for files.
    #[serde(default)]
    pub file_path: Option<String>,
}
