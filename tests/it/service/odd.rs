//! Tests `orch service` in unusual states: no session, two supervisors, a program that moved, another home, an
//! incomplete PATH; and launchd and Homebrew, played by scripts.

use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use crate::kit::{read_file, write_file};
use serde_json::Value;
use std::path::PathBuf;

fn hint(refused: &Value) -> String {
    format!("{} {}", refused["error"]["message"], refused["error"]["hint"])
}

/// A launchd of a few lines: it starts what is asked for, knows whether it runs, and ends it.
fn launchd(sealed: &SealedBox) -> PathBuf {
    let base = sealed.base().display();
    sealed.program(
        "launchctl",
        &format!(
            "#!/bin/sh\necho \"$@\" >> '{base}/asked'\npid=$(cat '{base}/pid' 2> /dev/null)\n\
             case $1 in\n\
             print) kill -0 $pid 2> /dev/null || [ -e '{base}/known' ] || exit 113\n\
             echo 'state = running'; echo \"\tpid = $pid\"; echo '\tlast exit code = 0' ;;\n\
             bootstrap) touch '{base}/known'; setsid '{ORCH}' serve > /dev/null 2>&1 < /dev/null & echo $! > '{base}/pid' ;;\n\
             bootout) rm -f '{base}/known'; kill $pid; while kill -0 $pid 2> /dev/null; do sleep 0.05; done ;;\n\
             esac\n"
        ),
    );
    sealed.base().join("asked")
}

fn plist(sealed: &SealedBox) -> PathBuf {
    sealed.home().join("Library/LaunchAgents/io.github.orch-agents.orch.plist")
}

#[test]
fn launchd_starts_restarts_and_ends_the_service() {
    let sealed = SealedBox::new();
    let asked = launchd(&sealed);
    let install = ["service", "install", "--supervisor", "launchd"];
    let text = sealed.orch(install).ok().stdout;
    assert!(text.contains("installed for launchd") && plist(&sealed).is_file(), "{text}");
    assert!(sealed.orch(install).ok().stdout.contains("installed already"));
    sealed.orch(["service", "status"]).code_is(4);
    let started = sealed.orch(["service", "start", "--json"]).ok().json();
    let status = sealed.orch(["service", "status", "--json"]).ok().json();
    assert_eq!((&status["supervisor"], &status["in_charge"]), (&"launchd".into(), &true.into()), "{status}");
    assert_eq!(status["program"]["on_disk"], "same", "{status}");
    let anew = sealed.orch(["service", "restart", "--json"]).ok().json();
    assert_ne!(started["pid"], anew["pid"]);
    // One launchd is enough.
    let unit = sealed.home().join(".config/systemd/user/orch.service");
    write_file(&unit, "[Service]\nExecStart=/usr/bin/orch serve\n");
    let refused = sealed.orch(["service", "restart", "--json"]).code_is(7).json();
    assert!(hint(&refused).contains("two supervisors"), "{refused}");
    let two = sealed.orch(["doctor", "--json"]).run_findings();
    assert!(two.contains("two supervisors"), "{two}");
    std::fs::remove_file(&unit).expect("removed");
    sealed.orch(["service", "uninstall"]).ok();
    assert!(!plist(&sealed).exists() && read_file(&asked).contains("bootout gui/"), "{}", read_file(&asked));
    sealed.orch(["service", "status"]).code_is(4);
    sealed.finish();
}

trait Findings {
    fn run_findings(&self) -> String;
}

impl Findings for crate::kit::process::Ran {
    fn run_findings(&self) -> String {
        let report = self.json();
        let all = report["findings"].as_array().expect("a list");
        let of_service = all.iter().filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with("service")));
        of_service.map(Value::to_string).collect()
    }
}

#[test]
fn homebrew_is_asked_where_homebrew_has_the_service() {
    let sealed = SealedBox::new();
    let base = sealed.base().display().to_string();
    sealed.program(
        "brew",
        &format!("#!/bin/sh\necho \"$@\" >> '{base}/asked'\n[ \"$2\" = info ] && echo '[{{\"name\":\"orch\",\"running\":false}}]'\nexit 0\n"),
    );
    let unit = sealed.home().join(".config/systemd/user/homebrew.orch.service");
    write_file(
        &unit,
        &format!("[Service]\nExecStart={ORCH} serve\nEnvironment=\"ORCH_HOME={}\"\n", sealed.orch_home().display()),
    );
    let status = sealed.orch(["service", "status", "--json"]).code_is(4).json();
    assert_eq!(status["supervisor"], "homebrew", "{status}");
    // A second supervisor is not let in.
    let refused = sealed.orch(["service", "install", "--supervisor", "launchd", "--json"]).code_is(7).json();
    assert!(hint(&refused).contains("Homebrew"), "{refused}");
    sealed.orch(["service", "stop"]).ok();
    sealed.orch(["service", "uninstall"]).ok();
    let asked = read_file(&sealed.base().join("asked"));
    assert!(asked.contains("services stop orch"), "{asked}");
    sealed.finish();
}

#[test]
fn without_a_user_session_it_is_said_how_to_get_one() {
    let sealed = SealedBox::new();
    for supervisor in [&[][..], &["--supervisor", "systemd"]] {
        let args = [&["service", "install", "--json"], supervisor].concat();
        let refused = sealed.orch(args).code_is(7).json();
        let said = hint(&refused);
        assert!(said.contains("loginctl enable-linger") || said.contains("no systemd"), "{refused}");
    }
    assert!(!sealed.home().join(".config").exists(), "nothing is written");
    let status = sealed.orch(["service", "status"]).code_is(4);
    assert!(status.stdout.contains("none is installed"), "{status}");
    sealed.orch(["service", "uninstall"]).ok();
    let none = sealed.orch(["service", "restart", "--json"]).code_is(3).json();
    assert!(hint(&none).contains("no service is installed"), "{none}");
    sealed.finish();
}

#[test]
fn a_program_that_moved_and_another_home_are_reported() {
    let mut sealed = SealedBox::new();
    launchd(&sealed);
    let old = sealed.base().join("old-orch");
    sealed.run_program("cp").args([ORCH.as_ref(), old.as_os_str()]).run().ok();
    sealed.is_run_by(&old);
    sealed.orch(["service", "install", "--supervisor", "launchd"]).ok();
    std::fs::rename(&old, sealed.base().join("new-orch")).expect("moved");
    sealed.is_run_by(sealed.base().join("new-orch"));
    let refused = sealed.orch(["service", "start", "--json"]).code_is(7).json();
    assert!(
        hint(&refused).contains("no program any more") && hint(&refused).contains("orch service install"),
        "{refused}"
    );
    let status = sealed.orch(["service", "status", "--json"]).code_is(4).json();
    assert_eq!(status["program"]["on_disk"], "missing", "{status}");
    assert!(sealed.orch(["doctor", "--json"]).run_findings().contains("no program"));
    let text = sealed.orch(["service", "install", "--supervisor", "launchd"]).ok().stdout;
    assert!(text.contains("updated for") && text.contains("it started"), "{text}");
    // Another home is another service.
    let elsewhere = sealed.base().join("elsewhere");
    let home = sealed.orch_home();
    sealed.set("ORCH_HOME", &elsewhere);
    for command in [&["start"][..], &["restart"], &["install", "--supervisor", "launchd"]] {
        let refused = sealed.orch([&["service", "--json"], command].concat()).code_is(7).json();
        assert!(hint(&refused).contains(home.to_str().expect("text")), "{refused}");
    }
    assert!(!elsewhere.join(".orch/orch.db").exists());
    sealed.finish();
}

#[test]
fn an_agent_changes_nothing_about_the_service() {
    let mut sealed = SealedBox::new();
    launchd(&sealed);
    sealed.set("ORCH_RUN_ID", "7-1-0badcafe");
    for command in [&["install", "--supervisor", "launchd"][..], &["uninstall"], &["start"], &["stop"], &["restart"]] {
        let refused = sealed.orch([&["service", "--json"], command].concat()).code_is(7).json();
        assert!(hint(&refused).contains("an agent's run"), "{refused}");
    }
    assert!(!plist(&sealed).exists());
    sealed.orch(["service", "status"]).code_is(4);
    sealed.finish();
}

#[test]
fn a_service_makes_no_home_where_its_disk_is_missing() {
    let mut sealed = SealedBox::new();
    let home = sealed.base().join("disk/orch");
    sealed.set("ORCH_HOME", &home);
    let refused = sealed.orch(["serve", "--existing-home", "--json"]).code_is(3).json();
    assert!(hint(&refused).contains("is its disk mounted?"), "{refused}");
    assert!(!home.exists());
    sealed.finish();
}

#[test]
fn a_path_without_tmux_and_agents_is_found_by_doctor() {
    let mut sealed = SealedBox::new();
    launchd(&sealed);
    sealed.program("worker", "#!/bin/sh\n");
    sealed.config("agents: {worker: {kind: command, command: worker}}\n");
    sealed.orch(["service", "install", "--supervisor", "launchd"]).ok();
    assert!(sealed.orch(["doctor", "--json"]).run_findings().contains("\"verdict\":\"ok\""));
    let text = read_file(&plist(&sealed));
    let path = sealed.env().into_iter().find(|(name, _)| name == "PATH").map(|(_, path)| path).expect("a PATH");
    write_file(&plist(&sealed), &text.replace(path.to_str().expect("text"), "/nowhere"));
    let found = sealed.orch(["doctor", "--json"]).code_is(1).run_findings();
    for part in ["no tmux and no git", "your PATH finds worker", "orch service install"] {
        assert!(found.contains(part), "{part} in {found}");
    }
    sealed.set("PATH", &path);
    sealed.finish();
}

#[test]
fn what_was_started_by_hand_is_restarted_in_its_place() {
    let mut sealed = SealedBox::new();
    sealed.serve();
    let before = sealed.orch(["service", "status", "--json"]).ok().json();
    assert_eq!((&before["supervisor"], &before["in_charge"]), (&Value::Null, &false.into()), "{before}");
    let anew = sealed.orch(["service", "restart", "--json"]).ok().json();
    assert_eq!(anew["pid"], before["daemon"]["pid"], "the same process");
    let refused = sealed.orch(["service", "restart", "--drain", "--json"]).code_is(7).json();
    assert!(hint(&refused).contains("shutdown --drain"), "{refused}");
    launchd(&sealed);
    sealed.orch(["service", "install", "--supervisor", "launchd"]).ok();
    for command in ["start", "restart"] {
        let refused = sealed.orch(["service", command, "--json"]).code_is(7).json();
        assert!(hint(&refused).contains("service start --replace"), "{refused}");
    }
    sealed.orch(["service", "start", "--replace"]).ok();
    sealed.ended_daemon().ok();
    let after = sealed.orch(["service", "status", "--json"]).ok().json();
    assert_eq!(after["in_charge"], true, "{after}");
    sealed.orch(["service", "stop"]).ok();
    sealed.finish();
}

#[test]
fn a_newer_program_on_the_disk_is_reported_and_taken_by_a_restart() {
    let mut sealed = SealedBox::new();
    let program = sealed.bin().join("orch");
    sealed.run_program("cp").args([ORCH.as_ref(), program.as_os_str()]).run().ok();
    sealed.is_run_by(&program);
    sealed.serve();
    let disk =
        |sealed: &SealedBox| sealed.orch(["upgrade", "check", "--json"]).ok().json()["program"]["on_disk"].clone();
    assert_eq!(disk(&sealed), "same");
    let text = sealed.orch(["upgrade", "check"]).ok().stdout;
    assert!(text.contains("released: unknown") && text.contains("restart:  0 running, 0 disturbed"), "{text}");
    sealed.run_program("cp").args([ORCH.as_ref(), sealed.base().join("next").as_os_str()]).run().ok();
    std::fs::rename(sealed.base().join("next"), &program).expect("exchanged");
    assert_eq!(disk(&sealed), "other_build");
    sealed.orch(["service", "restart"]).ok();
    wait::wait_until("the new program", RUN, || disk(&sealed) == "same");
    std::fs::remove_file(&program).expect("removed");
    sealed.is_run_by(ORCH);
    assert_eq!(disk(&sealed), "missing");
    sealed.finish();
}

#[test]
fn the_log_is_shown_without_a_daemon_and_followed() {
    let mut sealed = SealedBox::new();
    sealed.orch(["service", "logs"]).code_is(3);
    let follows = sealed.run_program(ORCH).args(["service", "logs", "-f"]).start();
    sealed.serve();
    wait::wait_until("the log", RUN, || follows.said().0.contains("orch serves"));
    sealed.stop_daemon().ok();
    wait::wait_until("its end", RUN, || follows.said().0.contains("orch leaves"));
    follows.signal(rustix::process::Signal::INT);
    follows.finish(RUN).code_is(130);
    assert_eq!(sealed.orch(["service", "logs", "-n", "1"]).ok().stdout.lines().count(), 1);
    sealed.finish();
}
