//! Reading, and what is wrong; the ways of writing are in `kinds`, random documents in `properties`.

mod kinds;
mod properties;

use super::*;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task::{Spec, Status};
use std::path::PathBuf;

/// No task exists outside of the file.
fn nothing(_: TaskId) -> bool {
    false
}

#[track_caller]
fn parse(text: &str) -> TasksDoc {
    TasksDoc::parse(text.to_owned(), &nothing).expect("valid as a file")
}

/// What is wrong, one line each.
#[track_caller]
fn problems(text: &str) -> Vec<String> {
    let from_text = match TasksDoc::parse(text.to_owned(), &nothing) {
        Ok(doc) => doc.problems().to_vec(),
        Err(problems) => problems,
    };
    from_text.iter().map(Problem::to_string).collect()
}

fn invalid(text: &str) -> Vec<String> {
    let problems = TasksDoc::parse(text.to_owned(), &nothing).expect_err("invalid as a file");
    problems.iter().map(Problem::to_string).collect()
}

fn soundness(text: &str) -> Vec<bool> {
    parse(text).entries().iter().map(|entry| entry.sound).collect()
}

#[test]
fn every_key_is_read() {
    let doc = parse(
        "version: 2\ntasks:\n  - id: 1\n    title: 404\n  - id: 2\n    title: x\n  - id: '#7'\n    title: \"a: b\"\n    body: |\n      x\n\n      y\n    \
         labels: [agent:claude, 3]\n    priority: -2\n    depends_on: [1]\n    parent: 2\n    dir: /x y\n    type: bug\n    \
         agent: codex\n    model: o5\n    complexity: simple\n    status: in_review\n    assignee: me\n    \
         branch: orch/7-a\n    attempts: 2\n    summary: did it\n    pr: https://x/1\n    mine: {kept: yes}\n",
    );
    assert_eq!(doc.problems(), []);
    assert_eq!(doc.entries()[0].spec.title, "404");
    let expected = Entry {
        index: 2,
        line: 7,
        sound: true,
        id: Some(TaskId(7)),
        spec: Spec {
            title: "a: b".into(),
            body: "x\n\ny\n".into(),
            labels: vec!["agent:claude".into(), "3".into()],
            priority: -2,
            depends_on: vec![TaskId(1)],
            parent: Some(TaskId(2)),
            dir: Some(PathBuf::from("/x y")),
            kind: Some("bug".into()),
            agent: Some("codex".into()),
            model: Some("o5".into()),
            complexity: Some(Complexity::Simple),
            assignee: Some("me".into()),
        },
        status: Some(Status::InReview),
        branch: Some("orch/7-a".into()),
        attempts: Some(2),
        summary: Some("did it".into()),
        pr: Some("https://x/1".into()),
        ignored: vec!["mine".into()],
    };
    assert_eq!(doc.entry(TaskId(7)), Some(&expected));
}

#[test]
fn a_bare_title_is_a_complete_task() {
    let doc = parse("tasks:\n  - title: Write a changelog\n  - and a manual\n");
    let titles: Vec<_> = doc.entries().iter().map(|entry| entry.spec.title.as_str()).collect();
    assert_eq!(titles, ["Write a changelog", "and a manual"]);
    assert!(doc.entries().iter().all(|entry| entry.sound && entry.id.is_none() && entry.status.is_none()));
}

#[test]
fn files_without_tasks_are_valid() {
    for text in ["", "# c\n", "---\n", "~\n", "tasks:\n", "tasks: []\n", "tasks: null\n", "version: 1\n", "{}\n"] {
        assert_eq!(parse(text).entries(), [], "{text:?}");
    }
}

#[test]
fn aliases_and_merged_keys_count_and_own_keys_win() {
    let doc = parse(
        "base: &b {dir: /x, agent: codex}\nmore: &m {agent: claude, model: m}\ntasks:\n  - title: &t one\n    \
         labels: &l [a]\n  - <<: [*b, *m]\n    title: *t\n    labels: *l\n    model: own\n",
    );
    let spec = &doc.entries()[1].spec;
    assert_eq!((spec.title.as_str(), spec.labels.as_slice()), ("one", ["a".to_owned()].as_slice()));
    assert_eq!(spec.dir.as_deref(), Some("/x".as_ref()));
    assert_eq!((spec.agent.as_deref(), spec.model.as_deref()), (Some("codex"), Some("own")));
}

#[test]
fn a_file_that_is_no_list_of_tasks_is_invalid_as_a_whole() {
    assert_eq!(invalid("tasks: [\n"), ["line 1, column 8: unclosed bracket '['"]);
    assert_eq!(
        invalid("tasks:\n  - title: a\n    title: b\n"),
        ["line 3, column 5: the key `title` is already set above"]
    );
    assert_eq!(
        invalid("tasks:\n  title: a\n"),
        ["line 2, column 3: `tasks` is not a list (write each task as `- title: …` below it)"]
    );
    assert_eq!(invalid("hello\n"), ["line 1, column 1: the file is not a list of tasks (begin it with `tasks:`)"]);
    assert_eq!(invalid("a: 1\n---\nb: 2\n").len(), 1);
    assert_eq!(invalid("tasks:\n\t- title: a\n").len(), 1);
}

#[test]
fn an_id_used_twice_makes_the_file_invalid() {
    let found = invalid("tasks:\n  - {id: 3, title: a}\n  - title: b\n    id: '#3'\n");
    assert_eq!(
        found,
        [
            "line 4, column 9: the id 3 is already used on line 2 (remove the id here, and orch gives a new one; and the status, if it is to be run)"
        ]
    );
}

#[test]
fn wrong_values_are_told_at_their_place_and_spoil_only_their_entry() {
    let cases = [
        ("id: x1", "3, column 9: `x1` is not a task id (write `id: 7`)"),
        ("id: -1", "3, column 9: `-1` is not a task id (write `id: 7`)"),
        ("priority: high", "3, column 15: `high` is not a priority (write a whole number; higher starts first)"),
        ("status: in-progress", "3, column 13: `in-progress` is not a status (did you mean `in_progress`?)"),
        (
            "status: whatever",
            "3, column 13: `whatever` is not a status (expected one of new, routed, in_progress, in_review, done, \
             blocked, needs_review, cancelled)",
        ),
        ("complexity: medum", "3, column 17: `medum` is not a complexity (did you mean `medium`?)"),
        ("body: {a: 1}", "3, column 11: `body` expects a text here (quote it if it contains `: `, `[` or `{`)"),
        ("labels: {a: 1}", "3, column 13: `labels` expects a list (write it as `[a, b]`)"),
        ("depends_on: [y]", "3, column 18: `y` is not a task id (write `depends_on: 7`)"),
        ("depends_on: 99", "3, column 17: depends on the task 99, which does not exist"),
        ("parent: 99", "3, column 13: is a part of the task 99, which does not exist"),
    ];
    for (line, expected) in cases {
        let text = format!("tasks:\n  - title: a\n    {line}\n  - title: b\n");
        assert_eq!(problems(&text), [format!("line {expected}")], "{line}");
        assert_eq!(soundness(&text), [false, true], "{line}");
    }
}

#[test]
fn a_task_needs_a_title() {
    for (item, place) in [
        ("id: 1", "2, column 5"),
        ("title: ''", "2, column 5"),
        ("title:", "2, column 5"),
        ("title: ' '", "2, column 5"),
    ] {
        let text = format!("tasks:\n  - {item}\n  - ok\n");
        assert_eq!(problems(&text), [format!("line {place}: this task has no title (give it a `title`)")], "{item}");
        assert_eq!(soundness(&text), [false, true]);
    }
    assert_eq!(problems("tasks:\n  -\n  - [a]\n").len(), 2);
}

#[test]
fn misspelt_keys_are_warned_of_and_strange_ones_are_left_alone() {
    let text = "tasks:\n  - title: a\n    lables: [x]\n    due: tomorrow\n    ? [x]\n    : y\n";
    assert_eq!(
        problems(text),
        [
            "line 3, column 5: `lables` is no key of a task and is not looked at (did you mean `labels`?)",
            "line 5, column 7: this key is no text and is not looked at",
        ]
    );
    assert_eq!(soundness(text), [true]);
}

#[test]
fn an_id_hidden_in_a_comment_is_warned_of() {
    let text = "tasks:\n  - title: a\n    id: 1\n  - title: b\n    depends_on: #1\n    parent: # of nothing\n";
    let expected =
        "line 5, column 16: `#` begins a comment in YAML, so this says nothing (write the number alone, or quote it)";
    assert_eq!(problems(text), [expected]);
}

#[test]
fn tasks_that_wait_for_each_other_are_named() {
    let text = "tasks:\n- {id: 1, title: a, depends_on: [2]}\n- {id: 2, title: b, depends_on: [3]}\n\
                - {id: 3, title: c, depends_on: [1]}\n- {id: 4, title: d, depends_on: [1, 4]}\n- {id: 5, title: e, parent: 5}\n\
                - {id: 6, title: f, depends_on: [7]}\n- {id: 7, title: g, parent: 8, depends_on: [8]}\n- {id: 8, title: h}\n";
    assert_eq!(
        problems(text),
        [
            "line 2, column 33: waits for itself: 1 → 2 → 3 → 1",
            "line 3, column 33: waits for itself: 2 → 3 → 1 → 2",
            "line 4, column 33: waits for itself: 3 → 1 → 2 → 3",
            "line 5, column 33: depends on itself",
            "line 6, column 29: is its own parent",
            "line 8, column 44: waits for itself: 7 → 8 → 7",
            "line 9, column 3: waits for itself: 8 → 7 → 8",
        ]
    );
    assert_eq!(soundness(text), [false, false, false, false, false, true, false, false]);
}

#[test]
fn a_dependency_outside_of_the_file_may_be_known() {
    let text = "tasks:\n  - {title: a, depends_on: 5}\n";
    let doc = TasksDoc::parse(text.to_owned(), &|id| id == TaskId(5)).expect("valid");
    assert_eq!(doc.problems(), []);
}

#[test]
fn aliases_cannot_multiply_a_file_without_end() {
    let text = format!(
        "long: &t {}\nlist: &l [{}]\ntasks:\n{}",
        "x".repeat(100_000),
        "a, ".repeat(10_000),
        "- {title: *t, labels: *l}\n".repeat(2_000)
    );
    let doc = parse(&text);
    let taken: usize = doc.entries().iter().map(|entry| entry.spec.title.len() + entry.spec.labels.len()).sum();
    assert!(taken < 3 * text.len());
    assert!(doc.entries()[0].sound && !doc.entries()[1_999].sound);
    assert!(doc.problems().last().expect("told").message.contains("multiply"));
}

#[test]
fn a_very_long_circle_and_many_circles_are_told_quickly() {
    let n = 3_000;
    let item = |i: u64| format!("- {{id: {i}, title: t, depends_on: [{}, {}]}}\n", i % n + 1, (i + 1) % n + 1);
    let text: String = (1..=n).map(item).collect();
    let found = problems(&text);
    assert!(found.len() >= n as usize && found.iter().all(|line| line.len() < 200));
}

#[test]
fn edits_that_name_nothing_are_refused_and_the_others_made() {
    let doc = parse("tasks:\n  - {id: 1, title: a}\n  - &x {id: 2, title: b}\nother: *x\n");
    let set = |at| Edit::Set { at, key: "status", value: "done".into() };
    let edits = [set(At::Id(TaskId(9))), set(At::Index(7)), set(At::Id(TaskId(2))), set(At::Id(TaskId(1)))];
    let (doc, refused) = doc.apply(&edits, &nothing).expect("still valid");
    let refused: Vec<_> = refused.into_iter().map(|refused| (refused.edits, refused.error)).collect();
    assert_eq!(refused, [(vec![0], None), (vec![1], None), (vec![2], Some(EditError::Unverified))]);
    let text = "tasks:\n  - {id: 1, title: a, status: done}\n  - &x {id: 2, title: b}\nother: *x\n";
    assert_eq!(doc.text(), text);
}

#[test]
fn an_outline_writes_into_its_own_text_only() {
    let doc = parse("tasks:\n  - {id: 1, title: a}\n");
    let text = doc.text().to_owned();
    let outline = doc.into_outline();
    assert!(outline.is_of(&text) && !outline.is_of(&text.replace('a', "b")));
    let edit = |value: &str| [Edit::Set { at: At::Id(TaskId(1)), key: "status", value: value.into() }];
    let (text, outline) = outline.apply(&text, &edit("new")).into_outline().expect("changed");
    let (text, _) = outline.apply(&text, &edit("done")).into_outline().expect("changed");
    assert_eq!(text, "tasks:\n  - {id: 1, title: a, status: done}\n");
}
