//! `orch config …`: reads, checks and changes settings. Needs no engine, except to ask whether a project file with
//! commands is approved.

mod preset;
pub mod set;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::settings;
use super::ui::text;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::types::NewProject;
use orch_config::layers::{Layer, Loaded, load};
use orch_config::{ConfigProblem, FileKind, Origin, Warning, json_schema, validate};
use orch_engine::{OwnTemplate, Sources, content_id, own_templates};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The commands of `orch config`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check config.yml and this project's .orch.yml
    Validate,
    /// Print the settings in force
    Show {
        /// Show where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print one setting or section: orch config get engine.max_parallel
    Get {
        /// The dotted key
        key: String,
    },
    /// Change one setting in config.yml; comments and layout stay, and a daemon applies it at once
    Set(set::Args),
    /// List presets of routing settings, or apply one: save-money, max-quality, balanced, testing
    Preset(preset::Args),
    /// Print the JSON Schema of config.yml
    Schema {
        /// Print the schema of a project's .orch.yml instead
        #[arg(long)]
        project: bool,
    },
}

/// Runs the subcommand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Validate => validate_files(context).await,
        Command::Show { origin } => show(origin, context).await,
        Command::Get { key } => get(&key, context).await,
        Command::Set(args) => set::run(&args, context).await,
        Command::Preset(args) => preset::run(&args, context).await,
        Command::Schema { project } => {
            let file = if project { FileKind::Project } else { FileKind::Global };
            context.ui.pretty_json(&json_schema(file))?;
            Ok(Exit::Done)
        }
    }
}

async fn show(origin: bool, context: &Context) -> Result<Exit, CliError> {
    let loaded = in_force(context).await?;
    match (context.ui.is_json(), origin) {
        (true, true) => context.ui.json(&loaded.rows())?,
        (true, false) => context.ui.json(&loaded.show())?,
        (false, true) => context.ui.data(&text::lines(&loaded.show_with_origin()))?,
        (false, false) => context.ui.data(&text::lines(&loaded.show_yaml()))?,
    }
    Ok(Exit::Done)
}

async fn get(key: &str, context: &Context) -> Result<Exit, CliError> {
    let loaded = in_force(context).await?;
    let value = loaded.get(key).map_err(|unknown| CliError::NotFound {
        message: unknown.to_string(),
        hint: Some("orch config show prints every key".to_owned()),
    })?;
    if context.ui.is_json() {
        context.ui.json(&value)?;
    } else {
        context.ui.data(&plain(&value))?;
    }
    Ok(Exit::Done)
}

/// Renders a value for a person and for `$(…)`: strings without quotes, lists with one item per line.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{}\n", text::lines(text)),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(_) => format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default()),
        Value::Null | Value::Bool(_) | Value::Number(_) => format!("{value}\n"),
    }
}

async fn validate_files(context: &Context) -> Result<Exit, CliError> {
    let (mut files, layers) = all_layers(context).await?;
    let mut mistakes = Vec::new();
    let (mut problems, mut warnings) = match load(&layers) {
        Ok(loaded) => {
            let mut problems = validate::check_references(&loaded.config, &loaded.origins, &context.environment);
            mistakes.extend(
                validate::odd::likely_mistakes(&loaded.config, &loaded.origins, &context.environment)
                    .into_iter()
                    .map(Warning::Other),
            );
            files.extend(policy(&loaded, context)?.unwrap_or_else(|problem| {
                problems.push(problem);
                None
            }));
            (problems, loaded.warnings)
        }
        Err(problems) => (problems, Vec::new()),
    };
    warnings.extend(mistakes);
    for OwnTemplate { path, problem } in own_templates(&context.setup()?.home) {
        problems.extend(problem.map(|(line, cause)| {
            ConfigProblem::new(Origin::file(&path, line, 1), cause)
                .hint("docs/how-to/prompts.md names every placeholder of every prompt")
        }));
        files.push(path);
    }
    if context.ui.is_json() {
        context.ui.json(&document(&files, &problems, &warnings))?;
    } else {
        warnings.iter().for_each(|warning| context.ui.warning(&warning.to_string()));
        if problems.is_empty() {
            context.ui.data(&render(&files))?;
        } else {
            return Err(CliError::Config(problems));
        }
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Usage })
}

/// Returns the file of the routing policy, if one is configured and readable.
fn policy(loaded: &Loaded, context: &Context) -> Result<Result<Option<PathBuf>, ConfigProblem>, CliError> {
    let (home, environment) = (context.setup()?.home, context.environment.clone());
    let sources = Sources::new(home, environment, context.flags.clone());
    let key = "router.policy";
    let wrong = |cause| {
        ConfigProblem::new(loaded.origins.near(key).clone(), format!("{key}: {cause}"))
            .hint("docs/reference/routing-economics.md has the keys of a policy")
    };
    Ok(sources.policy(&loaded.config).map(|_| sources.policy_file(&loaded.config)).map_err(wrong))
}

fn render(files: &[PathBuf]) -> String {
    if files.is_empty() {
        return "no configuration file: the defaults are in force\n".to_owned();
    }
    files.iter().map(|file| format!("{} is valid\n", text::line(&file.to_string_lossy()))).collect()
}

fn document(files: &[PathBuf], problems: &[ConfigProblem], warnings: &[Warning]) -> Value {
    let problem = |p: &ConfigProblem| json!({ "origin": p.origin, "message": p.message, "hint": p.hint });
    json!({
        "valid": problems.is_empty(),
        "files": files,
        "problems": problems.iter().map(problem).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

async fn in_force(context: &Context) -> Result<Loaded, CliError> {
    let (_, layers) = all_layers(context).await?;
    let loaded = load(&layers).map_err(CliError::Config)?;
    loaded.warnings.iter().for_each(|warning| context.ui.warning(&warning.to_string()));
    Ok(loaded)
}

/// Returns all layers of settings, and the files they come from.
async fn all_layers(context: &Context) -> Result<(Vec<PathBuf>, Vec<Layer>), CliError> {
    let home = context.setup()?.home;
    let mut layers = settings::layers(context, &home)?;
    if let Some(path) = settings::project_file(&context.cwd)
        && let Some(text) = settings::text_of(&path)?
    {
        // Only commands depend on approval.
        let trusted = !text.contains("checks") || is_approved(&path, &text, context).await;
        layers.push(Layer::Project { path, text, trusted });
    }
    let files = layers.iter().filter_map(|layer| match layer {
        Layer::Global { path, .. } | Layer::Project { path, .. } => Some(path.clone()),
        Layer::Environment(_) | Layer::Flags(_) => None,
    });
    Ok((files.collect(), layers))
}

/// Returns whether a person approved exactly this text. If no engine can be asked, it counts as not approved.
async fn is_approved(path: &Path, text: &str, context: &Context) -> bool {
    let Some(dir) = path.parent() else { return false };
    let Ok(mut link) = context.link().await else { return false };
    let projects: Result<Vec<NewProject>, _> = link.call(&endpoint::ProjectList).await;
    // The caller reports problems of the settings, and reports them once.
    link.leave().await.ok();
    let id = content_id(text.as_bytes());
    projects.is_ok_and(|all| all.iter().any(|p| p.dir == dir && p.approved.as_deref() == Some(id.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_printed_for_scripts() {
        assert_eq!(plain(&json!("opus")), "opus\n");
        assert_eq!(plain(&json!(["a", "b"])), "a\nb\n");
        assert_eq!(plain(&json!(8)), "8\n");
        assert_eq!(plain(&json!(null)), "null\n");
        assert_eq!(plain(&json!({"a": 1})), "{\n  \"a\": 1\n}\n");
    }
}
