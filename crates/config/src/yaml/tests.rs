//! Tests of deserialization and of its error messages.

use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Deserialize, Default, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Sample {
    count: u32,
    names: Vec<String>,
    mode: Option<Mode>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Llm,
    RoundRobin,
}

#[track_caller]
fn fault(text: &str) -> String {
    read_or_default::<Sample>(text).expect_err("must be refused").to_string()
}

#[test]
fn every_kind_of_fault_is_told_with_its_place() {
    assert_eq!(fault("count: 1\ncount: 2\n"), "line 2, column 1: the key `count` is already set above");
    assert_eq!(fault("count: x\n"), "line 1, column 8: invalid u32");
    assert_eq!(fault("mode: llmx\n"), "line 1, column 7: unknown variant `llmx`, expected one of llm, round_robin");
    assert_eq!(fault("coutn: 1\n"), "line 1, column 1: unknown field `coutn`, expected one of count, names, mode");
    assert_eq!(fault("names: 3\n"), "line 1, column 8: expected sequence start");
    assert_eq!(
        fault("count: 1\n---\ncount: 2\n"),
        "line 3, column 1: only one YAML document is expected here, a second one begins"
    );
}

#[test]
fn an_open_bracket_is_told_rather_than_the_type_it_hides() {
    assert_eq!(fault("count: [\n"), "line 1, column 8: unclosed bracket '['");
    assert_eq!(fault("count: 'x"), "line 1, column 8: unclosed quote");
    assert!(fault("names:\n\t- x\n").starts_with("line 2, column 2: tabs disallowed"));
    assert!(fault("names: *x\n").starts_with("line 1, column 8: "));
}

#[test]
fn the_snippet_points_at_the_place() {
    let error = read::<Sample>("names: []\r\nmode: été\r\n").expect_err("no such mode");
    assert_eq!(error.snippet.as_deref(), Some("2 | mode: été\n  |       ^"));
    let long = format!("mode: {}", "x".repeat(500));
    let snippet = read::<Sample>(&long).expect_err("no such mode").snippet.expect("has a place");
    assert!(snippet.lines().all(|line| line.chars().count() < 120));
}

#[test]
fn empty_documents_are_the_default() {
    for text in ["", "\n", "# only a comment\n", "---\n", "---\n...\n", "~\n", "null\n", "%YAML 1.2\n---\n"] {
        assert_eq!(read_or_default::<Sample>(text), Ok(Sample::default()), "{text:?}");
    }
}

#[test]
fn marks_line_ends_and_directives_are_no_fault() {
    let expected = Sample { count: 1, names: vec!["é".into()], mode: Some(Mode::RoundRobin) };
    for text in [
        "\u{feff}count: 1\r\nnames:\r\n- é\r\nmode: round_robin\r\n",
        "%YAML 1.2\n---\ncount: 1\nnames: [é]\nmode: round_robin\n...\n",
    ] {
        assert_eq!(read::<Sample>(text), Ok(expected.clone()), "{text:?}");
    }
}

#[test]
fn texts_that_would_exhaust_memory_are_refused() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (here, next) in ('a'..='y').zip('b'..='z') {
        bomb.push_str(&format!("{next}: &{next} [*{here},*{here},*{here},*{here},*{here},*{here},*{here},*{here}]\n"));
    }
    for text in [bomb, "[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(5_000), "x".repeat(MAX_BYTES + 1)] {
        assert!(read::<serde_json::Value>(&text).is_err());
    }
}

#[test]
fn a_spanned_value_knows_its_place() {
    let read = read::<BTreeMap<String, Spanned<u32>>>("a: 1\nb:   2\n").expect("valid");
    assert_eq!((*read["b"], read["b"].line, read["b"].column), (2, 2, 6));
    let elsewhere: Spanned<u32> = serde_json::from_str("3").expect("valid");
    assert_eq!((elsewhere.value, elsewhere.line), (3, 0));
}

#[test]
fn a_list_of_aliases_is_read_up_to_five_thousand_and_then_refused_with_its_reason() {
    let list = |count: usize| format!("tasks:\n- &a {{title: x}}\n{}", "- *a\n".repeat(count));
    assert!(Tree::parse(&list(5_000)).is_ok());
    let refused = Tree::parse(&list(5_001)).expect_err("too many");
    assert_eq!((refused.line, refused.message.contains("more than 5000 aliases")), (5_003, true), "{refused}");
}
