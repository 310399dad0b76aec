//! Edits of all kinds of documents: the intended change, and nothing else.

use super::*;
use crate::yaml::read;
use proptest::prelude::*;
use serde_json::json;

#[track_caller]
fn set(text: &str, path: &str, value: Value) -> String {
    let path: Vec<&str> = path.split('.').collect();
    set_path(text, &path, &value).expect("can be set")
}

#[test]
fn a_value_is_replaced_where_it_stands_and_keeps_its_quotes() {
    let text = "# top\nrouter:\n  mode: llm   # how\n  agent: 'claude'\n  model: \"haiku\"\n";
    assert_eq!(set(text, "router.mode", json!("round_robin")), text.replace("llm ", "round_robin "));
    assert_eq!(set(text, "router.agent", json!("it's")), text.replace("'claude'", "'it''s'"));
    assert_eq!(set(text, "router.model", json!("a\"b")), text.replace("\"haiku\"", r#""a\"b""#));
    assert_eq!(set(text, "router.mode", json!("llm")), text, "the same value changes nothing");
}

#[test]
fn a_key_with_a_tag_or_an_anchor_or_by_an_alias_is_the_key_that_it_reads_as() {
    for text in ["!t \"a\": 1\nb: x\n", "!t a: 1\nb: x\n", "&k a: 1\nb: x\n", "!t &k 'a': 1\n", "{b: x, !t a: 1}\n"] {
        assert_eq!(set(text, "a", json!("new")), text.replace('1', "new"));
    }
    assert_eq!(set("b: &k a\n*k : 1\n", "a", json!(2)), "b: &k a\n*k : 2\n");
    assert_eq!(set("b: !t &k a\n*k : 1\n", "a", json!(2)), "b: !t &k a\n*k : 2\n");
    assert_eq!(set("a: !t 1\n", "b", json!(2)), "a: !t 1\nb: 2\n", "the tag of a value stays one");
    for twice in ["a: 1\n!t \"a\": 2\n", "!t a: 1\n!u a: 2\n", "b: &k a\na: 1\n*k : 2\n"] {
        let refused = Tree::parse(twice).expect_err("a key that is set twice");
        assert!(refused.to_string().contains("is already set above"), "{refused}");
    }
}

#[test]
fn a_text_that_looks_like_something_else_is_quoted() {
    for word in ["yes", "null", "~", "1e3", "0x1f", "2024-01-01", "- a", "a: b", "a #b", "[x", "", " x", "x ", "*a"] {
        let text = set("a: x\n", "a", json!(word));
        assert_eq!(read::<Value>(&text).expect("valid"), json!({ "a": word }), "{text}");
        assert!(text.starts_with("a: \""), "{text}");
    }
    assert_eq!(set("a: x\n", "a", json!(7)), "a: 7\n");
    assert_eq!(set("a: '7'\n", "a", json!(7)), "a: 7\n");
    assert_eq!(set("a: x\n", "a", json!(true)), "a: true\n");
    assert_eq!(set("a: x\n", "a", Value::Null), "a: null\n");
    assert_eq!(set("a: x\n", "a", json!(0.5)), "a: 0.5\n");
}

#[test]
fn missing_keys_and_parents_are_made() {
    assert_eq!(set("", "a.b.c", json!(1)), "a:\n  b:\n    c: 1\n");
    assert_eq!(set("# mine\n", "a.b", json!(1)), "# mine\na:\n  b: 1\n");
    assert_eq!(set("a: 1", "b", json!(2)), "a: 1\nb: 2");
    assert_eq!(set("a:\n    x: 1\nz: 2\n", "a.w", json!("s")), "a:\n    x: 1\n    w: s\nz: 2\n");
    assert_eq!(set("a:\n  x: 1\n", "b.c", json!([1, "two"])), "a:\n  x: 1\nb:\n  c: [1, two]\n");
    assert_eq!(set("a:\nb: 1\n", "a.x", json!(1)), "a:\n  x: 1\nb: 1\n");
    assert_eq!(set("a: {} # none\n", "a.x", json!(1)), "a: {x: 1} # none\n");
    assert_eq!(set("a: {y: 2}\n", "a.x.z", json!(1)), "a: {y: 2, x: {z: 1}}\n");
    assert_eq!(set("a: {y: }\n", "a.y.z", json!(1)), "a: {y: {z: 1} }\n");
    assert_eq!(set("---\n...\n", "a", json!(1)), "---\na: 1\n...\n");
    assert_eq!(set("a:\r\n  x: 1\r\n", "a.w", json!(2)), "a:\r\n  x: 1\r\n  w: 2\r\n");
    assert_eq!(set("a: |\n  text\n", "b", json!(2)), "b: 2\na: |\n  text\n", "never after a block of text");
}

#[test]
fn lists_are_replaced_and_reached_into() {
    let text = "checks: # run all\n  - cargo test\n  # strict\n  - cargo clippy\nother: 1\n";
    assert_eq!(set(text, "checks", json!(["make"])), "checks: [make] # run all\nother: 1\n");
    assert_eq!(set(text, "checks.1", json!("make lint")), text.replace("cargo clippy", "make lint"));
    assert_eq!(set("a: [x, y] # c\n", "a", json!([])), "a: [] # c\n");
    assert_eq!(set("a:\n- x\n- y\n", "a", json!(3)), "a: 3\n");
    assert_eq!(set("a: |\n  old\n  text\nb: 1\n", "a", json!("new")), "a: new\nb: 1\n");
}

#[test]
fn what_cannot_take_the_change_says_where() {
    let refused = |text: &str, path: &[&str]| set_path(text, path, &json!(1)).expect_err("refused").to_string();
    assert_eq!(refused("a: 1\nb:\n  c: text\n", &["b", "c", "d"]), "line 3, column 6: expected a mapping here");
    assert_eq!(refused("a: [1]\n", &["a", "5"]), "line 1, column 4: expected an item with that index here");
    assert_eq!(refused("a: [\n", &["a"]), "line 1, column 4: unclosed bracket '['");
    assert_eq!(refused("a: 1\na: 2\n", &["a"]), "line 2, column 1: the key `a` is already set above");
}

#[test]
fn a_value_that_others_share_is_not_changed_behind_their_back() {
    let shared = "a: &x 1\nb: *x\n";
    assert_eq!(set_path(shared, &["a"], &json!(2)), Err(EditError::Unverified));
    assert_eq!(set(shared, "b", json!(2)), "a: &x 1\nb: 2\n");
    assert!(set_path("base: &x {k: 1}\nb: *x\n", &["b", "k"], &json!(2)).is_err());
}

#[test]
fn a_way_of_writing_that_is_not_understood_is_refused_and_not_guessed() {
    assert_eq!(set_path("? a\n: 1\n? c\n: 2\n", &["d"], &json!(2)), Err(EditError::Unverified));
    assert_eq!(set("? a\n: 1\n", "a", json!(2)), "? a\n: 2\n");
}

/// Generates values with one spelling: texts, small integers, lists, mappings.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z ]{0,8}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "( {0,3}[a-z#:-]{0,6}\n){1,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-f]", inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn set_in(model: &mut Value, path: &[&str], value: &Value) {
    let Some((key, rest)) = path.split_first() else {
        *model = value.clone();
        return;
    };
    if model.is_null() {
        *model = json!({});
    }
    set_in(model.as_object_mut().expect("a mapping").entry(*key).or_insert(Value::Null), rest, value);
}

fn takes_path(model: &Value, path: &[&str]) -> bool {
    match (path.split_first(), model) {
        (None, _) | (_, Value::Null) => true,
        (Some((key, rest)), Value::Object(pairs)) => pairs.get(*key).is_none_or(|value| takes_path(value, rest)),
        (Some(_), Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => false,
    }
}

/// Appends items to the list of tasks at the end of a text, without parsing it.
fn appended(text: &str, items: &[Value]) -> Option<String> {
    let (tree, _) = Tree::parse(text).ok()?;
    Some(format!("{text}{}", Tail::find(text, &tree, "tasks")?.lines(items)?))
}

#[test]
fn lines_at_the_end_are_those_that_would_be_inserted_there() {
    let new = [json!({"id": 7, "title": "a: b", "body": "two\nlines\n"}), json!({"id": 8, "title": "- c"})];
    for text in [
        "tasks:\n  - title: a\n",
        "tasks:\n- a\n- title: b\n  body: |\n    x\n\n    y\n",
        "# mine\nother: 1\ntasks: # all\n    -   id: 1\n        body:\n",
        "- a\n-\n",
        "tasks:\r\n  - a\r\n",
        "tasks:\n  - a\n    # deeper\n",
        "tasks:\n  - body: |+\n      kept\n",
        "tasks:\n  - a\n    b\n  - [x,\n    y]\n",
    ] {
        let (tree, _) = Tree::parse(text).expect("valid");
        let inserted = edit(text, &tree, |editor| editor.append("tasks", new.to_vec())).expect("can be appended");
        assert_eq!(appended(text, &new), Some(inserted.text), "{text}");
    }
}

#[test]
fn a_text_that_ends_otherwise_has_to_be_read() {
    for text in [
        "",
        "tasks: []\n",
        "tasks:\n",
        "tasks: [a]\n",
        "tasks:\n  - a",
        "tasks:\n  - a\n\n",
        "tasks:\n  - a\n# the end\n",
        "tasks:\n  - a\nother: 1\n",
        "tasks:\n  - a\n...\n",
        "x: &l\n  - a\ntasks: *l\n",
        "{tasks: [a]}\n",
    ] {
        assert_eq!(appended(text, &[json!("b")]), None, "{text}");
    }
}

proptest! {
    /// Checked with another YAML reader here, too.
    #[test]
    fn what_is_appended_unread_reads_back(
        before in "(tasks:\n)?( {0,2}-[a-c:|>&*!#'\" -]{0,6}\n {0,4}[a-c:|>#'\" -]{0,6}\n{0,2}){0,3}",
        items in prop::collection::vec(values(), 1..3),
    ) {
        if let Ok(mut model) = read::<Value>(&before)
            && let Some(after) = appended(&before, &items)
        {
            let list = if model.is_array() { &mut model } else { &mut model["tasks"] };
            list.as_array_mut().expect("a list").extend(items);
            prop_assert_eq!(read::<Value>(&after).expect("valid"), model, "{}", after);
        }
    }

    /// Checked with another YAML reader than the one that verifies the change.
    #[test]
    fn any_value_at_any_path_reads_back(first in values(), second in values(), crlf: bool) {
        let mut model = json!({});
        let mut text = String::from(if crlf { "# c\r\n" } else { "# c\n" });
        for (path, value) in [(["a", "b"].as_slice(), &first), (&["a", "c", "d"], &second), (&["a", "b"], &second), (&["e"], &first)] {
            if takes_path(&model, path) {
                text = set_path(&text, path, value).expect("can be set");
                set_in(&mut model, path, value);
                prop_assert_eq!(read::<Value>(&text).expect("valid"), model.clone(), "{}", text);
            }
        }
        prop_assert!(text.starts_with("# c"));
    }

    #[test]
    fn no_text_makes_the_editor_panic_or_lie(text in "[a-c:\\-\\[\\]{}|>&*!#'\" \n,?~]{0,40}", value in "[a-c: \n]{0,6}") {
        if let Ok(before) = read::<Value>(&text)
            && let Ok(after) = set_path(&text, &["a"], &json!(value))
        {
            let mut model = before;
            set_in(&mut model, &["a"], &json!(value));
            prop_assert_eq!(read::<Value>(&after).expect("valid"), model);
        }
    }
}
