//! The resolved settings that prepare a fresh checkout of the project.

use super::overlay::overlay;
use super::raw_workspace::{RawVariable, RawWorkspace};
use orch_core::tasks::workspace::Variable;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a checkout needs beyond the files that git tracks. Contains only what the person approved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Workspace {
    /// Patterns of untracked files that are copied from the main checkout.
    pub copy: Vec<String>,
    /// Paths of untracked files that are linked to the main checkout.
    pub link: Vec<String>,
    /// Shell commands that prepare the checkout.
    pub setup: Vec<String>,
    /// Environment variables with a value per task.
    pub env: BTreeMap<String, Variable>,
}

impl Workspace {
    pub(super) fn with(self, raw: RawWorkspace) -> Self {
        let variable = |(name, raw): (String, Option<RawVariable>)| Some((name, variable(raw?)?));
        overlay!(self with raw {
            [copy, link, setup]
            env: self.env.into_iter().chain(raw.env.unwrap_or_default().into_iter().filter_map(variable)).collect(),
        })
    }
}

/// Resolves a variable. `None` if it has no kind or two kinds, which validation reports.
pub(super) fn variable(raw: RawVariable) -> Option<Variable> {
    match (raw.port, raw.slug) {
        (Some(port), None) => Some(Variable::Port(port)),
        (None, Some(slug)) => Some(Variable::Slug(slug)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}
