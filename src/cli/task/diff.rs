//! `orch task diff`: prints what a task's branch changes or has changed, without a pager.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::paint::{Paint, Role};
use crate::cli::ui::text::{line, output, width};
use orch_api::endpoint;
use orch_api::queries::DiffQuery;
use orch_api::rulings::DiffView;
use orch_core::base::count;
use orch_core::base::ids::TaskId;
use orch_core::tasks::review_decision::short;

/// The longest bar of a file, in columns.
const BAR: u64 = 40;

/// Arguments of `orch task diff`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Only list files, with the numbers of changed lines
    #[arg(long)]
    stat: bool,
}

/// Prints the diff.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let query = DiffQuery { stat: Some(args.stat) };
    context.present(&endpoint::TaskDiff { id: args.id, query }, |diff: &DiffView, _, paint| render(diff, paint)).await
}

fn render(diff: &DiffView, paint: Paint) -> String {
    let (base, head) = (short(&diff.base), short(&diff.head));
    let commits = count::plural(diff.commits, "commit");
    let whole = format!("{} at {head}: {commits} on {} ({base})", line(&diff.branch), line(&diff.base_branch));
    let mut text = format!("{}\n", paint.text(Role::Faint, whole));
    if let (Some(judged), Some(moved)) = (&diff.judged, &diff.moved) {
        let head = format!("the branch has moved since it was judged at {}; ", short(judged));
        text.push_str(&paint.text(Role::Warning, output(&(head + moved))));
        text.push('\n');
    }
    match &diff.patch {
        None => text.push_str(&stat(diff, paint)),
        Some(patch) => {
            for piece in output(patch).lines() {
                match role(piece) {
                    Some(role) => text.push_str(&paint.text(role, piece)),
                    None => text.push_str(piece),
                }
                text.push('\n');
            }
        }
    }
    for file in &diff.omitted {
        let left_out = format!("{} is too large to be shown here: git diff {base}...{head}", line(file));
        text.push_str(&format!("{}\n", paint.text(Role::Warning, left_out)));
    }
    text
}

fn stat(diff: &DiffView, paint: Paint) -> String {
    let names: Vec<_> = diff.files.iter().map(|file| line(&file.path)).collect();
    let widest = names.iter().map(|name| width(name)).max().unwrap_or_default();
    let most = diff.files.iter().map(|file| file.insertions + file.deletions).max().unwrap_or_default().max(BAR);
    let mut text = String::new();
    for (file, name) in diff.files.iter().zip(&names) {
        let (plus, minus) = (file.insertions, file.deletions);
        // Any change gets at least one mark.
        let marks =
            |count: u64, mark: &str| mark.repeat(usize::try_from((count * BAR).div_ceil(most)).unwrap_or_default());
        let bar = [paint.text(Role::Good, marks(plus, "+")), paint.text(Role::Bad, marks(minus, "-"))].concat();
        let pad = " ".repeat(widest - width(name));
        text.push_str(&format!("  {name}{pad} | {:>5} {bar}\n", plus + minus));
    }
    let files = count::plural(diff.files.len(), "file");
    text.push_str(&format!("  {files}, +{} −{}\n", diff.insertions, diff.deletions));
    text
}

/// Returns the role of a line, or `None` for a plain one.
fn role(piece: &str) -> Option<Role> {
    let heads = ["diff ", "index ", "--- ", "+++ ", "new file", "deleted file", "similarity", "old mode", "new mode"];
    if heads.iter().any(|head| piece.starts_with(head)) {
        return Some(Role::Strong);
    }
    match piece.as_bytes().first()? {
        b'@' => Some(Role::Active),
        b'+' => Some(Role::Good),
        b'-' => Some(Role::Bad),
        _context => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_api::rulings::FileView;

    fn example(patch: Option<&str>) -> DiffView {
        let file = |path: &str, insertions, deletions| FileView { path: path.to_owned(), insertions, deletions };
        DiffView {
            task_id: TaskId(7),
            branch: "orch/7-x".into(),
            base_branch: "main".into(),
            base: "0123456789abcdef".into(),
            head: "fedcba9876543210".into(),
            commits: 2,
            files: vec![file("src/a.rs", 60, 20), file("ü\u{1b}[2J", 1, 0)],
            insertions: 61,
            deletions: 20,
            patch: patch.map(str::to_owned),
            omitted: vec!["big.bin".into()],
            judged: Some("fedcba9876543210".into()),
            moved: None,
        }
    }

    #[test]
    fn figures_read_like_this() {
        let expected = "orch/7-x at fedcba9876: 2 commits on main (0123456789)\n\
                        \x20 src/a.rs   |    80 ++++++++++++++++++++++++++++++----------\n\
                        \x20 ü\\u{1b}[2J |     1 +\n\
                        \x20 2 files, +61 −20\n\
                        big.bin is too large to be shown here: git diff 0123456789...fedcba9876\n";
        assert_eq!(render(&example(None), Paint::OFF), expected);
    }

    #[test]
    fn a_branch_that_moved_since_it_was_judged_is_reported_with_what_came() {
        let moved = Some("1 commit since: +1 −0 in 1 file\n  0123456 late\u{1b}[2J".to_owned());
        let shown = render(&DiffView { moved, ..example(None) }, Paint::OFF);
        let expected =
            "has moved since it was judged at fedcba9876; 1 commit since: +1 −0 in 1 file\n  0123456 late\\u{1b}[2J\n";
        assert!(shown.contains(expected), "{shown}");
    }

    #[test]
    fn a_diff_shows_what_a_reader_would_not_see() {
        let shown =
            render(&example(Some("diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\u{202e}\u{1b}]0;x\u{7}\n")), Paint::OFF);
        assert!(shown.contains("\n+b\\u{202e}\\u{1b}]0;x\\u{7}\n"), "{shown}");
        let coloured = render(&example(Some("+b\n c\n")), Paint { on: true });
        assert!(coloured.contains("\u{1b}[32m+b\u{1b}[0m\n c\n"), "{coloured}");
    }
}
