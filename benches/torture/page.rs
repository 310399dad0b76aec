//! The table of `docs/reference/torture.md` as text: which of its lines a run writes anew. PURE and free of the harness, so that
//! a test reads it too.

/// Between these the page holds the table.
const BEGIN: &str = "<!-- table: begin, written by `make torture` -->\n";
const END: &str = "<!-- table: end -->";

/// A line of the table, and which row it is of.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Number of the row.
    pub id: &'a str,
    /// What goes wrong in it; several rows share a number.
    pub fault: &'a str,
    /// The whole line, without a line feed; `None`: the row was not run now.
    pub line: Option<String>,
    /// The line of a row that was never run.
    pub untried: String,
}

/// The page with `head` over the table and the lines of the rows that were run in the place of their old ones. The other
/// lines stay as they are; a row that was never run has a line that says so; one of a row that is not in `rows` goes, for
/// nobody can run it again. `rows` has the order.
/// `None`: the page has no place for a table.
pub fn renewed(page: &str, head: &str, rows: &[Entry<'_>]) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (old, after) = rest.split_once(END)?;
    let line_of = |row: &Entry<'_>| {
        let begins = format!("| {} | {} |", row.id, row.fault);
        let kept = || old.lines().find(|line| line.starts_with(&begins)).map(str::to_owned);
        row.line.clone().or_else(kept).unwrap_or_else(|| row.untried.clone()) + "\n"
    };
    let lines: String = rows.iter().map(line_of).collect();
    Some(format!("{before}{BEGIN}{head}{lines}{END}{after}"))
}
