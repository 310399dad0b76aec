//! Tests the torture table in `docs/reference/torture.md`: a run of some rows writes their lines and no others.

#[path = "../../benches/torture/page.rs"]
mod page;

use page::{Entry, renewed};

const PAGE: &str = "before\n<!-- table: begin, written by `make torture` -->\nold head\n\n| row | fault | form |\n|---|---|---|\n\
    | R1 | kill | quick |\n| R2 | kill of one | quick |\n| R2 | kill of all | quick |\n| R9 | gone from the code | full |\n\
    <!-- table: end -->\nafter\n";

fn entry(id: &'static str, fault: &'static str, line: Option<&str>) -> Entry<'static> {
    let untried = format!("| {id} | {fault} | – |");
    Entry { id, fault, line: line.map(str::to_owned), untried }
}

#[test]
fn a_run_of_one_row_leaves_the_lines_of_the_others() {
    let rows = [
        entry("R1", "kill", None),
        entry("R2", "kill of one", None),
        entry("R2", "kill of all", Some("| R2 | kill of all | full |")),
        entry("R3", "new and not run yet", None),
        entry("R4", "new", Some("| R4 | new | quick |")),
    ];
    let text = renewed(PAGE, "new head\n", &rows).expect("a page with a table");
    let expected = "before\n<!-- table: begin, written by `make torture` -->\nnew head\n| R1 | kill | quick |\n\
        | R2 | kill of one | quick |\n| R2 | kill of all | full |\n| R3 | new and not run yet | – |\n| R4 | new | quick |\n<!-- table: end -->\nafter\n";
    assert_eq!(text, expected);
    assert_eq!(renewed(&text, "new head\n", &rows).as_deref(), Some(expected), "once more changes nothing");
}

#[test]
fn a_page_without_a_place_for_the_table_is_left_alone() {
    assert_eq!(renewed("no table here", "head\n", &[entry("R1", "kill", Some("| R1 | kill | full |"))]), None);
}

#[test]
fn every_line_of_the_published_table_says_its_test_and_its_form() {
    let page = include_str!("../../docs/reference/torture.md");
    let (_, table) = page.split_once("<!-- table: begin").expect("a table");
    let (table, _) = table.split_once("<!-- table: end").expect("its end");
    let lines: Vec<&str> = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| row ")).collect();
    assert!(lines.len() > 35, "the table has its lines: {lines:?}");
    let rows = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/torture/rows");
    for line in lines {
        let mut cells = line.split(" | ").skip(2);
        let test = cells.next().unwrap_or_default().trim_matches('`');
        assert!(rows.join(test).is_file(), "{line}");
        assert!(matches!(cells.next(), Some("quick" | "full" | "–")), "{line}");
    }
}
