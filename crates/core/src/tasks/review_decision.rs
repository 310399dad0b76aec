//! A person's decision about the work of a task, and the check that it applies to the branch as it is. Pure.

/// The fewest digits with which a person may name a commit.
const MIN_DIGITS: usize = 4;

/// What a person decides about a task's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewDecision {
    /// Accept it as it is at this commit.
    Approve {
        /// The tip of the branch.
        commit: String,
    },
    /// Merge it now, as it is at this commit.
    Merge {
        /// The tip of the branch.
        commit: String,
    },
    /// Revert the merge of it.
    Revert,
    /// Reject it: the author continues with it.
    Reject {
        /// Why, in the person's words.
        reason: String,
    },
}

/// The branch as it was just read from the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchSnapshot<'a> {
    /// The name of the branch.
    pub branch: &'a str,
    /// The branch into which it merges.
    pub base: &'a str,
    /// The tip of the branch.
    pub head: &'a str,
    /// The number of commits that the base does not have.
    pub commits: usize,
    /// The commit that orch has judged.
    pub judged: Option<&'a str>,
    /// The commit that the person names as the one they saw.
    pub expected: Option<&'a str>,
}

/// Why a decision does not apply to a branch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// The branch has no commits to accept.
    #[error("{branch} has no commit that {base} does not have")]
    NoCommits {
        /// The name of the branch.
        branch: String,
        /// The branch into which it would merge.
        base: String,
    },
    /// The branch has moved since the person looked.
    #[error("{branch} is at {head} now, not at {expected}")]
    Moved {
        /// The name of the branch.
        branch: String,
        /// The current tip of the branch.
        head: String,
        /// The commit that the person saw.
        expected: String,
    },
    /// The branch has moved since orch judged it.
    #[error("{branch} has moved since it was judged: it is at {head} now, and {judged} was judged")]
    MovedSinceJudged {
        /// The name of the branch.
        branch: String,
        /// The current tip of the branch.
        head: String,
        /// The commit that was judged.
        judged: String,
    },
    /// No commit of the branch was judged, and the person names none.
    #[error("nothing of {branch} was judged; it is at {head}")]
    NotJudged {
        /// The name of the branch.
        branch: String,
        /// The current tip of the branch.
        head: String,
    },
    /// The person's text is not the hash of a commit.
    #[error("{0:?} is no commit: give at least {MIN_DIGITS} of its hexadecimal digits")]
    NoCommit(String),
}

impl BranchSnapshot<'_> {
    /// Returns the commit to which the person's decision applies: the judged one only or, where none was judged, the
    /// one that the person names.
    pub fn decided_commit(&self) -> Result<String, DecisionError> {
        if let Some(expected) = self.expected {
            if expected.len() < MIN_DIGITS || !expected.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(DecisionError::NoCommit(expected.to_owned()));
            }
            if !self.head.starts_with(&expected.to_ascii_lowercase()) {
                let (branch, expected) = (self.branch.to_owned(), short(expected).to_owned());
                return Err(DecisionError::Moved { branch, head: short(self.head).to_owned(), expected });
            }
        }
        let (branch, head) = (self.branch.to_owned(), short(self.head).to_owned());
        match self.judged {
            Some(judged) if judged != self.head => {
                return Err(DecisionError::MovedSinceJudged { branch, head, judged: short(judged).to_owned() });
            }
            None if self.expected.is_none() => return Err(DecisionError::NotJudged { branch, head }),
            Some(_) | None => {}
        }
        if self.commits == 0 {
            return Err(DecisionError::NoCommits { branch: self.branch.to_owned(), base: self.base.to_owned() });
        }
        Ok(self.head.to_owned())
    }
}

/// Shortens a commit hash for display.
pub fn short(sha: &str) -> &str {
    sha.get(..10).unwrap_or(sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "0123456789abcdef0123456789abcdef01234567";

    fn bind(expected: Option<&str>, commits: usize) -> Result<String, DecisionError> {
        BranchSnapshot { branch: "orch/7-x", base: "main", head: HEAD, commits, judged: Some(HEAD), expected }
            .decided_commit()
    }

    #[test]
    fn a_word_is_of_the_judged_commit_whether_it_names_one_or_not() {
        let seen = |judged, expected| BranchSnapshot {
            branch: "orch/7-x",
            base: "main",
            head: HEAD,
            commits: 1,
            judged,
            expected,
        };
        let other = Some("fedcba9876543210fedcba9876543210fedcba98");
        for expected in [None, Some(HEAD)] {
            let refused = seen(other, expected).decided_commit().unwrap_err();
            let text = "orch/7-x has moved since it was judged: it is at 0123456789 now, and fedcba9876 was judged";
            assert_eq!(refused.to_string(), text);
        }
        assert!(
            matches!(seen(None, None).decided_commit(), Err(DecisionError::NotJudged { .. })),
            "nobody has looked at it"
        );
        assert_eq!(seen(None, Some("0123")).decided_commit(), Ok(HEAD.to_owned()), "the person has");
    }

    #[test]
    fn a_word_holds_for_the_commit_that_was_seen() {
        assert_eq!(bind(None, 1), Ok(HEAD.to_owned()));
        assert_eq!(bind(Some("0123"), 1), Ok(HEAD.to_owned()));
        assert_eq!(bind(Some("0123456789ABCDEF"), 1), Ok(HEAD.to_owned()));
        assert_eq!(bind(Some(HEAD), 3), Ok(HEAD.to_owned()));
    }

    #[test]
    fn a_branch_that_moved_is_not_what_was_seen() {
        let text = bind(Some("fedc0123"), 1).unwrap_err().to_string();
        assert_eq!(text, "orch/7-x is at 0123456789 now, not at fedc0123");
        assert!(matches!(bind(Some(&format!("{HEAD}0")), 1), Err(DecisionError::Moved { .. })));
    }

    #[test]
    fn nothing_and_nonsense_are_not_accepted() {
        assert!(matches!(bind(None, 0), Err(DecisionError::NoCommits { .. })));
        for bad in ["", "012", "main", "--all", "0123;ls", "é123"] {
            assert!(matches!(bind(Some(bad), 1), Err(DecisionError::NoCommit(_))), "{bad}");
        }
    }
}
