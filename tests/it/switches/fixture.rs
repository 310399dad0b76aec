//! A box with agents that count their starts, print lines, and end when released.

use crate::kit::process::{Ran, Running};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use crate::kit::write_file;
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// The box.
pub struct Fixture {
    pub sealed: SealedBox,
    pub repo: Repo,
}

impl Fixture {
    /// `teller` and `other` print until they are released; `mine` follows its task's script, and remembers its
    /// conversation.
    pub fn new(config: &str) -> Self {
        let mut sealed = SealedBox::new();
        sealed.set("USER", "ada");
        let base = sealed.base().display().to_string();
        let script = format!(
            "#!/bin/sh\ncat > '{base}/prompt-'$ORCH_RUN_ID\necho $ORCH_RUN_ID >> '{base}/starts'\ni=0\n\
             while [ ! -e '{base}/go' ]; do echo \"line $i\"; i=$((i+1)); sleep 0.02; done\n\
             echo $ORCH_RUN_ID >> told-$ORCH_RUN_ID; git add -A; git commit -qm told; echo 'told it all'\n"
        );
        for name in ["teller", "other"] {
            sealed.program(name, &script);
        }
        symlink(ORCH, sealed.bin().join("orch-scripted-agent")).expect("a link in the box");
        sealed.config(&format!(
            "agents: {{teller: {{kind: command, command: teller}}, other: {{kind: command, command: other}}, \
             mine: {{kind: claude, command: orch-scripted-agent}}}}\n\
             router: {{agents: [teller, other], mode: round_robin}}\nworkflow: {{integrate: merge}}\n{config}"
        ));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    /// Adds a task and returns its id.
    pub fn add(&self, title: &str, body: &str, agent: Option<&str>) -> String {
        let mut args = vec!["task".to_owned(), "add".into(), title.into(), "-b".into(), body.into(), "--json".into()];
        args.extend(agent.iter().flat_map(|agent| ["-l".to_owned(), format!("agent:{agent}")]));
        args.extend(["-l".to_owned(), "complexity:simple".to_owned()]);
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    /// Lets the tellers end.
    pub fn go(&self) {
        write_file(&self.sealed.base().join("go"), "");
    }

    pub fn orch(&self, args: &[&str]) -> Ran {
        self.sealed.run_program(ORCH).args(args).deadline(RUN).run()
    }

    pub fn start(&self, args: &[&str]) -> Running {
        self.sealed.run_program(ORCH).args(args).deadline(RUN).start()
    }

    pub fn show(&self, id: &str) -> Value {
        self.orch(&["task", "show", id, "--json"]).ok().json()
    }

    pub fn hold(&self, id: &str) -> String {
        self.show(id)["hold"]["reason"].as_str().unwrap_or_default().to_owned()
    }

    pub fn status(&self) -> Value {
        self.orch(&["status", "--json"]).ok().json()
    }

    pub fn until(&self, id: &str, status: &str) -> Value {
        wait::wait_until(&format!("task {id} to be {status}"), RUN, || self.show(id)["status"] == status);
        self.show(id)
    }

    /// Waits until an agent works on each of these.
    pub fn until_started(&self, ids: &[&str]) {
        for id in ids {
            wait::wait_until(&format!("the agent of task {id}"), RUN, || self.starts_of(id) == 1);
        }
        wait::wait_until("all starts to be recorded", RUN, || {
            self.status()["running"].as_array().is_some_and(|running| running.len() >= ids.len())
                && ids.iter().all(|id| self.show(id)["runs"][0]["started_at"].is_string())
        });
    }

    /// How many agents were started for a task, as they themselves say.
    pub fn starts_of(&self, id: &str) -> usize {
        let text = std::fs::read_to_string(self.sealed.base().join("starts")).unwrap_or_default();
        text.lines().filter(|line| line.starts_with(&format!("{id}-"))).count()
    }

    /// The history: kinds and texts of one task, or of all.
    pub fn history(&self, id: Option<&str>) -> Vec<(String, String)> {
        let task = id.map(|id| vec!["--task", id]).unwrap_or_default();
        let lines = self.orch(&[&["events", "--json"], task.as_slice()].concat()).ok().json_lines();
        let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        lines.iter().map(|line| (word(line, "kind"), word(line, "text"))).collect()
    }

    pub fn count(&self, id: Option<&str>, kind: &str) -> usize {
        self.history(id).iter().filter(|(found, _)| found == kind).count()
    }

    /// The daemon's own history: what happened and what caused it.
    pub fn lives(&self) -> Vec<(String, String)> {
        let lives = self.orch(&["service", "history", "--json"]).ok().json();
        let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        lives.as_array().expect("a list").iter().map(|line| (word(line, "kind"), word(line, "cause"))).collect()
    }

    pub fn manifest(&self) -> PathBuf {
        self.sealed.orch_home().join(".orch/recovery.json")
    }

    /// Each task is done by one run, and its work is on the base.
    pub fn are_done_once(&self, ids: &[&str]) {
        for id in ids {
            let task = self.until(id, "done");
            let runs = task["runs"].as_array().expect("runs");
            assert_eq!((runs.len(), task["attempts"].as_u64()), (1, Some(1)), "{task:#}");
            assert_eq!(self.starts_of(id), 1, "{task:#}");
            let run = runs[0]["run_id"].as_str().expect("a run");
            assert!(self.repo.show("main", &format!("told-{run}")).is_some(), "{task:#}");
        }
    }

    pub fn close(self) {
        self.sealed.finish();
    }
}
