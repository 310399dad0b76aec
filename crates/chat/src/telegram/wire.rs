//! Types of the Bot API's responses and updates, with only the fields that are read.

use serde::Deserialize;
use serde_json::Value;

/// Kinds of updates that are requested.
pub const ALLOWED_UPDATES: [&str; 6] =
    ["message", "edited_message", "channel_post", "edited_channel_post", "callback_query", "my_chat_member"];

/// The envelope of every response.
#[derive(Debug, Deserialize)]
pub struct Reply {
    /// Whether the call succeeded.
    pub ok: bool,
    /// Result of a successful call.
    #[serde(default)]
    pub result: Value,
    /// Error code, like an HTTP status.
    pub error_code: Option<u16>,
    /// Error description.
    pub description: Option<String>,
    /// Details of the error.
    pub parameters: Option<Parameters>,
}

/// Details of an error.
#[derive(Debug, Default, Deserialize)]
pub struct Parameters {
    /// Seconds to wait before the next request.
    pub retry_after: Option<u64>,
    /// New id of the group.
    pub migrate_to_chat_id: Option<i64>,
}

/// An update.
#[derive(Debug, Clone, Deserialize)]
pub struct Update {
    /// A new message.
    pub message: Option<Message>,
    /// An edited message.
    pub edited_message: Option<Message>,
    /// A post in a channel.
    pub channel_post: Option<Message>,
    /// An edited post in a channel.
    pub edited_channel_post: Option<Message>,
    /// A button press.
    pub callback_query: Option<CallbackQuery>,
    /// A change of the bot's membership or permissions in a chat.
    pub my_chat_member: Option<MemberChange>,
}

/// A user or bot.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    /// Id, which alone identifies the user.
    pub id: i64,
    /// Whether it is a bot.
    #[serde(default)]
    pub is_bot: bool,
    /// First name, chosen by the user.
    #[serde(default)]
    pub first_name: String,
    /// User name, chosen by the user.
    pub username: Option<String>,
}

/// A chat.
#[derive(Debug, Clone, Deserialize)]
pub struct Chat {
    /// Id; negative for groups and channels.
    pub id: i64,
    /// `private`, `group`, `supergroup` or `channel`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Title.
    pub title: Option<String>,
    /// Whether it has topics.
    #[serde(default)]
    pub is_forum: bool,
}

/// A message.
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    /// Id of the message within the chat.
    pub message_id: i64,
    /// Author.
    pub from: Option<User>,
    /// The chat in whose name it was sent, if not in that of a user.
    pub sender_chat: Option<Chat>,
    /// Chat of the message.
    pub chat: Chat,
    /// Text.
    pub text: Option<String>,
    /// Caption of an attachment.
    pub caption: Option<String>,
    /// An attached file.
    pub document: Option<File>,
    /// A picture.
    pub photo: Option<Value>,
    /// A video.
    pub video: Option<Value>,
    /// A round video message.
    pub video_note: Option<Value>,
    /// A voice message.
    pub voice: Option<Value>,
    /// An audio file.
    pub audio: Option<Value>,
    /// A sticker.
    pub sticker: Option<Value>,
    /// Origin of a forwarded message.
    pub forward_origin: Option<Value>,
    /// The inline bot that wrote it for the user.
    pub via_bot: Option<Value>,
    /// The message that this one replies to.
    pub reply_to_message: Option<Box<Message>>,
    /// Id of the topic or reply thread.
    pub message_thread_id: Option<i64>,
    /// Whether it is in a topic.
    #[serde(default)]
    pub is_topic_message: bool,
    /// New id of the group after it became a supergroup.
    pub migrate_to_chat_id: Option<i64>,
}

/// An attached file.
#[derive(Debug, Clone, Deserialize)]
pub struct File {
    /// Id for downloading the file.
    pub file_id: String,
    /// File name.
    pub file_name: Option<String>,
    /// Size in bytes.
    pub file_size: Option<u64>,
}

/// A button press.
#[derive(Debug, Clone, Deserialize)]
pub struct CallbackQuery {
    /// Id for answering the press.
    pub id: String,
    /// The user who pressed it.
    pub from: User,
    /// The message with the button; missing if it is too old.
    pub message: Option<Message>,
    /// Token of the button.
    pub data: Option<String>,
}

/// A change of the bot's membership or permissions in a chat.
#[derive(Debug, Clone, Deserialize)]
pub struct MemberChange {
    /// The chat.
    pub chat: Chat,
    /// The user who changed it.
    pub from: User,
    /// The new membership.
    pub new_chat_member: Member,
}

/// A membership in a chat.
#[derive(Debug, Clone, Deserialize)]
pub struct Member {
    /// `member`, `administrator`, `restricted`, `left`, `kicked`, …
    pub status: String,
}

/// A file that can be downloaded.
#[derive(Debug, Clone, Deserialize)]
pub struct Fetchable {
    /// Path below the URL for files.
    pub file_path: Option<String>,
}
