//! Splits text so that it fits a message: at the end of a line, or within a longer line at a character boundary; and
//! determines which code fence is open at a position. PURE.

/// Longest info string of a fence (` ```rust `) that is repeated in the next message, in bytes.
const INFO: usize = 20;

/// Closes a code block that continues in the next message.
pub const CLOSE: &str = "\n```";

/// Returns the length of a text in UTF-16 units, which is never less than the length that a service counts.
pub fn measure(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Returns how many bytes of `text` fit into `capacity` UTF-16 units, up to the end of a line if there is one. A line that
/// does not fit is split only if `may_break` is set.
pub fn cut(text: &str, capacity: usize, may_break: bool) -> usize {
    let mut used = 0;
    let mut line_end = 0;
    let mut fits = 0;
    for (at, c) in text.char_indices() {
        used += c.len_utf16();
        if used > capacity {
            return match (line_end, may_break) {
                (0, true) => before_ticks(text, fits),
                (end, _) => end,
            };
        }
        fits = at + c.len_utf8();
        if c == '\n' {
            line_end = fits;
        }
    }
    text.len()
}

/// Moves a cut before a run of backticks, unless there is nothing before it.
fn before_ticks(text: &str, at: usize) -> usize {
    if !text[at..].starts_with('`') {
        return at;
    }
    let kept = text[..at].trim_end_matches('`').len();
    if kept == 0 { at } else { kept }
}

/// Returns the fence that is open after `text`, given the one that was open before, as the line that reopens it.
pub fn open_fence(before: Option<&str>, text: &str) -> Option<String> {
    let mut open = before.map(str::to_owned);
    for line in text.split('\n') {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            open = match open {
                Some(_) => None,
                None => Some(opening(info)),
            };
        }
    }
    open
}

fn opening(info: &str) -> String {
    let info = info.trim();
    let is_plain = info.len() <= INFO && info.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'`');
    format!("```{}\n", if is_plain { info } else { "" })
}
