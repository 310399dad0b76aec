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
    #[serde(default)]
    pub error_code: Option<u16>,
    /// Error description.
    #[serde(default)]
    pub description: Option<String>,
    /// Details of the error.
    #[serde(default)]
    pub parameters: Option<Parameters>,
}

/// Details of an error.
#[derive(Debug, Default, Deserialize)]
pub struct Parameters {
    /// Seconds to wait before the next request.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// New id of the group.
    #[serde(default)]
    pub migrate_to_chat_id: Option<i64>,
}

/// An update.
#[derive(Debug, Clone, Deserialize)]
pub struct Update {
    /// A new message.
    #[serde(default)]
    pub message: Option<Message>,
    /// An edited message.
    #[serde(default)]
    pub edited_message: Option<Message>,
    /// A post in a channel.
    #[serde(default)]
    pub channel_post: Option<Message>,
    /// An edited post in a channel.
    #[serde(default)]
    pub edited_channel_post: Option<Message>,
    /// A button press.
    #[serde(default)]
    pub callback_query: Option<CallbackQuery>,
    /// A change of the bot's membership or permissions in a chat.
    #[serde(default)]
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
    #[serde(default)]
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
    #[serde(default)]
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
    #[serde(default)]
    pub from: Option<User>,
    /// The chat in whose name it was sent, if not in that of a user.
    #[serde(default)]
    pub sender_chat: Option<Chat>,
    /// Chat of the message.
    pub chat: Chat,
    /// Text.
    #[serde(default)]
    pub text: Option<String>,
    /// Caption of an attachment.
    #[serde(default)]
    pub caption: Option<String>,
    /// An attached file.
    #[serde(default)]
    pub document: Option<File>,
    /// A picture.
    #[serde(default)]
    pub photo: Option<Value>,
    /// A video.
    #[serde(default)]
    pub video: Option<Value>,
    /// A round video message.
    #[serde(default)]
    pub video_note: Option<Value>,
    /// A voice message.
    #[serde(default)]
    pub voice: Option<Value>,
    /// An audio file.
    #[serde(default)]
    pub audio: Option<Value>,
    /// A sticker.
    #[serde(default)]
    pub sticker: Option<Value>,
    /// Origin of a forwarded message.
    #[serde(default)]
    pub forward_origin: Option<Value>,
    /// The inline bot that wrote it for the user.
    #[serde(default)]
    pub via_bot: Option<Value>,
    /// The message that this one replies to.
    #[serde(default)]
    pub reply_to_message: Option<Box<Message>>,
    /// Id of the topic or reply thread.
    #[serde(default)]
    pub message_thread_id: Option<i64>,
    /// Whether it is in a topic.
    #[serde(default)]
    pub is_topic_message: bool,
    /// New id of the group after it became a supergroup.
    #[serde(default)]
    pub migrate_to_chat_id: Option<i64>,
}

/// An attached file.
#[derive(Debug, Clone, Deserialize)]
pub struct File {
    /// Id for downloading the file.
    pub file_id: String,
    /// File name.
    #[serde(default)]
    pub file_name: Option<String>,
    /// Size in bytes.
    #[serde(default)]
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
    #[serde(default)]
    pub message: Option<Message>,
    /// Token of the button.
    #[serde(default)]
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
    #[serde(default)]
    pub file_path: Option<String>,
}
