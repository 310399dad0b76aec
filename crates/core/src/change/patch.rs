//! The lines of a patch, with their files and numbers.

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// A line that a patch adds or removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// The file it is in, as it is called on the side where it is.
    pub path: String,
    /// Its number there, from 1.
    pub number: u64,
    /// New or gone.
    pub mark: Mark,
    /// Without its mark and its end.
    pub text: &'a str,
}

/// The added and removed lines of what `git diff` or `git log -p` wrote, without renames. What is no patch has none.
pub struct Lines<'a> {
    rest: std::str::Lines<'a>,
    files: [String; 2],
    numbers: [u64; 2],
    /// Lines of the present hunk that are still to come, on either side.
    left: [u64; 2],
}

impl<'a> Lines<'a> {
    /// Those of `patch`.
    pub fn of(patch: &'a str) -> Self {
        Self { rest: patch.lines(), files: Default::default(), numbers: [0; 2], left: [0; 2] }
    }

    /// A line between hunks: which file comes, or which lines.
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
                // "\ No newline at end of file" is no line of the file.
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

/// `a/src/main.rs`, perhaps quoted as C does, with a tab behind a name that has spaces.
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

/// `12,3 +14,5 @@ …`: first line and count of both sides; without a count it is one line.
fn ranges(text: &str) -> Option<((u64, u64), (u64, u64))> {
    let (old, rest) = text.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let range = |text: &str| match text.split_once(',') {
        Some((first, count)) => Some((first.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    Some((range(old)?, range(new)?))
}
