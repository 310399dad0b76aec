//! The names that orch gives to external things: branch, worktree directory, tmux session. Pure.
//!
//! Every name is computed from the task, its project, and the run, so that repeating an effect finds what the first one
//! created. A title is untrusted: only ASCII letters, digits and `-` of it reach a name. No program is asked whether a
//! name is valid: [`BranchName::parse`] has git's rules.

use super::ids::TaskId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// The prefix of task branches: `orch/<id>-<slug>`.
pub const BRANCH_PREFIX: &str = "orch/";

/// The longest slug of a title, in bytes.
const SLUG_MAX: usize = 40;
/// The longest project part of a session name, in bytes.
const SESSION_PROJECT_MAX: usize = 24;
/// The longest directory name made from a project's name, in bytes.
const DIRECTORY_MAX: usize = 64;
/// The longest component of a branch name: a file name (255) minus git's `.lock`.
const COMPONENT_MAX: usize = 250;

/// The longest name of a job or a batch, in bytes.
pub const LONGEST_NAME: usize = 64;

/// Whether a text may be the name of a job or a batch: letters, digits, `.`, `_` and `-`, starting with a letter or
/// digit. Safe as a file name and in a path.
pub fn is_plain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && text.len() <= LONGEST_NAME && text.chars().all(fits)
}

/// A branch name that git accepts and that no program can mistake for an option.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

/// Why a text is not a branch name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a branch name: {reason}")]
pub struct BadBranchName {
    /// The rejected text.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl BranchName {
    /// Parses what `git check-ref-format --branch` accepts, except names that git would expand (`@{-1}`).
    pub fn parse(name: &str) -> Result<Self, BadBranchName> {
        match refusal(name) {
            None => Ok(Self(name.to_owned())),
            Some(reason) => Err(BadBranchName { name: name.to_owned(), reason }),
        }
    }

    /// Returns the short name, as a person types it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the full name of the ref: `refs/heads/…`. Never ambiguous with a tag, never an option.
    pub fn full_ref(&self) -> String {
        format!("refs/heads/{}", self.0)
    }

    /// Whether the branch has the prefix of task branches.
    pub fn is_of_a_task(&self) -> bool {
        self.0.starts_with(BRANCH_PREFIX)
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for BranchName {
    type Error = BadBranchName;
    fn try_from(name: String) -> Result<Self, BadBranchName> {
        Self::parse(&name)
    }
}

impl From<BranchName> for String {
    fn from(name: BranchName) -> Self {
        name.0
    }
}

/// Returns the rule of git that a name breaks, if any (git-check-ref-format(1), and `branch`'s own: no leading `-`, not
/// `HEAD`).
fn refusal(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.starts_with('-') {
        return Some("it begins with \"-\"");
    }
    if name == "@" || name == "HEAD" {
        return Some("git keeps this name for itself");
    }
    if name.bytes().any(|b| b.is_ascii_control() || b" ~^:?*[\\".contains(&b)) {
        return Some("it contains a blank, a control character or one of ~ ^ : ? * [ \\");
    }
    if name.contains("..") || name.contains("@{") {
        return Some("it contains \"..\" or \"@{\"");
    }
    if name.ends_with('.') {
        return Some("it ends with \".\"");
    }
    name.split('/').find_map(component_refusal)
}

fn component_refusal(component: &str) -> Option<&'static str> {
    if component.is_empty() {
        return Some("it begins or ends with \"/\" or contains \"//\"");
    }
    if component.starts_with('.') {
        return Some("a part of it begins with \".\"");
    }
    if component.ends_with(".lock") {
        return Some("a part of it ends with \".lock\"");
    }
    (component.len() > COMPONENT_MAX).then_some("a part of it is longer than 250 bytes")
}

/// Returns the branch of a task: `orch/<id>-<slug>`, or `orch/<id>` where the title has no ASCII letter or digit.
///
/// Unique by id within one home. A later change of the title gives another name: the task stores the first one.
pub fn branch(task: TaskId, title: &str) -> BranchName {
    let slug = slug(title, SLUG_MAX);
    let separator = if slug.is_empty() { "" } else { "-" };
    BranchName(format!("{BRANCH_PREFIX}{task}{separator}{slug}"))
}

/// Returns the branch where that name is taken, by another home or an older journal of this one:
/// `orch/<id>-<slug>-<home>`, with a number from the second try on.
pub fn branch_of_home(task: TaskId, title: &str, home: &str, number: u32) -> BranchName {
    let BranchName(plain) = branch(task, title);
    let again = if number > 1 { format!("-{number}") } else { String::new() };
    BranchName(format!("{plain}-{home}{again}"))
}

/// Returns the worktree of a branch, relative to the worktrees' root: `<project>/<branch>`.
pub fn worktree_dir(project: &str, branch: &BranchName) -> PathBuf {
    // A branch name has no empty, `.` or `..` part, so that joining it cannot leave the directory.
    Path::new(&directory_name(project)).join(branch.as_str())
}

/// Returns the name of a run's tmux session: `orch-<project>-<hash of its root>-<task>-<ordinal>`.
///
/// It has letters, digits, `_` and `-` only: tmux reads `.` and `:` as separators of a target.
pub fn session_name(project: &str, root: &Path, task: TaskId, ordinal: u32) -> String {
    let slug = slug(project, SESSION_PROJECT_MAX);
    let separator = if slug.is_empty() { "" } else { "-" };
    format!("orch{separator}{slug}-{}-{task}-{ordinal}", short_hash(root.as_os_str().as_encoded_bytes()))
}

/// Converts a project's name to a directory name: letters, digits, `.`, `_` and `-`, no leading `.` or `-`.
pub fn directory_name(project: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = project.chars().map(safe).take(DIRECTORY_MAX).collect();
    let name = name.trim_start_matches(['.', '-']).trim_end_matches(['.', '-']);
    // git gives `<name>.lock` and `<name>.git` a meaning of its own.
    let name = name.trim_end_matches(".lock").trim_end_matches(".git").trim_end_matches(['.', '-']);
    if name.is_empty() { "project".to_owned() } else { name.to_owned() }
}

/// Converts a text to lower-case ASCII words joined by single `-`, at most `max` bytes, without `-` at its ends.
pub fn slug(text: &str, max: usize) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if slug.len() >= max {
            break;
        }
        match ascii_letter(c) {
            Some(letter) => slug.push(letter),
            None if slug.is_empty() || slug.ends_with('-') => {}
            None => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// Returns the ASCII letter or digit for `c` in a slug. Latin letters lose their diacritics.
fn ascii_letter(c: char) -> Option<char> {
    let plain = match c {
        'à'..='å' | 'À'..='Å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'Ç' | 'ć' | 'č' | 'Č' => 'c',
        'è'..='ë' | 'È'..='Ë' | 'ē' | 'ę' | 'ě' => 'e',
        'ì'..='ï' | 'Ì'..='Ï' | 'ı' => 'i',
        'ñ' | 'Ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'Ò'..='Ö' | 'Ø' | 'ő' => 'o',
        'ś' | 'š' | 'Š' | 'ß' | 'ş' => 's',
        'ù'..='ü' | 'Ù'..='Ü' | 'ů' | 'ű' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' | 'Ž' => 'z',
        'ł' | 'Ł' => 'l',
        'ğ' => 'g',
        'ř' => 'r',
        other => other.to_ascii_lowercase(),
    };
    plain.is_ascii_alphanumeric().then_some(plain)
}

/// Returns the provider in a model's name: the part before the first slash.
pub fn provider_in(model: &str) -> Option<&str> {
    let (provider, rest) = model.trim().split_once('/')?;
    (!provider.is_empty() && !rest.is_empty()).then_some(provider)
}

/// Returns eight hex digits that distinguish two paths. Not resistant to deliberate collisions.
pub fn short_hash(bytes: &[u8]) -> String {
    let hash = fingerprint(bytes);
    format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
}

/// Computes FNV-1a with 64 bits: the same on every machine and in every release, so that it may be stored.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
