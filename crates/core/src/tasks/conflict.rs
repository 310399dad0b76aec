//! A conflict of a branch with its base: the files, and both sides of what is at odds. PURE.

use serde::{Deserialize, Serialize};

/// How many files a line names.
const NAMED: usize = 8;

/// What is at odds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conflict {
    /// The files, from the repository's root.
    pub files: Vec<String>,
    /// The difference with both sides; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sides: String,
}

impl Conflict {
    /// The files in a line.
    pub fn named(&self) -> String {
        let more = self.files.len().saturating_sub(NAMED);
        let list = self.files.iter().take(NAMED).map(|file| one_line(file)).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{list} and {more} more") } else { list }
    }

    /// The files, one per line.
    pub fn listed(&self) -> String {
        self.files.iter().map(|file| one_line(file)).collect::<Vec<_>>().join("\n")
    }
}

/// A name may hold a line's end; the text is for reading.
fn one_line(file: &str) -> String {
    file.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict_in(files: &[&str]) -> Conflict {
        Conflict { files: files.iter().map(|file| (*file).to_owned()).collect(), sides: "@@@ -1 +1 @@@".to_owned() }
    }

    #[test]
    fn a_file_is_one_line_whatever_its_name() {
        assert_eq!(conflict_in(&["a.txt", "b c"]).listed(), "a.txt\nb c");
        assert_eq!(
            (conflict_in(&["a\n\nb"]).listed().as_str(), conflict_in(&["a\rb"]).named().as_str()),
            ("a  b", "a b")
        );
    }

    #[test]
    fn a_line_names_the_first_files_and_counts_the_others() {
        let many: Vec<String> = (1..=10).map(|n| format!("f{n}")).collect();
        assert_eq!(conflict_in(&["a", "b"]).named(), "a, b");
        let many = Conflict { files: many, sides: String::new() };
        assert!(many.named().ends_with("f8 and 2 more"), "{}", many.named());
    }
}
