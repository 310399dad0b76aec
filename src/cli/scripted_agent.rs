//! The scripted agent: a program that behaves like an agent CLI of kind `claude` and follows a script in its task. For
//! the demo, which needs no account, and for tests. It runs as a separate process, does not access orch's home, and
//! decides nothing for orch. `docs/how-to/demo.md` documents the instructions.

mod conversation;
mod events;
mod flags;
mod input;
mod price;
mod prompt;
mod routing;
mod script;
mod work;

use conversation::Conversation;
use events::Stream;
use flags::{Flags, Session};
use input::Input;
use prompt::Prompt;
use script::Script;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use work::Leaves;

pub use price::{MODELS, Price};

/// The name by which the program is the scripted agent.
pub const NAME: &str = "orch-scripted-agent";

/// The hidden subcommand for the scripted agent.
pub const SUBCOMMAND: &str = "__scripted-agent";

/// The variable with the directory of conversations; default: `$HOME/.orch-scripted-agent`.
pub const STATE_VARIABLE: &str = "ORCH_SCRIPTED_AGENT_STATE";

/// Why a turn failed.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    /// The command line is invalid.
    #[error("{0}")]
    Flags(#[from] flags::BadFlags),
    /// The script is invalid.
    #[error("the script in the task is wrong: {0}")]
    Script(#[from] script::BadScript),
    /// A conversation cannot be stored.
    #[error(transparent)]
    Conversation(#[from] conversation::ConversationError),
    /// The pipe is closed, or the disk is full.
    #[error("cannot write to stdout: {0}")]
    Io(#[from] io::Error),
}

/// Returns the arguments of the scripted agent if the process was started as one: by its name, or by the hidden
/// subcommand.
pub fn arguments(argv: &[OsString]) -> Option<&[OsString]> {
    let (program, rest) = argv.split_first()?;
    if Path::new(program).file_name().is_some_and(|name| name == NAME) {
        return Some(rest);
    }
    rest.split_first().filter(|(first, _)| *first == SUBCOMMAND).map(|(_, rest)| rest)
}

/// Takes one turn: reads the prompt from stdin, and writes events to stdout. Returns the exit code.
pub fn run(args: &[OsString]) -> u8 {
    let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    if args.iter().any(|arg| arg == "--version") {
        let text = writeln!(io::stdout(), "{} ({NAME})", env!("CARGO_PKG_VERSION"));
        return u8::from(text.is_err());
    }
    let surroundings = Surroundings {
        dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        environment: orch_sys::process::environment(),
    };
    let streamed = Flags::parse(&args).is_ok_and(|flags| flags.lines);
    let ended = if streamed {
        let stdin = input::interruptible().map_err(TurnError::from);
        stdin.and_then(|stdin| turns(&args, &surroundings, stdin, io::stdout().lock()))
    } else {
        turns(&args, &surroundings, io::stdin().lock(), io::stdout().lock())
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be reported if stderr is closed, too.
            writeln!(io::stderr(), "{NAME}: {error}").ok();
            1
        }
    }
}

/// The environment of the program.
#[derive(Debug, Clone)]
struct Surroundings {
    /// The working directory: the task's worktree.
    dir: PathBuf,
    /// All environment variables.
    environment: std::collections::BTreeMap<String, String>,
}

impl Surroundings {
    fn state(&self) -> PathBuf {
        let of = |name: &str| self.environment.get(name).filter(|value| !value.is_empty());
        match (of(STATE_VARIABLE), of("HOME")) {
            (Some(dir), _) => PathBuf::from(dir),
            (None, Some(home)) => Path::new(home).join(".orch-scripted-agent"),
            (None, None) => self.dir.join(".orch-scripted-agent"),
        }
    }
}

/// Takes the first turn, and another one for each further message.
fn turns(args: &[String], surroundings: &Surroundings, stdin: impl Read, stdout: impl Write) -> Result<u8, TurnError> {
    let flags = Flags::parse(args)?;
    let mut input = Input::new(stdin, flags.lines);
    let said = input.first()?;
    let mut stream = Stream::new(stdout, &flags);
    let Some(mut conversation) = open(&flags, &surroundings.state())? else {
        return Ok(stream.no_conversation()?);
    };
    let mut ended = turn(&flags, surroundings, &said, &mut conversation, &mut stream)?;
    // An exit in the middle does not wait for further messages.
    while ended == Leaves::Well
        && let Some(said) = input.next()?
    {
        conversation.begin_turn(None);
        stream.begin(&surroundings.dir, &said.text, conversation.tokens)?;
        stream.hear(said.line.as_ref())?;
        ended = work::acknowledge(&said.text, surroundings, &mut stream)?;
        conversation.tokens = stream.tokens();
        conversation.save()?;
    }
    Ok(match ended {
        Leaves::Well => 0,
        Leaves::With(code) => code,
    })
}

fn turn(
    flags: &Flags,
    surroundings: &Surroundings,
    said: &input::Message,
    conversation: &mut Conversation,
    stream: &mut Stream<impl Write>,
) -> Result<Leaves, TurnError> {
    let prompt = Prompt::read(&said.text);
    conversation.begin_turn(prompt.task().cloned());
    stream.begin(&surroundings.dir, &said.text, conversation.tokens)?;
    stream.hear(said.line.as_ref())?;
    let script = match Script::parse(conversation.task.as_ref().map_or("", |task| &task.body)) {
        Ok(script) => script,
        Err(error) => {
            stream.failed(&error.to_string())?;
            return Err(error.into());
        }
    };
    conversation.save()?;
    let ended = if prompt.is_route_request() {
        routing::answer(&script, &prompt, conversation, flags, stream)?
    } else {
        work::carry_out(&script, &prompt, conversation, surroundings, stream)?
    };
    conversation.tokens = stream.tokens();
    conversation.save()?;
    Ok(ended)
}

/// Returns the conversation, or `None` if the one to resume is unknown.
fn open(flags: &Flags, state: &Path) -> Result<Option<Conversation>, TurnError> {
    Ok(match &flags.session {
        Session::New(id) => Some(Conversation::new(state, id)),
        Session::Resume(id) => Conversation::load(state, id)?,
    })
}

#[cfg(test)]
mod tests;
