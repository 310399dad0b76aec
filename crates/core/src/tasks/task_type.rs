//! The type of a task, which decides what counts as evidence: with one rule for all, read-only tasks would loop for
//! ever.
//!
//! The type comes from the task's `type`, else from a label `type:*`; an unknown word is treated like
//! [`TaskType::Feature`].

use super::spec::Spec;
use std::fmt;

/// The evidence that is required when an agent reports that a task is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A change on the branch with passing checks.
    Change,
    /// A written result without a change.
    Text,
    /// A change or a written result: the work may be outside the repository.
    Either,
}

/// The type of a task, as named by the person or the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskType {
    /// A new feature; the default.
    Feature,
    /// A fix of something broken.
    Fix,
    /// A change of form without a change of behaviour.
    Refactor,
    /// Work on tests.
    Test,
    /// Documentation in the repository.
    Docs,
    /// An open question.
    Research,
    /// An assessment of existing work.
    Review,
    /// An operation to be carried out.
    Ops,
    /// A custom type: treated like [`TaskType::Feature`].
    Other(String),
}

impl TaskType {
    /// Returns the type of a task.
    pub fn from_spec(spec: &Spec) -> Self {
        let label = || spec.labels.iter().find_map(|label| label.trim().strip_prefix("type:"));
        spec.kind.as_deref().or_else(label).map_or(Self::Feature, Self::parse)
    }

    /// Returns the type of a task that requires a written result and no change.
    pub fn written(spec: &Spec) -> Option<String> {
        let task_type = Self::from_spec(spec);
        (task_type.proof() == Proof::Text).then(|| task_type.to_string())
    }

    /// Parses a word, ignoring case and the difference between `-`, `_` and a space.
    pub fn parse(word: &str) -> Self {
        let plain = word.trim().to_lowercase().replace(['_', ' '], "-");
        match plain.as_str() {
            "" | "feature" | "feat" | "enhancement" => Self::Feature,
            "fix" | "bug" | "bugfix" | "bug-fix" => Self::Fix,
            "refactor" | "refactoring" | "cleanup" | "chore" => Self::Refactor,
            "test" | "tests" | "testing" => Self::Test,
            "docs" | "doc" | "documentation" => Self::Docs,
            "research" | "analysis" | "question" | "planning" | "plan" | "investigation" => Self::Research,
            "review" | "code-review" | "audit" => Self::Review,
            "ops" | "operations" | "deployment" | "bash-command" => Self::Ops,
            _of_the_person => Self::Other(plain),
        }
    }

    /// Returns the required evidence.
    pub fn proof(&self) -> Proof {
        match self {
            Self::Feature | Self::Fix | Self::Refactor | Self::Test | Self::Docs | Self::Other(_) => Proof::Change,
            Self::Research | Self::Review => Proof::Text,
            Self::Ops => Proof::Either,
        }
    }

    /// Whether a check that failed before may be what the task is about.
    pub fn mends(&self) -> bool {
        *self == Self::Fix
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Feature => "feature",
            Self::Fix => "fix",
            Self::Refactor => "refactor",
            Self::Test => "test",
            Self::Docs => "docs",
            Self::Research => "research",
            Self::Review => "review",
            Self::Ops => "ops",
            Self::Other(word) => word,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: Option<&str>, labels: &[&str]) -> Spec {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Spec { kind: kind.map(str::to_owned), labels, ..Spec::default() }
    }

    #[test]
    fn the_field_counts_before_the_label_and_without_a_word_it_is_a_feature() {
        assert_eq!(TaskType::from_spec(&spec(None, &["agent:claude"])), TaskType::Feature);
        assert_eq!(TaskType::from_spec(&spec(None, &["type:Bug Fix"])), TaskType::Fix);
        assert_eq!(TaskType::from_spec(&spec(Some("research"), &["type:fix"])), TaskType::Research);
        assert_eq!(TaskType::from_spec(&spec(Some("Poetry"), &[])), TaskType::Other("poetry".to_owned()));
    }

    #[test]
    fn who_only_reads_owes_a_text_and_who_works_a_change() {
        let proof = |word| TaskType::parse(word).proof();
        assert_eq!(["research", "code_review", "analysis"].map(proof), [Proof::Text; 3]);
        assert_eq!(["fix", "docs", "whatever", ""].map(proof), [Proof::Change; 4]);
        assert_eq!(proof("ops"), Proof::Either);
    }
}
