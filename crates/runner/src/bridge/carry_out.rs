//! The loop of the bridge: what the runner says, what the server tells and answers, and signals go into the
//! conversation; what it wants done is done.

use super::client::{Client, Events, TalkError};
use super::server::Server;
use orch_core::agents::opencode::BridgeMessage;
use orch_core::agents::opencode::conversation::{Answer, Ask, Conversation, Purpose, Step};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::process::ProcessError;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a server that listens may take to answer at all: it may have to install its plugins first.
const WELCOME: Duration = Duration::from_secs(120);

/// Why there was no conversation.
#[derive(Debug, thiserror::Error)]
enum BridgeError {
    /// The kernel refused something that is needed.
    #[error("cannot stand between the runner and the agent: {0}")]
    System(#[from] io::Error),
    /// The server did not start.
    #[error(transparent)]
    NotStarted(#[from] ProcessError),
    /// It does not talk.
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// Anybody on this machine could speak to it.
    #[error("this version of opencode serves whoever asks, with or without a password; set agents.<name>.live: false")]
    Unguarded,
    /// It listens, and says nothing.
    #[error("the server listens, but did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// It ended, with this exit code.
    #[error("the server ended by itself")]
    Ended(u8),
    /// The conversation cannot be had.
    #[error("{0}")]
    NoConversation(String),
}

impl BridgeError {
    /// As a shell tells it, so that a program that is not there is told from one that fails.
    fn code(&self) -> u8 {
        match self {
            Self::NotStarted(ProcessError::NotFound { .. }) => 127,
            Self::Ended(code) => *code,
            Self::System(_)
            | Self::NotStarted(_)
            | Self::Talk(_)
            | Self::Unguarded
            | Self::Silent(_)
            | Self::NoConversation(_) => 1,
        }
    }
}

/// How a conversation ended that was had.
enum Over {
    /// All is said and done; something may have failed on the way.
    Done { failed: bool },
    /// A signal ended it.
    Signal,
}

/// Carries out one conversation with `program`, a server, started with `args`. Returns the exit code.
pub fn run(program: &OsStr, args: &[OsString]) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into()),
    };
    match runtime.block_on(carry_out(program, args)) {
        Ok(Over::Done { failed }) => u8::from(failed),
        Ok(Over::Signal) => 130,
        Err(error) => complain(&error),
    }
}

/// A last word on stderr.
fn complain(error: &BridgeError) -> u8 {
    let _ = writeln!(io::stderr(), "orch: {error}");
    error.code()
}

async fn carry_out(program: &OsStr, args: &[OsString]) -> Result<Over, BridgeError> {
    let mut ears = Ears::open()?;
    let directory = std::env::current_dir()?;
    let start = Server::start(program, args, &directory);
    let (mut server, client) = tokio::select! {
        started = start => started?,
        () = ears.signals.wait() => return Ok(Over::Signal),
    };
    let Some(client) = client else { return Err(BridgeError::Ended(server.ended().await)) };
    let over = tokio::select! {
        biased;
        () = ears.signals.wait() => Ok(Over::Signal),
        code = server.gone() => Err(BridgeError::Ended(code)),
        events = welcome(&client, WELCOME) => match events {
            Ok(events) => converse(&client, events, &directory, &mut ears).await,
            Err(error) => Err(error),
        },
    };
    server.end().await;
    over
}

/// The first requests: whether the server keeps others out, and its events from now on.
async fn welcome(client: &Client, within: Duration) -> Result<Events, BridgeError> {
    let asked = async {
        if !client.is_guarded().await? {
            return Err(BridgeError::Unguarded);
        }
        Ok(client.events().await?)
    };
    timeout(within, asked).await.unwrap_or(Err(BridgeError::Silent(within)))
}

async fn converse(client: &Client, mut events: Events, directory: &Path, ears: &mut Ears) -> Result<Over, BridgeError> {
    let mut conversation = Conversation::new(&directory.to_string_lossy());
    let mut asked = JoinSet::new();
    loop {
        carry_out_steps(&mut conversation, client, &mut asked)?;
        if ears.closed && conversation.rests() {
            return Ok(Over::Done { failed: conversation.failed() });
        }
        match news(&mut events, &mut asked, ears).await {
            News::Event(event) => conversation.event(&event, SystemClock.now()),
            News::Answer(purpose, answer) => conversation.answered(purpose, answer, SystemClock.now()),
            News::BridgeMessage(line) => {
                if let Some(told) = BridgeMessage::parse(&line) {
                    conversation.told(told, SystemClock.now());
                }
            }
            // Nothing was ever said: there is nothing to wait for.
            News::Closed if !conversation.is_open() => return Ok(Over::Done { failed: false }),
            News::Closed => ears.closed = true,
            News::Signal => return Ok(Over::Signal),
            News::Gone => return Err(BridgeError::Ended(1)),
        }
    }
}

/// What may happen.
enum News {
    /// The server tells of something.
    Event(serde_json::Value),
    /// It answers.
    Answer(Purpose, Answer),
    /// The runner says something.
    BridgeMessage(String),
    /// The runner has nothing more to say, or is gone.
    Closed,
    /// Somebody wants the end.
    Signal,
    /// The server is gone.
    Gone,
}

/// Waits for the next of them. What the server told comes before its answers: an answer ends what it told of.
async fn news(events: &mut Events, asked: &mut JoinSet<(Purpose, Answer)>, ears: &mut Ears) -> News {
    let Ears { lines, closed, signals } = ears;
    tokio::select! {
        biased;
        () = signals.wait() => News::Signal,
        event = events.next() => event.map_or(News::Gone, News::Event),
        Some(answer) = asked.join_next() => match answer {
            Ok((purpose, answer)) => News::Answer(purpose, answer),
            Err(_) => News::Gone,
        },
        line = lines.recv(), if !*closed => line.map_or(News::Closed, News::BridgeMessage),
    }
}

fn carry_out_steps(
    conversation: &mut Conversation,
    client: &Client,
    asked: &mut JoinSet<(Purpose, Answer)>,
) -> Result<(), BridgeError> {
    for step in conversation.steps() {
        match step {
            // One write for each line: whoever reads along sees whole ones.
            Step::Print(line) => {
                let line = client.masked(&line) + "\n";
                io::stdout().write_all(line.as_bytes())?;
                io::stdout().flush()?;
            }
            Step::Ask(ask) => {
                asked.spawn(answer(client.clone(), ask));
            }
            Step::Leave(why) => return Err(BridgeError::NoConversation(why)),
        }
    }
    Ok(())
}

async fn answer(client: Client, ask: Ask) -> (Purpose, Answer) {
    let answer = client.ask(ask.method, &ask.path, ask.body.as_ref()).await;
    (ask.purpose, answer.ok())
}

/// What comes from outside of the conversation: the runner's words and signals.
struct Ears {
    lines: UnboundedReceiver<String>,
    /// No more words will come.
    closed: bool,
    signals: Signals,
}

impl Ears {
    fn open() -> Result<Self, io::Error> {
        let (sender, lines) = mpsc::unbounded_channel();
        // A thread of its own, which the end of the process ends: whatever stdin is, reading it holds nothing up.
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            for line in io::stdin().lines() {
                if !line.is_ok_and(|line| sender.send(line).is_ok()) {
                    return;
                }
            }
        })?;
        Ok(Self { lines, closed: false, signals: Signals::listen()? })
    }
}

/// The signals that ask for the end.
struct Signals([Signal; 4]);

impl Signals {
    fn listen() -> Result<Self, io::Error> {
        let [interrupt, terminate, hangup, quit] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()].map(signal);
        Ok(Self([interrupt?, terminate?, hangup?, quit?]))
    }

    /// Waits for one of them.
    async fn wait(&mut self) {
        let [interrupt, terminate, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_listens_and_never_answers_is_not_waited_for_without_end() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = silent.local_addr().expect("an address");
        let client = Client { address, user: "orch", password: "secret".to_owned() };
        let welcomed = welcome(&client, Duration::from_millis(1)).await;
        assert!(matches!(welcomed, Err(BridgeError::Silent(_))));
    }
}
