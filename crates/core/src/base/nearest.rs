//! Suggests the name that a person probably meant.

/// Returns the entry of `known` with the fewest edits from `name`, if they are few for its length.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: String = name.chars().take(100).flat_map(char::to_lowercase).collect();
    let distance = |candidate: &&str| strsim::osa_distance(&name, &candidate.to_lowercase());
    let best = known.into_iter().min_by_key(distance)?;
    (distance(&best) <= (name.chars().count() / 3).max(1)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        let agents = ["claude", "codex", "opencode"];
        assert_eq!(nearest("cluade", agents), Some("claude"));
        assert_eq!(nearest("Codx", agents), Some("codex"));
        assert_eq!(nearest("gemini", agents), None);
        assert_eq!(nearest("", agents), None);
    }
}
