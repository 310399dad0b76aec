//! Finds positions that the parser does not report: lines, and the indicators between two nodes.

/// Returns the start of the line that contains `at`.
pub(in super::super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |feed| feed + 1)
}

/// Returns the start of the line after the one that contains `at`; the text's length when it is the last.
pub(in super::super) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |feed| at + feed + 1)
}

/// Returns the offset of the first indicator at or after `from`, skipping white space, comments, anchors and tags.
pub(in super::super) fn indicator(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        match *bytes.get(at)? {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'#' if at == 0 || bytes[at - 1].is_ascii_whitespace() => at = next_line(text, at),
            b'&' | b'!' if at > from => {
                at += text[at..].find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len() - at);
            }
            _ => return Some(at),
        }
    }
}
