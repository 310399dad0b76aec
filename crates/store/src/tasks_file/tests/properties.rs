//! Random documents and random edits, judged by another reader of YAML than the one that edits.

use super::*;
use orch_config::yaml::read;
use proptest::prelude::*;
use serde_json::{Value, json};

/// How one task is written.
#[derive(Debug, Clone)]
struct Item {
    form: Form,
    title: String,
    status: Option<&'static str>,
    /// Lines between the keys that no edit may touch.
    extra: Vec<&'static str>,
    status_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Bare,
    Flow,
    Block,
    DashAlone,
}

/// A file: its text, and the lines in it that no edit may touch.
#[derive(Debug)]
struct File {
    text: String,
    fixed: Vec<String>,
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let form = prop_oneof![Just(Form::Bare), Just(Form::Flow), Just(Form::Block), Just(Form::DashAlone)];
    let title = prop_oneof!["[a-z]{1,9}", "[a-z]{1,5} [a-zé🎉]{1,5}", "'[a-z: #]{1,9}'", "\"[a-z: #]{1,9}\\\\n\""];
    let status = prop::option::of(prop_oneof![Just("new"), Just("'done'"), Just("\"blocked\""), Just("")]);
    let extra = prop::sample::subsequence(
        vec![
            "# a comment",
            "note: [a, {b: c}]",
            "text: |\n      one\n       two # no comment\n\n      three",
            "folded: >-\n      a\n      b",
            "'quoted key': yes # c",
            "dir: \"/tmp/x y\"",
            "deep:\n      deeper:\n        - 1\n        - 2",
            "",
        ],
        0..5,
    );
    let item = (form, title, status, extra, any::<bool>())
        .prop_map(|(form, title, status, extra, status_first)| Item { form, title, status, extra, status_first });
    prop::collection::vec(item, 0..6)
}

fn file(items: &[Item], crlf: bool, newline_at_end: bool, tail: bool) -> File {
    let mut lines = vec!["# top".to_owned(), "before: {x: 1}".to_owned()];
    lines.push(if items.is_empty() { "tasks: []" } else { "tasks: # all" }.to_owned());
    let mut fixed = lines[..2].to_vec();
    for item in items {
        let block = item_lines(item);
        if matches!(item.form, Form::Block | Form::DashAlone) {
            fixed
                .extend(item.extra.iter().flat_map(|extra| extra.split('\n')).map(|line| line.trim_start().to_owned()));
        }
        lines.extend(block);
    }
    if tail {
        lines.push("after: # the tasks".to_owned());
        lines.push("  - end".to_owned());
        fixed.extend(lines[lines.len() - 2..].iter().map(|line| line.trim_start().to_owned()));
    }
    let line_end = if crlf { "\r\n" } else { "\n" };
    let lines: Vec<&str> = lines.iter().flat_map(|line| line.split('\n')).collect();
    let mut text = lines.join(line_end);
    if newline_at_end {
        text.push_str(line_end);
    }
    // A blank line may be the end of the text, where it is no line.
    fixed.retain(|line| !line.is_empty());
    File { text, fixed }
}

fn item_lines(item: &Item) -> Vec<String> {
    let status = item.status.map(|status| format!("status: {status}").trim_end().to_owned());
    match item.form {
        Form::Bare => vec![format!("  - {}", item.title)],
        Form::Flow => {
            let status = status.map(|status| format!(", {status}")).unwrap_or_default();
            vec![format!("  - {{title: {}{status}}}", item.title)]
        }
        Form::Block | Form::DashAlone => {
            let mut pairs = vec![format!("title: {}", item.title)];
            pairs.extend(item.extra.iter().map(|line| (*line).to_owned()));
            if let Some(status) = status {
                pairs.insert(if item.status_first { 0 } else { pairs.len() }, status);
            }
            let mut lines: Vec<String> =
                pairs.iter().map(|pair| if pair.is_empty() { String::new() } else { format!("    {pair}") }).collect();
            if item.form == Form::Block {
                lines[0].replace_range(2..3, "-");
            } else {
                lines.insert(0, "  -".to_owned());
            }
            lines
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = (0_usize..6).prop_map(At::Index);
    let key = prop::sample::select(vec!["status", "branch", "summary", "attempts"]);
    let value = prop_oneof![
        prop::sample::select(vec!["new", "done", "needs_review"]).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        Just(Value::Null),
    ];
    prop_oneof![
        4 => (at, key, value).prop_map(|(at, key, value)| Edit::Set { at, key, value }),
        2 => (0_usize..6).prop_map(|index| Edit::FillId { index, id: TaskId(index as u64 + 1) }),
        1 => (".{1,9}", any::<String>(), prop::collection::vec("[a-z:]{1,6}", 0..3)).prop_map(|(title, body, labels)| {
            let spec = Spec { title: format!("n{title}"), body, labels, ..Spec::default() };
            Edit::Append(Box::new(NewEntry { id: TaskId(99), spec, status: Some(Status::New) }))
        }),
    ]
}

/// The same edit on plain data.
fn edit_model(model: &mut Value, edit: &Edit) {
    let tasks = model["tasks"].as_array_mut().expect("a list");
    let (index, key, value) = match edit {
        Edit::Set { at: At::Index(index), key, value } => (*index, *key, value.clone()),
        Edit::Set { at: At::Id(_), .. } => unreachable!("not generated"),
        Edit::FillId { index, id } => (*index, "id", json!(id.0)),
        Edit::Append(new) => return tasks.push(new.to_value()),
    };
    if let Some(task) = tasks.get_mut(index) {
        if !task.is_object() {
            *task = json!({ "title": task.clone() });
        }
        task[key] = value;
    }
}

/// Whether the lines stand in the text in this order; indentation aside, which bare blocks share with their item.
fn contains_in_order(text: &str, lines: &[String]) -> bool {
    let mut rest = text.lines().map(str::trim_start);
    lines.iter().all(|line| rest.any(|found| found == line))
}

proptest! {
    #[test]
    fn edits_read_back_as_meant_and_touch_nothing_else(
        items in items(), edits in prop::collection::vec(edit(), 1..6), crlf: bool, newline: bool, tail: bool,
    ) {
        let mut edits = edits;
        let mut one_append = true;
        edits.retain(|edit| !matches!(edit, Edit::Append(_)) || std::mem::take(&mut one_append));
        let before = file(&items, crlf, newline, tail);
        let doc = TasksDoc::parse(before.text.clone(), &nothing).expect("valid");
        let mut model = read::<Value>(&before.text).expect("valid");
        prop_assert_eq!(doc.entries().len(), items.len());
        let (after, refused) = doc.apply(&edits, &nothing).expect("still valid");
        prop_assert!(refused.iter().all(|refused| refused.error.is_none()), "{:?}\n{}", refused, before.text);
        // Appending comes last, whatever its place among the edits.
        edits.sort_by_key(|edit| matches!(edit, Edit::Append(_)));
        edits.iter().for_each(|edit| edit_model(&mut model, edit));
        prop_assert_eq!(read::<Value>(after.text()).expect("valid"), model, "{}", after.text());
        prop_assert!(contains_in_order(after.text(), &before.fixed), "{}\n---\n{}", before.text, after.text());
        prop_assert_eq!(after.text().contains('\n'), true);
        if crlf {
            prop_assert!(after.text().split('\n').rev().skip(1).all(|line| line.ends_with('\r')), "{:?}", after.text());
        }
    }

    #[test]
    fn doing_it_again_changes_nothing(items in items(), status in "[a-z_]{1,8}") {
        let text = file(&items, false, true, true).text;
        let edits: Vec<Edit> = (0..items.len())
            .map(|index| Edit::Set { at: At::Index(index), key: "branch", value: status.as_str().into() })
            .collect();
        let (once, _) = parse(&text).apply(&edits, &nothing).expect("valid");
        let (twice, _) = once.apply(&edits, &nothing).expect("valid");
        prop_assert_eq!(once.text(), twice.text());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(tasks:)?[a-d:\\-\\[\\]{}|>&*!#'\" \n,?~<]{0,60}") {
        if let Ok(doc) = TasksDoc::parse(text, &nothing) {
            let edits: Vec<Edit> =
                (0..doc.entries().len()).map(|index| Edit::FillId { index, id: TaskId(index as u64 + 1) }).collect();
            let before = read::<Value>(doc.text());
            if let (Ok((after, _)), Ok(_)) = (doc.apply(&edits, &nothing), before) {
                prop_assert!(read::<Value>(after.text()).is_ok(), "{:?}\n{:?}", doc.text(), after.text());
            }
        }
    }
}
