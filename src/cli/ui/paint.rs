//! Colour, decided in one place: code says what a text is, and this says how that looks. PURE.

use orch_core::ids::TaskId;
use orch_core::task::Status;
use std::borrow::Cow;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A heading or a name.
    Strong,
    /// Beside the point.
    Faint,
    /// As it should be.
    Good,
    /// Wants attention.
    Warning,
    /// Wrong.
    Bad,
    /// Under way.
    Active,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    /// Whether there are colours.
    pub on: bool,
}

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub const OFF: Self = Self { on: false };

    /// The text as what it is.
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

/// Colours by which several tasks are told apart: none that says good or bad.
const OF_TASKS: [&str; 6] = ["36", "35", "34", "96", "95", "94"];

impl Paint {
    /// The text in the task's own colour.
    pub fn of_task(self, task: TaskId, text: &str) -> String {
        if !self.on {
            return text.to_owned();
        }
        let code = OF_TASKS[usize::try_from(task.0).unwrap_or_default() % OF_TASKS.len()];
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// What a status is.
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
