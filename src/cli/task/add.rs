//! `orch task add`: adds a task for the repository of the working directory.

mod place;

use crate::cli::context::Context;
use crate::cli::draft_args::DraftArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::text;
use orch_api::endpoint;
use orch_api::types::{NewTask, TaskView};
use orch_core::base::ids::TaskId;
use orch_core::tasks::model_policy::ModelPolicy;
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
    /// Tasks that must be done first: 1,2
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    depends_on: Vec<TaskId>,
    /// The task that this one is a subtask of
    #[arg(long, value_name = "ID")]
    parent: Option<TaskId>,
    #[command(flatten)]
    draft: DraftArgs,
    /// Whether another model may continue the task: dynamic, or sticky to keep the first one
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    model_policy: Option<ModelPolicy>,
}

fn policy(word: &str) -> Result<ModelPolicy, String> {
    let known = ModelPolicy::ALL.into_iter().find(|policy| policy.as_str() == word.trim());
    known.ok_or_else(|| "expected dynamic or sticky".to_owned())
}

/// Adds the task.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    let body = body(&args)?;
    let dir = place::resolve(args.draft.dir.as_deref(), context, &home).await?;
    let mut task = args.draft.into_draft(args.title, body, Some(dir));
    task.labels.extend(args.model_policy.map(ModelPolicy::label));
    let new = NewTask { task, depends_on: args.depends_on, parent: args.parent };
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
