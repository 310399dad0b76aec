//! `orch init`: registers a repository, writes its `.orch.yml`, and approves the commands in it. Running it again
//! approves the present file. Looks for agents and their logins in the terminal's own environment on purpose: it sets up the
//! person's machine before any daemon runs.

mod detect;
mod found;

use super::config::set::{LOCK, write_all};
use super::context::{Context, Link, resolve};
use super::error::CliError;
use super::exit::Exit;
use super::{repository, settings};
use crate::daemon::Setup;
use found::{Agent, Found};
use orch_api::endpoint;
use orch_api::evidence::CheckView;
use orch_api::types::{NewProject, TryChecks};
use orch_config::FileKind;
use orch_config::layers::{Layer, Loaded, load};
use orch_config::resolved::Config;
use orch_engine::{WHO_COMMITS, content_id, installed, login_of, overhead};
use orch_sys::fs::{self, exchange_write};
use orch_sys::git::Repo;
use orch_sys::process::which;
use std::path::Path;

/// Arguments of `orch init`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Name of the project; without it, the name of its directory
    #[arg(long)]
    name: Option<String>,
    /// Branch that work starts from; without it, the branch that is checked out
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// Enable the checks and the workspace settings that fit this repository; existing settings stay
    #[arg(long)]
    with_checks: bool,
    /// Run each check once on the base, in a fresh checkout (the default at a terminal)
    #[arg(long = "try", conflicts_with = "no_try")]
    try_checks: bool,
    /// Do not run the checks
    #[arg(long)]
    no_try: bool,
    /// Accepted for scripts: init asks nothing
    #[arg(long, short, hide = true)]
    yes: bool,
}

/// Registers the repository, and prints what was found.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let found = register(args, context).await?;
    if context.ui.is_json() {
        context.ui.json(&found)?;
    } else {
        context.ui.data(&found.render(context.ui.paint()))?;
        context.ui.note(&found.next());
    }
    Ok(if found.is_red() { Exit::PersonNeeded } else { Exit::Done })
}

/// Registers the repository around the working directory.
pub async fn register(args: Args, context: &Context) -> Result<Found, CliError> {
    let setup = context.setup()?;
    let git = repository::git(context, &setup.home).await?;
    let tmux = setup.tmux().check().await?;
    let repo = Repo::discover(&git, &context.cwd).await?;
    let root = resolve(&context.cwd, repo.root());
    let file = root.join(settings::PROJECT_FILE);
    let suggested = detect::checks(&root);
    let untracked = repo.untracked(&repo.main_checkout()).await?;
    let workspace = detect::workspace(&root, &untracked);
    // A missing base branch is reported before anything is written.
    let (before, present) = read(&file, context, &setup)?;
    let wanted = args.base.as_deref().or(present.config.workflow.base_branch.as_deref());
    let base = repo.default_branch(wanted).await?;
    let created = !file.exists();
    let added = settle_file(&args, &setup, &file, &before, &present.config, &suggested, &workspace)?;
    let (text, loaded) = read(&file, context, &setup)?;
    loaded.warnings.iter().for_each(|warning| context.ui.warning(&warning.to_string()));
    let name = project_name(&args, &loaded, &root);
    let config_created = ensure_config(&setup)?;
    let mut link = context.link().await?;
    let approved = Some(content_id(text.as_bytes()));
    let project = link.call(&endpoint::ProjectRegister { body: NewProject { dir: root, name, approved } }).await?;
    let is_wanted = args.try_checks || (!args.no_try && context.ui.terminal_columns().is_some());
    let tried = match is_wanted && !loaded.config.workflow.checks.is_empty() {
        true => try_checks(&mut link, &project, context).await?,
        false => Vec::new(),
    };
    let found = Found {
        tried,
        project,
        file,
        created,
        added,
        home: setup.home.root().to_owned(),
        config_created,
        git: format!("{}.{}", git.version().0, git.version().1),
        tmux,
        agents: agents_of(context, &loaded),
        overhead: overhead(&loaded.config, &context.environment, &installed(&loaded.config, context.path())),
        base_branch: base.as_str().to_owned(),
        checks: loaded.config.workflow.checks.clone(),
        suggested_checks: suggested,
        setup: loaded.config.workspace.setup.clone(),
        copied: loaded.config.workspace.copy.clone(),
        has_workspace: loaded.config.workspace != orch_config::resolved::Workspace::default(),
        suggested_workspace: detect::lacking(&loaded.config, &workspace),
    };
    if let Err(error) = repo.author().await {
        context.ui.warning(&format!("git does not know who commits here, so no agent can: {error}"));
        context.ui.note(WHO_COMMITS);
    }
    link.close().await?;
    Ok(found)
}

/// Runs each check on the base.
async fn try_checks(link: &mut Link, project: &NewProject, context: &Context) -> Result<Vec<CheckView>, CliError> {
    context.ui.note("running the checks on the base, in a fresh checkout; Ctrl-C skips them");
    // The approval must hold before the checks run.
    let _taken = link.call(&endpoint::SettingsReload).await?;
    link.call(&endpoint::ProjectTry { body: TryChecks { dir: project.dir.clone() } }).await
}

/// Writes the project's file if there is none or only one that `init` wrote; otherwise adds the requested settings.
/// Returns the keys that `--with-checks` has added.
fn settle_file(
    args: &Args,
    setup: &Setup,
    file: &Path,
    before: &str,
    present: &Config,
    suggested: &[String],
    workspace: &detect::Workspace,
) -> Result<Vec<String>, CliError> {
    let created = !file.exists();
    let proposed = if args.with_checks { detect::proposed(present, suggested, workspace) } else { Vec::new() };
    let keys = proposed.iter().map(|(key, _)| (*key).to_owned()).filter(|_| !created).collect();
    let known = (present.name.as_deref(), present.workflow.base_branch.as_deref());
    let (name, base) = if created { (None, None) } else { known };
    let is_of_init = || detect::project_file(name, base, None, suggested, workspace) == before;
    if created || (args.with_checks && is_of_init()) {
        let (name, base) = (args.name.as_deref().or(name), args.base.as_deref().or(base));
        let active = args.with_checks.then_some(suggested);
        let text = detect::project_file(name, base, active, suggested, workspace);
        write_file(setup, file, &text, (!created).then_some(before.as_bytes()))?;
        return Ok(keys);
    }
    let named = [("name", &args.name), ("workflow.base_branch", &args.base)];
    let mut changes: Vec<(&str, &str)> =
        named.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))).collect();
    changes.extend(proposed.iter().map(|(key, value)| (*key, value.as_str())));
    if !changes.is_empty() {
        write_all(file, FileKind::Project, &setup.home.state().join(LOCK), &changes)?;
    }
    Ok(keys)
}

/// Writes the project's file, in place of `old`.
fn write_file(setup: &Setup, file: &Path, text: &str, old: Option<&[u8]>) -> Result<(), CliError> {
    fs::create_dir_private(&setup.home.state())?;
    let lock = setup.home.state().join(LOCK);
    exchange_write(file, &lock, text.as_bytes(), old)
        .map_err(|source| CliError::Write { path: file.to_owned(), source })?;
    Ok(())
}

/// Reads the project's file and its settings. The text read here is the one that is approved.
fn read(file: &Path, context: &Context, setup: &Setup) -> Result<(String, Loaded), CliError> {
    let text = settings::text_of(file)?.unwrap_or_default();
    let mut layers = settings::layers(context, &setup.home)?;
    layers.push(Layer::Project { path: file.to_owned(), text: text.clone(), trusted: true });
    Ok((text, load(&layers).map_err(CliError::Config)?))
}

fn project_name(args: &Args, loaded: &Loaded, root: &Path) -> String {
    let of_directory = || root.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = args.name.clone().or_else(|| loaded.config.name.clone()).or_else(of_directory);
    name.unwrap_or_else(|| "root".to_owned())
}

/// Creates the home with a commented `config.yml`. Returns whether it did.
fn ensure_config(setup: &Setup) -> Result<bool, CliError> {
    setup.prepare()?;
    let path = setup.home.config_file();
    if path.exists() {
        return Ok(false);
    }
    let lock = setup.home.state().join(LOCK);
    exchange_write(&path, &lock, detect::CONFIG_FILE.as_bytes(), None)
        .map_err(|source| CliError::Write { path, source })?;
    Ok(true)
}

/// Returns the agents whose program is in `PATH`.
fn agents_of(context: &Context, loaded: &Loaded) -> Vec<Agent> {
    let config = &loaded.config;
    let of = |name: String| {
        let agent = config.agent(&name)?;
        let program = which(&agent.command, context.path())?;
        let login = login_of(&context.environment, agent);
        let missing = login.as_ref().and_then(|login| login.as_ref().err()).map(|login| (*login).to_owned());
        Some(Agent { name, program, has_login: login.map(|login| login.is_ok()), login: missing })
    };
    installed(config, context.path()).into_iter().filter_map(of).collect()
}
