//! `orch task edit`: changes the fields of a task in the person's editor or by options. Concurrent changes by others
//! are not overwritten.

use super::form;
use crate::cli::context::{Context, resolve};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{stdin_is_terminal, text};
use orch_api::edits::{EditTask, TaskFields};
use orch_api::endpoint;
use orch_core::base::ids::TaskId;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::spec_merge::differing;
use orch_core::tasks::task::{Spec, Status};
use orch_sys::fs::{self, Durability};
use orch_sys::process::{Invocation, run_attached};
use std::path::{Path, PathBuf};

/// The longest text that is read back, in bytes.
const LONGEST: usize = 2 << 20;

/// Arguments of `orch task edit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// What is to be done, in one line
    #[arg(long)]
    title: Option<String>,
    /// The details
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    body: Option<String>,
    /// A label to add; may be given several times
    #[arg(long = "add-label", value_name = "LABEL")]
    add_labels: Vec<String>,
    /// A label to remove; may be given several times
    #[arg(long = "remove-label", value_name = "LABEL")]
    remove_labels: Vec<String>,
    /// Tasks with higher numbers start first
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i64>,
    /// All tasks that must be done first: 1,2; empty for none
    #[arg(long, value_name = "IDS")]
    depends_on: Option<String>,
    /// The task that this one is a subtask of; empty for none
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Directory of the repository; empty for none
    #[arg(long, value_name = "DIR")]
    dir: Option<String>,
    /// The type: feature, bug, docs or any other word; empty for none
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The owner; empty for none
    #[arg(long)]
    assignee: Option<String>,
    /// Require this agent; empty for none
    #[arg(long)]
    agent: Option<String>,
    /// Require this model; empty for none
    #[arg(long)]
    model: Option<String>,
    /// Require a complexity: simple, medium or complex; empty for none
    #[arg(long, value_name = "COMPLEXITY")]
    complexity: Option<String>,
}

impl Args {
    /// Returns the change from the options, or `None` without options, which means the editor.
    fn change(&self, cwd: &Path) -> Result<Option<EditTask>, CliError> {
        let word = |text: &Option<String>| text.as_ref().map(|text| Some(text.clone()).filter(|text| !text.is_empty()));
        let complexity = word(&self.complexity).map(|text| text.map(|text| text.parse::<Complexity>()).transpose());
        let parent = word(&self.parent).map(|text| text.map(|text| task_id(&text)).transpose()).transpose()?;
        let set = TaskFields {
            title: self.title.clone(),
            body: self.body.clone(),
            labels: None,
            priority: self.priority,
            depends_on: self.depends_on.as_deref().map(task_ids).transpose()?,
            parent,
            dir: word(&self.dir).map(|dir| dir.map(|dir| resolve(cwd, Path::new(&dir)))),
            kind: word(&self.kind),
            assignee: word(&self.assignee),
            agent: word(&self.agent),
            model: word(&self.model),
            complexity: complexity
                .transpose()
                .map_err(|e| CliError::usage(e.to_string(), "simple, medium or complex"))?,
        };
        let (add_labels, remove_labels) = (self.add_labels.clone(), self.remove_labels.clone());
        let change = EditTask { set, expected: TaskFields::default(), add_labels, remove_labels };
        Ok((change != EditTask::default()).then_some(change))
    }
}

fn task_ids(text: &str) -> Result<Vec<TaskId>, CliError> {
    text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(task_id).collect()
}

fn task_id(text: &str) -> Result<TaskId, CliError> {
    let bad =
        |error: orch_core::base::ids::BadTaskId| CliError::usage(error.to_string(), "orch task list shows the ids");
    text.parse().map_err(bad)
}

/// Changes the task.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    match args.change(&context.cwd)? {
        Some(change) => apply(args.id, &change, context).await?,
        None => in_editor(args.id, context).await?,
    }
    Ok(Exit::Done)
}

async fn apply(id: TaskId, change: &EditTask, context: &Context) -> Result<(), CliError> {
    let mut link = context.link().await?;
    let task = link.call(&endpoint::TaskEdit { id, body: change.clone() }).await?;
    task.warnings.iter().for_each(|warning| context.ui.warning(warning));
    if context.ui.is_json() {
        context.ui.json(&task)?;
    } else {
        context.ui.data(&format!("task {id} is changed: {}\n", text::fit(&task.title, 120)))?;
        if [Status::InProgress, Status::InReview].contains(&task.status) {
            context.ui.note(&format!(
                "its run continues with its prompt; the change applies from its next run \
                     (orch task send {id} tells the agent now, orch task retry {id} begins again)"
            ));
        } else if task.status.is_final() {
            context.ui.note(&format!("it is {}; orch task retry {id} does it again", task.status.as_str()));
        }
    }
    link.close().await
}

/// The engine is closed while the person types, so that a daemon can start meanwhile.
async fn in_editor(id: TaskId, context: &Context) -> Result<(), CliError> {
    let editor = editor(context)?;
    let (seen, _) = context.fetch(&endpoint::TaskWish { id }).await?.into_spec();
    let draft = Draft::new(context, id, &form::text_of(id, &seen))?;
    loop {
        let exit = draft.open(&editor, context)?;
        if !exit.success() {
            let message = format!("the editor failed; nothing was changed, the text is kept in {}", draft.name());
            return Err(CliError::Refused { message, hint: Some(format!("orch task edit {id} starts again")) });
        }
        let wanted = match form::read(&fs::read_text(&draft.file, LONGEST)?) {
            Ok(Some(wanted)) => wanted,
            Ok(None) => return unchanged(&draft, id, context).await,
            Err(error) => {
                let problem = format!("line {}, column {}: {}", error.line, error.column, error.message);
                if reopen(context, &problem)? {
                    continue;
                }
                return Err(draft.kept(&problem));
            }
        };
        let Some(change) = change_from(&seen, &wanted) else { return unchanged(&draft, id, context).await };
        match apply(id, &change, context).await {
            Ok(()) => {
                draft.remove();
                return Ok(());
            }
            Err(error) if error.exit() == Exit::Usage && reopen(context, &error.to_string())? => {}
            Err(error) => {
                context.ui.note(&format!("your text is kept in {}", draft.name()));
                return Err(error);
            }
        }
    }
}

async fn unchanged(draft: &Draft, id: TaskId, context: &Context) -> Result<(), CliError> {
    draft.remove();
    if context.ui.is_json() {
        let mut link = context.link().await?;
        context.ui.raw_json(&link.raw(&endpoint::TaskShow { id }).await?)?;
        return link.close().await;
    }
    context.ui.note("nothing was changed");
    Ok(())
}

/// Returns the person's change, with the previous values.
fn change_from(seen: &Spec, wanted: &Spec) -> Option<EditTask> {
    let fields = differing(seen, wanted);
    let (set, expected) = (TaskFields::from_spec(wanted, &fields), TaskFields::from_spec(seen, &fields));
    (!fields.is_empty()).then(|| EditTask { set, expected, ..EditTask::default() })
}

/// Returns the person's editor: a shell command, as usual.
pub(super) fn editor(context: &Context) -> Result<String, CliError> {
    let named = |name: &str| context.environment.get(name).filter(|value| !value.trim().is_empty()).cloned();
    match named("VISUAL").or_else(|| named("EDITOR")) {
        Some(editor) => Ok(editor),
        None if stdin_is_terminal() => Ok("vi".to_owned()),
        None => Err(CliError::usage(
            "there is no editor: neither VISUAL nor EDITOR is set, and this is no terminal",
            "say what to change by options, such as --title or --add-label",
        )),
    }
}

/// Asks whether the person wants to correct the text. Without a terminal, does not ask.
fn reopen(context: &Context, problem: &str) -> Result<bool, CliError> {
    if !stdin_is_terminal() {
        return Ok(false);
    }
    context.ui.warning(problem);
    context.ui.agrees("open it again? [Y/n]")
}

/// The text that is edited: a private file, deleted after use.
struct Draft {
    file: PathBuf,
}

impl Draft {
    fn new(context: &Context, id: TaskId, text: &str) -> Result<Self, CliError> {
        let dir = context.setup()?.home.state().join("edit");
        fs::create_dir_private(&dir)?;
        // Two people may edit at once, and an earlier draft is kept.
        let file = dir.join(format!("task-{id}-{}.yml", std::process::id()));
        fs::write_private(&file, text.as_bytes(), Durability::Cached)?;
        Ok(Self { file })
    }

    fn open(&self, editor: &str, context: &Context) -> Result<orch_core::tasks::outcome::Exit, CliError> {
        let script = format!("{editor} \"$@\"");
        let shell = Invocation::new("sh", &context.cwd).args(["-c", &script, editor]).arg(&self.file);
        Ok(run_attached(&shell.envs(context.environment.iter()))?)
    }

    fn name(&self) -> String {
        self.file.display().to_string()
    }

    fn kept(&self, problem: &str) -> CliError {
        let message = format!("{problem}; nothing was changed, your text is kept in {}", self.name());
        CliError::usage(message, "mend it there and copy it over, or say what to change by options")
    }

    fn remove(&self) {
        // A file that remains does no harm.
        std::fs::remove_file(&self.file).ok();
    }
}
