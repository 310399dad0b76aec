//! `orch gc`: removing worktrees of finished tasks whose work is elsewhere too, and telling why the others stay.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::text::line;
use orch_api::endpoint;
use orch_api::gc::{Action, CleanUp, GcReport, ItemView};

/// Arguments of `orch gc`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tell what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Cleans up.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    let request = endpoint::Gc { body: CleanUp { dry_run: args.dry_run } };
    let report = context.ui.wait("looking through worktrees", link.call(&request)).await?;
    if context.ui.is_json() {
        context.ui.json(&report)?;
    } else {
        context.ui.data(&render(&report))?;
    }
    link.close().await?;
    let is_settled = report.leftovers.iter().all(|left| left.settled);
    Ok(if is_settled { Exit::Done } else { Exit::Failed })
}

fn render(report: &GcReport) -> String {
    let mut text = String::new();
    for left in &report.leftovers {
        text.push_str(&format!("{}  {}\n", line(&left.path.to_string_lossy()), line(&left.detail)));
    }
    for item in &report.worktrees {
        text.push_str(&one(item));
    }
    let count = |action| report.worktrees.iter().filter(|item| item.action == action).count();
    let kept = count(Action::Kept);
    let done = if report.dry_run {
        format!("{} worktrees would go, {kept} stay", count(Action::WouldRemove))
    } else {
        format!("{} worktrees are gone, {kept} stay", count(Action::Removed))
    };
    let freed = if report.dry_run { "would be free" } else { "are free" };
    text.push_str(&format!("{done}; {} {freed}\n", size(report.freed_bytes)));
    text
}

fn one(item: &ItemView) -> String {
    let what = match item.action {
        Action::Removed => "gone",
        Action::WouldRemove => "would go",
        Action::Kept => "stays",
    };
    let branch = if item.branch_deleted { ", and its branch, which is merged" } else { "" };
    let bytes = if item.bytes > 0 { format!(" ({})", size(item.bytes)) } else { String::new() };
    format!("{what}  {}{bytes}: {}{branch}\n", line(&item.path.to_string_lossy()), line(&item.detail))
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _large => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::base::ids::TaskId;
    use orch_core::operations::gc::Reason;

    #[test]
    fn a_report_reads_like_this() {
        let item = |action, reason, detail: &str, bytes| ItemView {
            task: Some(TaskId(7)),
            path: "/w/shop/orch/7-x".into(),
            branch: "orch/7-x".to_owned(),
            bytes,
            action,
            branch_deleted: false,
            reason,
            detail: detail.to_owned(),
        };
        let worktrees = vec![
            item(Action::WouldRemove, None, "nothing in it that is not elsewhere too", 2_500_000),
            item(Action::Kept, Some(Reason::Changed), "no commit has a\u{1b}", 0),
        ];
        let report = GcReport { dry_run: true, freed_bytes: 2_500_000, worktrees, leftovers: Vec::new() };
        assert_eq!(
            render(&report),
            "would go  /w/shop/orch/7-x (2 MB): nothing in it that is not elsewhere too\n\
             stays  /w/shop/orch/7-x: no commit has a\\u{1b}\n\
             1 worktrees would go, 1 stay; 2 MB would be free\n"
        );
        assert_eq!([size(0), size(1), size(1_250_000_000)], ["0 kB", "1 kB", "1.2 GB"]);
    }
}
