//! Generated parts of pages. `make docs` (`ORCH_BLESS=1`) updates them; otherwise a page that differs fails its test.

use crate::kit::{read_file, write_file};
use std::path::Path;

/// The part of `page` with that name is `text`.
pub fn must_hold(page: &str, name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let written = read_file(&path);
    let begin = format!("<!-- made by `make docs`: {name} -->\n");
    let end = format!("<!-- end of {name} -->\n");
    let (before, rest) = written.split_once(&begin).unwrap_or_else(|| panic!("{page} has no line {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page} has no line {end}"));
    let fresh = format!("{before}{begin}\n{}\n\n{end}{after}", text.trim());
    if orch_sys::process::env_var("ORCH_BLESS").is_some() {
        write_file(&path, &fresh);
    } else if written != fresh {
        let line = written.lines().zip(fresh.lines()).position(|(old, new)| old != new).unwrap_or_default();
        panic!("{page} is not what the code says from line {} on; `make docs` writes it anew", line + 1);
    }
}

/// Rows of cells as a table; none where there are no rows.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(heads.iter().map(ToString::to_string).collect());
    text.push_str(&format!("|{}\n", "---|".repeat(heads.len())));
    for row in rows {
        text.push_str(&line(row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect()));
    }
    text
}

/// Text that is no HTML: an angle bracket outside of code would be read as a tag.
pub fn plain(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 0 { part.replace('<', "&lt;") } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("`")
}

/// The text as code.
pub fn code(text: &str) -> String {
    format!("`{text}`")
}
