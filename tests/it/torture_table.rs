//! The torture table in `docs/reliability.md`: a run of some rows writes their lines and no others.

#[path = "../../benches/torture/page.rs"]
mod page;

use page::{Entry, renewed};

const PAGE: &str = "before\n<!-- table: begin, written by `make torture` -->\nold head\n\n| row | fault | form |\n|---|---|---|\n\
    | R1 | kill | quick |\n| R2 | kill of one | quick |\n| R2 | kill of all | quick |\n| R9 | gone from the code | full |\n\
    <!-- table: end -->\nafter\n";

fn entry(id: &'static str, fault: &'static str, line: Option<&str>) -> Entry<'static> {
    Entry { id, fault, line: line.map(str::to_owned) }
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
        | R2 | kill of one | quick |\n| R2 | kill of all | full |\n| R4 | new | quick |\n<!-- table: end -->\nafter\n";
    assert_eq!(text, expected);
    assert_eq!(renewed(&text, "new head\n", &rows).as_deref(), Some(expected), "once more changes nothing");
}

#[test]
fn a_page_without_a_place_for_the_table_is_left_alone() {
    assert_eq!(renewed("no table here", "head\n", &[entry("R1", "kill", Some("| R1 | kill | full |"))]), None);
}

#[test]
fn every_line_of_the_published_table_says_its_form() {
    let page = include_str!("../../docs/reliability.md");
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("| R")).collect();
    assert!(lines.len() > 20, "the table has its lines: {lines:?}");
    for line in lines {
        let form = line.split(" | ").nth(2);
        assert!(matches!(form, Some("quick" | "full" | "–")), "{line}");
    }
}
