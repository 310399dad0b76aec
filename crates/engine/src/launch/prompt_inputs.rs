//! What prompts are made of, read from disk: the person's templates, skills, the project's instructions.

use orch_config::home::Home;
use orch_config::yaml;
use orch_core::prompts::prompt::Templates;
use orch_core::prompts::skills::{Catalogue, FrontMatter, Skill, SkillSource};
use orch_sys::fs;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest template, skill or instruction file that is read, in bytes.
const LARGEST: usize = 256 << 10;
/// Files that tell agents about a project, in the order in which they are read.
const INSTRUCTIONS: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];

/// orch's templates, with those that the person replaced: for all projects, and over these for the one of that name. What is
/// wrong with one is an error that names it.
pub fn templates(home: &Home, project: Option<&str>) -> Result<Templates, String> {
    let mut overrides = BTreeMap::new();
    let mut place = home.prompts();
    for dir in [Some(home.prompts()), project.and_then(|project| of_project(home, project))].into_iter().flatten() {
        let found = markdown_files(&dir);
        // Said of the place that is most likely at fault: the one that was read last.
        place = if found.is_empty() { place } else { dir };
        overrides.extend(found);
    }
    Templates::new(&overrides).map_err(|error| format!("{}: {error}", place.display()))
}

/// Returns where the templates of one project are. A name that is no directory's has none.
fn of_project(home: &Home, project: &str) -> Option<PathBuf> {
    let is_plain = !project.starts_with('.') && !project.contains(['/', '\0']);
    is_plain.then(|| home.prompts().join(project))
}

/// A template of the person's, and what is wrong with it.
#[derive(Debug)]
pub struct OwnTemplate {
    /// The path of the template.
    pub path: PathBuf,
    /// The line, from 1, and what is wrong there.
    pub problem: Option<(usize, String)>,
}

/// Every template under `$ORCH_HOME/prompts`, for all projects and for each. Reads files.
pub fn own_templates(home: &Home) -> Vec<OwnTemplate> {
    let entries = std::fs::read_dir(home.prompts()).into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    dirs.sort();
    dirs.insert(0, home.prompts());
    let mut own = Vec::new();
    for dir in dirs {
        let mut found = markdown_files(&dir);
        found.sort();
        own.extend(found.into_iter().map(|(name, text)| {
            let problem = Templates::new(&BTreeMap::from([(name.clone(), text)])).err();
            let problem = problem.map(|error| (error.line, error.problem.to_string()));
            OwnTemplate { path: dir.join(format!("{name}.md")), problem }
        }));
    }
    own
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

/// Returns the skills of the home and of a repository. One that does not read is left out, with a line in the log.
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

/// Returns the project's instructions for agents, as (file name, text).
pub fn instructions(worktree: &Path) -> Vec<(String, String)> {
    INSTRUCTIONS.iter().filter_map(|name| Some(((*name).to_owned(), read_text(&worktree.join(name))?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_sys::fs::Durability;

    #[test]
    fn a_projects_own_template_comes_before_that_of_the_home() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::new(dir.path(), None);
        let write = |path: PathBuf, text: &str| {
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("room");
            fs::write_private(&path, text.as_bytes(), Durability::Cached).expect("room");
        };
        write(home.prompts().join("nudge.md"), "For all: {{question}}\n");
        write(home.prompts().join("shop/nudge.md"), "In the shop: {{question}}\n");
        let nudge = |project| {
            let templates = templates(&home, project).expect("they are good");
            orch_core::prompts::prompt::nudge_prompt(orch_core::base::ids::TaskId(1), "well?", &templates)
        };
        assert!(nudge(Some("shop")).starts_with("In the shop"));
        assert!(nudge(Some("barn")).starts_with("For all") && nudge(None).starts_with("For all"));
        assert!(nudge(Some("../shop")).starts_with("For all"), "a name is no path");
        write(home.prompts().join("barn/nudge.md"), "{{quest}}\n");
        let error = templates(&home, Some("barn")).expect_err("an unknown placeholder");
        assert!(error.contains("prompts/barn"), "{error}");
    }
}
