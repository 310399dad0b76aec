//! Tables that fit the terminal: columns as wide as their content, some of them shortened if necessary. PURE.

use super::paint::{Paint, Role};
use super::text;
use std::borrow::Cow;

/// The space between two columns.
const GAP: usize = 2;

/// The width of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// As wide as its widest cell.
    Whole,
    /// At most so many columns.
    Most(usize),
    /// A share of the remaining width; cells are cut to it. The number is the least width.
    Rest(usize),
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Its width.
    pub width: Width,
    /// Whether it is right-aligned, as numbers are.
    pub right: bool,
}

impl Column {
    /// Creates a column of text.
    pub const fn new(title: &'static str, width: Width) -> Self {
        Self { title, width, right: false }
    }

    /// Creates a column of numbers.
    pub const fn number(title: &'static str) -> Self {
        Self { title, width: Width::Whole, right: true }
    }
}

/// One cell: external text, and its role.
pub type Cell<'a> = (Cow<'a, str>, Option<Role>);

/// Creates a plain cell.
pub fn cell<'a>(text: impl Into<Cow<'a, str>>) -> Cell<'a> {
    (text.into(), None)
}

/// Renders the table, one line for each row, with a heading. `columns` is the width of the terminal.
pub fn render<const N: usize>(head: &[Column; N], rows: &[[Cell<'_>; N]], columns: usize, paint: Paint) -> String {
    let widths = widths(head, rows, columns);
    let mut out = String::with_capacity((rows.len() + 1) * columns.min(160));
    let titles = head.map(|column| (Cow::Borrowed(column.title), Some(Role::Faint)));
    for row in std::iter::once(&titles).chain(rows) {
        push_row(&mut out, head, row, &widths, paint);
    }
    out
}

fn push_row<const N: usize>(
    out: &mut String,
    head: &[Column; N],
    row: &[Cell<'_>; N],
    widths: &[usize; N],
    paint: Paint,
) {
    let start = out.len();
    for (at, ((content, role), width)) in row.iter().zip(widths).enumerate() {
        if *width == 0 {
            continue;
        }
        if out.len() > start {
            push_blanks(out, GAP);
        }
        let shown = text::fit(content, *width);
        let pad = width - text::width(&shown);
        let painted = match role {
            Some(role) => paint.text(*role, shown),
            None => shown,
        };
        if head[at].right {
            push_blanks(out, pad);
            out.push_str(&painted);
        } else {
            out.push_str(&painted);
            push_blanks(out, pad);
        }
    }
    out.truncate(out.trim_end_matches(' ').len().max(start));
    out.push('\n');
}

fn push_blanks(out: &mut String, mut count: usize) {
    const BLANKS: &str = "                                                                ";
    while count > 0 {
        let now = count.min(BLANKS.len());
        out.push_str(&BLANKS[..now]);
        count -= now;
    }
}

/// Returns the widths; a column without content has none.
fn widths<const N: usize>(head: &[Column; N], rows: &[[Cell<'_>; N]], columns: usize) -> [usize; N] {
    // Wider than any terminal need not be measured.
    let most = columns.max(200);
    let mut wanted = [0; N];
    for row in rows {
        for (widest, (content, _)) in wanted.iter_mut().zip(row) {
            *widest = (*widest).max(text::shown_width(content, most));
        }
    }
    for (width, column) in wanted.iter_mut().zip(head) {
        if *width > 0 || rows.is_empty() {
            *width = (*width).max(text::width(column.title));
        }
        if let Width::Most(most) = column.width {
            *width = (*width).min(most);
        }
    }
    share(head, wanted, columns)
}

/// Shortens the flexible columns, the widest first, until everything fits or none can become narrower.
fn share<const N: usize>(head: &[Column; N], mut widths: [usize; N], columns: usize) -> [usize; N] {
    let gaps = GAP * widths.iter().filter(|w| **w > 0).count().saturating_sub(1);
    loop {
        let excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(columns);
        let least = |at: usize| match head[at].width {
            Width::Rest(least) => least,
            Width::Whole | Width::Most(_) => usize::MAX,
        };
        let mut narrowable: Vec<usize> = (0..N).filter(|at| widths[*at] > least(*at)).collect();
        narrowable.sort_by_key(|at| std::cmp::Reverse(widths[*at]));
        let Some(&widest) = narrowable.first().filter(|_| excess > 0) else { return widths };
        let next = narrowable.get(1).map_or(0, |at| widths[*at]);
        let cut = (widths[widest] - next.max(least(widest)).min(widths[widest] - 1)).min(excess).max(1);
        widths[widest] -= cut;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [Column; 3] =
        [Column::number("id"), Column::new("title", Width::Rest(8)), Column::new("why", Width::Rest(8))];

    fn table(rows: &[[&str; 3]], columns: usize) -> String {
        let rows: Vec<[Cell<'_>; 3]> = rows.iter().map(|row| row.map(cell)).collect();
        render(&HEAD, &rows, columns, Paint::OFF)
    }

    #[test]
    fn columns_are_as_wide_as_their_content() {
        assert_eq!(
            table(&[["1", "Add it", "waits"], ["12", "日本語", ""]], 80),
            "id  title   why\n 1  Add it  waits\n12  日本語\n"
        );
        assert_eq!(table(&[["1", "Add it", ""]], 80), "id  title\n 1  Add it\n", "an empty column is left out");
        assert_eq!(table(&[], 80), "id  title  why\n");
    }

    #[test]
    fn what_is_too_wide_is_cut_where_it_may_be() {
        let long = "a title that goes on and on";
        let narrow = table(&[["1", long, "a reason that is told at length"]], 30);
        assert_eq!(narrow, "id  title         why\n 1  a title tha…  a reason th…\n");
        assert!(narrow.lines().all(|line| text::width(line) <= 30));
        // A terminal that is too narrow: nothing becomes shorter than the least width.
        assert_eq!(table(&[["1", long, "short"]], 5), "id  title     why\n 1  a title…  short\n");
    }

    #[test]
    fn hostile_cells_stay_in_their_column() {
        let rows = [["1", "\u{1b}[2Jx\nnew line", "y"], ["2", "שלום", "z"], ["3", "🙂🙂", "w"]];
        assert_eq!(
            table(&rows, 60),
            "id  title                 why\n 1  \\u{1b}[2Jx\\nnew line  y\n 2  שלום                  z\n 3  🙂🙂                  w\n"
        );
    }

    #[test]
    fn colour_takes_no_place() {
        let rows = [[cell("1"), (Cow::Borrowed("x"), Some(Role::Good)), cell("why")]];
        let plain = render(&HEAD, &rows, 40, Paint::OFF);
        let coloured = render(&HEAD, &rows, 40, Paint { on: true });
        let stripped = ["\u{1b}[2m", "\u{1b}[32m", "\u{1b}[0m"].iter().fold(coloured, |t, code| t.replace(code, ""));
        assert_eq!(stripped, plain);
    }
}
