//! The spellings of a name: without separators, without its date, with its parts in another order. Nothing here
//! guesses: two names are the same if they differ in case and separators only, or by a part without meaning.

/// Returns a name without case and separators: `Claude Sonnet 4.6` is `claudesonnet46`.
pub fn squash(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the words of a name, in lower case.
pub fn words(name: &str) -> Vec<String> {
    let parts = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    parts.map(str::to_lowercase).collect()
}

/// The distance of a spelling from the name itself; lower is nearer.
pub type Rank = u8;

/// Returns the squashed spellings of a model with their ranks. Rank 0 is the name itself.
pub fn spellings(provider: &str, model: &str) -> Vec<(String, Rank)> {
    let mut found = vec![(squash(model), 0), (squash(&format!("{provider}{model}")), 0)];
    let base = model.rsplit('/').next().unwrap_or(model).to_lowercase();
    let dated = without_date(&base);
    let mut shorter = vec![(base.clone(), 1)];
    if let Some((plain, date)) = &dated {
        shorter.push((plain.clone(), 2));
        found.extend(other_ways_round(plain).map(|name| (format!("{name}{date}"), 2)));
    }
    for ending in ["-latest", "-preview", "-it"] {
        if let Some(plain) = base.strip_suffix(ending) {
            shorter.push((plain.to_owned(), 3));
        }
    }
    for (name, rank) in shorter {
        found.push((squash(&name), rank));
        found.push((squash(&format!("{provider}{name}")), rank));
        found.extend(other_ways_round(&name).map(|name| (name, rank + 1)));
    }
    found.retain(|(name, _)| !name.is_empty());
    found
}

/// Spells `claude-sonnet-4-6` as `sonnet46`, `46sonnet` and `claude46sonnet`, and `claude-3-5-sonnet` likewise: its
/// maker has used both orders, and people omit the prefix.
fn other_ways_round(name: &str) -> impl Iterator<Item = String> {
    let own = name.strip_prefix("claude-").unwrap_or_default();
    let is_word = |part: &&str| part.starts_with(|c: char| c.is_alphabetic());
    let (words, numbers): (Vec<&str>, Vec<&str>) =
        own.split('-').filter(|part| !part.is_empty()).partition(|part| is_word(part));
    let (words, numbers) = (words.concat(), numbers.concat());
    let ways = [format!("{words}{numbers}"), format!("{numbers}{words}")];
    let with_maker = ways.clone().map(|way| format!("claude{way}"));
    ways.into_iter().chain(with_maker).filter(move |_| !words.is_empty() && !numbers.is_empty())
}

/// Splits `…-20250929` and `…-2025-09-29` into the name and the date.
fn without_date(name: &str) -> Option<(String, String)> {
    let is_date = |text: &str| text.len() == 8 && text.starts_with("20") && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = name.split('-').collect();
    for count in [1, 3] {
        let (front, date) = parts.split_at_checked(parts.len().checked_sub(count)?)?;
        if !front.is_empty() && is_date(&date.concat()) {
            return Some((front.join("-"), date.concat()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_spelling(typed: &str, provider: &str, model: &str) -> bool {
        spellings(provider, model).iter().any(|(name, _)| *name == squash(typed))
    }

    #[test]
    fn a_name_is_known_in_the_ways_people_write_it() {
        for typed in
            ["Sonnet-4-6", "claude sonnet 4.6", "claude-4-6-sonnet", "4.6 sonnet", "Anthropic Claude Sonnet 4.6"]
        {
            assert!(is_spelling(typed, "anthropic", "claude-sonnet-4-6"), "{typed}");
        }
        assert!(is_spelling("sonnet 4.5", "anthropic", "claude-sonnet-4-5-20250929"));
        assert!(is_spelling("gpt-4o", "openai", "gpt-4o-2024-11-20"));
        assert!(is_spelling("gpt-oss-120b", "groq", "openai/gpt-oss-120b"));
        assert!(is_spelling("gemini 3.1 pro", "google", "gemini-3.1-pro-preview"));
    }

    #[test]
    fn another_version_is_another_name() {
        assert!(!is_spelling("sonnet-4-5", "anthropic", "claude-sonnet-4-6"));
        assert!(!is_spelling("o4", "openai", "gpt-4o"));
        assert_eq!(without_date("glm-4.6"), None);
        assert_eq!(without_date("20250101"), None);
    }
}
