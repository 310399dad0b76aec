//! R1: the process dies at each named point. The points are those of `orch_sys::crash`; a first pass counts how often
//! each is reached, and each time is a trial.

mod orders;

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, MARKS, kill};
use crate::kit::telegram::{BotApi, Kind, TOKEN};
use crate::kit::wait::{self, RUN};
use crate::kit::webhook::{Receiver, Taken};
use crate::kit::{read_file, write_file};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use crate::scene::Scene;
use ::orch_sys::crash::POINTS;
use std::collections::BTreeMap;
use std::time::Duration;

/// The row.
pub const ROW: Row = Row {
    id: "R1",
    code: file!(),
    fault: "`kill -9` at every crash point, before and after each durable write and each effect",
    goal: "each point is reached; at most the run that died is done again",
    run: Run::Trials { quick: 1, full: 10, run },
};

/// Points that the standard play does not come to, and where they are passed.
const ELSEWHERE: &[(&str, Play)] = &[
    ("streamed.staged", Play::Upkeep),
    ("streamed.placed", Play::Upkeep),
    ("retention.stamp.before", Play::Upkeep),
    ("retention.stamp.after", Play::Upkeep),
    ("pack.before", Play::Upkeep),
    ("pack.written", Play::Upkeep),
    ("pack.after", Play::Upkeep),
    ("drop.before", Play::Upkeep),
    ("drop.after", Play::Upkeep),
    ("index.before", Play::Upkeep),
    ("index.after", Play::Upkeep),
    ("exchange.published", Play::NoFile),
    ("bury.swept", Play::RunnerDies),
    ("bury.before", Play::RunnerDies),
    ("bury.after", Play::RunnerDies),
    ("judge.leftovers.before", Play::RunnerDies),
    ("judge.leftovers.after", Play::RunnerDies),
    ("session.close.before", Play::NoWorktree),
    ("session.close.after", Play::NoWorktree),
    ("exchange.put_back", Play::Race),
    ("outbox.take.before", Play::Notified),
    ("outbox.take.after", Play::Notified),
    ("outbox.say.before", Play::Notified),
    ("outbox.say.after", Play::Notified),
    ("outbox.noted", Play::Notified),
    ("press.taken", Play::Pressed),
    ("press.done", Play::Pressed),
];

/// Families of points that are passed where a person orders something, by how their names begin.
const ORDERED: &[(&str, Play)] = &[
    ("revert.", Play::Revert),
    ("gc.", Play::CleanUp),
    ("command.", Play::Command),
    ("mend.", Play::Mend),
    ("backup.", Play::Backup),
    ("restore.", Play::Restore),
    ("rebuild.", Play::Rebuild),
];

/// Who presses, in a chat with the bot alone.
const ADA: i64 = 42;
/// Tasks with a notification at their end: each reaches its points.
const NOTIFIED: usize = 3;

/// Where a point is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Play {
    /// The standard play.
    Standard,
    /// A daemon that finds finished runs.
    Upkeep,
    /// The first task comes while there is no `tasks.yml`.
    NoFile,
    /// The runner of an agent is killed, whose work is not committed.
    RunnerDies,
    /// The worktree cannot be made.
    NoWorktree,
    /// An editor saves again and again, until it hits the millisecond between two system calls.
    Race,
    /// A merge is taken back.
    Revert,
    /// Worktrees are cleaned up.
    CleanUp,
    /// A job's command.
    Command,
    /// `orch doctor --fix`.
    Mend,
    /// `orch backup`.
    Backup,
    /// `orch restore`.
    Restore,
    /// A damaged journal.
    Rebuild,
    /// Events are sent to a channel.
    Notified,
    /// A person approves by a button in a chat.
    Pressed,
}

fn play_of(point: &str) -> Play {
    let alone = ELSEWHERE.iter().find(|(name, _)| *name == point);
    let family = || ORDERED.iter().find(|(begin, _)| point.starts_with(begin));
    alone.or_else(family).map_or(Play::Standard, |(_, play)| *play)
}

/// One trial: which point, at which pass.
struct Death {
    point: &'static str,
    pass: usize,
}

fn run(times: usize, size: Size) -> Tally {
    let only = crate::variable("POINT");
    let passes = if size == Size::Full && only.is_none() { passes() } else { BTreeMap::new() };
    let mut deaths = Vec::new();
    for point in POINTS.iter().filter(|point| only.as_ref().is_none_or(|only| point.starts_with(only.as_str()))) {
        let known = if play_of(point) == Play::Notified { NOTIFIED } else { 1 };
        let most = passes.get(*point).copied().unwrap_or(known).min(times);
        deaths.extend((0..times).map(|time| Death { point, pass: time % most + 1 }));
    }
    let mut tally = trials(deaths.len(), 5, |number| die(&deaths[number]));
    tally.note = format!("{} points", POINTS.len());
    tally
}

/// How often each point is passed by one process, in one standard play without a death.
fn passes() -> BTreeMap<String, usize> {
    let mut scene = Scene::new("");
    let log = scene.fixture.note("trace");
    let daemon = scene.fixture.until_idle(&[("ORCH_CRASH_AT", "trace"), ("ORCH_CRASH_LOG", &log.to_string_lossy())]);
    scene.play(daemon).map_err(|found| format!("{found:?}")).expect("a play without a death");
    let mut by_process: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in read_file(&log).lines() {
        let mut words = line.split(' ').map(str::to_owned);
        let (Some(point), Some(process)) = (words.next(), words.next()) else { continue };
        *by_process.entry((point, process)).or_default() += 1;
    }
    let mut most = BTreeMap::new();
    for ((point, _), count) in by_process {
        let known = most.entry(point).or_default();
        *known = count.max(*known);
    }
    most
}

fn die(death: &Death) -> Findings {
    let text = format!("{}:{}", death.point, death.pass);
    let found = match play_of(death.point) {
        Play::Standard => standard(&text),
        Play::Upkeep => upkeep(&text),
        Play::NoFile => no_file(&text),
        Play::RunnerDies => runner_dies(&text),
        Play::NoWorktree => no_worktree(&text),
        Play::Notified => in_a_channel(&text),
        Play::Race => orders::race(&text),
        Play::Revert => orders::revert(&text),
        Play::CleanUp => orders::clean_up(&text),
        Play::Command => orders::command(&text),
        Play::Mend => orders::mend(&text),
        Play::Backup => orders::backup(&text),
        Play::Restore => orders::restore(&text),
        Play::Rebuild => orders::rebuild(&text),
        Play::Pressed => pressed(&text),
    };
    found.into_iter().map(|one| finding(one.broken, format!("at {text}: {}", one.text))).collect()
}

/// Returns whether a process died, and whether it was a runner; a finding if none did.
fn who_died(fixture: &Fixture, at: &str, found: &mut Findings) -> bool {
    let log = std::fs::read_to_string(fixture.note("crashed")).unwrap_or_default();
    if log.is_empty() && at.ends_with(":1") {
        found.push(finding(Broken::Stuck, format!("the point {at} was never reached")));
    }
    log.contains("__run")
}

/// The variables that make a process die.
fn orders(fixture: &Fixture, at: &str) -> [(&'static str, String); 2] {
    [("ORCH_CRASH_AT", at.to_owned()), ("ORCH_CRASH_LOG", fixture.note("crashed").to_string_lossy().into_owned())]
}

fn standard(at: &str) -> Findings {
    let mut scene = Scene::new("");
    let orders = orders(&scene.fixture, at);
    let daemon = scene.fixture.until_idle(&orders.each_ref().map(|(name, value)| (*name, value.as_str())));
    let mut found = match scene.play(daemon) {
        Ok(_) => Vec::new(),
        Err(found) => return found,
    };
    let was_runner = who_died(&scene.fixture, at, &mut found);
    found.extend(scene.finish());
    // A message to an agent that has ended is delivered to the next one.
    let messages = scene.fixture.show(3)["messages"].clone();
    let by_prompt = messages.as_array().into_iter().flatten().any(|message| message["via"] == "prompt");
    let allowed = Allowed { more_starts: usize::from(was_runner) + usize::from(by_prompt), ..Allowed::default() };
    found.extend(check::all(&scene.fixture, &scene.jobs, allowed));
    found
}

/// A runner is killed while its agent has uncommitted work; then the daemon that handles it dies.
fn runner_dies(at: &str) -> Findings {
    let wait = "write one.txt right\nrun sh -c 'until [ -e NOTES/go ]; do sleep 0.01; done'\ncommit Add one";
    let mut job = Job::plain("one", "");
    let fixture = Fixture::empty("");
    job.script = wait.replace("NOTES", &fixture.notes.to_string_lossy());
    if at.starts_with("judge.leftovers") {
        job.script = "write one.txt right".to_owned();
    }
    fixture.sealed.write_tasks(&format!("{}\n{}{}\n", MARKS[0], job.entry(), MARKS[1]));
    let orders = orders(&fixture, at);
    let daemon = fixture.until_idle(&orders.each_ref().map(|(name, value)| (*name, value.as_str())));
    let mut found = Vec::new();
    let dies = at.starts_with("bury");
    if dies {
        wait::wait_until("the agent's work", RUN, || has_work(&fixture));
        for runner in fixture.processes("__run") {
            kill(runner);
        }
        std::fs::write(fixture.note("go"), "").expect("a file in the box");
    }
    daemon.finish(RUN);
    who_died(&fixture, at, &mut found);
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &[job], Allowed { more_starts: usize::from(dies), ..Allowed::default() }));
    found
}

fn has_work(fixture: &Fixture) -> bool {
    fixture.worktrees().iter().any(|dir| dir.join("one.txt").exists())
}

/// The first task is added while there is no `tasks.yml`.
fn no_file(at: &str) -> Findings {
    let fixture = Fixture::empty("");
    let job = Job { title: "Do one".into(), ..Job::plain("one", "") };
    let script = format!("```orch-script\n{}\n```", job.script.trim());
    let add = ["task", "add", "Do one", "-b", &script, "-l", "agent:bot", "-l", "complexity:simple"];
    let orders = orders(&fixture, at);
    // The command is orch, too: without a daemon it writes by itself, and dies.
    std::fs::remove_file(fixture.sealed.tasks_file()).ok();
    let program = fixture.sealed.run_program_in(fixture.sealed.orch_program(), fixture.repo.dir());
    program.args(add).envs(orders.each_ref().map(|(name, value)| (*name, value.as_str()))).run();
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &[job], Allowed { no_marks: true, ..Allowed::default() }));
    found
}

/// A file of the person's is in the worktree's place, and is removed later.
fn no_worktree(at: &str) -> Findings {
    let job = Job::plain("one", "");
    let fixture = Fixture::open(std::slice::from_ref(&job), "");
    let base = fixture.sealed.orch_home().join("worktrees");
    crate::kit::write_file(&base.join("shop/orch/1-do-one/mine.txt"), "mine");
    let daemon = fixture.until_idle(&orders(&fixture, at).each_ref().map(|(name, value)| (*name, value.as_str())));
    daemon.finish(RUN);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    fixture.until_idle(&[]).finish(RUN);
    let mine = base.join("shop/orch/1-do-one/mine.txt");
    if !mine.exists() {
        found.push(finding(Broken::Lost, format!("a file of the person's is gone: {}", mine.display())));
    }
    std::fs::remove_dir_all(base.join("shop/orch/1-do-one")).ok();
    fixture.orch(["task", "unblock", "all"]).ok();
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &[job], Allowed::default()));
    found
}

/// A daemon finds runs that are over: packs, drops, indexes.
fn upkeep(at: &str) -> Findings {
    let job = Job::plain("one", "say the word is shibboleth\nflood 2MB");
    let fixture = Fixture::open(std::slice::from_ref(&job), "retention: {total_mb: 1}\n");
    fixture.until_idle(&[]).finish(RUN);
    std::fs::remove_file(fixture.state().join("retention")).ok();
    std::fs::remove_file(fixture.state().join("search.db")).ok();
    let orders = orders(&fixture, at);
    let daemon = fixture.orch_program().args(["serve"]);
    let mut daemon = daemon.envs(orders.each_ref().map(|(name, value)| (*name, value.as_str()))).start();
    wait::poll(Duration::from_secs(20), || (!daemon.is_running()).then_some(()));
    drop(daemon);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    let mut daemon = fixture.orch_program().args(["serve"]).start();
    let run = fixture.runs().pop().expect("a run");
    let packed = || run.join("transcript.log.zst").exists() && !run.join("transcript.log").exists();
    let dropped = || !run.join("events.jsonl").exists();
    if wait::poll(Duration::from_secs(20), || (packed() && dropped()).then_some(())).is_none() {
        found.push(finding(Broken::Stuck, "the transcript was not packed, or the raw output not dropped"));
    }
    let finds = || fixture.orch(["search", "shibboleth"]).code == Some(0);
    if wait::poll(Duration::from_secs(10), || finds().then_some(())).is_none() {
        found.push(finding(Broken::Lost, "what the agent said is not found any more"));
    }
    assert!(daemon.is_running(), "the second daemon lives");
    daemon.signal(rustix::process::Signal::TERM);
    daemon.finish(RUN);
    found.extend(check::all(&fixture, &[job], Allowed::default()));
    found
}

/// The ends of tasks are sent to a server: each at least once, always under the same key, and only the interrupted one
/// may repeat.
fn in_a_channel(at: &str) -> Findings {
    let server = Receiver::start();
    let jobs: Vec<Job> = (0..NOTIFIED).map(|number| Job::plain(&format!("f{number}"), "")).collect();
    let fixture = Fixture::open(&jobs, &format!("channels: {{webhook: {{url: '{}'}}}}\n", server.url()));
    let orders = orders(&fixture, at);
    let daemon = fixture.orch_program().args(["serve"]);
    let mut daemon = daemon.envs(orders.each_ref().map(|(name, value)| (*name, value.as_str()))).start();
    wait::poll(Duration::from_secs(30), || (!daemon.is_running()).then_some(()));
    drop(daemon);
    let mut found = Vec::new();
    who_died(&fixture, at, &mut found);
    let daemon = fixture.orch_program().args(["serve"]).start();
    found.extend(fixture.until_done(NOTIFIED, RUN));
    let ends = || -> Vec<Taken> {
        server.taken().into_iter().filter(|one| one.json()["notice"]["kind"] == "finished").collect()
    };
    let is_reported = |task: usize| ends().iter().any(|one| one.json()["task_id"] == task);
    if wait::poll(RUN, || (1..=NOTIFIED).all(is_reported).then_some(())).is_none() {
        found.push(finding(Broken::Lost, format!("the end of a task is never told: {:?}", server.messages())));
    }
    found.extend(fixture.leaves(daemon));
    let mut by_task: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in ends() {
        let key = one.header("idempotency-key").to_owned();
        by_task.entry(one.json()["task_id"].to_string()).or_default().push(key);
    }
    let again: usize = by_task.values().map(|keys| keys.len() - 1).sum();
    let other = by_task.values().any(|keys| keys.iter().any(|key| *key != keys[0]));
    if other || again > 1 || (again > 0 && !at.starts_with("outbox.say.after")) {
        found.push(finding(Broken::Doubled, format!("what was said was said again: {by_task:?}")));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// A person approves by a button. Telegram repeats the press, and it counts once: one approval, one merge.
fn pressed(at: &str) -> Findings {
    let api = BotApi::start();
    api.chat(ADA, Kind::Private);
    let job = Job::plain("one", "");
    let channel = format!(
        "channels: {{telegram: {{bot_token: 'file:telegram.secret', chat_id: '{ADA}', allowed_users: ['{ADA}'], api_url: '{}'}}}}\n",
        api.url()
    );
    let fixture = Fixture::open(std::slice::from_ref(&job), &channel);
    write_file(&fixture.sealed.orch_home().join("telegram.secret"), TOKEN);
    fixture.orch(["config", "set", "workflow.review", "human"]).ok();
    let orders = orders(&fixture, at);
    let daemon = fixture.orch_program().args(["serve"]);
    let mut daemon = daemon.envs(orders.each_ref().map(|(name, value)| (*name, value.as_str()))).start();
    let mut found = Vec::new();
    if wait::poll(RUN, || api.button(ADA, "Approve").is_some().then_some(())).is_none() {
        found.push(finding(Broken::Stuck, format!("nobody asks for a yes: {}", fixture.describe())));
        return found;
    }
    api.presses(ADA, ADA, "Approve");
    wait::poll(Duration::from_secs(30), || (!daemon.is_running()).then_some(()));
    drop(daemon);
    who_died(&fixture, at, &mut found);
    let daemon = fixture.orch_program().args(["serve"]).start();
    found.extend(fixture.until_done(1, RUN));
    if wait::poll(RUN, || api.is_heard().then_some(())).is_none() {
        found.push(finding(Broken::Stuck, "the press is asked for again and again"));
    }
    let approvals = fixture.orch(["events"]).stdout.lines().filter(|line| line.contains("telegram user 42")).count();
    if approvals != 1 {
        found.push(finding(Broken::Doubled, format!("{approvals} approvals by one press")));
    }
    found.extend(fixture.leaves(daemon));
    found.extend(check::all(&fixture, &[job], Allowed::default()));
    found
}
