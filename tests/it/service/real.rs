//! A real `systemd --user` has the service: installed, started, restarted under agents at work, killed, wedged, removed.

use crate::kit::readers::skipped;
use crate::kit::sealed_box::ORCH;
use crate::kit::user_manager::UserManager;
use crate::kit::wait::{self, RUN};
use crate::kit::write_file;
use crate::switches::yard::Yard;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const AGENTS: usize = 10;
const RESTARTS: usize = 50;

fn service(yard: &Yard) -> Value {
    yard.sealed.run_program(ORCH).args(["service", "status", "--json"]).run().json()
}

fn pid(yard: &Yard) -> i32 {
    service(yard)["daemon"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default()
}

/// Waits for a daemon that is another process.
fn another(yard: &Yard, old: i32) -> i32 {
    wait::wait_some("another daemon", RUN, || Some(pid(yard)).filter(|pid| *pid != 0 && *pid != old))
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("it runs");
}

#[test]
fn fifty_restarts_by_systemd_disturb_none_of_ten_agents() {
    let yard = Yard::new(&format!("engine: {{max_parallel: {AGENTS}, adaptive: none}}\n"));
    let manager = match UserManager::start(&yard.sealed) {
        Ok(manager) => manager,
        Err(why) => return skipped("the service under a real systemd", &why),
    };
    yard.orch(&["service", "install"]).ok();
    let again = yard.orch(&["service", "install", "--json"]).ok().json();
    assert_eq!(again["changed"], false, "installed twice is installed once: {again}");
    yard.orch(&["service", "start"]).ok();
    let begun = service(&yard);
    assert_eq!(
        (&begun["supervisor"], &begun["in_charge"], &begun["enabled"]),
        (&"systemd".into(), &true.into(), &true.into())
    );
    let ids: Vec<String> = (0..AGENTS).map(|number| yard.add(&format!("Tell {number}"), "", Some("teller"))).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    yard.until_started(&ids);
    let stream = yard.start(&["stream", ids[0], "--from-start"]);
    let check = yard.orch(&["upgrade", "check", "--json"]).ok().json();
    let fates = check["under_way"].as_array().expect("a list");
    assert!(fates.len() == AGENTS && fates.iter().all(|fate| fate["disturbed"] == false), "{check}");
    let mut last = pid(&yard);
    for _ in 0..RESTARTS {
        yard.orch(&["service", "restart"]).ok();
        let next = pid(&yard);
        assert!(next != last && next != 0, "{:#}", service(&yard));
        last = next;
    }
    // What dies is started again; what hangs is killed, and started again.
    signal(last, Signal::KILL);
    last = another(&yard, last);
    let drop_in = yard.sealed.home().join(".config/systemd/user/orch.service.d/patience.conf");
    write_file(&drop_in, "[Service]\nWatchdogSec=3\n");
    yard.orch(&["service", "restart"]).ok();
    last = another(&yard, last);
    signal(last, Signal::STOP);
    another(&yard, last);
    let reload = || yard.sealed.run_program("systemctl").args(["--user", "reload", "orch"]).run().code == Some(0);
    wait::wait_until("systemd to reload", RUN, reload);
    let starts = |yard: &Yard| yard.lives().iter().filter(|(kind, cause)| kind == "start" && cause == "signal").count();
    wait::wait_until("it to start anew", RUN, || starts(&yard) == 1);
    for id in &ids {
        assert_eq!(yard.starts_of(id), 1, "the agent of task {id} was started once");
    }
    yard.go();
    yard.are_done_once(&ids);
    let told = stream.finish(RUN).code_is(0).stdout;
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> = (0..lines.len()).map(|number| format!("line {number}")).collect();
    assert_eq!(lines, expected, "the watcher saw each line once");
    ends(yard, manager);
}

/// What a person ends stays ended.
fn ends(yard: Yard, manager: UserManager) {
    yard.orch(&["service", "restart", "--drain"]).ok();
    yard.orch(&["shutdown"]).ok();
    yard.orch(&["service", "status", "--json"]).code_is(4);
    yard.orch(&["service", "start"]).ok();
    yard.orch(&["service", "start"]).ok();
    assert!(yard.orch(&["service", "logs"]).ok().stdout.contains("orch serves"));
    yard.orch(&["service", "stop"]).ok();
    yard.orch(&["service", "stop"]).ok();
    yard.orch(&["service", "uninstall"]).ok();
    yard.orch(&["service", "uninstall"]).ok();
    yard.orch(&["service", "start"]).code_is(3);
    manager.stop();
    yard.close();
}
