//! `orch task tree`: prints tasks with their subtasks, as a tree.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::paint::{Paint, role_of};
use crate::cli::ui::text;
use orch_api::endpoint;
use orch_api::types::TaskView;
use orch_core::base::ids::TaskId;
use orch_core::tasks::task::Status;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The longest title, in columns.
const TITLE: usize = 70;
/// The longest reason, in columns.
const WHY: usize = 80;

/// Arguments of `orch task tree`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task at the root; by default, every task that is open or has an open subtask
    #[arg(value_name = "ID")]
    id: Option<TaskId>,
    /// Include trees in which all tasks have ended
    #[arg(long, conflicts_with = "id")]
    all: bool,
}

/// A task with its subtasks.
#[derive(Debug, Serialize)]
struct Node<'a> {
    id: TaskId,
    title: &'a str,
    status: Status,
    agent: Option<&'a str>,
    depends_on: &'a [TaskId],
    /// The question to a person, or why it waits.
    why: Option<&'a str>,
    children: Vec<Node<'a>>,
}

/// Prints the trees.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let tasks = context.fetch(&endpoint::TaskList).await?;
    let forest = Forest::new(&tasks);
    let roots = match args.id {
        Some(id) => vec![forest.node(id).ok_or_else(|| CliError::NotFound {
            message: format!("there is no task {id}"),
            hint: Some("`orch task list` shows all tasks".to_owned()),
        })?],
        None => forest.roots(args.all),
    };
    if context.ui.is_json() {
        match (args.id, roots.first()) {
            (Some(_), Some(root)) => context.ui.json(root)?,
            (_, _) => context.ui.json(&roots)?,
        }
    } else {
        context.ui.data(&roots.iter().map(|root| render(root, context.ui.paint())).collect::<String>())?;
        if roots.is_empty() {
            context.ui.note("no task is open; orch task tree --all shows those that are over");
        }
    }
    Ok(Exit::Done)
}

/// All tasks by id.
struct Forest<'a> {
    tasks: BTreeMap<TaskId, &'a TaskView>,
}

impl<'a> Forest<'a> {
    fn new(tasks: &'a [TaskView]) -> Self {
        Self { tasks: tasks.iter().map(|task| (task.id, task)).collect() }
    }

    fn roots(&self, all: bool) -> Vec<Node<'a>> {
        let is_root = |task: &&&TaskView| task.parent.is_none_or(|parent| !self.tasks.contains_key(&parent));
        let roots = self.tasks.values().filter(is_root).filter_map(|task| self.node(task.id));
        roots.filter(|root| all || is_open(root)).collect()
    }

    fn node(&self, id: TaskId) -> Option<Node<'a>> {
        self.grown(id, &mut BTreeSet::new())
    }

    /// Shows a task only once, even in a cycle of parents.
    fn grown(&self, id: TaskId, seen: &mut BTreeSet<TaskId>) -> Option<Node<'a>> {
        let task = *self.tasks.get(&id)?;
        if !seen.insert(id) {
            return None;
        }
        Some(Node {
            id,
            title: &task.title,
            status: task.status,
            agent: task.route.as_ref().map(|route| route.agent.as_str()),
            depends_on: &task.depends_on,
            why: task.question.as_deref().or(task.hold.as_ref().map(|hold| hold.detail.as_str())),
            children: task.children.iter().filter_map(|child| self.grown(*child, seen)).collect(),
        })
    }
}

fn is_open(node: &Node<'_>) -> bool {
    !node.status.is_final() || node.children.iter().any(is_open)
}

fn render(root: &Node<'_>, paint: Paint) -> String {
    let mut lines = Vec::new();
    draw(root, "", "", paint, &mut lines);
    lines.concat()
}

/// `own` is the prefix of the task's line, `below` of its subtasks' lines.
fn draw(node: &Node<'_>, own: &str, below: &str, paint: Paint, lines: &mut Vec<String>) {
    let status = paint.text(role_of(node.status), node.status.as_str());
    let after = match node.depends_on {
        [] => String::new(),
        ids => format!(" (after {})", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let first = |why: &str| why.lines().next().unwrap_or_default().to_owned();
    let why = node.why.map(|why| format!(" · {}", text::fit(&first(why), WHY))).unwrap_or_default();
    lines.push(format!("{own}{} {status}  {}{after}{why}\n", node.id, text::fit(node.title, TITLE)));
    for (at, child) in node.children.iter().enumerate() {
        let is_last = at + 1 == node.children.len();
        let (branch, space) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        draw(child, &format!("{below}{branch}"), &format!("{below}{space}"), paint, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::task;

    fn view(id: u64, status: Status, children: &[u64]) -> TaskView {
        TaskView {
            id: TaskId(id),
            title: format!("Task {id}\u{1b}[2J"),
            status,
            question: None,
            hold: None,
            depends_on: Vec::new(),
            parent: None,
            children: children.iter().map(|id| TaskId(*id)).collect(),
            ..task()
        }
    }

    #[test]
    fn a_tree_reads_like_this() {
        let mut last = view(5, Status::NeedsReview, &[]);
        (last.question, last.depends_on) = (Some("Which?\nOr that?".to_owned()), vec![TaskId(4)]);
        let tasks = [
            view(3, Status::Blocked, &[4, 5]),
            TaskView { parent: Some(TaskId(3)), ..view(4, Status::InProgress, &[6]) },
            TaskView { parent: Some(TaskId(3)), ..last },
            TaskView { parent: Some(TaskId(4)), ..view(6, Status::Done, &[]) },
            view(7, Status::Done, &[]),
        ];
        let forest = Forest::new(&tasks);
        let drawn: String = forest.roots(false).iter().map(|root| render(root, Paint { on: false })).collect();
        let title = |id: u64| format!("Task {id}\\u{{1b}}[2J");
        assert_eq!(
            drawn,
            format!(
                "3 blocked  {}\n├─ 4 in_progress  {}\n│  └─ 6 done  {}\n└─ 5 needs_review  {} (after 4) · Which?\n",
                title(3),
                title(4),
                title(6),
                title(5)
            )
        );
        assert_eq!(forest.roots(true).len(), 2);
        assert!(forest.node(TaskId(9)).is_none());
    }

    #[test]
    fn a_circle_of_parts_is_drawn_once() {
        let tasks = [view(1, Status::New, &[2]), view(2, Status::New, &[1])];
        let drawn = render(&Forest::new(&tasks).node(TaskId(1)).expect("a tree"), Paint { on: false });
        assert_eq!(drawn.lines().count(), 2, "{drawn}");
    }
}
