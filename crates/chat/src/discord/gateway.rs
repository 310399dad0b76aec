//! The gateway connection, which delivers Discord's events. The client below handles heartbeats, resuming and identifying;
//! this module decides what a closed connection means: reconnect, reconnect with fewer intents, or wait for a person.

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

/// First pause after a permanent failure of the connection; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);

/// Number of closed connections within [`SPAN`] after which the next one waits, because Discord counts them.
const ENDS: usize = 12;
/// Span in which closed connections are counted.
const SPAN: Duration = Duration::from_secs(60);
/// Pause after too many closed connections.
const RECONNECT_PAUSE: Duration = Duration::from_secs(10);

/// An event of the gateway.
#[derive(Debug)]
pub enum Heard {
    /// A new session started: missed events are not delivered.
    Ready,
    /// An old session was resumed: missed events follow.
    Resumed,
    /// The connection was lost and is opened again.
    Away(String),
    /// A command or a button press.
    Interaction(Box<Interaction>),
    /// A message.
    Message(Box<Message>),
}

/// Why Discord closed the connection permanently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The problem and what to do about it.
    pub why: String,
    /// Whether a connection with fewer intents can be tried at once.
    pub with_fewer_intents: bool,
}

/// The connection.
pub struct Gateway {
    token: Secret,
    url: Option<String>,
    /// Whether the message content intent is requested.
    reads_messages: bool,
    shard: Shard,
    last_close: Option<u16>,
    failures: u32,
    /// Times at which connections were closed.
    ends: VecDeque<Instant>,
}

impl Gateway {
    /// Creates a gateway without connecting. `url` is another server than Discord's.
    pub fn new(token: &Secret, url: Option<&str>) -> Self {
        // Fails if a provider is already installed.
        rustls::crypto::ring::default_provider().install_default().ok();
        let (token, url) = (token.clone(), url.map(|url| url.trim_end_matches('/').to_owned()));
        let shard = shard(&token, url.as_deref(), true);
        Self { token, url, reads_messages: true, shard, last_close: None, failures: 0, ends: VecDeque::new() }
    }

    /// Returns whether the content of messages can be read.
    pub fn reads_messages(&self) -> bool {
        self.reads_messages
    }

    /// Waits for the next event. After an error, which means that Discord closed the connection permanently, the next call
    /// opens a new one.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Result<Heard, Ended> {
        loop {
            match self.shard.next().await {
                Some(Ok(Frame::Text(text))) => match parse_event(&text) {
                    Ok(Some(heard)) => {
                        if matches!(heard, Heard::Ready) {
                            self.failures = 0;
                        }
                        return Ok(heard);
                    }
                    Ok(None) => {}
                    // Unknown events are ignored.
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
                None => return Err(self.recreate()),
            }
        }
    }

    fn note_end(&mut self, now: Instant) {
        self.ends.retain(|end| now.duration_since(*end) < SPAN);
        self.ends.push_back(now);
    }

    /// Returns how long to wait after a temporary end: zero, unless there were too many.
    pub fn reconnect_pause(&self) -> Duration {
        if self.ends.len() > ENDS { RECONNECT_PAUSE } else { Duration::ZERO }
    }

    /// Returns how long to wait before the next try.
    pub fn pause(&self) -> Duration {
        FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
    }

    /// Creates a new connection after a permanent end, with fewer intents if they were refused.
    fn recreate(&mut self) -> Ended {
        let code = self.last_close.take();
        let with_fewer_intents = self.reads_messages && code == Some(CloseCode::DisallowedIntents as u16);
        if with_fewer_intents {
            self.reads_messages = false;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        self.shard = shard(&self.token, self.url.as_deref(), self.reads_messages);
        Ended { why: ended(code), with_fewer_intents }
    }
}

/// The envelope of a gateway message.
#[derive(Deserialize)]
struct Envelope {
    op: u8,
    t: Option<String>,
}

/// The payload of a gateway message.
#[derive(Deserialize)]
struct Inside<T> {
    d: T,
}

/// Parses a gateway message; `None`: it is irrelevant. Of Discord's many events only these are parsed, because parsers for
/// all of them would be a large part of the program.
fn parse_event(text: &str) -> Result<Option<Heard>, serde_json::Error> {
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

/// Returns whether this close code requires a new session. A resumed one would be closed again and again.
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
    async fn without_permission_to_read_it_continues_with_fewer_intents_once() {
        let mut gateway = Gateway::new(&Secret::new("t"), Some("ws://127.0.0.1:9/"));
        gateway.last_close = Some(4014);
        let first = gateway.recreate();
        assert!(first.with_fewer_intents && first.why.contains("Message Content"), "{first:?}");
        assert!(!gateway.reads_messages());
        gateway.last_close = Some(4014);
        assert!(!gateway.recreate().with_fewer_intents);
        assert_eq!(gateway.pause(), FIRST_PAUSE);
    }

    #[test]
    fn what_does_not_matter_is_passed_over_and_what_cannot_be_read_is_an_error() {
        let heard = |text: &str| parse_event(text).map(|heard| heard.map(|heard| format!("{heard:?}")));
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
        let started = Instant::now();
        for n in 0..60 {
            gateway.note_end(started + Duration::from_secs(n * 10));
            assert_eq!(gateway.reconnect_pause(), Duration::ZERO, "one in ten seconds");
        }
        for _ in 0..ENDS {
            gateway.note_end(started + Duration::from_secs(700));
        }
        assert_eq!(gateway.reconnect_pause(), Duration::ZERO);
        gateway.note_end(started + Duration::from_secs(701));
        assert_eq!(gateway.reconnect_pause(), RECONNECT_PAUSE);
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
            assert!(gateway.recreate().why.contains("token"));
            assert!(gateway.pause() >= last);
            last = gateway.pause();
        }
        assert_eq!(last, LONGEST_PAUSE);
    }
}
