//! R15: the provider of an agent, or of the router, is unavailable for a while. The CLI's output is from recordings of
//! the real ones (`tests/fixtures/agents`), whose interpretation is tested there.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, MARKS};
use crate::kit::http;
use crate::kit::provider::{Answer, Provider};
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::{read_file, write_file};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// The row.
pub const ROW: Row = Row {
    id: "R15",
    code: file!(),
    fault: "provider: connection refused, name unknown, cut in the middle, 5xx, overloaded, 429 with and without a time, silent after a first failure, one byte a second; the router's provider refuses, hangs, or answers with a byte a second",
    goal: "no attempt is charged, each wait has its reason, other agents work meanwhile, all is done afterwards",
    run: Run::Trials { quick: 12, full: 60, run },
};

/// What is wrong with the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The CLI ends as in this recording.
    Recorded(&'static str, &'static str),
    /// No such host.
    NameUnknown,
    /// It names the time in some seconds when it works again.
    Until,
    /// The CLI retries without an answer, and hangs.
    Silent,
    /// The CLI prints a byte per second.
    Trickle,
    /// Of the router only.
    Router(RouterTrouble),
}

/// What is wrong with the provider of the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RouterTrouble {
    /// Its CLI reports that the connection was refused.
    Refused,
    /// Its CLI gets no answer, and hangs.
    Hangs,
    /// It is asked by orch itself, and answers with a byte a second.
    Trickles,
}

/// Each with the expected reason, if it is a recording.
const TROUBLES: [Trouble; 12] = [
    Trouble::Recorded("unreachable", "network"),
    Trouble::Recorded("drop", "network"),
    Trouble::Recorded("server-500", "overloaded"),
    Trouble::Recorded("overloaded-529", "overloaded"),
    Trouble::Recorded("rate-limit", "rate_limited"),
    Trouble::NameUnknown,
    Trouble::Until,
    Trouble::Silent,
    Trouble::Trickle,
    Trouble::Router(RouterTrouble::Refused),
    Trouble::Router(RouterTrouble::Hangs),
    Trouble::Router(RouterTrouble::Trickles),
];

/// So many bytes are heard, a second each: several times what a silence may last.
const HEARD: u32 = 8;

/// How often the first task is requested during the outage: each time its agent fails again.
const ASKED: usize = 6;

fn run(times: usize, _: Size) -> Tally {
    trials(times, 5, |trial| match TROUBLES[trial % TROUBLES.len()] {
        Trouble::Router(how) => router_is_out(how),
        Trouble::Trickle => trickles(),
        trouble @ (Trouble::Recorded(..) | Trouble::NameUnknown | Trouble::Until | Trouble::Silent) => out(trouble),
    })
}

/// Three tasks of the agent whose provider is out, and two of another.
fn out(trouble: Trouble) -> Findings {
    let mut jobs: Vec<Job> = (0..5).map(|n| Job::plain(&format!("f{n}"), "")).collect();
    jobs.iter_mut().take(3).for_each(|job| job.starts = 3 * (ASKED + 4));
    let fixture = Fixture::empty("");
    fixture.orch(["config", "set", "workflow.silence_seconds", "2"]).ok();
    hire_cloud(&fixture);
    write_file(&fixture.note("down"), &said(trouble));
    if trouble == Trouble::Silent {
        write_file(&fixture.note("hang"), "");
    }
    let entry = |(n, job): (usize, &Job)| if n < 3 { job.entry_for("cloud") } else { job.entry() };
    let entries: String = jobs.iter().enumerate().map(entry).collect();
    fixture.sealed.write_tasks(&format!("{}\n{entries}{}\n", MARKS[0], MARKS[1]));
    let begun = Instant::now();
    let daemon = fixture.serves(jobs.len());
    let mut found = others_work(&fixture, &[4, 5], begun);
    found.extend(waits_with_a_reason(&fixture, trouble));
    if trouble != Trouble::Until {
        for _ in 0..ASKED {
            found.extend(fails_once_more(&fixture));
        }
    }
    for file in ["down", "hang"] {
        std::fs::remove_file(fixture.note(file)).ok();
    }
    if trouble != Trouble::Until {
        // A person who knows that it is back need not wait for the time to come.
        fixture.orch(["breaker", "reset"]);
        (1..=3).for_each(|task| run_now(&fixture, task));
    }
    found.extend(fixture.until_done(jobs.len(), RUN));
    for task in 1..=3 {
        let attempts = fixture.show(task)["attempts"].as_u64();
        if attempts != Some(1) {
            found.push(finding(Broken::Lost, format!("task {task} was charged {attempts:?} attempts: {trouble:?}")));
        }
    }
    found.extend(fixture.leaves(daemon));
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// Adds an agent that prints the content of `down` while that exists, and then does its work.
fn hire_cloud(fixture: &Fixture) {
    let (at, orch) = (fixture.notes.display(), crate::orch().display());
    fixture.hire(
        "cloud",
        "kind: claude",
        &format!(
            "if [ -e '{at}/down' ]; then sed \"s/1795200000/$(( $(date +%s) + 6 ))/\" '{at}/down'; echo $ORCH_TASK_ID >> '{at}/refused'; \
             [ -e '{at}/hang' ] && exec sleep 600; exit 1; fi\n\
             if [ -e '{at}/slow' ]; then i=1; while [ -e '{at}/slow' ]; do head -c $i '{at}/said' | tail -c 1; echo $i > '{at}/bytes'; \
             i=$((i+1)); sleep 1; done; tail -c +$i '{at}/said'; fi\nexec '{orch}' __scripted-agent \"$@\""
        ),
    );
}

/// Returns the CLI's output.
fn said(trouble: Trouble) -> String {
    let recorded = |case: &str| {
        let path = format!("{}/tests/fixtures/agents/claude/{case}.jsonl", env!("CARGO_MANIFEST_DIR"));
        read_file(Path::new(&path))
    };
    match trouble {
        Trouble::Recorded(case, _) => recorded(case),
        Trouble::NameUnknown => {
            recorded("unreachable").replace("ConnectionRefused", "getaddrinfo ENOTFOUND api.invalid")
        }
        // Its agent puts a time in some seconds in the place of the recorded one.
        Trouble::Until => recorded("subscription-limit"),
        Trouble::Silent | Trouble::Trickle | Trouble::Router(_) => {
            recorded("unreachable").lines().take(2).map(|line| format!("{line}\n")).collect()
        }
    }
}

/// Checks that tasks of other agents are done meanwhile, at their usual speed.
fn others_work(fixture: &Fixture, tasks: &[u64], begun: Instant) -> Findings {
    let done = || tasks.iter().all(|task| fixture.show(*task)["status"] == "done");
    match wait::poll(SOON * 2, || done().then_some(())) {
        Some(()) => Vec::new(),
        None => {
            vec![finding(Broken::Stuck, format!("others wait, too, {:?}: {}", begun.elapsed(), fixture.describe()))]
        }
    }
}

/// Checks that each task that waits for the provider has that reason, in the list and in `orch why`.
fn waits_with_a_reason(fixture: &Fixture, trouble: Trouble) -> Findings {
    let expected = match trouble {
        Trouble::Recorded(_, reason) => reason,
        Trouble::NameUnknown | Trouble::Silent | Trouble::Trickle | Trouble::Router(_) => "network",
        Trouble::Until => "rate_limited",
    };
    let mut found = Vec::new();
    for task in 1..=3 {
        let held = || {
            let hold = fixture.show(task)["hold"].clone();
            (hold["reason"] == expected && hold["until"].is_string()).then_some(hold)
        };
        let words = |hold: &Value| {
            let detail = hold["detail"].as_str().unwrap_or_default().to_owned();
            let text = fixture.orch(["why", &task.to_string()]).stdout;
            !detail.is_empty() && text.contains(detail.trim_start_matches("cloud: "))
        };
        // It may be working again when it is read.
        if wait::poll(SOON, || held().filter(words)).is_none() {
            let text = fixture.orch(["why", &task.to_string()]).stdout;
            found
                .push(finding(Broken::Stuck, format!("task {task} does not say that it waits for {expected}: {text}")));
        }
    }
    found
}

/// A person wants the task now, and does not watch it.
fn run_now(fixture: &Fixture, task: u64) {
    let socket = fixture.sealed.socket().expect("a daemon");
    let answer = http::ask(&socket, "POST", &format!("/v1/tasks/{task}/run"), "");
    assert!(answer.status < 500, "{answer:?}");
}

/// The first task is requested, and its agent fails again: no person is asked, and no attempt is counted.
fn fails_once_more(fixture: &Fixture) -> Findings {
    let refused = || read_file(&fixture.note("refused")).lines().count();
    let before = refused();
    run_now(fixture, 1);
    if wait::poll(SOON, || (refused() > before).then_some(())).is_none() {
        return vec![finding(Broken::Stuck, format!("task 1 is not tried: {}", fixture.describe()))];
    }
    let settled = || ["routed", "needs_review"].iter().any(|status| fixture.show(1)["status"] == *status);
    wait::poll(SOON, || settled().then_some(()));
    if fixture.show(1)["status"] == "needs_review" {
        return vec![finding(Broken::Stuck, format!("a person is asked because of an outage: {}", fixture.describe()))];
    }
    Vec::new()
}

/// An agent receives a byte per second for longer than the silence limit: it is neither stopped nor charged, and others
/// work.
fn trickles() -> Findings {
    let jobs: Vec<Job> = (0..3).map(|n| Job::plain(&format!("f{n}"), "")).collect();
    let fixture = Fixture::empty("");
    fixture.orch(["config", "set", "workflow.silence_seconds", "2"]).ok();
    hire_cloud(&fixture);
    write_file(&fixture.note("said"), &said(Trouble::Trickle));
    write_file(&fixture.note("slow"), "");
    let entries = format!("{}{}{}", jobs[0].entry_for("cloud"), jobs[1].entry(), jobs[2].entry());
    fixture.sealed.write_tasks(&format!("{}\n{entries}{}\n", MARKS[0], MARKS[1]));
    let begun = Instant::now();
    let daemon = fixture.orch_program().args(["serve"]).start();
    let bytes = || read_file(&fixture.note("bytes")).trim().parse::<u32>().unwrap_or(0);
    let heard = || fixture.note("bytes").exists() && bytes() >= HEARD;
    wait::wait_until("some bytes", RUN, heard);
    let mut found = others_work(&fixture, &[2, 3], begun);
    std::fs::remove_file(fixture.note("slow")).expect("it was there");
    found.extend(fixture.until_done(jobs.len(), RUN));
    found.extend(fixture.leaves(daemon));
    fixture.until_idle(&[]).finish(RUN);
    // Each job may be started once, as no other trouble was.
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// The router cannot be asked: tasks that name their agent do not notice, the others get the fallback.
fn router_is_out(how: RouterTrouble) -> Findings {
    let jobs: Vec<Job> = (0..4).map(|n| Job::plain(&format!("f{n}"), "")).collect();
    let fixture = Fixture::empty("");
    hire_cloud(&fixture);
    let provider = Provider::start(Answer::Trickle);
    let config = fixture.sealed.orch_home().join("config.yml");
    let who = match how {
        RouterTrouble::Refused | RouterTrouble::Hangs => "agent: cloud".to_owned(),
        RouterTrouble::Trickles => "agent: api, model: local/router-1".to_owned(),
    };
    let router =
        format!("router: {{mode: llm, agents: [bot, cloud], {who}, fallback_executor: bot, timeout_seconds: 10}}");
    let asks = |line: &str| if line.starts_with("router:") { router.clone() } else { line.to_owned() };
    let mut text: Vec<String> = read_file(&config).lines().map(asks).collect();
    text.push(format!("providers: {{local: {{base_url: '{}'}}}}", provider.url()));
    write_file(&config, &format!("{}\n", text.join("\n")));
    match how {
        RouterTrouble::Refused => write_file(&fixture.note("down"), &said(Trouble::Recorded("unreachable", ""))),
        RouterTrouble::Hangs => {
            write_file(&fixture.note("down"), &said(Trouble::Silent));
            write_file(&fixture.note("hang"), "");
        }
        RouterTrouble::Trickles => {}
    }
    let unlabelled = |job: &Job| job.entry().replace("'agent:bot', ", "");
    let entries: String = jobs[..2].iter().map(unlabelled).chain(jobs[2..].iter().map(Job::entry)).collect();
    fixture.sealed.write_tasks(&format!("{}\n{entries}{}\n", MARKS[0], MARKS[1]));
    let begun = Instant::now();
    let daemon = fixture.serves(jobs.len());
    let mut found = others_work(&fixture, &[3, 4], begun);
    found.extend(fixture.until_done(jobs.len(), RUN));
    for task in 1..=2 {
        let route = fixture.show(task)["route"].clone();
        if route["agent"] != json!("bot") || !route["warning"].is_string() {
            found.push(finding(Broken::Lost, format!("task {task} does not say who it was given to and why: {route}")));
        }
    }
    if how == RouterTrouble::Trickles && provider.seen().is_empty() {
        found.push(finding(Broken::Lost, "the router's provider was never asked".to_owned()));
    }
    found.extend(fixture.leaves(daemon));
    fixture.until_idle(&[]).finish(RUN);
    let mut jobs = jobs;
    // A routing question is a start of the router's.
    jobs[..2].iter_mut().for_each(|job| job.starts = 4);
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}
