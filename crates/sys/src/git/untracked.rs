//! Lists the untracked files of a checkout.

use super::call::{CHECKOUT, Call, Checkout};
use super::error::GitError;
use super::repo::Repo;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Repo {
    /// Returns the untracked files and directories of a checkout, including ignored ones. A directory without tracked
    /// files represents its whole content.
    pub async fn untracked(&self, at: &Checkout) -> Result<Vec<PathBuf>, GitError> {
        let call = Call::new(["ls-files", "--others", "--directory", "--no-empty-directory", "-z", "--"]);
        Ok(paths(&self.ask(at, call).await?.stdout))
    }

    /// Returns untracked files of the main checkout that match one of these patterns, or one in `file`, in the syntax
    /// of `.gitignore`. Each file is listed.
    pub async fn untracked_matching(&self, patterns: &[String], file: Option<&Path>) -> Result<Vec<PathBuf>, GitError> {
        let call = Call::new(["ls-files", "--others", "--ignored", "-z"]).time_limit(CHECKOUT);
        let call = patterns.iter().fold(call, |call, pattern| call.arg(format!("--exclude={pattern}")));
        let call = file.iter().fold(call, |call, file| {
            let mut option = std::ffi::OsString::from("--exclude-from=");
            option.push(file);
            call.arg(option)
        });
        Ok(paths(&self.ask(&self.main_checkout(), call.arg("--")).await?.stdout))
    }

    /// Returns whether git tracks this path of the main checkout, or something below it.
    pub async fn tracks(&self, path: &Path) -> Result<bool, GitError> {
        let call = Call::new(["ls-files", "-z", "--"]).arg(path);
        Ok(!self.ask(&self.main_checkout(), call).await?.stdout.is_empty())
    }
}

/// Parses NUL-terminated paths, without git's own directory; a directory ends with a slash.
fn paths(bytes: &[u8]) -> Vec<PathBuf> {
    let names = bytes.split(|byte| *byte == 0).map(|name| name.strip_suffix(b"/").unwrap_or(name));
    names.filter(|name| !name.is_empty()).map(|name| PathBuf::from(OsStr::from_bytes(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_a_path_without_its_slash() {
        assert_eq!(paths(b".env\0node_modules/\0"), [PathBuf::from(".env"), PathBuf::from("node_modules")]);
        assert_eq!(paths(b""), Vec::<PathBuf>::new());
    }
}
