//! What came in, weighed: who it is from, and whether it is anything that is acted on. PURE. Only the numbers that Discord
//! gives decide; names are shown and never believed. What a bot or a webhook writes is nobody's.

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

/// The longest description of a command or an option.
const LONGEST: usize = 100;

/// The channel, and who may speak.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Where things are said.
    pub channel: Id<ChannelMarker>,
    /// Ids of people.
    pub users: BTreeSet<String>,
    /// Ids of roles whose members may.
    pub roles: BTreeSet<String>,
}

impl Listed {
    fn knows(&self, user: &User, roles: &[Id<RoleMarker>]) -> bool {
        self.users.contains(&user.id.to_string()) || roles.iter().any(|role| self.roles.contains(&role.to_string()))
    }

    /// Whether anybody may say anything.
    pub fn is_nobody(&self) -> bool {
        self.users.is_empty() && self.roles.is_empty()
    }
}

/// Who it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct From {
    /// The id.
    pub user: String,
    /// As they call themselves.
    pub name: String,
    /// Where.
    pub channel: Id<ChannelMarker>,
}

/// What a listed person did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Did {
    /// They wrote.
    Wrote {
        /// What.
        text: String,
        /// The message that is answered.
        answers: Option<Id<MessageMarker>>,
        /// In a direct message: everything there is for the bot.
        is_direct: bool,
        /// A file that came with it.
        file: Option<File>,
    },
    /// They gave a command; an answer is waited for.
    Commanded {
        /// To answer it by.
        asked: Asked,
        /// The command as it is written; the task of the thread is to be put in where none is named.
        order: Order,
        /// A file that came with it.
        file: Option<File>,
    },
    /// They pressed a button; an answer is waited for.
    Pressed {
        /// To answer it by.
        asked: Asked,
        /// What the button bears.
        token: String,
        /// The message it stands under.
        under: Place,
    },
}

/// A file that somebody sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// What it is called.
    pub name: String,
    /// Where it can be had.
    pub url: String,
    /// In bytes, as Discord says.
    pub size: u64,
}

impl File {
    fn of(attachment: &Attachment) -> Self {
        Self { name: attachment.filename.clone(), url: attachment.url.clone(), size: attachment.size }
    }
}

/// A command with what was filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its name.
    pub name: String,
    /// The task, as it was written.
    pub task: Option<String>,
    /// The project of a new one.
    pub project: Option<String>,
    /// The rest, in the order in which it is written.
    pub rest: Vec<String>,
}

impl Order {
    /// As somebody would write it in a chat.
    pub fn text(&self, thread: Option<u64>) -> String {
        let takes_task = COMMANDS.iter().any(|known| known.name == self.name && known.takes.contains('7'));
        let task = self.task.clone().or_else(|| thread.filter(|_| takes_task).map(|task| task.to_string()));
        // More lines of a new task are its text.
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

/// What an event comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Somebody on the list did something, with its number among all that happens.
    Done(u64, From, Did),
    /// Somebody else did something.
    Stranger(Stranger),
    /// Nothing for us.
    Nothing,
}

/// Weighs a message. `is_thread`: it stands in a thread about a task. `roles`: those of who wrote it.
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
        // What people say to each other in the channel is theirs.
        let stranger = Stranger { id: message.author.id.to_string(), name, did: "wrote" };
        return if is_said_to_us { Heard::Stranger(stranger) } else { Heard::Nothing };
    }
    let is_reply = message.kind == MessageType::Reply;
    let answers = message.reference.as_ref().filter(|_| is_reply).and_then(|reference| reference.message_id);
    let file = message.attachments.first().map(File::of);
    let is_empty = message.content.trim().is_empty() && file.is_none();
    if is_empty || (!is_said_to_us && answers.is_none()) {
        return Heard::Nothing;
    }
    let from = From { user: message.author.id.to_string(), name, channel: message.channel_id };
    Heard::Done(message.id.get(), from, Did::Wrote { text: message.content, answers, is_direct, file })
}

/// Weighs a command or a press.
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
            let did = Did::Pressed { asked, token: data.custom_id.clone(), under: Place::of(message) };
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
    ids.filter_map(|id| resolved.attachments.get(&id)).map(File::of).next()
}

/// The name of the option that names a task.
const TASK: &str = "task";

/// The name of the option that names a project.
const PROJECT: &str = "project";

/// What is registered: every command of the conversation, with what it takes as options that may be left out, because a
/// thread names its task.
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
            "REASON" => ("reason", "what is to be different"),
            "WORDS" => ("words", "what its agent is told"),
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
    use crate::conversation::parse::{Ask, Understood, understand};
    use orch_core::ids::TaskId;

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
        let ask = |order: &Order, thread: Option<u64>| understand(&order.text(thread), None, thread.map(TaskId));
        assert_eq!(ask(&order("show", Some("#7"), &[]), None), Understood::Ask(Ask::Show(TaskId(7))));
        assert_eq!(ask(&order("show", None, &[]), Some(9)), Understood::Ask(Ask::Show(TaskId(9))));
        assert_eq!(order("status", None, &[]).text(Some(9)), "/status");
        assert_eq!(order("reject", None, &["not so"]).text(Some(9)), "/reject 9 not so");
        assert_eq!(order("add", None, &["Mend it", "all of it"]).text(Some(9)), "/add Mend it\nall of it");
        let shop = Order { project: Some("shop".to_owned()), ..order("add", None, &["Mend it", "all of it"]) };
        assert_eq!(shop.text(None), "/add @shop Mend it\nall of it");
        assert_eq!(order("unblock", Some("all"), &[]).text(None), "/unblock all");
    }
}
