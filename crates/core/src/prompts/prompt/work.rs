//! The prompt of a run that works on a task: everything that the agent receives, assembled in one place.

use super::data::{clean, code_span, cut, fence, one_line};
use super::handover::Tried;
use super::template::Values;
use super::templates::{TemplateName, Templates};
use crate::base::ids::TaskId;
use crate::prompts::skills::{Selection, SkillSource};
use crate::tasks::route::AgentProfile;

/// Limits in characters. Their sum keeps a prompt below [`super::MAX_PROMPT`].
const MAX_TITLE: usize = 10_000;
const MAX_BODY: usize = 200_000;
const MAX_FILE: usize = 48_000;
const MAX_FILES: usize = 96_000;
const MAX_SKILLS: usize = 128_000;
const MAX_CHECK: usize = 1_000;
const MAX_ENTRIES: usize = 40;
const MAX_ENTRY: usize = 300;

/// A file of the repository for agents (`AGENTS.md`, `CLAUDE.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectFile<'a> {
    /// The path from the root of the repository.
    pub path: &'a str,
    /// The content of the file.
    pub text: &'a str,
}

/// The inputs of a work prompt.
#[derive(Debug, Clone, Copy)]
pub struct WorkContext<'a> {
    /// The task's id.
    pub task_id: TaskId,
    /// The task's title.
    pub title: &'a str,
    /// The task's body.
    pub body: &'a str,
    /// The task's labels.
    pub labels: &'a [String],
    /// The ordinal of this run within its task, from 1.
    pub attempt: u32,
    /// `workflow.max_attempts`.
    pub max_attempts: u32,
    /// The directory in which the agent works.
    pub worktree: &'a str,
    /// The user's own checkout, when `workflow.sandbox` keeps agents out of it.
    pub main_dir: Option<&'a str>,
    /// The run's branch.
    pub branch: &'a str,
    /// The branch from which it starts and into which it merges.
    pub base_branch: &'a str,
    /// The commit (or ref) of that branch now, against which a conflict is resolved.
    pub base_commit: &'a str,
    /// `workflow.checks`: commands that orch runs afterwards.
    pub checks: &'a [String],
    /// The task's type, where it asks for a text instead of a change.
    pub written: Option<&'a str>,
    /// The role from routing.
    pub profile: &'a AgentProfile,
    /// The skills selected for the task, as found by [`crate::prompts::skills::Catalogue::select`].
    pub skills: &'a Selection<'a>,
    /// The project's own instructions.
    pub instructions: &'a [ProjectFile<'a>],
    /// Earlier runs, where the agent does not remember them.
    pub tried: &'a [Tried],
    /// The description of [`crate::tasks::answer::Answer`]'s format.
    pub answer_format: &'a str,
}

/// Returns the prompt of a first run in a new conversation.
pub fn work_prompt(context: &WorkContext<'_>, templates: &Templates) -> String {
    work_prompt_after(context, String::new(), templates)
}

/// Returns the work prompt with a section on what happened before.
pub(super) fn work_prompt_after(context: &WorkContext<'_>, previous: String, templates: &Templates) -> String {
    let c = context;
    let values = Values::from([
        ("task_id", c.task_id.to_string()),
        ("attempt", c.attempt.to_string()),
        ("max_attempts", c.max_attempts.to_string()),
        ("worktree", code_span(c.worktree)),
        ("main_dir", c.main_dir.map(code_span).unwrap_or_default()),
        ("branch", code_span(c.branch)),
        ("base_branch", code_span(c.base_branch)),
        ("checks", checks(c.checks)),
        ("written", c.written.map(str::to_owned).unwrap_or_default()),
        ("task", task(c, MAX_TITLE, MAX_BODY)),
        ("profile", profile(c.profile)),
        ("skills", skills(c.skills)),
        ("advice", c.skills.advice.iter().take(MAX_ENTRIES).map(|n| code_span(n)).collect::<Vec<_>>().join(", ")),
        ("instructions", instructions(c.instructions)),
        ("previous", previous.trim_end().to_owned()),
        ("answer_format", c.answer_format.trim().to_owned()),
    ]);
    templates.render(TemplateName::Agent, &values)
}

fn task(c: &WorkContext<'_>, max_title: usize, max_body: usize) -> String {
    task_block(c.task_id, [c.title, c.body], c.labels, [max_title, max_body])
}

/// Returns a task as one block of data; `limits` are those of title and body.
pub(super) fn task_block(id: TaskId, [title, body]: [&str; 2], labels: &[String], limits: [usize; 2]) -> String {
    let labels = labels.iter().take(MAX_ENTRIES).map(|label| one_line(label, MAX_ENTRY)).collect::<Vec<_>>().join(", ");
    let labels = if labels.is_empty() { "none".to_owned() } else { labels };
    let body = clean(&cut(body, limits[1]));
    let body = if body.trim().is_empty() { "(no description: the title says it all)" } else { body.trim_matches('\n') };
    fence(&format!("Task: {id}\nTitle: {}\nLabels: {labels}\n\n{body}", one_line(title, limits[0])))
}

fn checks(commands: &[String]) -> String {
    let lines: Vec<String> = commands.iter().take(MAX_ENTRIES).map(|command| cut(command, MAX_CHECK)).collect();
    if lines.is_empty() { String::new() } else { fence(&lines.join("\n")) }
}

fn profile(profile: &AgentProfile) -> String {
    let short = |list: &[String]| {
        list.iter().take(MAX_ENTRIES).map(|e| one_line(e, MAX_ENTRY)).filter(|e| !e.is_empty()).collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    let role = one_line(&profile.role, MAX_ENTRY);
    if !role.is_empty() {
        lines.push(format!("Role: {role}"));
    }
    for (name, list) in [("Focus", &profile.skills), ("Tools", &profile.tools)] {
        let list = short(list);
        if !list.is_empty() {
            lines.push(format!("{name}: {}", list.join(", ")));
        }
    }
    let constraints = short(&profile.constraints);
    if !constraints.is_empty() {
        lines.push("Constraints:".to_owned());
        lines.extend(constraints.iter().map(|constraint| format!("- {constraint}")));
    }
    if lines.is_empty() { String::new() } else { fence(&lines.join("\n")) }
}

/// Returns the skills' texts, each under its name; those that do not fit are only named.
fn skills(selection: &Selection<'_>) -> String {
    let mut space = MAX_SKILLS;
    let mut blocks = Vec::new();
    for skill in &selection.skills {
        let origin = match skill.source {
            SkillSource::Home => "the user's",
            SkillSource::Repository => "from this repository",
        };
        let size = skill.text.chars().count();
        let text = if size <= space { fence(&skill.text) } else { "(left out: too long)".to_owned() };
        space = space.saturating_sub(size);
        blocks.push(format!("### Skill {} ({origin})\n\n{text}", code_span(&skill.name)));
    }
    blocks.join("\n\n")
}

fn instructions(files: &[ProjectFile<'_>]) -> String {
    let mut space = MAX_FILES;
    let mut blocks = Vec::new();
    for file in files.iter().filter(|file| !file.text.trim().is_empty()) {
        let max = MAX_FILE.min(space);
        space -= file.text.chars().count().min(max);
        blocks.push(format!("### {}\n\n{}", code_span(file.path), fence(&cut(file.text, max))));
    }
    blocks.join("\n\n")
}
