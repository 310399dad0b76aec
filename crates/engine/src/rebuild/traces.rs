//! Gathering the traces of tasks besides the journal: `tasks.yml`, sidecars, run directories, branches.
//! Changes nothing and decides nothing; what cannot be read is reported.

use crate::launch::run_start::{Started, project_name};
use crate::upkeep::sidecar::record_sum;
use orch_config::home::Home;
use orch_core::audit::rebuild::{Aside, End, File, Line, Stage, Traces, Trail};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::names::BRANCH_PREFIX;
use orch_core::tasks::message::{Message, MessageId};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::{Status, Task};
use orch_runner::{Handed, RunDir, RunState};
use orch_store::journal::Project;
use orch_store::salvage::Salvaged;
use orch_store::tasks_file::TasksDoc;
use orch_sys::fs;
use orch_sys::git::{Git, Repo};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The largest file of one run or task that is read.
const LARGEST: usize = 64 << 20;

/// What the search found.
pub(super) struct Gathered {
    pub(super) file: File,
    pub(super) tasks: BTreeMap<TaskId, Traces>,
    pub(super) messages: Vec<Message>,
    /// What cannot be read.
    pub(super) troubles: Vec<String>,
    /// Repositories that were seen to be worked in.
    repositories: BTreeSet<PathBuf>,
}

/// A sidecar, as any orch wrote it.
#[derive(Deserialize)]
struct Stored {
    #[serde(with = "orch_store::records::as_record")]
    status: Status,
    #[serde(default, with = "orch_store::records::as_record")]
    route: Option<RouteResult>,
    branch: Option<String>,
    attempts: u32,
    #[serde(default, with = "orch_store::records::as_record")]
    record: Option<Task>,
    #[serde(default)]
    sum: Option<u64>,
}

/// Gathers what the files, the branches and the sessions say of tasks and runs.
pub(super) async fn gather(home: &Home, environment: &BTreeMap<String, String>) -> Gathered {
    let mut found = Gathered {
        file: File::Reads,
        tasks: BTreeMap::new(),
        messages: Vec::new(),
        troubles: Vec::new(),
        repositories: BTreeSet::new(),
    };
    found.read_tasks(&home.tasks_file());
    found.read_sidecars(&home.state());
    found.read_runs(&home.runs());
    found.find_repositories();
    found.find_branches(home, environment).await;
    found
}

impl Gathered {
    /// Returns the highest number of a task in any trace.
    pub(super) fn highest(&self) -> u64 {
        self.tasks.keys().next_back().map_or(0, |id| id.0)
    }

    /// Puts the rows of the old journal beside what was found.
    pub(super) fn take(&mut self, saved: &Salvaged) {
        for (id, task) in &saved.tasks {
            self.tasks.entry(*id).or_default().row = Some((task.clone(), !saved.went_back));
        }
        for run in saved.runs.values() {
            self.tasks.entry(run.task).or_default().rows.push(run.clone());
        }
        for traces in self.tasks.values_mut() {
            traces.rows.sort_by_key(|run| run.id.ordinal());
            traces.trails.sort_by_key(|trail| trail.id.ordinal());
        }
    }

    /// Returns the repositories, as projects without any approval.
    pub(super) fn projects(&self) -> Vec<Project> {
        let rows = self.tasks.values().filter_map(|traces| traces.row.as_ref()?.0.spec.dir.clone());
        let dirs: BTreeSet<PathBuf> = self.repositories.iter().cloned().chain(rows).collect();
        let project = |dir: PathBuf| Project { name: project_name(&dir, &[]), dir, approved: None };
        dirs.into_iter().filter(|dir| dir.is_dir()).map(project).collect()
    }

    fn read_tasks(&mut self, path: &Path) {
        let text = match fs::read_text(path, LARGEST) {
            Ok(text) if text.trim().is_empty() => return self.broken("tasks.yml is empty".to_owned()),
            Ok(text) => text,
            // An empty home has none either; other traces show that there was one.
            Err(error) if error.is_not_found() => return self.broken("there is no tasks.yml".to_owned()),
            Err(error) => return self.broken(error.to_string()),
        };
        let doc = match TasksDoc::parse(text, &|_| true) {
            Ok(doc) => doc,
            Err(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                return self.broken(format!("tasks.yml does not read: {}", lines.join("; ")));
            }
        };
        for entry in doc.entries() {
            let Some(id) = entry.id else { continue };
            if !entry.sound {
                self.troubles.push(format!("tasks.yml, line {}: the entry of task {id} is wrong", entry.line));
            }
            self.tasks.entry(id).or_default().line = Some(Line {
                spec: entry.spec.clone(),
                status: entry.status,
                branch: entry.branch.clone(),
                attempts: entry.attempts,
                summary: entry.summary.clone(),
            });
        }
    }

    fn broken(&mut self, why: String) {
        self.file = File::Broken;
        self.troubles.push(why);
    }

    fn read_sidecars(&mut self, state: &Path) {
        for (name, path) in entries_of(state) {
            let Some(id) = name.strip_suffix(".json").and_then(|stem| stem.parse::<TaskId>().ok()) else { continue };
            let traces = self.tasks.entry(id).or_default();
            match read::<Stored>(&path) {
                Ok(Stored { status, route, branch, attempts, record, sum }) => {
                    let is_sound = |task: &Task| task.id == id && record_sum(task) == sum;
                    if record.as_ref().is_some_and(|task| !is_sound(task)) {
                        self.troubles
                            .push(format!("the record in the sidecar of task {id}: it is not what was stored"));
                    }
                    let task = record.filter(is_sound);
                    traces.aside = Some(Aside { status, route, attempts, branch, task });
                }
                Err(error) => self.troubles.push(format!("the sidecar of task {id}: {error}")),
            }
        }
    }

    fn read_runs(&mut self, runs: &Path) {
        for (name, path) in entries_of(runs) {
            let Ok(id) = name.parse::<RunId>() else { continue };
            let Some(task) = id.task() else { continue };
            self.read_messages(task, &path);
            let dir = RunDir::new(path);
            if let Some(trail) = trail(&dir, id, &mut self.troubles) {
                self.tasks.entry(task).or_default().trails.push(trail);
            }
        }
        self.tasks.values_mut().for_each(|traces| traces.trails.sort_by_key(|trail| trail.id.ordinal()));
    }

    fn read_messages(&mut self, task: TaskId, dir: &Path) {
        for (name, path) in entries_of(dir) {
            let number = name.strip_prefix("message-").and_then(|rest| rest.strip_suffix(".json"));
            let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) else { continue };
            let Ok(Handed { text, .. }) = read::<Handed>(&path) else { continue };
            let at = path.metadata().ok().and_then(|found| found.modified().ok());
            let at = at.and_then(|at| jiff::Timestamp::try_from(at).ok()).unwrap_or_default();
            self.messages.push(Message::new(MessageId(number), task, text, at));
        }
    }

    /// A linked worktree names the repository that it belongs to.
    fn find_repositories(&mut self) {
        for traces in self.tasks.values() {
            let wished = traces.line.as_ref().and_then(|line| line.spec.dir.clone());
            let recorded = traces.aside.as_ref().and_then(|aside| aside.task.as_ref()?.spec.dir.clone());
            self.repositories.extend(wished.into_iter().chain(recorded));
            let places = traces.trails.iter().filter_map(|trail| trail.place.as_ref());
            self.repositories.extend(places.filter_map(|place| repository_of(&place.worktree)));
        }
    }

    async fn find_branches(&mut self, home: &Home, environment: &BTreeMap<String, String>) {
        let Ok(git) = Git::locate(environment, &home.state().join("locks")).await else {
            return self.troubles.push("branches: there is no git to ask".to_owned());
        };
        for dir in self.repositories.clone() {
            let branches = match Repo::discover(&git, &dir).await {
                Ok(repo) => repo.task_branches().await,
                Err(error) => Err(error),
            };
            match branches {
                Ok(branches) => branches.into_iter().for_each(|branch| self.take_branch(branch)),
                Err(error) => self.troubles.push(format!("branches of {}: {error}", dir.display())),
            }
        }
    }

    fn take_branch(&mut self, branch: String) {
        let rest = branch.strip_prefix(BRANCH_PREFIX).unwrap_or_default();
        let number = rest.split('-').next().and_then(|number| number.parse::<TaskId>().ok());
        if let Some(id) = number {
            self.tasks.entry(id).or_default().branches.push(branch);
        }
    }
}

/// Returns the main checkout of the repository that a linked worktree belongs to.
fn repository_of(worktree: &Path) -> Option<PathBuf> {
    let text = fs::read_text(&worktree.join(".git"), 4096).ok()?;
    let git_dir = PathBuf::from(text.trim_end().strip_prefix("gitdir: ")?);
    let common = git_dir.parent()?.parent()?;
    (common.file_name()? == ".git").then(|| common.parent().map(Path::to_owned))?
}

fn trail(dir: &RunDir, id: RunId, troubles: &mut Vec<String>) -> Option<Trail> {
    let launch = match dir.read_launch() {
        Ok(launch) => Some(launch),
        // Nothing was prepared: the session was opened, and no more.
        Err(orch_runner::RunFileError::File(error)) if error.is_not_found() => return None,
        Err(error) => {
            troubles.push(format!("run {id}: {error}"));
            None
        }
    };
    let prepared: Option<Started> = read(&dir.path().join("prepared.json")).ok();
    let stage = match orch_runner::inspect(dir) {
        Ok(RunState::NotStarted) => Stage::Prepared,
        Ok(RunState::Running { .. } | RunState::Lost { .. }) => Stage::Begun,
        Ok(RunState::Ended(report)) => Stage::Ended(Box::new(End {
            started_at: report.started_at,
            ended_at: report.ended_at,
            outcome: report.outcome(),
            cost: report.ending.cost,
            usage: report.ending.usage,
            session_id: report.ending.session_id.clone(),
        })),
        Err(error) => {
            troubles.push(format!("run {id}: {error}"));
            Stage::Unreadable(error.to_string())
        }
    };
    let (place, session_id) = prepared.map_or((None, None), |known| (known.place, known.session_id));
    Some(Trail {
        kind: launch.as_ref().map_or(RunKind::Work, |launch| launch.kind),
        agent: launch.as_ref().map_or_else(String::new, |launch| launch.agent.clone()),
        model: launch.and_then(|launch| launch.model),
        id,
        session_id,
        place,
        live: false,
        stage,
    })
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let bytes = fs::read_limited(path, LARGEST).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{} is damaged: {error}", path.display()))
}

fn entries_of(dir: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = dir.read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}
