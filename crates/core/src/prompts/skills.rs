//! Skills: the content of a `SKILL.md`, which of two skills with one name is used, and which texts an agent receives.
//! It reads no file and no YAML: the caller finds the files and passes a parser for the front matter.

use super::prompt::data::{clean, cut, one_line};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest text of a skill that an agent receives, in characters.
const MAX_TEXT: usize = 32_000;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 400;
/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// The source of a skill, which decides how far it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkillSource {
    /// `.orch/skills` of the repository: written by anyone who may commit there.
    Repository,
    /// `$ORCH_HOME/skills`: the user's own.
    Home,
}

/// The keys of a `SKILL.md`'s front matter that orch uses. Other keys are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct FrontMatter {
    /// The name; `None`: that of the directory.
    pub name: Option<String>,
    /// One or two sentences on what it is for and when to use it.
    pub description: Option<String>,
}

/// A skill for agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// The name: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// The description in one clean line.
    pub description: String,
    /// The text for the agent, without the front matter.
    pub text: String,
    /// Where the skill was found.
    pub source: SkillSource,
}

/// Why a `SKILL.md` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSkill {
    /// The front matter is invalid.
    #[error("skill {directory}: the front matter of SKILL.md cannot be read: {cause}")]
    FrontMatter {
        /// The skill's directory.
        directory: String,
        /// The error of the parser.
        cause: String,
    },
    /// The name is invalid.
    #[error("skill {directory}: {name:?} is not a name; use letters, digits, '.', '_' and '-', at most {MAX_NAME}")]
    Name {
        /// The skill's directory.
        directory: String,
        /// The invalid name.
        name: String,
    },
    /// The skill has no text.
    #[error("skill {directory}: SKILL.md has no text")]
    Empty {
        /// The skill's directory.
        directory: String,
    },
}

/// Splits a text into the front matter (without its `---` lines) and the rest. A text without a `---` line at its
/// start, or without a second one, has no front matter.
pub fn split_front_matter(text: &str) -> (Option<&str>, &str) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_mark = |line: &str| line.trim_end() == "---";
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| is_mark(line)) else { return (None, text) };
    let start = first.len();
    let mut end = start;
    for line in lines {
        if is_mark(line) {
            return (Some(&text[start..end]), &text[end + line.len()..]);
        }
        end += line.len();
    }
    (None, text)
}

impl Skill {
    /// Parses `<directory>/SKILL.md`; `read` parses the front matter.
    /// Without front matter the directory names the skill and the first line of prose describes it.
    pub fn parse(
        directory: &str,
        text: &str,
        source: SkillSource,
        read: impl FnOnce(&str) -> Result<FrontMatter, String>,
    ) -> Result<Self, BadSkill> {
        let shown = || one_line(directory, MAX_NAME);
        let (front, body) = split_front_matter(text);
        let front = front.filter(|front| !front.trim().is_empty()).map(read).transpose();
        let front = front
            .map_err(|cause| BadSkill::FrontMatter { directory: shown(), cause: one_line(&cause, 200) })?
            .unwrap_or_default();
        let name = front.name.unwrap_or_else(|| directory.to_owned()).trim().to_owned();
        if !is_name(&name) {
            return Err(BadSkill::Name { directory: shown(), name: one_line(&name, MAX_NAME) });
        }
        let body = clean(body).trim().to_owned();
        if body.is_empty() {
            return Err(BadSkill::Empty { directory: shown() });
        }
        let description = front.description.unwrap_or_else(|| first_prose(&body).to_owned());
        Ok(Self { name, description: one_line(&description, MAX_DESCRIPTION), text: cut(&body, MAX_TEXT), source })
    }
}

fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.len() <= MAX_NAME && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(inner)
}

fn first_prose(body: &str) -> &str {
    body.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default()
}

/// The skills available for one task, by name.
///
/// Of two skills with one name the repository's is used, because it is written for this code, as the project's
/// configuration overrides the user's. [`Catalogue::shadowed`] lists them, and the prompt tells the agent that a
/// repository's skill is not the word of orch or the user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    skills: BTreeMap<String, Skill>,
    shadowed: Vec<String>,
}

impl Catalogue {
    /// Creates a catalogue from skills of any source. Of two skills with one source and name the first is used.
    pub fn new(skills: impl IntoIterator<Item = Skill>) -> Self {
        let (repository, home): (Vec<Skill>, Vec<Skill>) =
            skills.into_iter().partition(|skill| skill.source == SkillSource::Repository);
        let mut catalogue = Self::default();
        for skill in repository.into_iter().chain(home) {
            match catalogue.skills.get(&skill.name) {
                None => drop(catalogue.skills.insert(skill.name.clone(), skill)),
                Some(_) => catalogue.shadowed.push(skill.name),
            }
        }
        catalogue
    }

    /// Returns all skills by name.
    pub fn iter(&self) -> impl Iterator<Item = &Skill> {
        self.skills.values()
    }

    /// Returns the skill of this name.
    pub fn get(&self, name: &str) -> Option<&Skill> {
        self.skills.get(name)
    }

    /// Returns the names of skills that are hidden by another one of the same name.
    pub fn shadowed(&self) -> &[String] {
        &self.shadowed
    }

    /// Returns the skills for a run: `names` in order, then `defaults`, each once.
    pub fn select<'a>(&'a self, names: &[String], defaults: &[String]) -> Selection<'a> {
        let mut selection = Selection::default();
        for (name, is_default) in
            names.iter().map(|n| (n, defaults.contains(n))).chain(defaults.iter().map(|n| (n, true)))
        {
            let list = match self.get(name) {
                Some(skill) if selection.skills.iter().any(|known| known.name == skill.name) => continue,
                Some(skill) => {
                    selection.skills.push(skill);
                    continue;
                }
                None if is_default => &mut selection.advice,
                None => &mut selection.missing,
            };
            if !list.contains(name) {
                list.push(name.clone());
            }
        }
        selection
    }
}

/// The result of [`Catalogue::select`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection<'a> {
    /// The skills whose text the agent receives.
    pub skills: Vec<&'a Skill>,
    /// Requested names that do not exist, for a warning.
    pub missing: Vec<String>,
    /// Default skills without a text, without a warning: they name tools that an agent knows (`gh`, `git-worktree`).
    pub advice: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parses `key: value` lines; the real parser reads YAML.
    fn read(front: &str) -> Result<FrontMatter, String> {
        let field = |key: &str| front.lines().find_map(|l| l.strip_prefix(key)).map(|v| v.trim().to_owned());
        Ok(FrontMatter { name: field("name:"), description: field("description:") })
    }

    fn skill(name: &str, source: SkillSource) -> Skill {
        Skill { name: name.to_owned(), description: "d".to_owned(), text: format!("{source:?}"), source }
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn front_matter_is_split_off_only_between_two_marks_at_the_beginning() {
        assert_eq!(split_front_matter("---\nname: x\n---\nbody\n---\n"), (Some("name: x\n"), "body\n---\n"));
        assert_eq!(split_front_matter("\u{feff}---\r\nname: x\r\n---\r\nb"), (Some("name: x\r\n"), "b"));
        assert_eq!(split_front_matter("---\n---"), (Some(""), ""));
        for none in ["", "body", "---", "---\nname: x\n", "\n---\na\n---\n", "----\na\n---\n"] {
            assert_eq!(split_front_matter(none), (None, none), "{none:?}");
        }
    }

    #[test]
    fn a_skill_is_named_and_described_by_its_front_matter_or_else_by_its_place_and_first_line() {
        let text = "---\nname: sql\ndescription: Tune   queries\nlicense: MIT\n---\n\n# SQL\nUse indexes.\n";
        let skill = Skill::parse("dir", text, SkillSource::Home, read).unwrap();
        assert_eq!((skill.name.as_str(), skill.description.as_str()), ("sql", "Tune queries"));
        assert_eq!(skill.text, "# SQL\nUse indexes.");
        let plain = Skill::parse("dir", "# Title\n\nUse it.", SkillSource::Home, read).unwrap();
        assert_eq!((plain.name.as_str(), plain.description.as_str()), ("dir", "Use it."));
    }

    #[test]
    fn a_skill_that_cannot_be_used_is_refused_with_the_cause() {
        let refuse = |directory: &str, text: &str| {
            Skill::parse(directory, text, SkillSource::Repository, |_| Err("line 1: no".to_owned()))
                .unwrap_err()
                .to_string()
        };
        assert!(
            refuse("d", "---\na: [\n---\nx").contains("skill d: the front matter of SKILL.md cannot be read: line 1")
        );
        assert!(refuse("../x", "text").contains("is not a name"));
        assert!(refuse("d", " \n").contains("has no text"));
    }

    #[test]
    fn what_comes_from_a_repository_is_cut_and_cleaned() {
        let text = format!("---\nname: a\ndescription: x\u{202e}y {}\n---\n{}", "d".repeat(900), "t".repeat(90_000));
        let skill = Skill::parse("a", &text, SkillSource::Repository, read).unwrap();
        assert!(skill.description.starts_with("xy d") && skill.description.chars().count() == MAX_DESCRIPTION);
        assert!(skill.text.chars().count() < MAX_TEXT + 100);
    }

    #[test]
    fn a_repository_shadows_the_home_and_says_so() {
        let catalogue = Catalogue::new([
            skill("a", SkillSource::Home),
            skill("a", SkillSource::Repository),
            skill("b", SkillSource::Home),
        ]);
        assert_eq!(catalogue.get("a").map(|s| s.source), Some(SkillSource::Repository));
        assert_eq!(catalogue.shadowed(), names(&["a"]));
        assert_eq!(catalogue.iter().count(), 2);
    }

    #[test]
    fn a_missing_default_is_advice_and_any_other_missing_skill_is_named() {
        let catalogue = Catalogue::new([skill("a", SkillSource::Home), skill("b", SkillSource::Home)]);
        let selection = catalogue.select(&names(&["b", "gh", "nope", "b"]), &names(&["gh", "a", "git-worktree"]));
        assert_eq!(selection.skills.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(selection.missing, names(&["nope"]));
        assert_eq!(selection.advice, names(&["gh", "git-worktree"]));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(---|\r?\n|name: |é|a){0,30}") {
            let (front, body) = split_front_matter(&text);
            prop_assert!(front.map_or(0, str::len) + body.len() <= text.len());
            let _ = Skill::parse("d", &text, SkillSource::Repository, read);
        }
    }
}
