//! Compares, changes and merges what a person requested for a task, field by field. Pure. It knows no file: the caller
//! passes the versions.

use super::spec::Spec;
use crate::base::ids::TaskId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// A field that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its key in `tasks.yml`.
    pub field: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

/// A field of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The title, one line.
    Title,
    /// The type of work: feature, bug, …
    Kind,
    /// The priority, higher first.
    Priority,
    /// The labels.
    Labels,
    /// The tasks that must be done before.
    DependsOn,
    /// The task of which this one is a subtask.
    Parent,
    /// The directory of its repository.
    Dir,
    /// The person or orch that claimed it.
    Assignee,
    /// The required agent.
    Agent,
    /// The required model.
    Model,
    /// The required complexity.
    Complexity,
    /// The details.
    Body,
}

impl Field {
    /// All fields, in the order of `tasks.yml`.
    pub const ALL: [Self; 12] = [
        Self::Title,
        Self::Kind,
        Self::Priority,
        Self::Labels,
        Self::DependsOn,
        Self::Parent,
        Self::Dir,
        Self::Assignee,
        Self::Agent,
        Self::Model,
        Self::Complexity,
        Self::Body,
    ];

    /// Returns the change of this field between two versions of a task.
    pub fn change(self, before: &Spec, after: &Spec) -> FieldChange {
        FieldChange { field: self.key().to_owned(), before: self.render(before), after: self.render(after) }
    }

    /// Returns the key in files and documents.
    pub fn key(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Kind => "type",
            Self::Priority => "priority",
            Self::Labels => "labels",
            Self::DependsOn => "depends_on",
            Self::Parent => "parent",
            Self::Dir => "dir",
            Self::Assignee => "assignee",
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Complexity => "complexity",
            Self::Body => "body",
        }
    }

    /// Returns the value in a spec; `null` and empty lists mean that there is none.
    pub fn value(self, spec: &Spec) -> Value {
        let ids = |ids: &[TaskId]| Value::from(ids.iter().map(|id| id.0).collect::<Vec<_>>());
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        match self {
            Self::Title => Value::from(spec.title.as_str()),
            Self::Kind => text(&spec.kind),
            Self::Priority => Value::from(spec.priority),
            Self::Labels => Value::from(spec.labels.clone()),
            Self::DependsOn => ids(&spec.depends_on),
            Self::Parent => spec.parent.map_or(Value::Null, |id| Value::from(id.0)),
            Self::Dir => spec.dir.as_ref().map_or(Value::Null, |dir| Value::from(dir.to_string_lossy().into_owned())),
            Self::Assignee => text(&spec.assignee),
            Self::Agent => text(&spec.agent),
            Self::Model => text(&spec.model),
            Self::Complexity => spec.complexity.map_or(Value::Null, |complexity| Value::from(complexity.as_str())),
            Self::Body => Value::from(spec.body.as_str()),
        }
    }

    /// Copies the value from one spec to another.
    pub fn copy(self, from: &Spec, to: &mut Spec) {
        match self {
            Self::Title => to.title.clone_from(&from.title),
            Self::Kind => to.kind.clone_from(&from.kind),
            Self::Priority => to.priority = from.priority,
            Self::Labels => to.labels.clone_from(&from.labels),
            Self::DependsOn => to.depends_on.clone_from(&from.depends_on),
            Self::Parent => to.parent = from.parent,
            Self::Dir => to.dir.clone_from(&from.dir),
            Self::Assignee => to.assignee.clone_from(&from.assignee),
            Self::Agent => to.agent.clone_from(&from.agent),
            Self::Model => to.model.clone_from(&from.model),
            Self::Complexity => to.complexity = from.complexity,
            Self::Body => to.body.clone_from(&from.body),
        }
    }

    /// Whether both specs have the same value.
    pub fn is_same(self, one: &Spec, other: &Spec) -> bool {
        self.value(one) == self.value(other)
    }

    /// Renders the value in one line for a person: `"Fix it"`, `["a"]`, `nothing`.
    pub fn render(self, spec: &Spec) -> String {
        let value = self.value(spec);
        let is_empty = value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
        if is_empty { "nothing".to_owned() } else { value.to_string() }
    }
}

/// Returns the fields in which two specs differ.
pub fn differing(one: &Spec, other: &Spec) -> Vec<Field> {
    if one == other {
        return Vec::new();
    }
    Field::ALL.into_iter().filter(|field| !field.is_same(one, other)).collect()
}

/// A field that was changed on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// The field.
    pub field: Field,
    /// The value in the file, which counts.
    pub file: String,
    /// The other value, which is discarded.
    pub other: String,
}

/// The result of a merge with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The merged spec.
    pub spec: Spec,
    /// Fields that the file has changed.
    pub taken: Vec<Field>,
    /// Fields that were changed on both sides.
    pub clashes: Vec<Clash>,
}

/// Merges the spec of a command (`ours`) with that of the file (`theirs`). `filed` are the versions that may be in the
/// file without an edit by the person: what it said before, and what was written to it since. A field with one of these
/// values is unchanged; where both sides changed one, the file counts, because it is the person's.
pub fn merge(filed: &[Spec], ours: &Spec, theirs: &Spec) -> Merged {
    let mut merged = Merged { spec: ours.clone(), taken: Vec::new(), clashes: Vec::new() };
    for field in differing(ours, theirs) {
        if filed.iter().any(|filed| field.is_same(filed, theirs)) {
            continue;
        }
        field.copy(theirs, &mut merged.spec);
        merged.taken.push(field);
        if filed.iter().any(|filed| !field.is_same(filed, ours)) {
            merged.clashes.push(Clash { field, file: field.render(theirs), other: field.render(ours) });
        }
    }
    merged
}

/// The change that a command requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// The new values of `fields`.
    pub set: Spec,
    /// The fields in `set` that apply.
    pub fields: Vec<Field>,
    /// The values of `expected_fields` that the person saw; other current values are refused.
    pub expected: Spec,
    /// The fields in `expected` that apply.
    pub expected_fields: Vec<Field>,
    /// Labels to add.
    pub add_labels: Vec<String>,
    /// Labels to remove.
    pub remove_labels: Vec<String>,
}

impl Change {
    /// Applies the change to a spec.
    ///
    /// # Errors
    /// Returns the fields whose current value is neither the one that the person saw nor the new one.
    pub fn apply_to(&self, spec: &Spec) -> Result<Spec, Vec<Clash>> {
        let mut next = spec.clone();
        self.fields.iter().for_each(|field| field.copy(&self.set, &mut next));
        next.labels.retain(|label| !self.remove_labels.contains(label));
        for label in &self.add_labels {
            if !next.labels.contains(label) {
                next.labels.push(label.clone());
            }
        }
        let moved = self
            .expected_fields
            .iter()
            .filter(|field| !field.is_same(&self.expected, spec) && !field.is_same(&next, spec));
        let clash = |field: &Field| Clash { field: *field, file: field.render(spec), other: field.render(&next) };
        let clashes: Vec<Clash> = moved.map(clash).collect();
        if clashes.is_empty() { Ok(next) } else { Err(clashes) }
    }
}

/// Whether `new` may be a rewording of `old`: the titles are similar, or the details are equal.
pub fn is_reworded(old: &Spec, new: &Spec) -> bool {
    const ALIKE: f64 = 0.6;
    let (one, other) = (old.title.trim().to_lowercase(), new.title.trim().to_lowercase());
    let words = |title: &str| title.split_whitespace().map(str::to_owned).collect::<BTreeSet<String>>();
    let (of_one, of_other) = (words(&one), words(&other));
    let shared = of_one.intersection(&of_other).count() * 2;
    let are_same_words = shared > of_one.len().max(of_other.len());
    let is_same_text = !old.body.trim().is_empty() && old.body == new.body;
    are_same_words || is_same_text || strsim::normalized_damerau_levenshtein(&one, &other) >= ALIKE
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(title: &str, body: &str, priority: i64) -> Spec {
        Spec { title: title.into(), body: body.into(), priority, ..Spec::default() }
    }

    #[test]
    fn different_fields_come_together() {
        let merged = merge(&[spec("a", "", 0)], &spec("b", "", 0), &spec("a", "", 5));
        assert_eq!((merged.spec, merged.clashes), (spec("b", "", 5), Vec::new()));
    }

    #[test]
    fn of_one_field_the_file_counts_and_both_values_are_told() {
        let merged = merge(&[spec("a", "", 0)], &spec("b", "", 0), &spec("c", "", 0));
        assert_eq!(merged.spec, spec("c", "", 0));
        let clash = Clash { field: Field::Title, file: "\"c\"".into(), other: "\"b\"".into() };
        assert_eq!(merged.clashes, [clash]);
    }

    #[test]
    fn what_was_written_over_before_is_no_edit() {
        let filed = [spec("a", "", 0), spec("b", "", 0)];
        for theirs in &filed {
            assert_eq!(merge(&filed, &spec("c", "", 0), theirs).spec, spec("c", "", 0));
        }
    }

    #[test]
    fn without_a_command_every_difference_is_an_edit_and_none_a_clash() {
        let merged = merge(&[], &spec("a", "x", 0), &spec("b", "x", 0));
        assert_eq!((merged.spec.title.as_str(), merged.clashes), ("b", Vec::new()));
        assert_eq!(merged.taken, [Field::Title]);
    }

    #[test]
    fn a_change_of_what_has_moved_is_refused_with_both_values() {
        let seen = spec("a", "", 0);
        let change = Change {
            set: spec("mine", "", 0),
            fields: vec![Field::Title],
            expected: seen.clone(),
            expected_fields: vec![Field::Title],
            ..Change::default()
        };
        assert_eq!(change.apply_to(&seen), Ok(spec("mine", "", 0)));
        assert_eq!(change.apply_to(&spec("mine", "", 9)), Ok(spec("mine", "", 9)), "the same was asked elsewhere");
        let clashes = change.apply_to(&spec("yours", "", 0)).expect_err("it moved");
        assert_eq!((clashes[0].file.as_str(), clashes[0].other.as_str()), ("\"yours\"", "\"mine\""));
    }

    proptest! {
        #[test]
        fn each_field_ends_as_the_side_that_changed_it(
            base in 0u8..3, ours in 0u8..3, theirs in 0u8..3, base2 in 0i64..3, ours2 in 0i64..3, theirs2 in 0i64..3,
        ) {
            let made = |title: u8, priority| spec(&title.to_string(), "", priority);
            let (old, our, their) = (made(base, base2), made(ours, ours2), made(theirs, theirs2));
            let merged = merge(std::slice::from_ref(&old), &our, &their);
            let expected = made(if theirs == base { ours } else { theirs }, if theirs2 == base2 { ours2 } else { theirs2 });
            prop_assert_eq!(&merged.spec, &expected);
            let clash = |b, o, t| u8::from(t != b && o != b && o != t);
            let clashes = clash(i64::from(base), i64::from(ours), i64::from(theirs)) + clash(base2, ours2, theirs2);
            prop_assert_eq!(merged.clashes.len(), usize::from(clashes));
        }
    }

    #[test]
    fn a_title_that_was_changed_is_told_from_another_title() {
        let spec = |title: &str, body: &str| Spec { title: title.into(), body: body.into(), ..Spec::default() };
        let is = |old: &str, new: &str| is_reworded(&spec(old, ""), &spec(new, ""));
        assert!(is("Fix the parser", "Fix the parser of dates") && is("Fix teh parser", "Fix the parser"));
        assert!(is("Write a changelog", "write the changelog") && is("a", "A "));
        assert!(!is("Fix the parser", "Write a changelog") && !is("Add a health endpoint", "Remove the old API"));
        assert!(is_reworded(&spec("One", "the same long text"), &spec("Two", "the same long text")));
        assert!(!is_reworded(&spec("One", "this"), &spec("Two", "that")));
    }
}
