//! A runner whose session was opened before its run was prepared.

use super::*;

/// A runner that has come as far as it can without a launch.
fn early(fixture: &Fixture) -> Running {
    std::fs::create_dir_all(fixture.dir().path()).expect("a directory");
    let running = fixture.runner().start();
    let fds = PathBuf::from(format!("/proc/{}/fd", running.pid().as_raw_pid()));
    let watches = |fd: std::fs::DirEntry| fd.path().read_link().is_ok_and(|to| to.as_os_str() == "anon_inode:inotify");
    wait_until("the runner to wait", SOON, || {
        std::fs::read_dir(&fds).is_ok_and(|mut fds| fds.any(|fd| fd.is_ok_and(watches)))
    });
    running
}

#[test]
fn it_takes_the_run_as_soon_as_it_is_prepared() {
    let fixture = Fixture::new("echo well");
    let mut runner = early(&fixture);
    assert_eq!(inspect(&fixture.dir()).expect("readable"), RunState::NotStarted);
    assert!(runner.is_running());
    fixture.prepare();
    assert_eq!(runner.finish(RUN).code, Some(0));
    assert_eq!(summary(&fixture.report()), "well");
}

#[test]
fn of_several_that_wait_one_takes_the_run() {
    let fixture = Fixture::new("echo once >> count; echo well");
    let runners: Vec<_> = (0..4).map(|_| early(&fixture)).collect();
    fixture.prepare();
    let mut codes: Vec<_> = runners.into_iter().map(|runner| runner.finish(RUN).code).collect();
    codes.sort();
    assert_eq!(codes, [Some(0), Some(7), Some(7), Some(7)]);
    assert_eq!(std::fs::read_to_string(fixture.work("count")).expect("readable"), "once\n");
}

#[test]
fn one_whose_session_is_closed_leaves_and_the_run_can_still_be_started() {
    let fixture = Fixture::new("echo well");
    let runner = early(&fixture);
    runner.signal(Signal::HUP);
    assert_eq!(runner.finish(SOON).code, Some(129), "the end of its terminal ended it");
    fixture.prepare();
    assert_eq!(inspect(&fixture.dir()).expect("readable"), RunState::NotStarted);
    assert_eq!(summary(&fixture.run()), "well");
}
