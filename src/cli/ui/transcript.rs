//! Renders a chunk of a transcript for a terminal: with its colours, and a prefix on each line if there are several
//! tasks. PURE: the width of the terminal is an argument.

use super::text;
use orch_core::text::styled::{Styles, paint, style_at};

/// The prefix of each line.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// The printed text.
    pub text: &'a str,
    /// Its width.
    pub width: usize,
}

/// A chunk of a transcript.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Its text.
    pub content: &'a str,
    /// Its offset in the transcript, in bytes.
    pub offset: u64,
    /// The styles of its lines.
    pub styles: &'a Styles,
}

/// Renders the text, safe, with its colours.
pub fn coloured(piece: Piece<'_>) -> String {
    let mut shown = String::with_capacity(piece.content.len() + 64);
    for (line, at, feed) in lines(piece) {
        shown.push_str(&painted(line, at, piece.styles));
        shown.push_str(feed);
    }
    shown
}

/// Renders the text with a prefix on each line; a line that is too long continues below its own start. `open` is the
/// width of an incomplete previous line; the new one is returned.
pub fn marked(
    piece: Piece<'_>,
    mark: Mark<'_>,
    columns: Option<usize>,
    mut open: Option<usize>,
) -> (String, Option<usize>) {
    // A terminal that is too narrow for that wraps by itself.
    let available = columns.map(|columns| columns.saturating_sub(mark.width)).filter(|available| *available >= 10);
    let indent = format!("\n{}", " ".repeat(mark.width));
    let mut shown = String::with_capacity(piece.content.len() + 64);
    for (line, at, feed) in lines(piece) {
        let used = open.take().unwrap_or_else(|| {
            shown.push_str(mark.text);
            0
        });
        let parts = available
            .map_or_else(|| std::iter::once(0..line.len()).collect(), |available| text::broken(line, available, used));
        let mut taken = used;
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                shown.push_str(&indent);
                taken = 0;
            }
            let begin = at + part.start as u64;
            taken += text::width(&line[part.clone()]);
            shown.push_str(&painted(&line[part], begin, piece.styles));
        }
        shown.push_str(feed);
        open = feed.is_empty().then_some(taken);
    }
    (shown, open)
}

/// Splits a chunk into lines, with offsets and line feeds.
fn lines(piece: Piece<'_>) -> impl Iterator<Item = (&str, u64, &str)> {
    let mut at = piece.offset;
    piece.content.split_inclusive('\n').map(move |whole| {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let begin = at;
        at += whole.len() as u64;
        (line, begin, &whole[line.len()..])
    })
}

fn painted(part: &str, at: u64, styles: &Styles) -> String {
    let Some(style) = style_at(styles, at).filter(|style| at + part.len() as u64 <= style.end()) else {
        return text::output(part).into_owned();
    };
    let from = usize::try_from(at - style.offset).unwrap_or(usize::MAX);
    paint(part, from, style.base, &style.spans, text::output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::text::styled::{LineStyle, Pen, Span};

    fn styles() -> Styles {
        let spans = vec![Span { at: 4, pen: Pen::from_parameters("31") }, Span { at: 7, pen: Pen::default() }];
        [(10, LineStyle { offset: 10, length: 10, base: Pen::from_parameters("2"), spans })].into()
    }

    #[test]
    fn each_line_has_its_colours_and_no_other_control() {
        let styles = styles();
        let piece = Piece { content: "0123456789\nbad \u{1b}]0;x\u{7}\n", offset: 10, styles: &styles };
        let expected = "\u{1b}[2m0123\u{1b}[0;31m456\u{1b}[0;2m789\u{1b}[0m\nbad \\u{1b}]0;x\\u{7}\n";
        assert_eq!(coloured(piece), expected);
        // The rest of a line that came in two chunks.
        let rest = Piece { content: "6789\n", offset: 16, styles: &styles };
        assert_eq!(coloured(rest), "\u{1b}[31m6\u{1b}[0;2m789\u{1b}[0m\n");
        // Styles that belong to another text.
        let other = Piece { content: "a longer line than that\n", offset: 10, styles: &styles };
        assert_eq!(coloured(other), "a longer line than that\n");
    }

    #[test]
    fn a_line_that_is_too_long_goes_on_below_its_beginning() {
        let styles = styles();
        let mark = Mark { text: "[7] ", width: 4 };
        let of = |content, columns, open| {
            let piece = Piece { content, offset: 100, styles: &styles };
            marked(piece, mark, columns, open)
        };
        assert_eq!(of("one\ntwo", None, None), ("[7] one\n[7] two".to_owned(), Some(3)));
        let long = "twelve words, of which not all fit\n";
        let (shown, open) = of(long, Some(20), None);
        assert_eq!((shown.as_str(), open), ("[7] twelve words, \n    of which not \n    all fit\n", None));
        assert_eq!(of("日本語日本語日\n", Some(16), None).0, "[7] 日本語日本語\n    日\n");
        assert_eq!(of("and on\n", Some(20), Some(15)).0, "a\n    nd on\n");
        assert_eq!(of("narrow\n", Some(8), None).0, "[7] narrow\n");
    }

    #[test]
    fn colours_go_on_where_a_line_is_broken() {
        let styles = styles();
        let piece = Piece { content: "0123456789\n", offset: 10, styles: &styles };
        let (shown, _) = marked(piece, Mark { text: "> ", width: 2 }, Some(12), Some(5));
        assert_eq!(shown, "\u{1b}[2m0123\u{1b}[0;31m4\u{1b}[0m\n  \u{1b}[31m56\u{1b}[0;2m789\u{1b}[0m\n");
    }
}
