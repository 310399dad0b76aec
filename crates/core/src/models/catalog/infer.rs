//! Guesses from a model's name. The weakest source: it fills gaps, is marked as inferred everywhere, and meets no
//! requirement.

use super::model::{Capability, Facts, Tier};
use super::spelling::words;

/// Words in a name, and the capability they suggest.
const CAPABILITIES: [(&[&str], Capability); 4] = [
    (&["vision", "multimodal", "image", "vl"], Capability::Vision),
    (&["reasoning", "reasoner", "thinking", "r1", "deepthink"], Capability::Reasoning),
    (&["search", "browse", "web"], Capability::Web),
    (&["pdf"], Capability::Pdf),
];

/// Words in a name, and the tier they suggest; the first match counts.
const TIERS: [(&[&str], Tier); 5] = [
    (&["haiku", "nano", "lite", "tiny", "small"], Tier::Haiku),
    (&["flash", "mini", "air"], Tier::Flash),
    (&["opus", "ultra"], Tier::Opus),
    (&["pro", "max"], Tier::Pro),
    (&["sonnet", "medium", "large"], Tier::Sonnet),
];

/// Returns the facts that a name suggests.
pub fn infer(model: &str) -> Facts {
    let words = words(model);
    let has = |any: &[&str]| any.iter().any(|word| words.iter().any(|own| own == word));
    let capabilities = CAPABILITIES.into_iter().filter(|(any, _)| has(any)).map(|(_, what)| (what, true)).collect();
    let tier = TIERS.into_iter().find(|(any, _)| has(any)).map(|(_, tier)| tier);
    Facts { tier, capabilities, ..Facts::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_of_a_name_allow_guesses() {
        let guessed = |name| infer(name).capabilities.into_keys().collect::<Vec<_>>();
        assert_eq!(guessed("llama-3.2-vision"), [Capability::Vision]);
        assert_eq!(guessed("deepseek-r1"), [Capability::Reasoning]);
        assert_eq!(guessed("sonar-web-pdf"), [Capability::Web, Capability::Pdf]);
        assert_eq!(guessed("television"), []);
        assert_eq!(infer("gemini-9").tier, None, "mini is no word of gemini");
        assert_eq!(infer("gemini-9-pro").tier, Some(Tier::Pro));
        assert_eq!(infer("some-mini-pro").tier, Some(Tier::Flash));
    }
}
