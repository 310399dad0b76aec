//! Colours, defined in one place: callers name the role of a text. PURE.

use orch_core::base::ids::TaskId;
use orch_core::tasks::task::Status;
use std::borrow::Cow;

/// The role of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A heading or a name.
    Strong,
    /// Less important.
    Faint,
    /// As it should be.
    Good,
    /// Needs attention.
    Warning,
    /// Wrong.
    Bad,
    /// In progress.
    Active,
}

/// Whether to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    /// Whether colours are on.
    pub on: bool,
}

impl Paint {
    /// Without colours.
    #[cfg(test)]
    pub const OFF: Self = Self { on: false };

    /// Renders a text in its role.
    pub fn text<'a>(self, role: Role, text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
        let text = text.into();
        if !self.on || text.is_empty() {
            return text;
        }
        let code = match role {
            Role::Strong => "1",
            Role::Faint => "2",
            Role::Good => "32",
            Role::Warning => "33",
            Role::Bad => "31",
            Role::Active => "36",
        };
        Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
    }
}

/// Colours that distinguish tasks, without those for good and bad.
const OF_TASKS: [&str; 6] = ["36", "35", "34", "96", "95", "94"];

impl Paint {
    /// Renders a text in the task's colour.
    pub fn for_task(self, task: TaskId, text: &str) -> String {
        if !self.on {
            return text.to_owned();
        }
        let code = OF_TASKS[usize::try_from(task.0).unwrap_or_default() % OF_TASKS.len()];
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Returns the role of a status.
pub fn role_of(status: Status) -> Role {
    match status {
        Status::New | Status::Routed => Role::Strong,
        Status::InProgress | Status::InReview => Role::Active,
        Status::Done => Role::Good,
        Status::Blocked => Role::Faint,
        Status::NeedsReview => Role::Warning,
        Status::Cancelled => Role::Faint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_a_text_stays_as_it_is() {
        assert_eq!(Paint::OFF.text(Role::Bad, "x"), "x");
        assert_eq!(Paint { on: true }.text(Role::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(Paint { on: true }.text(Role::Bad, ""), "");
    }
}
