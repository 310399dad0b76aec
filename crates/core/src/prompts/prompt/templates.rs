//! The prompts of orch, their placeholders, and the active texts: the embedded ones, or the user's overrides. It reads
//! no file: the caller passes the contents of `$ORCH_HOME/prompts/`.

use super::template::{Placeholder, Template, TemplateProblem, Values};
use crate::base::nearest::nearest;
use std::collections::BTreeMap;
use std::fmt;
use strum::IntoStaticStr;

/// The name of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TemplateName {
    /// Chooses the agent and complexity of a task.
    Route,
    /// Asks for work on a task.
    Agent,
    /// Asks to continue work that was not accepted.
    Retry,
    /// Asks to repeat an unreadable answer.
    Repair,
    /// Asks for a review.
    Review,
    /// Asks to continue after the process was killed.
    Interrupted,
    /// Asks to resolve a conflict with the base.
    Conflict,
    /// Carries the person's messages.
    Message,
    /// Asks an agent without activity whether it still works.
    Nudge,
    /// Reports the results of subtasks.
    Parts,
    /// Reports the earlier runs of the task.
    Handover,
}

const fn required(name: &'static str) -> Placeholder {
    Placeholder { name, required: true }
}

const fn optional(name: &'static str) -> Placeholder {
    Placeholder { name, required: false }
}

const ROUTE: &[Placeholder] = &[
    optional("task_id"),
    required("agents"),
    optional("record"),
    optional("skills"),
    required("complexity_guide"),
    required("task"),
    required("answer_format"),
];
const AGENT: &[Placeholder] = &[
    optional("task_id"),
    optional("attempt"),
    optional("max_attempts"),
    required("worktree"),
    optional("main_dir"),
    optional("branch"),
    optional("base_branch"),
    optional("checks"),
    optional("written"),
    required("task"),
    optional("profile"),
    optional("skills"),
    optional("advice"),
    optional("instructions"),
    required("previous"),
    required("answer_format"),
];
const RETRY: &[Placeholder] = &[
    optional("task_id"),
    optional("attempt"),
    optional("max_attempts"),
    optional("branch"),
    required("problem"),
    required("answer_format"),
];
const REPAIR: &[Placeholder] = &[required("reason"), required("answer_format")];
const INTERRUPTED: &[Placeholder] =
    &[optional("task_id"), optional("worktree"), optional("branch"), required("detail"), required("answer_format")];
const CONFLICT: &[Placeholder] = &[
    optional("task_id"),
    optional("branch"),
    required("base_branch"),
    required("base_commit"),
    required("files"),
    optional("sides"),
    required("answer_format"),
];
const REVIEW: &[Placeholder] = &[
    optional("task_id"),
    required("commit"),
    required("checkout"),
    required("task"),
    required("evidence"),
    optional("summary"),
    optional("omitted"),
    required("diff"),
    required("answer_format"),
];
const MESSAGE: &[Placeholder] = &[required("messages"), optional("answer_format")];
const PARTS: &[Placeholder] = &[optional("task_id"), optional("branch"), required("parts"), optional("answer_format")];
const HANDOVER: &[Placeholder] = &[optional("task_id"), required("tried"), optional("branch"), optional("base_branch")];
const NUDGE: &[Placeholder] = &[optional("task_id"), required("question")];

impl TemplateName {
    /// All prompts.
    pub const ALL: [Self; 11] = [
        Self::Route,
        Self::Agent,
        Self::Retry,
        Self::Repair,
        Self::Review,
        Self::Interrupted,
        Self::Conflict,
        Self::Message,
        Self::Nudge,
        Self::Parts,
        Self::Handover,
    ];

    /// Returns the stable name: that of the file `prompts/<name>.md`, embedded or under `$ORCH_HOME`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the embedded text.
    pub fn embedded(self) -> &'static str {
        match self {
            Self::Route => include_str!("../../../../../prompts/route.md"),
            Self::Agent => include_str!("../../../../../prompts/agent.md"),
            Self::Retry => include_str!("../../../../../prompts/retry.md"),
            Self::Repair => include_str!("../../../../../prompts/repair.md"),
            Self::Review => include_str!("../../../../../prompts/review.md"),
            Self::Interrupted => include_str!("../../../../../prompts/interrupted.md"),
            Self::Conflict => include_str!("../../../../../prompts/conflict.md"),
            Self::Message => include_str!("../../../../../prompts/message.md"),
            Self::Nudge => include_str!("../../../../../prompts/nudge.md"),
            Self::Parts => include_str!("../../../../../prompts/parts.md"),
            Self::Handover => include_str!("../../../../../prompts/handover.md"),
        }
    }

    /// Returns the placeholders of the prompt.
    pub fn placeholders(self) -> &'static [Placeholder] {
        match self {
            Self::Route => ROUTE,
            Self::Agent => AGENT,
            Self::Retry => RETRY,
            Self::Repair => REPAIR,
            Self::Review => REVIEW,
            Self::Interrupted => INTERRUPTED,
            Self::Conflict => CONFLICT,
            Self::Message => MESSAGE,
            Self::Nudge => NUDGE,
            Self::Parts => PARTS,
            Self::Handover => HANDOVER,
        }
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the user's prompts cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("prompts/{file}.md:{line}: {problem}")]
pub struct TemplateError {
    /// The name of the file without its extension.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: PromptProblem,
}

/// What is wrong with a user's prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptProblem {
    /// There is no prompt of this name.
    #[error("orch has no prompt of this name{}; it has: {known}", did_you_mean(.suggestion))]
    NoSuch {
        /// The nearest name.
        suggestion: Option<&'static str>,
        /// All names.
        known: String,
    },
    /// It is not a valid template.
    #[error(transparent)]
    Bad(TemplateProblem),
}

fn did_you_mean(suggestion: &Option<&'static str>) -> String {
    suggestion.map(|name| format!(" (did you mean {name}.md?)")).unwrap_or_default()
}

/// The active templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    by_name: BTreeMap<TemplateName, Template>,
}

impl Templates {
    /// Creates the embedded templates, each replaced by the text in `overrides` under its name (without `.md`), if
    /// there is one. Returns the first invalid override, with file and line; then no override is used.
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        if let Some(file) = overrides.keys().find(|file| TemplateName::ALL.iter().all(|n| n.as_str() != *file)) {
            let names = || TemplateName::ALL.into_iter().map(TemplateName::as_str);
            let known = names().collect::<Vec<_>>().join(", ");
            let problem = PromptProblem::NoSuch { suggestion: nearest(file, names()), known };
            return Err(TemplateError { file: file.clone(), line: 1, problem });
        }
        let read = |name: TemplateName| {
            let text = overrides.get(name.as_str()).map_or(name.embedded(), String::as_str);
            let template = Template::parse(text, name.placeholders());
            let place = |bad: super::template::BadTemplate| TemplateError {
                file: name.as_str().to_owned(),
                line: bad.line,
                problem: PromptProblem::Bad(bad.problem),
            };
            template.map(|template| (name, template)).map_err(place)
        };
        Ok(Self { by_name: TemplateName::ALL.into_iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Creates the embedded templates.
    pub fn embedded() -> Self {
        Self::new(&BTreeMap::new()).expect("the embedded templates are good: a test reads each of them")
    }

    pub(super) fn render(&self, name: TemplateName, values: &Values) -> String {
        debug_assert!(
            name.placeholders().iter().map(|p| p.name).collect::<std::collections::BTreeSet<_>>()
                == values.keys().copied().collect(),
            "{name}: every placeholder has a value, and every value a placeholder"
        );
        self.by_name.get(&name).map(|template| template.render(values)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(file: &str, text: &str) -> String {
        Templates::new(&BTreeMap::from([(file.to_owned(), text.to_owned())])).unwrap_err().to_string()
    }

    #[test]
    fn the_embedded_templates_are_good_and_may_serve_as_overrides() {
        let same = TemplateName::ALL.map(|n| (n.as_str().to_owned(), n.embedded().to_owned())).into();
        assert_eq!(Templates::new(&same), Ok(Templates::embedded()));
    }

    #[test]
    fn an_override_takes_the_place_of_the_embedded_text() {
        let text = "Say it again: {{reason}}\n{{answer_format}}".to_owned();
        let templates = Templates::new(&BTreeMap::from([("repair".to_owned(), text)])).unwrap();
        let values = Values::from([("reason", "no JSON".to_owned()), ("answer_format", "JSON please".to_owned())]);
        assert_eq!(templates.render(TemplateName::Repair, &values), "Say it again: no JSON\nJSON please\n");
    }

    #[test]
    fn an_override_that_is_wrong_is_refused_with_file_and_line() {
        assert!(refused("repair", "Hm {{reason}}\n{{answr_format}}").starts_with("prompts/repair.md:2: unknown"));
        assert!(refused("repair", "Hm {{reason}}\n").starts_with("prompts/repair.md:1: the template ends without"));
        assert!(refused("agent", "/x").starts_with("prompts/agent.md:1: the first line"));
        let unknown = refused("agnet", "x");
        assert!(unknown.starts_with("prompts/agnet.md:1: orch has no prompt") && unknown.contains("agent.md?"));
    }
}
