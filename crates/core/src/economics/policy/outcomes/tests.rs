//! What is read, and what is said of what cannot be read.

use super::*;

const HEADER: &str = "task_id,model,resolved,cost_usd,api_calls\n";

fn said(body: &str) -> String {
    said_of(format!("{HEADER}{body}").as_bytes())
}

fn said_of(bytes: &[u8]) -> String {
    parse_outcomes(bytes).expect_err("bad input").to_string()
}

#[test]
fn rows_in_any_order_make_the_same_table() {
    let rows = ["a__1,x,1,0.5,3\n", "a__1,y,0,1.25,9\n", "b,x,0,0,1\n", "b,y,1,2,4\n"];
    let forward = parse_outcomes(format!("{HEADER}{}", rows.concat()).as_bytes()).expect("a table");
    let backward: String = rows.iter().rev().copied().collect();
    let backward = parse_outcomes(format!("\u{feff}{HEADER}{backward}").replace('\n', "\r\n").as_bytes());
    assert_eq!(Ok(&forward), backward.as_ref());
    assert_eq!(forward.models, ["x", "y"]);
    assert_eq!([&*forward.tasks[0].group, &*forward.tasks[1].group], ["a", "all"]);
    assert_eq!(forward.tasks[0].cells[1], Cell { resolved: false, cost: Usd::from_micros(1_250_000), calls: 9 });
}

#[test]
fn the_row_of_a_fault_is_the_line_in_the_file_whatever_ends_the_lines() {
    let file = format!("{HEADER}a,x,1,0.5,3\n\nb,x,1,0.5,3\n\n\nc,x,yes,0.5,3\nd,x,1,1,1\n");
    let quoted = format!("{HEADER}a,\"x\ny\",1,0.5,3\nb,x,yes,0.5,3\n");
    for end in ["\n", "\r\n", "\r"] {
        assert!(said_of(file.replace('\n', end).as_bytes()).starts_with("row 7, column resolved"), "{end:?}");
        assert!(said_of(quoted.replace('\n', end).as_bytes()).starts_with("row 4, column resolved"), "{end:?}");
    }
    assert!(said_of(format!("\u{feff}{file}").replace('\n', "\r\n").as_bytes()).starts_with("row 7, column resolved"));
}

#[test]
fn every_fault_is_told_with_row_and_column() {
    for (body, expected) in [
        ("a,x,1,0.5\n", "row 2, column api_calls: the row has 4 cells, expected 5"),
        ("a,x,1,0.5,3,7\n", "row 2, column api_calls: the row has 6 cells, expected 5"),
        ("a,x,1,0.5,3\n,x,1,0.5,3\n", "row 3, column task_id: the cell is empty"),
        ("a,,1,0.5,3\n", "row 2, column model: the cell is empty"),
        ("a,x,yes,0.5,3\n", "row 2, column resolved: `yes` is neither 0 nor 1"),
        ("a,x,1,NaN,3\n", "row 2, column cost_usd: `NaN` is no cost: expected 0 to 1000000 dollars"),
        ("a,x,1,-0.1,3\n", "row 2, column cost_usd: `-0.1` is no cost: expected 0 to 1000000 dollars"),
        ("a,x,1,inf,3\n", "row 2, column cost_usd: `inf` is no cost: expected 0 to 1000000 dollars"),
        ("a,x,1,,3\n", "row 2, column cost_usd: the cell is empty"),
        ("a,x,1,$1,3\n", "row 2, column cost_usd: `$1` is not a number of dollars"),
        ("a,x,1,1,-3\n", "row 2, column api_calls: `-3` is not a number of calls"),
        ("a,x,1,1,99999999999\n", "row 2, column api_calls: `99999999999` is not a number of calls"),
        (
            "a,x,1,1,3\nb,x,1,1,3\na,x,0,1,3\n",
            "row 4, column model: task `a` already has a row for model `x`, in row 2",
        ),
        (
            "a,x,1,1,3\nb,y,1,1,3\n",
            "model `y` has no row for task `a` (2 rows are missing in all); every model needs one row for every task",
        ),
        (
            "",
            "there is no row of data; expected the header task_id,model,resolved,cost_usd,api_calls and a row for each task and model",
        ),
    ] {
        assert_eq!(said(body), expected);
    }
}

#[test]
fn other_files_are_told_from_outcomes() {
    assert!(said_of(b"").starts_with("there is no row of data"));
    assert_eq!(
        said_of(b"task,model\na,b\n"),
        "row 1: the header is `task,model`, expected `task_id,model,resolved,cost_usd,api_calls`"
    );
    let binary = [HEADER.as_bytes(), b"a,x\xff,1,1,1\n"].concat();
    assert_eq!(said_of(&binary), "row 2, column model: the text is not UTF-8");
    assert!(said_of(&vec![b'a'; MAX_BYTES + 1]).ends_with("that are read"));
    let many: String = (0..1001).map(|at| format!("t{at},m{at},1,1,1\n")).collect();
    assert_eq!(said(&many), "1001 tasks of 1001 models are more than 1000000 cells");
}
