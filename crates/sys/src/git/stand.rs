//! Determines the state of the files of a move in a checkout: as in the old commit, as in the new one, or in between.

use super::call::{Call, Checkout};
use super::error::GitError;
use super::halfway::Note;
use super::repo::Repo;
use super::stale::fingerprint;
use crate::fs;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The largest file that may be partially written, in bytes.
const BEGUN_AT_MOST: usize = 64 << 20;

/// Metadata that changes when a file is written.
type Signs = (u64, u64, i64, i64);

/// The entry of a path in one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Side {
    mode: Mode,
    sha: String,
}

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    File { executable: bool },
    Link,
    Repository,
}

/// A path that differs between the two commits of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) path: PathBuf,
    pub(super) old: Option<Side>,
    pub(super) new: Option<Side>,
}

/// The state of a path in the checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stand {
    /// The path is as in the old commit.
    Old(Signs),
    /// The path is as in the new commit.
    New(Signs),
    /// The file is a prefix of the new content, written since the move began.
    Begun(Signs),
    /// The path does not exist.
    Gone,
    /// The path is a nested repository, which git does not touch.
    Repository,
}

/// The file system entry at a path.
enum Found {
    Nothing,
    File {
        executable: bool,
    },
    Link(PathBuf),
    /// A directory, a special file, or anything behind a symbolic link.
    Other,
}

impl Step {
    /// Returns whether the entry was written since.
    pub(super) fn was_made_since(&self, root: &Path, at: SystemTime) -> bool {
        root.join(&self.path).symlink_metadata().is_ok_and(|meta| !meta.is_dir() && changed(&meta) >= at)
    }

    fn is_repository(&self) -> bool {
        [&self.old, &self.new].into_iter().flatten().any(|side| side.mode == Mode::Repository)
    }
}

fn changed(meta: &std::fs::Metadata) -> SystemTime {
    let seconds = Duration::from_secs(meta.ctime().try_into().unwrap_or(0));
    UNIX_EPOCH + seconds + Duration::from_nanos(meta.ctime_nsec().try_into().unwrap_or(0))
}

impl Repo {
    /// Returns the paths that a move changes.
    pub(super) async fn steps(&self, at: &Checkout, note: &Note) -> Result<Vec<Step>, GitError> {
        let args = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", &note.old, &note.new];
        let output = self.ask(at, Call::new(args)).await?;
        parse(&output.stdout).ok_or_else(|| GitError::Unexpected {
            command: "git diff-tree".to_owned(),
            detail: "a line of an unknown form".to_owned(),
        })
    }

    /// Returns the hashes that git would store for the regular files and links at these paths; `None` for others.
    pub(super) async fn hashes(&self, at: &Checkout, steps: &[Step]) -> Result<Vec<Option<String>>, GitError> {
        let (mut hashes, mut plain) = (vec![None; steps.len()], Vec::new());
        for (index, step) in steps.iter().enumerate() {
            match found(&at.work_tree, &step.path) {
                Found::File { .. } if is_plain(&step.path) => plain.push(index),
                Found::File { .. } => {
                    let call = Call::new(["hash-object", "--"]).arg(&step.path);
                    hashes[index] = Some(self.ask(at, call).await?.text());
                }
                Found::Link(target) => {
                    let call = Call::new(["hash-object", "--no-filters", "--stdin"]);
                    let call = call.stdin(target.as_os_str().as_bytes().to_vec());
                    hashes[index] = Some(self.ask(at, call).await?.text());
                }
                Found::Nothing | Found::Other => {}
            }
        }
        if plain.is_empty() {
            return Ok(hashes);
        }
        let lines =
            plain.iter().flat_map(|index| [steps[*index].path.as_os_str().as_bytes(), b"\n"].concat()).collect();
        let printed = self.ask(at, Call::new(["hash-object", "--stdin-paths"]).stdin(lines)).await?.text();
        for (index, sha) in plain.into_iter().zip(printed.lines()) {
            hashes[index] = Some(sha.to_owned());
        }
        Ok(hashes)
    }

    /// Determines the state of a path; `None` when it matches neither commit. `hash` is what git would store for it.
    pub(super) async fn stand(
        &self,
        at: &Checkout,
        new: &str,
        since: SystemTime,
        step: &Step,
        hash: Option<String>,
    ) -> Result<Option<Stand>, GitError> {
        if step.is_repository() {
            return Ok(Some(Stand::Repository));
        }
        let file = at.work_tree.join(&step.path);
        let mode = match found(&at.work_tree, &step.path) {
            Found::Nothing => return Ok(Some(Stand::Gone)),
            Found::Other => return Ok(None),
            Found::File { executable } => Mode::File { executable },
            Found::Link(_) => Mode::Link,
        };
        let (Some(signs), Some(sha)) = (fingerprint(&file), hash) else { return Ok(None) };
        let here = Some(Side { mode, sha });
        if here == step.new && (step.old.is_some() || step.was_made_since(&at.work_tree, since)) {
            return Ok(Some(Stand::New(signs)));
        }
        if here == step.old {
            return Ok(Some(Stand::Old(signs)));
        }
        let begun = step.new.is_some() && step.was_made_since(&at.work_tree, since) && mode != Mode::Link;
        if !begun {
            return Ok(None);
        }
        let whole = Call::new(["cat-file", "--filters"]).arg(object(new, &step.path));
        let whole = self.ask(at, whole).await?.stdout;
        let part = fs::read_limited(&file, BEGUN_AT_MOST).ok();
        Ok(part.is_some_and(|part| whole.starts_with(&part)).then_some(Stand::Begun(signs)))
    }
}

/// Formats `<commit>:<path>`.
fn object(commit: &str, path: &Path) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from(format!("{commit}:"));
    name.push(path);
    name
}

/// Returns whether git accepts the path on a line of its own.
fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    !bytes.starts_with(b"\"") && !bytes.contains(&b'\n') && !bytes.contains(&b'\r')
}

fn found(root: &Path, path: &Path) -> Found {
    let mut at = root.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        at.push(part);
        match at.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Found::Nothing,
            Ok(_) | Err(_) => return Found::Other,
        }
    }
    let file = root.join(path);
    match file.symlink_metadata() {
        Ok(meta) if meta.is_file() => Found::File { executable: meta.mode() & 0o100 != 0 },
        Ok(meta) if meta.is_symlink() => std::fs::read_link(&file).map_or(Found::Other, Found::Link),
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing,
        Ok(_) | Err(_) => Found::Other,
    }
}

/// Removes a file if it is unchanged, and the directories above it that become empty. Returns `false` if it has
/// changed.
pub(super) fn remove_unchanged(root: &Path, path: &Path, seen: &Signs) -> Result<bool, GitError> {
    let file = root.join(path);
    if fingerprint(&file).as_ref() != Some(seen) {
        return Ok(false);
    }
    std::fs::remove_file(&file).map_err(|source| GitError::Io { path: file.clone(), source })?;
    for dir in path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()) {
        if std::fs::remove_dir(root.join(dir)).is_err() {
            break;
        }
    }
    Ok(true)
}

/// Parses `:<mode> <mode> <sha> <sha> <letter>`, then the path.
fn parse(bytes: &[u8]) -> Option<Vec<Step>> {
    let mut fields = bytes.split(|b| *b == 0);
    let mut steps = Vec::new();
    while let Some(head) = fields.next().filter(|head| !head.is_empty()) {
        let head = std::str::from_utf8(head).ok()?.strip_prefix(':')?;
        let [old_mode, new_mode, old, new, _] = head.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let path = PathBuf::from(OsStr::from_bytes(fields.next()?));
        steps.push(Step { path, old: side(old_mode, old)?, new: side(new_mode, new)? });
    }
    Some(steps)
}

fn side(mode: &str, sha: &str) -> Option<Option<Side>> {
    let mode = match mode {
        "000000" => return Some(None),
        "100644" | "100664" => Mode::File { executable: false },
        "100755" => Mode::File { executable: true },
        "120000" => Mode::Link,
        "160000" => Mode::Repository,
        _unknown => return None,
    };
    Some(Some(Side { mode, sha: sha.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_a_move_are_read_byte_for_byte() {
        let zero = "0".repeat(40);
        let one = "1".repeat(40);
        let text = format!(
            ":100644 100755 {one} {one} M\0a b\n\0:000000 120000 {zero} {one} A\0l\0:160000 000000 {one} {zero} D\0sub\0"
        );
        let steps = parse(text.as_bytes()).expect("a listing");
        let file = |executable| Some(Side { mode: Mode::File { executable }, sha: one.clone() });
        assert_eq!(steps[0], Step { path: "a b\n".into(), old: file(false), new: file(true) });
        assert_eq!((steps[1].old.clone(), steps[1].new.clone().map(|side| side.mode)), (None, Some(Mode::Link)));
        assert!(steps[2].is_repository() && !steps[1].is_repository());
        assert_eq!(parse(b":100644 what\0x\0"), None);
        assert_eq!(parse(b""), Some(Vec::new()));
    }
}
