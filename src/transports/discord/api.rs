//! The door to Discord's REST API: messages, threads, commands, answers to interactions. What a request may not do
//! (mention anybody, show previews of links) none of them does. Rates are kept by the client below; what is refused is
//! told in the words of every chat.

use super::super::chat::Refusal;
use super::render::{self, LONGEST};
use crate::config::secret::Secret;
use crate::domain::channel::{Button as Wanted, Document, Passage, Press, Saying};
use crate::transports::conversation::buttons::Minted;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use twilight_http::Client;
use twilight_http::api_error::ApiError;
use twilight_http::error::ErrorType;
use twilight_http::response::DeserializeBodyError;
use twilight_model::application::command::Command;
use twilight_model::channel::message::component::{ActionRow, Button, ButtonStyle};
use twilight_model::channel::message::{AllowedMentions, Component, Message, MessageFlags};
use twilight_model::http::attachment::Attachment;
use twilight_model::http::interaction::{InteractionResponse, InteractionResponseType};
use twilight_model::id::Id;
use twilight_model::id::marker::{
    ApplicationMarker, ChannelMarker, GuildMarker, InteractionMarker, MessageMarker, RoleMarker, UserMarker,
};

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest name of a thread.
const LONGEST_NAME: usize = 100;
/// The longest label of a button.
const LONGEST_LABEL: usize = 80;
/// Buttons in a row, and rows under a message.
const ROW: usize = 5;
/// The largest file that is sent along.
const LARGEST_FILE: usize = 8 << 20;
/// Messages that are asked for at once.
const PAGE: u16 = 100;

/// Discord's codes of errors.
const NO_CHANNEL: u64 = 10_003;
const NO_MEMBER: u64 = 10_007;
const NO_USER: u64 = 10_013;
const THREAD_IS_THERE: u64 = 160_004;

/// A message, by the channel it stands in and its own id. As text: `channel/message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The channel or thread.
    pub channel: Id<ChannelMarker>,
    /// The message.
    pub message: Id<MessageMarker>,
}

impl Place {
    /// Reads what [`Self::to_string`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (channel, message) = text.split_once('/')?;
        Some(Self { channel: id(channel)?, message: id(message)? })
    }

    /// Of a message.
    pub fn of(message: &Message) -> Self {
        Self { channel: message.channel_id, message: message.id }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.channel, self.message)
    }
}

/// An id, of any kind of thing; `None`: that is none.
pub fn id<T>(text: &str) -> Option<Id<T>> {
    Id::new_checked(text.parse().ok()?)
}

/// A button that stands under a message: what it asks for, and the token by which a press is known.
#[derive(Debug, Clone)]
pub struct Armed {
    /// What stands on it.
    pub label: String,
    /// What it asks for; decides the colour.
    pub press: Press,
    /// How a press is known.
    pub token: String,
}

impl Armed {
    /// The buttons of a saying, with what was minted for them.
    pub fn all(wanted: &[Wanted], minted: &[Minted]) -> Vec<Self> {
        let arm = |(wanted, minted): (&Wanted, &Minted)| Self {
            label: minted.label.clone(),
            press: wanted.press.clone(),
            token: minted.token.clone(),
        };
        wanted.iter().zip(minted).map(arm).collect()
    }
}

/// Who the bot is, and where its channel stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// The application whose commands are registered.
    pub application: Id<ApplicationMarker>,
    /// The server of the channel; `None`: a direct message.
    pub guild: Option<Id<GuildMarker>>,
    /// What the channel is called.
    pub channel_name: String,
}

/// The API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    client: Arc<Client>,
}

impl Api {
    /// With this token; `url`: elsewhere than at Discord's, without a path.
    pub fn new(token: &Secret, url: Option<&str>) -> Self {
        // It fails when it was done before.
        rustls::crypto::ring::default_provider().install_default().ok();
        let builder = Client::builder()
            .token(token.expose().to_owned())
            .default_allowed_mentions(AllowedMentions::default())
            .timeout(PATIENCE);
        let builder = match url {
            Some(url) => builder.proxy(host(url).to_owned(), url.starts_with("http://")),
            None => builder,
        };
        Self { client: Arc::new(builder.build()) }
    }

    /// Who the bot is and where `channel` stands.
    ///
    /// # Errors
    /// The token or the channel is refused, or nobody answers.
    pub async fn whereabouts(&self, channel: Id<ChannelMarker>) -> Result<Whereabouts, Refusal> {
        let application = read(self.client.current_user_application().await).await?.id;
        let found = self.client.channel(channel).await.map_err(|error| refusal(&error))?;
        let found = found.model().await.map_err(|error| garbled(&error))?;
        Ok(Whereabouts { application, guild: found.guild_id, channel_name: found.name.unwrap_or_default() })
    }

    /// Registers commands, in place of all that were there.
    pub async fn register(&self, at: &Whereabouts, commands: &[Command]) -> Result<(), Refusal> {
        let interaction = self.client.interaction(at.application);
        let done = match at.guild {
            Some(guild) => interaction.set_guild_commands(guild, commands).await,
            None => interaction.set_global_commands(commands).await,
        };
        done.map(|_| ()).map_err(|error| refusal(&error))
    }

    /// Says something in as many messages as it takes. Returns the first.
    pub async fn say(&self, channel: Id<ChannelMarker>, saying: &Saying, buttons: &[Armed]) -> Result<Place, Refusal> {
        let texts = render::messages(saying);
        let rows = rows(buttons);
        let files = files(saying.document.as_ref());
        let mut first = None;
        for (at, text) in texts.iter().enumerate() {
            let is_last = at + 1 == texts.len();
            let mut request = self.client.create_message(channel).content(text).flags(flags(saying));
            if is_last {
                request = request.components(&rows).attachments(&files);
            }
            let place = Place::of(&read(request.await).await?);
            first.get_or_insert(place);
        }
        first.ok_or_else(|| Refusal::Never("nothing was to be said".to_owned()))
    }

    /// Puts something else into the place of a message. What does not fit one message is left out, and said so.
    pub async fn change(&self, place: Place, saying: &Saying, buttons: &[Armed]) -> Result<(), Refusal> {
        let text = one_message(saying);
        let rows = rows(buttons);
        let request = self.client.update_message(place.channel, place.message).content(Some(&text));
        request.components(Some(&rows)).await.map(|_| ()).map_err(|error| refusal(&error))
    }

    /// Takes the buttons from a message.
    pub async fn strip(&self, place: Place) -> Result<(), Refusal> {
        let request = self.client.update_message(place.channel, place.message).components(Some(&[]));
        request.await.map(|_| ()).map_err(|error| refusal(&error))
    }

    /// A word that only whoever pressed a button sees.
    pub async fn whisper(&self, asked: &Asked, text: &str) -> Result<(), Refusal> {
        let text = render::messages(&Saying { passages: vec![Passage::plain(text)], ..Saying::default() });
        let text = text.first().map(String::as_str).unwrap_or_default();
        let interaction = self.client.interaction(asked.application);
        let request = interaction.create_followup(&asked.token).content(text).flags(MessageFlags::EPHEMERAL);
        request.await.map(|_| ()).map_err(|error| refusal(&error))
    }

    /// Begins a thread under a message.
    pub async fn begin_thread(&self, under: Place, name: &str) -> Result<Id<ChannelMarker>, Refusal> {
        let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        match self.client.create_thread_from_message(under.channel, under.message, &name).await {
            Ok(thread) => Ok(thread.model().await.map_err(|error| garbled(&error))?.id),
            // It was begun before, and has the message's number.
            Err(error) if code_of(&error) == Some(THREAD_IS_THERE) => Ok(under.message.cast()),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Has somebody told of what is said in a thread.
    pub async fn join(&self, thread: Id<ChannelMarker>, user: Id<UserMarker>) -> Result<(), Refusal> {
        self.client.add_thread_member(thread, user).await.map(|_| ()).map_err(|error| refusal(&error))
    }

    /// Whether there is no such channel or thread any more, as far as that can be known.
    pub async fn is_gone(&self, channel: Id<ChannelMarker>) -> bool {
        let found = self.client.channel(channel).await;
        found.is_err_and(|error| code_of(&error) == Some(NO_CHANNEL))
    }

    /// The channel in which somebody speaks with the bot alone.
    pub async fn direct(&self, user: Id<UserMarker>) -> Result<Id<ChannelMarker>, Refusal> {
        Ok(read(self.client.create_private_channel(user).await).await?.id)
    }

    /// The threads of a server that are not put away, and the last message of each.
    pub async fn threads(&self, guild: Id<GuildMarker>) -> Result<Vec<(Id<ChannelMarker>, u64)>, Refusal> {
        let listed = read(self.client.active_threads(guild).await).await?.threads;
        Ok(listed.into_iter().map(|thread| (thread.id, thread.last_message_id.map_or(u64::MAX, Id::get))).collect())
    }

    /// The roles of somebody in a server; who is not there has none.
    pub async fn roles(&self, guild: Id<GuildMarker>, user: Id<UserMarker>) -> Result<Vec<Id<RoleMarker>>, Refusal> {
        match self.client.guild_member(guild, user).await {
            Ok(member) => Ok(member.model().await.map_err(|error| garbled(&error))?.roles),
            Err(error) if matches!(code_of(&error), Some(NO_MEMBER | NO_USER)) => Ok(Vec::new()),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// What was written in a channel after a message, oldest first.
    pub async fn after(&self, channel: Id<ChannelMarker>, message: Id<MessageMarker>) -> Result<Vec<Message>, Refusal> {
        let found = self.client.channel_messages(channel).after(message).limit(PAGE).await;
        let found = found.map_err(|error| refusal(&error))?;
        let mut messages = found.models().await.map_err(|error| garbled(&error))?;
        messages.sort_by_key(|message| message.id);
        Ok(messages)
    }

    /// Tells Discord that an interaction was heard: an answer follows, or none.
    pub async fn acknowledge(&self, asked: &Asked, how: Acknowledged) -> Result<(), Refusal> {
        let kind = match how {
            Acknowledged::Thinking => InteractionResponseType::DeferredChannelMessageWithSource,
            Acknowledged::Pressed => InteractionResponseType::DeferredUpdateMessage,
        };
        let response = InteractionResponse { kind, data: None };
        let interaction = self.client.interaction(asked.application);
        let done = interaction.create_response(asked.interaction, &asked.token, &response).await;
        done.map(|_| ()).map_err(|error| refusal(&error))
    }

    /// Answers an interaction that was acknowledged; the first answer takes the place of "is thinking".
    pub async fn answer(
        &self,
        asked: &Asked,
        saying: &Saying,
        buttons: &[Armed],
        is_first: bool,
    ) -> Result<Option<Place>, Refusal> {
        let interaction = self.client.interaction(asked.application);
        let texts = render::messages(saying);
        let rows = rows(buttons);
        let files = files(saying.document.as_ref());
        let mut first = None;
        for (at, text) in texts.iter().enumerate() {
            let is_last = at + 1 == texts.len();
            let shown: &[Component] = if is_last { &rows } else { &[] };
            let along: &[Attachment] = if is_last { &files } else { &[] };
            let message = if is_first && at == 0 {
                let request = interaction.update_response(&asked.token).content(Some(text));
                read(request.components(Some(shown)).attachments(along).await).await?
            } else {
                let request = interaction.create_followup(&asked.token).content(text).flags(flags(saying));
                read(request.components(shown).attachments(along).await).await?
            };
            first.get_or_insert(Place::of(&message));
        }
        Ok(first)
    }
}

/// An interaction that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Whose.
    pub application: Id<ApplicationMarker>,
    /// Which.
    pub interaction: Id<InteractionMarker>,
    /// What an answer needs; it is kept nowhere, so that one of before is answered in the channel.
    #[serde(skip)]
    pub token: String,
}

/// How an interaction is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// A command: an answer follows.
    Thinking,
    /// A button: it was pressed.
    Pressed,
}

/// Where the API is, as the client below takes it: without the scheme, and without the path that it adds itself.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    rest.strip_suffix("/api/v10").unwrap_or(rest)
}

fn flags(saying: &Saying) -> MessageFlags {
    let silent = if saying.is_urgent { MessageFlags::empty() } else { MessageFlags::SUPPRESS_NOTIFICATIONS };
    MessageFlags::SUPPRESS_EMBEDS | silent
}

/// The text for one message, with a word where it does not fit.
fn one_message(saying: &Saying) -> String {
    const MORE: &str = "\n…";
    let mut texts = render::messages(saying).into_iter();
    let first = texts.next().unwrap_or_default();
    if texts.next().is_none() {
        return first;
    }
    if super::super::chat::cut::measure(&first) + MORE.len() <= LONGEST { first + MORE } else { first }
}

fn rows(buttons: &[Armed]) -> Vec<Component> {
    let button = |armed: &Armed| {
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
        |few: &[Armed]| Component::ActionRow(ActionRow { components: few.iter().map(button).collect(), id: None });
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

async fn read<T: serde::de::DeserializeOwned + Unpin + 'static>(
    answered: Result<twilight_http::Response<T>, twilight_http::Error>,
) -> Result<T, Refusal> {
    let response = answered.map_err(|error| refusal(&error))?;
    response.model().await.map_err(|error| garbled(&error))
}

fn garbled(error: &DeserializeBodyError) -> Refusal {
    tracing::debug!(%error, "an answer of Discord's is not understood");
    Refusal::later(None, UNREAD)
}

/// Discord's own code of an error.
fn code_of(error: &twilight_http::Error) -> Option<u64> {
    let ErrorType::Response { error: ApiError::General(error), .. } = error.kind() else { return None };
    Some(error.code)
}

/// What an error comes to. The codes are those of Discord's documentation ("JSON error codes").
fn refusal(error: &twilight_http::Error) -> Refusal {
    match error.kind() {
        ErrorType::Response { error, status, .. } => of_response(error, status.get()),
        ErrorType::Unauthorized => Refusal::Never(TOKEN.to_owned()),
        ErrorType::RequestTimedOut => {
            Refusal::later(None, format!("Discord does not answer within {} s", PATIENCE.as_secs()))
        }
        ErrorType::RequestError => Refusal::later(None, "Discord cannot be reached: look at the network and its proxy"),
        ErrorType::RequestCanceled => Refusal::later(None, "the request to Discord was broken off"),
        // A body that is no JSON comes from something between here and Discord.
        ErrorType::Parsing { .. } => Refusal::later(None, UNREAD),
        ErrorType::BuildingRequest | ErrorType::CreatingHeader { .. } | ErrorType::Json | ErrorType::Validation => {
            Refusal::Never("the request cannot be made".to_owned())
        }
        kind => {
            tracing::debug!(?kind, "an error of the client that has no word of its own");
            Refusal::later(None, "the request to Discord failed")
        }
    }
}

/// What an answer is told as that makes no sense.
const UNREAD: &str = "an answer of Discord's is not understood; something may stand in between, a proxy for instance";
/// What a token that is not taken is told as.
pub const TOKEN: &str = "Discord does not take the token: make a new one and store it with `orch channel add discord`";

fn of_response(error: &ApiError, status: u16) -> Refusal {
    if let ApiError::Ratelimited(limited) = error {
        let wait = Duration::try_from_secs_f64(limited.retry_after).unwrap_or(Duration::from_secs(60));
        let why = format!("Discord asks to wait {} s", wait.as_secs_f64().ceil());
        return Refusal::later(Some(wait), why);
    }
    let code = if let ApiError::General(error) = error { error.code } else { 0 };
    match (status, code) {
        // Unknown message; too many edits of an old one; a thread that is closed.
        (_, 10_008 | 30_046 | 50_083) => Refusal::Gone,
        (_, NO_CHANNEL) => Refusal::Never("there is no such channel (channels.discord.channel_id)".to_owned()),
        (_, 50_001) => Refusal::Never("the bot does not see the channel: add it there".to_owned()),
        (_, 50_013) => Refusal::Never("the bot may not write there: it needs Send Messages".to_owned()),
        (_, 50_007) => Refusal::Never("the user takes no direct messages of the bot".to_owned()),
        (401, _) => Refusal::Never(TOKEN.to_owned()),
        (429 | 500..=599, _) => Refusal::later(None, format!("Discord answers {status}")),
        (status, code) => Refusal::Never(format!("Discord refuses it (status {status}, code {code})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_goes_away_says_what_is_in_the_way() {
        let error = |text: &str| serde_json::from_str::<ApiError>(text).expect("an error of Discord's");
        let limited = error(r#"{"global": false, "message": "", "retry_after": 1.2}"#);
        let told = of_response(&limited, 429);
        assert_eq!(told, Refusal::later(Some(Duration::from_millis(1_200)), "Discord asks to wait 2 s"));
        let general = error(r#"{"code": 0, "message": ""}"#);
        assert_eq!(of_response(&general, 503), Refusal::later(None, "Discord answers 503"));
        assert_eq!(of_response(&general, 401), Refusal::Never(TOKEN.to_owned()));
    }

    #[test]
    fn more_buttons_than_a_row_has_go_into_the_next() {
        let armed = |n: usize| Armed {
            label: "x".repeat(200),
            press: Press::Retry { task: crate::domain::ids::TaskId(1), since: None },
            token: n.to_string(),
        };
        let rows = rows(&(0..7).map(armed).collect::<Vec<_>>());
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn what_does_not_fit_is_said_to_be_cut() {
        let long = Saying {
            passages: vec![crate::domain::channel::Passage::Block("line\n".repeat(1000))],
            ..Saying::default()
        };
        let text = one_message(&long);
        assert!(text.ends_with("\n…") || super::super::super::chat::cut::measure(&text) > LONGEST - 4, "{text}");
    }
}
