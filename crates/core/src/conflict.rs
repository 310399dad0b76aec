//! A conflict of a branch with its base, as a text: the files, one per line, then an empty line, then both sides of what
//! is at odds. One text, because it goes the way of every other failure. PURE.

/// Between the files and the sides.
const GAP: &str = "\n\n";
/// How many files a line names.
const NAMED: usize = 8;

/// The text.
pub fn told<'a>(files: impl IntoIterator<Item = &'a str>, sides: &str) -> String {
    // A name may hold a line's end; the text is for reading.
    let files: Vec<String> = files.into_iter().map(|file| file.replace(['\n', '\r'], " ")).collect();
    let files = files.join("\n");
    if sides.trim().is_empty() { files } else { format!("{files}{GAP}{}", sides.trim_end()) }
}

/// The files, one per line.
pub fn files(detail: &str) -> &str {
    detail.split_once(GAP).map_or(detail, |(files, _)| files)
}

/// Both sides; empty where they are not known.
pub fn sides(detail: &str) -> &str {
    detail.split_once(GAP).map_or("", |(_, sides)| sides)
}

/// The files in a line.
pub fn named(detail: &str) -> String {
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
        let detail = told(["a.txt", "b c"], "@@@ -1 +1 @@@\n\n++<<<<<<< HEAD\n");
        assert_eq!((files(&detail), sides(&detail)), ("a.txt\nb c", "@@@ -1 +1 @@@\n\n++<<<<<<< HEAD"));
        let bare = told(["a\n\nb"], " \n");
        assert_eq!((files(&bare), sides(&bare)), ("a  b", ""));
    }

    #[test]
    fn a_line_names_the_first_files_and_counts_the_others() {
        let many: Vec<String> = (1..=10).map(|n| format!("f{n}")).collect();
        assert_eq!(named(&told(["a", "b"], "sides")), "a, b");
        assert!(named(&told(many.iter().map(String::as_str), "")).ends_with("f8 and 2 more"));
    }
}
