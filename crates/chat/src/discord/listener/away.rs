//! Catches up on messages that were written while the bot was disconnected: in the channel, in threads of tasks, and in
//! direct messages. They are fetched once the connection is up and handled like new ones, each once. Messages older than a
//! day are ignored.

use super::{LAST, Listener, Part};
use crate::chat::Refusal;
use crate::service::{Service, now};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use twilight_model::channel::Message;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, GuildMarker, MessageMarker, RoleMarker, UserMarker};

/// Prefix of the keys that store since when a channel and its direct messages are read.
const SINCE: &str = "since/";
/// Maximum number of pages that are read of a channel.
const PAGES: usize = 10;
/// Maximum age of a message that is handled.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);
/// Epoch of Discord's ids (Unix milliseconds): the bits above the lowest 22 count milliseconds from here.
const BEGIN: i64 = 1_420_070_400_000;

/// Where a message was written.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// In a server.
    Server(Id<GuildMarker>),
    /// In a direct message.
    Direct,
}

/// The roles of users that were looked up.
type Roles = BTreeMap<Id<UserMarker>, Vec<Id<RoleMarker>>>;

impl Listener<'_> {
    /// Reads missed messages. Temporary failures are retried later; permanent ones are reported.
    pub(super) async fn catch_up(&self) {
        let (mut is_behind, mut trouble) = (false, None);
        match self.catch_up_all(&mut trouble).await {
            Ok(()) => {}
            Err(Refusal::Later { why, .. }) => {
                is_behind = true;
                trouble = Some(format!("messages from while orch was disconnected are not read yet: {why}"));
            }
            // Sending fails too in this case, and reports the problem.
            Err(Refusal::Gone) => {}
            Err(Refusal::Never(why) | Refusal::Closed(why)) => trouble = Some(unread(&why)),
        }
        self.is_behind.store(is_behind, Ordering::Relaxed);
        self.trouble(Part::CatchesUp, trouble).await;
    }

    async fn catch_up_all(&self, trouble: &mut Option<String>) -> Result<(), Refusal> {
        let (service, mut roles) = (self.service(), Roles::new());
        let home = service.setup.listed.channel;
        let since = self.since(home).await?;
        let guild = service.guild().await?;
        if let Some(guild) = guild {
            match self.channel(home, since, Kind::Server(guild), &mut roles).await {
                Err(Refusal::Never(why) | Refusal::Closed(why)) => *trouble = Some(unread(&why)),
                done => done?,
            }
            for (thread, newest) in service.api.threads(guild).await? {
                if service.threads.task_of(thread, None).await.is_none() || newest <= self.last(thread).await {
                    continue;
                }
                // A thread has the id of the message that it was created under.
                let first = thread.get();
                match self.channel(thread, first, Kind::Server(guild), &mut roles).await {
                    Err(Refusal::Never(why) | Refusal::Closed(why)) => *trouble = Some(unread(&why)),
                    done => done?,
                }
            }
        }
        for user in &service.setup.listed.users {
            let channel = match service.private_chat(user).await {
                Ok(channel) => channel,
                Err(refusal @ Refusal::Later { .. }) => return Err(refusal),
                // The user cannot write to the bot.
                Err(Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_)) => continue,
            };
            match self.channel(channel, since, Kind::Direct, &mut roles).await {
                Err(Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_)) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Returns the id of the last message that was read in a channel; 0: none.
    async fn last(&self, channel: Id<ChannelMarker>) -> u64 {
        let kept = self.store().get(&format!("{LAST}{channel}")).await.ok().flatten();
        kept.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Returns since when this channel is read, as a message id; a new channel is read from now on.
    async fn since(&self, home: Id<ChannelMarker>) -> Result<u64, Refusal> {
        let (store, key) = (self.store(), format!("{SINCE}{home}"));
        let broken = |error: orch_engine::handle::EngineError| Refusal::later(None, error.to_string());
        if let Some(kept) = store.get(&key).await.map_err(broken)?.and_then(|text| text.parse().ok()) {
            return Ok(kept);
        }
        let since = id_at(now());
        store.set(&key, Some(since.to_string())).await.map_err(broken)?;
        Ok(since)
    }

    /// Handles the messages of a channel since it was last read, or since `since` if it never was.
    async fn channel(
        &self,
        channel: Id<ChannelMarker>,
        since: u64,
        kind: Kind,
        roles: &mut Roles,
    ) -> Result<(), Refusal> {
        let service = self.service();
        let oldest = id_at(now().saturating_sub(OLDEST).unwrap_or(Timestamp::MIN));
        let read = self.last(channel).await;
        let from = if read == 0 { since } else { read };
        let Some(mut last): Option<Id<MessageMarker>> = Id::new_checked(from.max(oldest)) else { return Ok(()) };
        for _ in 0..PAGES {
            let messages = service.api.after(channel, last).await?;
            let Some(newest) = messages.last().map(|message| message.id) else { return Ok(()) };
            last = newest;
            for message in messages {
                self.caught(message, kind, roles).await?;
            }
            // Ignored messages are not read again either.
            if let Err(error) = self.store().set(&format!("{LAST}{channel}"), Some(last.to_string())).await {
                return Err(Refusal::later(None, error.to_string()));
            }
        }
        Ok(())
    }

    async fn caught(&self, mut message: Message, kind: Kind, roles: &mut Roles) -> Result<(), Refusal> {
        let listed = &self.service().setup.listed;
        let author = message.author.id;
        let mut of_author = Vec::new();
        if let Kind::Server(guild) = kind {
            // Only messages from the gateway contain the server and the roles.
            message.guild_id = Some(guild);
            let is_needed = !listed.roles.is_empty()
                && !listed.users.contains(&author.to_string())
                && !message.author.bot
                && message.webhook_id.is_none();
            if is_needed && !roles.contains_key(&author) {
                roles.insert(author, self.service().api.roles(guild, author).await?);
            }
            of_author = roles.get(&author).cloned().unwrap_or_default();
        }
        self.wrote(message, &of_author).await;
        Ok(())
    }
}

fn unread(why: &str) -> String {
    format!("messages from while orch is disconnected cannot be read, give the bot Read Message History: {why}")
}

/// Returns the lowest id of a message of this time.
fn id_at(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond().saturating_sub(BEGIN)).unwrap_or_default() << 22
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_number_that_discord_gives_it() {
        // The example of Discord's documentation.
        let at = Timestamp::from_millisecond(1_462_015_105_796).expect("a time");
        assert_eq!(id_at(at), 175_928_847_299_117_063 >> 22 << 22);
        assert_eq!(id_at(Timestamp::UNIX_EPOCH), 0);
    }
}
