//! Where a text is cut so that it fits a message: at a line's end, or inside a longer line at a character's end. And
//! which fence of a code block is open at a place. PURE.

/// The longest info string of a fence (` ```rust `) that is repeated in the next message, in bytes.
const INFO: usize = 20;

/// What closes a block that goes on in the next message.
pub const CLOSE: &str = "\n```";

/// The length of a text as services count it at most: in UTF-16 units, which are never fewer than characters.
pub fn measure(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// How many bytes of `text` go into `capacity`, at a line's end where there is one. A line that does not fit is broken only
/// where `may_break` says so.
pub fn cut(text: &str, room: usize, may_break: bool) -> usize {
    let mut used = 0;
    let mut line_end = 0;
    let mut fits = 0;
    for (at, c) in text.char_indices() {
        used += c.len_utf16();
        if used > room {
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

/// A run of backticks is not torn apart, unless there is nothing before it.
fn before_ticks(text: &str, at: usize) -> usize {
    if !text[at..].starts_with('`') {
        return at;
    }
    let kept = text[..at].trim_end_matches('`').len();
    if kept == 0 { at } else { kept }
}

/// The fence that is open after `text`, given the one that was open before it: what opens it again in another message.
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
