//! The input of the scripted agent: a text on stdin, or one JSON object per line while stdin is open (`--input-format
//! stream-json`).

use serde_json::Value;
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};

/// The longest prompt that is read, in bytes.
const LONGEST_PROMPT: u64 = 64 << 20;

/// A message of the user.
pub(super) struct Message {
    pub(super) text: String,
    /// The original line; `None` for a plain text.
    pub(super) line: Option<Value>,
}

/// The source of messages.
pub(super) enum Input<R> {
    /// One text, up to the end of the file.
    Text(R),
    /// One message per line.
    Lines(BufReader<R>),
}

impl<R: Read> Input<R> {
    pub(super) fn new(stdin: R, lines: bool) -> Self {
        if lines { Self::Lines(BufReader::new(stdin)) } else { Self::Text(stdin) }
    }

    /// Reads the prompt.
    pub(super) fn first(&mut self) -> io::Result<Message> {
        match self {
            Self::Text(stdin) => {
                let mut text = Vec::new();
                stdin.take(LONGEST_PROMPT).read_to_end(&mut text)?;
                Ok(Message { text: String::from_utf8_lossy(&text).into_owned(), line: None })
            }
            Self::Lines(_) => {
                self.next()?.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "stdin holds no message"))
            }
        }
    }

    /// Waits for the next message after a turn; `None` at the end of the input.
    pub(super) fn next(&mut self) -> io::Result<Option<Message>> {
        let Self::Lines(stdin) = self else { return Ok(None) };
        let mut line = String::new();
        while stdin.read_line(&mut line)? > 0 {
            let said: Value = serde_json::from_str(&line)?;
            if said["type"] == "user" {
                let blocks = said["message"]["content"].as_array();
                let texts = blocks.into_iter().flatten().filter_map(|block| block["text"].as_str());
                let text = texts.collect::<Vec<_>>().join("\n");
                return Ok(Some(Message { text, line: Some(said) }));
            }
            line.clear();
        }
        Ok(None)
    }
}

/// Reads stdin concurrently with the work, so that a request to interrupt arrives in the middle of a turn. It ends the
/// process as Ctrl-C would.
pub(super) fn interruptible() -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            let request = serde_json::from_str::<Value>(&line).unwrap_or_default();
            if request["type"] == "control_request" && request["request"]["subtype"] == "interrupt" {
                let own = rustix::process::getpid();
                rustix::process::kill_process(own, rustix::process::Signal::INT).ok();
            }
            if writeln!(writer, "{line}").is_err() {
                return;
            }
        }
    })?;
    Ok(reader)
}
