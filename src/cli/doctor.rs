//! `orch doctor`: checks whether everything that orch needs is there and nothing superfluous is left, reports how to
//! fix problems, and fixes them where that is safe. Needs no engine, and works next to one. Examines the terminal's own
//! environment on purpose: that is the one in which the person logs in, and which the next engine starts with.

mod probes;
mod verdict;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::repository;
use super::service;
use super::settings;
use super::ui::paint::{Paint, Role};
use super::ui::text::line;
use crate::daemon::Setup;
use futures::future::join_all;
use orch_config::layers::load;
use orch_config::resolved_agent::{AgentConfig, KNOWN};
use orch_config::validate::check_references;
use orch_config::{Config, RouterMode};
use orch_core::models::agents::{DialectKind, api};
use orch_engine::{
    Finding, MendWish, Patient, Verdict, check_up, direct_model, installed, interrupted_restore, last_damage, login_of,
    overhead,
};
use orch_sys::git::{Git, GitError};
use orch_sys::process::{Invocation, run_async, which};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// The time limit of a probe. Probes run concurrently, and the whole command should take less than a second.
const VERSION_TIME: Duration = Duration::from_millis(700);

/// Arguments of `orch doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fix what is safe to fix; a damaged journal is kept and rebuilt
    #[arg(long)]
    fix: bool,
    /// With --fix: show what would be fixed, and fix nothing
    #[arg(long, requires = "fix")]
    dry_run: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    dry_run: bool,
    findings: &'a [Finding],
}

/// Runs the checks, applies the requested fixes, and prints the findings.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let setup = context.setup()?;
    let wish = match (args.fix, args.dry_run) {
        (false, _) => MendWish::Inspect,
        (true, true) => MendWish::DryRun,
        (true, false) => MendWish::Fix,
    };
    if wish == MendWish::Fix && setup.connect().await.is_none() {
        let mended = context.ui.wait("looking at the journal", setup.mend()).await?;
        mended.iter().for_each(|damage| context.ui.warning(&damage.describe()));
    }
    let findings = context.ui.wait("looking", find(context, &setup, wish)).await;
    let ok = verdict::is_ready(&findings);
    if context.ui.is_json() {
        context.ui.json(&Report { ok, dry_run: args.dry_run, findings: &findings })?;
    } else {
        let paint = context.ui.paint();
        context.ui.data(&(render(&findings, paint) + &verdict::last_line(&findings, paint)))?;
    }
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

async fn find(context: &Context, setup: &Setup, wish: MendWish) -> Vec<Finding> {
    let (known, config_finding) = config(context, setup);
    let git = repository::git(context, &setup.home).await;
    let git_finding = git_found(&git);
    let git = git.ok();
    let config = known.clone().unwrap_or_default();
    let patient = Patient {
        home: &setup.home,
        config: &config,
        sources: setup.sources(),
        tmux: setup.tmux(),
        git: git.clone(),
        sockets: setup.sockets().into(),
        now: context.now().at,
    };
    let of_agents = async {
        match &known {
            Some(config) => agents(context, config).await,
            None => Vec::new(),
        }
    };
    let of_engine = async {
        let (finding, status) = probes::engine(setup).await;
        [Some(finding), probes::port(&config, status.as_ref()).await].into_iter().flatten().collect::<Vec<_>>()
    };
    let (tmux, author, agents, engine, service, journal, checkup) = tokio::join!(
        tmux(setup),
        probes::author(git.as_ref(), &context.cwd),
        of_agents,
        of_engine,
        service::checkup(context, known.as_ref()),
        journal(setup, wish),
        check_up(&patient, wish),
    );
    let mut findings = vec![git_finding, tmux];
    findings.extend(author);
    findings.extend(agents);
    findings.push(config_finding);
    findings.push(home(setup.home.root()));
    findings.extend(engine);
    findings.extend(service);
    findings.extend(journal);
    findings.extend(checkup);
    findings
}

fn git_found(git: &Result<Git, GitError>) -> Finding {
    match git {
        Ok(git) => {
            let (major, minor) = git.version();
            Finding::new("git", Verdict::Ok, format!("{major}.{minor} at {}", git.program().display()))
        }
        Err(error) => {
            let remedy = error.hint().unwrap_or_else(|| "see `git version`".to_owned());
            Finding::new("git", Verdict::Bad, error.to_string()).remedy(remedy)
        }
    }
}

async fn tmux(setup: &Setup) -> Finding {
    match setup.tmux().check().await {
        Ok(version) => Finding::new("tmux", Verdict::Ok, version),
        Err(error) => Finding::new("tmux", Verdict::Bad, error.to_string())
            .remedy("brew install tmux, apt install tmux, or dnf install tmux"),
    }
}

/// Checks each agent, and whether there is any.
async fn agents(context: &Context, config: &Config) -> Vec<Finding> {
    let program = |name: &str| which(&config.agent(name)?.command, context.path());
    let looks = config.agents.iter().map(|(name, agent)| one_agent(context, name, agent));
    let mut findings: Vec<Finding> = join_all(looks).await.into_iter().flatten().collect();
    let router = &config.router.agent;
    let there: Vec<(&str, &AgentConfig)> = config.agents.iter().filter(|(name, _)| program(name).is_some()).collect();
    findings.extend(probes::logins(context, &there));
    if config.agents.names().all(|name| program(name).is_none()) {
        findings.push(
            Finding::new("agents", Verdict::Bad, "no agent is installed").remedy(
                "npm install -g @anthropic-ai/claude-code (or @openai/codex, or opencode-ai), and log in with it; or declare a \
                 program of your own under `agents` (docs/how-to/own-agents.md)",
            ),
        );
    } else if config.router.agents.iter().all(|name| program(name).is_none()) {
        let detail =
            format!("none of router.agents ({}) is installed: no task can be routed", config.router.agents.join(", "));
        let there = config.agents.names().filter(|name| program(name).is_some()).collect::<Vec<_>>().join(", ");
        findings.push(
            Finding::new("router", Verdict::Bad, detail)
                .remedy(format!("orch config set router.agents '[{there}]', or install one of them")),
        );
    } else if config.router.mode == RouterMode::Llm && router == api::NAME {
        findings.push(router_by_key(context, config));
    } else if config.router.mode == RouterMode::Llm && program(router).is_none() {
        let detail = format!("router.agent {router} is not installed: tasks without an agent label go to the fallback");
        findings.push(
            Finding::new("router", Verdict::Warning, detail)
                .remedy("orch config set router.agent NAME, or orch config set router.mode round_robin"),
        );
    }
    for text in overhead(config, &context.environment, &installed(config, context.path())) {
        findings.push(Finding::new("beside the work", Verdict::Ok, text));
    }
    findings
}

/// Checks whether the router can call its model by an API key, without an agent.
fn router_by_key(context: &Context, config: &Config) -> Finding {
    let asked = &config.router.model;
    match direct_model(config, &context.environment, asked) {
        Ok(model) => Finding::new("router", Verdict::Ok, format!("asks {model} directly")),
        Err(why) => {
            let detail = format!("router.agent api cannot ask {asked}: {why}; tasks go to the fallback");
            let remedy =
                "mend router.model, or set the key where the daemon is started; or orch config set router.agent NAME";
            Finding::new("router", Verdict::Warning, detail).remedy(remedy)
        }
    }
}

/// A missing agent is reported only if it is declared or one of the usual ones.
async fn one_agent(context: &Context, name: &str, agent: &AgentConfig) -> Option<Finding> {
    let title = format!("agent {name}");
    let Some(program) = which(&agent.command, context.path()) else {
        let detail = format!("{} is not installed", agent.command);
        if !KNOWN.iter().any(|(known, _)| *known == name) {
            let remedy = format!("install it, or set agents.{name}.command");
            return Some(Finding::new(&title, Verdict::Warning, detail).remedy(remedy));
        }
        let usual = ["claude", "codex", "opencode"].contains(&name);
        return usual.then(|| Finding::new(&title, Verdict::Ok, format!("{detail}; orch does without it")));
    };
    let version = match agent.kind {
        DialectKind::Command | DialectKind::Api => String::new(),
        DialectKind::Claude | DialectKind::Codex | DialectKind::Opencode => version_of(context, &program).await,
    };
    let detail = format!("{version}{}", program.display());
    Some(match login_of(&context.environment, agent) {
        None => Finding::new(&title, Verdict::Ok, detail),
        Some(Ok(found)) => Finding::new(&title, Verdict::Ok, format!("{detail}; {found}")),
        Some(Err(login)) => {
            let detail = format!("{detail}; no credentials are found, unless it needs none");
            Finding::new(&title, Verdict::Warning, detail).remedy(login)
        }
    })
}

/// Returns `1.2.3 at `, or an empty string if the version is unknown.
async fn version_of(context: &Context, program: &Path) -> String {
    let call = Invocation::new(program, "/").arg("--version").envs(&context.environment).time_limit(VERSION_TIME);
    let output = run_async(&call).await.ok().filter(|output| output.success());
    let text = output.map(|output| output.text()).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default().trim();
    if first.is_empty() { String::new() } else { format!("{first} at ") }
}

/// Checks the settings. Without readable settings the agents are unknown.
fn config(context: &Context, setup: &Setup) -> (Option<Config>, Finding) {
    let path = setup.home.config_file();
    let bad = |detail: String| {
        let finding =
            Finding::new("config", Verdict::Bad, detail).remedy("mend the file; orch config validate checks it");
        (None, finding)
    };
    let layers = match settings::layers(context, &setup.home) {
        Ok(layers) => layers,
        Err(error) => return bad(error.to_string()),
    };
    let loaded = match load(&layers) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let details: Vec<String> =
                problems.iter().map(|problem| problem_finding(Verdict::Bad, problem).detail).collect();
            let first = problems.first().and_then(|problem| problem_finding(Verdict::Bad, problem).remedy);
            let finding = Finding::new("config", Verdict::Bad, details.join("; "));
            return (None, finding.remedy(first.unwrap_or_else(|| CHECK.to_owned())));
        }
    };
    let missing = check_references(&loaded.config, &loaded.origins, &context.environment);
    if let Some(problem) = missing.first() {
        return (Some(loaded.config), problem_finding(Verdict::Bad, problem));
    }
    let detail = if path.exists() { format!("{} is valid", path.display()) } else { "the defaults".to_owned() };
    let finding = match loaded.warnings.first() {
        Some(warning) => problem_finding(Verdict::Warning, warning),
        None => Finding::new("config", Verdict::Ok, detail),
    };
    (Some(loaded.config), finding)
}

/// The command that checks the file again.
const CHECK: &str = "orch config validate";

/// Converts a problem of the configuration into a finding.
fn problem_finding(verdict: Verdict, problem: &impl ToString) -> Finding {
    Finding::of_problem("config", verdict, &problem.to_string(), CHECK)
}

fn home(root: &Path) -> Finding {
    let shown = root.display();
    let found = match root.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::new("home", Verdict::Ok, format!("{shown} is made when it is needed"));
        }
        Err(error) => {
            let remedy = format!("make {shown} yours, or set ORCH_HOME to another directory");
            return Finding::new("home", Verdict::Bad, format!("{shown}: {error}")).remedy(remedy);
        }
    };
    if !found.is_dir() {
        let finding = Finding::new("home", Verdict::Bad, format!("{shown} is not a directory"));
        return finding.remedy("move it away, or set ORCH_HOME to another directory");
    }
    if rustix::fs::access(root, rustix::fs::Access::WRITE_OK).is_err() {
        let finding = Finding::new("home", Verdict::Bad, format!("{shown} is not writable"));
        return finding.remedy(format!("chown $USER {shown}, or set ORCH_HOME to another directory"));
    }
    Finding::new("home", Verdict::Ok, shown.to_string())
}

/// The size up to which a plain check reads the whole journal; `--fix` always does.
const EXAMINED: u64 = 64 << 20;

/// Checks whether the journal is intact, and reports a journal that was not.
async fn journal(setup: &Setup, wish: MendWish) -> Vec<Finding> {
    if let Some(file) = interrupted_restore(&setup.home) {
        let detail = format!("restoring {file} was interrupted: the home is inconsistent");
        let remedy = format!("orch restore {file} --force");
        return vec![Finding::new("restore", Verdict::Bad, detail).remedy(remedy)];
    }
    let path = setup.home.journal();
    let mut findings = Vec::new();
    let size = path.metadata().map(|found| found.len());
    if size.as_ref().is_ok_and(|size| *size > EXAMINED && wish == MendWish::Inspect) {
        let detail = format!("{} is large: orch doctor --fix examines all of it", path.display());
        findings.push(Finding::new("journal", Verdict::Ok, detail));
    } else if size.is_ok() {
        let looking = setup.clone();
        let looked = tokio::task::spawn_blocking(move || looking.verify_journal().map_err(|error| error.to_string()));
        findings.push(match looked.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => Finding::new("journal", Verdict::Ok, format!("{} is whole", path.display())),
            Err(error) => Finding::new("journal", Verdict::Bad, error)
                .remedy("stop the daemon, then orch doctor --fix: the damaged file is kept"),
        });
    }
    if let Some(text) = setup.displaced() {
        findings.push(Finding::new("state", Verdict::Warning, text).remedy("remove the note when you have read it"));
    }
    if let Some(damage) = last_damage(&setup.home) {
        let remedy = format!("read report.txt there; if nothing is missing, remove {}", damage.kept.display());
        findings.push(Finding::new("rebuilt journal", Verdict::Warning, damage.describe()).remedy(remedy));
    }
    findings
}

fn render(findings: &[Finding], paint: Paint) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Ok => paint.text(Role::Good, "ok     "),
            Verdict::Warning => paint.text(Role::Warning, "warning"),
            Verdict::Bad => paint.text(Role::Bad, "bad    "),
        };
        let mark = if finding.fixed { paint.text(Role::Good, "mended ") } else { mark };
        text.push_str(&format!("{mark}  {}: {}\n", line(&finding.name), line(&finding.detail)));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("         → {}\n", line(remedy)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_like_this() {
        let findings = [
            Finding::new("git", Verdict::Ok, "2.47 at /usr/bin/git"),
            Finding::new("home", Verdict::Warning, "/h is open to others (mode 755)").remedy("chmod 700 /h"),
            Finding::new("tmux", Verdict::Bad, "tmux is not installed\u{1b}").remedy("apt install tmux"),
        ];
        assert_eq!(
            render(&findings, Paint::OFF),
            "ok       git: 2.47 at /usr/bin/git\nwarning  home: /h is open to others (mode 755)\n         → chmod 700 /h\n\
             bad      tmux: tmux is not installed\\u{1b}\n         → apt install tmux\n"
        );
    }

    #[test]
    fn a_hint_is_what_to_do_and_no_part_of_what_is_wrong() {
        let found =
            problem_finding(Verdict::Warning, &"config.yml:2:3: unknown key\n  - make\n  hint: known here: a, b");
        assert_eq!(found.detail, "config.yml:2:3: unknown key - make");
        assert_eq!(found.remedy.as_deref(), Some("known here: a, b; orch config validate"));
        assert_eq!(problem_finding(Verdict::Bad, &"it is wrong").remedy.as_deref(), Some("orch config validate"));
    }

    #[test]
    fn a_home_is_a_directory_or_not_there_yet() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(home(dir.path()).verdict, Verdict::Ok);
        assert_eq!(home(&dir.path().join("none")).verdict, Verdict::Ok);
        std::fs::File::create(dir.path().join("file")).expect("made");
        assert_eq!(home(&dir.path().join("file")).verdict, Verdict::Bad);
    }
}
