//! Very many at once: tasks that come in from every side, and agents that work at the same time.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, MARKS};
use crate::kit::http;
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Tasks.
pub const TASKS: Row = Row {
    id: "many",
    code: file!(),
    fault: "tasks come at the same time from `orch task add`, the API and one save of `tasks.yml`; the daemon is killed meanwhile",
    goal: "each is there once, in the journal and in the file; 10,000 in a minute",
    run: Run::Trials { quick: 300, full: 10_000, run: tasks },
};
/// Agents.
pub const AGENTS: Row = Row {
    id: "many",
    code: file!(),
    fault: "agents at work at the same time, all ending at once",
    goal: "200 on two cores: each starts once, all are merged",
    run: Run::Trials { quick: 12, full: 200, run: agents },
};

/// Commands, and connections, at the same time.
const HANDS: usize = 8;

fn tasks(times: usize, _: Size) -> Tally {
    let note = Mutex::new(String::new());
    let mut tally = trials(1, 1, |_| flood_in(times, &note));
    tally.times = times;
    tally.note = note.into_inner().expect("nobody panics with it");
    tally
}

/// A tenth comes by commands, half of the rest by the API, the others are typed.
fn flood_in(count: usize, note: &Mutex<String>) -> Findings {
    let fixture = Fixture::empty("");
    fixture.sealed.write_tasks(&format!("{}\n{}\n", MARKS[0], MARKS[1]));
    // What is paused is only taken up.
    fixture.orch(["pause"]).ok();
    let daemon = fixture.orch_program().args(["serve"]).start();
    let socket = wait::wait_some("a daemon", RUN, || fixture.sealed.socket());
    let (by_command, by_api) = (count / 10, count * 45 / 100);
    let typed = count - by_command - by_api;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let add = |title: &str| {
            let program = fixture.sealed.run_program_in(fixture.sealed.orch_program(), fixture.repo.dir());
            program.args(["task", "add", title, "-l", "agent:bot"]).run().ok();
        };
        let post = |title: &str| {
            let body = json!({ "title": title, "body": "", "labels": ["agent:bot"], "priority": 0, "depends_on": [] });
            let answer = http::ask(&socket, "POST", "/v1/tasks", &body.to_string());
            assert!(answer.status < 300, "{answer:?}");
        };
        share(scope, by_command, "command", add);
        share(scope, by_api, "api", post);
        scope.spawn(|| {
            let entries: String = (0..typed).map(|n| format!("- title: typed {n}\n  labels: [agent:bot]\n")).collect();
            fixture.save_tasks(&format!("{}\n{entries}", fixture.sealed.read_tasks().trim_end()));
        });
    });
    let text = begun.elapsed();
    let listed = || fixture.json(["task", "list", "--json"]).as_array().map_or(0, Vec::len);
    wait::poll(RUN * 2, || (listed() >= count).then_some(()));
    *note.lock().expect("nobody panics with it") =
        format!("told in {} s, all there after {} s", text.as_secs(), begun.elapsed().as_secs());
    let mut found = there_once(&fixture, count);
    // The next one finds all of them where the first was killed.
    daemon.signal(rustix::process::Signal::KILL);
    daemon.finish(RUN);
    let daemon = fixture.orch_program().args(["serve"]).start();
    wait::wait_until("a daemon", RUN, || fixture.sealed.socket().is_some());
    wait::poll(RUN, || in_file(&fixture).is_some_and(|ids| ids == count).then_some(()));
    found.extend(there_once(&fixture, count));
    if in_file(&fixture) != Some(count) {
        found.push(finding(Broken::Lost, format!("tasks.yml has {:?} ids instead of {count}", in_file(&fixture))));
    }
    found.extend(fixture.leaves(daemon));
    found.extend(check::all(&fixture, &[], Allowed::default()));
    found
}

/// Some hands share the work.
fn share<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    count: usize,
    name: &'static str,
    work: impl Fn(&str) + Send + Sync + Copy + 'scope,
) {
    let next: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    for _ in 0..HANDS {
        scope.spawn(move || {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= count {
                    return;
                }
                work(&format!("{name} {number}"));
            }
        });
    }
}

/// How many different ids the file has.
fn in_file(fixture: &Fixture) -> Option<usize> {
    let text = fixture.sealed.read_tasks();
    let mut ids: Vec<&str> =
        text.lines().filter_map(|line| line.trim_start_matches(['-', ' ']).strip_prefix("id: ")).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    (ids.len() == all).then_some(all)
}

/// Every title is there, and once.
fn there_once(fixture: &Fixture, count: usize) -> Findings {
    let listed = fixture.json(["task", "list", "--json"]);
    let mut titles: BTreeMap<&str, usize> = BTreeMap::new();
    for title in listed.as_array().into_iter().flatten().filter_map(|task: &Value| task["title"].as_str()) {
        *titles.entry(title).or_default() += 1;
    }
    let twice = titles.iter().filter(|(_, times)| **times > 1);
    let mut found: Findings =
        twice.map(|(title, times)| finding(Broken::Doubled, format!("{title} is there {times} times"))).collect();
    if titles.len() != count {
        found.push(finding(Broken::Lost, format!("{} of {count} tasks are there", titles.len())));
    }
    found
}

fn agents(times: usize, _: Size) -> Tally {
    let note = Mutex::new(String::new());
    let mut tally = trials(1, 1, |_| crowd(times, &note));
    tally.times = times;
    tally.note = note.into_inner().expect("nobody panics with it");
    tally
}

/// All wait for one word, then all want to be judged and merged.
fn crowd(count: usize, note: &Mutex<String>) -> Findings {
    let config =
        format!("engine: {{max_parallel: {count}, tick_seconds: 2, adaptive: none}}\nbreaker: {{failures: 0}}\n");
    let fixture = Fixture::empty(&config);
    let go = fixture.note("go").display().to_string();
    let jobs: Vec<Job> = (0..count).map(|n| Job::plain(&format!("f{n}"), &format!("wait-for {go}"))).collect();
    let entries: String = jobs.iter().map(Job::entry).collect();
    fixture.sealed.write_tasks(&format!("{}\n{entries}{}\n", MARKS[0], MARKS[1]));
    let begun = Instant::now();
    let daemon = fixture.orch_program().args(["serve"]).start();
    let all = wait::poll(RUN * 4, || (fixture.started().len() >= count).then_some(()));
    let started = begun.elapsed();
    let at_work = fixture.processes("__scripted-agent").len();
    let mut found = Vec::new();
    if all.is_none() || at_work < count {
        found.push(finding(
            Broken::Stuck,
            format!("{at_work} of {count} agents work at the same time: {}", fixture.describe()),
        ));
    }
    std::fs::write(fixture.note("go"), "").expect("a file in the box");
    found.extend(fixture.until_done(count, RUN * 10));
    let seconds = (started.as_secs(), begun.elapsed().as_secs());
    *note.lock().expect("nobody panics with it") =
        format!("all at work after {} s, all merged after {} s", seconds.0, seconds.1);
    found.extend(fixture.leaves(daemon));
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}
