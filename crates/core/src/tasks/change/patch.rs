//! The changed lines of a patch, with their files and line numbers.

/// Whether a line was added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The line was added.
    Added,
    /// The line was removed.
    Removed,
}

/// A line that a patch adds or removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// The path of the file on the line's side.
    pub path: String,
    /// The line number in that file, from 1.
    pub number: u64,
    /// Whether it was added or removed.
    pub mark: Mark,
    /// The text without its mark and line end.
    pub text: &'a str,
}

/// Iterates over the added and removed lines in the output of `git diff` or `git log -p`, without renames. Other text
/// has none.
pub struct Lines<'a> {
    rest: std::str::Lines<'a>,
    files: [String; 2],
    numbers: [u64; 2],
    /// Remaining lines of the current hunk, on either side.
    left: [u64; 2],
}

impl<'a> Lines<'a> {
    /// Creates the iterator over `patch`.
    pub fn new(patch: &'a str) -> Self {
        Self { rest: patch.lines(), files: Default::default(), numbers: [0; 2], left: [0; 2] }
    }

    /// Reads a line between hunks: a file name, or the range of a hunk.
    fn head(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("--- ") {
            self.files[0] = file_name(name);
        } else if let Some(name) = line.strip_prefix("+++ ") {
            self.files[1] = file_name(name);
        } else if let Some((old, new)) = line.strip_prefix("@@ -").and_then(ranges) {
            (self.numbers, self.left) = ([old.0, new.0], [old.1, new.1]);
        }
    }

    fn take(&mut self, side: usize) -> u64 {
        let number = self.numbers[side];
        self.numbers[side] += 1;
        self.left[side] = self.left[side].saturating_sub(1);
        number
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let line = self.rest.next()?;
            if self.left == [0; 2] {
                self.head(line);
                continue;
            }
            let (side, mark) = match line.as_bytes().first() {
                Some(b'+') => (1, Mark::Added),
                Some(b'-') => (0, Mark::Removed),
                // "\ No newline at end of file" is not a line of the file.
                Some(b'\\') => continue,
                _unchanged => {
                    self.take(0);
                    self.take(1);
                    continue;
                }
            };
            let number = self.take(side);
            return Some(Line { path: self.files[side].clone(), number, mark, text: &line[1..] });
        }
    }
}

/// Parses `a/src/main.rs`, possibly in C quotes, with a tab after a name that contains spaces.
fn file_name(text: &str) -> String {
    let text = text.strip_suffix('\t').unwrap_or(text);
    let plain = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => unquoted(quoted),
        None => text.to_owned(),
    };
    plain.strip_prefix("a/").or_else(|| plain.strip_prefix("b/")).unwrap_or(&plain).to_owned()
}

fn unquoted(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(first @ b'0'..=b'3') => {
                let digits = [first, rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                bytes.push(digits.iter().fold(0, |value, digit| value * 8 + (digit.wrapping_sub(b'0') & 7)));
            }
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Parses `12,3 +14,5 @@ …` into first line and count of both sides; a missing count means one line.
fn ranges(text: &str) -> Option<((u64, u64), (u64, u64))> {
    let (old, rest) = text.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let range = |text: &str| match text.split_once(',') {
        Some((first, count)) => Some((first.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    Some((range(old)?, range(new)?))
}
