//! Tests the service with a real `systemd --user`: installed, started, restarted with running agents, killed, hanging,
//! removed.

use crate::kit::readers::skipped;
use crate::kit::sealed_box::ORCH;
use crate::kit::user_manager::UserManager;
use crate::kit::wait::{self, RUN};
use crate::kit::write_file;
use crate::switches::fixture::Fixture;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const AGENTS: usize = 10;
const RESTARTS: usize = 50;

fn service(fixture: &Fixture) -> Value {
    fixture.sealed.run_program(ORCH).args(["service", "status", "--json"]).run().json()
}

fn pid(fixture: &Fixture) -> i32 {
    service(fixture)["daemon"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default()
}

/// Waits for a daemon that is another process.
fn another(fixture: &Fixture, old: i32) -> i32 {
    wait::wait_some("another daemon", RUN, || Some(pid(fixture)).filter(|pid| *pid != 0 && *pid != old))
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("it runs");
}

#[test]
fn fifty_restarts_by_systemd_disturb_none_of_ten_agents() {
    let fixture = Fixture::new(&format!("engine: {{max_parallel: {AGENTS}, adaptive: none}}\n"));
    let manager = match UserManager::start(&fixture.sealed) {
        Ok(manager) => manager,
        Err(why) => return skipped("the service under a real systemd", &why),
    };
    fixture.orch(&["service", "install"]).ok();
    let again = fixture.orch(&["service", "install", "--json"]).ok().json();
    assert_eq!(again["changed"], false, "installed twice is installed once: {again}");
    fixture.orch(&["service", "start"]).ok();
    let begun = service(&fixture);
    assert_eq!(
        (&begun["supervisor"], &begun["in_charge"], &begun["enabled"]),
        (&"systemd".into(), &true.into(), &true.into())
    );
    let ids: Vec<String> =
        (0..AGENTS).map(|number| fixture.add(&format!("Tell {number}"), "", Some("teller"))).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    fixture.until_started(&ids);
    let stream = fixture.start(&["stream", ids[0], "--from-start"]);
    let check = fixture.orch(&["upgrade", "check", "--json"]).ok().json();
    let fates = check["under_way"].as_array().expect("a list");
    assert!(fates.len() == AGENTS && fates.iter().all(|fate| fate["disturbed"] == false), "{check}");
    let mut last = pid(&fixture);
    for _ in 0..RESTARTS {
        fixture.orch(&["service", "restart"]).ok();
        let next = pid(&fixture);
        assert!(next != last && next != 0, "{:#}", service(&fixture));
        last = next;
    }
    // What dies is started again; what hangs is killed, and started again.
    signal(last, Signal::KILL);
    last = another(&fixture, last);
    let drop_in = fixture.sealed.home().join(".config/systemd/user/orch.service.d/patience.conf");
    write_file(&drop_in, "[Service]\nWatchdogSec=3\n");
    fixture.orch(&["service", "restart"]).ok();
    last = another(&fixture, last);
    signal(last, Signal::STOP);
    another(&fixture, last);
    let reload = || fixture.sealed.run_program("systemctl").args(["--user", "reload", "orch"]).run().code == Some(0);
    wait::wait_until("systemd to reload", RUN, reload);
    let starts =
        |fixture: &Fixture| fixture.lives().iter().filter(|(kind, cause)| kind == "start" && cause == "signal").count();
    wait::wait_until("it to start anew", RUN, || starts(&fixture) == 1);
    for id in &ids {
        assert_eq!(fixture.starts_of(id), 1, "the agent of task {id} was started once");
    }
    fixture.go();
    fixture.are_done_once(&ids);
    let text = stream.finish(RUN).code_is(0).stdout;
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> = (0..lines.len()).map(|number| format!("line {number}")).collect();
    assert_eq!(lines, expected, "the watcher saw each line once");
    ends(fixture, manager);
}

/// What a person ends stays ended.
fn ends(fixture: Fixture, manager: UserManager) {
    fixture.orch(&["service", "restart", "--drain"]).ok();
    fixture.orch(&["shutdown"]).ok();
    fixture.orch(&["service", "status", "--json"]).code_is(4);
    fixture.orch(&["service", "start"]).ok();
    fixture.orch(&["service", "start"]).ok();
    assert!(fixture.orch(&["service", "logs"]).ok().stdout.contains("orch serves"));
    fixture.orch(&["service", "stop"]).ok();
    fixture.orch(&["service", "stop"]).ok();
    fixture.orch(&["service", "uninstall"]).ok();
    fixture.orch(&["service", "uninstall"]).ok();
    fixture.orch(&["service", "start"]).code_is(3);
    manager.stop();
    fixture.close();
}
