//! Tests `orch budget`: agreements are in `config.yml`, spent limits hold new work, and critical or requested tasks
//! start anyway.

use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_until};
use crate::kit::webhook::Receiver;
use crate::kit::write_file;
use jiff::ToSpan;
use jiff::tz::TimeZone;
use orch_sys::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

/// Creates a home with an agent that reports its prices.
fn with_agent(config: &str) -> SealedBox {
    with_models("{medium: {scripted: scripted-small}, complex: {scripted: scripted-large}}", config)
}

/// The same with another `model_map`.
fn with_models(map: &str, config: &str) -> SealedBox {
    let sealed = SealedBox::new();
    let program = sealed.bin().join("orch-scripted-agent");
    symlink(ORCH, &program).expect("a link in the box");
    sealed.config(&format!(
        "agents:\n  scripted: {{kind: claude, command: '{}'}}\nworkflow: {{review: 'off', integrate: merge}}\n\
         model_map: {map}\n{config}",
        program.display()
    ));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed
}

fn add(sealed: &SealedBox, title: &str, labels: &[&str]) {
    let file = title.replace([' ', ','], "");
    let script = format!("```orch-script\nwrite {file}.txt done\ncommit Made\n```\n");
    let mut args = vec!["add", title, "-b", &script, "-l", "agent:scripted", "-l", "complexity:complex"];
    labels.iter().for_each(|label| args.extend(["-l", label]));
    sealed.orch_in(&sealed.base().join("shop"), args).ok();
}

fn done(sealed: &SealedBox, id: &str) -> Value {
    wait_until("the task to be done", RUN, || task(sealed, id)["status"] == "done");
    task(sealed, id)["runs"][0].clone()
}

fn task(sealed: &SealedBox, id: &str) -> Value {
    sealed.orch(["task", "show", id, "--json"]).ok().json()
}

fn status(sealed: &SealedBox, args: &[&str]) -> Value {
    let all: Vec<&str> = ["budget", "status", "--json"].iter().chain(args).copied().collect();
    sealed.orch(all).ok().json()
}

#[test]
fn what_is_spent_holds_the_next_task_until_tomorrow_and_a_higher_limit_lets_it_begin() {
    let mut sealed = with_agent("");
    sealed.serve();
    add(&sealed, "First", &[]);
    wait_until("the first to be done", RUN, || task(&sealed, "1")["status"] == "done");
    let spent = sealed.orch(["cost", "--json"]).ok().json()["total"]["cost_usd"].as_f64().expect("a price");
    assert_eq!(status(&sealed, &[])["accounts"], json!([]));
    sealed.orch(["budget", "check"]).ok();

    let limit = format!("{:.6}", spent * 1.02);
    let set = sealed.orch(["budget", "configure", "anthropic", "--daily-budget", &limit, "--json"]).ok().json();
    assert_eq!((&set["account"], &set["changed"]), (&json!("anthropic"), &json!(true)), "{set:#}");
    wait_until("the limit", RUN, || sealed.orch(["budget", "check", "anthropic"]).code == Some(2));
    let anthropic = status(&sealed, &["anthropic"]);
    assert_eq!(anthropic["standing"]["level"], "exhausted", "{anthropic:#}");
    assert_eq!(anthropic["standing"]["used"].as_f64(), Some(spent));
    assert_eq!(sealed.orch(["budget", "recommend", "--json"]).code_is(2).json()["account"], Value::Null);

    add(&sealed, "Second", &[]);
    wait_until("the hold", RUN, || task(&sealed, "2")["hold"]["reason"] == "spent");
    let held = task(&sealed, "2");
    assert!(held["hold"]["detail"].as_str().expect("words").starts_with("anthropic: $"), "{held:#}");
    assert!(held["hold"]["until"].is_string(), "until tomorrow: {held:#}");
    let why = sealed.orch(["why", "2"]);
    assert!(why.stdout.contains("spent"), "{why}");
    add(&sealed, "Third, at any price", &["critical"]);
    wait_until("what is critical to be done", RUN, || task(&sealed, "3")["status"] == "done");
    assert_eq!(task(&sealed, "2")["hold"]["reason"], "spent", "it still waits");

    sealed.orch(["budget", "configure", "anthropic", "--daily-budget", "100"]).ok();
    wait_until("the second to be done", RUN, || task(&sealed, "2")["status"] == "done");
    sealed.orch(["budget", "check", "anthropic"]).ok();
    sealed.orch(["budget", "record", "anthropic", "--cost", "85", "--note", "by hand"]).ok();
    sealed.orch(["budget", "check", "anthropic"]).code_is(1);
    assert_eq!(task(&sealed, "2")["runs"][0]["model"], "scripted-large");
    add(&sealed, "Fourth", &[]);
    wait_until("the fourth to be done", RUN, || task(&sealed, "4")["status"] == "done");
    assert_eq!(task(&sealed, "4")["runs"][0]["model"], "scripted-small", "money is short");
    let fourth = task(&sealed, "4");
    assert_eq!(
        (&fourth["route"]["model"], &fourth["worked_by"]["model"]),
        (&json!("scripted-large"), &json!("scripted-small"))
    );
    let all = sealed.orch(["list", "--json"]).ok().json();
    assert_eq!(all[3]["worked_by"]["model"], "scripted-small", "{all:#}");
    let listed = sealed.orch(["list", "--all"]).ok().stdout;
    let line = |title: &str| listed.lines().find(|line| line.contains(title)).unwrap_or_default().to_owned();
    assert!(line("Fourth").contains("scripted-small") && line("Second").contains("scripted-large"), "{listed}");
    let text = sealed.orch(["events"]).ok().stdout;
    assert!(text.contains("model_degraded") && text.contains("scripted-small instead of scripted-large"), "{text}");
    assert!(text.contains("budget_exhausted") && text.contains("budget_short"), "{text}");

    let served = sealed.orch(["budget", "status"]).ok().stdout;
    assert!(served.contains("degraded"), "{served}");
    sealed.stop_daemon().ok();
    assert_eq!(sealed.orch(["budget", "status"]).ok().stdout, served, "the journal knows it all");
    sealed.finish();
}

#[test]
fn a_dear_tier_gives_way_to_the_middle_one_whatever_its_name_unless_it_was_named_or_nothing_else_can_do_it() {
    let map = "{medium: {scripted: 'tier:haiku'}, complex: {scripted: 'tier:opus'}}";
    let mut sealed = with_models(map, "budget: {accounts: {anthropic: {daily_budget: 1000}}}\n");
    sealed.serve();
    add(&sealed, "Before", &[]);
    let begins = |run: &Value, with: &str| run["model"].as_str().is_some_and(|model| model.starts_with(with));
    let before = done(&sealed, "1");
    assert!(begins(&before, "claude-opus-"), "{before:#}");
    sealed.orch(["budget", "record", "anthropic", "--cost", "850"]).ok();
    sealed.orch(["budget", "check", "anthropic"]).code_is(1);

    let repository = sealed.base().join("shop");
    let route = ["route", "Short", "-l", "agent:scripted", "-l", "complexity:complex", "--json"];
    let beforehand = sealed.orch_in(&repository, route).ok().json();
    let given = beforehand["resolver"]["given"].as_str().unwrap_or_default();
    assert!(given.starts_with("claude-sonnet-"), "{beforehand:#}");
    let why = beforehand["resolver"]["reason"].as_str().unwrap_or_default();
    assert!(why.contains("(tier sonnet) instead of tier:opus") && why.contains("are spent"), "{beforehand:#}");
    assert_eq!(beforehand["warnings"], json!([]), "{beforehand:#}");

    add(&sealed, "Short", &[]);
    let cheaper = done(&sealed, "2");
    assert!(begins(&cheaper, "claude-sonnet-"), "{cheaper:#}");
    let why = cheaper["reason"].as_str().unwrap_or_default();
    assert!(why.contains("(tier sonnet) instead of tier:opus (anthropic/claude-opus-"), "{cheaper:#}");
    assert!(why.contains("of $1000.00 today are spent"), "{cheaper:#}");

    add(&sealed, "Critical", &["critical"]);
    assert!(begins(&done(&sealed, "3"), "claude-opus-"));

    let script = "```orch-script\nwrite named.txt done\ncommit Made\n```\n";
    let named = ["add", "Named", "-b", script, "-l", "agent:scripted", "-l", "complexity:complex", "--model", "opus"];
    sealed.orch_in(&repository, named).ok();
    let named = done(&sealed, "4");
    assert_eq!(named["model"], "opus");
    assert!(
        named["reason"].as_str().is_some_and(|why| why.starts_with("opus is kept, the task names it: anthropic: $"))
    );
    let events = sealed.orch(["events"]).ok().stdout;
    assert!(events.contains("model_kept") && events.contains("model_degraded"), "{events}");

    sealed.orch(["budget", "record", "anthropic", "--cost", "150"]).ok();
    let held = sealed.orch_in(&repository, route).ok().json();
    let warning = held["warnings"][0].as_str().unwrap_or_default();
    assert!(warning.starts_with("no run would begin now: anthropic: $"), "{held:#}");
    assert!(warning.contains("orch budget configure anthropic --daily-budget"), "{held:#}");
    sealed.finish();
}

#[test]
fn what_is_paid_in_advance_goes_first_as_long_as_its_period_lasts() {
    let mut sealed = SealedBox::new();
    let program = sealed.bin().join("orch-scripted-agent");
    symlink(ORCH, &program).expect("a link in the box");
    let today = SystemClock.now().to_zoned(TimeZone::UTC).date();
    let (start, end) = (today.saturating_sub(7.days()), today.saturating_add(21.days()));
    sealed.config(&format!(
        "agents:\n  use: {{kind: claude, command: '{0}'}}\n  plan: {{kind: claude, command: '{0}'}}\n\
         router: {{mode: round_robin, agents: [use, plan], strategy: cost_aware}}\n\
         model_map: {{medium: {{use: haiku, plan: opus}}}}\n\
         budget: {{accounts: {{plan: {{billing_type: subscription, unit: requests, start: {start}, end: {end}, \
         allowance: 1000000}}}}}}\n",
        program.display()
    ));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    let asked = || {
        let route =
            sealed.orch_in(&sealed.base().join("shop"), ["route", "Rename it", "--json"]).ok().json()["route"].clone();
        (route["agent"].clone(), route["reason"].as_str().unwrap_or_default().to_owned())
    };
    let mut messages = Vec::new();
    for order in ["[use, plan]", "[plan, use]"] {
        sealed.orch(["config", "set", "router.agents", order]).ok();
        wait_until("the plan to be preferred", RUN, || asked().0 == "plan");
        messages.push(asked().1);
    }
    let is_reported =
        |why: &String| why.contains("cost_aware: plan/opus (") && why.contains("paid in advance) instead of use/haiku");
    assert!(messages.iter().any(is_reported), "its turn was the other's: {messages:?}");
    let period =
        ["budget", "configure-period", "plan", "--start", "2020-01-01", "--end", "2020-02-01", "--allowance", "9"];
    sealed.orch(period).ok();
    wait_until("the other to be taken", RUN, || asked().0 == "use");
    assert!(!asked().1.contains("paid in advance"), "its period has ended: {:?}", asked());
    sealed.finish();
}

#[test]
fn a_breach_asks_the_person_once_with_the_command_that_lets_more_begin() {
    let receiver = Receiver::start();
    let mut sealed = with_agent("budget: {accounts: {anthropic: {daily_budget: 100}}}\n");
    write_file(&sealed.orch_home().join("hook.secret"), "a-secret-of-the-hook-0123456789\n");
    let path = sealed.orch_home().join("config.yml");
    let text = std::fs::read_to_string(&path).expect("a file");
    let hook =
        format!("channels: {{webhook: {{url: '{}', secret: 'file:hook.secret', events: [budget]}}}}\n", receiver.url());
    write_file(&path, &format!("{text}{hook}"));
    sealed.serve();
    sealed.orch(["budget", "record", "anthropic", "--cost", "96"]).ok();
    wait_until("the notice", RUN, || !receiver.taken().is_empty());
    let command = "orch budget configure anthropic --daily-budget 200";
    let notice = receiver.taken()[0].json()["notice"].clone();
    assert_eq!(notice["kind"], "budget");
    let text = notice["message"].as_str().unwrap_or_default();
    assert!(text.contains("$96.00 of $100.00 today are spent"), "{notice:#}");
    assert!(text.trim_end().ends_with(&format!("to let more begin:\n{command}")), "{notice:#}");

    add(&sealed, "Later", &[]);
    wait_until("the hold", RUN, || task(&sealed, "1")["hold"]["reason"] == "spent");
    let why = sealed.orch(["why", "1"]).ok().stdout;
    assert!(why.contains(&format!("`{command}` lets more begin")), "{why}");
    sealed.stop_daemon().ok();
    sealed.serve();
    sealed.orch(["budget", "record", "anthropic", "--cost", "0.5"]).ok();
    wait_until("it to be held again", RUN, || task(&sealed, "1")["hold"]["reason"] == "spent");
    assert_eq!(receiver.taken().len(), 1, "told once, whoever serves");

    let words: Vec<&str> = command.split(' ').skip(1).collect();
    sealed.orch(words).ok();
    done(&sealed, "1");
    sealed.finish();
}

#[test]
fn a_limit_of_the_day_holds_what_is_not_even_routed_and_a_person_overrules_it() {
    let mut sealed = with_agent("budget: {per_day: 0}\n");
    sealed.serve();
    add(&sealed, "Never by itself", &["critical"]);
    wait_until("the hold", RUN, || task(&sealed, "1")["hold"]["reason"] == "spent");
    assert_eq!(task(&sealed, "1")["status"], "new");
    sealed.orch(["budget", "check"]).code_is(2);
    sealed.orch(["task", "run", "1"]).ok();
    assert_eq!(task(&sealed, "1")["status"], "done");
    sealed.finish();
}

#[test]
fn what_is_agreed_is_written_whole_or_not_at_all() {
    let sealed = SealedBox::new();
    sealed.config("# mine\nengine: {max_parallel: 2} # two\n");
    let text = || std::fs::read_to_string(sealed.orch_home().join("config.yml")).expect("a file");
    let before = text();
    let refused = |args: &[&str]| {
        let ran = sealed.orch(args.iter().copied());
        assert!(ran.code.is_some_and(|code| code == 2) && text() == before, "{args:?}: {ran}");
        ran.stderr
    };
    refused(&["budget", "configure", "anthropic", "--daily-budget", "-3"]);
    refused(&["budget", "configure", "anthropic", "--daily-budget", "NaN"]);
    refused(&["budget", "configure", "anthropic", "--billing-type", "flat"]);
    let period = ["budget", "configure-period", "opencode", "--allowance", "200", "--start"];
    let with = |rest: &[&'static str]| period.iter().chain(rest).copied().collect::<Vec<_>>();
    let output = refused(&with(&["2026-02-01", "--end", "2026-03-01"]));
    assert!(output.contains("--billing-type subscription"), "{output}");
    sealed.orch(["budget", "configure", "opencode", "--billing-type", "subscription"]).ok();
    let before = text();
    assert!(before.starts_with("# mine\nengine: {max_parallel: 2} # two\n"), "{before}");
    for wrong in
        [["2026-03-01", "--end", "2026-02-01"], ["2026-02-30", "--end", "2026-03-01"], ["soon", "--end", "later"]]
    {
        assert!(sealed.orch(with(&wrong)).code == Some(2) && text() == before, "{wrong:?}");
    }
    sealed.orch(with(&["2026-02-01", "--end", "2026-03-01", "--unit", "requests", "--reserve", "20"])).ok();
    let ended = sealed.orch(["budget", "check", "opencode"]).code_is(2).stdout;
    assert!(ended.contains("its period ended on 2026-03-01"), "{ended}");
    sealed.orch(["budget", "configure", "opencode", "--billing-type", "token", "--daily-budget", "5"]).ok();
    let account = status(&sealed, &["opencode"]);
    assert_eq!(
        (&account["billing_type"], &account["standing"]["limit"]),
        (&json!("token"), &json!(5.0)),
        "{account:#}"
    );

    let none = sealed.orch(["budget", "check", "moon"]);
    assert!(none.code == Some(64) && none.stderr.contains("there are opencode"), "{none}");
    let ran = sealed.orch(["budget", "record", "moon", "--cost", "1"]).code_is(3);
    assert!(ran.stderr.contains("orch budget configure moon"), "{ran}");
    sealed.orch(["budget", "record", "opencode", "--cost", "-1"]).code_is(2);
    let record = sealed.orch(["budget", "record", "opencode", "--json"]).ok().json();
    assert_eq!(record["cost_usd"], Value::Null, "not known is not nothing");
    assert_eq!(status(&sealed, &["opencode"])["standing"]["used"], Value::Null);
    sealed.finish();
}

#[test]
fn while_nobody_knows_what_is_set_nothing_begins() {
    let mut sealed = with_agent("");
    let path = sealed.orch_home().join("config.yml");
    let text = std::fs::read_to_string(&path).expect("a file");
    let write = |text: &str| std::fs::write(&path, text).expect("written");
    write(&format!("{text}budget: {{per_day: 0\n"));
    let check = sealed.orch(["budget", "check"]);
    assert!(check.code == Some(64) && check.stderr.contains("not known"), "{check}");
    sealed.serve();
    add(&sealed, "Later", &["critical"]);
    wait_until("the hold", RUN, || task(&sealed, "1")["hold"]["reason"] == "config");
    assert!(sealed.orch(["why", "1"]).stdout.contains("config.yml"), "it says where");
    write(&text);
    wait_until("the task to be done", RUN, || task(&sealed, "1")["status"] == "done");
    write("budget: [\n");
    wait_until("the problem", RUN, || sealed.orch(["status", "--json"]).stdout.contains("unclosed"));
    add(&sealed, "With what read last", &[]);
    wait_until("the second to be done", RUN, || task(&sealed, "2")["status"] == "done");
    sealed.finish();
}

#[test]
fn what_would_limit_nothing_is_warned_of_and_nothing_is_written_without_a_word() {
    let sealed = SealedBox::new();
    let bare = sealed.orch(["budget", "configure", "anthropic"]).code_is(2);
    assert!(bare.stderr.contains("nothing was written") && bare.stderr.contains("--daily-budget"), "{}", bare.stderr);
    assert!(!sealed.orch_home().join("config.yml").exists());
    let odd = sealed.orch(["budget", "configure", "antropic", "--daily-budget", "5"]).ok();
    assert!(
        odd.stderr.contains("did you mean \"anthropic\"?") && odd.stderr.contains("limits nothing"),
        "{}",
        odd.stderr
    );
    let valid = sealed.orch(["config", "validate"]).ok();
    assert!(valid.stderr.contains("budget.accounts.antropic: no provider"), "{}", valid.stderr);
    assert_eq!(sealed.orch(["budget", "configure", "claude", "--daily-budget", "5"]).ok().stderr, "");

    sealed.orch(["budget", "configure", "opencode", "--billing-type", "subscription"]).ok();
    let period = ["budget", "configure-period", "opencode", "--start", "2026-02-01", "--end", "2026-03-01"];
    for reserve in ["20%", "20", "20 %"] {
        sealed.orch([&period[..], &["--allowance", "200", "--reserve", reserve]].concat()).ok();
        assert_eq!(sealed.orch(["config", "get", "budget.accounts.opencode.reserve"]).ok().stdout, "20\n");
    }
    sealed.orch([&period[..], &["--allowance", "200", "--reserve", "120%"]].concat()).code_is(2);
    sealed.orch(["config", "set", "budget.accounts.opencode.reserve", "30%"]).ok();
    assert_eq!(sealed.orch(["config", "get", "budget.accounts.opencode.reserve_percent"]).ok().stdout, "30\n");
    sealed.orch(["config", "set", "budget.accounts.opencode.reserve", "30%%"]).code_is(2);
    sealed.finish();
}

#[test]
fn a_model_that_is_paid_in_advance_is_resolved_first_with_and_without_a_daemon() {
    let mut sealed = SealedBox::new();
    for key in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"] {
        sealed.set(key, "a-key-of-nobody");
    }
    let today = SystemClock.now().to_zoned(TimeZone::UTC).date();
    let (start, end) = (today.saturating_sub(7.days()), today.saturating_add(21.days()));
    sealed.config(&format!(
        "budget: {{accounts: {{google: {{billing_type: subscription, unit: requests, start: {start}, end: {end}, \
         allowance: 30}}}}}}\n"
    ));
    let resolved = |sealed: &SealedBox| sealed.orch(["models", "resolve", "auto:code", "--json"]).ok().json();
    let ahead = resolved(&sealed);
    let reason = ahead["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("google is paid in advance and has something left"), "{ahead:#}");
    for _ in 0..30 {
        sealed.orch(["budget", "record", "google", "--cost", "0"]).ok();
    }
    let used_up = resolved(&sealed);
    assert!(!used_up["reason"].as_str().unwrap_or_default().contains("paid in advance"), "{used_up:#}");
    sealed.orch(["config", "set", "budget.accounts.google.allowance", "3000"]).ok();
    sealed.serve();
    assert_eq!(resolved(&sealed), ahead);
    sealed.finish();
}

/// Creates a home with an agent whose runs cost a dollar each.
fn at_a_dollar_a_run(model: &str, limits: &str) -> SealedBox {
    let sealed = SealedBox::new();
    sealed.program(
        "paid",
        "#!/bin/sh\nread -r _\nid=11111111-1111-4111-8111-111111111111\n\
         echo '{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"'$id'\",\"model\":\"paid\"}'\n\
         echo done > made-$$.txt; git add -A; git commit -qm did\n\
         echo '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"session_id\":\"'$id'\",\"result\":\"did\",\
         \"structured_output\":{\"status\":\"done\",\"summary\":\"did\"},\"total_cost_usd\":1.0,\
         \"usage\":{\"input_tokens\":10,\"output_tokens\":10}}'\n",
    );
    sealed.config(&format!(
        "agents:\n  paid: {{kind: claude, command: paid}}\nrouter: {{mode: round_robin, agents: [paid]}}\n\
         engine: {{max_parallel: 10}}\nworkflow: {{review: 'off', integrate: branch}}\n\
         model_map: {{simple: {{paid: {model}}}, medium: {{paid: {model}}}, complex: {{paid: {model}}}}}\n{limits}"
    ));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    for n in 1..=10 {
        sealed.orch_in(repo.dir(), ["add", &format!("Task {n}"), "-l", "complexity:simple"]).ok();
    }
    sealed
}

/// Lets everything begin that may, and returns what was spent and a task that is held.
fn spent_until_held(sealed: &mut SealedBox) -> (f64, String) {
    sealed.serve();
    let mut held = String::new();
    wait_until("all that may begin to be done", RUN, || {
        let all = sealed.orch(["list", "--all", "--json"]).ok().json();
        let all: Vec<Value> = all.as_array().expect("tasks").clone();
        let rests = |task: &Value| task["status"] == "done" || task["hold"]["reason"] == "spent";
        held = all.iter().find(|task| task["status"] != "done").map_or(String::new(), |task| task["id"].to_string());
        // A running task reserves money of the limit as well, and then has not come to rest.
        all.len() == 10 && all.iter().all(rests) && all.iter().any(|task| task["status"] == "done")
    });
    let spent = sealed.orch(["cost", "--json"]).ok().json()["total"]["cost_usd"].as_f64().expect("a price");
    (spent, held)
}

#[test]
fn a_day_without_a_history_is_passed_by_at_most_one_run_though_ten_could_begin_at_once() {
    // One with a price in the catalog, and one that is unknown.
    for model in ["claude-haiku-4-5", "of-nobody"] {
        for limits in [
            "budget: {per_day: 2}\n",
            "budget: {per_project: 2}\n",
            "budget: {accounts: {anthropic: {daily_budget: 2}}}\n",
        ] {
            let mut sealed = at_a_dollar_a_run(model, limits);
            let (spent, held) = spent_until_held(&mut sealed);
            assert!((1.0..=3.0).contains(&spent), "{model}, {limits}: {spent} were spent of 2");
            let why = sealed.orch(["why", &held]).ok().stdout;
            assert!(why.contains("spent") && why.contains("$2.00"), "{why}");
            sealed.finish();
        }
    }
}

#[test]
fn what_is_set_aside_for_a_run_is_given_back_when_it_has_ended() {
    let mut sealed = at_a_dollar_a_run("claude-haiku-4-5", "budget: {per_day: 100}\n");
    let (spent, held) = {
        sealed.serve();
        wait_until("all to be done", RUN, || {
            let all = sealed.orch(["list", "--all", "--json"]).ok().json();
            all.as_array().expect("tasks").iter().all(|task| task["status"] == "done")
        });
        let status = status(&sealed, &[]);
        (status["caps"][0]["standing"]["used"].as_f64(), status["caps"][0]["standing"]["reserved"].as_f64())
    };
    assert_eq!((spent, held), (Some(10.0), Some(0.0)));
    sealed.finish();
}
