//! A conflict of a branch with its base as one text: the files, one per line, then an empty line, then both sides of
//! the conflict. It is one text because it is stored like every other failure. PURE.

/// The separator of files and sides.
const GAP: &str = "\n\n";
/// The most files in a summary.
const NAMED: usize = 8;

/// Joins the files and both sides of a conflict into the text.
pub fn render<'a>(files: impl IntoIterator<Item = &'a str>, sides: &str) -> String {
    // A file name may contain a line break, which the format cannot.
    let files: Vec<String> = files.into_iter().map(|file| file.replace(['\n', '\r'], " ")).collect();
    let files = files.join("\n");
    if sides.trim().is_empty() { files } else { format!("{files}{GAP}{}", sides.trim_end()) }
}

/// Returns the files, one per line.
pub fn files(detail: &str) -> &str {
    detail.split_once(GAP).map_or(detail, |(files, _)| files)
}

/// Returns both sides; empty if unknown.
pub fn sides(detail: &str) -> &str {
    detail.split_once(GAP).map_or("", |(_, sides)| sides)
}

/// Returns the files in one line.
pub fn summary(detail: &str) -> String {
    let files: Vec<&str> = files(detail).lines().collect();
    let more = files.len().saturating_sub(NAMED);
    let list = files.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_sides_read_back_as_they_were_told() {
        let detail = render(["a.txt", "b c"], "@@@ -1 +1 @@@\n\n++<<<<<<< HEAD\n");
        assert_eq!((files(&detail), sides(&detail)), ("a.txt\nb c", "@@@ -1 +1 @@@\n\n++<<<<<<< HEAD"));
        let bare = render(["a\n\nb"], " \n");
        assert_eq!((files(&bare), sides(&bare)), ("a  b", ""));
    }

    #[test]
    fn a_line_names_the_first_files_and_counts_the_others() {
        let many: Vec<String> = (1..=10).map(|n| format!("f{n}")).collect();
        assert_eq!(summary(&render(["a", "b"], "sides")), "a, b");
        assert!(summary(&render(many.iter().map(String::as_str), "")).ends_with("f8 and 2 more"));
    }
}
