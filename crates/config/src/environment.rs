//! Maps variables `ORCH_<SECTION>_<KEY>` to the keys that they set. PURE: the variables are arguments.

use super::origin::Origin;
use super::problem::{ConfigProblem, did_you_mean, similar};
use super::settings::{self, Setting};
use super::shape::{self, FileKind, Shape};
use orch_core::base::names::short_hash;
use std::collections::BTreeMap;

/// Variables that begin with `ORCH_` and are not settings.
pub const RESERVED: [&str; 9] = [
    "ORCH_HOME",
    "ORCH_IDENTITY",
    "ORCH_WORKTREES",
    "ORCH_LOG",
    "ORCH_TASK_ID",
    "ORCH_RUN_ID",
    "ORCH_AGENT",
    "ORCH_MODEL",
    "ORCH_PROMPT_FILE",
];

/// Overrides `agents.codex.sandbox`.
const CODEX_SANDBOX: &str = "CODEX_SANDBOX";
/// The value that codex itself writes into [`CODEX_SANDBOX`] for the programs it runs on macOS.
const SET_BY_CODEX: &str = "seatbelt";

/// Settings read from the environment.
#[derive(Debug, Default)]
pub struct FromEnvironment {
    /// Valid settings.
    pub settings: Vec<Setting>,
    /// Invalid values.
    pub problems: Vec<ConfigProblem>,
    /// Names that look like settings and are not.
    pub warnings: Vec<ConfigProblem>,
}

/// Reads the settings from an environment. Empty variables are ignored.
pub fn read(environment: &BTreeMap<String, String>) -> FromEnvironment {
    let mut read = FromEnvironment::default();
    for (variable, text) in environment.iter().filter(|(_, text)| !text.is_empty()) {
        let origin = Origin::Environment { variable: variable.clone() };
        match target(variable) {
            Some((key, shape)) => match value(variable, text, shape) {
                Some(Ok(value)) => read.settings.push(Setting { key, value, origin }),
                Some(Err(message)) => read.problems.push(ConfigProblem::new(origin, message)),
                None => {}
            },
            None => read.warnings.extend(warn_unknown(variable, origin)),
        }
    }
    read
}

/// Returns the name of the variable that sets a dotted key.
pub fn variable_for(key: &str) -> String {
    format!("ORCH_{}", key.replace('.', "_").to_uppercase())
}

/// Returns the keys that an environment and a command line (dotted keys) set, each with a hash of its value: two
/// processes can compare their overrides without revealing them.
pub fn overrides(environment: &BTreeMap<String, String>, flags: &[(String, String)]) -> BTreeMap<String, String> {
    let non_empty = environment.iter().filter(|(_, text)| !text.is_empty());
    let set = non_empty.filter_map(|(variable, text)| {
        let (key, shape) = target(variable)?;
        value(variable, text, shape).is_some().then(|| (key.join("."), text))
    });
    let all = set.chain(flags.iter().map(|(key, text)| (key.clone(), text)));
    all.map(|(key, text)| (key, short_hash(text.as_bytes()))).collect()
}

fn value(variable: &str, text: &str, shape: &Shape) -> Option<Result<serde_json::Value, String>> {
    let set_by_codex = variable == CODEX_SANDBOX && text == SET_BY_CODEX;
    (!set_by_codex).then(|| settings::parse_text(text, shape))
}

fn target(variable: &str) -> Option<(Vec<String>, &'static Shape)> {
    let name = match variable {
        CODEX_SANDBOX => "AGENTS_CODEX_SANDBOX",
        reserved if RESERVED.contains(&reserved) => return None,
        other => other.strip_prefix("ORCH_")?,
    };
    let mut key = Vec::new();
    let shape = descend(shape::root(), name, &mut key)?;
    Some((key, shape))
}

fn descend(shape: &'static Shape, rest: &str, key: &mut Vec<String>) -> Option<&'static Shape> {
    if let Shape::Map(inner) = shape {
        return descend_map(inner, rest, key);
    }
    for field in shape.fields().iter().filter(|field| field.allowed_in(FileKind::Global)) {
        let upper = field.name.to_uppercase();
        if rest == upper && !field.shape.is_mapping() {
            key.push(field.name.clone());
            return Some(&field.shape);
        }
        let below = rest.strip_prefix(&upper).and_then(|rest| rest.strip_prefix('_'));
        if let Some(below) = below.filter(|_| field.shape.is_mapping()) {
            key.push(field.name.clone());
            return descend(&field.shape, below, key);
        }
    }
    None
}

/// Resolves the rest of a name below a map with free names. A free name may itself contain `_`, so the key is matched
/// from the end.
fn descend_map(inner: &'static Shape, rest: &str, key: &mut Vec<String>) -> Option<&'static Shape> {
    if !inner.is_mapping() {
        key.push(rest.to_lowercase());
        return (!rest.is_empty()).then_some(inner);
    }
    let ending =
        |field: &shape::Field| rest.strip_suffix(&format!("_{}", field.name.to_uppercase())).map(str::to_lowercase);
    let matches = inner.fields().iter().filter_map(|field| Some((ending(field)?, field)));
    let (name, field) = matches.filter(|(name, _)| !name.is_empty()).min_by_key(|(name, _)| name.len())?;
    key.extend([name, field.name.clone()]);
    (!field.shape.is_mapping()).then_some(&field.shape)
}

/// Returns a warning about a name that was probably meant as a setting.
fn warn_unknown(variable: &str, origin: Origin) -> Option<ConfigProblem> {
    if RESERVED.contains(&variable) {
        return None;
    }
    let rest = variable.strip_prefix("ORCH_")?;
    let known: Vec<String> = shape::fixed_keys().iter().map(|key| variable_for(key)).collect();
    let sections = shape::root().fields().iter().filter(|field| field.shape.is_mapping());
    let in_section = sections.map(|field| field.name.to_uppercase() + "_").any(|prefix| rest.starts_with(&prefix));
    let known = || known.iter().map(String::as_str);
    (in_section || similar(variable, known()).is_some())
        .then(|| ConfigProblem::new(origin, format!("sets nothing{}", did_you_mean(variable, known()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(pairs: &[(&str, &str)]) -> String {
        let environment = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let read = read(&environment);
        let settings = read.settings.iter().map(|s| format!("{}={}", s.dotted(), s.value));
        let problems = read.problems.iter().map(|p| format!("problem {p}"));
        let warnings = read.warnings.iter().map(|w| format!("warning {w}"));
        settings.chain(problems).chain(warnings).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn variables_are_named_after_section_and_key() {
        for (name, value, expected) in [
            ("ORCH_ROUTER_MODEL", "opus", "router.model=\"opus\""),
            ("ORCH_ENGINE_MAX_PARALLEL", "8", "engine.max_parallel=8"),
            ("ORCH_WORKFLOW_INTEGRATE", "merge", "workflow.integrate=\"merge\""),
            ("ORCH_WORKFLOW_SANDBOX", "false", "workflow.sandbox=false"),
            ("ORCH_WORKFLOW_CHECKS", "make a,b\nmake c", "workflow.checks=[\"make a,b\",\"make c\"]"),
            ("ORCH_ROUTER_AGENTS", "claude,codex", "router.agents=[\"claude\",\"codex\"]"),
            ("ORCH_MODEL_MAP_SIMPLE_CLAUDE", "x", "model_map.simple.claude=\"x\""),
            ("ORCH_AGENTS_CLAUDE_COMMAND", "/bin/c", "agents.claude.command=\"/bin/c\""),
            ("ORCH_AGENTS_MY_BOT_PASS_ENV", "A", "agents.my_bot.pass_env=[\"A\"]"),
            ("CODEX_SANDBOX", "none", "agents.codex.sandbox=\"none\""),
            ("ORCH_LOG_KEEP", "1", "log.keep=1"),
        ] {
            assert_eq!(outline(&[(name, value)]), expected);
        }
    }

    #[test]
    fn every_key_has_a_variable_that_sets_it() {
        for key in shape::fixed_keys().iter().filter(|key| *key != "name") {
            let found = target(&variable_for(key)).map(|(path, _)| path.join("."));
            assert_eq!(found.as_ref(), Some(key), "{}", variable_for(key));
        }
    }

    #[test]
    fn a_variable_that_is_no_setting_is_ignored() {
        let reserved: Vec<(&str, &str)> = RESERVED.iter().map(|&name| (name, "x")).collect();
        assert_eq!(outline(&reserved), "");
        assert_eq!(outline(&[("PATH", "/bin"), ("ORCH_ROUTER_MODEL", ""), ("CODEX_SANDBOX", "seatbelt")]), "");
        assert_eq!(outline(&[("ORCH_SOMETHING_OF_MINE", "1")]), "");
    }

    #[test]
    fn a_value_that_cannot_be_read_names_its_variable() {
        assert_eq!(
            outline(&[("ORCH_ENGINE_MAX_PARALLEL", "many"), ("ORCH_ROUTER_MODE", "lmm")]),
            "problem environment variable ORCH_ENGINE_MAX_PARALLEL: expected a whole number from 1 to 1000, found many\n\
             problem environment variable ORCH_ROUTER_MODE: expected one of llm, round_robin, found the text \"lmm\", did \
             you mean \"llm\"?"
        );
        assert_eq!(
            outline(&[("CODEX_SANDBOX", "read-only")]),
            "problem environment variable CODEX_SANDBOX: expected one of full-auto, workspace-write, danger-full-access, \
             none, found the text \"read-only\""
        );
    }

    #[test]
    fn a_name_that_was_meant_as_a_setting_is_reported() {
        assert_eq!(
            outline(&[
                ("ORCH_ROUTER_MODLE", "x"),
                ("ORCH_WORKFLOW_COLOUR_OF_THINGS", "y"),
                ("ORCH_ENGIN_MAX_PARALLEL", "3")
            ]),
            "warning environment variable ORCH_ENGIN_MAX_PARALLEL: sets nothing, did you mean \"ORCH_ENGINE_MAX_PARALLEL\"?\n\
             warning environment variable ORCH_ROUTER_MODLE: sets nothing, did you mean \"ORCH_ROUTER_MODEL\"?\n\
             warning environment variable ORCH_WORKFLOW_COLOUR_OF_THINGS: sets nothing"
        );
        assert_eq!(
            outline(&[("ORCH_AGENTS_CLAUDE_ENV", "A=b")]),
            "warning environment variable ORCH_AGENTS_CLAUDE_ENV: sets nothing"
        );
    }
}
