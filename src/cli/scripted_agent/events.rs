//! The events of the scripted agent: `stream-json` as Claude Code writes it, one object per line, flushed after each
//! line. Counts tokens, and reports their cost at the end.

use super::flags::Flags;
use super::price::Tokens;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// The size of one event of a flood, in bytes.
const WAVE: usize = 64 << 10;

/// The events of one turn.
pub(super) struct Stream<W> {
    out: W,
    session: String,
    model: String,
    structured: bool,
    tokens: Tokens,
    messages: u64,
    began: Instant,
}

/// The answer at the end of a turn.
pub(super) enum Answered {
    /// A JSON object, also in the structured field if the caller gave a schema.
    Structured(Value),
    /// A text.
    Text(String),
}

impl<W: Write> Stream<W> {
    /// Creates an empty stream.
    pub(super) fn new(out: W, flags: &Flags) -> Self {
        Self {
            out,
            session: flags.session_id().to_owned(),
            model: flags.model.clone(),
            structured: flags.schema.is_some(),
            tokens: Tokens::default(),
            messages: 0,
            began: orch_sys::clock::instant(),
        }
    }

    /// Writes the first line. `known` is the number of tokens in the conversation.
    pub(super) fn begin(&mut self, dir: &Path, prompt: &str, known: u64) -> io::Result<()> {
        self.tokens.input += Tokens::count(prompt);
        self.tokens.cached += known;
        self.line(&json!({
            "type": "system", "subtype": "init", "cwd": dir.to_string_lossy(), "session_id": self.session,
            "tools": ["Bash", "Write"], "mcp_servers": [], "model": self.model, "permissionMode": "dontAsk",
            "apiKeySource": "none",
        }))
    }

    /// Returns all tokens of the conversation, including this turn.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens.cached + self.tokens.input + self.tokens.output
    }

    /// Writes a message of the agent.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.tokens.output += Tokens::count(text);
        self.assistant(&json!({ "type": "text", "text": text }))
    }

    /// Writes a tool call; its result follows under the returned id.
    pub(super) fn call(&mut self, tool: &str, input: &Value) -> io::Result<String> {
        let id = format!("toolu_{}", uuid::Uuid::new_v4().simple());
        self.tokens.output += Tokens::count(&input.to_string());
        self.assistant(&json!({ "type": "tool_use", "id": id, "name": tool, "input": input }))?;
        Ok(id)
    }

    /// Writes the result of a tool call.
    pub(super) fn result(&mut self, id: &str, ok: bool, output: &str) -> io::Result<()> {
        self.tokens.input += Tokens::count(output);
        let block = json!({ "type": "tool_result", "tool_use_id": id, "content": output, "is_error": !ok });
        let message = json!({ "role": "user", "content": [block] });
        self.line(
            &json!({ "type": "user", "message": message, "parent_tool_use_id": null, "session_id": self.session }),
        )
    }

    /// Writes a line from the script.
    pub(super) fn raw(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }

    /// Writes messages of `bytes` in total.
    pub(super) fn flood(&mut self, bytes: u64) -> io::Result<()> {
        let wave = "all work and no play makes a dull agent\n".repeat(WAVE / 40);
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        while left > 0 {
            let length = left.min(wave.len());
            self.say(&wave[..length])?;
            left -= length;
        }
        Ok(())
    }

    /// Repeats a message of the user, as an acknowledgement.
    pub(super) fn hear(&mut self, said: Option<&Value>) -> io::Result<()> {
        let Some(said) = said else { return Ok(()) };
        let mut repeated = said.clone();
        repeated["isReplay"] = json!(true);
        self.line(&repeated)
    }

    /// Writes the last line of a successful turn.
    pub(super) fn end(&mut self, answer: Answered) -> io::Result<()> {
        let (text, structured) = match answer {
            Answered::Structured(value) => (value.to_string(), Some(value).filter(|_| self.structured)),
            Answered::Text(text) => (text, None),
        };
        match &structured {
            // The real CLI also makes a structured answer a tool call.
            Some(value) => {
                let id = self.call("StructuredOutput", value)?;
                self.result(&id, true, "Structured output provided successfully")?;
            }
            None => self.say(&text)?,
        }
        let mut last = self.last("success", false);
        last["result"] = json!(text);
        if let Some(structured) = structured {
            last["structured_output"] = structured;
        }
        self.line(&last)
    }

    /// Writes the last line of a failed turn.
    pub(super) fn failed(&mut self, reason: &str) -> io::Result<()> {
        let mut last = self.last("error_during_execution", true);
        last["errors"] = json!([reason]);
        self.line(&last)
    }

    /// Writes the only line when the conversation to resume is unknown. Returns the exit code.
    pub(super) fn no_conversation(&mut self) -> io::Result<u8> {
        let text = format!("No conversation found with session ID: {}", self.session);
        self.failed(&text)?;
        writeln!(io::stderr(), "{text}")?;
        Ok(1)
    }

    fn assistant(&mut self, block: &Value) -> io::Result<()> {
        self.messages += 1;
        let message = json!({
            "id": format!("msg_{}", uuid::Uuid::new_v4().simple()), "type": "message", "role": "assistant",
            "model": self.model, "content": [block], "stop_reason": null, "usage": self.usage(),
        });
        self.line(
            &json!({ "type": "assistant", "message": message, "parent_tool_use_id": null, "session_id": self.session }),
        )
    }

    fn usage(&self) -> Value {
        json!({
            "input_tokens": self.tokens.input, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": self.tokens.cached, "output_tokens": self.tokens.output,
        })
    }

    fn last(&self, subtype: &str, is_error: bool) -> Value {
        let cost = self.tokens.cost(&self.model).dollars();
        let model = json!({
            "inputTokens": self.tokens.input, "outputTokens": self.tokens.output,
            "cacheReadInputTokens": self.tokens.cached, "cacheCreationInputTokens": 0, "costUSD": cost,
        });
        json!({
            "type": "result", "subtype": subtype, "is_error": is_error, "num_turns": self.messages,
            "duration_ms": u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "session_id": self.session, "total_cost_usd": cost, "usage": self.usage(),
            "modelUsage": { self.model.as_str(): model }, "permission_denials": [],
        })
    }

    fn line(&mut self, event: &Value) -> io::Result<()> {
        self.raw(&event.to_string())
    }
}
