//! From the outline of the text to jobs, noting what is wrong.

use super::{Entry, JOBS, JobsDoc, KEYS, Problem, Severity};
use orch_config::yaml::{Decoded, Kind, Lines, NodeId, Tree};
use orch_core::base::ids::TaskId;
use orch_core::base::nearest::nearest;
use orch_core::operations::job::{CatchUp, JobId, JobSpec, Overlap, parse_complexity, parse_span, title};
use orch_core::operations::schedule::Schedule;
use orch_core::tasks::task::Spec;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The longest title, in characters.
const LONGEST_TITLE: usize = 10_000;

pub(super) fn document(text: &str, zone: &dyn Fn(&str) -> Result<(), String>) -> Result<JobsDoc, Problem> {
    let (tree, decoded) =
        Tree::parse(text).map_err(|error| Problem::error((error.line, error.column), error.message, None))?;
    let Some(root) = tree.root().filter(|root| !tree.is_null(*root)) else {
        return Ok(JobsDoc { entries: Vec::new(), problems: Vec::new(), is_blank: true });
    };
    let refuse = |node, message: &str, hint| Err(Problem::error(tree.position(text, node), message, Some(hint)));
    if !tree.is_sequence(root) && !tree.is_mapping(root) {
        return refuse(root, "the file is not a list of jobs", "begin it with `jobs:`");
    }
    let list = if tree.is_sequence(root) { Some(root) } else { tree.pair(root, JOBS).map(|(_, list)| list) };
    let Some(list) = list else {
        return refuse(root, "the file has no list of jobs", "begin it with `jobs:`");
    };
    if !tree.is_null(list) && !tree.is_sequence(list) {
        return refuse(list, "`jobs` is not a list", "write each job as `- schedule: …` below it");
    }
    let lines = Lines::new(text);
    let mut reader =
        Reader { text, tree: &tree, decoded: &decoded, lines: &lines, zone, problems: Vec::new(), is_sound: true };
    let mut taken = BTreeSet::new();
    let mut entries = Vec::new();
    for (index, item) in tree.children(tree.resolve(list)).enumerate() {
        entries.push(reader.entry(index, item, &mut taken));
    }
    let mut problems = reader.problems;
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Ok(JobsDoc { entries, problems, is_blank: false })
}

struct Reader<'a> {
    text: &'a str,
    tree: &'a Tree,
    decoded: &'a Decoded,
    lines: &'a Lines,
    zone: &'a dyn Fn(&str) -> Result<(), String>,
    problems: Vec<Problem>,
    /// Nothing is wrong with the entry that is being read.
    is_sound: bool,
}

impl Reader<'_> {
    fn entry(&mut self, index: usize, item: NodeId, taken: &mut BTreeSet<JobId>) -> Entry {
        let before = self.problems.len();
        self.is_sound = true;
        let own = self.tree.resolve(item);
        if !self.tree.is_mapping(own) {
            self.error(item, "this job is not a mapping", "write `- schedule: …` and below it `title: …`");
            return Entry { index, id: None, spec: None };
        }
        let mut read = self.fields(own);
        if read.spec.task.title.trim().is_empty() && read.spec.run.is_none() {
            self.error(item, "this job makes nothing", "give it a `title` for a task, or a command to `run`");
        }
        if read.spec.schedule.is_empty() && !read.has_schedule {
            self.error(item, "this job has no schedule", "give it a `schedule` such as \"0 9 * * 1-5\" or \"@daily\"");
        }
        let id = self.name(&mut read, item, own, taken);
        for problem in &mut self.problems[before..] {
            problem.entry.clone_from(&id);
        }
        let spec = id.clone().filter(|_| self.is_sound).map(|id| JobSpec { id, ..read.spec });
        Entry { index, id, spec }
    }

    /// Returns the written name, or the one that the title makes. A second job of a name does not count.
    fn name(&mut self, read: &mut Fields, item: NodeId, own: NodeId, taken: &mut BTreeSet<JobId>) -> Option<JobId> {
        let place = self.tree.pair(own, "id").map_or(item, |(_, value)| value);
        let id = match &read.id {
            Named::Written(id) => id.clone(),
            Named::Wrong => return None,
            Named::Not => {
                let title = Some(read.spec.task.title.as_str()).filter(|title| !title.trim().is_empty());
                JobId::of_title(title.or(read.spec.run.as_deref()).unwrap_or_default())
            }
        };
        if !taken.insert(id.clone()) {
            self.error(
                place,
                "another job above has the same name, and that one counts",
                "give this one an `id` of its own",
            );
            return None;
        }
        Some(id)
    }

    fn fields(&mut self, mapping: NodeId) -> Fields {
        let tree = self.tree;
        let mut read = Fields::default();
        for (key, value) in tree.pairs(mapping) {
            match tree.text(self.text, self.decoded, key) {
                Some(name) => self.field(&name, key, value, &mut read),
                None => self.warning(key, "this key is no text and is not looked at", None),
            }
        }
        read
    }

    fn field(&mut self, name: &str, key: NodeId, value: NodeId, read: &mut Fields) {
        let spec = &mut read.spec;
        match name {
            "id" => read.id = self.id(value),
            "schedule" => {
                read.has_schedule = true;
                spec.schedule = self.schedule(value);
            }
            "tz" => spec.tz = self.time_zone(value),
            "title" => spec.task.title = self.title(value),
            "body" => spec.task.body = self.text_field(name, value).unwrap_or_default(),
            "run" => spec.run = self.text_field(name, value),
            "labels" => spec.task.labels = self.list(name, value),
            "depends_on" => {
                let ids = self.list(name, value);
                spec.task.depends_on =
                    ids.iter().filter_map(|id| self.parsed(value, "task id", id)).collect::<Vec<TaskId>>();
            }
            "priority" => {
                let text = self.text_field(name, value);
                spec.task.priority = text.and_then(|text| self.parsed(value, "priority", &text)).unwrap_or_default();
            }
            "dir" => spec.task.dir = self.text_field(name, value).map(PathBuf::from),
            "type" => spec.task.kind = self.text_field(name, value),
            "agent" => spec.task.agent = self.text_field(name, value),
            "model" => spec.task.model = self.text_field(name, value),
            "assignee" => spec.task.assignee = self.text_field(name, value),
            "complexity" => {
                let text = self.text_field(name, value);
                spec.task.complexity = text.and_then(|text| self.checked(value, parse_complexity(&text)));
            }
            "enabled" => spec.enabled = self.truth(name, value),
            "catch_up" => spec.catch_up = self.word(name, value, &CatchUp::ALL).unwrap_or_default(),
            "overlap" => spec.overlap = self.word(name, value, &Overlap::ALL),
            "jitter" => spec.jitter_seconds = self.span(name, value).unwrap_or_default(),
            "timeout" => {
                spec.timeout_seconds = self.span(name, value);
                if spec.timeout_seconds == Some(0) {
                    self.error(
                        value,
                        "a command that may take no time cannot run",
                        "write for instance `timeout: 10m`",
                    );
                }
            }
            _ => self.unknown(name, key),
        }
    }

    fn unknown(&mut self, name: &str, key: NodeId) {
        if let Some(known) = nearest(name, KEYS) {
            let message = format!("`{name}` is no key of a job and is not looked at");
            self.warning(key, &message, Some(format!("did you mean `{known}`?")));
        }
    }

    fn id(&mut self, value: NodeId) -> Named {
        let Some(text) = self.text_field("id", value) else { return Named::Not };
        match text.parse() {
            Ok(id) => Named::Written(id),
            Err(error) => {
                self.note(Severity::Error, value, format!("{error}"), None);
                Named::Wrong
            }
        }
    }

    fn schedule(&mut self, value: NodeId) -> String {
        let text = self.text_field("schedule", value).unwrap_or_default();
        match Schedule::parse(&text) {
            Ok(schedule) => schedule.as_str().to_owned(),
            Err(error) => {
                self.error(value, &error.message, &error.hint);
                String::new()
            }
        }
    }

    fn time_zone(&mut self, value: NodeId) -> Option<String> {
        let name = self.text_field("tz", value)?;
        match (self.zone)(&name) {
            Ok(()) => Some(name),
            Err(message) => {
                self.error(value, &message, "write a name of the IANA database, such as Europe/Berlin or UTC");
                None
            }
        }
    }

    fn title(&mut self, value: NodeId) -> String {
        let text = self.text_field("title", value).unwrap_or_default();
        if text.chars().count() > LONGEST_TITLE {
            let message = format!("the title is longer than {LONGEST_TITLE} characters");
            self.error(value, &message, "put the details into `body`");
        }
        if let Err((message, hint)) = title::check(&text) {
            self.error(value, &message, &hint);
        }
        text
    }

    fn truth(&mut self, name: &str, value: NodeId) -> bool {
        self.word(name, value, &[("true", true), ("false", false)]).unwrap_or(true)
    }

    fn span(&mut self, name: &str, value: NodeId) -> Option<u64> {
        let text = self.text_field(name, value)?;
        let read = parse_span(&text).map_err(|why| format!("`{text}` is no `{name}`: {why}"));
        self.checked(value, read)
    }

    fn parsed<T: std::str::FromStr>(&mut self, value: NodeId, what: &str, text: &str) -> Option<T> {
        self.checked(value, text.parse().map_err(|_| format!("`{text}` is no {what}")))
    }

    fn checked<T>(&mut self, value: NodeId, read: Result<T, String>) -> Option<T> {
        read.map_err(|message| self.note(Severity::Error, value, message, None)).ok()
    }

    /// One of the words that are allowed.
    fn word<T: Copy>(&mut self, name: &str, value: NodeId, allowed: &[(&'static str, T)]) -> Option<T> {
        let text = self.text_field(name, value)?;
        if let Some((_, meant)) = allowed.iter().find(|(word, _)| *word == text) {
            return Some(*meant);
        }
        let words = || allowed.iter().map(|(word, _)| *word);
        let hint = match nearest(&text, words()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("expected one of {}", words().collect::<Vec<_>>().join(", ")),
        };
        self.error(value, &format!("`{text}` is no `{name}`"), &hint);
        None
    }

    /// The text of a scalar; `None` for `null` and an empty one.
    fn text_field(&mut self, name: &str, value: NodeId) -> Option<String> {
        let value = self.tree.resolve(value);
        if self.tree.is_null(value) {
            return None;
        }
        let Some(text) = self.tree.text(self.text, self.decoded, value) else {
            self.error(
                value,
                &format!("`{name}` expects a text here"),
                "quote it if it contains `: `, `*`, `[` or `{`",
            );
            return None;
        };
        Some(text.into_owned()).filter(|text| !text.is_empty())
    }

    /// A list of texts; a single one is a list of one.
    fn list(&mut self, name: &str, value: NodeId) -> Vec<String> {
        let tree = self.tree;
        let value = tree.resolve(value);
        if let Kind::Sequence { .. } = tree.kind(value) {
            tree.children(value).filter_map(|item| self.text_field(name, item)).collect()
        } else {
            self.text_field(name, value).into_iter().collect()
        }
    }

    fn error(&mut self, node: NodeId, message: &str, hint: &str) {
        self.note(Severity::Error, node, message.to_owned(), Some(hint.to_owned()));
    }

    fn warning(&mut self, node: NodeId, message: &str, hint: Option<String>) {
        self.note(Severity::Warning, node, message.to_owned(), hint);
    }

    fn note(&mut self, severity: Severity, node: NodeId, message: String, hint: Option<String>) {
        self.is_sound &= severity == Severity::Warning;
        let (line, column) = self.lines.position(self.text, self.tree.range(node).start);
        self.problems.push(Problem { severity, line, column, entry: None, message, hint });
    }
}

/// The `id` of an entry.
#[derive(Default)]
enum Named {
    #[default]
    Not,
    Written(JobId),
    Wrong,
}

/// What was read of an entry.
struct Fields {
    id: Named,
    has_schedule: bool,
    spec: JobSpec,
}

impl Default for Fields {
    fn default() -> Self {
        let spec = JobSpec {
            id: JobId::of_title(""),
            schedule: String::new(),
            tz: None,
            task: Spec::default(),
            run: None,
            timeout_seconds: None,
            enabled: true,
            catch_up: CatchUp::default(),
            overlap: None,
            jitter_seconds: 0,
        };
        Self { id: Named::Not, has_schedule: false, spec }
    }
}
