//! Client of Discord's REST API: messages, threads, commands, answers to interactions. No request mentions anybody or shows
//! link previews. The REST client below keeps the rate limits; refusals are converted to [`Refusal`].

use super::super::chat::Refusal;
use super::render::{self, LONGEST};
use super::rest::{Fault, RestClient};
use crate::conversation::buttons::Minted;
use orch_config::secret::Secret;
use orch_core::operations::channel::{Block, ChatMessage, Document, Press};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use twilight_http::Client;
use twilight_http::request::TryIntoRequest;
use twilight_model::application::command::Command;
use twilight_model::channel::message::component::{ActionRow, Button, ButtonStyle};
use twilight_model::channel::message::{AllowedMentions, Component, Message, MessageFlags};
use twilight_model::http::attachment::Attachment;
use twilight_model::http::interaction::{InteractionResponse, InteractionResponseType};
use twilight_model::id::Id;
use twilight_model::id::marker::{
    ApplicationMarker, ChannelMarker, GuildMarker, InteractionMarker, MessageMarker, RoleMarker, UserMarker,
};

/// URL of Discord.
const DISCORD: &str = "https://discord.com";
/// Longest name of a thread, in characters.
const LONGEST_NAME: usize = 100;
/// Longest label of a button, in characters.
const LONGEST_LABEL: usize = 80;
/// Buttons per row, and rows per message.
const ROW: usize = 5;
/// Largest attachment, in bytes.
const LARGEST_FILE: usize = 8 << 20;
/// Messages per request.
const PAGE: u16 = 100;

/// Error codes of Discord.
const NO_CHANNEL: u64 = 10_003;
const NO_MEMBER: u64 = 10_007;
const NO_USER: u64 = 10_013;
const THREAD_IS_THERE: u64 = 160_004;

/// The id of a message with its channel. As text: `channel/message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The channel or thread.
    pub channel: Id<ChannelMarker>,
    /// The message.
    pub message: Id<MessageMarker>,
}

impl Place {
    /// Parses the output of [`Self::to_string`].
    pub fn parse(text: &str) -> Option<Self> {
        let (channel, message) = text.split_once('/')?;
        Some(Self { channel: id(channel)?, message: id(message)? })
    }

    /// Returns the place of a message.
    pub fn of_message(message: &Message) -> Self {
        Self { channel: message.channel_id, message: message.id }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.channel, self.message)
    }
}

/// Parses an id of any kind.
pub fn id<T>(text: &str) -> Option<Id<T>> {
    Id::new_checked(text.parse().ok()?)
}

/// The bot's application and the location of its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// The application whose commands are registered.
    pub application: Id<ApplicationMarker>,
    /// The server of the channel; `None`: a direct message.
    pub guild: Option<Id<GuildMarker>>,
    /// Name of the channel.
    pub channel_name: String,
}

/// The API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    /// Builds requests but does not send them.
    requests: Arc<Client>,
    rest: Arc<RestClient>,
}

impl Api {
    /// Creates a client with this token; `url` is another server than Discord's.
    pub fn new(token: &Secret, url: Option<&str>) -> Self {
        // Fails if a provider is already installed.
        rustls::crypto::ring::default_provider().install_default().ok();
        let requests = Client::builder().ratelimiter(None).default_allowed_mentions(AllowedMentions::default()).build();
        let base = match url {
            Some(url) if url.starts_with("http://") => format!("http://{}", host(url)),
            Some(url) => format!("https://{}", host(url)),
            None => DISCORD.to_owned(),
        };
        Self { requests: Arc::new(requests), rest: Arc::new(RestClient::new(token, base)) }
    }

    async fn fetch<T: DeserializeOwned>(&self, request: impl TryIntoRequest) -> Result<T, Refusal> {
        self.rest.fetch(request).await.map_err(|fault| refusal(&fault))
    }

    async fn execute(&self, request: impl TryIntoRequest) -> Result<(), Refusal> {
        self.rest.send(request).await.map(drop).map_err(|fault| refusal(&fault))
    }

    /// Returns the bot's application and the location of `channel`.
    ///
    /// # Errors
    /// The token or the channel is refused, or Discord does not answer.
    pub async fn whereabouts(&self, channel: Id<ChannelMarker>) -> Result<Whereabouts, Refusal> {
        let application: Named<ApplicationMarker> = self.fetch(self.requests.current_user_application()).await?;
        let application = application.id;
        let found: Channel = self.fetch(self.requests.channel(channel)).await?;
        Ok(Whereabouts { application, guild: found.guild_id, channel_name: found.name.unwrap_or_default() })
    }

    /// Registers commands and removes all others.
    pub async fn register(&self, at: &Whereabouts, commands: &[Command]) -> Result<(), Refusal> {
        let interaction = self.requests.interaction(at.application);
        match at.guild {
            Some(guild) => self.execute(interaction.set_guild_commands(guild, commands)).await,
            None => self.execute(interaction.set_global_commands(commands)).await,
        }
    }

    /// Sends a message, split into several if needed. Returns the place of the first.
    pub async fn send_message(
        &self,
        channel: Id<ChannelMarker>,
        message: &ChatMessage,
        buttons: &[Minted],
    ) -> Result<Place, Refusal> {
        let texts = render::messages(message);
        let rows = rows(buttons);
        let files = files(message.document.as_ref());
        let mut first = None;
        for (at, text) in texts.iter().enumerate() {
            let is_last = at + 1 == texts.len();
            let mut request = self.requests.create_message(channel).content(text).flags(flags(message));
            if is_last {
                request = request.components(&rows).attachments(&files);
            }
            let place = Place::of_message(&self.fetch::<Message>(request).await?);
            first.get_or_insert(place);
        }
        first.ok_or_else(|| Refusal::Never("the message is empty".to_owned()))
    }

    /// Replaces the content of a message. Content that does not fit into one message is cut with a mark.
    pub async fn edit(&self, place: Place, message: &ChatMessage, buttons: &[Minted]) -> Result<(), Refusal> {
        let text = one_message(message);
        let rows = rows(buttons);
        let request = self.requests.update_message(place.channel, place.message).content(Some(&text));
        self.execute(request.components(Some(&rows))).await
    }

    /// Removes the buttons of a message.
    pub async fn remove_buttons(&self, place: Place) -> Result<(), Refusal> {
        self.execute(self.requests.update_message(place.channel, place.message).components(Some(&[]))).await
    }

    /// Sends a message that only the user who pressed a button sees.
    pub async fn whisper(&self, asked: &Asked, text: &str) -> Result<(), Refusal> {
        let text = render::messages(&ChatMessage { blocks: vec![Block::plain(text)], ..ChatMessage::default() });
        let text = text.first().map(String::as_str).unwrap_or_default();
        let interaction = self.requests.interaction(asked.application);
        self.execute(interaction.create_followup(&asked.token).content(text).flags(MessageFlags::EPHEMERAL)).await
    }

    /// Creates a thread under a message.
    pub async fn create_thread(&self, under: Place, name: &str) -> Result<Id<ChannelMarker>, Refusal> {
        let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        let request = self.requests.create_thread_from_message(under.channel, under.message, &name);
        match self.rest.fetch::<Named<ChannelMarker>>(request).await {
            Ok(thread) => Ok(thread.id),
            // It already exists and has the id of the message.
            Err(fault) if code_of(&fault) == Some(THREAD_IS_THERE) => Ok(under.message.cast()),
            Err(fault) => Err(refusal(&fault)),
        }
    }

    /// Adds a user to a thread, so that they are notified.
    pub async fn join(&self, thread: Id<ChannelMarker>, user: Id<UserMarker>) -> Result<(), Refusal> {
        self.execute(self.requests.add_thread_member(thread, user)).await
    }

    /// Returns whether a channel or thread is known to be deleted.
    pub async fn is_gone(&self, channel: Id<ChannelMarker>) -> bool {
        let found = self.rest.send(self.requests.channel(channel)).await;
        found.is_err_and(|fault| code_of(&fault) == Some(NO_CHANNEL))
    }

    /// Returns the direct-message channel of a user.
    pub async fn direct(&self, user: Id<UserMarker>) -> Result<Id<ChannelMarker>, Refusal> {
        let channel: Named<ChannelMarker> = self.fetch(self.requests.create_private_channel(user)).await?;
        Ok(channel.id)
    }

    /// Returns the active threads of a server with the id of the last message of each.
    pub async fn threads(&self, guild: Id<GuildMarker>) -> Result<Vec<(Id<ChannelMarker>, u64)>, Refusal> {
        let listed: Threads = self.fetch(self.requests.active_threads(guild)).await?;
        Ok(listed
            .threads
            .into_iter()
            .map(|thread| (thread.id, thread.last_message_id.map_or(u64::MAX, Id::get)))
            .collect())
    }

    /// Returns the roles of a user in a server; empty if they are not a member.
    pub async fn roles(&self, guild: Id<GuildMarker>, user: Id<UserMarker>) -> Result<Vec<Id<RoleMarker>>, Refusal> {
        match self.rest.fetch::<Member>(self.requests.guild_member(guild, user)).await {
            Ok(member) => Ok(member.roles),
            Err(fault) if matches!(code_of(&fault), Some(NO_MEMBER | NO_USER)) => Ok(Vec::new()),
            Err(fault) => Err(refusal(&fault)),
        }
    }

    /// Returns the messages of a channel after a message, oldest first.
    pub async fn after(&self, channel: Id<ChannelMarker>, message: Id<MessageMarker>) -> Result<Vec<Message>, Refusal> {
        let request = self.requests.channel_messages(channel).after(message).limit(PAGE);
        let mut messages: Vec<Message> = self.fetch(request).await?;
        messages.sort_by_key(|message| message.id);
        Ok(messages)
    }

    /// Acknowledges an interaction.
    pub async fn acknowledge(&self, asked: &Asked, how: Acknowledged) -> Result<(), Refusal> {
        let kind = match how {
            Acknowledged::Thinking => InteractionResponseType::DeferredChannelMessageWithSource,
            Acknowledged::Pressed => InteractionResponseType::DeferredUpdateMessage,
        };
        let response = InteractionResponse { kind, data: None };
        let interaction = self.requests.interaction(asked.application);
        self.execute(interaction.create_response(asked.interaction, &asked.token, &response)).await
    }

    /// Answers an acknowledged interaction; the first answer replaces "is thinking".
    pub async fn answer(
        &self,
        asked: &Asked,
        message: &ChatMessage,
        buttons: &[Minted],
        is_first: bool,
    ) -> Result<Option<Place>, Refusal> {
        let interaction = self.requests.interaction(asked.application);
        let texts = render::messages(message);
        let rows = rows(buttons);
        let files = files(message.document.as_ref());
        let mut first = None;
        for (at, text) in texts.iter().enumerate() {
            let is_last = at + 1 == texts.len();
            let shown: &[Component] = if is_last { &rows } else { &[] };
            let along: &[Attachment] = if is_last { &files } else { &[] };
            let message: Message = if is_first && at == 0 {
                let request = interaction.update_response(&asked.token).content(Some(text));
                self.fetch(request.components(Some(shown)).attachments(along)).await?
            } else {
                let request = interaction.create_followup(&asked.token).content(text).flags(flags(message));
                self.fetch(request.components(shown).attachments(along)).await?
            };
            first.get_or_insert(Place::of_message(&message));
        }
        Ok(first)
    }
}

/// An interaction that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Id of the application.
    pub application: Id<ApplicationMarker>,
    /// Id of the interaction.
    pub interaction: Id<InteractionMarker>,
    /// Token needed for an answer. It is not stored, so that after a restart the answer goes to the channel.
    #[serde(skip)]
    pub token: String,
}

/// How an interaction is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// A command, whose answer follows.
    Thinking,
    /// A button press.
    Pressed,
}

/// Returns the host of the API without the scheme and without the path that the client adds.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    rest.strip_suffix("/api/v10").unwrap_or(rest)
}

fn flags(message: &ChatMessage) -> MessageFlags {
    let silent = if message.is_urgent { MessageFlags::empty() } else { MessageFlags::SUPPRESS_NOTIFICATIONS };
    MessageFlags::SUPPRESS_EMBEDS | silent
}

/// Returns the text for one message, with a mark if it was cut.
fn one_message(message: &ChatMessage) -> String {
    const MORE: &str = "\n…";
    let mut texts = render::messages(message).into_iter();
    let first = texts.next().unwrap_or_default();
    if texts.next().is_none() {
        return first;
    }
    if super::super::chat::cut::measure(&first) + MORE.len() <= LONGEST { first + MORE } else { first }
}

fn rows(buttons: &[Minted]) -> Vec<Component> {
    let button = |armed: &Minted| {
        let style = match armed.press {
            Press::Approve { .. } => ButtonStyle::Success,
            Press::RequestChanges { .. } | Press::Cancel { .. } => ButtonStyle::Danger,
            Press::ShowDiff { .. } | Press::Retry { .. } | Press::Unblock { .. } => ButtonStyle::Secondary,
        };
        Component::Button(Button {
            custom_id: Some(armed.token.clone()),
            disabled: false,
            emoji: None,
            id: None,
            label: Some(armed.label.chars().take(LONGEST_LABEL).collect()),
            sku_id: None,
            style,
            url: None,
        })
    };
    let row =
        |few: &[Minted]| Component::ActionRow(ActionRow { components: few.iter().map(button).collect(), id: None });
    buttons.chunks(ROW).take(ROW).map(row).collect()
}

fn files(document: Option<&Document>) -> Vec<Attachment> {
    let file = |document: &Document| {
        let mut bytes = document.text.clone().into_bytes();
        bytes.truncate(LARGEST_FILE);
        let name: String = document.name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
        Attachment::from_bytes(name, bytes, 0)
    };
    document.map(file).into_iter().collect()
}

/// Returns Discord's code of an error.
fn code_of(fault: &Fault) -> Option<u64> {
    if let Fault::Refused { code, .. } = fault { Some(*code) } else { None }
}

/// Converts a fault.
fn refusal(fault: &Fault) -> Refusal {
    match fault {
        Fault::Refused { status, code } => refusal_of_status(*status, *code),
        Fault::Wait(wait) => {
            Refusal::later(Some(*wait), format!("Discord asks to wait {} s", wait.as_secs_f64().ceil()))
        }
        Fault::Token => Refusal::Closed(TOKEN.to_owned()),
        Fault::Silent(why) => Refusal::later(None, *why),
        Fault::Unread => Refusal::later(None, UNREAD),
        Fault::Unmade => Refusal::Never("the request cannot be made".to_owned()),
    }
}

/// Message about an invalid response.
const UNREAD: &str = "a response of Discord is invalid; something in between, such as a proxy, may have changed it";
/// Message about a refused token.
pub const TOKEN: &str = "Discord refuses the token: make a new one and store it with `orch channel add discord`";

/// Converts an error response. The codes are those of Discord's documentation ("JSON error codes").
fn refusal_of_status(status: u16, code: u64) -> Refusal {
    match (status, code) {
        // Unknown message; too many edits of an old one; a thread that is closed.
        (_, 10_008 | 30_046 | 50_083) => Refusal::Gone,
        (_, NO_CHANNEL) => Refusal::Closed("there is no such channel (channels.discord.channel_id)".to_owned()),
        (_, 50_001) => Refusal::Closed("the bot does not see the channel: add it there".to_owned()),
        (_, 50_013) => Refusal::Closed("the bot may not write there: it needs Send Messages".to_owned()),
        (_, 50_007) => Refusal::Closed("the user does not accept direct messages from the bot".to_owned()),
        (401, _) => Refusal::Closed(TOKEN.to_owned()),
        (500..=599, _) => Refusal::later(None, format!("Discord answers {status}")),
        (status, code) => Refusal::Never(format!("Discord refuses it (status {status}, code {code})")),
    }
}

/// The part of an application or channel that is read: its id.
#[derive(Deserialize)]
#[serde(bound = "")]
struct Named<T> {
    id: Id<T>,
}

/// The part of a channel that is read.
#[derive(Deserialize)]
struct Channel {
    guild_id: Option<Id<GuildMarker>>,
    name: Option<String>,
}

/// The part of a list of threads that is read.
#[derive(Deserialize)]
struct Threads {
    threads: Vec<Thread>,
}

#[derive(Deserialize)]
struct Thread {
    id: Id<ChannelMarker>,
    last_message_id: Option<Id<MessageMarker>>,
}

/// The part of a member of a server that is read.
#[derive(Deserialize)]
struct Member {
    roles: Vec<Id<RoleMarker>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_place_reads_back() {
        let place = Place { channel: Id::new(7), message: Id::new(9) };
        assert_eq!(place.to_string(), "7/9");
        assert_eq!(Place::parse("7/9"), Some(place));
        for garbage in ["", "7", "7/", "0/9", "a/b", "7/9/1"] {
            assert_eq!(Place::parse(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn a_url_is_told_without_its_scheme() {
        assert_eq!(host("http://127.0.0.1:80/"), "127.0.0.1:80");
        assert_eq!(host("https://discord.example"), "discord.example");
        // As the default is written.
        assert_eq!(host("http://127.0.0.1:80/api/v10"), "127.0.0.1:80");
        assert_eq!(host("https://proxy.example/discord/"), "proxy.example/discord");
    }

    #[test]
    fn what_goes_away_says_what_is_in_the_way_and_what_concerns_one_message_holds_up_no_other() {
        let refused = refusal(&Fault::Wait(Duration::from_millis(1_200)));
        assert_eq!(refused, Refusal::later(Some(Duration::from_millis(1_200)), "Discord asks to wait 2 s"));
        assert_eq!(refusal_of_status(503, 0), Refusal::later(None, "Discord answers 503"));
        assert_eq!(refusal_of_status(401, 0), Refusal::Closed(TOKEN.to_owned()));
        assert!(matches!(refusal_of_status(403, 50_013), Refusal::Closed(_)));
        assert!(matches!(refusal_of_status(400, 50_035), Refusal::Never(_)), "this message is not taken, others are");
    }

    #[test]
    fn more_buttons_than_a_row_has_go_into_the_next() {
        let armed = |n: usize| Minted {
            label: "x".repeat(200),
            press: Press::Retry { task: orch_core::base::ids::TaskId(1), since: None },
            token: n.to_string(),
        };
        let rows = rows(&(0..7).map(armed).collect::<Vec<_>>());
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn what_does_not_fit_is_said_to_be_cut() {
        let long = ChatMessage {
            blocks: vec![orch_core::operations::channel::Block::Block("line\n".repeat(1000))],
            ..ChatMessage::default()
        };
        let text = one_message(&long);
        assert!(text.ends_with("\n…") || super::super::super::chat::cut::measure(&text) > LONGEST - 4, "{text}");
    }
}
