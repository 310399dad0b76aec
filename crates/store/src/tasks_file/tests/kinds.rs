//! The ways in which people write the file. Each gets an id and a status for its first task, and a new task.

use super::*;

/// What is appended, as it looks in a block list whose dash stands at the margin `m`.
fn appended(margin: &str, line_end: &str) -> String {
    ["- id: 9", "  title: New", "  labels: [agent:claude]", "  body: |", "    one", "", "    two: 2"]
        .map(|line| if line.is_empty() { line_end.to_owned() } else { format!("{margin}{line}{line_end}") })
        .concat()
}

const FLOW: &str = "{id: 9, title: New, labels: [agent:claude], body: \"one\\n\\ntwo: 2\\n\"}";

/// Name, the file, and the file after the edits; `@` stands for the new task in a block list indented by two,
/// `%` for the same without indentation, `$` for it in braces.
const KINDS: [(&str, &str, &str); 32] = [
    (
        "comments everywhere",
        "# top\n\ntasks:   # list\n  # before\n  - title: one # c1\n    # inner\n    status: new # c2\n    # after\n  # last\n# end\n",
        "# top\n\ntasks:   # list\n  # before\n  - title: one # c1\n    id: 1\n    # inner\n    status: done # c2\n    # after\n@  # last\n# end\n",
    ),
    (
        "block scalars",
        "tasks:\n  - title: a\n    body: |\n      x\n      # text\n    note: >-\n      folded\n      on\n",
        "tasks:\n  - title: a\n    id: 1\n    status: done\n    body: |\n      x\n      # text\n    note: >-\n      folded\n      on\n@",
    ),
    (
        "a block scalar that keeps its last lines",
        "tasks:\n  - title: a\n    body: |+\n      x\n\n\nversion: 1\n",
        "tasks:\n  - title: a\n    id: 1\n    status: done\n    body: |+\n      x\n\n\n@version: 1\n",
    ),
    (
        "anchors and aliases",
        "base: &b\n  dir: /x\ntasks:\n  - <<: *b\n    title: &t a\n  - title: *t\n",
        "base: &b\n  dir: /x\ntasks:\n  - <<: *b\n    title: &t a\n    id: 1\n    status: done\n  - title: *t\n@",
    ),
    (
        "a key with a tag",
        "tasks:\n  - title: a\n    !tag \"status\": new\n",
        "tasks:\n  - title: a\n    id: 1\n    !tag \"status\": done\n@",
    ),
    (
        "a key by its alias",
        "word: &w status\ntasks:\n  - title: a\n    *w : new\n",
        "word: &w status\ntasks:\n  - title: a\n    id: 1\n    *w : done\n@",
    ),
    (
        "windows line ends",
        "tasks:\r\n  - title: a\r\n    status: new\r\n",
        "tasks:\r\n  - title: a\r\n    id: 1\r\n    status: done\r\n@",
    ),
    (
        "unicode",
        "tasks:\n  - title: Grüße 🎉 שלום\n",
        "tasks:\n  - title: Grüße 🎉 שלום\n    id: 1\n    status: done\n@",
    ),
    ("no final line end", "tasks:\n  - title: a", "tasks:\n  - title: a\n    id: 1\n    status: done\n@"),
    ("flow items", "tasks:\n  - {title: a, status: new} # c\n", "tasks:\n  - {title: a, id: 1, status: done} # c\n@"),
    (
        "quoted values",
        "tasks:\n  - title: \"a: b\"\n    status: 'new'\n",
        "tasks:\n  - title: \"a: b\"\n    id: 1\n    status: 'done'\n@",
    ),
    ("no indentation", "tasks:\n- title: a\n  status: new\n", "tasks:\n- title: a\n  id: 1\n  status: done\n%"),
    (
        "keys after tasks",
        "tasks:\n  - title: a\nversion: 2\n",
        "tasks:\n  - title: a\n    id: 1\n    status: done\n@version: 2\n",
    ),
    (
        "document marks",
        "---\ntasks:\n  - title: a\n...\n",
        "---\ntasks:\n  - title: a\n    id: 1\n    status: done\n@...\n",
    ),
    (
        "a directive",
        "%YAML 1.2\n---\ntasks:\n  - title: a\n",
        "%YAML 1.2\n---\ntasks:\n  - title: a\n    id: 1\n    status: done\n@",
    ),
    (
        "a byte order mark",
        "\u{feff}tasks:\n  - title: a\n",
        "\u{feff}tasks:\n  - title: a\n    id: 1\n    status: done\n@",
    ),
    (
        "an empty status",
        "tasks:\n  - title: a\n    status:\n    dir: /x\n",
        "tasks:\n  - title: a\n    id: 1\n    status: done\n    dir: /x\n@",
    ),
    (
        "an empty status with a comment",
        "tasks:\n  - title: a\n    status:   # later\n",
        "tasks:\n  - title: a\n    id: 1\n    status: done   # later\n@",
    ),
    (
        "quoted keys",
        "\"tasks\":\n  - \"title\": a\n    'status': new\n",
        "\"tasks\":\n  - \"title\": a\n    id: 1\n    'status': done\n@",
    ),
    (
        "the dash on its own line",
        "tasks:\n  -\n    title: a\n",
        "tasks:\n  -\n    title: a\n    id: 1\n    status: done\n@",
    ),
    (
        "tabs",
        "tasks:\n  - title:\ta\t\n    status:\tnew\t# tab\n",
        "tasks:\n  - title:\ta\t\n    id: 1\n    status:\tdone\t# tab\n@",
    ),
    (
        "a dangling comment",
        "tasks:\n  - title: a\n    # deeper\n\n# end\n",
        "tasks:\n  - title: a\n    id: 1\n    status: done\n    # deeper\n@\n# end\n",
    ),
    ("nothing", "", "tasks:\n@"),
    ("only comments", "# a\n# b\n", "# a\n# b\ntasks:\n@"),
    ("an empty list", "tasks: [] # none\nversion: 1\n", "tasks: # none\n@version: 1\n"),
    ("no list", "tasks: # c\n  # - title: example\nversion: 1\n", "tasks: # c\n  # - title: example\n@version: 1\n"),
    (
        "everything on one line",
        "{tasks: [{title: a, status: new}]}\n",
        "{tasks: [{title: a, id: 1, status: done}, $]}\n",
    ),
    (
        "json",
        "{\"tasks\": [\n  {\"title\": \"a\"}\n]}",
        "{\"tasks\": [\n  {\"title\": \"a\", id: 1, status: done},\n  $\n]}",
    ),
    (
        "a bare title",
        "tasks:\n  - Write it # soon\n  - b\n",
        "tasks:\n  - title: Write it # soon\n    id: 1\n    status: done\n  - b\n@",
    ),
    (
        "a bare title over two lines",
        "tasks:\n  - Write\n    it\n",
        "tasks:\n  - title: Write it\n    id: 1\n    status: done\n@",
    ),
    ("a list without a key", "- title: a\n  x: 1\n", "- title: a\n  id: 1\n  status: done\n  x: 1\n%"),
    ("a null document", "--- ~ # none\n", "--- # none\ntasks:\n@"),
];

#[test]
fn every_way_of_writing_keeps_its_bytes() {
    for (name, before, after) in KINDS {
        let doc = parse(before);
        let new = NewEntry {
            id: TaskId(9),
            spec: Spec {
                title: "New".into(),
                body: "one\n\ntwo: 2\n".into(),
                labels: vec!["agent:claude".into()],
                ..Spec::default()
            },
            status: None,
        };
        let mut edits = vec![Edit::Append(Box::new(new))];
        if !doc.entries().is_empty() {
            edits.push(Edit::FillId { index: 0, id: TaskId(1) });
            edits.push(Edit::Set { at: At::Index(0), key: "status", value: "done".into() });
        }
        let (edited, refused) = doc.apply(&edits, &nothing).expect("still valid");
        assert_eq!(refused, [], "{name}");
        let line_end = if before.contains("\r\n") { "\r\n" } else { "\n" };
        let mut expected =
            after.replace('@', &appended("  ", line_end)).replace('%', &appended("", line_end)).replace('$', FLOW);
        if name == "a directive" {
            expected = expected.replacen(&appended("", line_end), "%", 1);
        }
        if !before.ends_with('\n') && !before.is_empty() && name != "json" {
            expected.truncate(expected.len() - line_end.len());
        }
        assert_eq!(edited.text(), expected, "{name}");
        let task = edited.entry(TaskId(9)).expect("appended");
        assert_eq!(task.spec.body, "one\n\ntwo: 2\n", "{name}");
        assert_eq!(edited.entries().len(), doc.entries().len() + 1, "{name}");
        if !doc.entries().is_empty() {
            let first = &edited.entries()[0];
            assert_eq!((first.id, first.status), (Some(TaskId(1)), Some(Status::Done)), "{name}");
            assert_eq!(first.spec, doc.entries()[0].spec, "{name}");
        }
    }
}

#[test]
fn hostile_texts_are_carried_as_they_are() {
    let long = "x".repeat(10_000);
    let texts = [
        long.as_str(),
        "two\nlines",
        "\"double\" 'single' `back`",
        "$(rm -rf /) #{pane} %{x} ${HOME}",
        "🎉 emoji 👩‍👩‍👧",
        "שלום مرحبا",
        "\u{202e}turned around\u{202c}",
        "nul \0 bell \x07 escape \x1b[31m del \x7f",
        "\u{feff}mark \u{2028} line \u{85} next",
        "- dash",
        "? question",
        ": colon",
        "trailing   ",
        "   leading",
        "\ttab",
        "a\r\nb\rc",
        "--- \n...",
        "# no comment",
        "{{ jinja }} [x](y)",
        "no",
        "~",
        "12",
        "key: value",
        "*alias &anchor !tag |block >folded",
        "\\n is no line feed",
        "\n\nleading feeds",
        "trailing feeds\n\n\n",
        "  indented\nfirst line\n",
        "blank\n   \nlines \n",
    ];
    for (place, text) in [("- title: a\n", "block"), ("{tasks: [{title: a}]}", "flow"), ("- a\r\n", "crlf")]
        .into_iter()
        .flat_map(|(doc, _)| texts.map(|text| (doc, text)))
    {
        let spec =
            Spec { title: format!("t{text}"), body: text.to_owned(), labels: vec![text.to_owned()], ..Spec::default() };
        let edits = [
            Edit::Append(Box::new(NewEntry { id: TaskId(9), spec: spec.clone(), status: None })),
            Edit::Set { at: At::Index(0), key: "summary", value: text.into() },
        ];
        let (doc, refused) = parse(place).apply(&edits, &nothing).expect("still valid");
        assert_eq!(refused, [], "{text:?}");
        assert_eq!(doc.entry(TaskId(9)).expect("appended").spec, spec, "{}", doc.text());
        assert_eq!(doc.entries()[0].summary.as_deref(), Some(text), "{}", doc.text());
        let raw = doc.text();
        assert!(!raw.contains(['\0', '\x07', '\x1b', '\u{202e}', '\u{2028}']), "{raw:?}");
    }
}
