//! Takes everything out of an agent's text that a terminal would act on. What is left is text, tabs and line feeds.

/// What the text is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After ESC.
    Escape,
    /// Inside `ESC [ …` up to its final byte.
    Control,
    /// Inside a string that only the terminal reads (title, clipboard, device command).
    Hidden,
    /// After an ESC within such a string.
    HiddenEscape,
}

/// The text without escape sequences, control characters and marks that turn the direction of writing around.
/// Carriage returns end a line, as in progress displays. A hidden string ends with its line at the latest, so that
/// an unfinished one cannot swallow what follows.
pub fn sanitize(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut state = State::Text;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\r' if chars.peek() == Some(&'\n') => continue,
            '\r' => '\n',
            other => other,
        };
        state = step(state, c, &mut clean);
    }
    clean
}

fn step(state: State, c: char, clean: &mut String) -> State {
    match (state, c) {
        (_, '\n') => {
            clean.push('\n');
            State::Text
        }
        // Cancel and substitute end any sequence.
        (_, '\u{18}' | '\u{1a}') => State::Text,
        (State::Hidden, '\u{1b}') => State::HiddenEscape,
        (State::Hidden | State::HiddenEscape, '\u{7}' | '\u{9c}') | (State::HiddenEscape, '\\') => State::Text,
        (State::Hidden, _) => State::Hidden,
        (State::HiddenEscape, _) => step(State::Escape, c, clean),
        (_, '\u{1b}') => State::Escape,
        (State::Escape, '[') | (State::Text, '\u{9b}') => State::Control,
        (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::Hidden,
        (State::Text, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => State::Hidden,
        // Intermediate bytes of a longer escape, such as the choice of a character set.
        (State::Escape, ' '..='/') => State::Escape,
        (State::Escape, _) => State::Text,
        (State::Control, ' '..='?') => State::Control,
        (State::Control, '@'..='~') => State::Text,
        // Not a byte of such a sequence: it is broken off, and this is text again.
        (State::Control, _) => step(State::Text, c, clean),
        (State::Text, _) => {
            if c == '\t' || !(c.is_control() || turns_direction(c)) {
                clean.push(c);
            }
            State::Text
        }
    }
}

/// Marks that make text read in another order than it is written.
fn turns_direction(c: char) -> bool {
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

    proptest! {
        #[test]
        fn nothing_that_controls_a_terminal_survives(text in "([\\x00-\\x7f\\u{80}-\\u{9f}é]|\\x1b\\[|\\x1b\\]|\\x1bP){0,80}") {
            let clean = sanitize(&text);
            prop_assert!(clean.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{:?}", clean);
            prop_assert_eq!(sanitize(&clean), clean);
        }
    }
}
