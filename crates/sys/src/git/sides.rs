//! Extracts both sides of a conflict for the agent that resolves it. Bounded: a conflict may be as large as a
//! repository.

use super::call::{Call, Checkout};
use super::error::GitError;
use super::repo::Repo;
use super::status::Status;
use crate::process::ProcessError;

/// The most files whose sides are shown.
const FILES: usize = 12;
/// The most bytes per file and in total.
const ONE: usize = 12 << 10;
const ALL: usize = 24 << 10;

impl Repo {
    /// Returns the conflicting hunks of a checkout during a merge or a revert, file by file.
    pub(super) async fn sides(&self, at: &Checkout, status: &Status) -> Result<String, GitError> {
        let mut rendered = String::new();
        for (number, path) in status.unmerged.iter().enumerate() {
            let left = status.unmerged.len() - number;
            if number == FILES || rendered.len() >= ALL {
                rendered.push_str(&format!("({left} more files are in conflict)\n"));
                break;
            }
            let code = status.differences.iter().find(|difference| difference.path == *path).map(|d| d.code.as_str());
            let name = path.display();
            rendered.push_str(&match how(code.unwrap_or_default()) {
                Some(how) => format!("{name}: {how}\n"),
                None => format!("{name}:\n"),
            });
            let diff = ["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"];
            let call = Call::new(diff).output_limit(ONE).arg("--").arg(path);
            match self.ask(at, call).await {
                Ok(output) => {
                    let diff = String::from_utf8_lossy(&output.stdout);
                    // The text before the first hunk repeats the file name.
                    let hunks = diff.find("\n@@@").map_or(&*diff, |at| &diff[at + 1..]);
                    rendered.push_str(hunks.trim_end());
                    rendered.push_str("\n\n");
                }
                Err(GitError::Process(ProcessError::TooMuchOutput { .. })) => {
                    rendered.push_str("(too much to show here)\n\n");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(rendered)
    }
}

/// Describes what each side did, unless both simply changed the file.
fn how(code: &str) -> Option<&'static str> {
    Some(match code {
        "DD" => "deleted by both sides",
        "AU" => "added by the base",
        "UD" => "changed by the base, deleted by the branch",
        "UA" => "added by the branch",
        "DU" => "deleted by the base, changed by the branch",
        "AA" => "added by both sides",
        _changed => return None,
    })
}
