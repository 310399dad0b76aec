//! R18: many agents spend from one budget concurrently, and report costs late, twice, or never; the daemon is killed
//! meanwhile. No more starts than the budget and the slots allow, and the ledger has each reported cost once.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, MARKS};
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, trials};
use rustix::process::Signal;
use serde_json::Value;
use std::sync::Mutex;

/// The row.
pub const ROW: Row = Row {
    id: "R18",
    code: file!(),
    fault: "agents that spend from one budget at the same time tell their cost late, out of order, twice or never; the daemon is killed meanwhile",
    goal: "no more is begun than the budget and one run for each slot; the books are the sum of what was told; what waits says so, and goes on with a higher budget",
    run: Run::Trials { quick: 24, full: 256, run },
};

/// Tasks of one trial in the full form, of which half can work at the same time.
const FULL: usize = 128;
/// A run costs a dollar.
const CENTS: u64 = 100;
/// From so much of a budget on nothing begins, in percent.
const EXHAUSTED: u64 = 95;
/// How often the daemon is killed.
const KILLS: usize = 3;

fn run(times: usize, size: Size) -> Tally {
    let tasks = if size == Size::Full { FULL } else { times };
    let begun = Mutex::new(Vec::new());
    let mut tally = trials(times / tasks, 1, |trial| spend(tasks, trial, &begun));
    tally.times = times;
    let begun = begun.into_inner().expect("nobody panics with it");
    tally.note = format!("begun of {tasks} tasks, with a budget for {}: {begun:?}", budget(tasks));
    tally
}

/// For how many runs the first budget is.
fn budget(tasks: usize) -> usize {
    tasks / 2
}

fn spend(tasks: usize, trial: usize, begun: &Mutex<Vec<usize>>) -> Findings {
    let slots = tasks / 3;
    let fixture = Fixture::empty(&format!(
        "engine: {{max_parallel: {slots}, tick_seconds: 2, adaptive: none}}\nbreaker: {{failures: 0}}\n\
         budget: {{accounts: {{meter: {{billing_type: token, daily_budget: {}}}}}}}\n",
        budget(tasks)
    ));
    hire_meter(&fixture);
    let jobs: Vec<Job> = (0..tasks).map(|n| Job::plain(&format!("f{n}"), "")).collect();
    let entries: String = jobs.iter().map(|job| job.entry_for("meter")).collect();
    fixture.sealed.write_tasks(&format!("{}\n{entries}{}\n", MARKS[0], MARKS[1]));

    let zone = noon();
    let serve = || fixture.orch_program().args(["serve"]).envs([("TZ", &zone)]).start();
    let mut dice = Dice::new(trial as u64 + 18);
    let mut daemon = serve();
    for kill in 1..=KILLS {
        let enough = tasks * kill / (3 * KILLS);
        wait::poll(RUN, || (fixture.started().len() >= enough).then_some(()));
        dice.pause(500);
        daemon.signal(Signal::KILL);
        daemon.finish(RUN);
        daemon = serve();
    }
    let mut found = stops_with_a_reason(&fixture, tasks);
    let count = fixture.started().len();
    begun.lock().expect("nobody panics with it").push(count);
    let most = (budget(tasks) as u64 * EXHAUSTED).div_ceil(100) as usize + slots;
    if count > most {
        found.push(finding(Broken::Lost, format!("{count} runs begun, and {most} are the most")));
    }
    found.extend(books(&fixture));
    fixture.orch(["budget", "configure", "meter", "--billing-type", "token", "--daily-budget", "100000"]).ok();
    found.extend(fixture.until_done(tasks, RUN * 10));
    found.extend(books(&fixture));
    found.extend(fixture.leaves(daemon));
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// Adds an agent whose runs cost a dollar each. It records the cost before it reports it late, twice or never.
fn hire_meter(fixture: &Fixture) {
    let (at, orch) = (fixture.notes.display(), crate::orch().display());
    fixture.hire(
        "meter",
        "kind: claude, live: false",
        &format!(
            "out='{at}'/$ORCH_RUN_ID.out\n'{orch}' __scripted-agent \"$@\" > \"$out\" || exit 1\n\
             sed -i 's/\"total_cost_usd\":[0-9.e-]*/\"total_cost_usd\":1/' \"$out\"\n\
             case $((ORCH_TASK_ID % 4)) in\n\
             0) sleep 0.$((ORCH_TASK_ID % 9)); told=paid;;\n\
             1) told=paid; tail -n 1 \"$out\" > \"$out.last\"; cat \"$out.last\" >> \"$out\";;\n\
             2) told=unpaid; sed -i 's/\"total_cost_usd\":1,//' \"$out\";;\n\
             3) told=paid;;\n\
             esac\necho $ORCH_TASK_ID >> '{at}'/$told\ncat \"$out\""
        ),
    );
}

/// Checks that all waiting tasks wait for the budget, with that reason.
fn stops_with_a_reason(fixture: &Fixture, tasks: usize) -> Findings {
    let settled = || {
        let listed = fixture.orch(["task", "list", "--json"]);
        let listed: Value = serde_json::from_str(&listed.stdout).ok()?;
        let all = listed.as_array()?;
        let is_settled = |task: &&Value| task["status"] == "done" || task["hold"]["reason"] == "spent";
        (all.len() == tasks && all.iter().filter(is_settled).count() == tasks).then(|| all.clone())
    };
    match wait::poll(RUN * 5, settled) {
        Some(all) if all.iter().all(|task| task["status"] == "done") => {
            vec![finding(Broken::Lost, "the budget has held nothing")]
        }
        Some(_) => Vec::new(),
        None => vec![finding(Broken::Stuck, format!("what waits does not say for what: {}", fixture.describe()))],
    }
}

/// Checks that the ledger has what was reported, and the number of unknown costs.
fn books(fixture: &Fixture) -> Findings {
    let lines = |name: &str| std::fs::read_to_string(fixture.note(name)).unwrap_or_default().lines().count();
    let (paid, unpaid) = (lines("paid") as u64, lines("unpaid") as u64);
    let answer = fixture.json(["cost", "--by", "agent", "--json"]);
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    let row = rows.iter().find(|row| row["key"] == "meter").cloned().unwrap_or_default();
    let cents = row["cost_usd"].as_f64().map(|dollars| (dollars * 100.0).round() as u64);
    if cents == Some(paid * CENTS) && row["unpriced"].as_u64() == Some(unpaid) {
        return Vec::new();
    }
    let broken = if cents > Some(paid * CENTS) { Broken::Doubled } else { Broken::Lost };
    vec![finding(broken, format!("{paid} runs told a dollar and {unpaid} nothing, and the books say {row}"))]
}

/// A time zone in which it is about noon: a new day would bring a new budget.
fn noon() -> String {
    #[expect(clippy::disallowed_methods, reason = "the hour of the day, to stay away from midnight")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let ahead = 12 - i64::try_from(now / 3600 % 24).unwrap_or(12);
    // The sign of these names is that of the west.
    format!("Etc/GMT{:+}", -ahead)
}
