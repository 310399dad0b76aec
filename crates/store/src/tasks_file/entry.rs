//! One task as the file contains it, and as orch writes a new one.

use orch_core::base::ids::TaskId;
use orch_core::tasks::task::{Spec, Status};
use orch_core::text::task_key::KEYS;
use serde_json::{Map, Value};

/// One item of the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its place in the list, counted from 0.
    pub index: usize,
    /// Line on which it begins, counted from 1.
    pub line: u32,
    /// `false`: something in it is wrong (see [`super::TasksDoc::problems`]), and it does not count. An unsound entry
    /// must not be given an id: it may have one that could not be read.
    pub sound: bool,
    /// Its id; `None` until orch has given it one.
    pub id: Option<TaskId>,
    /// What the person wants. `agent` and `model` are whatever the file says, also when orch wrote it there.
    pub spec: Spec,
    /// The status in the file.
    pub status: Option<Status>,
    /// Written back by orch.
    pub branch: Option<String>,
    /// Written back by orch.
    pub attempts: Option<u32>,
    /// Written back by orch.
    pub summary: Option<String>,
    /// Written back by orch.
    pub pr: Option<String>,
    /// Keys that mean nothing to orch, a few of them at most.
    pub ignored: Vec<String>,
}

/// A task that is appended to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The number of the task.
    pub id: TaskId,
    /// What the task asks for.
    pub spec: Spec,
    /// Its status, when it is to be written at once.
    pub status: Option<Status>,
}

impl NewEntry {
    /// The keys and values to write; what is empty or usual is left out.
    pub(super) fn to_value(&self) -> Value {
        // Without `..`, so that a new field does not compile until it is written.
        let Spec { title, body, labels, priority, depends_on, parent, dir, kind, agent, model, complexity, assignee } =
            &self.spec;
        let ids = |ids: &[TaskId]| Value::from(ids.iter().map(|id| id.0).collect::<Vec<_>>());
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        let all: [Option<Value>; 14] = [
            Some(Value::from(self.id.0)),
            Some(Value::from(title.as_str())),
            text(kind),
            (*priority != 0).then(|| Value::from(*priority)),
            (!labels.is_empty()).then(|| Value::from(labels.clone())),
            (!depends_on.is_empty()).then(|| ids(depends_on)),
            parent.map(|id| Value::from(id.0)),
            dir.as_ref().map(|dir| Value::from(dir.to_string_lossy().into_owned())),
            text(assignee),
            self.status.map(|status| Value::from(status.as_str())),
            text(agent),
            text(model),
            complexity.map(|complexity| Value::from(complexity.as_str())),
            (!body.is_empty()).then(|| Value::from(body.as_str())),
        ];
        let (before_results, body_key) = (&KEYS[..13], KEYS[17]);
        let keys = before_results.iter().copied().chain([body_key]);
        let pairs = keys.zip(all).filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(Map::from_iter(pairs))
    }
}
