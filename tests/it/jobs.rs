//! Tests recurring jobs: `orch job`, `jobs.yml` edited by hand, and tasks and commands that are created exactly once.
//! The agent is a small shell program.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, SOON, wait_until};
use crate::kit::{read_file, write_file};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// Commits a file named after its branch.
const GOOD: &str = "#!/bin/sh
cat > /dev/null
name=$(git rev-parse --abbrev-ref HEAD | tr / -)
echo work > \"$name.txt\" && git add . && git commit -q -m work && echo finished
";

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new() -> Self {
        let sealed = SealedBox::new();
        sealed.program("good", GOOD);
        sealed.config("agents: {good: {kind: command, command: good}}\n");
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn file(&self) -> PathBuf {
        self.sealed.orch_home().join("jobs.yml")
    }

    /// `orch job …` in the repository.
    fn job(&self, args: &[&str]) -> crate::kit::process::Ran {
        self.sealed.orch_in(self.repo.dir(), ["job"].iter().chain(args))
    }

    fn json(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        self.job(&all).ok().json()
    }

    fn show(&self, id: &str) -> Value {
        self.json(&["show", id])
    }

    fn tasks(&self) -> Vec<Value> {
        let all = self.sealed.orch(["task", "list", "--all", "--json"]).ok().json();
        all.as_array().expect("a list").clone()
    }

    fn titles(&self) -> Vec<String> {
        self.tasks().iter().map(|task| task["title"].as_str().expect("a title").to_owned()).collect()
    }

    /// Pretends that orch has not checked its jobs since then, so that no test waits for a time.
    fn was_away_since(&self, time: &str) {
        let db = rusqlite::Connection::open(self.sealed.orch_home().join(".orch/orch.db")).expect("a journal");
        let sql = "UPDATE jobs SET data = json_set(data, '$.through', ?1), sum = NULL";
        assert!(db.execute(sql, [time]).expect("changed") > 0);
    }

    fn problems(&self) -> String {
        self.sealed.orch(["status", "--json"]).ok().json()["problems"].to_string()
    }
}

#[test]
fn the_walk_of_a_job_from_the_command_line() {
    let mut fixture = Fixture::new();
    for with_daemon in [false, true] {
        if with_daemon {
            fixture.sealed.serve();
        }
        let added = fixture.json(&[
            "add",
            "0 9 * * 1-5",
            "Triage of {{date}}",
            "-b",
            "Look.",
            "-l",
            "agent:good",
            "--tz",
            "Europe/Berlin",
        ]);
        assert_eq!(added["id"], "triage-of-date");
        assert_eq!(added["dir"].as_str(), fixture.repo.dir().to_str());
        assert_eq!((&added["catch_up"], &added["overlap"]), (&"once".into(), &"skip".into()));
        let again = fixture.json(&["add", "@daily", "Triage of {{date}}"]);
        assert_eq!(again["id"], "triage-of-date-2", "a name that nobody chose is made free");
        let text = read_file(&fixture.file());
        assert!(text.contains("schedule: 0 9 * * 1-5") || text.contains("schedule: \"0 9 * * 1-5\""), "{text}");

        let next = fixture.json(&["next", "-n", "5", "triage-of-date"]);
        let days: Vec<&str> =
            next.as_array().expect("times").iter().map(|time| &time["local"].as_str().expect("a time")[..3]).collect();
        assert!(days.len() == 5 && days.iter().all(|day| !day.starts_with('S')), "{next}");
        assert!(next[0]["local"].as_str().is_some_and(|local| local.contains(" 09:00:00 CE")), "{next}");
        assert!(next[0]["what"].as_str().is_some_and(|what| what.starts_with("Triage of 20")), "{next}");

        assert_eq!(fixture.json(&["disable", "triage-of-date"])["enabled"], false);
        assert!(read_file(&fixture.file()).contains("enabled: false"));
        assert_eq!(fixture.json(&["next", "triage-of-date"]), json!([]));
        assert!(fixture.job(&["list"]).ok().stdout.contains("  off  "));
        assert_eq!(fixture.json(&["enable", "triage-of-date"])["enabled"], true);

        let fired = fixture.json(&["run", "triage-of-date"]);
        assert_eq!((&fired["made"], &fired["cause"]), (&"task".into(), &"person".into()));
        let task = fixture.sealed.orch(["task", "show", &fired["task_id"].to_string(), "--json"]).ok().json();
        assert!(task["title"].as_str().is_some_and(|title| title.starts_with("Triage of 20")), "{task}");
        assert_eq!((&task["body"], &task["labels"]), (&"Look.".into(), &json!(["agent:good"])));
        assert_eq!(fixture.show("triage-of-date")["last_task"], fired["task_id"]);

        let before = read_file(&fixture.file());
        assert!(fixture.job(&["remove", "triage-of-date", "--dry-run"]).ok().stdout.contains("would remove"));
        assert_eq!(read_file(&fixture.file()), before);
        for id in ["triage-of-date", "triage-of-date-2"] {
            fixture.job(&["remove", id]).ok();
        }
        assert_eq!(fixture.json(&["list"]), json!([]));
        fixture.job(&["show", "triage-of-date"]).code_is(3);
    }
    fixture.sealed.finish();
}

#[test]
fn a_job_fires_when_its_time_comes_and_its_task_is_done() {
    let mut fixture = Fixture::new();
    fixture.sealed.serve();
    fixture.job(&["add", "* * * * *", "At {{time}}", "-l", "agent:good", "--overlap", "allow"]).ok();
    wait_until("a minute to begin and its task to be done", RUN, || {
        let list = fixture.sealed.orch(["task", "list", "--all", "--json"]).ok().json();
        list.as_array().is_some_and(|all| all.iter().any(|task| task["status"] == "done"))
    });
    let job = fixture.show("at-time");
    assert_eq!(job["firings"][0]["cause"], "schedule", "{job:#}");
    let events = fixture.sealed.orch(["events", "--json"]).ok().json_lines();
    let made = events.iter().find(|event| event["kind"] == "task_made").expect("a line");
    assert_eq!((&made["by"], &made["who"]), (&"schedule".into(), &"at-time".into()), "{made}");
    fixture.sealed.kill_daemon();
    fixture.sealed.serve();
    let titles = fixture.titles();
    let mut single = titles.clone();
    single.dedup();
    assert_eq!(titles, single, "one task for each minute");
    fixture.sealed.finish();
}

#[test]
fn what_passed_while_orch_was_away_is_made_up_for_as_the_job_says_and_once() {
    let fixture = Fixture::new();
    let jobs = [("none", "skip"), ("one", "once"), ("each", "all")].map(|(id, catch_up)| {
        format!("  - {{id: {id}, schedule: '0 * * * *', title: '{id} {{{{date}}}}', catch_up: {catch_up}, overlap: allow, labels: ['agent:good']}}\n")
    });
    write_file(&fixture.file(), &format!("jobs:\n{}", jobs.concat()));
    assert_eq!(fixture.json(&["list"]).as_array().map(Vec::len), Some(3));
    // Between eleven and twelve hours: no time is about to come or has just come, unless an hour begins during the test.
    let since = jiff::Timestamp::now().as_second() / 3600 * 3600 - 11 * 3600 - 60;
    let since = jiff::Timestamp::from_second(since).expect("a time").to_string();
    fixture.was_away_since(&since);
    fixture.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run().ok();
    let count = |id: &str| fixture.titles().iter().filter(|title| title.starts_with(id)).count();
    let made = [count("none"), count("one"), count("each")];
    // Where one begins, it is one more for each of them.
    assert!(made[0] <= 1 && made[1] - 1 <= made[0] && (12..=13).contains(&made[2]), "{made:?}");
    let events = fixture.sealed.orch(["events"]).ok().stdout;
    assert!(events.contains("not made up for (catch_up: skip)"), "{events}");
    fixture.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run().ok();
    assert_eq!([count("none"), count("one"), count("each")], made, "nothing is made up for twice");
    fixture.sealed.finish();
}

#[test]
fn a_command_runs_in_the_projects_directory_and_its_end_is_reported() {
    let mut fixture = Fixture::new();
    let good = ["add", "@daily", "--run", "pwd; echo \"$ORCH_JOB\" > ran.txt; echo said", "--id", "good"];
    fixture.job(&good).ok();
    fixture.job(&["add", "@daily", "--run", "echo no disk; exit 3", "--id", "bad"]).ok();
    fixture.job(&["add", "@daily", "--run", "sleep 600", "--timeout", "1s", "--id", "slow"]).ok();
    for with_daemon in [false, true] {
        if with_daemon {
            fixture.sealed.serve();
        }
        for (id, state, code) in
            [("good", "passed", json!(0)), ("bad", "failed", json!(3)), ("slow", "timed_out", Value::Null)]
        {
            fixture.job(&["run", id]).ok();
            wait_until("the command to end", SOON, || fixture.show(id)["firings"][0]["state"].is_string());
            let firing = fixture.show(id)["firings"][0].clone();
            assert_eq!((&firing["state"], &firing["exit_code"]), (&state.into(), &code), "{firing:#}");
        }
    }
    assert_eq!(read_file(&fixture.repo.dir().join("ran.txt")), "good\n");
    let output = fixture.show("good")["firings"][0]["output"].as_str().map(PathBuf::from).expect("a file");
    assert_eq!(read_file(&output), format!("{}\nsaid\n", fixture.repo.dir().display()));
    let text = fixture.job(&["show", "bad"]).ok().stdout;
    assert!(text.contains("failed (person), exit code 3") && text.contains("no disk"), "{text}");
    let events = fixture.sealed.orch(["events"]).ok().stdout;
    assert!(events.contains("job_failed") && events.contains("bad: its command failed, exit code 3"), "{events}");
    fixture.sealed.finish();
}

#[test]
fn an_orch_in_a_command_works_on_the_home_of_the_job() {
    let mut fixture = Fixture::new();
    let run = format!("'{ORCH}' add 'Made by the command'; '{ORCH}' backup made.backup");
    fixture.job(&["add", "@daily", "--run", &run, "--id", "nested"]).ok();
    fixture.sealed.serve();
    fixture.job(&["run", "nested"]).ok();
    wait_until("the command to end", RUN, || fixture.show("nested")["firings"][0]["state"].is_string());
    let firing = fixture.show("nested")["firings"][0].clone();
    assert_eq!(firing["state"], "passed", "{firing:#}");
    assert_eq!(fixture.titles(), ["Made by the command"]);
    assert!(fixture.repo.dir().join("made.backup").exists());
    assert!(!fixture.sealed.home().join(".orch").exists(), "there is no other home");
    fixture.sealed.finish();
}

#[test]
fn a_command_that_was_under_way_when_orch_died_is_not_run_again() {
    let mut fixture = Fixture::new();
    fixture.sealed.serve();
    fixture.job(&["add", "@daily", "--run", "echo once >> ran.txt; sleep 600", "--id", "long"]).ok();
    fixture.job(&["run", "long"]).ok();
    wait_until("it to run", SOON, || fixture.repo.dir().join("ran.txt").exists());
    fixture.sealed.kill_daemon();
    fixture.sealed.serve();
    wait_until("its end to be reported", SOON, || fixture.show("long")["firings"][0]["state"] == "lost");
    assert_eq!(read_file(&fixture.repo.dir().join("ran.txt")), "once\n");
    fixture.sealed.finish();
}

#[test]
fn jobs_that_are_added_all_at_once_are_all_there() {
    let mut fixture = Fixture::new();
    fixture.sealed.serve();
    let adding: Vec<_> = (0..8)
        .map(|n| {
            let program = fixture.sealed.run_program_in(ORCH, fixture.repo.dir());
            program.args(["job", "add", "@daily", &format!("Number {n}")]).start()
        })
        .collect();
    adding.into_iter().for_each(|one| drop(one.finish(SOON).ok()));
    assert_eq!(fixture.json(&["list"]).as_array().map(Vec::len), Some(8));
    let events = fixture.sealed.orch(["events"]).ok().stdout;
    assert!(!events.contains("job_removed"), "{events}");
    fixture.sealed.finish();
}

#[test]
fn bad_words_are_refused_with_what_to_write_and_change_nothing() {
    let fixture = Fixture::new();
    write_file(&fixture.file(), "jobs:\n  - {id: a, schedule: '@daily', title: Mine}   # keep me\n");
    let before = read_file(&fixture.file());
    for (args, code, text, hint) in [
        (["61 * * * *", "x"].as_slice(), 2, "`61` is no minute in `61 * * * *`", "0 to 59"),
        (&["@never", "x"], 2, "no schedule is called @never", "there are @hourly"),
        (&["0 0 30 2 *", "x"], 2, "the time of `0 0 30 2 *` never comes", "L is the last day"),
        (&["* * * *", "x"], 2, "has 4 fields instead of five", "@daily"),
        (&["@daily", "x", "--tz", "Mars/Base"], 2, "there is no time zone \"Mars/Base\"", "Europe/Berlin"),
        (&["@daily", "All of {{dates}}"], 2, "{{dates}} stands for nothing", "did you mean {{date}}?"),
        (&["@daily", "x", "--id", "a/b"], 2, "\"a/b\" is no name of a job", ""),
        (&["@daily", "x", "--id", "a"], 7, "there is a job a already", "choose another --id"),
        (&["@daily", "x", "--jitter", "soon"], 2, "\"soon\" is no jitter", ""),
        (&["@daily", "  "], 2, "this job makes nothing", "give it a `title`"),
    ] {
        let args: Vec<&str> = ["add"].iter().chain(args).copied().collect();
        let ran = fixture.job(&args).code_is(code);
        assert!(ran.stderr.contains(text) && ran.stderr.contains(hint), "{args:?}: {}", ran.stderr);
        assert_eq!(read_file(&fixture.file()), before, "{args:?}");
    }
    fixture.job(&["add", "@daily"]).code_is(2);
    for verb in ["show", "enable", "disable", "remove", "run"] {
        let ran = fixture.job(&[verb, "nothing"]).code_is(3);
        assert!(ran.stderr.contains("there is no job nothing"), "{}", ran.stderr);
    }
    fixture.sealed.finish();
}

#[test]
fn a_jobs_file_that_is_broken_or_gone_stops_nothing_and_is_reported() {
    let mut fixture = Fixture::new();
    let sound = "# mine\njobs:\n  - {id: a, schedule: '@daily', title: Mine, shedule: x}\n  - {id: b, schedule: '@hourly', title: Too}\n";
    write_file(&fixture.file(), sound);
    fixture.sealed.serve();
    let names = |fixture: &Fixture| -> Vec<String> {
        let all = fixture.json(&["list"]);
        all.as_array().expect("a list").iter().map(|job| job["id"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&fixture), ["a", "b"]);
    let output = fixture.problems();
    assert!(
        output.contains("line 3, column 46: job a: `shedule` is no key of a job")
            && output.contains("did you mean `schedule`?"),
        "{output}"
    );
    let remove = |fixture: &Fixture| {
        let file = fixture.file();
        if file.is_dir() { std::fs::remove_dir(&file) } else { std::fs::remove_file(&file) }.expect("removed");
    };
    for (broken, expected) in [
        (Some("jobs: [\n"), "line 1, column 7: unclosed bracket '['; what it held before counts on"),
        (Some("%PDF-1.4 \u{1}\u{2}"), "what it held before counts on"),
        (Some(""), "is empty or gone, but 2 jobs were in it"),
        (None, "what it held before counts on"),
    ] {
        match broken {
            Some(text) => write_file(&fixture.file(), text),
            None => {
                remove(&fixture);
                std::fs::create_dir(fixture.file()).expect("a directory");
            }
        }
        wait_until("the file to be reported as broken", SOON, || fixture.problems().contains(expected));
        assert_eq!(names(&fixture), ["a", "b"], "{broken:?}");
        let refused = fixture.job(&["disable", "a"]);
        assert!(!refused.stderr.is_empty() && names(&fixture).len() == 2, "{refused}");
    }
    // Also for a daemon that has never seen the sound one.
    fixture.sealed.stop_daemon();
    fixture.sealed.serve();
    assert_eq!(names(&fixture), ["a", "b"]);
    remove(&fixture);
    // One entry with a mistake: its last form counts, and the others are taken over.
    write_file(
        &fixture.file(),
        "jobs:\n  - {id: a, schedule: '@dayly', title: Mine}\n  - {id: c, schedule: '@weekly', title: New}\n  - {id: c, schedule: '@daily', title: Twice}\n",
    );
    wait_until("the new file to count", SOON, || names(&fixture).contains(&"c".to_owned()));
    assert_eq!(fixture.show("a")["schedule"], "@daily");
    assert_eq!(fixture.show("c")["schedule"], "@weekly", "of two of one name the first counts");
    let output = fixture.problems();
    assert!(
        output.contains("did you mean @daily?") && output.contains("another job above has the same name"),
        "{output}"
    );
    write_file(&fixture.file(), "jobs: []\n");
    wait_until("the empty list to count", SOON, || names(&fixture).is_empty());
    fixture.sealed.finish();
}

#[test]
fn ten_thousand_jobs_are_no_trouble() {
    let mut fixture = Fixture::new();
    let jobs: String = (0..10_000)
        .map(|n| format!("  - {{id: job-{n}, schedule: '{} {} * * *', title: Number {n}}}\n", n % 60, n / 60 % 24))
        .collect();
    write_file(&fixture.file(), &format!("# many\njobs:\n{jobs}"));
    fixture.sealed.serve();
    assert_eq!(fixture.json(&["list"]).as_array().map(Vec::len), Some(10_000));
    let begun = Instant::now();
    let next = fixture.json(&["next", "-n", "3"]);
    assert_eq!(next.as_array().map(Vec::len), Some(3));
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    fixture.job(&["add", "@daily", "One more", "--id", "last"]).ok();
    fixture.job(&["disable", "job-5000"]).ok();
    let text = read_file(&fixture.file());
    assert!(
        text.starts_with("# many\njobs:\n  - {id: job-0,") && text.contains("Number 5000, enabled: false}"),
        "{}",
        text.len()
    );
    fixture.sealed.finish();
}
