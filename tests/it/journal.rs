//! Tests the safety of the journal with the real daemon: backup and restore, damage that is found, reported and
//! repaired, and journals of every earlier version.

mod backup;
mod damage;
mod hurt;
mod random;
mod versions;

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_until};
use crate::kit::write_file;
use serde_json::Value;
use std::path::PathBuf;

/// Commits a file.
const GOOD: &str = "#!/bin/sh
cat > /dev/null
echo work > \"$(git rev-parse --abbrev-ref HEAD | tr / -).txt\" && git add . && git commit -q -m work && echo finished
";

/// A box with two small agents and a registered repository.
struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new() -> Self {
        let sealed = SealedBox::new();
        let gate = sealed.base().join("gate");
        sealed.program("good", GOOD);
        let waits = format!("#!/bin/sh\necho at work\nwhile [ ! -e '{}' ]; do sleep 0.02; done\n", gate.display());
        sealed.program("held", &format!("{waits}{}", GOOD.trim_start_matches("#!/bin/sh\n")));
        sealed.config(
            "agents:\n  good: {kind: command, command: good}\n  held: {kind: command, command: held}\n\
             workflow: {integrate: merge}\n",
        );
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn open_gate(&self) {
        write_file(&self.sealed.base().join("gate"), "");
    }

    fn add(&self, title: &str, agent: &str) -> String {
        let args = ["task", "add", title, "-b", "Its text.", "-l", &format!("agent:{agent}"), "--json"];
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    fn show(&self, id: &str) -> Value {
        self.sealed.orch(["task", "show", id, "--json"]).ok().json()
    }

    fn until_idle(&self, code: i32) {
        self.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run().code_is(code);
    }

    fn is(&self, id: &str, status: &str) {
        wait_until(&format!("task {id} to be {status}"), RUN, || self.show(id)["status"] == status);
    }

    fn state(&self) -> PathBuf {
        self.sealed.orch_home().join(".orch")
    }

    fn db(&self) -> PathBuf {
        self.state().join("orch.db")
    }

    /// The report on the last damage.
    fn report(&self) -> Value {
        let dirs = std::fs::read_dir(self.state().join("damaged")).expect("kept").flatten();
        let last = dirs.map(|dir| dir.path()).filter(|path| path.is_dir()).max().expect("a directory");
        serde_json::from_str(&crate::kit::read_file(&last.join("report.json"))).expect("a report")
    }
}
