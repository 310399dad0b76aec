//! What prompts are made of, read from disk: the person's templates, skills, the project's instructions.

use crate::adapters::fs;
use crate::config::home::Home;
use crate::config::yaml;
use crate::domain::prompt::Templates;
use crate::domain::skills::{Catalogue, FrontMatter, Skill, SkillSource};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest template, skill or instruction file that is read, in bytes.
const LARGEST: usize = 256 << 10;
/// Files that tell agents about a project, in the order in which they are looked for.
const INSTRUCTIONS: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];

/// orch's templates, with those that the person replaced. What is wrong with one is an error that names it.
pub fn templates(home: &Home) -> Result<Templates, String> {
    let mut overrides = BTreeMap::new();
    for (path, text) in markdown_files(&home.prompts()) {
        overrides.insert(path, text);
    }
    Templates::new(&overrides).map_err(|e| format!("{}: {e}", home.prompts().display()))
}

fn markdown_files(dir: &Path) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let named = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_str()?.strip_suffix(".md")?.to_owned();
        Some((name, read_text(&entry.path())?))
    });
    named.collect()
}

fn read_text(path: &Path) -> Option<String> {
    String::from_utf8(fs::read_limited(path, LARGEST).ok()?).ok()
}

/// The skills of the home and of a repository. One that does not read is left out, with a line in the log.
pub fn catalogue(home: &Home, repository: Option<&Path>) -> Catalogue {
    let mut skills = skills_in(&home.skills(), SkillSource::Home);
    if let Some(repository) = repository {
        skills.extend(skills_in(&repository.join(".orch/skills"), SkillSource::Repository));
    }
    Catalogue::new(skills)
}

fn skills_in(dir: &Path, source: SkillSource) -> Vec<Skill> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut skills = Vec::new();
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let Some(text) = read_text(&entry.path().join("SKILL.md")) else { continue };
        let front = |text: &str| yaml::read::<FrontMatter>(text).map_err(|e| e.to_string());
        match Skill::parse(&name, &text, source, front) {
            Ok(skill) => skills.push(skill),
            Err(error) => tracing::warn!(%error, dir = %dir.display(), "a skill is left out"),
        }
    }
    skills
}

/// The project's instructions for agents, as (file name, text).
pub fn instructions(worktree: &Path) -> Vec<(String, String)> {
    INSTRUCTIONS.iter().filter_map(|name| Some(((*name).to_owned(), read_text(&worktree.join(name))?))).collect()
}
