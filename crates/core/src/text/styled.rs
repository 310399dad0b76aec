//! The colours of a transcript: the transcript is plain text, and its look on a terminal is stored in a separate list,
//! line by line. Only graphic renditions are stored, written and read, so that no other control sequence is ever
//! output, whatever an agent printed and whatever the list contains. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The attributes that are kept: the parameter that sets it, and the one that resets it. Hidden and blinking text is
/// not kept.
const ATTRIBUTES: [(u16, u16); 7] = [(1, 22), (2, 22), (3, 23), (4, 24), (7, 27), (9, 29), (53, 55)];

/// A foreground or background colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Ink {
    /// The terminal's default.
    #[default]
    Plain,
    /// One of the sixteen basic colours.
    Basic(u8),
    /// One of 256 indexed colours.
    Indexed(u8),
    /// A true colour.
    Rgb(u8, u8, u8),
}

/// The graphic rendition of text, as set by `ESC [ … m` sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pen {
    /// A bit for each of [`ATTRIBUTES`].
    attributes: u8,
    ink: Ink,
    paper: Ink,
}

/// A change of the rendition within a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The offset in the line, in bytes.
    pub at: usize,
    /// The rendition from there on.
    pub pen: Pen,
}

/// The style of one line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineStyle {
    /// The start of the line, in bytes of the transcript.
    pub offset: u64,
    /// The length without the line feed, in bytes.
    pub length: u64,
    /// The rendition outside the spans.
    pub base: Pen,
    /// The changes within the line, in order.
    pub spans: Vec<Span>,
}

impl Pen {
    /// Creates the rendition that these parameters set, starting from the default.
    pub fn from_parameters(parameters: &str) -> Self {
        let mut pen = Self::default();
        pen.apply(parameters);
        pen
    }

    /// Whether it is the default rendition.
    pub fn is_plain(self) -> bool {
        self == Self::default()
    }

    /// Applies the parameters of one graphic rendition. Unknown ones are ignored.
    pub fn apply(&mut self, parameters: &str) {
        let mut items = parameters.split(';');
        while let Some(item) = items.next() {
            let mut parts = item.split(':');
            let head = number(parts.next().unwrap_or_default());
            let parts: Vec<u16> = parts.filter(|part| !part.is_empty()).filter_map(number).collect();
            match head {
                Some(colour @ (38 | 48)) => {
                    let ink = if parts.is_empty() { next_ink(&mut items) } else { ink(&parts) };
                    let place = if colour == 38 { &mut self.ink } else { &mut self.paper };
                    *place = ink.unwrap_or(*place);
                }
                Some(4) if parts.first() == Some(&0) => self.simple(24),
                Some(code) => self.simple(code),
                None => {}
            }
        }
    }

    fn simple(&mut self, code: u16) {
        let basic = |first: u16, bright: u16| Ink::Basic(u8::try_from(code - first + bright).unwrap_or_default());
        match code {
            0 => *self = Self::default(),
            30..=37 => self.ink = basic(30, 0),
            90..=97 => self.ink = basic(90, 8),
            39 => self.ink = Ink::Plain,
            40..=47 => self.paper = basic(40, 0),
            100..=107 => self.paper = basic(100, 8),
            49 => self.paper = Ink::Plain,
            _ => {
                for (bit, (on, off)) in ATTRIBUTES.iter().enumerate() {
                    let bit = 1_u8 << bit;
                    self.attributes = match code {
                        code if code == *on => self.attributes | bit,
                        code if code == *off => self.attributes & !bit,
                        _ => self.attributes,
                    };
                }
            }
        }
    }

    /// Returns the parameters that set this rendition from the default one; empty for the default.
    pub fn parameters(self) -> String {
        let set = ATTRIBUTES.iter().enumerate().filter(|(bit, _)| self.attributes & (1 << bit) != 0);
        let set = set.map(|(_, (on, _))| on.to_string());
        let parts: Vec<String> = set.chain(text(self.ink, 30)).chain(text(self.paper, 40)).collect();
        parts.join(";")
    }
}

/// Parses a number of at most three digits; an empty text counts as 0.
fn number(text: &str) -> Option<u16> {
    if text.is_empty() {
        return Some(0);
    }
    if text.len() > 3 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn next_ink<'a>(items: &mut impl Iterator<Item = &'a str>) -> Option<Ink> {
    let mut next = || items.next().and_then(number);
    match next()? {
        5 => ink(&[5, next()?]),
        2 => ink(&[2, next()?, next()?, next()?]),
        _ => None,
    }
}

fn ink(parts: &[u16]) -> Option<Ink> {
    let byte = |value: u16| u8::try_from(value).ok();
    match *parts {
        [5, index] => Some(Ink::Indexed(byte(index)?)),
        [2, red, green, blue] | [2, _, red, green, blue] => Some(Ink::Rgb(byte(red)?, byte(green)?, byte(blue)?)),
        _ => None,
    }
}

fn text(ink: Ink, base: u16) -> Option<String> {
    match ink {
        Ink::Plain => None,
        Ink::Basic(index @ 0..=7) => Some((base + u16::from(index)).to_string()),
        Ink::Basic(index) => Some((base + 52 + u16::from(index)).to_string()),
        Ink::Indexed(index) => Some(format!("{};5;{index}", base + 8)),
        Ink::Rgb(red, green, blue) => Some(format!("{};2;{red};{green};{blue}", base + 8)),
    }
}

impl LineStyle {
    /// Renders the line's entry in the list with a line feed: `<offset> <length> <parameters>[ <byte>:<parameters>]…`,
    /// offsets in hexadecimal, `-` for the default. `None`: the line is plain and has no entry.
    pub fn record(offset: u64, length: usize, base: Pen, spans: &[Span]) -> Option<String> {
        if base.is_plain() && spans.iter().all(|span| span.pen.is_plain()) {
            return None;
        }
        let or_dash = |pen: Pen| if pen.is_plain() { "-".to_owned() } else { pen.parameters() };
        let mut record = format!("{offset:x} {length:x} {}", or_dash(base));
        for span in spans {
            // Writing to a string cannot fail.
            let _ = write!(record, " {:x}:{}", span.at, or_dash(span.pen));
        }
        record.push('\n');
        Some(record)
    }

    /// Parses an entry; `None` if it is invalid.
    pub fn parse(record: &str) -> Option<Self> {
        let mut words = record.trim_end().split(' ');
        let offset = u64::from_str_radix(words.next()?, 16).ok()?;
        let length = u64::from_str_radix(words.next()?, 16).ok()?;
        let base = Pen::from_parameters(words.next()?);
        let span = |word: &str| {
            let (at, parameters) = word.split_once(':')?;
            Some(Span { at: usize::from_str_radix(at, 16).ok()?, pen: Pen::from_parameters(parameters) })
        };
        let spans = words.map(span).collect::<Option<Vec<_>>>()?;
        Some(Self { offset, length, base, spans })
    }

    /// Returns the end of the line.
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// The styles of lines that are not plain, by their offsets.
pub type Styles = BTreeMap<u64, LineStyle>;

/// Returns the style of the line that contains the byte `at`.
pub fn style_at(styles: &Styles, at: u64) -> Option<&LineStyle> {
    styles.range(..=at).next_back().map(|(_, style)| style).filter(|style| at < style.end())
}

/// Renders a part of a line with graphic renditions and resets them at its end. `from` is the offset of the part in its
/// line; `safe` makes text safe to print.
pub fn paint(piece: &str, from: usize, base: Pen, spans: &[Span], safe: fn(&str) -> Cow<'_, str>) -> String {
    let mut out = String::with_capacity(piece.len() + 16);
    let mut on = false;
    let mut put = |text: &str, pen: Pen, out: &mut String| {
        if text.is_empty() {
            return;
        }
        let parameters = pen.parameters();
        // Writing to a string cannot fail.
        let _ = match (on, parameters.is_empty()) {
            (false, true) => Ok(()),
            (true, true) => out.write_str("\u{1b}[0m"),
            (false, false) => write!(out, "\u{1b}[{parameters}m"),
            (true, false) => write!(out, "\u{1b}[0;{parameters}m"),
        };
        on = !parameters.is_empty();
        out.push_str(&safe(text));
    };
    // Coloured text is not made faint as well.
    let look = |pen: Pen| if pen.is_plain() { base } else { pen };
    let (mut done, mut pen) = (0, base);
    for span in spans {
        let at = span.at.saturating_sub(from).min(piece.len());
        // Spans that do not fit the text are ignored.
        let Some(text) = piece.get(done..at) else { continue };
        put(text, pen, &mut out);
        (done, pen) = (at, look(span.pen));
    }
    put(&piece[done..], pen, &mut out);
    if on {
        out.push_str("\u{1b}[0m");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pen_keeps_colours_and_attributes_and_nothing_else() {
        for (text, kept) in [
            ("1;31", "1;31"),
            ("", ""),
            ("31;0", ""),
            ("1;2;22;3", "3"),
            ("97;104", "97;104"),
            ("38;5;208;48;2;1;2;3", "38;5;208;48;2;1;2;3"),
            ("38:2::9:8:7", "38;2;9;8;7"),
            ("4:3", "4"),
            ("4;4:0", ""),
            ("31;39", ""),
            // Hidden and blinking text, invalid numbers.
            ("8", ""),
            ("5;6", ""),
            ("38;5;999", ""),
            ("99999;?1;x", ""),
        ] {
            assert_eq!(Pen::from_parameters(text).parameters(), kept, "{text:?}");
        }
    }

    #[test]
    fn a_style_reads_back_as_it_was_written_and_a_plain_line_has_none() {
        let spans = vec![Span { at: 3, pen: Pen::from_parameters("1;32") }, Span { at: 5, pen: Pen::default() }];
        let record = LineStyle::record(300, 9, Pen::from_parameters("2"), &spans).expect("a style");
        assert_eq!(record, "12c 9 2 3:1;32 5:-\n");
        let style = LineStyle { offset: 300, length: 9, base: Pen::from_parameters("2"), spans };
        assert_eq!(LineStyle::parse(&record), Some(style));
        assert_eq!(LineStyle::record(300, 9, Pen::default(), &[Span { at: 0, pen: Pen::default() }]), None);
        assert_eq!(LineStyle::parse("12c 9"), None);
        let hostile = LineStyle::parse("0 9 \u{1b}]52;c;eA==\u{7}").expect("a style");
        assert!(hostile.base.is_plain());
    }

    #[test]
    fn a_painted_line_begins_and_ends_with_nothing_special() {
        let spans = [Span { at: 2, pen: Pen::from_parameters("31") }, Span { at: 4, pen: Pen::default() }];
        let painted = |piece, from, base| paint(piece, from, Pen::from_parameters(base), &spans, |text| text.into());
        assert_eq!(painted("abcdef", 0, ""), "ab\u{1b}[31mcd\u{1b}[0mef");
        assert_eq!(painted("abcdef", 0, "2"), "\u{1b}[2mab\u{1b}[0;31mcd\u{1b}[0;2mef\u{1b}[0m");
        assert_eq!(painted("def", 3, ""), "\u{1b}[31md\u{1b}[0mef");
        assert_eq!(painted("ab", 0, ""), "ab");
        // In the middle of a character.
        assert_eq!(painted("aü", 0, ""), "aü");
    }

    #[test]
    fn the_style_of_a_place_is_that_of_its_line() {
        let style = |offset, length| LineStyle { offset, length, base: Pen::from_parameters("2"), spans: Vec::new() };
        let styles: Styles = [(10, style(10, 5)), (20, style(20, 1))].into();
        let found = |at| style_at(&styles, at).map(|style| style.offset);
        assert_eq!([9, 10, 14, 15, 20, 21].map(found), [None, Some(10), Some(10), None, Some(20), None]);
    }

    proptest! {
        #[test]
        fn whatever_the_list_says_only_colours_come_out(
            record in "[0-9a-f]{1,2} [0-9a-f]{1,2} (-|[0-9;:\\x1b\\]]{0,8})( [0-9a-f]{1,2}:[0-9;:m\\x1b]{0,12}){0,4}",
            text in "[a-zü日🙂]{0,20}",
        ) {
            let Some(style) = LineStyle::parse(&record) else { return Ok(()) };
            let painted = paint(&text, 0, style.base, &style.spans, |text| text.into());
            let mut rest = painted.as_str();
            let mut plain = String::new();
            while let Some((before, sequence)) = rest.split_once('\u{1b}') {
                plain.push_str(before);
                let (code, after) = sequence.split_once('m').expect("a whole rendition");
                prop_assert!(code.starts_with('[') && code[1..].bytes().all(|b| b.is_ascii_digit() || b == b';'));
                rest = after;
            }
            plain.push_str(rest);
            prop_assert_eq!(plain, text);
        }

        #[test]
        fn a_pen_is_what_its_own_parameters_say(parameters in "[0-9;:]{0,30}") {
            let pen = Pen::from_parameters(&parameters);
            prop_assert_eq!(Pen::from_parameters(&pen.parameters()), pen);
        }
    }
}
