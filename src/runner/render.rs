//! Turns an agent's events into lines that a person can follow. PURE. Everything an agent says is cleaned of what a
//! terminal would act on, then of secrets, and only then cut: a cut must not hide half a secret from the search.

use super::sanitize::sanitize;
use crate::domain::outcome::AgentEvent;
use crate::domain::redact::{Carry, Redactor};

/// What kind of line it is; the pane has a colour for each, the log has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The agent speaks.
    Speech,
    /// The agent thinks.
    Thought,
    /// A tool is called.
    Tool,
    /// What the tool gave back.
    Result,
    /// Something is odd.
    Warning,
    /// Something failed.
    Error,
    /// orch itself speaks.
    Note,
}

impl Style {
    /// The terminal's attributes for this style: parameters of a graphic rendition.
    pub fn attributes(self) -> &'static str {
        match self {
            Self::Speech => "",
            Self::Thought | Self::Result => "2",
            Self::Tool => "36",
            Self::Warning => "33",
            Self::Error => "31",
            Self::Note => "1",
        }
    }
}

/// One line, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its kind.
    pub style: Style,
    /// Its text: no control characters but tabs.
    pub text: String,
}

/// How much of one event is shown.
#[derive(Clone, Copy)]
struct Room {
    lines: usize,
    /// Characters of one line.
    width: usize,
}

/// Speech is shown whole, within reason: the rest is in the raw file.
const SPEECH: Room = Room { lines: 2000, width: 16_000 };
const THOUGHT: Room = Room { lines: 12, width: 1000 };
const CALL: Room = Room { lines: 1, width: 300 };
const RESULT: Room = Room { lines: 8, width: 240 };
const MESSAGE: Room = Room { lines: 8, width: 1000 };

/// Renders one run.
#[derive(Debug)]
pub struct Renderer {
    redactor: Redactor,
    /// A private key may be printed over several pieces of speech.
    speech: Carry,
}

impl Renderer {
    /// Masks what `redactor` knows.
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, speech: Carry::default() }
    }

    /// What masks the secrets.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The lines for one event.
    pub fn event(&mut self, event: &AgentEvent) -> Vec<Rendered> {
        match event {
            AgentEvent::Started { session_id, model } => self.started(session_id.as_deref(), model.as_deref()),
            AgentEvent::Text { text } => {
                let text = sanitize(text);
                let masked = self.redactor.next_text(&mut self.speech, &text);
                match cut(Style::Speech, "", &masked, SPEECH) {
                    lines if lines.is_empty() => vec![Rendered { style: Style::Speech, text: String::new() }],
                    lines => lines,
                }
            }
            AgentEvent::Reasoning { text } => cut(Style::Thought, "· ", &self.clean(text), THOUGHT),
            AgentEvent::ToolCall { name, input, .. } => {
                let call = if input.is_empty() { name.clone() } else { format!("{name}: {input}") };
                cut(Style::Tool, "→ ", &self.clean(&call), CALL)
            }
            AgentEvent::ToolResult { ok: true, output, .. } => cut(Style::Result, "  ", &self.clean(output), RESULT),
            AgentEvent::ToolResult { ok: false, output, .. } => {
                let output = if output.trim().is_empty() { "failed" } else { output };
                cut(Style::Error, "  ✗ ", &self.clean(output), RESULT)
            }
            AgentEvent::Retry { class, attempt, detail } => {
                cut(Style::Warning, "↻ ", &self.clean(&format!("{class}, try {attempt}: {detail}")), MESSAGE)
            }
            AgentEvent::Warning { text } => cut(Style::Warning, "! ", &self.clean(text), MESSAGE),
            AgentEvent::Error { class, text } => {
                cut(Style::Error, "✗ ", &self.clean(&format!("{class}: {text}")), MESSAGE)
            }
            // What was said is known to who carries the message.
            AgentEvent::Heard { .. } | AgentEvent::TurnEnded => Vec::new(),
        }
    }

    /// Lines in which orch speaks of the run.
    pub fn note(&self, text: &str) -> Vec<Rendered> {
        cut(Style::Note, "— ", &self.clean(text), MESSAGE)
    }

    /// Cleaned and masked, not cut.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.text(&sanitize(text)).into_owned()
    }

    fn started(&self, session: Option<&str>, model: Option<&str>) -> Vec<Rendered> {
        let parts = [session.map(|id| format!("session {id}")), model.map(|name| format!("model {name}"))];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let text = if parts.is_empty() { "the agent has started".to_owned() } else { parts.join(", ") };
        self.note(&text)
    }
}

/// The first lines of a text with `mark` before the first, and a last line that says what is left out.
fn cut(style: Style, mark: &str, text: &str, room: Room) -> Vec<Rendered> {
    let text = text.trim_end().trim_start_matches('\n');
    let indent = " ".repeat(mark.chars().count());
    let line = |(index, line): (usize, &str)| {
        let lead = if index == 0 { mark } else { &indent };
        Rendered { style, text: format!("{lead}{}", shorten(line.trim_end(), room.width)) }
    };
    let mut lines: Vec<Rendered> = text.lines().take(room.lines).enumerate().map(line).collect();
    let left_out = text.lines().skip(room.lines).count();
    match (left_out, lines.last_mut()) {
        (0, _) | (_, None) => {}
        (count, Some(last)) if room.lines == 1 => last.text.push_str(&format!(" … ({count} more {})", plural(count))),
        (count, Some(_)) => {
            lines.push(Rendered { style, text: format!("{indent}… {count} more {}", plural(count)) });
        }
    }
    lines
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "line" } else { "lines" }
}

fn shorten(line: &str, width: usize) -> String {
    match line.char_indices().nth(width) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}… ({} more characters)", &line[..end], line[end..].chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::FailureClass;

    fn render(events: &[AgentEvent]) -> String {
        let mut renderer = Renderer::new(Redactor::new([("API_KEY", "canary-value-1")]));
        let lines = events.iter().flat_map(|event| renderer.event(event));
        lines.map(|line| line.text + "\n").collect()
    }

    #[test]
    fn a_run_reads_like_a_conversation() {
        let id = || "1".to_owned();
        let events = [
            AgentEvent::Started { session_id: Some("abc".into()), model: Some("sonnet".into()) },
            AgentEvent::Reasoning { text: "First look around.".into() },
            AgentEvent::ToolCall { id: id(), name: "Bash".into(), input: "cargo test\n# all".into() },
            AgentEvent::ToolResult { id: id(), ok: true, output: (1..=10).map(|n| format!("row {n}\n")).collect() },
            AgentEvent::ToolCall { id: id(), name: "Read".into(), input: String::new() },
            AgentEvent::ToolResult { id: id(), ok: false, output: "\n".into() },
            AgentEvent::Retry { class: FailureClass::Overloaded, attempt: 2, detail: "HTTP 529".into() },
            AgentEvent::Warning { text: "context is nearly full".into() },
            AgentEvent::Error { class: FailureClass::Auth, text: "invalid key".into() },
            AgentEvent::Text { text: "Two lines,\n\nwith a gap.\n".into() },
            AgentEvent::TurnEnded,
        ];
        let expected = "\
— session abc, model sonnet
· First look around.
→ Bash: cargo test … (1 more line)
  row 1
  row 2
  row 3
  row 4
  row 5
  row 6
  row 7
  row 8
  … 2 more lines
→ Read
  ✗ failed
↻ overloaded, try 2: HTTP 529
! context is nearly full
✗ auth: invalid key
Two lines,

with a gap.
";
        assert_eq!(render(&events), expected);
    }

    #[test]
    fn secrets_and_escapes_are_gone_wherever_the_text_is_cut() {
        let long = format!("{}canary-value-1", "x".repeat(RESULT.width - 5));
        let events = [
            AgentEvent::ToolResult { id: String::new(), ok: true, output: long },
            AgentEvent::Text { text: "\u{1b}]52;c;AAAA\u{7}ca\u{1b}[1mnary-value-1".into() },
        ];
        let text = render(&events);
        assert!(!text.contains("canar") && !text.contains('\u{1b}') && !text.contains("AAAA"), "{text}");
        assert!(text.ends_with("\n[REDACTED:API_KEY]\n"), "{text}");
    }

    #[test]
    fn an_event_of_any_size_takes_a_bounded_room() {
        let flood = "x".repeat(3 << 20);
        assert!(render(&[AgentEvent::Text { text: flood.clone() }]).len() < 20_000);
        let many = "line\n".repeat(100_000);
        assert!(render(&[AgentEvent::ToolResult { id: String::new(), ok: true, output: many }]).len() < 200);
        assert!(render(&[AgentEvent::ToolCall { id: String::new(), name: flood, input: "x".into() }]).len() < 500);
    }
}
