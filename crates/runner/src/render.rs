//! Renders an agent's events as lines for a person. PURE. Text of the agent is sanitized first, then masked, and only then
//! cut: a cut must not hide half a secret from the search. The number of lines of an event never depends on how long
//! something took, because a second reading of the events must count the same.

use super::answer_text::readable;
use super::changes::changes;
use super::fit::{Clean, Lead, MaxSize, Rendered, Style, cut};
use super::sanitize::sanitize;
use orch_core::tasks::outcome::AgentEvent;
use orch_core::text::redact::{Carry, Redactor};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Text is shown almost whole; the rest is in the raw file.
const TEXT: MaxSize = MaxSize { lines: 2000, width: 16_000 };
const THOUGHT: MaxSize = MaxSize { lines: 12, width: 1000 };
const CALL: MaxSize = MaxSize { lines: 1, width: 300 };
const RESULT: MaxSize = MaxSize { lines: 8, width: 240 };
const MESSAGE: MaxSize = MaxSize { lines: 8, width: 1000 };

/// The most characters of a call that a result repeats, if it does not follow its call.
const CALL_NAME: usize = 80;
/// The most open calls that are remembered; results of further calls do not name them.
const MAX_OPEN: usize = 1024;
/// The most different warnings that are remembered.
const MAX_WARNINGS: usize = 64;
/// Shorter durations, in milliseconds, are not shown.
const MIN_DURATION: u64 = 100;

/// Renders one run.
#[derive(Debug)]
pub struct Renderer {
    redactor: Redactor,
    /// A private key may span several texts.
    text_carry: Carry,
    /// The agent's directory, with a slash: files in it are shown by their relative paths.
    root: Option<String>,
    /// Calls without a result yet: their rendered beginnings by id.
    open: HashMap<String, String>,
    /// The id of the call whose line was rendered last.
    last: Option<String>,
    /// The last text, unless a call followed it.
    last_text: Option<String>,
    /// The warnings that were shown.
    warned: HashSet<String>,
}

impl Renderer {
    /// Creates a renderer that masks with `redactor`.
    pub fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            text_carry: Carry::default(),
            root: None,
            open: HashMap::new(),
            last: None,
            last_text: None,
            warned: HashSet::new(),
        }
    }

    /// Shows files below this directory by their relative paths.
    #[must_use]
    pub fn below(self, root: &Path) -> Self {
        Self { root: root.to_str().map(|root| format!("{}/", root.trim_end_matches('/'))), ..self }
    }

    /// Returns the redactor.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Renders one event.
    pub fn event(&mut self, event: &AgentEvent) -> Vec<Rendered> {
        let lines = match event {
            AgentEvent::Started { session_id, model } => self.started(session_id.as_deref(), model.as_deref()),
            AgentEvent::Text { text } => self.text(text),
            AgentEvent::Reasoning { text } => cut(Style::Thought, Lead::mark("· "), &self.styled(text), THOUGHT),
            AgentEvent::ToolCall { id, name, input } => return self.call(id, name, input),
            AgentEvent::ToolResult { .. } => self.result(event),
            AgentEvent::Retry { class, attempt, detail } => {
                self.message(Style::Warning, "↻ ", &format!("{class}, try {attempt}: {detail}"))
            }
            AgentEvent::Warning { text } => self.warning(text),
            AgentEvent::Error { class, text } => self.message(Style::Error, "✗ ", &format!("{class}: {text}")),
            // The inbox reports messages, and the last line of the run its usage.
            AgentEvent::Heard { .. } | AgentEvent::Spent { .. } | AgentEvent::TurnEnded => Vec::new(),
        };
        if !lines.is_empty() {
            self.last = None;
        }
        lines
    }

    /// Renders a note by orch itself.
    pub fn note(&self, text: &str) -> Vec<Rendered> {
        self.message(Style::Note, "— ", text)
    }

    /// Sanitizes and masks `text`, without cutting it.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.text(&sanitize(text)).into_owned()
    }

    fn styled(&self, text: &str) -> Clean {
        Clean::new(text, &self.redactor, &mut Carry::default())
    }

    fn message(&self, style: Style, mark: &str, text: &str) -> Vec<Rendered> {
        cut(style, Lead::mark(mark), &Clean::plain(self.clean(text)), MESSAGE)
    }

    fn started(&self, session: Option<&str>, model: Option<&str>) -> Vec<Rendered> {
        let parts = [session.map(|id| format!("session {id}")), model.map(|name| format!("model {name}"))];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let text = if parts.is_empty() { "the agent has started".to_owned() } else { parts.join(", ") };
        self.note(&text)
    }

    /// Renders a warning once: programs repeat their warnings at each turn.
    fn warning(&mut self, text: &str) -> Vec<Rendered> {
        if self.warned.contains(text) {
            return Vec::new();
        }
        if self.warned.len() < MAX_WARNINGS {
            self.warned.insert(text.to_owned());
        }
        self.message(Style::Warning, "! ", text)
    }

    /// Renders text, and an answer in JSON in readable form, without repeating the text before it.
    fn text(&mut self, text: &str) -> Vec<Rendered> {
        let Some((before, answer)) = readable(text) else {
            self.last_text = Some(text.trim().to_owned());
            return self.text_lines(text);
        };
        let last = self.last_text.take().unwrap_or_default();
        let is_new = |part: &&str| !part.is_empty() && !last.contains(part.trim());
        let new: Vec<&str> = [before, &answer].into_iter().filter(is_new).collect();
        if new.is_empty() { Vec::new() } else { self.text_lines(&new.join("\n")) }
    }

    fn text_lines(&mut self, text: &str) -> Vec<Rendered> {
        let clean = Clean::new(text, &self.redactor, &mut self.text_carry);
        match cut(Style::Speech, Lead::mark(""), &clean, TEXT) {
            lines if lines.is_empty() => vec![Rendered::plain(Style::Speech, "")],
            lines => lines,
        }
    }

    fn call(&mut self, id: &str, name: &str, input: &str) -> Vec<Rendered> {
        // A command is shown unchanged.
        let is_command = matches!(name, "Bash" | "bash" | "shell");
        let input = if is_command { input.to_owned() } else { self.shorter_paths(input) };
        let call = self.clean(&if input.is_empty() { name.to_owned() } else { format!("{name}: {input}") });
        if self.open.len() < MAX_OPEN {
            self.open.insert(id.to_owned(), call.chars().take(CALL_NAME).collect());
        }
        self.last = Some(id.to_owned());
        self.last_text = None;
        cut(Style::Tool, Lead::mark("▸ "), &Clean::plain(call), CALL)
    }

    /// Shortens a list of files to paths relative to the agent's directory.
    fn shorter_paths(&self, input: &str) -> String {
        let Some(root) = &self.root else { return input.to_owned() };
        let parts: Vec<&str> = input.split(", ").map(|part| part.strip_prefix(root.as_str()).unwrap_or(part)).collect();
        parts.join(", ")
    }

    /// Renders a result: its success, its duration, and the beginning of its output.
    fn result(&mut self, event: &AgentEvent) -> Vec<Rendered> {
        let AgentEvent::ToolResult { id, ok, output, took_ms, edits } = event else { return Vec::new() };
        let call = self.open.remove(id.as_str());
        let call = call.filter(|_| self.last.as_ref() != Some(id));
        let took = took_ms.filter(|took| *took >= MIN_DURATION).map(duration);
        let mut head: Vec<String> = [call, took].into_iter().flatten().collect();
        let style = if *ok { Style::Result } else { Style::Error };
        let mark = if *ok { "  ✓ " } else { "  ✗ " };
        if *ok && edits.iter().any(|edit| edit.diff.is_some()) {
            return changes(mark, &head, edits, |text| self.clean(&self.shorter_paths(text)));
        }
        let output = self.styled(output);
        let is_empty = output.text.trim().is_empty();
        if is_empty && !ok {
            head.push("failed".to_owned());
        }
        let first = if is_empty { head.join(" · ") } else { head.iter().map(|part| format!("{part} · ")).collect() };
        let first = format!("{mark}{first}");
        match cut(style, Lead { first: &first, indent: 4 }, &output, RESULT) {
            lines if lines.is_empty() => vec![Rendered::plain(style, first.trim_end())],
            lines => lines,
        }
    }
}

/// Formats a duration for a person.
pub(super) fn duration(milliseconds: u64) -> String {
    let (seconds, tenths) = (milliseconds / 1000, milliseconds % 1000 / 100);
    match seconds {
        0..60 => format!("{seconds}.{tenths} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::tasks::edit::{EditKind, FileEdit};
    use orch_core::tasks::outcome::{FailureClass, Usage};

    fn render(events: &[AgentEvent]) -> String {
        let mut renderer = Renderer::new(Redactor::new([("API_KEY", "canary-value-1")]));
        let lines = events.iter().flat_map(|event| renderer.event(event));
        lines.map(|line| line.text + "\n").collect()
    }

    fn call(id: &str, name: &str, input: &str) -> AgentEvent {
        AgentEvent::ToolCall { id: id.into(), name: name.into(), input: input.into() }
    }

    fn result(id: &str, ok: bool, output: &str, took_ms: Option<u64>) -> AgentEvent {
        AgentEvent::ToolResult { id: id.into(), ok, output: output.into(), took_ms, edits: Vec::new() }
    }

    #[test]
    fn a_run_reads_like_a_conversation() {
        let events = [
            AgentEvent::Started { session_id: Some("abc".into()), model: Some("sonnet".into()) },
            AgentEvent::Reasoning { text: "First look around.".into() },
            call("1", "Bash", "cargo test\n# all"),
            AgentEvent::Spent { usage: Usage::default(), cost_usd: None, usage_is_thread_total: false },
            result("1", true, &(1..=10).map(|n| format!("row {n}\n")).collect::<String>(), Some(12_345)),
            call("2", "Read", ""),
            result("2", false, "\n", Some(99)),
            call("3", "Bash", "git commit"),
            result("3", true, "", Some(61_000)),
            AgentEvent::Retry { class: FailureClass::Overloaded, attempt: 2, detail: "HTTP 529".into() },
            AgentEvent::Warning { text: "context is nearly full".into() },
            AgentEvent::Error { class: FailureClass::Auth, text: "invalid key".into() },
            AgentEvent::Text { text: "Two lines,\n\nwith a gap.\n".into() },
            AgentEvent::TurnEnded,
        ];
        let expected = "\
— session abc, model sonnet
· First look around.
▸ Bash: cargo test … (1 more line)
  ✓ 12.3 s · row 1
    row 2
    row 3
    row 4
    row 5
    row 6
    row 7
    row 8
    … 2 more lines
▸ Read
  ✗ failed
▸ Bash: git commit
  ✓ 1 min 1 s
↻ overloaded, try 2: HTTP 529
! context is nearly full
✗ auth: invalid key
Two lines,

with a gap.
";
        assert_eq!(render(&events), expected);
    }

    #[test]
    fn the_last_message_is_shown_once_with_its_answer_as_text() {
        let text = |text: &str| AgentEvent::Text { text: text.into() };
        let answer = r#"{"status":"done","summary":"Added it.","files_changed":["a"]}"#;
        assert_eq!(render(&[text("I begin."), text(answer)]), "I begin.\nAdded it.\n");
        assert_eq!(render(&[text("Added it."), text(answer)]), "Added it.\n");
        assert_eq!(render(&[text(&format!("All done.\n\n{answer}"))]), "All done.\nAdded it.\n");
        assert_eq!(
            render(&[text("Same."), text("Same.")]),
            "Same.\nSame.\n",
            "a program may print lines that are the same"
        );
        let between = [text("Added it."), call("1", "Read", "a"), text(answer)];
        assert_eq!(render(&between), "Added it.\n▸ Read: a\nAdded it.\n", "after something else it is shown again");
    }

    #[test]
    fn a_warning_is_shown_once_in_a_run() {
        let warning = |text: &str| AgentEvent::Warning { text: text.into() };
        let events = [warning("no bubblewrap"), warning("another"), AgentEvent::TurnEnded, warning("no bubblewrap")];
        assert_eq!(render(&events), "! no bubblewrap\n! another\n");
    }

    #[test]
    fn a_result_that_does_not_follow_its_call_names_it() {
        let events = [
            call("a", "Read", "/w/src/lib.rs"),
            call("b", "Bash", "ls /w/src"),
            result("a", true, "one", None),
            result("b", true, "two\nthree", Some(200)),
            result("b", true, "again", None),
        ];
        let mut renderer = Renderer::new(Redactor::default()).below(Path::new("/w"));
        let lines: Vec<String> = events.iter().flat_map(|event| renderer.event(event)).map(|line| line.text).collect();
        assert_eq!(
            lines,
            [
                "▸ Read: src/lib.rs",
                "▸ Bash: ls /w/src",
                "  ✓ Read: src/lib.rs · one",
                "  ✓ Bash: ls /w/src · 0.2 s · two",
                "    three",
                "  ✓ again",
            ]
        );
    }

    #[test]
    fn the_number_of_lines_does_not_depend_on_how_long_it_took() {
        for output in ["", "one", "one\ntwo\n"] {
            for ok in [true, false] {
                let count = |took| render(&[call("a", "x", ""), result("a", ok, output, took)]).lines().count();
                assert_eq!(count(None), count(Some(5000)), "{output:?}");
            }
        }
    }

    #[test]
    fn changes_of_files_take_the_place_of_the_output() {
        let edit = FileEdit {
            added: Some(1),
            removed: Some(1),
            diff: Some("@@\n-old\u{1b}[2J\n+canary-value-1\n".into()),
            ..FileEdit::unknown("src/lib.rs", EditKind::Update)
        };
        let shown = |edits: Vec<FileEdit>| {
            let output = "The file was updated.".to_owned();
            render(&[AgentEvent::ToolResult { id: String::new(), ok: true, output, took_ms: Some(500), edits }])
        };
        let expected = "  ✓ 0.5 s · src/lib.rs +1 −1\n    - old\n    + [REDACTED:API_KEY]\n";
        assert_eq!(shown(vec![edit]), expected);
        let unknown = FileEdit::unknown("src/lib.rs", EditKind::Update);
        assert_eq!(shown(vec![unknown]), "  ✓ 0.5 s · The file was updated.\n");
    }

    #[test]
    fn secrets_and_escapes_are_gone_wherever_the_text_is_cut() {
        let long = format!("{}canary-value-1", "x".repeat(RESULT.width - 5));
        let events = [
            result("", true, &long, None),
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
        assert!(render(&[result("", true, &many, None)]).len() < 200);
        assert!(render(&[call("", &flood, "x")]).len() < 500);
    }
}
