//! The arguments that describe a task which does not exist yet: those of `orch task add` and of `orch job add`.

use super::context::{Context, resolve};
use super::error::CliError;
use super::repository::root_around;
use orch_api::types::TaskDraft;
use orch_config::home::Home;
use orch_core::tasks::route::Complexity;
use std::path::{Path, PathBuf};

/// What a new task is to be like.
#[derive(Debug, clap::Args)]
pub struct DraftArgs {
    /// A label, such as agent:claude or complexity:simple; may be given several times
    #[arg(short, long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Tasks with higher numbers start first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// Directory of the repository; without it, the repository you are in
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The type: feature, bug, docs or any other word
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Require this agent
    #[arg(long)]
    agent: Option<String>,
    /// Require this model: a name that the agent's CLI knows, provider/model, a tag such as auto:fast, or a tier
    #[arg(long)]
    model: Option<String>,
    /// Require a complexity: simple, medium or complex
    #[arg(long, value_name = "COMPLEXITY")]
    complexity: Option<Complexity>,
}

impl DraftArgs {
    /// Returns the draft of the task.
    pub fn into_draft(self, title: String, body: String, dir: Option<PathBuf>) -> TaskDraft {
        let Self { labels, priority, dir: _, kind, agent, model, complexity } = self;
        TaskDraft { title, body, labels, priority, dir, kind, agent, model, complexity }
    }
}

/// Returns the directory of the work. `None` means the only project, which the engine determines.
pub async fn directory(dir: Option<&Path>, context: &Context, home: &Home) -> Result<Option<PathBuf>, CliError> {
    let Some(dir) = dir else {
        return root_around(context, home, &resolve(&context.cwd, Path::new("."))).await;
    };
    let dir = resolve(&context.cwd, dir);
    if !dir.is_dir() {
        return Err(CliError::usage(format!("{} is not a directory", dir.display()), "--dir names a repository"));
    }
    Ok(Some(root_around(context, home, &dir).await?.unwrap_or(dir)))
}
