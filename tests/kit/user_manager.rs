//! A real `systemd --user` in a box, with a mount namespace of its own in which the system looks as if systemd had booted
//! it. Needs root, for the namespace and for a control group.

use super::process::{Running, find_program};
use super::sealed_box::SealedBox;
use super::wait::{self, SOON};
use rustix::process::Signal;
use std::path::Path;

/// The script that sets up the namespace, runs systemd in it, and cleans up afterwards.
const STAGE: &str = "set -e\n\
    mount -t cgroup2 none /sys/fs/cgroup\n\
    mount -t tmpfs none /run\n\
    mkdir -p /run/systemd/system\n\
    group=/sys/fs/cgroup/orch-test-$$\n\
    mkdir $group\n\
    echo $$ > $group/cgroup.procs\n\
    \"$1\" --user --log-target=console --unit=basic.target &\n\
    manager=$!\n\
    trap 'kill $manager' TERM\n\
    set +e\n\
    wait $manager\n\
    wait $manager\n\
    echo $$ > /sys/fs/cgroup/cgroup.procs\n\
    find $group -depth -type d -exec rmdir {} ';' 2> /dev/null\n\
    exit 0\n";

/// A running user manager.
pub struct UserManager {
    running: Running,
}

impl UserManager {
    /// Starts the manager.
    ///
    /// # Errors
    /// Why it cannot run here.
    pub fn start(sealed: &SealedBox) -> Result<Self, String> {
        let systemd =
            ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"].into_iter().find(|path| Path::new(path).exists());
        let systemd = systemd.ok_or("systemd is not installed")?;
        if !rustix::process::geteuid().is_root() {
            return Err("a mount namespace for systemd needs root".to_owned());
        }
        let path = sealed.env().into_iter().find(|(name, _)| name == "PATH").map(|(_, path)| path).unwrap_or_default();
        if ["unshare", "systemctl"].iter().any(|name| find_program(Path::new(name), &path).is_none()) {
            return Err("unshare or systemctl is not installed".to_owned());
        }
        let mut running = sealed.run_program("unshare").args(["--mount", "sh", "-c", STAGE, "stage", systemd]).start();
        let ready =
            || sealed.run_program("systemctl").args(["--user", "is-active", "basic.target"]).run().code == Some(0);
        let came = wait::poll(SOON, || (!running.is_running() || ready()).then_some(()));
        if came.is_none() || !running.is_running() {
            let (stdout, stderr) = running.said();
            return Err(format!("systemd --user does not start: {stdout}{stderr}"));
        }
        Ok(Self { running })
    }

    /// Ends the manager and everything that it started.
    pub fn stop(self) {
        self.running.signal(Signal::TERM);
        self.running.finish(SOON);
    }
}
