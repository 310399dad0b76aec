//! `orch upgrade check`: shows the running version, the version on the disk, the newest version that the package
//! manager knows, and what a restart would do. It uses no network.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::service::{Waiting, waiting};
use super::ui::text::line;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::switches::{FateView, ShutdownOrder};
use orch_core::operations::service::ShutdownMode;
use orch_core::operations::service::release::{
    CargoSource, OnDisk, candidate_of_apt, on_disk, source_of_cargo, version_of_manifest,
};
use orch_sys::fs;
use orch_sys::process::{Invocation, run_async, which};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// The address of the releases.
const RELEASES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/releases");
/// The largest file of cargo's that is read, in bytes.
const LARGEST: usize = 1 << 20;
/// How long a package manager may take to read its own list.
const LIST_TIME: Duration = Duration::from_secs(20);

/// The commands of `orch upgrade`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show whether a newer version is on the disk or at the package manager, and what a restart would do to running
    /// tasks
    Check,
}

/// The answer. Part of the JSON contract.
#[derive(Serialize)]
struct View {
    running: Option<String>,
    program: Option<Waiting>,
    restart_needed: bool,
    release: Release,
    under_way: Vec<Fate>,
}

/// A newer release, as far as it is known.
#[derive(Serialize)]
struct Release {
    /// `homebrew`, `apt`, `cargo`, or `null` if orch was installed in another way.
    source: Option<&'static str>,
    newest: Option<String>,
    is_newer: Option<bool>,
    upgrade: Option<String>,
}

#[derive(Serialize)]
struct Fate {
    task_id: u64,
    agent: String,
    disturbed: bool,
}

/// Prints the answer.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    let Command::Check = command;
    let setup = context.setup()?;
    let client = setup.connect().await;
    let mut view = View {
        running: None,
        program: None,
        restart_needed: false,
        release: release(context).await,
        under_way: Vec::new(),
    };
    if let Some(client) = client {
        let status = client.call(&endpoint::BriefStatus).await?;
        let program = waiting(context, &status).await;
        view.restart_needed = program.on_disk.waits();
        let order = ShutdownOrder { how: ShutdownMode::Stop, dry_run: true, why: None };
        let fates = client.call(&endpoint::Shutdown { body: order }).await?;
        view.under_way = fates
            .under_way
            .into_iter()
            .map(|work| Fate { task_id: work.task_id.0, agent: work.agent, disturbed: is_disturbed(work.fate) })
            .collect();
        view.running = Some(status.version);
        view.program = Some(program);
    }
    if context.ui.is_json() {
        context.ui.json(&view)?;
        return Ok(Exit::Done);
    }
    context.ui.data(&render(&view))?;
    if view.restart_needed {
        context.ui.note("next: orch service restart (or, started by hand: orch serve --replace)");
    } else if let Some(upgrade) = view.release.upgrade.as_ref().filter(|_| view.release.is_newer == Some(true)) {
        context.ui.note(&format!("next: {upgrade}"));
    }
    Ok(Exit::Done)
}

/// Returns whether a plain restart affects the run.
fn is_disturbed(fate: FateView) -> bool {
    match fate {
        FateView::GoesOn | FateView::Finished | FateView::Later => false,
        FateView::Interrupted => true,
    }
}

/// Returns the newest release that the package manager knows locally.
async fn release(context: &Context) -> Release {
    let none = Release { source: None, newest: None, is_newer: None, upgrade: None };
    let Some(own) = std::env::current_exe().ok().and_then(|own| own.canonicalize().ok()) else { return none };
    let is_brewed = own.components().any(|part| part.as_os_str() == "Cellar");
    if is_brewed && let Some(text) = list(context, "brew", &["info", "--json=v2", "orch"]).await {
        let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let newest = document.pointer("/formulae/0/versions/stable").and_then(serde_json::Value::as_str);
        return from_source("homebrew", newest, "brew update && brew upgrade orch");
    }
    let is_packaged = own.starts_with("/usr/bin");
    if is_packaged && let Some(text) = list(context, "apt-cache", &["policy", "orch"]).await {
        return match candidate_of_apt(&text) {
            Some(newest) => from_source("apt", Some(&newest), "sudo apt update && sudo apt upgrade orch"),
            None => from_source("apt", None, &format!("sudo apt install ./orch_VERSION_ARCH.deb, from {RELEASES}")),
        };
    }
    by_cargo(&own).unwrap_or(none)
}

/// Reads what cargo has recorded next to the programs that it installs.
fn by_cargo(own: &Path) -> Option<Release> {
    let list = fs::read_text(&own.parent()?.parent()?.join(".crates2.json"), LARGEST).ok()?;
    let list: serde_json::Value = serde_json::from_str(&list).ok()?;
    Some(match source_of_cargo(&list, env!("CARGO_PKG_NAME"))? {
        CargoSource::Checkout(dir) => {
            let manifest = fs::read_text(&Path::new(&dir).join("Cargo.toml"), LARGEST).unwrap_or_default();
            let upgrade = format!("git -C '{dir}' pull && cargo install --locked --path '{dir}'");
            from_source("cargo", version_of_manifest(&manifest), &upgrade)
        }
        CargoSource::Git(url) => from_source("cargo", None, &format!("cargo install --locked --git {url}")),
        CargoSource::Registry => from_source("cargo", None, "cargo install --locked orch"),
    })
}

fn from_source(source: &'static str, newest: Option<&str>, upgrade: &str) -> Release {
    let is_newer = match on_disk(env!("CARGO_PKG_VERSION"), newest, None) {
        OnDisk::Newer => Some(true),
        OnDisk::Same | OnDisk::Older | OnDisk::OtherBuild => Some(false),
        OnDisk::Missing | OnDisk::Unknown => None,
    };
    Release { source: Some(source), newest: newest.map(str::to_owned), is_newer, upgrade: Some(upgrade.to_owned()) }
}

async fn list(context: &Context, name: &str, args: &[&str]) -> Option<String> {
    let program = which(name, context.path())?;
    let call = Invocation::new(program, "/").args(args).envs(&context.environment);
    let call = call.env("HOMEBREW_NO_AUTO_UPDATE", "1").env("LC_ALL", "C").time_limit(LIST_TIME);
    run_async(&call).await.ok().filter(|output| output.success()).map(|output| output.text())
}

fn render(view: &View) -> String {
    let mut text = match &view.running {
        Some(version) => format!("runs:     orch {}\n", line(version)),
        None => format!("runs:     no daemon; this is orch {}\n", env!("CARGO_PKG_VERSION")),
    };
    if let Some(program) = &view.program {
        text.push_str(&format!("on disk:  {}\n", line(&program.describe())));
    }
    text.push_str(&released(&view.release));
    if view.running.is_some() {
        let count = view.under_way.len();
        let disturbed = view.under_way.iter().filter(|fate| fate.disturbed).count();
        text.push_str(&format!("restart:  {count} running, {disturbed} disturbed\n"));
        for fate in &view.under_way {
            let what = if fate.disturbed { "is interrupted" } else { "continues; the next daemon takes it over" };
            text.push_str(&format!("          #{} {}: {what}\n", fate.task_id, line(&fate.agent)));
        }
    }
    text
}

fn released(release: &Release) -> String {
    let newest = release.newest.as_deref().map(line).unwrap_or_default();
    let upgrade = release.upgrade.as_deref().map(line).unwrap_or_default();
    match (release.source, release.is_newer) {
        (None, _) => format!(
            "released: unknown: this orch was not installed by a package manager, and orch uses no network; see {RELEASES}\n"
        ),
        (Some("cargo"), Some(true)) => {
            format!("released: {newest} is newer, in the checkout from which cargo has installed it\n")
        }
        (Some("cargo"), Some(false)) => {
            format!("released: {newest} in the checkout from which cargo has installed it; a newer one: {upgrade}\n")
        }
        (Some("cargo"), None) => format!("released: not known here; the newest: {upgrade}\n"),
        (Some(source), Some(true)) => format!("released: {newest} is newer, according to {source}\n"),
        (Some(source), Some(false)) => format!("released: {newest}, according to the local list of {source}\n"),
        (Some(source), None) => format!("released: {source} does not know; the newest: {upgrade}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_restart_does_is_reported_for_each_task() {
        let view = View {
            running: Some("0.1.0".to_owned()),
            program: Some(Waiting { path: "/bin/orch".into(), version: None, on_disk: OnDisk::Unknown }),
            restart_needed: false,
            release: Release { source: None, newest: None, is_newer: None, upgrade: None },
            under_way: vec![Fate { task_id: 7, agent: "claude".to_owned(), disturbed: false }],
        };
        let text = render(&view);
        assert!(text.contains("restart:  1 running, 0 disturbed\n          #7 claude: continues"), "{text}");
        assert!(text.contains("orch uses no network; see https://"), "{text}");
        let cargo = |newest: Option<&str>| released(&from_source("cargo", newest, "git -C '/o' pull && …"));
        assert!(cargo(Some("999.0.0")).contains("999.0.0 is newer, in the checkout"));
        assert!(cargo(Some(env!("CARGO_PKG_VERSION"))).ends_with("a newer one: git -C '/o' pull && …\n"));
        assert!(cargo(None).contains("the newest: git"));
        assert!(released(&from_source("apt", None, "x")).contains("apt does not know; the newest: x"));
    }

    #[test]
    fn a_list_that_is_odd_says_nothing() {
        let release = from_source("apt", Some("(none)"), "x");
        assert_eq!((release.is_newer, release.newest.as_deref()), (None, Some("(none)")));
        assert_eq!(from_source("apt", Some("999.0.0"), "x").is_newer, Some(true));
        assert_eq!(from_source("apt", Some(env!("CARGO_PKG_VERSION")), "x").is_newer, Some(false));
        assert_eq!(from_source("apt", None, "x").is_newer, None);
    }
}
