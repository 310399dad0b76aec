//! Renders messages as Telegram's HTML, split by length. PURE. All text is data: it is escaped, mentions nobody, and no
//! command in it is clickable.

use orch_core::operations::channel::{Block, ChatMessage, Document, Span};
use unicode_segmentation::UnicodeSegmentation;

/// Longest message in UTF-16 units without markup, as Telegram counts it.
pub const LONGEST: usize = 4096;
/// Maximum number of messages; longer content is sent as a file.
const MOST: usize = 3;
/// Last line of a message whose whole text is in the file.
const REST: &str = "… the whole is in the file";

/// A rendered message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The messages, as HTML.
    pub pages: Vec<String>,
    /// A file that follows them.
    pub document: Option<Document>,
}

/// Renders a message.
pub fn render(message: &ChatMessage) -> Rendered {
    let mut pages = pages(message, LONGEST);
    let mut document = message.document.clone();
    if pages.len() > MOST && document.is_none() {
        let name = message.task.map_or_else(|| "orch.txt".to_owned(), |task| format!("{task}.txt"));
        document = Some(Document { name, text: message.plain_text() });
        pages = self::pages(message, LONGEST - REST.len() - 1);
        pages.truncate(1);
        pages.iter_mut().for_each(|page| page.push_str(&format!("\n{REST}")));
    }
    Rendered { pages, document }
}

/// Renders what fits into a single message, for edits.
pub fn one_page(message: &ChatMessage) -> String {
    let mut pages = pages(message, LONGEST - 2).into_iter();
    let first = pages.next().unwrap_or_default();
    if pages.next().is_some() { format!("{first}\n…") } else { first }
}

/// A text style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Bold,
    Code,
    Block,
}

impl Style {
    fn tags(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("", ""),
            Self::Bold => ("<b>", "</b>"),
            Self::Code => ("<code>", "</code>"),
            Self::Block => ("<pre>", "</pre>"),
        }
    }
}

/// Splits text into pages.
struct Paginator {
    longest: usize,
    done: Vec<String>,
    page: String,
    units: usize,
    is_blank: bool,
    open: Style,
}

fn pages(message: &ChatMessage, longest: usize) -> Vec<String> {
    let empty = String::new;
    let mut paginator =
        Paginator { longest, done: Vec::new(), page: empty(), units: 0, is_blank: true, open: Style::Plain };
    for block in &message.blocks {
        match block {
            Block::Line(spans) => {
                let spans: Vec<(Style, String)> = spans.iter().map(styled).collect();
                paginator.line(&spans);
            }
            Block::Block(text) => {
                for line in text.trim_end_matches('\n').split('\n') {
                    paginator.line(&[(Style::Block, clean(line))]);
                }
            }
        }
    }
    paginator.next_page();
    paginator.done
}

fn styled(span: &Span) -> (Style, String) {
    match span {
        Span::Plain(text) => (Style::Plain, defuse(&clean(text))),
        Span::Bold(text) => (Style::Bold, defuse(&clean(text))),
        Span::Code(text) => (Style::Code, clean(text)),
    }
}

impl Paginator {
    /// Adds a line. A line that fits stays whole; a longer one is split between grapheme clusters.
    fn line(&mut self, spans: &[(Style, String)]) {
        let length: usize = spans.iter().map(|(_, text)| units(text)).sum();
        let feed = usize::from(self.units > 0);
        if self.units + feed + length > self.longest {
            self.next_page();
        }
        if self.units > 0 {
            let keeps = spans.iter().any(|(style, _)| *style == Style::Block && self.open == Style::Block);
            if !keeps {
                self.style(Style::Plain);
            }
            self.page.push('\n');
            self.units += 1;
        }
        for (style, text) in spans {
            for character in text.graphemes(true) {
                self.put(*style, character);
            }
            // Keeps empty lines inside the block.
            if *style == Style::Block {
                self.style(Style::Block);
            }
        }
        if self.open != Style::Block {
            self.style(Style::Plain);
        }
    }

    fn put(&mut self, style: Style, character: &str) {
        let length = units(character);
        if length > self.longest {
            // A grapheme cluster longer than a page is split.
            character.chars().for_each(|c| self.put(style, c.encode_utf8(&mut [0; 4])));
            return;
        }
        if self.units + length > self.longest {
            self.next_page();
        }
        self.style(style);
        for c in character.chars() {
            match c {
                '<' => self.page.push_str("&lt;"),
                '>' => self.page.push_str("&gt;"),
                '&' => self.page.push_str("&amp;"),
                other => self.page.push(other),
            }
        }
        self.units += length;
        self.is_blank &= character.trim().is_empty();
    }

    fn style(&mut self, style: Style) {
        if self.open != style {
            self.page.push_str(self.open.tags().1);
            self.page.push_str(style.tags().0);
            self.open = style;
        }
    }

    /// Starts a new page. Blank pages are dropped.
    fn next_page(&mut self) {
        self.style(Style::Plain);
        let page = std::mem::take(&mut self.page);
        if !self.is_blank {
            self.done.push(page);
        }
        (self.units, self.is_blank) = (0, true);
    }
}

/// Returns the length of a text in UTF-16 units, as Telegram counts it.
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Removes control characters and joins lines; a tab becomes spaces.
fn clean(text: &str) -> String {
    super::super::conversation::parse::plain(text).replace('\t', "    ").replace('\n', " ")
}

/// Prevents mentions and clickable commands with invisible characters.
fn defuse(text: &str) -> String {
    let mut defuse = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        defuse.push(c);
        if c == '@' || (c == '/' && !before.is_alphanumeric() && !matches!(before, '/' | ':')) {
            defuse.push('\u{2060}');
        }
        before = c;
    }
    defuse
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::base::ids::TaskId;
    use proptest::prelude::*;

    fn block(text: &str) -> ChatMessage {
        ChatMessage { blocks: vec![Block::Block(text.to_owned())], task: Some(TaskId(7)), ..ChatMessage::default() }
    }

    fn plain(text: &str) -> ChatMessage {
        ChatMessage { blocks: vec![Block::plain(text)], ..ChatMessage::default() }
    }

    /// Returns what Telegram shows of a message: the text without markup. Fails where the markup is not sound.
    fn shown(html: &str) -> String {
        let (mut text, mut rest, mut open) = (String::new(), html, Vec::new());
        while let Some(at) = rest.find(['<', '&']) {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("</") {
                let (tag, after) = after.split_once('>').expect("a tag ends");
                assert_eq!(open.pop(), Some(tag.to_owned()), "{html}");
                rest = after;
            } else if let Some(after) = rest.strip_prefix('<') {
                let (tag, after) = after.split_once('>').expect("a tag ends");
                assert!(["b", "code", "pre"].contains(&tag), "{html}");
                open.push(tag.to_owned());
                rest = after;
            } else {
                let (entity, after) = rest[1..].split_once(';').expect("an entity ends");
                text.push(match entity {
                    "lt" => '<',
                    "gt" => '>',
                    "amp" => '&',
                    other => panic!("{other}"),
                });
                rest = after;
            }
        }
        assert!(open.is_empty(), "{html}");
        text + rest
    }

    #[test]
    fn markup_is_ours_and_what_is_said_is_data() {
        let line = vec![
            Span::Bold("#7 <b>x</b>".to_owned()),
            Span::Plain(" & @everyone: press /cancel or a/b https://x.test".to_owned()),
            Span::Code("/show 7 @me".to_owned()),
        ];
        let message = ChatMessage {
            blocks: vec![Block::Line(line), Block::Block("a < b\n\n\u{1b}[31mc\n".to_owned())],
            ..ChatMessage::default()
        };
        assert_eq!(
            render(&message).pages,
            [
                "<b>#7 &lt;b&gt;x&lt;/\u{2060}b&gt;</b> &amp; @\u{2060}everyone: press /\u{2060}cancel or a/b https://x.test\
              <code>/show 7 @me</code>\n<pre>a &lt; b\n\n[31mc</pre>"
            ]
        );
    }

    #[test]
    fn a_message_is_cut_at_a_lines_end_and_no_emoji_is_torn() {
        let lines: Vec<String> = (0..200).map(|n| format!("line {n} {}", "x".repeat(30))).collect();
        let pages = render(&block(&lines.join("\n"))).pages;
        assert_eq!(pages.len(), 2);
        let text: Vec<String> = pages.iter().map(|page| shown(page)).collect();
        assert_eq!(text.join("\n"), lines.join("\n"));
        // 4,095 letters, and an emoji of several parts that would stand across the end.
        let family = "👨‍👩‍👧‍👦";
        let pages = render(&plain(&format!("{}{family}", "a".repeat(4095)))).pages;
        assert_eq!(pages, ["a".repeat(4095), family.to_owned()]);
    }

    #[test]
    fn a_hundred_thousand_characters_go_as_a_file() {
        let text = "x".repeat(100_000);
        let rendered = render(&plain(&text));
        assert_eq!(rendered.pages.len(), 1);
        assert!(units(&shown(&rendered.pages[0])) <= LONGEST && rendered.pages[0].ends_with(REST));
        assert_eq!(rendered.document.map(|document| document.text.trim_end().len()), Some(100_000));
        assert!(units(&shown(&one_page(&plain(&text)))) <= LONGEST);
        assert_eq!(render(&plain(" \n ")).pages, Vec::<String>::new());
    }

    fn span() -> impl Strategy<Value = Span> {
        ("[a-z<>&@/ é🙂👩‍🚀\u{202e}]{0,60}", 0..3).prop_map(|(text, style)| match style {
            0 => Span::Plain(text),
            1 => Span::Bold(text),
            _ => Span::Code(text),
        })
    }

    fn any_block() -> impl Strategy<Value = Block> {
        prop_oneof![
            prop::collection::vec(span(), 0..4).prop_map(Block::Line),
            "([ -~é🙂]{0,50}\n){0,8}[ -~]{0,200}".prop_map(Block::Block),
        ]
    }

    proptest! {
        #[test]
        fn every_message_fits_is_sound_and_together_they_say_everything(
            blocks in prop::collection::vec(any_block(), 0..12),
            longest in 8_usize..200,
        ) {
            let message = ChatMessage { blocks, ..ChatMessage::default() };
            let pages = pages(&message, longest);
            let dense = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '\u{2060}' && *c != '\u{202e}').collect::<String>();
            let mut all = String::new();
            for page in &pages {
                let text = shown(page);
                prop_assert!(units(&text) <= longest, "{text:?}");
                prop_assert!(!text.trim().is_empty());
                all.push_str(&text);
            }
            prop_assert_eq!(dense(&all), dense(&message.plain_text()));
        }

        #[test]
        fn any_text_is_escaped(text in "\\PC{0,400}") {
            for page in render(&plain(&text)).pages {
                let steers = shown(&page).contains('\u{202e}');
                prop_assert!(!steers);
            }
        }
    }
}
