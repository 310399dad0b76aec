//! The connection on which Discord tells what happens. Heartbeats, resuming and identifying anew are the client's below;
//! here it is decided what an end of the connection means: go on, go on with less, or wait until a person mends it.

use futures::StreamExt;
use orch_config::secret::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;
use twilight_gateway::{ConfigBuilder, Intents, Message as Frame, Shard, ShardId, ShardState};
use twilight_model::application::interaction::Interaction;
use twilight_model::channel::Message;
use twilight_model::gateway::{CloseCode, OpCode};

/// The first pause after the connection could not be had for a reason that waiting does not mend; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest of them.
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);

/// More ends than so many within [`SPAN`], and the next connection waits: Discord counts them.
const ENDS: usize = 12;
/// See [`ENDS`].
const SPAN: Duration = Duration::from_secs(60);
/// So long.
const BREATH: Duration = Duration::from_secs(10);

/// What Discord tells, as far as it matters.
#[derive(Debug)]
pub enum Heard {
    /// A new session: what was written meanwhile is not told again.
    Ready,
    /// An old session goes on: what was missed follows.
    Resumed,
    /// The connection is away; it is tried again.
    Away(String),
    /// A command, a button.
    Interaction(Box<Interaction>),
    /// Something was written.
    Message(Box<Message>),
}

/// What is wrong with a connection that Discord ended for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What to do about it.
    pub why: String,
    /// It may go well with fewer wishes, at once.
    pub with_less: bool,
}

/// The connection.
pub struct Gateway {
    token: Secret,
    url: Option<String>,
    /// What is written can be read, beside what is said to the bot.
    reads_messages: bool,
    shard: Shard,
    last_close: Option<u16>,
    failures: u32,
    /// The last ends of connections.
    ends: VecDeque<Instant>,
}

impl Gateway {
    /// Not connected yet. `url`: elsewhere than at Discord's.
    pub fn new(token: &Secret, url: Option<&str>) -> Self {
        // It fails when it was done before.
        rustls::crypto::ring::default_provider().install_default().ok();
        let (token, url) = (token.clone(), url.map(|url| url.trim_end_matches('/').to_owned()));
        let shard = shard(&token, url.as_deref(), true);
        Self { token, url, reads_messages: true, shard, last_close: None, failures: 0, ends: VecDeque::new() }
    }

    /// Whether replies in threads can be read.
    pub fn reads_messages(&self) -> bool {
        self.reads_messages
    }

    /// What happens next. An error: Discord wants nothing to do with it as it is; asked again, it waits a while and
    /// begins anew.
    ///
    /// May be dropped and called again.
    pub async fn next(&mut self) -> Result<Heard, Ended> {
        loop {
            match self.shard.next().await {
                Some(Ok(Frame::Text(text))) => match told(&text) {
                    Ok(Some(heard)) => {
                        if matches!(heard, Heard::Ready) {
                            self.failures = 0;
                        }
                        return Ok(heard);
                    }
                    Ok(None) => {}
                    // An event that is not understood is no reason to leave.
                    Err(error) => tracing::debug!(%error, "an event of Discord's"),
                },
                Some(Ok(Frame::Close(frame))) => {
                    self.last_close = frame.map(|frame| frame.code);
                    if self.last_close.is_some_and(ends_session) {
                        self.shard = shard(&self.token, self.url.as_deref(), self.reads_messages);
                    }
                    self.note_end(Instant::now());
                    return Ok(Heard::Away(away(self.last_close)));
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "Discord's gateway");
                    if matches!(self.shard.state(), ShardState::Disconnected { .. }) {
                        return Ok(Heard::Away("Discord's gateway does not answer; it is tried again".to_owned()));
                    }
                }
                None => return Err(self.begin_anew()),
            }
        }
    }

    fn note_end(&mut self, now: Instant) {
        self.ends.retain(|end| now.duration_since(*end) < SPAN);
        self.ends.push_back(now);
    }

    /// How long to wait after an end that is not for good: nothing, but where they follow each other.
    pub fn breath(&self) -> Duration {
        if self.ends.len() > ENDS { BREATH } else { Duration::ZERO }
    }

    /// How long to wait before the next try.
    pub fn pause(&self) -> Duration {
        FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
    }

    /// After an end for good: another connection, perhaps with fewer wishes.
    fn begin_anew(&mut self) -> Ended {
        let code = self.last_close.take();
        let with_less = self.reads_messages && code == Some(CloseCode::DisallowedIntents as u16);
        if with_less {
            self.reads_messages = false;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        self.shard = shard(&self.token, self.url.as_deref(), self.reads_messages);
        Ended { why: ended(code), with_less }
    }
}

/// The outside of a message of the gateway.
#[derive(Deserialize)]
struct Envelope {
    op: u8,
    #[serde(default)]
    t: Option<String>,
}

/// The inside of one.
#[derive(Deserialize)]
struct Inside<T> {
    d: T,
}

/// What a message of the gateway tells; `None`: nothing that matters. Of Discord's many events only these are read: a
/// reader for each of the others would be a large part of the program.
fn told(text: &str) -> Result<Option<Heard>, serde_json::Error> {
    fn inside<T: DeserializeOwned>(text: &str) -> Result<Box<T>, serde_json::Error> {
        serde_json::from_str::<Inside<T>>(text).map(|inside| Box::new(inside.d))
    }
    let envelope: Envelope = serde_json::from_str(text)?;
    if envelope.op != OpCode::Dispatch as u8 {
        return Ok(None);
    }
    Ok(match envelope.t.as_deref() {
        Some("READY") => Some(Heard::Ready),
        Some("RESUMED") => Some(Heard::Resumed),
        Some("INTERACTION_CREATE") => Some(Heard::Interaction(inside(text)?)),
        Some("MESSAGE_CREATE") => Some(Heard::Message(inside(text)?)),
        _ => None,
    })
}

fn shard(token: &Secret, url: Option<&str>, reads_messages: bool) -> Shard {
    let intents = if reads_messages {
        Intents::GUILD_MESSAGES | Intents::DIRECT_MESSAGES | Intents::MESSAGE_CONTENT
    } else {
        Intents::GUILD_MESSAGES | Intents::DIRECT_MESSAGES
    };
    let config = ConfigBuilder::new(token.expose().to_owned(), intents);
    let config = match url {
        Some(url) => config.proxy_url(url.to_owned()),
        None => config,
    };
    Shard::with_config(ShardId::ONE, config.build())
}

/// After these Discord wants a new session. Resumed, the old one would be closed in the same way, again and again.
fn ends_session(code: u16) -> bool {
    let codes = [CloseCode::NotAuthenticated, CloseCode::InvalidSequence, CloseCode::SessionTimedOut];
    codes.iter().any(|known| *known as u16 == code)
}

fn away(code: Option<u16>) -> String {
    match code {
        Some(code) => format!("Discord closed the connection (code {code}); it is opened again"),
        None => "the connection to Discord broke; it is opened again".to_owned(),
    }
}

fn ended(code: Option<u16>) -> String {
    let known = code.and_then(|code| CloseCode::try_from(code).ok());
    match known {
        Some(CloseCode::AuthenticationFailed) => super::api::TOKEN.to_owned(),
        Some(CloseCode::DisallowedIntents) => {
            "the bot may not read messages, so replies in threads reach no agent; switch on Message Content Intent in \
             Discord's developer portal"
                .to_owned()
        }
        Some(CloseCode::ShardingRequired) => {
            "the bot is in too many servers for one connection (code 4011): make an application for orch alone, and store its \
             token with `orch channel add discord`"
                .to_owned()
        }
        Some(known @ (CloseCode::InvalidShard | CloseCode::InvalidApiVersion | CloseCode::InvalidIntents)) => format!(
            "Discord does not take how this version of orch connects any more (code {}): `orch upgrade check` tells whether \
             there is a newer one; until then orch speaks and does not listen",
            known as u16
        ),
        _ => match code {
            Some(code) => format!("Discord ended the connection for good (code {code}); it is tried again ever more rarely"),
            None => "Discord ended the connection for good; it is tried again ever more rarely".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_the_right_to_read_it_goes_on_with_less_once() {
        let mut gateway = Gateway::new(&Secret::new("t"), Some("ws://127.0.0.1:9/"));
        gateway.last_close = Some(4014);
        let first = gateway.begin_anew();
        assert!(first.with_less && first.why.contains("Message Content"), "{first:?}");
        assert!(!gateway.reads_messages());
        gateway.last_close = Some(4014);
        assert!(!gateway.begin_anew().with_less);
        assert_eq!(gateway.pause(), FIRST_PAUSE);
    }

    #[test]
    fn what_does_not_matter_is_passed_over_and_what_cannot_be_read_is_an_error() {
        let heard = |text: &str| told(text).map(|heard| heard.map(|heard| format!("{heard:?}")));
        assert_eq!(heard(r#"{"op":0,"s":1,"t":"READY","d":{"v":10}}"#).expect("read"), Some("Ready".to_owned()));
        assert_eq!(heard(r#"{"t":"RESUMED","d":null,"op":0}"#).expect("read"), Some("Resumed".to_owned()));
        for nothing in [
            r#"{"op":11}"#,
            r#"{"op":10,"d":{"heartbeat_interval":1},"t":null}"#,
            r#"{"op":0,"s":2,"t":"TYPING_START","d":{"odd":[1,2]}}"#,
            r#"{"op":1,"t":"MESSAGE_CREATE","d":{}}"#,
        ] {
            assert_eq!(heard(nothing).expect("read"), None, "{nothing}");
        }
        for odd in ["", "[]", "{}", r#"{"op":"0"}"#, r#"{"op":0,"t":"MESSAGE_CREATE","d":{"id":7}}"#] {
            assert!(heard(odd).is_err(), "{odd}");
        }
    }

    #[tokio::test]
    async fn what_only_a_person_mends_says_what_to_do() {
        for (code, does) in [
            (4004, "orch channel add discord"),
            (4010, "orch upgrade check"),
            (4011, "an application for orch alone"),
            (4012, "orch upgrade check"),
            (4013, "orch upgrade check"),
        ] {
            let why = ended(Some(code));
            assert!(why.contains(does), "{code}: {why}");
            assert!(code == 4004 || why.contains(&code.to_string()), "{code}: {why}");
        }
        assert!(ended(Some(4999)).contains("4999") && ended(None).contains("tried again"));
    }

    #[tokio::test]
    async fn connections_that_end_all_the_time_are_not_opened_all_the_time() {
        let mut gateway = Gateway::new(&Secret::new("t"), Some("ws://127.0.0.1:9/"));
        let begun = Instant::now();
        for n in 0..60 {
            gateway.note_end(begun + Duration::from_secs(n * 10));
            assert_eq!(gateway.breath(), Duration::ZERO, "one in ten seconds");
        }
        for _ in 0..ENDS {
            gateway.note_end(begun + Duration::from_secs(700));
        }
        assert_eq!(gateway.breath(), Duration::ZERO);
        gateway.note_end(begun + Duration::from_secs(701));
        assert_eq!(gateway.breath(), BREATH);
        assert!(
            [4003, 4007, 4009].into_iter().all(ends_session) && ![1000, 4000, 4008, 4014].into_iter().any(ends_session)
        );
    }

    #[tokio::test]
    async fn pauses_grow_and_end() {
        let mut gateway = Gateway::new(&Secret::new("t"), Some("ws://127.0.0.1:9/"));
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            gateway.last_close = Some(4004);
            assert!(gateway.begin_anew().why.contains("token"));
            assert!(gateway.pause() >= last);
            last = gateway.pause();
        }
        assert_eq!(last, LONGEST_PAUSE);
    }
}
