//! Copies or links files and directories from one checkout to another, never through a symbolic link and never over an
//! existing file. Blocking.

use super::FsError;
use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// The largest file that is searched for a path, in bytes.
const SEARCHED: u64 = 1 << 20;

/// How a file or directory is brought into another checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bring {
    /// As an independent copy.
    Copy,
    /// As a link to the original. Of a directory, each entry is linked, so that it is a directory for git too.
    Link,
}

/// Brings `relative` from below `from` to below `to`. Returns whether it did: existing files stay as they are.
///
/// # Errors
/// An ancestor is a symbolic link or no directory, or the system refuses.
pub fn bring(from: &Path, to: &Path, relative: &Path, how: Bring) -> Result<bool, FsError> {
    let source = path_without_links(from, relative)?;
    let target = path_without_links(to, relative)?;
    let Some(kind) = metadata_if_exists(&source)? else { return Ok(false) };
    if metadata_if_exists(&target)?.is_some() {
        return Ok(false);
    }
    if let Some(parent) = target.parent() {
        with_path("create", parent, std::fs::create_dir_all(parent))?;
    }
    match how {
        Bring::Copy => copy(&source, &target, &kind)?,
        Bring::Link if kind.is_dir() => {
            make_dir(&target, &kind)?;
            for name in names(&source)? {
                link(&source.join(&name), &target.join(&name))?;
            }
        }
        Bring::Link => link(&source, &target)?,
    }
    Ok(true)
}

/// Moves `relative` from below `from` to below `to`, where nothing may exist yet.
///
/// # Errors
/// As [`bring`].
pub fn relocate(from: &Path, to: &Path, relative: &Path) -> Result<(), FsError> {
    let (source, target) = (path_without_links(from, relative)?, path_without_links(to, relative)?);
    if let Some(parent) = target.parent() {
        with_path("create", parent, std::fs::create_dir_all(parent))?;
    }
    with_path("move", &source, std::fs::rename(&source, &target))
}

/// Returns the names in a directory, sorted; empty where there is no directory.
///
/// # Errors
/// The system refuses.
pub fn names(dir: &Path) -> Result<Vec<std::ffi::OsString>, FsError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return with_path("read", dir, Err(error)),
    };
    let names: io::Result<Vec<_>> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let mut names = with_path("read", dir, names)?;
    names.sort();
    Ok(names)
}

/// Removes a directory with its content. A missing one is not an error.
///
/// # Errors
/// The system refuses.
pub fn remove_tree(dir: &Path) -> Result<(), FsError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => with_path("remove", dir, Err(error)),
        Err(_) | Ok(()) => Ok(()),
    }
}

/// Returns whether a file below `dir`, or the target of a link there, contains the path `place`. Files that are too
/// large to be searched do not count.
///
/// # Errors
/// The system refuses.
pub fn names_place(dir: &Path, place: &Path) -> Result<bool, FsError> {
    let needle = place.as_os_str().as_encoded_bytes();
    let mut pending: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(path) = pending.pop() {
        let Some(kind) = metadata_if_exists(&path)? else { continue };
        if kind.is_dir() {
            pending.extend(names(&path)?.into_iter().map(|name| path.join(name)));
        } else if kind.is_symlink() {
            let target = with_path("read", &path, std::fs::read_link(&path))?;
            if holds(target.as_os_str().as_encoded_bytes(), needle) {
                return Ok(true);
            }
        } else if kind.is_file() && kind.len() <= SEARCHED {
            let bytes = with_path("read", &path, std::fs::read(&path))?;
            if holds(&bytes, needle) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && bytes.windows(needle.len()).any(|window| window == needle)
}

fn with_path<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, FsError> {
    result.map_err(|source| FsError::Io { action, path: path.to_owned(), source })
}

fn metadata_if_exists(path: &Path) -> Result<Option<Metadata>, FsError> {
    match path.symlink_metadata() {
        Ok(kind) => Ok(Some(kind)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => with_path("read", path, Err(error)),
    }
}

/// Joins `relative` to `root` and checks that its ancestors are real directories or missing.
fn path_without_links(root: &Path, relative: &Path) -> Result<PathBuf, FsError> {
    let refuse = |path: &Path, why: &str| with_path("use", path, Err(io::Error::other(why.to_owned())));
    let mut path = root.to_owned();
    let mut parts = relative.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return refuse(relative, "it leads out of the checkout") };
        path.push(name);
        let is_last = parts.peek().is_none();
        if !is_last && metadata_if_exists(&path)?.is_some_and(|kind| !kind.is_dir()) {
            return refuse(&path, "it is not a directory");
        }
    }
    Ok(path)
}

fn make_dir(path: &Path, like: &Metadata) -> Result<(), FsError> {
    let mode = like.permissions().mode() & 0o777 | 0o700;
    with_path("create", path, DirBuilder::new().mode(mode).create(path))
}

fn link(source: &Path, target: &Path) -> Result<(), FsError> {
    with_path("link", target, symlink(source, target))
}

/// Copies a file, a link as a link, or a directory with its content. Sockets and devices are skipped.
fn copy(source: &Path, target: &Path, kind: &Metadata) -> Result<(), FsError> {
    let mut pending = vec![(source.to_owned(), target.to_owned(), kind.clone())];
    while let Some((source, target, kind)) = pending.pop() {
        if kind.is_symlink() {
            link(&with_path("read", &source, std::fs::read_link(&source))?, &target)?;
        } else if kind.is_dir() {
            make_dir(&target, &kind)?;
            for name in names(&source)? {
                let (source, target) = (source.join(&name), target.join(&name));
                if let Some(kind) = metadata_if_exists(&source)? {
                    pending.push((source, target, kind));
                }
            }
        } else if kind.is_file() {
            with_path("copy", &source, std::fs::copy(&source, &target))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Checkouts {
        _dir: tempfile::TempDir,
        from: PathBuf,
        to: PathBuf,
    }

    fn checkouts() -> Checkouts {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for path in [&from, &to] {
            std::fs::create_dir(path).expect("can be written");
        }
        Checkouts { _dir: dir, from, to }
    }

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("can be written");
        super::super::write_private(path, text.as_bytes(), super::super::Durability::Cached).expect("can be written");
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).expect("a file")
    }

    #[test]
    fn a_copy_is_its_own_and_what_is_there_stays() {
        let Checkouts { from, to, .. } = &checkouts();
        write(&from.join("a/.env"), "A=1");
        write(&from.join("a/b/c"), "c");
        symlink("/etc", from.join("a/etc")).expect("a link");
        assert!(bring(from, to, Path::new("a"), Bring::Copy).expect("copied"));
        write(&from.join("a/.env"), "A=2");
        assert_eq!((read(&to.join("a/.env")).as_str(), read(&to.join("a/b/c")).as_str()), ("A=1", "c"));
        assert!(to.join("a/etc").is_symlink(), "a link is not followed");
        assert!(!bring(from, to, Path::new("a"), Bring::Copy).expect("nothing to do"));
        assert!(!bring(from, to, Path::new("none"), Bring::Copy).expect("nothing to do"));
    }

    #[test]
    fn a_linked_directory_is_one_for_git_and_its_entries_lead_to_the_original() {
        let Checkouts { from, to, .. } = &checkouts();
        write(&from.join("node_modules/x/index.js"), "x");
        write(&from.join(".env"), "A=1");
        for path in ["node_modules", ".env"] {
            assert!(bring(from, to, Path::new(path), Bring::Link).expect("linked"));
        }
        assert!(!to.join("node_modules").is_symlink() && to.join("node_modules/x").is_symlink());
        assert_eq!(read(&to.join("node_modules/x/index.js")), "x");
        assert!(to.join(".env").is_symlink());
    }

    #[test]
    fn nothing_is_brought_over_a_link_or_out_of_the_checkout() {
        let Checkouts { from, to, .. } = &checkouts();
        let outside = from.parent().expect("a directory").join("outside");
        write(&outside.join("secret"), "s");
        write(&from.join("dir/.env"), "A=1");
        symlink(&outside, to.join("dir")).expect("a link");
        symlink(&outside, from.join("way")).expect("a link");
        for path in ["dir/.env", "way/secret", "../outside/secret", "/etc/passwd"] {
            let error = bring(from, to, Path::new(path), Bring::Copy).expect_err(path).to_string();
            assert!(error.contains("not a directory") || error.contains("out of the checkout"), "{error}");
        }
        assert_eq!(names(&outside).expect("a directory"), ["secret"]);
    }

    #[test]
    fn a_place_is_found_in_files_and_in_links() {
        let Checkouts { from, to, .. } = &checkouts();
        write(&from.join("a/b"), "#!/tmp/scratch-1/.venv/bin/python\n");
        assert!(names_place(from, Path::new("/tmp/scratch-1")).expect("read"));
        assert!(!names_place(from, Path::new("/tmp/scratch-2")).expect("read"));
        symlink("/tmp/scratch-2/x", from.join("a/link")).expect("a link");
        assert!(names_place(from, Path::new("/tmp/scratch-2")).expect("read"));
        assert!(!names_place(to, Path::new("/tmp/scratch-2")).expect("read"));
    }
}
