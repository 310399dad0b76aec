//! File names that other machines read differently: as git's own directory, or as another file of the same tree.

use super::{Finding, FindingKind};
use std::collections::{BTreeSet, HashMap};

/// Code points that HFS+ ignores in name comparisons.
const IGNORED_BY_HFS: [(char, char); 4] =
    [('\u{200c}', '\u{200f}'), ('\u{202a}', '\u{202e}'), ('\u{206a}', '\u{206f}'), ('\u{feff}', '\u{feff}')];

/// A path added by a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPath {
    /// The commit.
    pub commit: String,
    /// The path from the repository's root.
    pub path: String,
}

/// Two paths of one tree that are the same on a case-insensitive file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Collision {
    /// The new path.
    pub path: String,
    /// The path that it collides with.
    pub with: String,
}

/// Reports unsafe paths in any commit of the branch, even if a later one removes them: they stay in the history.
pub(super) fn unsafe_names(names: &[NewPath], collisions: &[Collision]) -> Vec<Finding> {
    let odd: BTreeSet<&str> = names.iter().map(|name| name.path.as_str()).filter(|path| is_unsafe(path)).collect();
    let odd = odd.into_iter().map(|path| {
        Finding::new(FindingKind::UnsafePath, path, "a commit holds it: some machines take it for git's own directory")
    });
    let same = collisions.iter().map(|collision| {
        let detail = format!("a commit holds {} as well: on some machines the two are one file", collision.with);
        Finding::new(FindingKind::UnsafePath, collision.path.as_str(), detail)
    });
    odd.chain(same).collect()
}

/// Returns whether a path contains a part that git refuses to check out on some systems.
fn is_unsafe(path: &str) -> bool {
    // On Windows both characters separate parts.
    path.split(['/', '\\']).any(|part| part.is_empty() || [".", ".."].contains(&part) || is_git_dir(part))
}

fn is_git_dir(part: &str) -> bool {
    let ignored = |c: &char| IGNORED_BY_HFS.iter().any(|(first, last)| (first..=last).contains(&c));
    let by_hfs: String = part.chars().filter(|c| !ignored(c)).collect();
    // NTFS ignores trailing spaces and dots, and names a stream after a colon.
    let by_ntfs = part.split(':').next().unwrap_or(part).trim_end_matches([' ', '.']);
    by_hfs.eq_ignore_ascii_case(".git") || [".git", "git~1"].iter().any(|name| by_ntfs.eq_ignore_ascii_case(name))
}

/// Returns the collisions in a tree that involve the paths in `new`. Directories that differ by case alone become one
/// directory, which loses nothing.
pub fn collisions<'a>(tree: impl Iterator<Item = &'a str>, new: impl Iterator<Item = &'a str>) -> BTreeSet<Collision> {
    let mut known: HashMap<String, Vec<(&str, bool)>> = HashMap::new();
    for (path, is_file) in new.flat_map(with_parents) {
        let same = known.entry(path.to_lowercase()).or_default();
        if !same.contains(&(path, is_file)) {
            same.push((path, is_file));
        }
    }
    let mut found = BTreeSet::new();
    for (with, is_file) in tree.flat_map(with_parents) {
        for (path, came_as_file) in known.get(&with.to_lowercase()).into_iter().flatten() {
            if *path != with && (is_file || *came_as_file) {
                found.insert(Collision { path: (*path).to_owned(), with: with.to_owned() });
            }
        }
    }
    found
}

/// Returns a path and its parent directories; the flag says which is the file.
fn with_parents(path: &str) -> impl Iterator<Item = (&str, bool)> {
    let parents = path.match_indices('/').map(move |(end, _)| (&path[..end], false));
    parents.chain(std::iter::once((path, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_gits_directory_is_found() {
        for path in [
            ".git/hooks/x",
            ".GIT/hooks/pre-commit",
            "a/.Git",
            ".git./x",
            ".git /x",
            "GIT~1/config",
            ".git::$INDEX_ALLOCATION/x",
            ".g\u{200c}it/x",
            "a\\.git\\x",
            "a/../b",
            "a//b",
        ] {
            assert!(is_unsafe(path), "{path:?}");
        }
        for path in
            [".gitignore", ".github/workflows/x.yml", "git/x", ".gitmodules", "src/.git-keep", "a:b", "...", "a..b"]
        {
            assert!(!is_unsafe(path), "{path:?}");
        }
    }

    #[test]
    fn paths_that_differ_by_case_collide_where_one_is_a_file() {
        let found = |tree: &[&'static str], new: &[&'static str]| {
            collisions(tree.iter().copied(), new.iter().copied())
                .into_iter()
                .map(|one| (one.path, one.with))
                .collect::<Vec<_>>()
        };
        let pair = |path: &str, with: &str| vec![(path.to_owned(), with.to_owned())];
        assert_eq!(found(&["README.md", "readme.md"], &["readme.md"]), pair("readme.md", "README.md"));
        assert_eq!(found(&["a", "A/hook"], &["a"]), pair("a", "A"));
        assert_eq!(found(&["Src/a", "src/b"], &["src/b"]), Vec::new());
        assert_eq!(found(&["x", "X", "y"], &["y"]), Vec::new(), "it was there before");
    }
}
