//! What was written while nobody listened: in the channel, in the threads of tasks, and to the bot alone. It is asked for when
//! the connection stands, and acted on as if it had come just then, each thing once. What is older than a day is left.

use super::{LAST, Listener, Part};
use crate::chat::Refusal;
use crate::discord::now;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use twilight_model::channel::Message;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, GuildMarker, MessageMarker, RoleMarker, UserMarker};

/// Keys: since when a channel is listened to, and what is written to the bot alone with it.
const SINCE: &str = "since/";
/// Pages that are read of a channel at most.
const PAGES: usize = 10;
/// What is older is not acted on any more: nobody waits for it.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);
/// Numbers of Discord's count milliseconds from here, in what is above their last 22 bits.
const BEGIN: i64 = 1_420_070_400_000;

/// Where something was written.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// In a server.
    Server(Id<GuildMarker>),
    /// To the bot alone.
    Direct,
}

/// The roles of people, as far as they were looked up.
type Roles = BTreeMap<Id<UserMarker>, Vec<Id<RoleMarker>>>;

impl Listener<'_> {
    /// Reads what was written meanwhile. What cannot be read now is read later; what never can is told.
    pub(super) async fn catch_up(&self) {
        let (mut is_behind, mut trouble) = (false, None);
        match self.catch_up_all(&mut trouble).await {
            Ok(()) => {}
            Err(Refusal::Later { why, .. }) => {
                is_behind = true;
                trouble = Some(format!("what was written while orch was away is not read yet: {why}"));
            }
            // Whatever it is, it is told where it matters: nothing can be said there either.
            Err(Refusal::Gone) => {}
            Err(Refusal::Never(why) | Refusal::Closed(why)) => trouble = Some(unread(&why)),
        }
        self.is_behind.store(is_behind, Ordering::Relaxed);
        self.trouble(Part::CatchesUp, trouble).await;
    }

    async fn catch_up_all(&self, trouble: &mut Option<String>) -> Result<(), Refusal> {
        let (parts, mut roles) = (&self.discord.0, Roles::new());
        let home = parts.setup.listed.channel;
        let since = self.since(home).await?;
        let guild = self.discord.guild().await?;
        if let Some(guild) = guild {
            match self.channel(home, (since, Kind::Server(guild)), &mut roles).await {
                Err(Refusal::Never(why) | Refusal::Closed(why)) => *trouble = Some(unread(&why)),
                done => done?,
            }
            for (thread, newest) in parts.api.threads(guild).await? {
                if parts.queue.threads().task_of(thread, None).await.is_none() || newest <= self.last(thread).await {
                    continue;
                }
                // A thread has the number of the message that it was begun under.
                let begun = thread.get();
                match self.channel(thread, (begun, Kind::Server(guild)), &mut roles).await {
                    Err(Refusal::Never(why) | Refusal::Closed(why)) => *trouble = Some(unread(&why)),
                    done => done?,
                }
            }
        }
        for user in &parts.setup.listed.users {
            let channel = match self.discord.direct(user).await {
                Ok(channel) => channel,
                Err(refusal @ Refusal::Later { .. }) => return Err(refusal),
                // They cannot write to the bot.
                Err(Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_)) => continue,
            };
            match self.channel(channel, (since, Kind::Direct), &mut roles).await {
                Err(Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_)) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// The number of the last message of a channel that was read; 0: none.
    async fn last(&self, channel: Id<ChannelMarker>) -> u64 {
        let kept = self.discord.0.store.kept(&format!("{LAST}{channel}")).await.ok().flatten();
        kept.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Since when this channel is listened to, as the number of a message: from now on where it is new.
    async fn since(&self, home: Id<ChannelMarker>) -> Result<u64, Refusal> {
        let (store, key) = (&self.discord.0.store, format!("{SINCE}{home}"));
        let broken = |error: orch_engine::handle::EngineError| Refusal::later(None, error.to_string());
        if let Some(kept) = store.kept(&key).await.map_err(broken)?.and_then(|text| text.parse().ok()) {
            return Ok(kept);
        }
        let since = number_at(now());
        store.keep(&key, Some(since.to_string())).await.map_err(broken)?;
        Ok(since)
    }

    /// What was written in a channel since it was last read; in one that never was, since then.
    async fn channel(
        &self,
        channel: Id<ChannelMarker>,
        (since, kind): (u64, Kind),
        roles: &mut Roles,
    ) -> Result<(), Refusal> {
        let parts = &self.discord.0;
        let oldest = number_at(now().saturating_sub(OLDEST).unwrap_or(Timestamp::MIN));
        let read = self.last(channel).await;
        let from = if read == 0 { since } else { read };
        let Some(mut last): Option<Id<MessageMarker>> = Id::new_checked(from.max(oldest)) else { return Ok(()) };
        for _ in 0..PAGES {
            let messages = parts.api.after(channel, last).await?;
            let Some(newest) = messages.last().map(|message| message.id) else { return Ok(()) };
            last = newest;
            for message in messages {
                self.caught(message, kind, roles).await?;
            }
            // Also what is nothing to us is not read again.
            if let Err(error) = parts.store.keep(&format!("{LAST}{channel}"), Some(last.to_string())).await {
                return Err(Refusal::later(None, error.to_string()));
            }
        }
        Ok(())
    }

    async fn caught(&self, mut message: Message, kind: Kind, roles: &mut Roles) -> Result<(), Refusal> {
        let listed = &self.discord.0.setup.listed;
        let author = message.author.id;
        let mut of_author = Vec::new();
        if let Kind::Server(guild) = kind {
            // Only what comes by the gateway tells the server, and the roles.
            message.guild_id = Some(guild);
            let is_needed = !listed.roles.is_empty()
                && !listed.users.contains(&author.to_string())
                && !message.author.bot
                && message.webhook_id.is_none();
            if is_needed && !roles.contains_key(&author) {
                roles.insert(author, self.discord.0.api.roles(guild, author).await?);
            }
            of_author = roles.get(&author).cloned().unwrap_or_default();
        }
        self.wrote(message, &of_author).await;
        Ok(())
    }
}

fn unread(why: &str) -> String {
    format!("what is written while orch is away cannot be read, give the bot Read Message History: {why}")
}

/// The first number that a message of this time may have.
fn number_at(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond().saturating_sub(BEGIN)).unwrap_or_default() << 22
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_number_that_discord_gives_it() {
        // The example of Discord's documentation.
        let at = Timestamp::from_millisecond(1_462_015_105_796).expect("a time");
        assert_eq!(number_at(at), 175_928_847_299_117_063 >> 22 << 22);
        assert_eq!(number_at(Timestamp::UNIX_EPOCH), 0);
    }
}
