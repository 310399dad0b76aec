//! Decodes what a program writes to its terminal into the characters for its screen. PURE. Invalid UTF-8 is replaced,
//! wherever the bytes are split; strings that only a terminal reads (title, clipboard, device commands) are left out, and
//! end with their line at the latest, so that an unfinished one cannot hide what follows.

/// The state of the parser.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC, which is held back until its sequence is known.
    Escape,
    /// Inside a string that is left out.
    Hidden,
    /// After an ESC within such a string.
    HiddenEscape,
}

/// The decoder of one stream.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// The beginning of a character whose end has not arrived.
    partial: Vec<u8>,
    state: State,
}

impl Intake {
    /// Takes the next bytes and passes on every character that they complete.
    pub(super) fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(char)) {
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let mut chunks = joined.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            chunk.valid().chars().for_each(|c| self.step(c, take));
            let rest = chunk.invalid();
            let may_continue = chunks.peek().is_none() && is_char_prefix(rest);
            if may_continue {
                self.partial = rest.to_vec();
            } else if !rest.is_empty() {
                self.step(char::REPLACEMENT_CHARACTER, take);
            }
        }
    }

    fn step(&mut self, c: char, take: &mut dyn FnMut(char)) {
        self.state = match (self.state, c) {
            (State::Text | State::Escape, '\u{1b}') => State::Escape,
            (State::Text, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => State::Hidden,
            // `ESC k` sets the title where the terminal is tmux or screen.
            (State::Escape, ']' | 'P' | 'X' | '^' | '_' | 'k') => State::Hidden,
            (State::Escape, _) => {
                take('\u{1b}');
                take(c);
                State::Text
            }
            (State::Hidden | State::HiddenEscape, '\n') => {
                take('\n');
                State::Text
            }
            (State::Hidden | State::HiddenEscape, '\u{7}' | '\u{18}' | '\u{1a}' | '\u{9c}') => State::Text,
            (State::Hidden | State::HiddenEscape, '\u{1b}') => State::HiddenEscape,
            (State::HiddenEscape, '\\') => State::Text,
            (State::HiddenEscape, _) => {
                self.state = State::Escape;
                return self.step(c, take);
            }
            (State::Hidden, _) => State::Hidden,
            (State::Text, _) => {
                take(c);
                State::Text
            }
        };
    }
}

/// Returns whether these bytes are the beginning of a character.
fn is_char_prefix(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(chunks: &[&[u8]]) -> String {
        let mut intake = Intake::default();
        let mut text = String::new();
        chunks.iter().for_each(|chunk| intake.push(chunk, &mut |c| text.push(c)));
        text
    }

    #[test]
    fn strings_for_the_terminal_are_left_out_and_never_hide_the_next_line() {
        for (raw, text) in [
            ("a\u{1b}]52;c;AAAA\u{7}b", "ab"),
            ("a\u{1b}]0;title\u{1b}\\b", "ab"),
            ("a\u{1b}ktitle\u{1b}\\b", "ab"),
            ("a\u{1b}P$qm\u{1b}\\b", "ab"),
            ("a\u{9d}0;title\u{9c}b", "ab"),
            ("a\u{1b}]0;never ended\nb", "a\nb"),
            ("a\u{1b}]0;x\u{1b}[31mb", "a\u{1b}[31mb"),
            ("a\u{1b}[1mb", "a\u{1b}[1mb"),
        ] {
            assert_eq!(read(&[raw.as_bytes()]), text, "{raw:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_characters_may_come_in_pieces() {
        assert_eq!(read(&[b"a\xffb\xc3"]), "a\u{fffd}b");
        assert_eq!(read(&[b"\xf0\x9f", b"\x99\x82!"]), "\u{1f642}!");
        assert_eq!(read(&[b"\xf0\x9f", b"x"]), "\u{fffd}x");
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_makes_no_difference(bytes in prop::collection::vec(any::<u8>(), 0..40), cut in 0_usize..40) {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(read(&[head, tail]), read(&[&bytes]));
        }
    }
}
