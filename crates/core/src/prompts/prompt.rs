//! Every prompt that orch writes: the active templates, and their values. Pure: texts of files, skills and failures are
//! arguments. External text (a task, a repository, a program's output) is inserted as data between fences that it
//! cannot close. The first line of a prompt always belongs to the template, so that no CLI takes it for a command. The
//! wording is in `prompts/*.md`, except for the few sentences that depend on a value.

pub mod data;
mod followup;
mod handover;
mod parts;
mod review;
mod route;
mod template;
mod templates;
mod work;

#[cfg(test)]
mod tests;

pub use followup::{
    Again, Conversation, again_prompt, conflict_prompt, interrupted_prompt, message_prompt, nudge_prompt,
    repair_prompt, resumed_prompt, retry_prompt, with_messages,
};
pub use handover::Tried;
pub use parts::{PartResult, parts_prompt};
pub use review::{ReviewContext, review_prompt};
pub use route::route_prompt;
pub use template::{Placeholder, TemplateProblem};
pub use templates::{PromptProblem, TemplateError, TemplateName, Templates};
pub use work::{ProjectFile, WorkContext, work_prompt};

/// The longest prompt from the embedded templates, in characters: an agent CLI refuses more than 1,048,576.
pub const MAX_PROMPT: usize = 1_000_000;
