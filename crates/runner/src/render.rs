//! Turns an agent's events into lines that a person can follow. PURE. Everything an agent says is cleaned of what a
//! terminal would act on, then of secrets, and only then cut: a cut must not hide half a secret from the search. The number
//! of lines of an event never depends on how long something took: who reads the events again must count the same.

use super::answer_text::readable;
use super::changes::changes;
use super::fit::{Clean, Lead, Rendered, Room, Style, cut};
use super::sanitize::sanitize;
use orch_core::outcome::AgentEvent;
use orch_core::redact::{Carry, Redactor};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Speech is shown whole, within reason: the rest is in the raw file.
const SPEECH: Room = Room { lines: 2000, width: 16_000 };
const THOUGHT: Room = Room { lines: 12, width: 1000 };
const CALL: Room = Room { lines: 1, width: 300 };
const RESULT: Room = Room { lines: 8, width: 240 };
const MESSAGE: Room = Room { lines: 8, width: 1000 };

/// Most characters by which a call is named again, where its result does not follow it.
const AGAIN: usize = 80;
/// So many calls may be open at once; of more than that, results do not name their calls.
const OPEN: usize = 1024;
/// So many different warnings are remembered.
const WARNINGS: usize = 64;
/// What takes less is over at once, and not worth a word.
const WORTH_TELLING: u64 = 100;

/// Renders one run.
#[derive(Debug)]
pub struct Renderer {
    redactor: Redactor,
    /// A private key may be printed over several pieces of speech.
    speech: Carry,
    /// The agent's directory: what lies in it is named from there on.
    root: Option<String>,
    /// Calls without a result yet, as they are named.
    open: HashMap<String, String>,
    /// The call whose line was the last one.
    last: Option<String>,
    /// What was said last, while nothing was done since.
    said: Option<String>,
    /// Warnings that were shown.
    warned: HashSet<String>,
}

impl Renderer {
    /// Masks what `redactor` knows.
    pub fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            speech: Carry::default(),
            root: None,
            open: HashMap::new(),
            last: None,
            said: None,
            warned: HashSet::new(),
        }
    }

    /// Names files below this directory by their place in it.
    #[must_use]
    pub fn below(self, root: &Path) -> Self {
        Self { root: root.to_str().map(|root| format!("{}/", root.trim_end_matches('/'))), ..self }
    }

    /// What masks the secrets.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The lines for one event.
    pub fn event(&mut self, event: &AgentEvent) -> Vec<Rendered> {
        let lines = match event {
            AgentEvent::Started { session_id, model } => self.started(session_id.as_deref(), model.as_deref()),
            AgentEvent::Text { text } => self.speech(text),
            AgentEvent::Reasoning { text } => cut(Style::Thought, Lead::mark("· "), &self.styled(text), THOUGHT),
            AgentEvent::ToolCall { id, name, input } => return self.call(id, name, input),
            AgentEvent::ToolResult { .. } => self.result(event),
            AgentEvent::Retry { class, attempt, detail } => {
                self.told(Style::Warning, "↻ ", &format!("{class}, try {attempt}: {detail}"))
            }
            AgentEvent::Warning { text } => self.warning(text),
            AgentEvent::Error { class, text } => self.told(Style::Error, "✗ ", &format!("{class}: {text}")),
            // What was said is known to who carries the message; what was spent is told at the end.
            AgentEvent::Heard { .. } | AgentEvent::Spent { .. } | AgentEvent::TurnEnded => Vec::new(),
        };
        if !lines.is_empty() {
            self.last = None;
        }
        lines
    }

    /// Lines in which orch speaks of the run.
    pub fn note(&self, text: &str) -> Vec<Rendered> {
        self.told(Style::Note, "— ", text)
    }

    /// Cleaned and masked, not cut.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.text(&sanitize(text)).into_owned()
    }

    fn styled(&self, text: &str) -> Clean {
        Clean::of(text, &self.redactor, &mut Carry::default())
    }

    fn told(&self, style: Style, mark: &str, text: &str) -> Vec<Rendered> {
        cut(style, Lead::mark(mark), &Clean::plain(self.clean(text)), MESSAGE)
    }

    fn started(&self, session: Option<&str>, model: Option<&str>) -> Vec<Rendered> {
        let parts = [session.map(|id| format!("session {id}")), model.map(|name| format!("model {name}"))];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let text = if parts.is_empty() { "the agent has started".to_owned() } else { parts.join(", ") };
        self.note(&text)
    }

    /// Programs repeat their warnings, on several ways and at each turn.
    fn warning(&mut self, text: &str) -> Vec<Rendered> {
        if self.warned.contains(text) {
            return Vec::new();
        }
        if self.warned.len() < WARNINGS {
            self.warned.insert(text.to_owned());
        }
        self.told(Style::Warning, "! ", text)
    }

    /// What the agent says, with its answer in words; of an answer, what it has just said is not said again.
    fn speech(&mut self, text: &str) -> Vec<Rendered> {
        let Some((before, answer)) = readable(text) else {
            self.said = Some(text.trim().to_owned());
            return self.spoken(text);
        };
        let said = self.said.take().unwrap_or_default();
        let is_news = |part: &&str| !part.is_empty() && !said.contains(part.trim());
        let told: Vec<&str> = [before, &answer].into_iter().filter(is_news).collect();
        if told.is_empty() { Vec::new() } else { self.spoken(&told.join("\n")) }
    }

    fn spoken(&mut self, text: &str) -> Vec<Rendered> {
        let clean = Clean::of(text, &self.redactor, &mut self.speech);
        match cut(Style::Speech, Lead::mark(""), &clean, SPEECH) {
            lines if lines.is_empty() => vec![Rendered::plain(Style::Speech, "")],
            lines => lines,
        }
    }

    fn call(&mut self, id: &str, name: &str, input: &str) -> Vec<Rendered> {
        // A command is shown as it is.
        let is_command = matches!(name, "Bash" | "bash" | "shell");
        let input = if is_command { input.to_owned() } else { self.shorter_paths(input) };
        let call = self.clean(&if input.is_empty() { name.to_owned() } else { format!("{name}: {input}") });
        if self.open.len() < OPEN {
            self.open.insert(id.to_owned(), call.chars().take(AGAIN).collect());
        }
        self.last = Some(id.to_owned());
        self.said = None;
        cut(Style::Tool, Lead::mark("▸ "), &Clean::plain(call), CALL)
    }

    /// A list of files, named from the agent's directory on.
    fn shorter_paths(&self, input: &str) -> String {
        let Some(root) = &self.root else { return input.to_owned() };
        let parts: Vec<&str> = input.split(", ").map(|part| part.strip_prefix(root.as_str()).unwrap_or(part)).collect();
        parts.join(", ")
    }

    /// How it went, how long it took, and the beginning of what came of it.
    fn result(&mut self, event: &AgentEvent) -> Vec<Rendered> {
        let AgentEvent::ToolResult { id, ok, output, took_ms, edits } = event else { return Vec::new() };
        let call = self.open.remove(id.as_str());
        let call = call.filter(|_| self.last.as_ref() != Some(id));
        let took = took_ms.filter(|took| *took >= WORTH_TELLING).map(duration);
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

/// A duration for a person.
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
    use orch_core::edit::{EditKind, FileEdit};
    use orch_core::outcome::{FailureClass, Usage};

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
    fn the_last_message_is_told_once_and_its_answer_in_words() {
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
        assert_eq!(render(&between), "Added it.\n▸ Read: a\nAdded it.\n", "said after something else it is news");
    }

    #[test]
    fn a_warning_is_told_once_in_a_run() {
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
        let told = |edits: Vec<FileEdit>| {
            let output = "The file was updated.".to_owned();
            render(&[AgentEvent::ToolResult { id: String::new(), ok: true, output, took_ms: Some(500), edits }])
        };
        let expected = "  ✓ 0.5 s · src/lib.rs +1 −1\n    - old\n    + [REDACTED:API_KEY]\n";
        assert_eq!(told(vec![edit]), expected);
        let unknown = FileEdit::unknown("src/lib.rs", EditKind::Update);
        assert_eq!(told(vec![unknown]), "  ✓ 0.5 s · The file was updated.\n");
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
