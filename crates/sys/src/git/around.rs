//! Finds the repository of a directory from the file system alone, without running a program.

use crate::fs;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The largest `.git` file that is read, in bytes; git writes none that is longer.
const LONGEST: usize = 8 << 10;

/// Returns whether a directory is the top of a checkout by git's rules: an empty `.git` directory (some sandboxes
/// create one) does not count.
pub fn is_top(dir: &Path) -> bool {
    let git = dir.join(".git");
    git.is_file() || git.join("HEAD").symlink_metadata().is_ok()
}

/// Returns the main checkout of the repository around `dir`, with symbolic links resolved; `None` when there is no such
/// directory or repository. A submodule is a repository of its own.
pub fn main_checkout_around(dir: &Path) -> Option<PathBuf> {
    let dir = dir.canonicalize().ok()?;
    let top = dir.ancestors().find(|dir| is_top(dir))?;
    Some(main_of_linked(top).unwrap_or_else(|| top.to_owned()))
}

/// Returns the main checkout of a linked worktree, from its `.git` file.
fn main_of_linked(top: &Path) -> Option<PathBuf> {
    let text = fs::read_text(&top.join(".git"), LONGEST).ok()?;
    let git_dir = top.join(text.strip_prefix("gitdir:")?.trim()).canonicalize().ok()?;
    let worktrees = git_dir.parent().filter(|dir| dir.file_name() == Some(OsStr::new("worktrees")))?;
    let common = worktrees.parent().filter(|dir| dir.file_name() == Some(OsStr::new(".git")))?;
    common.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Durability, write_private};
    use std::fs::create_dir_all;

    fn write(path: &Path, text: &str) {
        write_private(path, text.as_bytes(), Durability::Cached).expect("made");
    }

    #[test]
    fn an_empty_directory_that_is_called_like_gits_own_is_no_repository() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!is_top(dir.path()));
        create_dir_all(dir.path().join(".git")).expect("made");
        assert!(!is_top(dir.path()));
        write(&dir.path().join(".git/HEAD"), "");
        assert!(is_top(dir.path()));
        let linked = dir.path().join("linked");
        create_dir_all(&linked).expect("made");
        write(&linked.join(".git"), "");
        assert!(is_top(&linked), "a worktree or a submodule");
    }

    #[test]
    fn folders_symbolic_links_and_linked_worktrees_belong_to_the_main_checkout() {
        let base = tempfile::tempdir().expect("a directory");
        let base = base.path().canonicalize().expect("it is there");
        let (main, linked) = (base.join("shop"), base.join("linked"));
        for dir in [main.join(".git/worktrees/linked"), main.join("src/deep"), linked.clone(), base.join("plain")] {
            create_dir_all(dir).expect("made");
        }
        write(&main.join(".git/HEAD"), "ref: refs/heads/main\n");
        let pointer = format!("gitdir: {}\n", main.join(".git/worktrees/linked").display());
        write(&linked.join(".git"), &pointer);
        std::os::unix::fs::symlink(&main, base.join("link")).expect("made");
        for dir in [main.clone(), main.join("src/deep"), base.join("link"), base.join("link/src"), linked] {
            assert_eq!(main_checkout_around(&dir).as_deref(), Some(main.as_path()), "{}", dir.display());
        }
        // Above the folder for temporary files there may be a repository; not in it.
        assert_ne!(main_checkout_around(&base.join("plain")), Some(main));
        assert_eq!(main_checkout_around(&base.join("nowhere")), None);
    }
}
