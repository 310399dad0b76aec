//! `orch task add`: adds a task for the repository of the working directory.

mod place;

use crate::cli::context::{Context, resolve};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::repository::root_around;
use crate::cli::ui::text;
use orch_api::endpoint;
use orch_api::types::{NewTask, TaskDraft, TaskView};
use orch_config::home::Home;
use orch_core::base::ids::TaskId;
use orch_core::tasks::model_policy::ModelPolicy;
use orch_core::tasks::route::Complexity;
use orch_sys::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest body, in bytes.
const LONGEST_BODY: usize = 1 << 20;

/// Arguments of `orch task add`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is to be done, in one line
    title: String,
    /// The details
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    body: Option<String>,
    /// Read the details from a file, or from stdin with -
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    body_file: Option<PathBuf>,
    /// A label, such as agent:claude or complexity:simple; may be given several times
    #[arg(short, long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Tasks with higher numbers start first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// Tasks that must be done first: 1,2
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    depends_on: Vec<TaskId>,
    /// The task that this one is a subtask of
    #[arg(long, value_name = "ID")]
    parent: Option<TaskId>,
    /// Directory of the repository; without it, the repository you are in
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The type: feature, bug, docs or any other word
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Require this agent
    #[arg(long)]
    agent: Option<String>,
    /// Require this model: a name that the agent's CLI knows, provider/model, a tag such as auto:fast, or a tier
    #[arg(long)]
    model: Option<String>,
    /// Whether another model may continue the task: dynamic, or sticky to keep the first one
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    model_policy: Option<ModelPolicy>,
    /// Require a complexity: simple, medium or complex
    #[arg(long, value_name = "COMPLEXITY")]
    complexity: Option<Complexity>,
}

fn policy(word: &str) -> Result<ModelPolicy, String> {
    let known = ModelPolicy::ALL.into_iter().find(|policy| policy.as_str() == word.trim());
    known.ok_or_else(|| "expected dynamic or sticky".to_owned())
}

/// Adds the task.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    let draft = TaskDraft {
        body: body(&args)?,
        dir: Some(place::resolve(args.dir.as_deref(), context, &home).await?),
        title: args.title,
        labels: args.labels.into_iter().chain(args.model_policy.map(ModelPolicy::label)).collect(),
        priority: args.priority,
        kind: args.kind,
        agent: args.agent,
        model: args.model,
        complexity: args.complexity,
    };
    let new = NewTask { task: draft, depends_on: args.depends_on, parent: args.parent };
    let mut link = context.link().await?;
    let task = link.call(&endpoint::TaskAdd { body: new }).await?;
    task.warnings.iter().for_each(|warning| context.ui.warning(warning));
    if context.ui.is_json() {
        context.ui.json(&task)?;
    } else {
        context.ui.data(&format!("added task {}: {}\n", task.id, text::fit(&task.title, 120)))?;
        context.ui.note(&place::render(&task, context, &home).await);
        context.ui.note(&next(&task, link.is_own()));
    }
    link.close().await?;
    Ok(Exit::Done)
}

/// Returns the command to type next. A task that waits for others cannot be run yet.
fn next(task: &TaskView, nobody_serves: bool) -> String {
    match (nobody_serves, task.depends_on.first()) {
        (true, None) => format!("next: orch task run {}, or orch serve", task.id),
        (true, Some(first)) => {
            format!("it starts after its dependencies; next: orch task run {first}, or orch serve")
        }
        (false, _) => format!("the daemon takes it; next: orch why {}", task.id),
    }
}

fn body(args: &Args) -> Result<String, CliError> {
    match (&args.body, &args.body_file) {
        (Some(body), _) => Ok(body.clone()),
        (None, None) => Ok(String::new()),
        (None, Some(file)) if file == Path::new("-") => {
            let mut text = String::new();
            let limit = u64::try_from(LONGEST_BODY + 1).unwrap_or(u64::MAX);
            let read = std::io::stdin().lock().take(limit).read_to_string(&mut text);
            read.map_err(CliError::system("cannot read the body from stdin"))?;
            if text.len() > LONGEST_BODY {
                return Err(CliError::usage(
                    format!("the body on stdin is longer than {LONGEST_BODY} bytes"),
                    "put it into a file of the repository and name that in the body",
                ));
            }
            Ok(text)
        }
        (None, Some(file)) => Ok(fs::read_text(file, LONGEST_BODY)?),
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
