//! From the moment at which an agent writes a line to the moment at which a watcher has it, for all running sessions at
//! once, beside `tail -F` on the same transcripts; and what the daemon takes for it.

use crate::Scale;
use crate::agent;
use crate::ground::{Ground, repository, this_program};
use crate::idle::{pss_mb, watched};
use crate::kit::sealed_box::ORCH;
use crate::kit::wait::{self, RUN};
use crate::measure::{Samples, figure, ms_between, now_ns, pause};
use crate::table::{Row, Table};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// Milliseconds at the median, and at the 99th percentile.
const LATENCY: (f64, f64) = (1.0, 10.0);
/// Percent of one core with a hundred sessions that write twenty lines a second each, and with a hundred that are silent.
const BUSY: f64 = 5.0;
const SILENT: f64 = 0.1;
/// Megabytes.
const MEMORY: f64 = 40.0;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    for sessions in [1, 10, 100] {
        measure(sessions, scale, table);
    }
}

fn measure(sessions: usize, scale: Scale, table: &mut Table) {
    let program = json!(this_program());
    let teller = format!(
        "  teller: {{kind: command, command: {program}, args: [{}, STAMPS, \"{{task_id}}\"]}}\n",
        agent::TELLER
    );
    let mut ground = Ground::with(&teller, &format!("engine: {{max_parallel: {sessions}}}\n"));
    let repo = repository(ground.sealed(), 10);
    ground.serve();
    ground.register(&repo);
    let ids: Vec<u64> = (0..sessions).map(|number| ground.add_for(&format!("Session {number}"), "teller")).collect();
    for id in &ids {
        ground.await_stamp(&id.to_string(), "begin");
    }
    let runs: Vec<PathBuf> = ids.iter().map(|id| transcript(&ground, *id)).collect();
    let by_orch = Reader::start(&ground, ORCH, &["stream".into(), "--all".into(), "--from-start".into()]);
    let mut tail: Vec<String> = ["-q", "-F", "-n", "+1"].map(String::from).to_vec();
    tail.extend(runs.iter().map(|path| path.display().to_string()));
    let by_tail = Reader::start(&ground, "tail", &tail);
    let pid = ground.daemon_pid();
    pause(Duration::from_secs(2));
    if sessions == 100 {
        let time = Duration::from_secs(scale.pick(60, 15));
        let silent = watched(pid, time);
        processor(
            table,
            &format!("daemon, 100 silent sessions with a watcher, {} s", time.as_secs()),
            silent.cpu,
            SILENT,
        );
        let programs = if silent.programs { "some" } else { "0" };
        table.add(Row { name: "  · programs run".into(), orch: programs.into(), ..Row::default() });
    }
    std::fs::File::create(ground.stamps().join("go")).expect("a file in the box");
    let busy = watched(pid, Duration::from_secs(scale.pick(20, 6)));
    let memory = pss_mb(pid);
    std::fs::File::create(ground.stamps().join("stop")).expect("a file in the box");
    let said: BTreeMap<u64, u64> = ids.iter().map(|id| (*id, ground.await_stamp(&id.to_string(), "said"))).collect();
    wait::wait_until("all tasks to be done", 2 * RUN, || ground.count("done") == sessions as u64);
    pause(Duration::from_millis(500));
    let (orch, bare) = (by_orch.end(), by_tail.end());
    tell(sessions, &orch, &bare, &said, table);
    if sessions == 100 {
        processor(table, "daemon, 100 sessions of 20 lines a second, one watcher of all", busy.cpu, BUSY);
        table.add(Row {
            name: "  · its memory (PSS)".into(),
            orch: format!("{} MB", figure(memory)),
            goal: format!("≤ {MEMORY} MB"),
            reached: Some(memory <= MEMORY),
            ..Row::default()
        });
    }
    ground.finish();
}

fn processor(table: &mut Table, name: &str, cpu: f64, goal: f64) {
    table.add(Row {
        name: name.to_owned(),
        orch: format!("{cpu:.3} %"),
        goal: format!("≤ {goal} % of a core"),
        reached: Some(cpu <= goal),
        ..Row::default()
    });
}

fn transcript(ground: &Ground, id: u64) -> PathBuf {
    wait::wait_some("a transcript", RUN, || {
        let task = ground.get(&format!("/v1/tasks/{id}"));
        let path = task["runs"].as_array()?.last()?["transcript"].as_str().map(PathBuf::from)?;
        path.exists().then_some(path)
    })
}

fn tell(sessions: usize, orch: &Seen, bare: &Seen, said: &BTreeMap<u64, u64>, table: &mut Table) {
    let all: u64 = said.values().sum();
    let lost = all as i64 - orch.lines.len() as i64;
    let (p50, p99) = (orch.latency.p50(), orch.latency.percentile(99));
    let both = |samples: &Samples| format!("{} / {} ms", figure(samples.p50()), figure(samples.percentile(99)));
    let in_goal = p50 <= LATENCY.0 && (p99 <= LATENCY.1 || p99 <= 2.0 * bare.latency.percentile(99));
    table.add(Row {
        name: format!(
            "line written → on the watcher's stdout, {sessions} sessions: p50 / p99 (n={})",
            orch.latency.count()
        ),
        baseline: both(&bare.latency),
        orch: both(&orch.latency),
        own: format!("× {:.1} / {:.1}", p50 / bare.latency.p50(), p99 / bare.latency.percentile(99)),
        goal: format!("≤ {} / {} ms", LATENCY.0, LATENCY.1),
        reached: Some(in_goal),
    });
    table.add(Row {
        name: "  · lost, doubled".to_owned(),
        orch: format!("{lost}, {}", orch.doubled),
        goal: "0, 0".to_owned(),
        reached: Some(lost == 0 && orch.doubled == 0),
        ..Row::default()
    });
}

/// What a watcher saw.
#[derive(Default)]
struct Seen {
    latency: Samples,
    lines: BTreeSet<(u64, u64)>,
    doubled: usize,
}

impl Seen {
    /// A line as the agent says it: `T <task> <number> <nanoseconds>`.
    fn line(&mut self, line: &str, at: u64) {
        let Some((_, line)) = line.split_once("T ") else { return };
        let fields: Vec<u64> = line.split(' ').filter_map(|field| field.parse().ok()).collect();
        let [task, number, written] = fields.as_slice() else { return };
        if self.lines.insert((*task, *number)) {
            self.latency.add(ms_between(*written, at));
        } else {
            self.doubled += 1;
        }
    }
}

/// A program whose output is read as it comes.
struct Reader {
    child: Child,
    seen: JoinHandle<Seen>,
}

impl Reader {
    #[expect(clippy::disallowed_methods, reason = "what a watcher prints is timed as it comes")]
    fn start(ground: &Ground, program: &str, args: &[String]) -> Self {
        let mut command = Command::new(program);
        command.args(args).current_dir(ground.sealed().base()).env_clear().envs(ground.sealed().env());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut stdout = child.stdout.take().expect("piped");
        let seen = std::thread::spawn(move || {
            let (mut seen, mut text, mut piece) = (Seen::default(), Vec::new(), vec![0; 64 << 10]);
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                let at = now_ns();
                text.extend_from_slice(&piece[..count]);
                let Some(end) = text.iter().rposition(|b| *b == b'\n') else { continue };
                let rest = text.split_off(end + 1);
                String::from_utf8_lossy(&text).lines().for_each(|line| seen.line(line, at));
                text = rest;
            }
            seen
        });
        Self { child, seen }
    }

    fn end(mut self) -> Seen {
        self.child.kill().expect("it can be ended");
        self.child.wait().expect("it was a child");
        self.seen.join().expect("the reader ends")
    }
}
