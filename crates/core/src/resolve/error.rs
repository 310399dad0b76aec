//! Why a reference leads to no model, and what to write instead.

use super::reference::Tag;
use crate::catalog::{ModelRef, Tier};

/// Why there is no model. Suggestions are references that would be understood, the most likely first, at most 20.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Nothing was said.
    #[error("the reference to a model is empty")]
    Empty,
    /// No name of anything.
    #[error("{shown:?} is not a reference to a model")]
    NoName {
        /// Its beginning.
        shown: String,
    },
    /// No such tag.
    #[error("there is no tag {tag:?}{}", did_you_mean(.meant.map(Tag::as_str)))]
    UnknownTag {
        /// As it was written.
        tag: String,
        /// What was probably meant.
        meant: Option<Tag>,
    },
    /// No such tier.
    #[error("there is no {tier:?}{}", did_you_mean(.meant.map(Tier::as_str)))]
    UnknownTier {
        /// As it was written.
        tier: String,
        /// What was probably meant.
        meant: Option<Tier>,
    },
    /// No such provider.
    #[error("there is no provider {provider:?}{}", did_you_mean(.meant.as_deref()))]
    UnknownProvider {
        /// As it was written.
        provider: String,
        /// What was probably meant.
        meant: Option<String>,
        /// Providers, the nearest first.
        suggestions: Vec<String>,
    },
    /// No such model, alias or retired name.
    #[error("no model is called {name:?}{}", provider.as_ref().map(|p| format!(" at {p}")).unwrap_or_default())]
    UnknownModel {
        /// As it was written.
        name: String,
        /// The provider that was asked for.
        provider: Option<String>,
        /// Models and aliases.
        suggestions: Vec<String>,
    },
    /// An alias that leads back to itself.
    #[error("the alias leads back to itself: {}", .0.join(" → "))]
    AliasCycle(
        /// From the first name to the one that came up twice.
        Vec<String>,
    ),
    /// What an alias stands for leads nowhere.
    #[error("{}: {cause}", .chain.join(" → "))]
    BehindAlias {
        /// From the first name to the last reference.
        chain: Vec<String>,
        /// Why that one leads nowhere.
        cause: Box<ResolveError>,
    },
    /// Nobody serves anything.
    #[error("{what}: no provider can be used")]
    NobodyUsable {
        /// What was asked for.
        what: String,
    },
    /// Those who would serve do not answer as they should.
    #[error("{what}: no provider can be used now: {failing}")]
    AllFail {
        /// What was asked for.
        what: String,
        /// What is the matter with each.
        failing: String,
    },
    /// Providers are there, and none of their models does.
    #[error("{what}: no model of the usable providers ({providers}) {lacks}")]
    NoneFits {
        /// What was asked for.
        what: String,
        /// Who was looked at.
        providers: Box<str>,
        /// What they lack.
        lacks: String,
        /// A limit on price was kept.
        is_limited: bool,
        /// Models that would do, at providers that cannot be used.
        suggestions: Vec<String>,
        /// Settings by which a usable model would do that has what is needed by its name only.
        unsaid: Option<String>,
    },
    /// The named model cannot do what is needed.
    #[error("{model} {lacks}")]
    Conflict {
        /// The model.
        model: ModelRef,
        /// What it lacks.
        lacks: String,
        /// Models that would do, usable ones first.
        suggestions: Vec<String>,
    },
}

/// What lets more models in.
const DEARER: &str = "a higher model_selection.max_cost_per_1k_tokens lets dearer models in";
/// What lets a model in whose price is not known.
const UNPRICED: &str = "a price that orch does not know is said under models in config.yml";

fn did_you_mean(meant: Option<&str>) -> String {
    meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default()
}

/// What kind of failure it is, for exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// What was asked makes no sense.
    Usage,
    /// There is no such thing.
    NotFound,
    /// Refused as things stand.
    Refused,
}

impl ResolveError {
    /// Whether nothing is called so, as far as anybody knows.
    pub fn names_nothing(&self) -> bool {
        match self {
            Self::UnknownModel { .. } | Self::UnknownProvider { .. } => true,
            Self::BehindAlias { cause, .. } => cause.names_nothing(),
            Self::Empty
            | Self::NoName { .. }
            | Self::UnknownTag { .. }
            | Self::UnknownTier { .. }
            | Self::AliasCycle(_)
            | Self::NobodyUsable { .. }
            | Self::AllFail { .. }
            | Self::NoneFits { .. }
            | Self::Conflict { .. } => false,
        }
    }

    /// Whether aliases lead back to themselves.
    pub fn is_cycle(&self) -> bool {
        matches!(self, Self::AliasCycle(_))
    }

    /// What kind of failure it is.
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

    /// What could be written instead.
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

    /// What to do next.
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
