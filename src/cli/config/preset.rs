//! `orch config preset`: lists presets of routing settings, shows what one would change, and applies it as `orch config
//! set` does.

use super::set::{LOCK, write_all};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings;
use crate::cli::ui::text;
use orch_config::environment::variable_for;
use orch_config::layers::{Layer, load};
use orch_config::preset::{PRESETS, Preset, value};
use orch_config::{FileKind, Loaded};
use orch_core::base::nearest::nearest;
use serde_json::{Value, json};
use std::path::Path;

/// Arguments of `orch config preset`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The preset; without it, all are listed: save-money, max-quality, balanced, testing
    name: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// A key that the preset changes.
struct Change {
    key: &'static str,
    from: Value,
    to: &'static str,
}

/// Lists the presets, or applies one.
pub async fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let Some(name) = &args.name else { return list(context) };
    let preset = find(name)?;
    let home = context.setup()?.home;
    let path = home.config_file();
    let changes = changes(&load_file(&path)?, preset)?;
    if !args.dry_run && !changes.is_empty() {
        orch_sys::fs::create_dir_private(home.root())?;
        let all: Vec<(&str, &str)> = changes.iter().map(|change| (change.key, change.to)).collect();
        write_all(&path, FileKind::Global, &home.state().join(LOCK), &all)?;
        settings::notify_daemon(context).await?;
    }
    for (key, _) in preset.settings {
        let variable = variable_for(key);
        if context.environment.get(&variable).is_some_and(|value| !value.is_empty()) {
            context.ui.warning(&format!("{variable} is set and goes before {key}"));
        }
    }
    if context.ui.is_json() {
        let changed =
            changes.iter().map(|change| json!({ "key": change.key, "from": change.from, "to": value(change.to) }));
        context.ui.json(&json!({
            "preset": preset.name,
            "file": path,
            "dry_run": args.dry_run,
            "changes": changed.collect::<Vec<_>>(),
        }))?;
    } else {
        context.ui.data(&render(preset, &path, &changes, args.dry_run))?;
    }
    Ok(Exit::Done)
}

fn find(name: &str) -> Result<&'static Preset, CliError> {
    let names = || PRESETS.iter().map(|preset| preset.name);
    let wanted = name.trim().to_lowercase().replace(['_', ' '], "-");
    PRESETS.iter().find(|preset| preset.name == wanted).ok_or_else(|| {
        let meant = nearest(&wanted, names()).map(|meant| format!("did you mean {meant}? ")).unwrap_or_default();
        CliError::NotFound {
            message: format!("there is no preset {name:?}"),
            hint: Some(format!("{meant}presets are {}", names().collect::<Vec<_>>().join(", "))),
        }
    })
}

/// Loads the file alone: a value from the environment is no reason to omit a key.
fn load_file(path: &Path) -> Result<Loaded, CliError> {
    let text = settings::text_of(path)?;
    let layer = text.map(|text| Layer::Global { path: path.to_owned(), text });
    load(&layer.into_iter().collect::<Vec<_>>()).map_err(CliError::Config)
}

fn changes(loaded: &Loaded, preset: &Preset) -> Result<Vec<Change>, CliError> {
    let mut changes = Vec::new();
    for (key, to) in preset.settings {
        let from =
            loaded.get(key).map_err(|unknown| CliError::NotFound { message: unknown.to_string(), hint: None })?;
        if from != value(to) {
            changes.push(Change { key, from, to });
        }
    }
    Ok(changes)
}

fn render(preset: &Preset, path: &Path, changes: &[Change], dry_run: bool) -> String {
    let place = path.to_string_lossy();
    if changes.is_empty() {
        return format!("{} already holds in {}\n", preset.name, text::line(&place));
    }
    let word = if dry_run { "would become" } else { "is now" };
    let shown =
        |value: &Value| if let Value::String(text) = value { text::line(text).into_owned() } else { value.to_string() };
    let lines = changes.iter().map(|change| {
        let (key, from, to) = (change.key, shown(&change.from), change.to);
        format!("{key} {word} {to} in {} (was {from})\n", text::line(&place))
    });
    lines.collect()
}

fn list(context: &Context) -> Result<Exit, CliError> {
    if context.ui.is_json() {
        let settings = |preset: &Preset| {
            preset
                .settings
                .iter()
                .map(|(key, text)| ((*key).to_owned(), value(text)))
                .collect::<serde_json::Map<_, _>>()
        };
        let all = PRESETS.iter().map(|p| json!({ "name": p.name, "about": p.about, "settings": settings(p) }));
        context.ui.json(&all.collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let mut page = String::new();
    for preset in &PRESETS {
        page += &format!("{}: {}\n", preset.name, preset.about);
        preset.settings.iter().for_each(|(key, text)| page += &format!("  {key}: {text}\n"));
    }
    context.ui.data(&page)?;
    context.ui.note("next: orch config preset NAME --dry-run");
    Ok(Exit::Done)
}
