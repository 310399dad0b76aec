//! A person's word on the work of a task, and whether it holds for what is there. PURE.

/// The fewest digits by which a person may name a commit.
const SHORTEST: usize = 4;

/// What a person decides about a task's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewDecision {
    /// Accepted as it is at this commit.
    Approve {
        /// The tip of the branch.
        commit: String,
    },
    /// To be merged now, as it is at this commit.
    Merge {
        /// The tip of the branch.
        commit: String,
    },
    /// What was merged is to be taken back.
    Revert,
    /// Not accepted: its author goes on with it.
    Reject {
        /// Why, in the person's words.
        reason: String,
    },
}

/// The branch as somebody has just seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Its name.
    pub branch: &'a str,
    /// Where it goes to.
    pub base: &'a str,
    /// Its tip.
    pub head: &'a str,
    /// Commits that the base does not have.
    pub commits: usize,
    /// The commit that orch has judged.
    pub judged: Option<&'a str>,
    /// A commit that the person names as the one they saw.
    pub wanted: Option<&'a str>,
}

/// Why a word about a branch does not hold for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBound {
    /// There is nothing to accept.
    #[error("{branch} has no commit that {base} does not have")]
    NoCommits {
        /// The branch.
        branch: String,
        /// Where it would go.
        base: String,
    },
    /// The branch has moved since the person looked.
    #[error("{branch} is at {head} now, not at {wanted}")]
    Moved {
        /// The branch.
        branch: String,
        /// Its tip.
        head: String,
        /// What the person saw.
        wanted: String,
    },
    /// The branch has moved since orch judged it.
    #[error("{branch} has moved since it was judged: it is at {head} now, and {judged} was judged")]
    MovedSinceJudged {
        /// The branch.
        branch: String,
        /// Its tip.
        head: String,
        /// What was judged.
        judged: String,
    },
    /// Nothing of it was judged, and the person names no commit.
    #[error("nothing of {branch} was judged; it is at {head}")]
    NotJudged {
        /// The branch.
        branch: String,
        /// Its tip.
        head: String,
    },
    /// What was named is no commit.
    #[error("{0:?} is no commit: give at least {SHORTEST} of its hexadecimal digits")]
    NoCommit(String),
}

impl Seen<'_> {
    /// The commit for which the person's word holds: the one that was judged, and no other. Where nothing was judged, it is
    /// the one that the person names.
    pub fn bind(&self) -> Result<String, NotBound> {
        if let Some(wanted) = self.wanted {
            if wanted.len() < SHORTEST || !wanted.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(NotBound::NoCommit(wanted.to_owned()));
            }
            if !self.head.starts_with(&wanted.to_ascii_lowercase()) {
                let (branch, wanted) = (self.branch.to_owned(), short(wanted).to_owned());
                return Err(NotBound::Moved { branch, head: short(self.head).to_owned(), wanted });
            }
        }
        let (branch, head) = (self.branch.to_owned(), short(self.head).to_owned());
        match self.judged {
            Some(judged) if judged != self.head => {
                return Err(NotBound::MovedSinceJudged { branch, head, judged: short(judged).to_owned() });
            }
            None if self.wanted.is_none() => return Err(NotBound::NotJudged { branch, head }),
            Some(_) | None => {}
        }
        if self.commits == 0 {
            return Err(NotBound::NoCommits { branch: self.branch.to_owned(), base: self.base.to_owned() });
        }
        Ok(self.head.to_owned())
    }
}

/// The beginning of a hash, as people read it.
pub fn short(sha: &str) -> &str {
    sha.get(..10).unwrap_or(sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "0123456789abcdef0123456789abcdef01234567";

    fn bind(wanted: Option<&str>, commits: usize) -> Result<String, NotBound> {
        Seen { branch: "orch/7-x", base: "main", head: HEAD, commits, judged: Some(HEAD), wanted }.bind()
    }

    #[test]
    fn a_word_is_of_the_judged_commit_whether_it_names_one_or_not() {
        let seen = |judged, wanted| Seen { branch: "orch/7-x", base: "main", head: HEAD, commits: 1, judged, wanted };
        let other = Some("fedcba9876543210fedcba9876543210fedcba98");
        for wanted in [None, Some(HEAD)] {
            let refused = seen(other, wanted).bind().unwrap_err();
            let told = "orch/7-x has moved since it was judged: it is at 0123456789 now, and fedcba9876 was judged";
            assert_eq!(refused.to_string(), told);
        }
        assert!(matches!(seen(None, None).bind(), Err(NotBound::NotJudged { .. })), "nobody has looked at it");
        assert_eq!(seen(None, Some("0123")).bind(), Ok(HEAD.to_owned()), "the person has");
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
        let told = bind(Some("fedc0123"), 1).unwrap_err().to_string();
        assert_eq!(told, "orch/7-x is at 0123456789 now, not at fedc0123");
        assert!(matches!(bind(Some(&format!("{HEAD}0")), 1), Err(NotBound::Moved { .. })));
    }

    #[test]
    fn nothing_and_nonsense_are_not_accepted() {
        assert!(matches!(bind(None, 0), Err(NotBound::NoCommits { .. })));
        for bad in ["", "012", "main", "--all", "0123;ls", "é123"] {
            assert!(matches!(bind(Some(bad), 1), Err(NotBound::NoCommit(_))), "{bad}");
        }
    }
}
