//! The keys of a task in `tasks.yml`: known keys, their synonyms, and the message about unknown ones. Pure.

/// Every known key, in the order in which orch writes them.
pub const KEYS: [&str; 18] = [
    "id",
    "title",
    "type",
    "priority",
    "labels",
    "depends_on",
    "parent",
    "dir",
    "assignee",
    "status",
    "agent",
    "model",
    "complexity",
    "branch",
    "attempts",
    "summary",
    "pr",
    "body",
];

/// Synonyms of keys, in small letters without `_` and `-`.
const SYNONYMS: [(&str, &[&str]); 9] = [
    ("title", &["name", "subject", "task"]),
    ("body", &["description", "desc", "details", "prompt", "instructions", "text", "content", "message"]),
    ("labels", &["label", "tags", "tag"]),
    ("depends_on", &["depends", "dependson", "dependency", "dependencies", "deps", "after", "blockedby", "waitsfor"]),
    ("parent", &["parentid", "partof"]),
    ("dir", &["directory"]),
    ("type", &["kind"]),
    ("status", &["state"]),
    ("agent", &["executor"]),
];

/// Keys by which a person says that a task must not start yet.
const HOLDS: [&str; 8] = ["hold", "onhold", "held", "paused", "pause", "draft", "disabled", "skip"];

const IN_DIR: &str = "write `dir:` with the directory of its repository";

/// What to write instead of certain unknown keys.
const INSTEAD: [(&str, &str); 10] = [
    ("project", IN_DIR),
    ("repo", IN_DIR),
    ("repository", IN_DIR),
    ("budget", "write the label `max-cost:2.50`"),
    ("maxcost", "write the label `max-cost:2.50`"),
    ("modelpolicy", "write the label `model-policy:sticky` or `model-policy:dynamic`"),
    ("done", "write `status: done`"),
    ("enabled", "take the entry out, or write `hold: true`"),
    ("children", "write `parent:` into its parts"),
    ("subtasks", "write `parent:` into its parts"),
];

/// The meaning of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// One of [`KEYS`].
    Key(&'static str),
    /// The task must not start while this is true.
    Hold,
    /// No meaning, with what to write instead.
    Instead(&'static str),
    /// No meaning.
    Nothing,
}

/// Returns the meaning of a key in any spelling: `dependsOn`, `depends-on` and `depends` are `depends_on`.
pub fn meaning_of(name: &str) -> Meaning {
    if let Some(key) = KEYS.iter().copied().find(|key| *key == name) {
        return Meaning::Key(key);
    }
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect::<String>().to_lowercase();
    let spelt = KEYS.iter().find(|key| key.replace('_', "") == plain).copied();
    let other = || SYNONYMS.iter().find(|(_, words)| words.contains(&plain.as_str())).map(|(key, _)| *key);
    if let Some(key) = spelt.or_else(other) {
        return Meaning::Key(key);
    }
    if HOLDS.contains(&plain.as_str()) {
        return Meaning::Hold;
    }
    let instead = INSTEAD.iter().find(|(word, _)| *word == plain);
    instead.map_or(Meaning::Nothing, |(_, what)| Meaning::Instead(what))
}

/// Returns the message about an ignored key.
pub fn describe_ignored(name: &str) -> String {
    match meaning_of(name) {
        Meaning::Key(key) => format!("`{name}` is not looked at, because `{key}` says the same"),
        Meaning::Instead(what) => format!("`{name}` is no key of a task and is not looked at: {what}"),
        Meaning::Hold | Meaning::Nothing => format!("`{name}` is no key of a task and is not looked at"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_guesses_mean_the_key_that_is_meant() {
        for (name, key) in [
            ("title", "title"),
            ("Title", "title"),
            ("name", "title"),
            ("description", "body"),
            ("prompt", "body"),
            ("depends", "depends_on"),
            ("dependsOn", "depends_on"),
            ("depends-on", "depends_on"),
            ("blocked_by", "depends_on"),
            ("tags", "labels"),
            ("directory", "dir"),
            ("executor", "agent"),
        ] {
            assert_eq!(meaning_of(name), Meaning::Key(key), "{name}");
        }
        assert_eq!(meaning_of("on_hold"), Meaning::Hold);
        assert!(matches!(meaning_of("modelPolicy"), Meaning::Instead(what) if what.contains("model-policy:")));
        assert_eq!(meaning_of("estimate"), Meaning::Nothing);
    }

    #[test]
    fn no_word_means_two_things() {
        let words: Vec<&str> = SYNONYMS.iter().flat_map(|(_, words)| words.iter().copied()).collect();
        let all: Vec<&str> = words.into_iter().chain(HOLDS).chain(INSTEAD.iter().map(|(word, _)| *word)).collect();
        for (at, word) in all.iter().enumerate() {
            assert!(!all[..at].contains(word) && !KEYS.contains(word), "{word}");
        }
    }
}
