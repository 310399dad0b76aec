//! One home with an engine that is moved by hand, an editor that saves in its ways, and what each of them has said.

use crate::deps::Deps;
use crate::deps::ledger::Ledger;
use crate::deps::obstacle::Obstacles;
use crate::deps::repositories::Discovering;
use crate::engine::Engine;
use crate::engine::command::Command;
use crate::engine::mode::Mode;
use crate::engine::signals::Signals;
use crate::files::file_job::{FileNews, Writeback, read, write};
use crate::job::Job;
use crate::settings::Sources;
use crate::start;
use crate::state::ChangeSet;
use crate::tasks::commands::Request;
use jiff::{SignedDuration, Timestamp};
use orch_config::home::Home;
use orch_core::base::ids::TaskId;
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::spec_merge::{Change, Field};
use orch_core::tasks::task::{BlockedOn, Spec, State, Status, Task};
use orch_store::journal::{Journal, Loaded};
use orch_store::tasks_file::TasksDoc;
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::tmux::Tmux;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// What stands there at first: seven tasks, of which the sixth may be taken out and the seventh is never touched.
const FIRST: &str = "\
# The head.
version: 1 # unknown to orch
tasks:
  - id: 1
    title: t1 # a
    status: new
  - {id: 2, title: t2, status: new}
  - id: 3
    status: new
    title: \"t3\"
    mine: [x, y]
  - id: 4
    title: t4
    status: new
  # between
  - id: 5
    title: t5
    body: |
      Lines: of text.

      # no comment
    status: new
  - id: 6
    title: t6
    status: new
  - id: 7
    title: 't7: never'
    body: >-
      folded
      text
    priority: +5 # odd
    labels: [ a,  b ]
";

/// Something that one of them does.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    EditorLoads,
    EditorTitles(u64),
    EditorAdds,
    EditorComments,
    EditorDeletes,
    EditorRenames,
    EditorTruncates(usize),
    EditorGoesOn,
    CommandAdds,
    CommandTitles(u64),
    CommandPriority(u64),
    CommandCancels,
    /// The engine moves a task.
    Moves(u64, u8),
    /// A read of the file begins, and sees it.
    Reads,
    /// What it saw is taken over.
    TakesOver,
    /// A write is made.
    Writes,
    /// Its report arrives.
    Confirms,
}

/// What was said, to be looked for in the end.
#[derive(Default)]
struct Said {
    /// Titles by task: only the editor says those of 1, only commands those of 2 and 3.
    titles: BTreeMap<u64, Vec<String>>,
    priorities: BTreeMap<u64, i64>,
    added: Vec<String>,
    comments: Vec<String>,
    deleted: bool,
}

pub struct Fixture {
    _dir: tempfile::TempDir,
    runtime: Runtime,
    engine: Engine,
    deps: Arc<Deps>,
    file: PathBuf,
    news: Option<FileNews>,
    report: Option<Writeback>,
    buffer: Option<String>,
    /// Said in the buffer, and not saved yet.
    typed: Said,
    saving: Option<(File, Vec<String>)>,
    said: Said,
    history: Vec<String>,
    log: Vec<String>,
    count: u64,
    later: SignedDuration,
}

/// A home of its own, and the dependencies of an engine in it.
pub fn ground(dir: &Path) -> (Arc<Deps>, Loaded) {
    let home = Home::new(dir.join("home"), None);
    orch_sys::fs::create_dir_private(&home.state()).expect("made");
    let (journal, loaded) = Journal::open(&home.journal()).expect("opens");
    let deps = Arc::new(Deps {
        clock: Arc::new(SystemClock),
        journal,
        tmux: Tmux::new("tmux".into(), dir.join("tmux"), Vec::new()),
        orch: "orch".into(),
        environment: BTreeMap::new(),
        wake_socket: dir.join("wake"),
        sources: Sources::new(home.clone(), BTreeMap::new(), Vec::new()),
        git: tokio::sync::OnceCell::new(),
        repositories: std::sync::Mutex::default(),
        discovering: Discovering::default(),
        ledger: Ledger::default(),
        obstacles: Obstacles::default(),
        damage: None,
        home,
    });
    (deps, loaded)
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Home::new(dir.path().join("home"), None).tasks_file();
        std::fs::create_dir_all(file.parent().expect("a home")).expect("made");
        File::create(&file).and_then(|mut file| file.write_all(FIRST.as_bytes())).expect("written");
        let (deps, loaded) = ground(dir.path());
        // Jobs that the engine begins by itself are never driven here.
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let entered = runtime.enter();
        let (engine, _) = start(Arc::clone(&deps), loaded, Mode::Serve, Signals::default());
        drop(entered);
        let mut fixture = Self {
            _dir: dir,
            runtime,
            engine,
            deps,
            file,
            news: None,
            report: None,
            buffer: None,
            typed: Said::default(),
            saving: None,
            said: Said::default(),
            history: Vec::new(),
            log: Vec::new(),
            count: 0,
            later: SignedDuration::ZERO,
        };
        fixture.take(Step::Reads);
        fixture.take(Step::TakesOver);
        fixture
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap_or_default()
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}{}", self.count)
    }

    pub fn take(&mut self, step: Step) {
        self.log.push(format!("{step:?}"));
        match step {
            Step::EditorLoads
            | Step::EditorTitles(_)
            | Step::EditorAdds
            | Step::EditorComments
            | Step::EditorDeletes
            | Step::EditorRenames
            | Step::EditorTruncates(_)
            | Step::EditorGoesOn => self.editor(step),
            Step::CommandAdds => {
                let title = self.fresh("c");
                self.said.added.push(title.clone());
                let spec = Spec { title, ..Spec::default() };
                self.change_set(|engine, change_set, now| drop(engine.add(change_set, spec, now)));
            }
            Step::CommandTitles(id) => {
                let title = self.fresh("c");
                self.said.titles.entry(id).or_default().push(title.clone());
                self.change(id, Spec { title, ..Spec::default() }, Field::Title);
            }
            Step::CommandPriority(id) => {
                self.count += 1;
                let priority = i64::try_from(self.count).expect("small");
                self.said.priorities.insert(id, priority);
                self.change(id, Spec { priority, ..Spec::default() }, Field::Priority);
            }
            Step::CommandCancels => {
                let cancel = |engine: &mut Engine, change_set: &mut ChangeSet, now| {
                    drop(engine.ask(change_set, TaskId(4), Request::Cancel, now));
                };
                self.change_set(cancel);
            }
            Step::Moves(id, to) => self.moves(id, to),
            Step::Reads => self.reads(),
            Step::TakesOver => self.takes_over(),
            Step::Writes => self.writes(),
            Step::Confirms => self.confirms(),
        }
    }

    // ---- the engine

    fn now(&self) -> Timestamp {
        SystemClock.now() + self.later
    }

    fn change_set(&mut self, act: impl FnOnce(&mut Engine, &mut ChangeSet, Timestamp)) {
        let now = self.now();
        let _entered = self.runtime.enter();
        let mut change_set = ChangeSet::default();
        act(&mut self.engine, &mut change_set, now);
        self.engine.file.touch(&change_set.touched);
        self.history
            .extend(change_set.entries.iter().map(|entry| format!("{} {}", entry.fact.kind(), entry.fact.text())));
    }

    fn change(&mut self, id: u64, set: Spec, field: Field) {
        let change = Change { set, fields: vec![field], ..Change::default() };
        let (reply, _) = oneshot::channel();
        let edit = Command::edit(TaskId(id), change, reply);
        self.change_set(|engine, change_set, now| engine.on_command(change_set, edit, now));
    }

    fn moves(&mut self, id: u64, to: u8) {
        let state = match to {
            0 => State::Blocked(BlockedOn::Dependencies { tasks: vec![] }),
            1 => State::NeedsReview { kind: QuestionKind::Question, question: "?".into(), choices: vec![] },
            _ => State::NEW,
        };
        self.change_set(|engine, change_set, _| {
            if let Some(task) = engine.state.tasks.get(&TaskId(id)).filter(|task| !task.status().is_final()) {
                let next = Task { state, ..Task::clone(task) };
                change_set.put_task(&mut engine.state, next);
            }
        });
    }

    fn reads(&mut self) {
        if self.engine.file.is_writing() || self.news.is_some() {
            return;
        }
        let settings = Arc::clone(&self.engine.settings);
        self.news = Some(read(&self.deps, self.engine.file.known(), &settings, &[]));
    }

    fn takes_over(&mut self) {
        let Some(news) = self.news.take() else { return };
        self.change_set(|engine, change_set, now| engine.on_files(change_set, news, now));
    }

    fn writes(&mut self) {
        if self.report.is_some() {
            return;
        }
        match self.engine.file.next_write(&self.engine.state) {
            Some(Job::WriteFile { order }) => self.report = Some(write(&self.deps, order)),
            Some(_) => self.reads(),
            None => {}
        }
    }

    fn confirms(&mut self) {
        let Some(report) = self.report.take() else { return };
        self.log.push(format!("  {report:?}").chars().take(60).collect());
        self.change_set(|engine, change_set, now| engine.on_written(change_set, report, now));
    }

    // ---- the editor

    fn editor(&mut self, step: Step) {
        match step {
            Step::EditorLoads if self.saving.is_none() => {
                self.buffer = Some(self.text());
                self.typed = Said::default();
            }
            Step::EditorTitles(id) if !matches!(id, 2 | 3) => {
                let title = self.fresh("e");
                if self.type_over(id, &title) {
                    self.typed.titles.entry(id).or_default().push(title);
                }
            }
            Step::EditorAdds => {
                let title = self.fresh("e");
                if let Some(buffer) = &mut self.buffer {
                    buffer.push_str(&format!("  - title: {title}\n    priority: 1\n"));
                    self.typed.added.push(title);
                }
            }
            Step::EditorComments => {
                let comment = self.fresh("# e");
                if let Some(buffer) = &mut self.buffer {
                    *buffer = buffer.replacen("tasks:\n", &format!("tasks:\n  {comment}.\n"), 1);
                    self.typed.comments.push(format!("{comment}."));
                }
            }
            Step::EditorDeletes => {
                let Some(buffer) = &mut self.buffer else { return };
                let (Some(from), Some(to)) = (buffer.find("  - id: 6\n"), buffer.find("  - id: 7\n")) else { return };
                buffer.replace_range(from..to, "");
                self.typed.deleted = true;
            }
            Step::EditorRenames if self.saving.is_none() => {
                let Some(text) = self.buffer.take() else { return };
                let beside = self.file.with_extension("editor");
                File::create(&beside).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
                std::fs::rename(&beside, &self.file).expect("renamed");
                self.saved();
            }
            Step::EditorTruncates(parts) if self.saving.is_none() => {
                let Some(text) = self.buffer.take() else { return };
                let size = text.len().div_ceil(parts);
                let parts = text.as_bytes().chunks(size).rev().map(|part| String::from_utf8_lossy(part).into_owned());
                self.saving = Some((File::create(&self.file).expect("opens"), parts.collect()));
            }
            Step::EditorGoesOn => {
                let Some((file, parts)) = &mut self.saving else { return };
                if let Some(part) = parts.pop() {
                    file.write_all(part.as_bytes()).expect("written");
                }
                if parts.is_empty() {
                    self.saving = None;
                    self.saved();
                }
            }
            Step::EditorLoads
            | Step::EditorTitles(_)
            | Step::EditorRenames
            | Step::EditorTruncates(_)
            | Step::CommandAdds
            | Step::CommandTitles(_)
            | Step::CommandPriority(_)
            | Step::CommandCancels
            | Step::Moves(..)
            | Step::Reads
            | Step::TakesOver
            | Step::Writes
            | Step::Confirms => {}
        }
    }

    fn type_over(&mut self, id: u64, title: &str) -> bool {
        let Some(buffer) = &mut self.buffer else { return false };
        let Some(entry) = buffer.find(&format!("  - id: {id}\n")) else { return false };
        let Some(at) = buffer[entry..].find("title: ").map(|at| entry + at + 7) else { return false };
        let end = at + buffer[at..].find([' ', '\n']).unwrap_or_default();
        buffer.replace_range(at..end, title);
        true
    }

    /// What was typed is said.
    fn saved(&mut self) {
        let Said { titles, added, comments, deleted, .. } = std::mem::take(&mut self.typed);
        for (id, said) in titles {
            self.said.titles.entry(id).or_default().extend(said.last().cloned());
        }
        self.said.added.extend(added);
        self.said.comments.extend(comments);
        self.said.deleted |= deleted;
    }

    // ---- the end

    /// The editor ends its save, and the engine looks and writes until there is nothing more to do.
    pub fn come_to_rest(&mut self) {
        while self.saving.is_some() {
            self.take(Step::EditorGoesOn);
        }
        for _ in 0..12 {
            for step in [Step::TakesOver, Step::Confirms, Step::Reads, Step::TakesOver, Step::Writes, Step::Confirms] {
                self.take(step);
            }
            self.later += SignedDuration::from_secs(2);
            self.engine.file.schedule_late_search(orch_sys::clock::instant());
            self.engine.file.read_anew();
        }
    }

    /// Whether everything that was said is there.
    pub fn check(&self) -> Result<(), String> {
        let text = self.text();
        let doc = TasksDoc::parse(text.clone(), &|_| true).map_err(|problems| format!("{problems:?}"))?;
        let title_of = |id: u64| doc.entry(TaskId(id)).map(|entry| entry.spec.title.clone());
        let traced = |value: &str| self.history.iter().any(|told| told.contains(value));
        for (id, said) in &self.said.titles {
            let Some(last) = said.last() else { continue };
            let alone = matches!(id, 1..=3);
            if title_of(*id).as_ref() != Some(last) && (alone || !traced(last)) {
                return Err(format!("the title {last} of task {id} is lost"));
            }
        }
        for (id, priority) in &self.said.priorities {
            if doc.entry(TaskId(*id)).is_some_and(|entry| entry.spec.priority != *priority) {
                return Err(format!("the priority {priority} of task {id} is lost"));
            }
        }
        for title in &self.said.added {
            let (there, tasks) = (text.matches(&format!("title: {title}\n")).count(), self.tasks_called(title));
            if (there, tasks) != (1, 1) {
                return Err(format!("{title} is {there} times in the file and {tasks} times a task"));
            }
        }
        let fixed = ["# The head.\nversion: 1 # unknown to orch\n", "  # between\n", "    mine: [x, y]\n", " # a\n"];
        let block = "    body: |\n      Lines: of text.\n\n      # no comment\n";
        let odd = "    body: >-\n      folded\n      text\n    priority: +5 # odd\n    labels: [ a,  b ]\n";
        let comments = self.said.comments.iter().map(String::as_str);
        if let Some(lost) = fixed.into_iter().chain([block, odd]).chain(comments).find(|part| !text.contains(part)) {
            return Err(format!("{lost:?} is lost"));
        }
        self.check_statuses(&doc)
    }

    fn tasks_called(&self, title: &str) -> usize {
        let open = |task: &&Arc<Task>| task.spec.title == title && task.status() != Status::Cancelled;
        self.engine.state.tasks.values().filter(open).count()
    }

    fn check_statuses(&self, doc: &TasksDoc) -> Result<(), String> {
        for task in self.engine.state.tasks.values() {
            let (id, is) = (task.id, task.status());
            match doc.entry(id) {
                Some(entry) if entry.sound && entry.status != Some(is) => {
                    return Err(format!("task {id} is {} and the file says {:?}", is.as_str(), entry.status));
                }
                Some(_) => {}
                None if id == TaskId(6) && self.said.deleted && is == Status::Cancelled => {}
                None => return Err(format!("task {id} ({}) is not in the file", is.as_str())),
            }
            let may_be_cancelled = matches!(id, TaskId(4 | 6));
            if is == Status::Cancelled && !may_be_cancelled {
                return Err(format!("task {id} was given up"));
            }
        }
        Ok(())
    }

    pub fn render(&self) -> String {
        format!("{}\n---- history\n{}\n---- file\n{}", self.log.join("\n"), self.history.join("\n"), self.text())
    }
}
