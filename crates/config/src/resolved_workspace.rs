//! What a fresh checkout of the project needs before somebody works there.

use super::raw_workspace::{RawVariable, RawWorkspace};
use orch_core::workspace::Variable;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a checkout needs that git does not bring. Only what the person approved is here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Workspace {
    /// Patterns of untracked files that are copied from the main checkout.
    pub copy: Vec<String>,
    /// Paths of untracked files that are linked to the main checkout.
    pub link: Vec<String>,
    /// Shell commands that make it ready.
    pub setup: Vec<String>,
    /// Variables with a value of each task's own.
    pub env: BTreeMap<String, Variable>,
}

impl Workspace {
    pub(super) fn with(self, raw: RawWorkspace) -> Self {
        let variable = |(name, raw): (String, Option<RawVariable>)| Some((name, variable(raw?)?));
        Self {
            copy: raw.copy.unwrap_or(self.copy),
            link: raw.link.unwrap_or(self.link),
            setup: raw.setup.unwrap_or(self.setup),
            env: self.env.into_iter().chain(raw.env.unwrap_or_default().into_iter().filter_map(variable)).collect(),
        }
    }
}

/// What a variable is. `None`: it says nothing, or two things; validation has said so.
pub(super) fn variable(raw: RawVariable) -> Option<Variable> {
    match (raw.port, raw.slug) {
        (Some(port), None) => Some(Variable::Port(port)),
        (None, Some(slug)) => Some(Variable::Slug(slug)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}
