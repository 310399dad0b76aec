//! Fills the submodules of a fresh checkout: each gets the commit that its parent names, from the main checkout's copy
//! of it. Nothing is fetched, no hook runs, and the repository's configuration is not changed. A submodule that the
//! main checkout does not have stays empty.

use super::call::{CHECKOUT, Call, Checkout};
use super::error::GitError;
use super::repo::{Repo, is_sha};
use crate::fs::{self, Durability};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The file that lists the submodules.
const FILE: &str = ".gitmodules";
/// The nesting depth to which submodules of submodules are followed.
const DEPTH: usize = 5;

/// Why the submodules of a checkout could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum SubmoduleError {
    /// The main checkout's copy lacks the commit.
    #[error("submodule {} is to be at {commit}, and your checkout does not have that commit", path.display())]
    CommitMissing {
        /// The path of the submodule, from the root of its parent.
        path: PathBuf,
        /// The missing commit.
        commit: String,
    },
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// A submodule as recorded in its parent's commit.
struct Link {
    path: PathBuf,
    commit: String,
}

impl Repo {
    /// Fills the submodules of a checkout. Filled ones stay as they are. Returns those that stay empty.
    pub async fn ensure_submodules(&self, at: &Checkout) -> Result<Vec<PathBuf>, SubmoduleError> {
        let (mut empty, mut open) = (Vec::new(), vec![(at.clone(), self.common_dir().to_owned(), DEPTH)]);
        while let Some((parent, modules, depth)) = open.pop() {
            if depth == 0 || !parent.work_tree.join(FILE).is_file() {
                continue;
            }
            let names = self.names_of_submodules(&parent).await?;
            for link in self.links(&parent).await? {
                let target = parent.work_tree.join(&link.path);
                if !is_empty_dir(&target) {
                    continue;
                }
                let copy = names.get(&link.path).map(|name| modules.join("modules").join(name));
                match copy.filter(|copy| copy.join("objects").is_dir()) {
                    Some(copy) => {
                        let own = self.fill(&target, &copy, &link).await?;
                        open.push((own, copy, depth - 1));
                    }
                    None => empty.push(link.path),
                }
            }
        }
        Ok(empty)
    }

    /// Returns the names under which git keeps submodules, by their paths.
    async fn names_of_submodules(&self, at: &Checkout) -> Result<BTreeMap<PathBuf, String>, GitError> {
        let call =
            Call::new(["config", "-z", "--file", FILE, "--no-includes", "--get-regexp", r"^submodule\..*\.path$"]);
        let output = self.run(at, call).await?;
        let mut names = BTreeMap::new();
        for entry in output.stdout.split(|byte| *byte == 0) {
            let Some((key, path)) = std::str::from_utf8(entry).ok().and_then(|text| text.split_once('\n')) else {
                continue;
            };
            let name = key.strip_prefix("submodule.").and_then(|key| key.strip_suffix(".path"));
            // The file is part of the commit: a name in it must not lead elsewhere.
            let is_plain = |name: &&str| Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            if let Some(name) = name.filter(is_plain) {
                names.insert(PathBuf::from(path), name.to_owned());
            }
        }
        Ok(names)
    }

    async fn links(&self, at: &Checkout) -> Result<Vec<Link>, GitError> {
        let output = self.ask(at, Call::new(["ls-files", "--stage", "-z", "--"])).await?;
        let link = |line: &[u8]| {
            let rest = line.strip_prefix(b"160000 ")?;
            let tab = rest.iter().position(|byte| *byte == b'\t')?;
            let commit = std::str::from_utf8(rest.get(..tab)?).ok()?.split(' ').next()?.to_owned();
            is_sha(&commit).then(|| Link { path: PathBuf::from(OsStr::from_bytes(&rest[tab + 1..])), commit })
        };
        Ok(output.stdout.split(|byte| *byte == 0).filter_map(link).collect())
    }

    /// Creates a repository at `target` that borrows its objects from `copy`, and checks the commit out there.
    async fn fill(&self, target: &Path, copy: &Path, link: &Link) -> Result<Checkout, SubmoduleError> {
        let git_dir = target.join(".git");
        let own = Checkout { work_tree: target.to_owned(), git_dir: git_dir.clone(), common_dir: git_dir.clone() };
        let io = |error: fs::FsError| GitError::Io { path: git_dir.clone(), source: std::io::Error::other(error) };
        let alternates = [copy.join("objects").as_os_str().as_bytes(), b"\n"].concat();
        for dir in ["objects/info", "refs/heads"] {
            fs::create_dirs(&git_dir.join(dir)).map_err(io)?;
        }
        let files: [(&str, &[u8]); 3] = [
            ("objects/info/alternates", &alternates),
            ("config", b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"),
            ("HEAD", b"ref: refs/heads/main\n"),
        ];
        for (name, bytes) in files {
            fs::write_private(&git_dir.join(name), bytes, Durability::Cached).map_err(io)?;
        }
        if self.commit_at(&own, &link.commit).await?.is_none() {
            fs::remove_tree(&git_dir).map_err(io)?;
            return Err(SubmoduleError::CommitMissing { path: link.path.clone(), commit: link.commit.clone() });
        }
        let checkout = Call::new(["checkout", "--quiet", "--detach", &link.commit, "--"]).time_limit(CHECKOUT);
        self.ask(&own, checkout).await?;
        Ok(own)
    }
}

fn is_empty_dir(path: &Path) -> bool {
    let is_real = path.symlink_metadata().is_ok_and(|kind| kind.is_dir());
    is_real && fs::names(path).is_ok_and(|names| names.is_empty())
}
