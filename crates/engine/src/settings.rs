//! The settings in force: the person's own and each project's, with the agents that are installed. Read whole and
//! swapped whole; a file that does not read keeps the last good settings in force.

pub(crate) mod frozen;
pub(crate) mod routing;
pub(crate) mod settling;

pub use crate::settings::routing::OwnedRouting;
use crate::settings::settling::Settling;
use orch_config::home::Home;
use orch_config::layers::{self, Layer};
use orch_config::policy::{MAX_BYTES, parse_policy};
use orch_config::raw::{Integrate, RouterMode as ConfiguredMode};
use orch_config::resolved::Config;
use orch_config::{Warning, identity};
use orch_core::base::count;
use orch_core::economics::policy::Policy;
use orch_core::models::agents::DialectKind;
use orch_core::planning::overlap::Overlap;
use orch_core::planning::plan::directory;
use orch_core::prompts::router::{ModelMap, RouteInput, RouterMode, RouterSettings};
use orch_core::tasks::escalation::Rung;
use orch_core::tasks::review::ReviewMode;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task::{State, Task};
use orch_store::journal::Project;
use orch_sys::fs::{self, FsError};
use orch_sys::machine;
use orch_sys::process::which;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The value of `router.fallback_executor` by which the agents take turns.
const TAKE_TURNS: &str = "round_robin";
/// The largest configuration file that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// Settings, whole and consistent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Without any project.
    pub config: Arc<Config>,
    /// Agents whose program was found, in the order of `router.agents`, then by name.
    pub installed: Vec<String>,
    /// What is wrong with the files now, for a person.
    pub problems: Vec<String>,
    /// Why nothing is known of what the person set: the files do not read, and never did since the start.
    pub unread: Option<String>,
    /// The same of projects: why nothing is known of what is set there, by their directories. Nothing of theirs begins.
    pub unread_projects: BTreeMap<PathBuf, String>,
    /// A file could not be read, whatever it holds: it is to be tried again though it does not change.
    pub is_missed: bool,
    /// Agents that are not chosen while others are left.
    pub avoided: Vec<String>,
    /// What is to be known of agents' money, by their names.
    pub advice: BTreeMap<String, String>,
    /// Accounts that are paid in advance, with something left.
    pub ahead: BTreeSet<String>,
    /// The identity under which tasks are started, as claims name it.
    pub identity: String,
    /// The policy that routes; `None`: none does.
    pub policy: Option<Arc<LivePolicy>>,
    projects: BTreeMap<PathBuf, Arc<Config>>,
    settling: Settling,
}

/// The policy of `router.policy`.
#[derive(Debug, Clone, PartialEq)]
pub struct LivePolicy {
    /// The name of the policy's file.
    pub name: String,
    /// The policy that the file holds.
    pub policy: Policy,
}

/// What settings are read from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The home that the settings belong to.
    pub home: Home,
    /// The daemon's environment.
    pub environment: BTreeMap<String, String>,
    /// Dotted keys from the command line.
    pub flags: Vec<(String, String)>,
    /// Returns whether the directory of a project exists.
    pub(crate) is_there: fn(&Path) -> bool,
}

/// Returns the content id by which a person approves an `.orch.yml`: SHA-256 in hex.
pub fn content_id(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file of a project.
pub fn project_file(dir: &Path) -> PathBuf {
    dir.join(".orch.yml")
}

/// Returns the name for claims of the person who has this environment.
pub fn identity_of(environment: &BTreeMap<String, String>) -> String {
    let logins = identity::logins_file(environment).and_then(|file| fs::read_text(&file, identity::LARGEST).ok());
    identity::identity(environment, logins.as_deref(), &machine::host_name())
}

impl Sources {
    /// Returns the files of a home, under an environment and what the command line says.
    pub fn new(home: Home, environment: BTreeMap<String, String>, flags: Vec<(String, String)>) -> Self {
        Self { home, environment, flags, is_there: Path::is_dir }
    }

    /// Reads everything. `last` stays in force for what does not read.
    pub fn load(&self, projects: &[Project], last: Option<&Settings>) -> Settings {
        let mut problems = Vec::new();
        let mut settling = last.map(|last| last.settling.clone()).unwrap_or_default();
        let (mut global, missing) = self.global();
        let found = own_text(&global);
        let held = if missing.is_none() { settling.held(found.as_deref()) } else { None };
        if let Some(text) = &held {
            tracing::info!("config.yml is away or shorter than it was; what it said stays in force for some seconds");
            global.retain(|layer| !matches!(layer, Layer::Global { .. }));
            global.push(Layer::Global { path: self.home.config_file(), text: text.clone() });
        }
        let mut is_missed = missing.as_ref().is_some_and(Unread::is_missed);
        problems.extend(missing.map(Unread::into_problem));
        let without_global = !problems.is_empty();
        let read = self.read(&global, None, &mut problems).filter(|_| !without_global).map(Arc::new);
        if read.is_some() && held.is_none() {
            settling.read(found.as_deref());
        }
        let (config, unread) = match (read, last) {
            (Some(config), _) => (config, None),
            (None, Some(last)) => (Arc::clone(&last.config), last.unread.as_ref().and(problems.first().cloned())),
            // With the defaults, agents would begin without the limits and the checks that are set there.
            (None, None) => (Arc::default(), problems.first().cloned()),
        };
        let (mut of_projects, mut unread_projects) = (BTreeMap::new(), BTreeMap::new());
        for project in projects {
            // What stood in for a file that never read is not what it says.
            let is_known = |last: &&Settings| !last.unread_projects.contains_key(&project.dir);
            let known = last.filter(is_known).and_then(|s| s.projects.get(&project.dir));
            let known_problems = problems.len();
            let read = match self.project_layer(project) {
                // A project's own settings mean nothing without those below them.
                Ok(Some(layer)) if !without_global => self.read(&global, Some(layer), &mut problems).map(Arc::new),
                Ok(Some(_)) => None,
                Ok(None) => Some(Arc::clone(&config)),
                Err(unread) => {
                    is_missed |= unread.is_missed();
                    problems.push(unread.into_problem());
                    None
                }
            };
            // A project whose file does not read goes on with what held before.
            let config = read.or_else(|| known.cloned()).unwrap_or_else(|| {
                let problem = problems.get(known_problems).or(problems.first()).cloned().unwrap_or_default();
                unread_projects.insert(project.dir.clone(), problem);
                Arc::new(without_settings(&config))
            });
            of_projects.insert(project.dir.clone(), config);
        }
        let mut installed = installed(&config, self.environment.get("PATH").map_or("", String::as_str));
        if let Some(last) = last {
            settling.keep_away(&mut installed, &last.installed, |name| config.agent(name).is_some());
        }
        is_missed |= settling.is_open();
        problems.dedup();
        let avoided = last.map(|last| last.avoided.clone()).unwrap_or_default();
        let advice = last.map(|last| last.advice.clone()).unwrap_or_default();
        let ahead = last.map(|last| last.ahead.clone()).unwrap_or_default();
        let identity = identity_of(&self.environment);
        let policy = self.policy(&config).map(|policy| policy.map(Arc::new)).unwrap_or_else(|problem| {
            let last = last.and_then(|last| last.policy.clone());
            let stays = if last.is_some() { "the one that was read before stays in force" } else { "no policy routes" };
            problems.push(format!("router.policy: {problem}; {stays}"));
            last
        });
        let projects = of_projects;
        Settings {
            config,
            installed,
            problems,
            unread,
            unread_projects,
            is_missed,
            avoided,
            advice,
            ahead,
            identity,
            policy,
            projects,
            settling,
        }
    }

    /// The file of the policy, where one is named.
    pub fn policy_file(&self, config: &Config) -> Option<PathBuf> {
        // An absolute path stays what it is.
        config.router.policy.as_ref().map(|file| self.home.root().join(file))
    }

    /// Reads the policy of these settings.
    ///
    /// # Errors
    /// It is missing or cannot be followed; the reason in words, with the place.
    pub fn policy(&self, config: &Config) -> Result<Option<LivePolicy>, String> {
        let Some(path) = self.policy_file(config) else { return Ok(None) };
        let text = fs::read_text(&path, MAX_BYTES).map_err(|error| error.to_string())?;
        let wrong = |error: String| format!("{}: {error}", path.display());
        let policy = parse_policy(&text).map_err(|error| wrong(error.to_string()))?.policy;
        for name in std::iter::once(&policy.ladder).chain(policy.groups.values()).flatten() {
            let rung: Rung = name.parse().map_err(wrong)?;
            if config.agent(&rung.agent).is_none() {
                return Err(wrong(format!("{name} names no agent; write agent/model, as in escalation.ladder")));
            }
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Some(LivePolicy { name, policy }))
    }

    fn global(&self) -> (Vec<Layer>, Option<Unread>) {
        let mut layers = vec![Layer::Environment(self.environment.clone()), Layer::Flags(self.flags.clone())];
        let path = self.home.config_file();
        match read_text(&path) {
            Ok(text) => {
                layers.extend(text.map(|text| Layer::Global { path, text }));
                (layers, None)
            }
            Err(unread) => (layers, Some(unread)),
        }
    }

    fn project_layer(&self, project: &Project) -> Result<Option<Layer>, Unread> {
        let path = project_file(&project.dir);
        let layer = |text: String| {
            let trusted = project.approved.as_deref() == Some(content_id(text.as_bytes()).as_str());
            Layer::Project { path: path.clone(), text, trusted }
        };
        match read_text(&path)? {
            None if !(self.is_there)(&project.dir) => {
                let dir = project.dir.display();
                Err(Unread::Missed(format!("{dir} is away, and with it what is set there")))
            }
            text => Ok(text.map(layer)),
        }
    }

    /// Returns what is odd in a project's own file; `None` where it has none, or where that is unknown because the person's own
    /// settings do not read.
    ///
    /// # Errors
    /// Why it does not read, one text for each mistake.
    pub(crate) fn examine(&self, project: &Project) -> Result<Option<Vec<Warning>>, Vec<String>> {
        let Some(layer) = self.project_layer(project).map_err(|unread| vec![unread.into_problem()])? else {
            return Ok(None);
        };
        let (mut layers, missing) = self.global();
        let (None, Ok(own)) = (missing, layers::load(&layers)) else { return Ok(None) };
        layers.push(layer);
        let loaded =
            layers::load(&layers).map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Ok(Some(loaded.warnings.into_iter().filter(|warning| !own.warnings.contains(warning)).collect()))
    }

    fn read(&self, global: &[Layer], project: Option<Layer>, problems: &mut Vec<String>) -> Option<Config> {
        let of_project = project.is_some();
        let layers: Vec<Layer> = global.iter().cloned().chain(project).collect();
        match layers::load(&layers) {
            Ok(loaded) => {
                problems.extend(loaded.warnings.iter().map(ToString::to_string));
                if !of_project {
                    let missing =
                        orch_config::validate::check_references(&loaded.config, &loaded.origins, &self.environment);
                    problems.extend(missing.iter().map(ToString::to_string));
                }
                Some(loaded.config)
            }
            Err(found) => {
                problems.extend(found.iter().map(ToString::to_string));
                None
            }
        }
    }
}

/// Why a file gives no settings.
#[derive(Debug)]
enum Unread {
    /// The disk does not hand it out just now.
    Missed(String),
    /// It is no text, no file, or not to be read: that stays so until the file changes.
    Settled(String),
}

impl Unread {
    fn is_missed(&self) -> bool {
        matches!(self, Self::Missed(_))
    }

    fn into_problem(self) -> String {
        match self {
            Self::Missed(problem) | Self::Settled(problem) => problem,
        }
    }
}

fn read_text(path: &Path) -> Result<Option<String>, Unread> {
    match fs::read_limited(path, LARGEST) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map(Some);
            text.map_err(|_| Unread::Settled(format!("{} is not UTF-8 text", path.display())))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => {
            let said_no = matches!(&error, FsError::Io { source, .. } if source.kind() != ErrorKind::PermissionDenied);
            Err(if said_no { Unread::Missed(error.to_string()) } else { Unread::Settled(error.to_string()) })
        }
    }
}

/// Returns what the person's own file says.
fn own_text(layers: &[Layer]) -> Option<String> {
    layers.iter().find_map(|layer| match layer {
        Layer::Global { text, .. } => Some(text.clone()),
        Layer::Project { .. } | Layer::Environment(_) | Layer::Flags(_) => None,
    })
}

/// See [`Settings::may_review`]; `installed` are the agents whose program was found.
pub fn may_review(config: &Config, installed: &[String]) -> Vec<String> {
    let is_coder = |name: &&String| config.agent(name).is_some_and(|agent| agent.kind != DialectKind::Command);
    let is_listed = |name: &&String| config.router.agents.contains(name);
    match &config.review.agents {
        Some(named) => named.iter().filter(|name| installed.contains(name)).cloned().collect(),
        None => installed.iter().filter(is_listed).filter(is_coder).cloned().collect(),
    }
}

/// Returns the agents whose program is found in this `PATH`, those of `router.agents` first.
pub fn installed(config: &Config, path: &str) -> Vec<String> {
    let order = |name: &str| config.router.agents.iter().position(|a| a == name).unwrap_or(usize::MAX);
    let mut found: Vec<&str> =
        config.agents.iter().filter(|(_, agent)| which(&agent.command, path).is_some()).map(|(name, _)| name).collect();
    found.sort_by_key(|name| order(name));
    found.into_iter().map(str::to_owned).collect()
}

/// Returns the directory that a task's work belongs to, or why there is none.
pub fn directory_of(task: &Task, projects: &[Project]) -> Result<PathBuf, String> {
    let dirs: Vec<PathBuf> = projects.iter().map(|p| p.dir.clone()).collect();
    directory(task, &dirs).map(Path::to_owned)
}

impl Settings {
    /// The settings for one task: its project's, or the person's own. What decides about the result of its agent is as it
    /// was when the run began, unless a person orders what happens with it.
    pub fn for_task(&self, task: &Task, projects: &[Project]) -> Arc<Config> {
        let config = self.present_for_task(task, projects);
        match task.place.as_ref().and_then(|place| place.terms.as_deref()).filter(|_| is_judged_by_itself(task)) {
            Some(terms) => frozen::under(terms, config),
            None => config,
        }
    }

    /// The same, as they are now.
    pub fn present_for_task(&self, task: &Task, projects: &[Project]) -> Arc<Config> {
        let of_project = directory_of(task, projects).ok().and_then(|dir| self.projects.get(&dir));
        Arc::clone(of_project.unwrap_or(&self.config))
    }

    /// Returns the settings for one directory: its project's, or the person's own.
    pub fn for_dir(&self, dir: &Path) -> Arc<Config> {
        Arc::clone(self.projects.get(dir).unwrap_or(&self.config))
    }

    /// How many tasks of each project may run at the same time, where there is such a limit. A repository is data: its
    /// file can only lower what the person's own settings say.
    pub fn project_limits(&self) -> BTreeMap<PathBuf, usize> {
        let own = self.config.workflow.max_parallel;
        let limit = |of: Option<u32>| of.into_iter().chain(own).min();
        let limits = self.projects.iter().filter_map(|(dir, config)| Some((dir, limit(config.workflow.max_parallel)?)));
        limits.map(|(dir, most)| (dir.clone(), most as usize)).collect()
    }

    /// Projects whose own checks do not run, because the person has not approved the file that names them: what is to be done.
    pub fn unapproved_projects(&self) -> BTreeMap<PathBuf, String> {
        let unapproved = self.projects.iter().filter(|(_, config)| !config.workflow.unapproved_checks.is_empty());
        let describe = |(dir, config): (&PathBuf, &Arc<Config>)| {
            let checks = count::plural(config.workflow.unapproved_checks.len(), "command");
            let file = project_file(dir);
            let text = format!("{checks} not approved in {}: read that file, then `orch init` there", file.display());
            (dir.clone(), text)
        };
        unapproved.map(describe).collect()
    }

    /// Agents that may review, the best first: those that the person names, else the installed ones of `router.agents`
    /// that write code. A program of the person's own does not know what a review is unless they say so.
    pub fn may_review(&self, config: &Config) -> Vec<String> {
        may_review(config, &self.installed)
    }

    /// Returns what projects do about tasks that meet in a file, of those that have it otherwise than usual.
    pub fn overlaps(&self) -> BTreeMap<PathBuf, Overlap> {
        let usual = self.config.workflow.overlap;
        let projects = self.projects.iter().map(|(dir, config)| (dir.clone(), config.workflow.overlap));
        projects.filter(|(_, overlap)| *overlap != usual).collect()
    }

    /// Returns the routing question of a task.
    pub fn routing(&self, task: &Task, projects: &[Project]) -> OwnedRouting {
        let config = self.for_task(task, projects);
        OwnedRouting {
            input: RouteInput {
                task_id: task.id,
                title: task.spec.title.clone(),
                body: task.spec.body.clone(),
                labels: task.spec.labels.clone(),
                agent: task.spec.agent.clone(),
                model: task.spec.model.clone(),
                complexity: task.spec.complexity,
            },
            settings: self
                .without_avoided(RouterSettings { descriptions: self.advice.clone(), ..router_settings(&config) }),
            installed: self.installed.clone(),
            case: None,
            word: None,
        }
    }
}

impl Settings {
    /// Returns whether a run of that agent with that model is paid in advance, with something left.
    pub fn is_paid_ahead(&self, agent: &str, model: Option<&str>) -> bool {
        !self.ahead.is_empty() && self.config.payees().paid_ahead(&self.ahead, agent, model).is_some()
    }

    /// No agent is chosen that is to be avoided, as long as there is another.
    fn without_avoided(&self, settings: RouterSettings) -> RouterSettings {
        let is_free = |agent: &String| !self.avoided.contains(agent);
        let agents: Vec<String> = settings.agents.iter().filter(|agent| is_free(agent)).cloned().collect();
        if !agents.iter().any(|agent| self.installed.contains(agent)) {
            return settings;
        }
        let fallback = Some(settings.fallback_executor).filter(is_free);
        let fallback_executor = fallback.unwrap_or_else(|| TAKE_TURNS.to_owned());
        let left_out = settings.agents.len() - agents.len();
        RouterSettings { agents, fallback_executor, left_out, ..settings }
    }
}

/// Its result is being judged, reviewed or integrated, and no person has ordered that.
fn is_judged_by_itself(task: &Task) -> bool {
    matches!(task.state, State::InReview { .. }) && task.order().is_none()
}

/// Returns what judges the work of a project of whose own settings nothing is known: its checks and limits may be there. What
/// was started before is accepted only by a person, and goes nowhere.
fn without_settings(config: &Config) -> Config {
    let mut config = config.clone();
    config.workflow.integrate = Integrate::Branch;
    config.workflow.review = ReviewMode::Human;
    config
}

fn router_settings(config: &Config) -> RouterSettings {
    let router = &config.router;
    let map = &config.model_map;
    RouterSettings {
        mode: match router.mode {
            ConfiguredMode::Llm => RouterMode::Llm,
            ConfiguredMode::RoundRobin => RouterMode::RoundRobin,
        },
        fallback_executor: router.fallback_executor.clone(),
        max_route_attempts: router.max_route_attempts,
        agents: router.agents.clone(),
        allowed_tools: router.allowed_tools.clone(),
        default_skills: router.default_skills.clone(),
        models: ModelMap::from([
            (Complexity::Simple, map.simple.clone()),
            (Complexity::Medium, map.medium.clone()),
            (Complexity::Complex, map.complex.clone()),
        ]),
        providers: config.payees().providers,
        descriptions: BTreeMap::new(),
        proven: None,
        left_out: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_sys::fs::{Durability, write_private};

    fn write(path: &Path, text: &str) {
        write_private(path, text.as_bytes(), Durability::Cached).expect("written");
    }

    /// A home with these settings, and a project with those.
    fn project_fixture(own: &str, of_project: &str) -> (Sources, Project, tempfile::TempDir) {
        let place = tempfile::tempdir().expect("a directory");
        let home = Home::new(place.path(), None);
        write(&home.config_file(), own);
        let dir = place.path().join("shop");
        fs::create_dir_private(&dir).expect("made");
        write(&project_file(&dir), of_project);
        let project = Project { dir, name: "shop".to_owned(), approved: None };
        (Sources::new(home, BTreeMap::new(), Vec::new()), project, place)
    }

    #[test]
    fn nothing_is_known_of_a_project_whose_file_never_read() {
        let (sources, project, _place) =
            project_fixture("workflow: {integrate: merge, review: 'off'}\n", "workflow: [\n");
        let dir = project.dir.clone();
        let first = sources.load(std::slice::from_ref(&project), None);
        // Looking again does not make it known.
        let again = sources.load(std::slice::from_ref(&project), Some(&first));
        for settings in [&first, &again] {
            let problem = settings.unread_projects.get(&dir).map(String::as_str).unwrap_or_default();
            assert!(problem.contains(".orch.yml") && settings.unread.is_none(), "{problem}");
            let workflow = &settings.projects[&dir].workflow;
            assert_eq!((workflow.integrate, workflow.review), (Integrate::Branch, ReviewMode::Human));
            assert_eq!(settings.config.workflow.integrate, Integrate::Merge);
        }
        write(&project_file(&dir), "workflow: {max_attempts: 7}\n");
        let mended = sources.load(std::slice::from_ref(&project), Some(&again));
        assert!(mended.unread_projects.is_empty() && mended.problems.is_empty(), "{:?}", mended.problems);
        write(&project_file(&dir), "workflow: [\n");
        let broken = sources.load(std::slice::from_ref(&project), Some(&mended));
        assert!(broken.unread_projects.is_empty(), "what held before goes on: {:?}", broken.unread_projects);
        assert_eq!(broken.projects[&dir].workflow.max_attempts, 7);
    }

    #[test]
    fn a_project_whose_directory_is_away_keeps_what_held() {
        let (sources, project, place) = project_fixture("", "workflow: {max_attempts: 7}\n");
        let projects = std::slice::from_ref(&project);
        let before = sources.load(projects, None);
        let aside = place.path().join("aside");
        std::fs::rename(&project.dir, &aside).expect("it goes");
        let away = sources.load(projects, Some(&before));
        assert_eq!(away.projects[&project.dir].workflow.max_attempts, 7);
        assert!(away.is_missed && away.unread_projects.is_empty(), "it is looked for again");
        let unknown = sources.load(projects, None);
        assert!(unknown.unread_projects.contains_key(&project.dir), "nothing of it begins");
        std::fs::rename(&aside, &project.dir).expect("it comes back");
        let back = sources.load(projects, Some(&unknown));
        assert_eq!((back.projects[&project.dir].workflow.max_attempts, back.unread_projects.len()), (7, 0));
    }

    #[test]
    fn a_project_keeps_what_held_while_the_persons_own_settings_cannot_be_read() {
        let own = "agents: {bot: {kind: command, command: 'true'}}\n";
        let (sources, project, _place) = project_fixture(own, "workflow: {max_attempts: 7}\n");
        let (dir, home) = (project.dir.clone(), sources.home.clone());
        let before = sources.load(std::slice::from_ref(&project), None);
        let known = |settings: &Settings| settings.projects[&dir].agent("bot").is_some();
        assert!(known(&before) && before.problems.is_empty(), "{:?}", before.problems);
        std::fs::remove_file(home.config_file()).expect("it goes");
        std::fs::create_dir(home.config_file()).expect("a directory in its place");
        let after = sources.load(std::slice::from_ref(&project), Some(&before));
        assert!(known(&after), "the project's settings stand on the person's");
        assert!(!after.problems.is_empty() && !after.is_missed, "{:?}", after.problems);
    }
}
