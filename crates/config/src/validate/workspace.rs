//! Checks the settings of a project's workspace. PURE.

use super::is_variable;
use crate::origin::Origins;
use crate::problem::ConfigProblem;
use crate::raw::RawConfig;
use orch_core::tasks::workspace::{is_label, is_path, is_pattern};

/// Variables that a project must not set, because they decide which programs run and where they write.
const RESERVED: [&str; 9] =
    ["PATH", "HOME", "SHELL", "USER", "TMPDIR", "LD_PRELOAD", "LD_LIBRARY_PATH", "NODE_OPTIONS", "PYTHONPATH"];

/// Checks everything about `workspace` that the schema cannot express.
pub(super) fn check(raw: &RawConfig, origins: &Origins) -> Vec<ConfigProblem> {
    let Some(workspace) = &raw.workspace else { return Vec::new() };
    let mut problems = Vec::new();
    let mut wrong = |key: &str, message: String| {
        problems.push(ConfigProblem::new(origins.near(key).clone(), format!("{key}: {message}")));
    };
    for pattern in workspace.copy.iter().flatten().filter(|pattern| !is_pattern(pattern)) {
        wrong("workspace.copy", format!("{pattern:?} is not a pattern of files below the repository's root"));
    }
    for path in workspace.link.iter().flatten().filter(|path| !is_path(path)) {
        wrong("workspace.link", format!("{path:?} is not a path below the repository's root"));
    }
    for command in workspace.setup.iter().flatten().filter(|command| command.contains('\0')) {
        wrong("workspace.setup", format!("{command:?} contains a zero byte"));
    }
    for (name, variable) in workspace.env.iter().flatten() {
        let key = format!("workspace.env.{name}");
        let is_reserved = RESERVED.contains(&name.as_str()) || name.starts_with("ORCH_") || name.starts_with("GIT_");
        if !is_variable(name) {
            wrong(&key, "not a name of a variable".to_owned());
        } else if is_reserved {
            wrong(&key, "projects cannot set this variable".to_owned());
        }
        let Some(variable) = variable else { continue };
        match (&variable.port, &variable.slug) {
            (Some(label), None) | (None, Some(label)) if is_label(label) => {}
            (Some(label), None) | (None, Some(label)) => {
                wrong(&key, format!("{label:?} is not a name: lower-case letters, digits and _, at most 40"));
            }
            (Some(_), Some(_)) | (None, None) => wrong(&key, "expected one of port and slug".to_owned()),
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use crate::layers::{Layer, load};
    use orch_core::tasks::workspace::Variable;

    fn project(text: &str, trusted: bool) -> Layer {
        Layer::Project { path: "/shop/.orch.yml".into(), text: text.to_owned(), trusted }
    }

    #[test]
    fn a_workspace_holds_once_its_file_is_approved() {
        let text = "workspace:\n  copy: [.env]\n  link: [node_modules]\n  setup: [npm ci]\n  \
                    env: {PORT: {port: web}, DB_NAME: {slug: app}}\n";
        let loaded = load(&[project(text, true)]).expect("valid");
        let workspace = loaded.config.workspace;
        assert_eq!((workspace.copy, workspace.link), (vec![".env".to_owned()], vec!["node_modules".to_owned()]));
        assert_eq!(workspace.setup, ["npm ci"]);
        assert_eq!(workspace.env["PORT"], Variable::Port("web".to_owned()));
        assert_eq!(workspace.env["DB_NAME"], Variable::Slug("app".to_owned()));
        let withheld = load(&[project(text, false)]).expect("valid");
        assert_eq!(withheld.config.workspace, super::super::super::resolved_workspace::Workspace::default());
        let warned: Vec<String> = withheld.warnings.iter().map(ToString::to_string).collect();
        assert!(warned.iter().any(|warning| warning.contains("npm ci")), "{warned:?}");
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_place() {
        for (text, expected) in [
            ("workspace: {copy: [../secrets]}", "workspace.copy"),
            ("workspace: {link: [/etc]}", "workspace.link"),
            ("workspace: {copy: ['!.env']}", "workspace.copy"),
            ("workspace: {env: {PATH: {slug: x}}}", "workspace.env.PATH"),
            ("workspace: {env: {GIT_DIR: {slug: x}}}", "workspace.env.GIT_DIR"),
            ("workspace: {env: {PORT: {port: web, slug: web}}}", "workspace.env.PORT"),
            ("workspace: {env: {PORT: {port: 'we b'}}}", "workspace.env.PORT"),
            ("workspace: {setups: [x]}", "setups"),
        ] {
            let problems = load(&[project(text, true)]).expect_err(text);
            let reported = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            assert!(reported.contains(expected) && reported.contains(".orch.yml:1"), "{text}: {reported}");
        }
    }
}
