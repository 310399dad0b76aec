//! Merges the layers into the effective configuration: defaults < `config.yml` < the project's `.orch.yml` < `ORCH_*`
//! < flags. PURE: texts and variables are arguments. All or nothing: one problem refuses the whole configuration.

use super::environment;
use super::origin::{Origin, Origins};
use super::problem::{ConfigProblem, Warning};
use super::raw::{Integrate, RawConfig};
use super::resolved::Config;
use super::settings::{self, Setting};
use super::shape::{self, FileKind};
use super::show::UnknownKey;
use super::{tree, validate};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A source of settings. The order of layers matters only among those of the same kind.
#[derive(Clone)]
pub enum Layer {
    /// `config.yml`.
    Global {
        /// Its path, for messages.
        path: PathBuf,
        /// Its text.
        text: String,
    },
    /// A project's `.orch.yml`: data from outside, because it arrives with the repository.
    Project {
        /// Its path, for messages.
        path: PathBuf,
        /// Its text.
        text: String,
        /// Whether the person approved exactly this text. If not, its commands are not used.
        trusted: bool,
    },
    /// The environment; names that are not settings are ignored.
    Environment(BTreeMap<String, String>),
    /// Dotted keys with their values, from the command line.
    Flags(Vec<(String, String)>),
}

impl Layer {
    fn rank(&self) -> u8 {
        match self {
            Self::Global { .. } => 0,
            Self::Project { .. } => 1,
            Self::Environment(_) => 2,
            Self::Flags(_) => 3,
        }
    }
}

impl fmt::Debug for Layer {
    /// Shows names only: texts and variables may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global { path, .. } => write!(f, "Global({})", path.display()),
            Self::Project { path, trusted, .. } => write!(f, "Project({}, trusted: {trusted})", path.display()),
            Self::Environment(variables) => write!(f, "Environment({} variables)", variables.len()),
            Self::Flags(flags) => f.debug_list().entries(flags.iter().map(|(key, _)| key)).finish(),
        }
    }
}

/// The effective configuration with the origins of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The effective settings.
    pub config: Config,
    /// Where each value was set.
    pub origins: Origins,
    /// What is suspicious but not an error.
    pub warnings: Vec<Warning>,
}

/// Merges the layers.
///
/// # Errors
/// All problems, in the order of the layers and their lines; never empty.
pub fn load(layers: &[Layer]) -> Result<Loaded, Vec<ConfigProblem>> {
    let mut stack = Stack::default();
    let mut ordered: Vec<&Layer> = layers.iter().collect();
    ordered.sort_by_key(|layer| layer.rank());
    ordered.into_iter().for_each(|layer| stack.add(layer));
    stack.finish()
}

#[derive(Default)]
struct Stack {
    settings: Vec<Setting>,
    problems: Vec<ConfigProblem>,
    warnings: Vec<Warning>,
    project: Option<PathBuf>,
    unapproved: Option<(Origin, Vec<String>)>,
}

impl Stack {
    fn add(&mut self, layer: &Layer) {
        match layer {
            Layer::Global { path, text } => {
                let settings = self.file(FileKind::Global, path, text);
                self.settings.extend(settings);
            }
            Layer::Project { path, text, trusted } => {
                self.project = Some(path.clone());
                let mut settings = self.file(FileKind::Project, path, text);
                if !trusted {
                    settings.retain(|setting| !self.is_withheld(setting));
                }
                self.settings.extend(settings);
            }
            Layer::Environment(variables) => {
                let read = environment::read(variables);
                self.settings.extend(read.settings);
                self.problems.extend(read.problems);
                self.warnings.extend(read.warnings.into_iter().map(Warning::Other));
            }
            Layer::Flags(flags) => flags.iter().for_each(|(key, text)| self.flag(key, text)),
        }
    }

    fn file(&mut self, file: FileKind, path: &Path, text: &str) -> Vec<Setting> {
        match tree::parse(text) {
            Ok(tree) => {
                let (settings, problems) = settings::parse_file(&tree, file, path);
                self.problems.extend(problems);
                settings
            }
            Err(error) => {
                let origin = Origin::file(path, error.line as usize, error.column as usize);
                self.problems.push(ConfigProblem::new(origin, error.message));
                Vec::new()
            }
        }
    }

    fn flag(&mut self, key: &str, text: &str) {
        let origin = Origin::Flag { key: key.to_owned() };
        let path: Vec<String> = shape::canonical(key).split('.').map(str::to_owned).collect();
        let value = match shape::find(key) {
            Some(found) => settings::parse_text(text, found.shape),
            None => Err(UnknownKey::new(key, shape::suggest(key)).to_string()),
        };
        match value {
            Ok(value) => self.settings.push(Setting { key: path, value, origin }),
            Err(message) => self.problems.push(ConfigProblem::new(origin, message)),
        }
    }

    /// Returns whether a setting of an unapproved project file is ignored, and records a warning. Its commands would run as
    /// the person.
    fn is_withheld(&mut self, setting: &Setting) -> bool {
        if setting.key == ["workflow", "integrate"] && setting.value == "merge" {
            let message = "workflow.integrate: merge is not approved and not used";
            let problem = ConfigProblem::new(setting.origin.clone(), message)
                .hint("approve this version of the file with `orch init`");
            self.warnings.push(Warning::Other(problem));
            return true;
        }
        let is_setup = setting.key == ["workspace", "setup"];
        if !is_setup && setting.key.first().is_some_and(|section| section == "workspace") {
            let message = format!("{} is not approved and not used", setting.dotted());
            let problem = ConfigProblem::new(setting.origin.clone(), message)
                .hint("approve this version of the file with `orch init`");
            self.warnings.push(Warning::Other(problem));
            return true;
        }
        if !is_setup && setting.key != ["workflow", "checks"] {
            return false;
        }
        let items = setting.value.as_array().into_iter().flatten();
        let commands: Vec<String> = items.filter_map(|command| command.as_str().map(str::to_owned)).collect();
        if !commands.is_empty() {
            let known = self.unapproved.take().map(|(_, known)| known).unwrap_or_default();
            self.unapproved = Some((setting.origin.clone(), [known, commands.clone()].concat()));
            self.warnings.push(Warning::NotApproved {
                origin: setting.origin.clone(),
                key: setting.dotted(),
                commands,
            });
        }
        true
    }

    fn finish(self) -> Result<Loaded, Vec<ConfigProblem>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let (raw, origins) = merge(self.settings)?;
        let mut problems = validate::check_declarations(&raw, &origins);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut loaded = Loaded { config: Config::resolve(raw), origins, warnings: self.warnings };
        for found in validate::check_consistency(&loaded.config, &loaded.origins) {
            if found.is_warning(self.project.as_deref()) {
                loaded.warnings.push(Warning::Other(found.problem));
            } else {
                problems.push(found.problem);
            }
        }
        if let Some((origin, commands)) = self.unapproved {
            loaded.withhold_merge(origin, commands);
        }
        if problems.is_empty() { Ok(loaded) } else { Err(problems) }
    }
}

impl Loaded {
    /// Turns merging off: work that the project's own checks have not judged is not merged, unless the person set other
    /// checks.
    fn withhold_merge(&mut self, unapproved: Origin, commands: Vec<String>) {
        let workflow = &mut self.config.workflow;
        let person_chose = match self.origins.get("workflow.checks") {
            Origin::Environment { .. } | Origin::Flag { .. } => true,
            Origin::Default | Origin::File { .. } => false,
        };
        if person_chose {
            return;
        }
        workflow.unapproved_checks = commands;
        if workflow.integrate == Integrate::Merge {
            workflow.integrate = Integrate::Branch;
            self.origins.set("workflow.integrate", unapproved);
        }
    }
}

/// Merges settings: later ones win, a list replaces a list, mappings are merged key by key.
fn merge(settings: Vec<Setting>) -> Result<(RawConfig, Origins), Vec<ConfigProblem>> {
    let mut merged = Map::new();
    let mut origins = Origins::default();
    for setting in settings {
        let value = resolve_program_path(&setting);
        origins.set(setting.dotted(), setting.origin);
        insert(&mut merged, &setting.key, value);
    }
    match serde_json::from_value(Json::Object(merged)) {
        Ok(raw) => Ok((raw, origins)),
        Err(error) => {
            Err(vec![ConfigProblem::new(Origin::Default, format!("the settings do not fit together: {error}"))])
        }
    }
}

/// Returns the value of a setting. A relative path of an agent's program is resolved from the directory of the file that
/// names it: the directory in which orch was started must not decide what runs.
fn resolve_program_path(setting: &Setting) -> Json {
    let is_program = matches!(setting.key.as_slice(), [section, _, key] if section == "agents" && key == "command");
    match (&setting.origin, setting.value.as_str()) {
        (Origin::File { path, .. }, Some(program)) if is_program && program.contains('/') => {
            let place = path.parent().unwrap_or(Path::new("")).join(program);
            Json::from(place.components().collect::<PathBuf>().to_string_lossy())
        }
        _ => setting.value.clone(),
    }
}

fn insert(map: &mut Map<String, Json>, key: &[String], value: Json) {
    let Some((first, rest)) = key.split_first() else { return };
    let slot = map.entry(first.clone()).or_insert(Json::Null);
    if rest.is_empty() && !(value.is_object() && slot.is_object()) {
        *slot = value;
        return;
    }
    if !slot.is_object() {
        *slot = Json::Object(Map::new());
    }
    if let Json::Object(inner) = slot {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests;
