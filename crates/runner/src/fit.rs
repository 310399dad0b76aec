//! Lines for a person: text that was cleaned and masked, with its colours, cut to a limit of lines and characters. PURE.

use super::sanitize::sanitize_styled;
use orch_core::text::redact::{Carry, Redactor};
use orch_core::text::styled::{Pen, Span};

/// The kind of a line. A terminal shows each kind in a colour; the log has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text that the agent says.
    Speech,
    /// The agent's reasoning.
    Thought,
    /// A tool call.
    Tool,
    /// The result of a tool call.
    Result,
    /// A line that was added to a file.
    Added,
    /// A line that was removed from a file.
    Removed,
    /// A warning.
    Warning,
    /// A failure.
    Error,
    /// A note by orch itself.
    Note,
}

impl Style {
    /// Returns the pen for text that has no colour of its own.
    pub fn pen(self) -> Pen {
        Pen::from_parameters(match self {
            Self::Speech => "",
            Self::Thought | Self::Result => "2",
            Self::Tool => "36",
            Self::Added => "32",
            Self::Removed | Self::Error => "31",
            Self::Warning => "33",
            Self::Note => "1",
        })
    }
}

/// One line, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The kind of the line.
    pub style: Style,
    /// The text, without control characters except tabs.
    pub text: String,
    /// The colours that the agent gave it.
    pub spans: Vec<Span>,
}

impl Rendered {
    /// Creates a line without colours of its own.
    pub fn plain(style: Style, text: impl Into<String>) -> Self {
        Self { style, text: text.into(), spans: Vec::new() }
    }
}

/// How much of one event is shown at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaxSize {
    pub(super) lines: usize,
    /// Characters of one line.
    pub(super) width: usize,
}

/// Text that was sanitized and then masked, with the colours that it had.
#[derive(Debug)]
pub(super) struct Clean {
    pub(super) text: String,
    /// The colours of each line, in order; fewer than lines when the rest has none.
    colours: Vec<Vec<Span>>,
}

impl Clean {
    /// Sanitizes and masks `text`. A line in which a secret was masked loses its colours: their places are no longer known.
    pub(super) fn new(text: &str, redactor: &Redactor, carry: &mut Carry) -> Self {
        let (clean, spans) = sanitize_styled(text);
        let masked = redactor.next_text(carry, &clean);
        if spans.is_empty() {
            return Self { text: masked.into_owned(), colours: Vec::new() };
        }
        let mut colours = by_line(&clean, &spans);
        if *masked != clean {
            let is_parallel = masked.split('\n').count() == clean.split('\n').count();
            if is_parallel {
                let lines = masked.split('\n').zip(clean.split('\n')).zip(&mut colours);
                lines.filter(|((one, other), _)| one != other).for_each(|(_, colours)| colours.clear());
            } else {
                colours.clear();
            }
        }
        Self { text: masked.into_owned(), colours }
    }

    /// Wraps text without colours that is clean already.
    pub(super) fn plain(text: String) -> Self {
        Self { text, colours: Vec::new() }
    }

    /// Returns the lines from the first that is not empty to the last that is not blank, each with its colours.
    fn lines(&self) -> impl Iterator<Item = (&str, &[Span])> {
        let skipped = self.text.len() - self.text.trim_start_matches('\n').len();
        let colours = self.colours.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
        self.text.trim_end().lines().zip(colours).skip(skipped)
    }
}

/// Splits colours by line. A colour that a line does not end continues in the next one.
fn by_line(text: &str, spans: &[Span]) -> Vec<Vec<Span>> {
    let mut spans = spans.iter().peekable();
    let (mut begin, mut pen) = (0, Pen::default());
    let of_line = |line: &str| {
        let end = begin + line.len();
        let mut own: Vec<Span> = if pen.is_plain() { Vec::new() } else { vec![Span { at: 0, pen }] };
        while let Some(span) = spans.next_if(|span| span.at <= end) {
            pen = span.pen;
            own.push(Span { at: span.at - begin, pen });
        }
        begin = end + 1;
        own
    };
    text.split('\n').map(of_line).collect()
}

/// The prefixes of the lines of one event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead<'a> {
    /// The prefix of the first line.
    pub(super) first: &'a str,
    /// The number of blanks before the other lines.
    pub(super) indent: usize,
}

impl<'a> Lead<'a> {
    /// Puts `mark` before the first line and aligns the others with the text behind it.
    pub(super) fn mark(mark: &'a str) -> Self {
        Self { first: mark, indent: mark.chars().count() }
    }
}

/// Returns the first lines of a text, and a last line that says how much is left out. An empty text yields no lines.
pub(super) fn cut(style: Style, lead: Lead<'_>, text: &Clean, max: MaxSize) -> Vec<Rendered> {
    let indent = " ".repeat(lead.indent);
    let mut lines = Vec::new();
    let mut left_out = 0_usize;
    for (index, (line, spans)) in text.lines().enumerate() {
        if index < max.lines {
            lines.push(shorten(
                style,
                if index == 0 { lead.first } else { &indent },
                line.trim_end(),
                spans,
                max.width,
            ));
        } else {
            left_out += 1;
        }
    }
    match (left_out, lines.last_mut()) {
        (0, _) | (_, None) => {}
        (count, Some(last)) if max.lines == 1 => last.text.push_str(&format!(" … ({count} more {})", plural(count))),
        (count, Some(_)) => lines.push(more(style, &indent, count)),
    }
    lines
}

/// Returns the line that says how many lines are left out.
pub(super) fn more(style: Style, indent: &str, count: usize) -> Rendered {
    Rendered::plain(style, format!("{indent}… {count} more {}", plural(count)))
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "line" } else { "lines" }
}

fn shorten(style: Style, lead: &str, line: &str, spans: &[Span], width: usize) -> Rendered {
    let end = line.char_indices().nth(width).map(|(end, _)| end);
    let shown = &line[..end.unwrap_or(line.len())];
    let mut spans: Vec<Span> = spans.iter().filter(|span| span.at <= shown.len()).copied().collect();
    let mut text = format!("{lead}{shown}");
    if let Some(end) = end {
        spans.push(Span { at: shown.len(), pen: Pen::default() });
        text.push_str(&format!("… ({} more characters)", line[end..].chars().count()));
    }
    if spans.iter().all(|span| span.pen.is_plain()) {
        spans.clear();
    }
    spans.iter_mut().for_each(|span| span.at += lead.len());
    Rendered { style, text, spans }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::text::styled::paint;

    const ROOM: MaxSize = MaxSize { lines: 3, width: 10 };

    fn shown(text: &str) -> Vec<String> {
        let redactor = Redactor::new([("API_KEY", "canary-value-1")]);
        let clean = Clean::new(text, &redactor, &mut Carry::default());
        let lines = cut(Style::Speech, Lead::mark("> "), &clean, ROOM);
        lines.iter().map(|line| paint(&line.text, 0, line.style.pen(), &line.spans, |text| text.into())).collect()
    }

    #[test]
    fn each_line_has_its_own_colours_and_ends_with_none() {
        assert_eq!(
            shown("\u{1b}[31mred\nstill\u{1b}[0m not"),
            ["> \u{1b}[31mred\u{1b}[0m", "  \u{1b}[31mstill\u{1b}[0m not"]
        );
        assert_eq!(shown("\n\n\u{1b}[1mb\u{1b}[0m\n \n"), ["> \u{1b}[1mb\u{1b}[0m"]);
        assert_eq!(shown("\u{1b}[32m0123456789abc"), ["> \u{1b}[32m0123456789\u{1b}[0m… (3 more characters)"]);
        assert_eq!(shown("\u{1b}[32m\u{1b}[0mplain"), ["> plain"]);
        assert_eq!(shown("a\nb\nc\nd\ne"), ["> a", "  b", "  c", "  … 2 more lines"]);
    }

    #[test]
    fn a_secret_between_colours_is_masked_and_its_line_alone_loses_them() {
        let lines = shown("\u{1b}[31mred\ncan\u{1b}[1mary-\u{1b}[0mvalue-1\n\u{1b}[32mok");
        assert_eq!(lines, ["> \u{1b}[31mred\u{1b}[0m", "  [REDACTED:… (8 more characters)", "  \u{1b}[32mok\u{1b}[0m"]);
    }
}
