//! The corpus of run endings: data, read from `tests/fixtures/endings.yml`.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Everything in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    /// Programs on PATH, as shell scripts.
    pub programs: BTreeMap<String, String>,
    /// Repositories.
    pub repositories: BTreeMap<String, RepositorySetup>,
    /// Endings that small programs make.
    pub endings: Vec<Ending>,
    /// Endings that each of the real CLIs makes.
    pub real: Vec<Ending>,
}

/// A repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositorySetup {
    /// Its checks.
    pub checks: Vec<String>,
    /// Files of its first commit.
    pub files: BTreeMap<String, String>,
    /// Files of its second one.
    #[serde(default)]
    pub then: BTreeMap<String, String>,
    /// Another branch that it has.
    #[serde(default)]
    pub branch: Option<String>,
    /// The person is on that branch, and the base is `main`.
    #[serde(default)]
    pub away: bool,
}

/// How a run ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// What the agent does.
    pub name: String,
    /// The repository in which it works.
    #[serde(default = "plain")]
    pub repository: String,
    /// It gets a repository of its own: it harms others that work there.
    #[serde(default)]
    pub alone: bool,
    /// The task is truly done.
    #[serde(default)]
    pub done: bool,
    /// It is not done, and no check can show that.
    #[serde(default)]
    pub residue: bool,
    /// Labels of the task.
    #[serde(default = "fix")]
    pub labels: Vec<String>,
    /// What it does, as a shell script.
    pub work: String,
    /// Fields of its answer, where they are not those of one that is done.
    #[serde(default)]
    pub report: Map<String, Value>,
    /// The text instead of an answer.
    #[serde(default)]
    pub prose: Option<String>,
    /// The class of the refusal, or words of the question to a person; empty if accepted.
    #[serde(default)]
    pub orch: String,
}

fn plain() -> String {
    "plain".to_owned()
}

fn fix() -> Vec<String> {
    vec!["type:fix".to_owned()]
}

impl Corpus {
    /// Reads it.
    pub fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/endings.yml");
        let corpus: Self = serde_saphyr::from_str(&crate::kit::read_file(&file)).expect("the corpus can be read");
        let all = || corpus.endings.iter().chain(&corpus.real);
        // Undone work is refused, or marked as undetectable.
        assert!(all().all(|ending| ending.done || ending.residue == ending.orch.is_empty()));
        assert!(all().all(|ending| corpus.repositories.contains_key(&ending.repository)));
        corpus
    }
}

impl Ending {
    /// Its answer. A field that is null there is left out.
    pub fn answer(&self) -> Value {
        let mut answer = json!({"status": "done", "summary": "all done"});
        let fields = answer.as_object_mut().expect("an object");
        for (key, value) in &self.report {
            if value.is_null() {
                fields.shift_remove(key);
            } else {
                fields.insert(key.clone(), value.clone());
            }
        }
        answer
    }

    /// Returns the agent's report.
    pub fn word(&self) -> String {
        match self.answer()["status"].as_str().filter(|_| self.prose.is_none()) {
            Some(status) => status.to_owned(),
            None => "nothing in the agreed form".to_owned(),
        }
    }
}
