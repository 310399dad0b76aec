//! Why a reference does not resolve to a model, and what to write instead.

use super::reference::Tag;
use crate::models::catalog::{ModelRef, Tier};

/// Why there is no model. Suggestions are valid references, the most likely first, at most 20.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The reference is empty.
    #[error("the reference to a model is empty")]
    Empty,
    /// The text cannot be a name.
    #[error("{shown:?} is not a reference to a model")]
    NoName {
        /// The start of the text.
        shown: String,
    },
    /// The tag is unknown.
    #[error("there is no tag {tag:?}{}", did_you_mean(.meant.map(Tag::as_str)))]
    UnknownTag {
        /// The tag as it was written.
        tag: String,
        /// The tag that was probably meant.
        meant: Option<Tag>,
    },
    /// The tier is unknown.
    #[error("there is no {tier:?}{}", did_you_mean(.meant.map(Tier::as_str)))]
    UnknownTier {
        /// The tier as it was written.
        tier: String,
        /// The tier that was probably meant.
        meant: Option<Tier>,
    },
    /// The provider is unknown.
    #[error("there is no provider {provider:?}{}", did_you_mean(.meant.as_deref()))]
    UnknownProvider {
        /// The provider as it was written.
        provider: String,
        /// The provider that was probably meant.
        meant: Option<String>,
        /// Known providers, the nearest first.
        suggestions: Vec<String>,
    },
    /// No model, alias or retired name matches.
    #[error("no model is called {name:?}{}", provider.as_ref().map(|p| format!(" at {p}")).unwrap_or_default())]
    UnknownModel {
        /// The name as it was written.
        name: String,
        /// The requested provider, if one was named.
        provider: Option<String>,
        /// Similar models and aliases.
        suggestions: Vec<String>,
    },
    /// An alias refers back to itself.
    #[error("the alias leads back to itself: {}", .0.join(" → "))]
    AliasCycle(
        /// The names from the first one to the repeated one.
        Vec<String>,
    ),
    /// The target of an alias does not resolve.
    #[error("{}: {cause}", .chain.join(" → "))]
    BehindAlias {
        /// The references from the first name to the last one.
        chain: Vec<String>,
        /// Why the last one does not resolve.
        cause: Box<ResolveError>,
    },
    /// No provider can be used.
    #[error("{what}: no provider can be used")]
    NobodyUsable {
        /// The reference that was requested.
        what: String,
    },
    /// All providers with a fitting model fail.
    #[error("{what}: no provider can be used now: {failing}")]
    AllFail {
        /// The reference that was requested.
        what: String,
        /// The problem of each provider.
        failing: String,
    },
    /// Providers can be used, but none of their models meets the needs.
    #[error("{what}: no model of the usable providers ({providers}) {lacks}")]
    NoneFits {
        /// The reference that was requested.
        what: String,
        /// The providers that were searched.
        providers: Box<str>,
        /// The capabilities that their models miss.
        lacks: String,
        /// Whether a price limit applied.
        is_limited: bool,
        /// Fitting models at providers that cannot be used.
        suggestions: Vec<String>,
        /// Settings that would let a usable model qualify whose capabilities are only guessed from its name.
        unsaid: Option<String>,
    },
    /// The named model does not meet the needs.
    #[error("{model} {lacks}")]
    Conflict {
        /// The named model.
        model: ModelRef,
        /// The capabilities that it misses.
        lacks: String,
        /// Models that meet the needs, usable ones first.
        suggestions: Vec<String>,
    },
}

/// How to allow more expensive models.
const DEARER: &str = "a higher model_selection.max_cost_per_1k_tokens lets dearer models in";
/// How to allow a model of unknown price.
const UNPRICED: &str = "a price that orch does not know is said under models in config.yml";

fn did_you_mean(meant: Option<&str>) -> String {
    meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default()
}

/// The kind of a failure, for exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The reference is not valid.
    Usage,
    /// The referenced thing does not exist.
    NotFound,
    /// The request is refused at present.
    Refused,
}

impl ResolveError {
    /// Whether nothing known has the requested name.
    pub fn names_nothing(&self) -> bool {
        if let Self::BehindAlias { cause, .. } = self {
            return cause.names_nothing();
        }
        matches!(self, Self::UnknownModel { .. } | Self::UnknownProvider { .. })
    }

    /// Whether the message itself names what was probably meant.
    pub fn has_meant(&self) -> bool {
        if let Self::BehindAlias { cause, .. } = self {
            return cause.has_meant();
        }
        matches!(
            self,
            Self::UnknownTag { meant: Some(_), .. }
                | Self::UnknownTier { meant: Some(_), .. }
                | Self::UnknownProvider { meant: Some(_), .. }
        )
    }

    /// Whether aliases refer back to themselves.
    pub fn is_cycle(&self) -> bool {
        matches!(self, Self::AliasCycle(_))
    }

    /// Returns the kind of the failure.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Empty | Self::NoName { .. } | Self::AliasCycle(_) => Trouble::Usage,
            Self::UnknownTag { .. }
            | Self::UnknownTier { .. }
            | Self::UnknownProvider { .. }
            | Self::UnknownModel { .. } => Trouble::NotFound,
            Self::NobodyUsable { .. } | Self::AllFail { .. } | Self::NoneFits { .. } | Self::Conflict { .. } => {
                Trouble::Refused
            }
            Self::BehindAlias { cause, .. } => cause.trouble(),
        }
    }

    /// Returns what could be written instead.
    pub fn suggestions(&self) -> Vec<String> {
        match self {
            Self::Empty
            | Self::NoName { .. }
            | Self::AliasCycle(_)
            | Self::NobodyUsable { .. }
            | Self::AllFail { .. } => Vec::new(),
            Self::UnknownTag { .. } => Tag::ALL.map(|tag| tag.as_str().to_owned()).to_vec(),
            Self::UnknownTier { .. } => Tier::ALL.map(|tier| format!("tier:{tier}")).to_vec(),
            Self::UnknownProvider { suggestions, .. }
            | Self::UnknownModel { suggestions, .. }
            | Self::NoneFits { suggestions, .. }
            | Self::Conflict { suggestions, .. } => suggestions.clone(),
            Self::BehindAlias { cause, .. } => cause.suggestions(),
        }
    }

    /// Returns what to do next.
    pub fn hint(&self) -> String {
        let list = self.suggestions().join(", ");
        match self {
            Self::Empty | Self::NoName { .. } => {
                "write provider/model, an alias such as sonnet, a tag such as auto:code, or tier:pro".to_owned()
            }
            Self::AliasCycle(_) => "let one of them name a model, under model_aliases in config.yml".to_owned(),
            Self::UnknownTag { .. } => format!("tags are {list}; node:x is the same as auto:x"),
            Self::UnknownTier { .. } => format!("tiers are {list}"),
            Self::UnknownProvider { .. } | Self::UnknownModel { .. } if list.is_empty() => {
                "orch models list shows all of them".to_owned()
            }
            Self::UnknownProvider { .. } => format!("providers are {list}; others are declared under providers"),
            Self::UnknownModel { .. } => {
                format!("similar names: {list}; orch models list shows all, and models in config.yml adds one")
            }
            Self::NobodyUsable { .. } => {
                "log in with an agent (orch doctor tells how), set a provider's key such as ANTHROPIC_API_KEY, or \
                 declare a provider under providers; orch models list tells what each lacks"
                    .to_owned()
            }
            Self::AllFail { .. } => {
                "name a model to take it all the same; orch models check --refresh asks the providers again".to_owned()
            }
            Self::NoneFits { unsaid: Some(unsaid), .. } => {
                let others =
                    if list.is_empty() { String::new() } else { format!("; once usable, these would do: {list}") };
                format!("{unsaid} in config.yml would do, if that is so: only its name says it{others}")
            }
            Self::NoneFits { is_limited: true, .. } if list.is_empty() => format!("{DEARER}; {UNPRICED}"),
            Self::NoneFits { is_limited: true, .. } => {
                format!("these would do, once their provider can be used: {list}; {DEARER}")
            }
            Self::NoneFits { .. } | Self::Conflict { .. } if list.is_empty() => {
                "if a model can do it and orch does not know, say so under models in config.yml".to_owned()
            }
            Self::NoneFits { .. } => format!("these would do, once their provider can be used: {list}"),
            Self::Conflict { .. } => format!("these would do: {list}"),
            Self::BehindAlias { cause, .. } => cause.hint(),
        }
    }
}
