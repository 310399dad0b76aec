//! What is said, in Discord's markup: every word as it is, none of it markup, a mention or an order of reading of its
//! own; in as many messages as it takes. PURE.

use super::super::chat::cut::{CLOSE, cut, measure, open_fence};
use orch_core::channel::{Block, ChatMessage, Span};

/// The longest message, in UTF-16 units: Discord counts characters, which are never more.
pub const LONGEST: usize = 2000;
/// Parts the pieces of what would otherwise mean something. Nobody sees it.
const NOTHING: char = '\u{200b}';

/// The Discord messages of one [`ChatMessage`], in order; at least one.
pub fn messages(saying: &ChatMessage) -> Vec<String> {
    let mut whole = String::new();
    for passage in &saying.passages {
        match passage {
            Block::Line(spans) => whole.push_str(&line(spans)),
            Block::Block(text) => block(text, &mut whole),
        }
        whole.push('\n');
    }
    split(whole.trim_end())
}

fn line(spans: &[Span]) -> String {
    let mut told = String::new();
    for span in spans {
        match span {
            Span::Plain(text) => words(text, &mut told),
            Span::Bold(text) if text.trim().is_empty() => words(text, &mut told),
            Span::Bold(text) => {
                told.push_str("**");
                words(text, &mut told);
                told.push_str("**");
            }
            Span::Code(text) => code(text, &mut told),
        }
    }
    told
}

/// Words in which nothing means anything to Discord.
fn words(text: &str, told: &mut String) {
    for c in clean(text) {
        match c {
            // A line of ours is one line, and what begins a line is no list.
            '\n' | '\t' => told.push(' '),
            '@' => told.extend([c, NOTHING]),
            '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '#' => told.extend(['\\', c]),
            '-' | '+' if told.is_empty() => told.extend(['\\', c]),
            c => told.push(c),
        }
    }
}

fn code(text: &str, told: &mut String) {
    let text: String = clean(text).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if text.trim().is_empty() {
        return told.push_str(&text);
    }
    // Between two backticks one may stand.
    match (text.contains('`'), text.contains("``")) {
        (false, _) => told.push_str(&format!("`{text}`")),
        (true, false) => told.push_str(&format!("`` {text} ``")),
        (true, true) => told.push_str(&format!("`{}`", text.replace('`', "ˋ"))),
    }
}

fn block(text: &str, told: &mut String) {
    let text: String = clean(text).collect();
    told.push_str("```\n");
    told.push_str(&text.trim_end_matches('\n').replace("``", &format!("`{NOTHING}`")));
    told.push_str(CLOSE);
}

/// Without what moves a cursor, rings a bell or turns the order of reading around.
fn clean(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !turns && (!c.is_control() || matches!(c, '\n' | '\t'))
    })
}

/// Pieces that fit a message each, at line ends where there are some; a block that is cut is closed and opened again.
pub fn split(whole: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = whole;
    let mut fence: Option<String> = None;
    loop {
        let opening = fence.clone().unwrap_or_default();
        let room = LONGEST - measure(&opening) - measure(CLOSE);
        let length = whole_characters(rest, cut(rest, room, true));
        let text = &rest[..length];
        fence = open_fence(fence.as_deref(), text);
        let close = if fence.is_some() { CLOSE } else { "" };
        let piece = format!("{opening}{}{close}", text.trim_end_matches('\n'));
        if !piece.trim().is_empty() {
            pieces.push(piece);
        }
        rest = &rest[length..];
        if rest.is_empty() {
            break;
        }
    }
    if pieces.is_empty() {
        pieces.push(NOTHING.to_string());
    }
    pieces
}

/// No cut between a backslash and what it takes the meaning of.
fn whole_characters(text: &str, at: usize) -> usize {
    let slashes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
    if at < text.len() && slashes % 2 == 1 && at > 1 { at - 1 } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(passages: Vec<Block>) -> Vec<String> {
        messages(&ChatMessage { passages, ..ChatMessage::default() })
    }

    /// What Discord shows of a line: without the backslashes before punctuation.
    fn shown(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars().filter(|c| *c != NOTHING).peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek().is_some_and(char::is_ascii_punctuation) => out.extend(chars.next()),
                c => out.push(c),
            }
        }
        out
    }

    #[test]
    fn a_title_is_neither_markup_nor_a_mention() {
        let line = Block::plain("**@everyone** <@12> [x](http://y) # _a_ `rm` ||b|| \u{202e}c\u{7}");
        assert_eq!(
            told(vec![line]),
            [format!(
                "\\*\\*@{NOTHING}everyone\\*\\* \\<@{NOTHING}12\\> \\[x\\](http://y) \\# \\_a\\_ \\`rm\\` \\|\\|b\\|\\| c"
            )]
        );
    }

    #[test]
    fn code_keeps_its_backticks_and_a_block_is_not_left_from_within() {
        assert_eq!(told(vec![Block::Line(vec![Span::Code("a`b".to_owned())])]), ["`` a`b ``"]);
        assert_eq!(told(vec![Block::Line(vec![Span::Code("a``b".to_owned())])]), ["`aˋˋb`"]);
        let out = told(vec![Block::Block("x\n```\n**y**\n".to_owned())]);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].matches("```").count(), 2, "{out:?}");
        assert!(out[0].ends_with("**y**\n```"), "{out:?}");
    }

    #[test]
    fn a_long_block_is_whole_in_each_message_and_cut_at_line_ends() {
        let text: String = (0..400).map(|n| format!("line {n}\n")).collect();
        let out = told(vec![Block::plain("diff"), Block::Block(text.clone())]);
        assert!(out.len() > 1);
        for piece in &out {
            assert!(measure(piece) <= LONGEST);
            assert_eq!(piece.matches("```").count(), 2, "{piece}");
        }
        let lines: Vec<&str> =
            out.iter().flat_map(|piece| piece.lines().filter(|line| line.starts_with("line "))).collect();
        assert_eq!(lines.join("\n") + "\n", text);
    }

    #[test]
    fn nothing_is_a_message_too() {
        assert_eq!(told(Vec::new()), [NOTHING.to_string()]);
    }

    #[test]
    fn an_emoji_at_the_split_point_stays_whole() {
        let text = "😀".repeat(3000);
        let out = told(vec![Block::plain(text.clone())]);
        assert!(out.iter().all(|piece| measure(piece) <= LONGEST));
        assert_eq!(out.concat(), text);
    }

    proptest! {
        #[test]
        fn every_word_arrives_and_every_message_fits(text in "[ -~😀äß]{0,5000}") {
            let out = told(vec![Block::plain(text.clone())]);
            prop_assert!(out.iter().all(|piece| measure(piece) <= LONGEST));
            let kept = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let seen: String = out.iter().map(|piece| shown(piece)).collect();
            prop_assert_eq!(kept(&seen), kept(&text));
        }

        #[test]
        fn no_text_mentions_anybody(text in "[@<>!&#0-9a-z\\\\]{0,300}") {
            for piece in told(vec![Block::plain(text), Block::plain("x")]) {
                prop_assert!(!piece.contains("@everyone") && !piece.contains("@here"));
                let mut before = 'x';
                let mut escaped = false;
                for c in piece.chars() {
                    prop_assert!(c != '<' || escaped, "{} {}", before, piece);
                    escaped = c == '\\' && !escaped;
                    before = c;
                }
            }
        }
    }
}
