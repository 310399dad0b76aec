//! The syntax of a model reference: a tag, a tier, `provider/model`, or a name. The grammar is exact: only `auto`,
//! `auto:WORD`, `node:WORD` and `tier:WORD` are tags or tiers; `autopilot` is an ordinary name.

use super::error::ResolveError;
use crate::base::nearest::nearest;
use crate::models::catalog::Tier;

/// The longest valid reference, in bytes.
const MAX: usize = 200;
/// How much of an invalid text is shown, in characters.
const SHOWN: usize = 40;

/// What a task needs from its model, without a name. `node:x` is another way to write `auto:x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// `auto`: the default model.
    Auto,
    /// `auto:vision`: images.
    Vision,
    /// `auto:fast`: quick answers.
    Fast,
    /// `auto:docs`: research and documentation.
    Docs,
    /// `auto:code`: code.
    Code,
    /// `auto:reasoning`: complex tasks.
    Reasoning,
    /// `auto:cheap`: the lowest price.
    Cheap,
}

impl Tag {
    /// All tags.
    pub const ALL: [Self; 7] =
        [Self::Auto, Self::Vision, Self::Fast, Self::Docs, Self::Code, Self::Reasoning, Self::Cheap];

    /// Returns the tag as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Vision => "auto:vision",
            Self::Fast => "auto:fast",
            Self::Docs => "auto:docs",
            Self::Code => "auto:code",
            Self::Reasoning => "auto:reasoning",
            Self::Cheap => "auto:cheap",
        }
    }

    /// Returns the tag with this word after `auto:`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| tag.word() == Some(word))
    }

    fn word(self) -> Option<&'static str> {
        self.as_str().strip_prefix("auto:")
    }
}

/// A parsed reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A tag such as `auto:fast`.
    Tag(Tag),
    /// `tier:WORD`.
    Tier(Tier),
    /// `provider/model`.
    Explicit {
        /// The part before the first slash.
        provider: String,
        /// The part after it.
        model: String,
    },
    /// Anything else: an alias or a model's name.
    Name(String),
}

/// Parses a reference.
///
/// # Errors
/// Returns an error if it is empty, too long, has control characters, has no model after its provider, or has an
/// unknown tag or tier.
pub fn parse(text: &str) -> Result<Reference, ResolveError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ResolveError::Empty);
    }
    if text.len() > MAX || text.contains(char::is_control) {
        return Err(ResolveError::NoName { shown: text.chars().filter(|c| !c.is_control()).take(SHOWN).collect() });
    }
    let lower = text.to_lowercase();
    if lower == "auto" {
        return Ok(Reference::Tag(Tag::Auto));
    }
    if let Some(word) = lower.strip_prefix("auto:").or_else(|| lower.strip_prefix("node:")) {
        let word = word.trim();
        return Tag::from_word(word).map(Reference::Tag).ok_or_else(|| {
            let meant = nearest(word, Tag::ALL.into_iter().filter_map(Tag::word));
            ResolveError::UnknownTag { tag: text.to_owned(), meant: meant.and_then(Tag::from_word) }
        });
    }
    if let Some(word) = lower.strip_prefix("tier:") {
        let word = word.trim();
        let of = |word: &str| Tier::ALL.into_iter().find(|tier| tier.as_str() == word);
        return of(word).map(Reference::Tier).ok_or_else(|| {
            let meant = nearest(word, Tier::ALL.map(Tier::as_str));
            ResolveError::UnknownTier { tier: text.to_owned(), meant: meant.and_then(of) }
        });
    }
    Ok(match text.split_once('/').map(|(provider, model)| (provider.trim(), model.trim())) {
        // A provider without a model is invalid, even if an alias has its name.
        Some((_, model)) if model.chars().all(|c| c == '/') => {
            return Err(ResolveError::NoName { shown: text.chars().take(SHOWN).collect() });
        }
        Some((provider, model)) if !provider.is_empty() => {
            Reference::Explicit { provider: provider.to_owned(), model: model.to_owned() }
        }
        // The path of a model at a custom server.
        Some(_) | None => Reference::Name(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_exactly_these() {
        for (text, tag) in [
            ("auto", Tag::Auto),
            ("auto:vision", Tag::Vision),
            ("node:vision", Tag::Vision),
            ("auto:fast", Tag::Fast),
            ("NODE:Fast", Tag::Fast),
            ("auto:docs", Tag::Docs),
            ("auto:code", Tag::Code),
            ("auto:reasoning", Tag::Reasoning),
            (" auto:cheap ", Tag::Cheap),
        ] {
            assert_eq!(parse(text), Ok(Reference::Tag(tag)), "{text}");
        }
        for text in ["node", "autopilot", "auto-fast", "nodes", "automatic/model", "xauto:fast"] {
            assert!(!matches!(parse(text), Ok(Reference::Tag(_))), "{text}");
        }
        assert_eq!(
            parse("auto:visoin"),
            Err(ResolveError::UnknownTag { tag: "auto:visoin".to_owned(), meant: Some(Tag::Vision) })
        );
        assert_eq!(parse("auto:"), Err(ResolveError::UnknownTag { tag: "auto:".to_owned(), meant: None }));
    }

    #[test]
    fn the_rest_is_a_tier_an_explicit_model_or_a_name() {
        assert_eq!(parse("tier:pro"), Ok(Reference::Tier(Tier::Pro)));
        assert!(matches!(parse("tier:prp"), Err(ResolveError::UnknownTier { meant: Some(Tier::Pro), .. })));
        let explicit =
            |provider: &str, model: &str| Reference::Explicit { provider: provider.into(), model: model.into() };
        assert_eq!(parse("a/b"), Ok(explicit("a", "b")));
        assert_eq!(parse("openrouter/meta/llama"), Ok(explicit("openrouter", "meta/llama")));
        assert_eq!(parse("claude sonnet 4.6"), Ok(Reference::Name("claude sonnet 4.6".to_owned())));
        assert!(matches!(parse("/models/own.gguf"), Ok(Reference::Name(_))), "a path that a server has for a name");
        for none in ["anthropic/", " anthropic / ", "x//", "/", "//"] {
            assert_eq!(parse(none), Err(ResolveError::NoName { shown: none.trim().to_owned() }), "{none}");
        }
        assert_eq!(parse("  "), Err(ResolveError::Empty));
        assert!(matches!(parse("a\u{1b}b"), Err(ResolveError::NoName { .. })));
        assert!(matches!(parse(&"a".repeat(201)), Err(ResolveError::NoName { .. })));
    }
}
