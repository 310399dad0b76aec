//! What is wrong with `tasks.yml`, for a person.

use orch_core::base::ids::TaskId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What is wrong with the file now.
#[derive(Debug, Default)]
pub struct FileProblems {
    /// The problems of the text.
    text: Vec<String>,
    /// Tasks that ask for models that mean nothing, with what is odd about them. `None`: not checked yet.
    models: Option<BTreeMap<TaskId, String>>,
    /// Tasks that ask for a model and whose entries orch has written since.
    unjudged: BTreeSet<TaskId>,
    /// Files with edits that could not be put in place, with what to do.
    aside: Vec<String>,
    /// What could not be written.
    refused: Vec<String>,
}

impl FileProblems {
    /// Returns all problems.
    pub fn lines(&self) -> impl Iterator<Item = &String> {
        let models = self.models.iter().flat_map(BTreeMap::values);
        self.text.iter().chain(models).chain(&self.aside).chain(&self.refused)
    }

    /// Takes over what is wrong with the text. Returns whether that is news.
    pub fn take_text(&mut self, problems: Vec<String>) -> bool {
        let is_news = problems != self.text && !problems.is_empty();
        self.text = problems;
        is_news
    }

    /// Takes over which files hold edits that could not be put in place. Returns whether there are new ones.
    pub fn take_set_aside(&mut self, files: &[PathBuf]) -> bool {
        let describe = |path: &PathBuf| {
            let path = path.display();
            format!(
                "{path} holds an edit that was saved too late to be taken over: take out of it what you need, and remove it"
            )
        };
        let aside: Vec<String> = files.iter().map(describe).collect();
        let is_news = aside.iter().any(|line| !self.aside.contains(line));
        self.aside = aside;
        is_news
    }

    /// Tasks whose models may be odd: those of which that is known, and those that were written since. `None`: all, because
    /// none was checked yet.
    pub fn take_suspects(&mut self) -> Option<BTreeSet<TaskId>> {
        let unjudged = std::mem::take(&mut self.unjudged);
        Some(self.models.as_ref()?.keys().copied().chain(unjudged).collect())
    }

    /// Tasks that ask for a model were written.
    pub fn suspect(&mut self, tasks: impl Iterator<Item = TaskId>) {
        self.unjudged.extend(tasks);
    }

    /// Takes over what is odd about models. Returns whether that is news.
    pub fn take_models(&mut self, odd: BTreeMap<TaskId, String>) -> bool {
        let known = self.models.take().unwrap_or_default();
        let is_news = odd.iter().any(|(task, message)| known.get(task) != Some(message));
        self.models = Some(odd);
        is_news
    }

    /// What could not be written.
    pub fn set_refused(&mut self, refused: Vec<String>) {
        self.refused = refused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_aside_is_told_until_it_is_gone_and_is_news_once() {
        let mut file = FileProblems::default();
        let lines = |file: &FileProblems| file.lines().cloned().collect::<Vec<_>>();
        let (one, other) = (PathBuf::from("/h/tasks.yml.rescued-1"), PathBuf::from("/h/tasks.yml.rescued-2"));
        assert!(file.take_set_aside(std::slice::from_ref(&one)));
        assert!(!file.take_set_aside(std::slice::from_ref(&one)));
        assert!(file.take_set_aside(&[one, other.clone()]) && lines(&file).len() == 2);
        assert!(!file.take_set_aside(&[other]) && lines(&file)[0].contains("rescued-2 holds an edit"));
        assert!(!file.take_set_aside(&[]) && lines(&file).is_empty());
    }
}
