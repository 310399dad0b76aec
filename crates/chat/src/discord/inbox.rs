//! Classifies events: who sent them, and whether to act on them. PURE. Only Discord's numeric ids decide; names are shown,
//! never used for authorization. Messages of bots and webhooks are ignored.

use super::api::{Asked, Place};
use crate::conversation::parse::COMMANDS;
use crate::conversation::strangers::Stranger;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use twilight_model::application::command::CommandOptionType;
use twilight_model::application::command::{Command, CommandOption, CommandType};
use twilight_model::application::interaction::application_command::{CommandData, CommandOptionValue};
use twilight_model::application::interaction::{Interaction, InteractionData};
use twilight_model::channel::message::MessageType;
use twilight_model::channel::{Attachment, Message};
use twilight_model::guild::PartialMember;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, MessageMarker, RoleMarker};
use twilight_model::user::User;

/// Longest description of a command or an option, in characters.
const LONGEST: usize = 100;

/// The channel, and who may send commands.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Id of the channel.
    pub channel: Id<ChannelMarker>,
    /// Ids of listed users.
    pub users: BTreeSet<String>,
    /// Ids of listed roles.
    pub roles: BTreeSet<String>,
}

impl Listed {
    fn knows(&self, user: &User, roles: &[Id<RoleMarker>]) -> bool {
        self.users.contains(&user.id.to_string()) || roles.iter().any(|role| self.roles.contains(&role.to_string()))
    }

    /// Returns whether no user and no role is listed.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.roles.is_empty()
    }
}

/// The sender of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct From {
    /// Id of the user.
    pub user: String,
    /// Display name of the user.
    pub name: String,
    /// Id of the channel.
    pub channel: Id<ChannelMarker>,
}

/// An action of a listed user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Did {
    /// They wrote a message.
    Wrote {
        /// Text of the message.
        text: String,
        /// Id of the message that this one replies to.
        answers: Option<Id<MessageMarker>>,
        /// Whether it is a direct message, which is always for the bot.
        is_direct: bool,
        /// An attached file.
        file: Option<File>,
    },
    /// They gave a command, which expects an answer.
    Commanded {
        /// The interaction, needed for the answer.
        asked: Asked,
        /// The command; the task of the thread is added if none is named.
        order: Order,
        /// An attached file.
        file: Option<File>,
    },
    /// They pressed a button, which expects an answer.
    Pressed {
        /// The interaction, needed for the answer.
        asked: Asked,
        /// Token of the button.
        token: String,
        /// The message with the button.
        under: Place,
    },
}

/// An attached file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// File name.
    pub name: String,
    /// URL of the file.
    pub url: String,
    /// Size in bytes, as Discord reports it.
    pub size: u64,
}

impl File {
    fn from_attachment(attachment: &Attachment) -> Self {
        Self { name: attachment.filename.clone(), url: attachment.url.clone(), size: attachment.size }
    }
}

/// A command with its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Name of the command.
    pub name: String,
    /// The task, as it was typed.
    pub task: Option<String>,
    /// The project of a new task.
    pub project: Option<String>,
    /// Other options in their order.
    pub rest: Vec<String>,
}

impl Order {
    /// Returns the command as a chat message; `thread` is the task of the thread.
    pub fn text(&self, thread: Option<u64>) -> String {
        let takes_task = COMMANDS.iter().any(|known| known.name == self.name && known.takes.contains('7'));
        let task = self.task.clone().or_else(|| thread.filter(|_| takes_task).map(|task| task.to_string()));
        // Further lines of a new task are its text.
        let between = if self.name == "add" { "\n" } else { " " };
        let rest = self.rest.join(between);
        let project = self.project.as_ref().map(|name| format!("@{}", name.trim_start_matches('@')));
        let parts = std::iter::once(format!("/{}", self.name))
            .chain(task)
            .chain(project)
            .chain((!rest.is_empty()).then_some(rest));
        parts.collect::<Vec<_>>().join(" ")
    }
}

/// The classification of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A listed user did something; with the id of the event.
    Done(u64, From, Did),
    /// Someone who is not listed did something.
    Stranger(Stranger),
    /// The event is ignored.
    Nothing,
}

/// Classifies a message. `is_thread` means that it is in a thread of a task; `roles` are those of the author.
pub fn message(message: Message, is_thread: bool, roles: &[Id<RoleMarker>], listed: &Listed) -> Heard {
    let is_of_a_person = !message.author.bot && message.webhook_id.is_none();
    let is_new = matches!(message.kind, MessageType::Regular | MessageType::Reply);
    let is_direct = message.guild_id.is_none();
    let is_ours = message.channel_id == listed.channel || is_thread || is_direct;
    if !is_of_a_person || !is_new || !is_ours || !message.message_snapshots.is_empty() {
        return Heard::Nothing;
    }
    let is_said_to_us = is_thread || is_direct || message.content.trim_start().starts_with('/');
    let name = named(&message.author, message.member.as_ref());
    if !listed.knows(&message.author, roles) {
        // Conversations between people in the channel are ignored.
        let stranger = Stranger { id: message.author.id.to_string(), name, did: "wrote" };
        return if is_said_to_us { Heard::Stranger(stranger) } else { Heard::Nothing };
    }
    let is_reply = message.kind == MessageType::Reply;
    let answers = message.reference.as_ref().filter(|_| is_reply).and_then(|reference| reference.message_id);
    let file = message.attachments.first().map(File::from_attachment);
    let is_empty = message.content.trim().is_empty() && file.is_none();
    if is_empty || (!is_said_to_us && answers.is_none()) {
        return Heard::Nothing;
    }
    let from = From { user: message.author.id.to_string(), name, channel: message.channel_id };
    Heard::Done(message.id.get(), from, Did::Wrote { text: message.content, answers, is_direct, file })
}

/// Classifies a command or a button press.
pub fn interaction(interaction: Interaction, listed: &Listed) -> Heard {
    let (Some(channel), Some(data)) = (interaction.channel.as_ref(), interaction.data.as_ref()) else {
        return Heard::Nothing;
    };
    let Some(user) = interaction.member.as_ref().and_then(|member| member.user.as_ref()).or(interaction.user.as_ref())
    else {
        return Heard::Nothing;
    };
    let did = match data {
        InteractionData::ApplicationCommand(_) => "gave a command",
        InteractionData::MessageComponent(_) => "pressed a button",
        InteractionData::ModalSubmit(_) => return Heard::Nothing,
        _ => return Heard::Nothing,
    };
    let roles = interaction.member.as_ref().map(|member| member.roles.clone()).unwrap_or_default();
    let name = named(user, interaction.member.as_ref());
    if !listed.knows(user, &roles) {
        return Heard::Stranger(Stranger { id: user.id.to_string(), name, did });
    }
    let is_direct = interaction.guild_id.is_none();
    let is_ours = channel.id == listed.channel || channel.parent_id == Some(listed.channel) || is_direct;
    if !is_ours {
        return Heard::Nothing;
    }
    let from = From { user: user.id.to_string(), name, channel: channel.id };
    let asked = Asked {
        application: interaction.application_id,
        interaction: interaction.id,
        token: interaction.token.clone(),
    };
    let number = interaction.id.get();
    match (data, interaction.message.as_ref()) {
        (InteractionData::ApplicationCommand(data), _) => {
            Heard::Done(number, from, Did::Commanded { asked, order: order(data), file: file_of(data) })
        }
        (InteractionData::MessageComponent(data), Some(message)) => {
            let did = Did::Pressed { asked, token: data.custom_id.clone(), under: Place::of_message(message) };
            Heard::Done(number, from, did)
        }
        _ => Heard::Nothing,
    }
}

fn named(user: &User, member: Option<&PartialMember>) -> String {
    let nick = member.and_then(|member| member.nick.clone());
    nick.or_else(|| user.global_name.clone()).unwrap_or_else(|| user.name.clone())
}

fn order(data: &CommandData) -> Order {
    let mut order = Order { name: data.name.clone(), task: None, project: None, rest: Vec::new() };
    for option in &data.options {
        let CommandOptionValue::String(value) = &option.value else { continue };
        match option.name.as_str() {
            TASK => order.task = Some(value.clone()),
            PROJECT => order.project = Some(value.clone()),
            _ => order.rest.push(value.clone()),
        }
    }
    order
}

fn file_of(data: &CommandData) -> Option<File> {
    let id_of = |value: &CommandOptionValue| {
        let CommandOptionValue::Attachment(id) = value else { return None };
        Some(*id)
    };
    let ids = data.options.iter().filter_map(|option| id_of(&option.value));
    let resolved = data.resolved.as_ref()?;
    ids.filter_map(|id| resolved.attachments.get(&id)).map(File::from_attachment).next()
}

/// The name of the option that names a task.
const TASK: &str = "task";

/// The name of the option that names a project.
const PROJECT: &str = "project";

/// Returns the commands to register: every command of the conversation, with its arguments as optional options, because a
/// thread implies its task.
pub fn commands() -> Vec<Command> {
    COMMANDS.iter().map(|known| command(known.name, known.does, options(known.takes))).collect()
}

fn options(takes: &str) -> Vec<CommandOption> {
    let mut options = Vec::new();
    for word in takes.split_whitespace() {
        let word = word.trim_matches(|c| c == '[' || c == ']');
        let (name, does) = match word {
            "7" => (TASK, "the task's number; left out in its thread"),
            "7|all" => (TASK, "the task's number, or all"),
            "@PROJECT" => (PROJECT, "the project's name, where there are several"),
            "TITLE" => ("title", "what is to be done, in a line"),
            "REASON" => ("reason", "what should change"),
            "WORDS" => ("words", "message to its agent"),
            "COMMIT" => ("commit", "only at this commit"),
            _ => ("more", "more of it"),
        };
        options.push(option(name, does));
        if word == "TITLE" {
            options.push(option("text", "everything else about it"));
            let file = option("file", "a text file that becomes a part of it");
            options.push(CommandOption { kind: CommandOptionType::Attachment, ..file });
        }
    }
    options
}

#[expect(deprecated, reason = "the field has to be given")]
fn command(name: &str, does: &str, options: Vec<CommandOption>) -> Command {
    Command {
        application_id: None,
        contexts: None,
        default_member_permissions: None,
        description: does.chars().take(LONGEST).collect(),
        description_localizations: None,
        dm_permission: None,
        guild_id: None,
        id: None,
        integration_types: None,
        kind: CommandType::ChatInput,
        name: name.to_owned(),
        name_localizations: None,
        nsfw: None,
        options,
        version: Id::new(1),
    }
}

fn option(name: &str, does: &str) -> CommandOption {
    CommandOption {
        autocomplete: None,
        channel_types: None,
        choices: None,
        description: does.chars().take(LONGEST).collect(),
        description_localizations: None,
        file_types: None,
        kind: CommandOptionType::String,
        max_length: None,
        max_value: None,
        min_length: None,
        min_value: None,
        name: name.to_owned(),
        name_localizations: None,
        options: None,
        required: Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::parse::{Ask, Understood, parse_message};
    use orch_core::base::ids::TaskId;

    #[test]
    fn every_command_is_registered_with_options_that_discord_takes() {
        let commands = commands();
        assert_eq!(commands.len(), COMMANDS.len());
        for command in &commands {
            assert!((1..=LONGEST).contains(&command.description.chars().count()), "{}", command.name);
            assert!(
                command.options.iter().all(|option| option.name != "more"),
                "{} takes what has no name",
                command.name
            );
        }
    }

    fn order(name: &str, task: Option<&str>, rest: &[&str]) -> Order {
        Order {
            name: name.to_owned(),
            task: task.map(str::to_owned),
            project: None,
            rest: rest.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_filled_in_is_understood_as_if_it_were_written() {
        let ask = |order: &Order, thread: Option<u64>| parse_message(&order.text(thread), None, thread.map(TaskId));
        assert_eq!(ask(&order("show", Some("#7"), &[]), None), Understood::Ask(Ask::Show(TaskId(7))));
        assert_eq!(ask(&order("show", None, &[]), Some(9)), Understood::Ask(Ask::Show(TaskId(9))));
        assert_eq!(order("status", None, &[]).text(Some(9)), "/status");
        assert_eq!(order("reject", None, &["not so"]).text(Some(9)), "/reject 9 not so");
        assert_eq!(order("add", None, &["Mend it", "all of it"]).text(Some(9)), "/add Mend it\nall of it");
        let of_shop = Order { project: Some("shop".to_owned()), ..order("add", None, &["Mend it", "all of it"]) };
        assert_eq!(of_shop.text(None), "/add @shop Mend it\nall of it");
        assert_eq!(order("unblock", Some("all"), &[]).text(None), "/unblock all");
    }
}
