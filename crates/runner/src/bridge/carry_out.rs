//! The loop of the bridge: feeds the runner's messages, the server's events and responses, and signals to the
//! conversation, and carries out its steps.

use super::client::{Client, ClientError, Events};
use super::server::Server;
use orch_core::models::agents::opencode::BridgeMessage;
use orch_core::models::agents::opencode::conversation::{Answer, Ask, Conversation, Purpose, Step};
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

/// How long a listening server may take to answer its first request: it may have to install plugins first.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(120);

/// Why the conversation failed.
#[derive(Debug, thiserror::Error)]
enum BridgeError {
    /// The kernel refused something that the bridge needs.
    #[error("the bridge between runner and agent cannot start: {0}")]
    System(#[from] io::Error),
    /// The server did not start.
    #[error(transparent)]
    NotStarted(#[from] ProcessError),
    /// A request failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server accepts requests from everybody on this machine.
    #[error("this version of opencode accepts requests without a password; set agents.<name>.live: false")]
    Unguarded,
    /// The server listens, but does not answer.
    #[error("the server listens, but did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The server exited by itself, with this code.
    #[error("the server ended by itself")]
    Ended(u8),
    /// The server refused the conversation.
    #[error("{0}")]
    NoConversation(String),
}

impl BridgeError {
    /// Returns the exit code as a shell would, so that a missing program differs from one that fails.
    fn code(&self) -> u8 {
        match self {
            Self::NotStarted(ProcessError::NotFound { .. }) => 127,
            Self::Ended(code) => *code,
            Self::System(_)
            | Self::NotStarted(_)
            | Self::Client(_)
            | Self::Unguarded
            | Self::Silent(_)
            | Self::NoConversation(_) => 1,
        }
    }
}

/// How a conversation ended.
enum End {
    /// The runner closed it after the last turn.
    Done { failed: bool },
    /// A signal ended it.
    Signal,
}

/// Carries out one conversation with `program`, a server, started with `args`. Returns the exit code.
pub fn run(program: &OsStr, args: &[OsString]) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report_error(&error.into()),
    };
    match runtime.block_on(carry_out(program, args)) {
        Ok(End::Done { failed }) => u8::from(failed),
        Ok(End::Signal) => 130,
        Err(error) => report_error(&error),
    }
}

/// Prints the error on stderr, and returns its exit code.
fn report_error(error: &BridgeError) -> u8 {
    let _ = writeln!(io::stderr(), "orch: {error}");
    error.code()
}

async fn carry_out(program: &OsStr, args: &[OsString]) -> Result<End, BridgeError> {
    let mut inputs = Inputs::open()?;
    let directory = std::env::current_dir()?;
    let start = Server::start(program, args, &directory);
    let (mut server, client) = tokio::select! {
        started = start => started?,
        () = inputs.signals.wait() => return Ok(End::Signal),
    };
    let Some(client) = client else { return Err(BridgeError::Ended(server.exiting().await)) };
    let over = tokio::select! {
        biased;
        () = inputs.signals.wait() => Ok(End::Signal),
        code = server.gone() => Err(BridgeError::Ended(code)),
        events = connect(&client, CONNECT_TIMEOUT) => match events {
            Ok(events) => converse(&client, events, &directory, &mut inputs).await,
            Err(error) => Err(error),
        },
    };
    server.end().await;
    over
}

/// Sends the first requests: checks that the server requires the password, and subscribes to its events.
async fn connect(client: &Client, within: Duration) -> Result<Events, BridgeError> {
    let asked = async {
        if !client.is_guarded().await? {
            return Err(BridgeError::Unguarded);
        }
        Ok(client.events().await?)
    };
    timeout(within, asked).await.unwrap_or(Err(BridgeError::Silent(within)))
}

async fn converse(
    client: &Client,
    mut events: Events,
    directory: &Path,
    inputs: &mut Inputs,
) -> Result<End, BridgeError> {
    let mut conversation = Conversation::new(&directory.to_string_lossy());
    let mut asked = JoinSet::new();
    loop {
        carry_out_steps(&mut conversation, client, &mut asked)?;
        if inputs.closed && conversation.is_idle() {
            return Ok(End::Done { failed: conversation.failed() });
        }
        match next_input(&mut events, &mut asked, inputs).await {
            Input::Event(event) => conversation.handle_event(&event, SystemClock.now()),
            Input::Answer(purpose, answer) => conversation.handle_answer(purpose, answer, SystemClock.now()),
            Input::BridgeMessage(line) => {
                if let Some(message) = BridgeMessage::parse(&line) {
                    conversation.handle_message(message, SystemClock.now());
                }
            }
            // The conversation was never opened: there is nothing to wait for.
            Input::Closed if !conversation.is_open() => return Ok(End::Done { failed: false }),
            Input::Closed => inputs.closed = true,
            Input::Signal => return Ok(End::Signal),
            Input::Gone => return Err(BridgeError::Ended(1)),
        }
    }
}

/// An input of the loop.
enum Input {
    /// An event of the server.
    Event(serde_json::Value),
    /// A response of the server.
    Answer(Purpose, Answer),
    /// A line of the runner.
    BridgeMessage(String),
    /// The runner has closed stdin, or is gone.
    Closed,
    /// A signal asks for the end.
    Signal,
    /// The server is gone.
    Gone,
}

/// Waits for the next input. Events come before responses, because a response ends the turn of the events before it.
async fn next_input(events: &mut Events, asked: &mut JoinSet<(Purpose, Answer)>, inputs: &mut Inputs) -> Input {
    let Inputs { lines, closed, signals } = inputs;
    tokio::select! {
        biased;
        () = signals.wait() => Input::Signal,
        event = events.next() => event.map_or(Input::Gone, Input::Event),
        Some(answer) = asked.join_next() => match answer {
            Ok((purpose, answer)) => Input::Answer(purpose, answer),
            Err(_) => Input::Gone,
        },
        line = lines.recv(), if !*closed => line.map_or(Input::Closed, Input::BridgeMessage),
    }
}

fn carry_out_steps(
    conversation: &mut Conversation,
    client: &Client,
    asked: &mut JoinSet<(Purpose, Answer)>,
) -> Result<(), BridgeError> {
    for step in conversation.take_steps() {
        match step {
            // One write per line, so that readers see whole lines.
            Step::Print(line) => {
                let line = client.masked(&line) + "\n";
                io::stdout().write_all(line.as_bytes())?;
                io::stdout().flush()?;
            }
            Step::Ask(ask) => {
                asked.spawn(answer(client.clone(), ask));
            }
            Step::Exit(reason) => return Err(BridgeError::NoConversation(reason)),
        }
    }
    Ok(())
}

async fn answer(client: Client, ask: Ask) -> (Purpose, Answer) {
    let answer = client.ask(ask.method, &ask.path, ask.body.as_ref()).await;
    (ask.purpose, answer.ok())
}

/// The inputs from outside of the conversation: the runner's lines and signals.
struct Inputs {
    lines: UnboundedReceiver<String>,
    /// Whether stdin is closed.
    closed: bool,
    signals: Signals,
}

impl Inputs {
    fn open() -> Result<Self, io::Error> {
        let (sender, lines) = mpsc::unbounded_channel();
        // A thread of its own, because reading stdin may block. It ends with the process.
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

/// The signals that ask the bridge to end.
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
    async fn the_wait_for_a_server_that_listens_and_never_answers_is_bounded() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = silent.local_addr().expect("an address");
        let client = Client { address, user: "orch", password: "secret".to_owned() };
        let connected = connect(&client, Duration::from_millis(1)).await;
        assert!(matches!(connected, Err(BridgeError::Silent(_))));
    }
}
