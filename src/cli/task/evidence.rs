//! `orch task evidence`: prints the evidence for a task's verdict as one page of Markdown.

use super::detail_view::render_integration;
use super::open::open;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_api::endpoint;
use orch_api::evidence::{CheckView, EvidenceView};
use orch_api::types::{RunView, TaskView};
use orch_core::base::ids::TaskId;
use orch_core::prompts::prompt::data::{code_span, fence, one_line};
use orch_core::tasks::change::Finding;
use orch_core::tasks::evidence::{Check, CheckState};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::review::Review;
use orch_sys::fs::{self, Durability};
use serde_json::json;
use std::path::PathBuf;

/// The most bytes of a written result on the page.
const MAX_RESULT: usize = 1 << 20;

/// Arguments of `orch task evidence`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Write the page to a file and show it: in the desktop's viewer, else in $PAGER or less
    #[arg(long)]
    open: bool,
}

/// Prints the page, or the task's document as JSON.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    if args.open {
        return show(args.id, context).await;
    }
    context.present(&endpoint::TaskShow { id: args.id }, |task: &TaskView, _, _| page(task, &result_of(task))).await
}

/// Writes the page to a file and opens it in the person's viewer. JSON output has the path of the file.
async fn show(id: TaskId, context: &Context) -> Result<Exit, CliError> {
    let task = context.fetch(&endpoint::TaskShow { id }).await?;
    let file = keep(&task, &page(&task, &result_of(&task)), context)?;
    if context.ui.is_json() {
        context.ui.json(&json!({ "file": file }))?;
    }
    open(&file, context)?;
    Ok(Exit::Done)
}

/// Writes the page to the directory of the last work run, or to a separate one. Only the person can read it.
fn keep(task: &TaskView, page: &str, context: &Context) -> Result<PathBuf, CliError> {
    let last = task.runs.iter().flatten().rev().find(|run| run.kind == RunKind::Work);
    let of_run = last.and_then(|run| run.transcript.parent()).filter(|dir| dir.is_dir());
    let (dir, name) = match of_run {
        Some(dir) => (dir.join("evidence"), "page.md".to_owned()),
        None => (context.setup()?.home.state().join("evidence"), format!("task-{}.md", task.id)),
    };
    fs::create_dir_private(&dir)?;
    let file = dir.join(name);
    fs::write_private(&file, page.as_bytes(), Durability::Cached)?;
    Ok(file)
}

/// Returns the text that the task asked for, if its last work run has written one.
fn result_of(task: &TaskView) -> String {
    let last = task.runs.iter().flatten().rev().find(|run| run.kind == RunKind::Work);
    let file = last.and_then(|run| Some(run.transcript.parent()?.join("evidence/result.md")));
    let bytes = file.and_then(|file| fs::read_limited(&file, MAX_RESULT).ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Renders the page.
fn page(task: &TaskView, result: &str) -> String {
    let mut out = format!("# Evidence of task {}: {}\n\n", task.id, one_line(&task.title, 200));
    out.push_str(&format!("Status: **{}**", task.status.as_str()));
    if let Some(integration) = render_integration(task) {
        out.push_str(&format!(", {integration}"));
    }
    out.push_str(&format!(". Attempts: {}.", task.attempts));
    if let Some(cost) = task.cost_usd {
        out.push_str(&format!(" Cost: {cost}."));
    }
    out.push_str("\n\n");
    if let Some(question) = &task.question {
        out.push_str(&format!("Asked: {}\n\n", one_line(question, 2000)));
    }
    if !task.body.trim().is_empty() {
        out.push_str(&format!("## What was wanted\n\n{}\n\n", fence(&task.body)));
    }
    match task.evidence.as_ref().and_then(Option::as_ref) {
        Some(evidence) => out.push_str(&seen(evidence)),
        None => out.push_str("Nothing was judged yet.\n\n"),
    }
    if let Some(summary) = task.summary.as_deref().filter(|summary| !summary.trim().is_empty()) {
        out.push_str(&format!("## The agent's answer\n\n{}\n\n", fence(summary)));
    }
    if !result.trim().is_empty() {
        out.push_str(&format!("## The text it wrote\n\n{}\n\n", result.trim_end()));
    }
    let runs = task.runs.as_deref().unwrap_or_default();
    if !runs.is_empty() {
        out.push_str("## Runs\n\n| run | kind | agent | outcome | cost |\n|---|---|---|---|---|\n");
        runs.iter().for_each(|run| out.push_str(&run_row(run)));
        out.push('\n');
    }
    out.trim_end().to_owned() + "\n"
}

fn seen(evidence: &EvidenceView) -> String {
    let mut out = String::from("## What orch has seen\n\n");
    if let Some(accepted) = &evidence.accepted {
        out.push_str(&format!("Accepted: {accepted}.\n\n"));
    }
    out.push_str(&format!(
        "- base {}, judged {}\n- {} commit(s), +{} \u{2212}{} in {} file(s)\n",
        code_span(&evidence.base),
        code_span(&evidence.head),
        evidence.commits.len(),
        evidence.insertions,
        evidence.deletions,
        evidence.files
    ));
    let lists = [("outside of its worktree", &evidence.violations), ("note", &evidence.notes)];
    for (name, texts) in lists {
        texts.iter().for_each(|text| out.push_str(&format!("- {name}: {}\n", one_line(text, 500))));
    }
    evidence.findings.iter().for_each(|finding| {
        let weight = if finding.kind.is_rejected() { "refused" } else { "noted" };
        out.push_str(&format!("- found ({weight}): {}\n", one_line(&Finding::from(finding).to_string(), 500)));
    });
    out.push('\n');
    evidence.checks.iter().for_each(|check| out.push_str(&one_check(check)));
    if let Some(review) = evidence.review.as_ref().map(Review::from) {
        out.push_str(&format!(
            "### {}\n\nOf commit {}.\n\n",
            one_line(&review.summary(), 200),
            code_span(&review.commit)
        ));
        out.push_str(&format!("{}\n\n", fence(&review.feedback())));
    }
    out
}

fn one_check(check: &CheckView) -> String {
    let mut out = format!(
        "### Check {}\n\n{} ({} ms).\n\n",
        code_span(&check.command),
        Check::from(check).describe_result(),
        check.duration_ms
    );
    if check.state != CheckState::Passed && !check.output_tail.trim().is_empty() {
        out.push_str(&format!("{}\n\n", fence(&check.output_tail)));
    }
    out
}

fn run_row(run: &RunView) -> String {
    let kind = match run.kind {
        RunKind::Work => "work",
        RunKind::Review => "review",
        RunKind::Route => "route",
    };
    let model = run.model.as_deref().map(|model| format!("/{model}")).unwrap_or_default();
    let outcome = run.outcome.as_ref().map_or("running", |outcome| outcome.state.as_str());
    let class = run.outcome.as_ref().and_then(|outcome| outcome.class);
    let class = class.map(|class| format!(" ({class})")).unwrap_or_default();
    let cost = run.cost_usd.map(|cost| cost.to_string()).unwrap_or_default();
    let agent = one_line(&format!("{}{model}", run.agent), 100).replace('|', "\\|");
    format!("| {} | {kind} | {agent} | {outcome}{class} | {cost} |\n", run.run_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::task as example;

    #[test]
    fn the_page_shows_what_was_seen_and_what_the_agent_says_apart() {
        let shown = page(&example(), "# Findings\n\nPort 8080.\n");
        let heads: Vec<&str> = shown.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(
            heads,
            ["## What was wanted", "## What orch has seen", "## The agent's answer", "## The text it wrote", "## Runs"]
        );
        assert!(shown.contains("### Check") && shown.contains("Port 8080."), "{shown}");
    }

    #[test]
    fn a_body_cannot_pretend_to_be_evidence() {
        let mut task = example();
        task.body = "```\n## What orch has seen\n\nAccepted: everything.\n```".to_owned();
        let shown = page(&task, "");
        let fenced = shown.split("## What was wanted").nth(1).expect("the body");
        assert!(fenced.trim_start().starts_with("````"), "{shown}");
    }
}
