//! Removes everything from an agent's text that a terminal would act on. What is left is text, tabs and line feeds;
//! colours are returned beside it.

use orch_core::text::styled::{Pen, Span};

/// The state of the parser.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After ESC.
    Escape,
    /// Inside `ESC [ …` up to its final byte.
    Control,
    /// Inside a string that only a terminal reads (title, clipboard, device command).
    Hidden,
    /// After an ESC within such a string.
    HiddenEscape,
}

/// The most characters of parameters that a graphic rendition has.
const MAX_PARAMETERS: usize = 64;

/// Returns the text without escape sequences, control characters and marks that change the direction of writing.
/// Carriage returns end a line, as in progress displays. A hidden string ends with its line at the latest, so that
/// an unfinished one cannot swallow what follows.
pub fn sanitize(text: &str) -> String {
    clean(text).text
}

/// Like [`sanitize`], and also returns the colours by their byte offsets in the clean text.
pub(super) fn sanitize_styled(text: &str) -> (String, Vec<Span>) {
    let Cleaner { text, spans, .. } = clean(text);
    (text, spans)
}

/// The clean text so far.
#[derive(Default)]
struct Cleaner {
    text: String,
    /// Parameters of the sequence that is being read.
    parameters: String,
    pen: Pen,
    spans: Vec<Span>,
}

fn clean(text: &str) -> Cleaner {
    let mut cleaner = Cleaner { text: String::with_capacity(text.len()), ..Cleaner::default() };
    let mut state = State::Text;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\r' if chars.peek() == Some(&'\n') => continue,
            '\r' => '\n',
            other => other,
        };
        state = step(state, c, &mut cleaner);
    }
    cleaner
}

impl Cleaner {
    /// Begins a control sequence.
    fn begin(&mut self) -> State {
        self.parameters.clear();
        State::Control
    }

    fn parameter(&mut self, c: char) -> State {
        if self.parameters.len() < MAX_PARAMETERS {
            self.parameters.push(c);
        }
        State::Control
    }

    /// Ends a control sequence. Only graphic renditions matter here.
    fn control(&mut self, last: char) -> State {
        let plain = |c: char| c.is_ascii_digit() || matches!(c, ';' | ':');
        if last == 'm' && self.parameters.len() < MAX_PARAMETERS && self.parameters.chars().all(plain) {
            let before = self.pen;
            self.pen.apply(&self.parameters);
            if self.pen != before {
                self.spans.push(Span { at: self.text.len(), pen: self.pen });
            }
        }
        State::Text
    }
}

fn step(state: State, c: char, cleaner: &mut Cleaner) -> State {
    match (state, c) {
        (_, '\n') => {
            cleaner.text.push('\n');
            State::Text
        }
        // Cancel and substitute end any sequence.
        (_, '\u{18}' | '\u{1a}') => State::Text,
        (State::Hidden, '\u{1b}') => State::HiddenEscape,
        (State::Hidden | State::HiddenEscape, '\u{7}' | '\u{9c}') | (State::HiddenEscape, '\\') => State::Text,
        (State::Hidden, _) => State::Hidden,
        (State::HiddenEscape, _) => step(State::Escape, c, cleaner),
        (_, '\u{1b}') => State::Escape,
        (State::Escape, '[') | (State::Text, '\u{9b}') => cleaner.begin(),
        (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::Hidden,
        (State::Text, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => State::Hidden,
        // Intermediate bytes of a longer escape, such as the choice of a character set.
        (State::Escape, ' '..='/') => State::Escape,
        (State::Escape, _) => State::Text,
        (State::Control, ' '..='?') => cleaner.parameter(c),
        (State::Control, '@'..='~') => cleaner.control(c),
        // Not a byte of such a sequence: the sequence is aborted, and this is text again.
        (State::Control, _) => step(State::Text, c, cleaner),
        (State::Text, _) => {
            if c == '\t' || !(c.is_control() || is_direction_mark(c)) {
                cleaner.text.push(c);
            }
            State::Text
        }
    }
}

/// Returns whether the character makes text read in another order than it is written.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_text_is_left_of_what_terminals_act_on() {
        for (raw, clean) in [
            ("plain\ttext\nüñ 日本 🙂", "plain\ttext\nüñ 日本 🙂"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]52;c;Y2xpcGJvYXJk\u{7}after", "after"),
            ("\u{1b}]0;title\u{1b}\\after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}Pq#0;2;0;0;0\u{1b}\\after", "after"),
            ("\u{9b}31mred\u{9d}0;title\u{9c}after", "redafter"),
            ("\u{1b}(Bset\u{1b}7\u{1b}8\u{1b}cdone", "setdone"),
            ("a\u{8}b\u{7}c\0d\u{7f}e", "abcde"),
            ("10%\r50%\r100%\r\nok", "10%\n50%\n100%\nok"),
            ("\u{1b}]0;never ended\nnext line", "\nnext line"),
            ("user\u{202e}txt.exe", "usertxt.exe"),
            ("\u{1b}[12", ""),
            ("\u{1b}[3é", "é"),
        ] {
            assert_eq!(sanitize(raw), clean, "{raw:?}");
        }
    }

    #[test]
    fn colours_are_returned_beside_the_text_and_nothing_else_is() {
        let (text, spans) =
            sanitize_styled("a\u{1b}[1;31mb\u{1b}[2J\u{1b}[?25m\u{1b}]0;t\u{7}ü\u{9b}0mc\u{1b}[>4;1md\u{1b}[0m");
        assert_eq!(text, "abücd");
        let found: Vec<(usize, String)> = spans.iter().map(|span| (span.at, span.pen.parameters())).collect();
        assert_eq!(found, [(1, "1;31".to_owned()), (4, String::new())]);
        let flood = format!("\u{1b}[{}mx", "1;".repeat(10_000));
        assert_eq!(sanitize_styled(&flood), ("x".to_owned(), Vec::new()));
    }

    proptest! {
        #[test]
        fn nothing_that_controls_a_terminal_survives(text in "([\\x00-\\x7f\\u{80}-\\u{9f}é]|\\x1b\\[|\\x1b\\]|\\x1bP){0,80}") {
            let clean = sanitize(&text);
            prop_assert!(clean.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{:?}", clean);
            prop_assert_eq!(sanitize(&clean), clean);
        }
    }
}
