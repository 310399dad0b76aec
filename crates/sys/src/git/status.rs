//! Compares a checkout with its commit: `git status`, parsed byte by byte.

use super::call::{Call, Checkout};
use super::error::GitError;
use super::repo::Repo;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How thoroughly untracked files are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untracked {
    /// They are not listed.
    No,
    /// An untracked directory is one entry.
    Directories,
    /// Each file is an entry; a nested repository is one that ends with `/`.
    Files,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The two status letters of index and checkout, for instance `.M`, `A.`, `UU`; `??` for an untracked file.
    pub(crate) code: String,
    /// The path relative to the checkout.
    pub(crate) path: PathBuf,
}

/// The status of a checkout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Status {
    /// The checked-out commit; `None` before the first.
    pub(crate) head: Option<String>,
    /// The short name of the branch; `None` when detached.
    pub(crate) branch: Option<String>,
    /// The paths that differ.
    pub(crate) differences: Vec<Difference>,
    /// Returns the files with unresolved conflicts.
    pub(crate) unmerged: Vec<PathBuf>,
}

impl Status {
    /// Returns the nested repositories that git would record as a bare pointer.
    pub(crate) fn nested(&self) -> Vec<PathBuf> {
        let is_nested = |d: &&Difference| d.code == "??" && d.path.as_os_str().as_bytes().ends_with(b"/");
        self.differences.iter().filter(is_nested).map(|d| d.path.clone()).collect()
    }
}

impl Repo {
    /// Compares a checkout with its commit. Takes no lock and does not enter submodules.
    pub(crate) async fn status(&self, at: &Checkout, untracked: Untracked) -> Result<Status, GitError> {
        let mode = match untracked {
            Untracked::No => "--untracked-files=no",
            Untracked::Directories => "--untracked-files=normal",
            Untracked::Files => "--untracked-files=all",
        };
        let args = ["status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--ignore-submodules=dirty", mode];
        let output = self.ask(at, Call::new(args)).await?;
        // git always prints the header.
        let parsed = output.stdout.starts_with(b"# branch.oid ").then(|| parse(&output.stdout)).flatten();
        parsed.ok_or_else(|| GitError::Unexpected {
            command: "git status".to_owned(),
            detail: "a line of an unknown form".to_owned(),
        })
    }
}

fn parse(bytes: &[u8]) -> Option<Status> {
    let mut status = Status::default();
    for line in bytes.split(|b| *b == 0).filter(|line| !line.is_empty()) {
        match line.first()? {
            b'#' => header(&String::from_utf8_lossy(line), &mut status),
            b'1' => status.differences.push(difference(line, 8)?),
            b'u' => {
                let difference = difference(line, 10)?;
                status.unmerged.push(difference.path.clone());
                status.differences.push(difference);
            }
            b'?' => status.differences.push(Difference { code: "??".to_owned(), path: path(line.get(2..)?) }),
            // "2" would be a rename and "!" an ignored file; neither was requested.
            _unknown => return None,
        }
    }
    Some(status)
}

fn header(line: &str, status: &mut Status) {
    if let Some(sha) = line.strip_prefix("# branch.oid ") {
        status.head = (sha != "(initial)").then(|| sha.to_owned());
    } else if let Some(name) = line.strip_prefix("# branch.head ") {
        status.branch = (name != "(detached)").then(|| name.to_owned());
    }
}

/// Parses `1 XY <fields> <path>`: the path follows `blanks` blanks and may contain blanks itself.
fn difference(line: &[u8], blanks: usize) -> Option<Difference> {
    let code = String::from_utf8(line.get(2..4)?.to_vec()).ok()?;
    let file = line.splitn(blanks + 1, |b| *b == b' ').nth(blanks)?;
    Some(Difference { code, path: path(file) })
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_blanks_and_odd_bytes_are_read_whole() {
        let text = b"# branch.oid 12ab\0# branch.head main\0# branch.upstream x\x001 .M N... 100644 100644 100644 a b c d e\xff f\0? new file\0? sub/\0";
        let status = parse(text).expect("a status");
        assert_eq!((status.head.as_deref(), status.branch.as_deref()), (Some("12ab"), Some("main")));
        assert_eq!(status.differences[0].code, ".M");
        assert_eq!(status.differences[0].path, path(b"c d e\xff f"));
        assert_eq!(status.differences[1].path, path(b"new file"));
        assert_eq!(status.nested(), [path(b"sub/")]);
    }

    #[test]
    fn conflicts_are_told_apart() {
        let status = parse(b"u UU N... 100644 100644 100644 100644 a b c x y\0").expect("a status");
        assert_eq!(status.unmerged, [path(b"x y")]);
        assert_eq!(parse(b"x what\0"), None);
    }
}
