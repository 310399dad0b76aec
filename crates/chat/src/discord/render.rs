//! Renders messages in Discord's markup, split by length. PURE. Text is escaped: it contains no markup, no mention and no
//! change of the writing direction.

use super::super::chat::cut::{CLOSE, cut, measure, open_fence};
use orch_core::operations::channel::{Block, ChatMessage, Span};

/// Longest message in UTF-16 units; Discord counts characters, which are never more.
pub const LONGEST: usize = 2000;
/// Invisible separator that breaks up mentions and fences.
const SEPARATOR: char = '\u{200b}';

/// Returns the Discord messages of one [`ChatMessage`], in order; at least one.
pub fn messages(message: &ChatMessage) -> Vec<String> {
    let mut whole = String::new();
    for part in &message.blocks {
        match part {
            Block::Line(spans) => whole.push_str(&line(spans)),
            Block::Block(text) => block(text, &mut whole),
        }
        whole.push('\n');
    }
    split(whole.trim_end())
}

fn line(spans: &[Span]) -> String {
    let mut out = String::new();
    for span in spans {
        match span {
            Span::Plain(text) => words(text, &mut out),
            Span::Bold(text) if text.trim().is_empty() => words(text, &mut out),
            Span::Bold(text) => {
                out.push_str("**");
                words(text, &mut out);
                out.push_str("**");
            }
            Span::Code(text) => code(text, &mut out),
        }
    }
    out
}

/// Escapes plain text.
fn words(text: &str, out: &mut String) {
    for c in clean(text) {
        match c {
            // A line stays one line.
            '\n' | '\t' => out.push(' '),
            '@' => out.extend([c, SEPARATOR]),
            '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '#' => out.extend(['\\', c]),
            '-' | '+' if out.is_empty() => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
}

fn code(text: &str, out: &mut String) {
    let text: String = clean(text).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if text.trim().is_empty() {
        return out.push_str(&text);
    }
    // Double backticks may enclose single ones.
    match (text.contains('`'), text.contains("``")) {
        (false, _) => out.push_str(&format!("`{text}`")),
        (true, false) => out.push_str(&format!("`` {text} ``")),
        (true, true) => out.push_str(&format!("`{}`", text.replace('`', "ˋ"))),
    }
}

fn block(text: &str, out: &mut String) {
    let text: String = clean(text).collect();
    out.push_str("```\n");
    out.push_str(&text.trim_end_matches('\n').replace("``", &format!("`{SEPARATOR}`")));
    out.push_str(CLOSE);
}

/// Removes control characters and those that change the direction of writing.
fn clean(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !turns && (!c.is_control() || matches!(c, '\n' | '\t'))
    })
}

/// Splits text into chunks that fit a message, at line ends if possible; a split code block is closed and reopened.
pub fn split(whole: &str) -> Vec<String> {
    let mut chunks = Vec::new();
    let mut rest = whole;
    let mut fence: Option<String> = None;
    loop {
        let opening = fence.clone().unwrap_or_default();
        let capacity = LONGEST - measure(&opening) - measure(CLOSE);
        let length = whole_characters(rest, cut(rest, capacity, true));
        let text = &rest[..length];
        fence = open_fence(fence.as_deref(), text);
        let close = if fence.is_some() { CLOSE } else { "" };
        let chunk = format!("{opening}{}{close}", text.trim_end_matches('\n'));
        if !chunk.trim().is_empty() {
            chunks.push(chunk);
        }
        rest = &rest[length..];
        if rest.is_empty() {
            break;
        }
    }
    if chunks.is_empty() {
        chunks.push(SEPARATOR.to_string());
    }
    chunks
}

/// Moves a cut before a backslash, so that it is not separated from the character that it escapes.
fn whole_characters(text: &str, at: usize) -> usize {
    let slashes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
    if at < text.len() && slashes % 2 == 1 && at > 1 { at - 1 } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rendered(blocks: Vec<Block>) -> Vec<String> {
        messages(&ChatMessage { blocks, ..ChatMessage::default() })
    }

    /// Returns what Discord shows of a line: without the backslashes before punctuation.
    fn shown(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars().filter(|c| *c != SEPARATOR).peekable();
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
            rendered(vec![line]),
            [format!(
                "\\*\\*@{SEPARATOR}everyone\\*\\* \\<@{SEPARATOR}12\\> \\[x\\](http://y) \\# \\_a\\_ \\`rm\\` \\|\\|b\\|\\| c"
            )]
        );
    }

    #[test]
    fn code_keeps_its_backticks_and_a_block_is_not_left_from_within() {
        assert_eq!(rendered(vec![Block::Line(vec![Span::Code("a`b".to_owned())])]), ["`` a`b ``"]);
        assert_eq!(rendered(vec![Block::Line(vec![Span::Code("a``b".to_owned())])]), ["`aˋˋb`"]);
        let out = rendered(vec![Block::Block("x\n```\n**y**\n".to_owned())]);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].matches("```").count(), 2, "{out:?}");
        assert!(out[0].ends_with("**y**\n```"), "{out:?}");
    }

    #[test]
    fn a_long_block_is_whole_in_each_message_and_cut_at_line_ends() {
        let text: String = (0..400).map(|n| format!("line {n}\n")).collect();
        let out = rendered(vec![Block::plain("diff"), Block::Block(text.clone())]);
        assert!(out.len() > 1);
        for chunk in &out {
            assert!(measure(chunk) <= LONGEST);
            assert_eq!(chunk.matches("```").count(), 2, "{chunk}");
        }
        let lines: Vec<&str> =
            out.iter().flat_map(|chunk| chunk.lines().filter(|line| line.starts_with("line "))).collect();
        assert_eq!(lines.join("\n") + "\n", text);
    }

    #[test]
    fn nothing_is_a_message_too() {
        assert_eq!(rendered(Vec::new()), [SEPARATOR.to_string()]);
    }

    #[test]
    fn an_emoji_at_the_split_point_stays_whole() {
        let text = "😀".repeat(3000);
        let out = rendered(vec![Block::plain(text.clone())]);
        assert!(out.iter().all(|chunk| measure(chunk) <= LONGEST));
        assert_eq!(out.concat(), text);
    }

    proptest! {
        #[test]
        fn every_word_arrives_and_every_message_fits(text in "[ -~😀äß]{0,5000}") {
            let out = rendered(vec![Block::plain(text.clone())]);
            prop_assert!(out.iter().all(|chunk| measure(chunk) <= LONGEST));
            let kept = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let seen: String = out.iter().map(|chunk| shown(chunk)).collect();
            prop_assert_eq!(kept(&seen), kept(&text));
        }

        #[test]
        fn no_text_mentions_anybody(text in "[@<>!&#0-9a-z\\\\]{0,300}") {
            for chunk in rendered(vec![Block::plain(text), Block::plain("x")]) {
                prop_assert!(!chunk.contains("@everyone") && !chunk.contains("@here"));
                let mut before = 'x';
                let mut escaped = false;
                for c in chunk.chars() {
                    prop_assert!(c != '<' || escaped, "{} {}", before, chunk);
                    escaped = c == '\\' && !escaped;
                    before = c;
                }
            }
        }
    }
}
