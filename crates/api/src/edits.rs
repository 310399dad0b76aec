//! Changing what a person wants of a task, on the wire; and what to do about tasks that `tasks.yml` has lost.

use orch_core::base::ids::TaskId;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::spec_merge::{Change, Field};
use orch_core::tasks::task::Spec;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// Some of the person's fields of a task. What is left out stays; `null` takes a value away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskFields {
    /// The title, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// All labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// The priority; higher starts first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// The tasks that must be done before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<TaskId>>,
    /// The task that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub parent: Option<Option<TaskId>>,
    /// The directory of its repository.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub dir: Option<Option<PathBuf>>,
    /// The type of work: feature, bug, …
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub kind: Option<Option<String>>,
    /// Who has claimed the task.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub assignee: Option<Option<String>>,
    /// The agent that is demanded.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub agent: Option<Option<String>>,
    /// The model that is demanded.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub model: Option<Option<String>>,
    /// The complexity that is demanded.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub complexity: Option<Option<Complexity>>,
}

/// `null` is a value, and not the same as nothing said.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl TaskFields {
    /// Returns some fields of a specification.
    pub fn from_spec(spec: &Spec, fields: &[Field]) -> Self {
        let mut selected = Self::default();
        for field in fields {
            match field {
                Field::Title => selected.title = Some(spec.title.clone()),
                Field::Kind => selected.kind = Some(spec.kind.clone()),
                Field::Priority => selected.priority = Some(spec.priority),
                Field::Labels => selected.labels = Some(spec.labels.clone()),
                Field::DependsOn => selected.depends_on = Some(spec.depends_on.clone()),
                Field::Parent => selected.parent = Some(spec.parent),
                Field::Dir => selected.dir = Some(spec.dir.clone()),
                Field::Assignee => selected.assignee = Some(spec.assignee.clone()),
                Field::Agent => selected.agent = Some(spec.agent.clone()),
                Field::Model => selected.model = Some(spec.model.clone()),
                Field::Complexity => selected.complexity = Some(spec.complexity),
                Field::Body => selected.body = Some(spec.body.clone()),
            }
        }
        selected
    }

    /// The wish with these fields, and which are given.
    pub fn into_spec(self) -> (Spec, Vec<Field>) {
        // Without `..`, so that a new field does not compile until it is taken over.
        let Self { title, body, labels, priority, depends_on, parent, dir, kind, assignee, agent, model, complexity } =
            self;
        let given = [
            (Field::Title, title.is_some()),
            (Field::Kind, kind.is_some()),
            (Field::Priority, priority.is_some()),
            (Field::Labels, labels.is_some()),
            (Field::DependsOn, depends_on.is_some()),
            (Field::Parent, parent.is_some()),
            (Field::Dir, dir.is_some()),
            (Field::Assignee, assignee.is_some()),
            (Field::Agent, agent.is_some()),
            (Field::Model, model.is_some()),
            (Field::Complexity, complexity.is_some()),
            (Field::Body, body.is_some()),
        ];
        // An empty word says as little as none, as in tasks.yml.
        let word = |text: Option<Option<String>>| text.flatten().filter(|text| !text.is_empty());
        let spec = Spec {
            title: title.unwrap_or_default(),
            body: body.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            priority: priority.unwrap_or_default(),
            depends_on: depends_on.unwrap_or_default(),
            parent: parent.flatten(),
            dir: dir.flatten().filter(|dir| !dir.as_os_str().is_empty()),
            kind: word(kind),
            agent: word(agent),
            model: word(model),
            complexity: complexity.flatten(),
            assignee: word(assignee),
        };
        (spec, given.into_iter().filter_map(|(field, given)| given.then_some(field)).collect())
    }
}

/// A change of a task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EditTask {
    /// The new values.
    pub set: TaskFields,
    /// The values that the person saw: if one has changed since, nothing is changed and the answer is a conflict.
    pub expected: TaskFields,
    /// Labels that it shall have.
    pub add_labels: Vec<String>,
    /// Labels that it shall not have.
    pub remove_labels: Vec<String>,
}

impl From<EditTask> for Change {
    fn from(edit: EditTask) -> Self {
        let EditTask { set, expected, add_labels, remove_labels } = edit;
        let ((set, fields), (expected, expected_fields)) = (set.into_spec(), expected.into_spec());
        Self { set, fields, expected, expected_fields, add_labels, remove_labels }
    }
}

/// What is to become of open tasks that a `tasks.yml` lacks which is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideMissing {
    /// What is to become of them.
    pub what: MissingVerdict,
}

/// What is to become of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingVerdict {
    /// Nothing: they are only listed.
    List,
    /// They are written into the file again.
    Restore,
    /// They are given up.
    Cancel,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays_and_null_takes_away() {
        let fields: TaskFields = serde_json::from_str(r#"{"title": "x", "agent": null, "model": "m"}"#).expect("reads");
        let (spec, given) = fields.clone().into_spec();
        assert_eq!(given, [Field::Title, Field::Agent, Field::Model]);
        assert_eq!((spec.title.as_str(), spec.agent.as_deref(), spec.model.as_deref()), ("x", None, Some("m")));
        assert_eq!(TaskFields::from_spec(&spec, &given), fields);
        let written = serde_json::to_string(&fields).expect("plain data");
        assert_eq!(serde_json::from_str::<TaskFields>(&written).expect("reads"), fields);
    }

    #[test]
    fn every_field_goes_over_the_wire_and_back() {
        let spec = Spec {
            title: "t".into(),
            body: "b".into(),
            labels: vec!["l".into()],
            priority: 3,
            depends_on: vec![TaskId(1)],
            parent: Some(TaskId(2)),
            dir: Some("/d".into()),
            kind: Some("bug".into()),
            agent: Some("claude".into()),
            model: Some("m".into()),
            complexity: Some(Complexity::Simple),
            assignee: Some("me".into()),
        };
        assert_eq!(TaskFields::from_spec(&spec, &Field::ALL).into_spec(), (spec, Field::ALL.to_vec()));
    }
}
