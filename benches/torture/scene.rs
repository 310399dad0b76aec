//! The standard trial: a task that merges, one whose check fails once, one that gets a message during its work, one
//! that is cancelled, and a person who edits `tasks.yml` meanwhile. The person continues where they were when a daemon
//! dies.

use crate::fixture::{Ends, Fixture, Job, MARKS};
use crate::kit::process::Running;
use crate::kit::wait;
use crate::row::{Broken, Findings, finding, pause};
use std::time::{Duration, Instant};

/// How long a daemon may take to bring everything to an end.
const PATIENCE: Duration = Duration::from_secs(90);
/// What the person says.
const WISH: &str = "use the new API";
/// The numbers of the tasks that the person has to do with.
const TOLD: u64 = 3;
const GIVEN_UP: u64 = 4;

/// The tasks. The last one is added by the person while the others are under way.
pub fn jobs(shop_notes: &str) -> Vec<Job> {
    let twice = "write fix.txt wrong\ncommit Fix it wrong\non-retry:\nwrite fix.txt right\ncommit Fix it right";
    let go = format!("run sh -c 'until [ -e {shop_notes}/go ]; do sleep 0.01; done'");
    let kept = "write kept.txt right\nhang";
    let file = |name: &str| (name.to_owned(), "right\n".to_owned());
    vec![
        Job::plain("one", ""),
        Job { title: "Fix it".into(), script: twice.into(), ends: Ends::Done, file: file("fix.txt"), starts: 2 },
        Job::plain("three", &go),
        Job { title: "Give up".into(), script: kept.into(), ends: Ends::Cancelled, file: file("kept.txt"), starts: 1 },
        Job::plain("five", ""),
    ]
}

/// The play, and how far the person is in it.
pub struct Scene {
    /// The ground.
    pub fixture: Fixture,
    /// The tasks.
    pub jobs: Vec<Job>,
    told_at: Option<Instant>,
    gave_up: bool,
    edited: bool,
}

impl Scene {
    /// Before the first daemon.
    pub fn new(config: &str) -> Self {
        let fixture = Fixture::empty(config);
        let jobs = jobs(&fixture.notes.to_string_lossy());
        let entries: String = jobs[..4].iter().map(Job::entry).collect();
        fixture.sealed.write_tasks(&format!("{}\n{entries}", MARKS[0]));
        Self { fixture, jobs, told_at: None, gave_up: false, edited: false }
    }

    /// Plays the person until the daemon ends. Returns how it ended.
    pub fn play(&mut self, daemon: Running) -> Result<crate::kit::process::Ran, Findings> {
        self.play_for(daemon, PATIENCE)
    }

    fn play_for(&mut self, mut daemon: Running, patience: Duration) -> Result<crate::kit::process::Ran, Findings> {
        let end = Instant::now() + patience;
        while daemon.is_running() {
            if Instant::now() > end {
                return Err(vec![finding(
                    Broken::Stuck,
                    format!("it does not come to rest: {}", self.fixture.describe()),
                )]);
            }
            self.act(&mut daemon);
            pause(Duration::from_millis(5));
        }
        Ok(daemon.finish(wait::SOON))
    }

    /// What the person would do now.
    fn act(&mut self, daemon: &mut Running) {
        if !self.edited && self.fixture.has_started(1) {
            self.edited = true;
            self.edit();
        }
        if self.told_at.is_none()
            && self.fixture.has_started(TOLD)
            && self.asks(daemon, ["task", "send", "3", WISH, "--no-wait"])
        {
            self.told_at = Some(Instant::now());
        }
        if self.told_at.is_some_and(|at| self.is_claimed() || at.elapsed() > Duration::from_secs(1)) {
            std::fs::write(self.fixture.note("go"), "").expect("a file in the box");
        }
        if !self.gave_up && self.worktree_has_work() {
            self.gave_up = self.asks(daemon, ["task", "cancel", "4"]);
        }
    }

    /// Asks a daemon that lives; a command would do without it else, and be what is tried.
    fn asks<const N: usize>(&self, daemon: &mut Running, args: [&str; N]) -> bool {
        daemon.is_running() && self.fixture.sealed.socket().is_some() && self.fixture.orch(args).code == Some(0)
    }

    fn is_claimed(&self) -> bool {
        let of_task =
            |run: &std::path::PathBuf| run.file_name().is_some_and(|name| name.to_string_lossy().starts_with("3-"));
        let mut runs = self.fixture.runs().into_iter().filter(of_task);
        runs.any(|run| run.join("claim-1.json").exists())
    }

    fn worktree_has_work(&self) -> bool {
        self.fixture.has_started(GIVEN_UP) && self.fixture.worktrees().iter().any(|dir| dir.join("kept.txt").exists())
    }

    /// The person adds a task and a comment in an editor.
    fn edit(&self) {
        let text = self.fixture.sealed.read_tasks();
        self.fixture.save_tasks(&format!("{text}{}\n{}", self.jobs[4].entry(), MARKS[1]));
    }

    /// A daemon brings everything to an end, as often as the person still has something to do.
    pub fn finish(&mut self) -> Findings {
        for _ in 0..3 {
            let daemon = self.fixture.until_idle(&[]);
            let ran = match self.play(daemon) {
                Ok(ran) => ran,
                Err(found) => return found,
            };
            if crate::is_verbose() {
                crate::table::print_error(&format!(
                    "told {:?} gave up {} edited {}\n{}",
                    self.told_at,
                    self.gave_up,
                    self.edited,
                    self.fixture.sealed.read_tasks()
                ));
            }
            if ran.code != Some(0) && ran.code != Some(5) {
                return vec![finding(Broken::Stuck, format!("the daemon did not end well: {ran}"))];
            }
            if self.edited && self.told_at.is_some() && self.gave_up {
                break;
            }
        }
        self.heard()
    }

    /// The message reached an agent.
    fn heard(&self) -> Findings {
        let messages = self.fixture.show(TOLD)["messages"].clone();
        let heard = |message: &serde_json::Value| message["state"] == "delivered";
        if messages.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(heard)) {
            return Vec::new();
        }
        vec![finding(Broken::Lost, format!("what was said did not reach the agent: {messages}"))]
    }
}
