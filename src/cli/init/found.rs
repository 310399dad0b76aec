//! What `orch init` found and did, as a document and for a person.

use super::detect::Workspace;
use crate::cli::ui::paint::{Paint, Role};
use crate::cli::ui::text::line;
use orch_api::evidence::CheckView;
use orch_api::types::NewProject;
use orch_core::tasks::evidence::{Check, CheckState};
use serde::Serialize;
use std::path::PathBuf;

/// An installed agent.
#[derive(Debug, Clone, Serialize)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its program.
    pub program: PathBuf,
    /// Whether it is logged in; `None` if that is unknown.
    pub has_login: Option<bool>,
    /// The command to log in, if it is not.
    pub login: Option<String>,
}

impl Agent {
    fn render(&self) -> String {
        match (&self.login, self.has_login) {
            (Some(login), Some(false)) => format!("{} (no login is found: {})", line(&self.name), line(login)),
            (None, Some(true)) => format!("{} (has a login)", line(&self.name)),
            (Some(_) | None, Some(_) | None) => line(&self.name).into_owned(),
        }
    }
}

/// What was found and done.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The registered project.
    pub project: NewProject,
    /// The project's file.
    pub file: PathBuf,
    /// Whether the file is new.
    pub created: bool,
    /// Keys that `--with-checks` has added to an existing file.
    pub added: Vec<String>,
    /// The home.
    pub home: PathBuf,
    /// Whether `config.yml` is new.
    pub config_created: bool,
    /// Version of git.
    pub git: String,
    /// Version of tmux.
    pub tmux: String,
    /// Installed agents.
    pub agents: Vec<Agent>,
    /// The additional requests to paid models.
    pub overhead: Vec<String>,
    /// The branch that work starts from.
    pub base_branch: String,
    /// Approved check commands.
    pub checks: Vec<String>,
    /// Suggested check commands.
    pub suggested_checks: Vec<String>,
    /// Approved setup commands.
    pub setup: Vec<String>,
    /// Patterns of files to copy into a fresh checkout.
    pub copied: Vec<String>,
    /// The result of each check on the base, if it was run.
    pub tried: Vec<CheckView>,
    /// Whether any workspace setting provides files.
    pub has_workspace: bool,
    /// What a fresh checkout probably needs.
    pub suggested_workspace: Workspace,
}

/// The most lines of a failed check that are shown.
const SHOWN: usize = 120;

/// Returns the lines to show: the cause may be at the start or at the end.
fn ends<'a>(lines: &'a [&'a str]) -> (&'a [&'a str], &'a [&'a str]) {
    if lines.len() <= SHOWN {
        return (lines, &[]);
    }
    (&lines[..SHOWN / 4], &lines[lines.len() - (SHOWN - SHOWN / 4)..])
}

impl Found {
    /// Renders the result for a person.
    pub fn render(&self, paint: Paint) -> String {
        let name = line(&self.project.name);
        let dir = self.project.dir.to_string_lossy();
        let mut output = format!("{} {} at {}\n", paint.text(Role::Good, "registered"), name, line(&dir));
        let mut field = |name: &str, value: String| {
            output.push_str(&format!("  {}{value}\n", paint.text(Role::Faint, format!("{name:<10}"))));
        };
        let written = match (self.created, self.added.is_empty()) {
            (true, _) => "written".to_owned(),
            (false, true) => "approved as it is".to_owned(),
            (false, false) => format!("approved, with {} added", self.added.join(", ")),
        };
        field("file", format!("{} ({written})", line(&self.file.to_string_lossy())));
        let made = if self.config_created { " (config.yml written)" } else { "" };
        field("home", format!("{}{made}", line(&self.home.to_string_lossy())));
        field("base", line(&self.base_branch).into_owned());
        field("git", line(&self.git).into_owned());
        field("tmux", line(&self.tmux).into_owned());
        let agents: Vec<_> = self.agents.iter().map(Agent::render).collect();
        let none = paint.text(Role::Warning, "none is installed: orch doctor shows how to get one");
        field("agents", if agents.is_empty() { none.into_owned() } else { agents.join(", ") });
        for (at, one) in self.overhead.iter().enumerate() {
            field(if at == 0 { "besides" } else { "" }, line(one).into_owned());
        }
        if self.checks.is_empty() {
            let fits = if self.suggested_checks.is_empty() { ", and none fits what lies here" } else { "" };
            let none = format!("none{fits}: work is accepted without a check");
            field("checks", paint.text(Role::Warning, none).into_owned());
        } else {
            field("checks", "orch may now run these commands as you, on what agents have committed:".to_owned());
            self.checks.iter().for_each(|check| field("", format!("  {}", line(check))));
        }
        if !self.setup.is_empty() {
            let where_run =
                "orch may run these as you in every fresh checkout: for an agent, for the checks, for a merge:";
            field("setup", where_run.to_owned());
            self.setup.iter().for_each(|command| field("", format!("  {}", line(command))));
        }
        if !self.copied.is_empty() {
            field("copy", format!("{} from here into every fresh checkout", line(&self.copied.join(", "))));
        }
        for check in &self.tried {
            let role = if check.state == CheckState::Passed { Role::Good } else { Role::Bad };
            field(
                "on base",
                format!("{}: {}", line(&check.command), paint.text(role, Check::from(check).describe_result())),
            );
            if check.state != CheckState::Passed {
                let lines: Vec<&str> = check.output_tail.lines().collect();
                let (first, last) = ends(&lines);
                first.iter().for_each(|text| field("", format!("  {}", line(text))));
                if lines.len() > SHOWN {
                    field("", format!("  … {} lines more …", lines.len() - SHOWN));
                }
                last.iter().for_each(|text| field("", format!("  {}", line(text))));
            }
        }
        output
    }

    /// Returns whether a check fails on the base.
    pub fn is_red(&self) -> bool {
        self.tried.iter().any(|check| check.state != CheckState::Passed)
    }

    /// Describes untracked files that a fresh checkout would lack.
    fn missing_workspace(&self) -> Option<String> {
        let wanted = &self.suggested_workspace;
        let lines: Vec<String> = [("copy", &wanted.copy), ("link", &wanted.link), ("setup", &wanted.setup)]
            .into_iter()
            .filter(|(_, items)| !items.is_empty())
            .map(|(key, items)| format!("{key}: [{}]", items.join(", ")))
            .collect();
        // A person who has set some of it knows it, unless something is still missing.
        (!lines.is_empty() && (self.is_red() || !self.has_workspace)).then(|| lines.join(", "))
    }

    /// Returns the next command to type.
    pub fn next(&self) -> String {
        let mut text = self.next_step();
        if let Some(wanted) = self.missing_workspace() {
            let file = self.file.display();
            text = format!(
                "a fresh checkout would lack files that lie here: orch init --with-checks sets workspace: {{{wanted}}}\n      \
                 in {file} (docs/how-to/workspace.md)\n{text}"
            );
        }
        text
    }

    fn next_step(&self) -> String {
        if self.is_red() {
            return format!(
                "a check that fails on the base says nothing about an agent's work: fix it, or {},\n      and run orch init \
                 --try again",
                self.file.display()
            );
        }
        if self.checks.is_empty() && self.suggested_checks.is_empty() {
            return format!(
                "next: set workflow.checks in {} to what must pass on every result, and run orch init\n      again to allow \
                 it; orch task add \"What is to be done\"",
                self.file.display()
            );
        }
        if self.checks.is_empty() && !self.suggested_checks.is_empty() {
            let checks = self.suggested_checks.join(", ");
            return format!(
                "next: orch init --with-checks sets workflow.checks ({checks} would fit) and allows them; or set others in\n      \
                 {}, and run orch init again; orch task add \"What is to be done\"",
                self.file.display()
            );
        }
        if self.agents.is_empty() {
            return "next: install an agent (orch doctor shows how); orch task add \"What is to be done\"".to_owned();
        }
        "next: orch task add \"What is to be done\"".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_reads_like_this() {
        let mut found = Found {
            project: NewProject { dir: "/home/me/shop".into(), name: "shop".into(), approved: None },
            file: "/home/me/shop/.orch.yml".into(),
            created: true,
            added: vec![],
            home: "/home/me/.orch".into(),
            config_created: true,
            git: "2.47".into(),
            tmux: "3.3a".into(),
            agents: vec![
                Agent { name: "claude".into(), program: "/bin/claude".into(), has_login: Some(true), login: None },
                Agent {
                    name: "codex".into(),
                    program: "/bin/codex".into(),
                    has_login: Some(false),
                    login: Some("codex login".into()),
                },
            ],
            overhead: vec!["routing: claude (haiku) is asked".into(), "review: another agent looks".into()],
            base_branch: "main".into(),
            checks: vec!["make \u{1b}[2Jtest".into()],
            suggested_checks: vec!["cargo test".into()],
            setup: vec![],
            copied: vec![],
            has_workspace: false,
            tried: vec![],
            suggested_workspace: Workspace::default(),
        };
        assert_eq!(found.render(Paint::OFF), include_str!("../../../tests/fixtures/cli/init.txt"));
        assert_eq!(found.next(), "next: orch task add \"What is to be done\"");
        (found.checks, found.agents, found.created) = (vec![], vec![], false);
        let text = found.render(Paint::OFF);
        assert!(text.contains("none is installed") && text.contains("accepted without a check"), "{text}");
        assert!(found.next().contains("cargo test would fit"));
    }
}
