//! The tables of docs/reference/judging-results.md, which must match the tests' results. `ORCH_BLESS=1` updates them.

use super::endings::Ending;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// One played ending.
pub struct Played<'a> {
    /// The ending.
    pub ending: &'a Ending,
    /// Who made it.
    pub by: &'a str,
    /// orch's verdict; empty if accepted.
    pub said: String,
}

impl Played<'_> {
    /// Whether orch concluded what it was to conclude.
    pub fn is_as_expected(&self) -> bool {
        self.said.is_empty() == self.ending.orch.is_empty() && self.said.contains(&self.ending.orch)
    }

    fn row(&self, by: &str) -> String {
        let ending = self.ending;
        let truth = if ending.done { "yes" } else { "no" };
        let orch = match (self.said.is_empty(), ending.residue) {
            (true, false) => "accepted".to_owned(),
            (true, true) => "**accepted**".to_owned(),
            // A class is one word, a question has several.
            (false, _) if ending.orch.contains(' ') => format!("a person is asked: {}", ending.orch),
            (false, _) => format!("refused: {}", ending.orch),
        };
        format!("| {} | {by}{truth} | {} | {orch} |\n", ending.name, ending.word())
    }
}

/// What all of it amounts to.
fn sum(played: &[Played<'_>]) -> String {
    let count = |test: &dyn Fn(&&Played<'_>) -> bool| played.iter().filter(test).count();
    let done = count(&|one| one.ending.done);
    let claimed = count(&|one| !one.ending.done && one.ending.word() == "done");
    let residue = count(&|one| one.ending.residue && one.said.is_empty());
    let accepted = count(&|one| !one.ending.done && !one.ending.residue && one.said.is_empty());
    let refused = count(&|one| one.ending.done && !one.said.is_empty());
    format!(
        "| | |\n|---|---|\n| endings | {} |\n| truly done | {done} |\n| not done, and called done by the agent | {claimed} |\n\
         | not done, and accepted by orch, where a check or evidence tells | {accepted} |\n\
         | not done, and accepted by orch, where nothing tells (bold) | {residue} |\n\
         | truly done, and not accepted | {refused} |\n",
        played.len(),
    )
}

/// The table of endings that were played by one kind of agent.
pub fn of_programs(played: &[Played<'_>]) -> String {
    let rows: String = played.iter().map(|one| one.row("")).collect();
    format!("{}\n| ending | truly done | the agent's word | orch |\n|---|---|---|---|\n{rows}", sum(played))
}

/// The same with who played it.
pub fn of_clis(played: &[Played<'_>]) -> String {
    let rows: String = played.iter().map(|one| one.row(&format!("{} | ", one.by))).collect();
    format!("{}\n| ending | agent | truly done | the agent's word | orch |\n|---|---|---|---|---|\n{rows}", sum(played))
}

/// Compares a table with its place in the page, or writes it.
pub fn must_hold(name: &str, table: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/judging-results.md");
    let text = crate::kit::read_file(&page);
    let begin = format!("<!-- {name}: written by `ORCH_BLESS=1 cargo test --test it judging` -->\n");
    let (before, rest) = text.split_once(&begin).expect("a place for the table");
    let (_, after) = rest.split_once("<!-- end -->\n").expect("an end of it");
    let fresh = format!("{before}{begin}{table}<!-- end -->\n{after}");
    if orch_sys::process::env_var("ORCH_BLESS").is_some() {
        crate::kit::write_file(&page, &fresh);
    } else {
        assert!(
            text == fresh,
            "docs/reference/judging-results.md is not what orch concludes; ORCH_BLESS=1 writes it anew:\n{table}"
        );
    }
}
