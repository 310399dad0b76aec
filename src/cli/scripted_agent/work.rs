//! Executes a script in the worktree. Programs are started without a shell and with the agent's environment; a failure
//! is reported as a failed tool call, and the script continues, as an agent would.

use super::Surroundings;
use super::conversation::Conversation;
use super::events::{Answered, Stream};
use super::prompt::{Prompt, Task};
use super::script::{Instruction, Script};
use orch_core::base::names;
use orch_core::tasks::answer::{Answer, AnswerStatus};
use orch_sys::fs::{self, Durability, FsError};
use orch_sys::process::{self, Excess, Invocation, ProcessError};
use rustix::event::{Timespec, poll};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time limit of a program.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The most bytes of a program's output that are reported.
const TOLD: usize = 32 << 10;
/// How often to look for a file that the script waits for.
const LOOK: Duration = Duration::from_millis(10);
/// The author of commits if git has none.
const IDENTITY: [&str; 4] = ["-c", "user.name=Scripted Agent", "-c", "user.email=agent@example.invalid"];

/// How the process exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// With 0, after the last event.
    Well,
    /// With this code, immediately.
    With(u8),
}

/// Executes the script for this attempt, and answers.
pub(super) fn carry_out(
    script: &Script,
    prompt: &Prompt,
    conversation: &Conversation,
    surroundings: &Surroundings,
    stream: &mut Stream<impl Write>,
) -> io::Result<Leaves> {
    let own;
    let again = conversation.turns > 1 || prompt.mentions_trouble();
    let instructions = if script.is_empty() {
        own = unscripted(conversation.task.as_ref());
        &own
    } else {
        script.instructions(again)
    };
    let mut worker = Worker { surroundings, stream, report: Report::default() };
    for instruction in instructions {
        if let Some(leaves) = worker.follow(instruction)? {
            return Ok(leaves);
        }
    }
    let answer = worker.report.answer();
    worker.stream.end(answer)?;
    Ok(Leaves::Well)
}

/// Answers a further message.
pub(super) fn acknowledge(
    text: &str,
    surroundings: &Surroundings,
    stream: &mut Stream<impl Write>,
) -> io::Result<Leaves> {
    let mut worker = Worker { surroundings, stream, report: Report::default() };
    worker.follow(&Instruction::Say(format!("I am told: {text}")))?;
    let answer = worker.report.answer();
    worker.stream.end(answer)?;
    Ok(Leaves::Well)
}

/// The default instructions: write a file named after the task.
fn unscripted(task: Option<&Task>) -> Vec<Instruction> {
    let title = task.map_or("Nothing in particular", |task| task.title.as_str());
    let name = names::slug(title, 40);
    let file = format!("{}.md", if name.is_empty() { "task" } else { &name });
    let subject: String = title.chars().take(72).collect();
    vec![
        Instruction::Say(format!("There is no script in the task, so I write {file}.")),
        Instruction::Write(PathBuf::from(&file), format!("# {title}\n")),
        Instruction::Commit(subject),
    ]
}

/// The parts of the answer.
#[derive(Debug, Default)]
struct Report {
    status: Option<(AnswerStatus, String)>,
    malformed: Option<String>,
    commits: Vec<String>,
    files: Vec<String>,
}

impl Report {
    fn answer(&mut self) -> Answered {
        if let Some(text) = self.malformed.take() {
            return Answered::Text(text);
        }
        let (status, reason) = self.status.take().unwrap_or((AnswerStatus::Done, String::new()));
        let summary = match (self.commits.last(), reason.is_empty()) {
            (Some(subject), _) => subject.clone(),
            (None, false) => reason.clone(),
            (None, true) => "Followed the script.".to_owned(),
        };
        let remaining = if status == AnswerStatus::InProgress { vec![reason.clone()] } else { Vec::new() };
        let answer = Answer {
            status,
            summary,
            accomplished: std::mem::take(&mut self.commits),
            remaining,
            files_changed: std::mem::take(&mut self.files),
            blockers: Vec::new(),
            reason,
            learnings: Vec::new(),
            delegations: Vec::new(),
            result: String::new(),
        };
        // Plain data always serializes.
        Answered::Structured(serde_json::to_value(answer).unwrap_or(Value::Null))
    }
}

struct Worker<'a, W> {
    surroundings: &'a Surroundings,
    stream: &'a mut Stream<W>,
    report: Report,
}

impl<W: Write> Worker<'_, W> {
    /// Executes one instruction; returns the exit if the process is to end now.
    fn follow(&mut self, instruction: &Instruction) -> io::Result<Option<Leaves>> {
        match instruction {
            Instruction::Say(text) => self.stream.say(text)?,
            Instruction::Write(path, text) => self.file(path, text, write)?,
            Instruction::Append(path, text) => self.file(path, text, fs::append_private)?,
            Instruction::Run(words) => self.run(words)?,
            Instruction::Commit(message) => self.commit(message)?,
            Instruction::Wait(time) => pause(*time),
            Instruction::WaitFor(path) => self.wait_for(path),
            Instruction::Exit(code) => return Ok(Some(Leaves::With(*code))),
            Instruction::Hang => hang(),
            Instruction::Flood(bytes) => self.stream.flood(*bytes)?,
            Instruction::Background(time) => self.background(*time)?,
            Instruction::Stderr(text) => writeln!(io::stderr(), "{text}")?,
            Instruction::Event(line) => self.stream.raw(line)?,
            Instruction::Malformed(text) => self.report.malformed = Some(text.clone()),
            Instruction::Status(status, reason) => self.report.status = Some((*status, reason.clone())),
        }
        Ok(None)
    }

    fn file(&mut self, path: &Path, text: &str, write: fn(&Path, &[u8]) -> Result<(), FsError>) -> io::Result<()> {
        let shown = path.display().to_string();
        let id = self.stream.call("Write", &json!({ "file_path": shown, "content": text }))?;
        let file = self.surroundings.dir.join(path);
        let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = made.map_err(|error| error.to_string());
        let written = written.and_then(|()| write(&file, text.as_bytes()).map_err(|error| error.to_string()));
        if written.is_ok() && !self.report.files.contains(&shown) {
            self.report.files.push(shown.clone());
        }
        match written {
            Ok(()) => self.stream.result(&id, true, &format!("{shown} is written")),
            Err(error) => self.stream.result(&id, false, &error),
        }
    }

    fn run(&mut self, words: &[String]) -> io::Result<()> {
        let id = self.stream.call("Bash", &json!({ "command": words.join(" ") }))?;
        let (ok, output) = self.run_program(words);
        self.stream.result(&id, ok, &output)
    }

    fn commit(&mut self, message: &str) -> io::Result<()> {
        let id = self.stream.call("Bash", &json!({ "command": format!("git add -A && git commit -m {message:?}") }))?;
        let identity = if self.knows_identity() { &[][..] } else { &IDENTITY[..] };
        let (mut ok, mut output) = self.run_program(&["git", "add", "--all"]);
        if ok {
            let commit = [&["git"], identity, &["commit", "--quiet", "--message", message]].concat();
            (ok, output) = self.run_program(&commit);
        }
        if ok {
            let subject = message.lines().next().unwrap_or_default().to_owned();
            self.report.commits.push(subject);
            (_, output) = self.run_program(&["git", "log", "-1", "--oneline"]);
        }
        self.stream.result(&id, ok, &output)
    }

    fn knows_identity(&self) -> bool {
        let has = |name: &str| self.run_program(&["git", "config", "--get", name]).0;
        let given = |name: &str| self.surroundings.environment.get(name).is_some_and(|value| !value.is_empty());
        (has("user.name") && has("user.email")) || (given("GIT_AUTHOR_EMAIL") && given("GIT_COMMITTER_EMAIL"))
    }

    /// Runs a program, and returns whether it succeeded and its output.
    fn run_program<S: AsRef<str>>(&self, words: &[S]) -> (bool, String) {
        let mut words = words.iter().map(AsRef::as_ref);
        let program = words.next().unwrap_or_default();
        let call = self.invocation(program).args(words).time_limit(PATIENCE).output_limit(TOLD, Excess::KeepTail);
        match process::run(&call) {
            Ok(output) => {
                let mut text = [output.text(), output.error_text()].join("\n").trim().to_owned();
                if let Some(code) = output.exit.code.filter(|code| *code != 0) {
                    text = format!("Exit code {code}\n{text}");
                }
                (output.success(), text)
            }
            Err(error) => (false, describe(&error)),
        }
    }

    fn invocation(&self, program: &str) -> Invocation {
        Invocation::new(program, &self.surroundings.dir).envs(&self.surroundings.environment)
    }

    fn background(&mut self, time: Duration) -> io::Result<()> {
        let seconds = time.as_secs_f64().to_string();
        let id = self.stream.call("Bash", &json!({ "command": format!("sleep {seconds} &") }))?;
        let nowhere = || File::options().write(true).open("/dev/null");
        let call = self.invocation("sleep").arg(&seconds);
        let started = process::start_on_files(&call, None, nowhere()?, nowhere()?);
        match started {
            Ok(pid) => self.stream.result(&id, true, &format!("started as {}", pid.as_raw_nonzero())),
            Err(error) => self.stream.result(&id, false, &error.to_string()),
        }
    }

    fn wait_for(&self, path: &Path) {
        let file = self.surroundings.dir.join(path);
        while !file.exists() {
            pause(LOOK);
        }
    }
}

fn write(path: &Path, text: &[u8]) -> Result<(), FsError> {
    fs::write_private(path, text, Durability::Cached)
}

fn describe(error: &ProcessError) -> String {
    error.to_string()
}

/// Waits until the process is killed.
pub(super) fn hang() -> ! {
    loop {
        pause(Duration::from_secs(3600));
    }
}

/// Pauses, as the script demands.
fn pause(time: Duration) {
    // Without a descriptor this is a plain wait of the kernel; a signal may cut it short.
    let began = orch_sys::clock::instant();
    while let Some(left) = time.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        let timeout = Timespec::try_from(left).ok();
        poll(&mut [], timeout.as_ref()).ok();
    }
}
