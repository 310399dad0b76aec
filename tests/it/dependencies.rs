//! A dependency carries the work: where the branch of a dependent begins, what is judged of it, and what holds it.

use crate::kit::process::Ran;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_until};
use serde_json::Value;

/// Does what the lines of its prompt say that begin with `DO:`.
const BOT: &str = "#!/bin/sh
cat > \"$HOME/prompt-$$\"
sed -n 's/^DO: //p' \"$HOME/prompt-$$\" > \"$HOME/do-$$\"
. \"$HOME/do-$$\"
";

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new(workflow: &str) -> Self {
        let sealed = SealedBox::new();
        sealed.program("bot", BOT);
        sealed.config(&format!(
            "agents: {{bot: {{kind: command, command: bot}}}}\nrouter: {{agents: [bot]}}\nworkflow: {{review: 'off', {workflow}}}\n"
        ));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn add(&self, title: &str, body: &str, after: &[u64]) -> u64 {
        let mut args = vec!["task", "add", title, "-b", body, "-l", "agent:bot", "--json"];
        let after: Vec<String> = after.iter().map(u64::to_string).collect();
        after.iter().for_each(|id| args.extend(["--depends-on", id]));
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].as_u64().expect("an id")
    }

    fn task(&self, verb: &str, id: u64, more: &[&str]) -> Ran {
        let id = id.to_string();
        self.sealed.run_program(ORCH).args([&["task", verb, &id], more].concat()).deadline(RUN).run()
    }

    fn show(&self, id: u64) -> Value {
        self.task("show", id, &["--json"]).ok().json()
    }

    fn run_all(&self) {
        self.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run();
    }

    fn branch(&self, id: u64) -> String {
        self.show(id)["branch"].as_str().expect("a branch").to_owned()
    }

    fn file(&self, id: u64, path: &str) -> Option<String> {
        self.repo.show(&self.branch(id), path)
    }
}

fn commit(file: &str, text: &str) -> String {
    format!("DO: echo {text} > {file}; git add .; git commit -qm 'Change {file}'")
}

#[test]
fn a_dependent_begins_from_the_accepted_work_and_only_its_own_is_judged() {
    let fixture = Fixture::new("integrate: branch");
    let one = fixture.add("one", &commit("one.txt", "one"), &[]);
    // Each run of it has something to commit.
    let again = "DO: cat one.txt\nDO: echo two >> two.txt; git add .; git commit -qm 'Change two.txt'";
    let two = fixture.add("two", again, &[one]);
    fixture.run_all();
    let (first, second) = (fixture.show(one), fixture.show(two));
    assert_eq!((first["status"].as_str(), second["status"].as_str()), (Some("done"), Some("done")), "{second:#}");
    assert_eq!(fixture.file(two, "one.txt").as_deref(), Some("one\n"), "it holds the first one's work");
    let accepted = first["integration"]["commit"].as_str().expect("a commit");
    assert_eq!(second["began_from"][0]["task"].as_u64(), Some(one));
    assert_eq!(second["began_from"][0]["commit"].as_str(), Some(accepted));
    let evidence = &second["evidence"];
    assert_eq!(evidence["base"].as_str(), Some(accepted));
    assert_eq!((evidence["commits"].as_array().map(Vec::len), evidence["files"].as_u64()), (Some(1), Some(1)));
    assert!(fixture.task("show", two, &[]).ok().stdout.contains(&format!("began from  #{one} at")));
    let diff = fixture.task("diff", two, &["--stat", "--json"]).ok().json();
    assert_eq!((diff["commits"].as_u64(), diff["files"].as_array().map(Vec::len)), (Some(1), Some(1)), "{diff:#}");
    // A retried task continues from the same base.
    fixture.task("retry", two, &[]).ok();
    fixture.run_all();
    assert_eq!(fixture.show(two)["evidence"]["base"].as_str(), Some(accepted));
    fixture.sealed.finish();
}

#[test]
fn several_dependencies_are_merged_and_checked_first() {
    let fixture = Fixture::new("integrate: branch, checks: ['! test -e broken']");
    let one = fixture.add("one", &commit("one.txt", "one"), &[]);
    let two = fixture.add("two", &commit("two.txt", "two"), &[]);
    let both = fixture.add("both", &commit("both.txt", "both"), &[one, two]);
    fixture.run_all();
    assert_eq!(fixture.show(both)["status"], "done", "{:#}", fixture.show(both));
    for path in ["one.txt", "two.txt", "both.txt"] {
        assert!(fixture.file(both, path).is_some(), "{path}");
    }
    assert_eq!(fixture.show(both)["evidence"]["files"].as_u64(), Some(1), "only its own is judged");
    assert_eq!(fixture.show(both)["began_from"].as_array().map(Vec::len), Some(2));
    fixture.sealed.finish();
}

#[test]
fn work_that_does_not_fit_together_is_asked_about_before_an_agent_begins() {
    let fixture = Fixture::new("integrate: branch");
    let one = fixture.add("one", &commit("same.txt", "one"), &[]);
    let two = fixture.add("two", &commit("same.txt", "two"), &[]);
    let both = fixture.add("both", &commit("both.txt", "both"), &[one, two]);
    fixture.run_all();
    let task = fixture.show(both);
    let question = task["question"].as_str().expect("a question");
    assert!(question.contains("conflicts in same.txt") && question.contains(&format!("#{one}")), "{question}");
    assert_eq!((task["status"].as_str(), task["attempts"].as_u64()), (Some("needs_review"), Some(0)));
    fixture.task("merge", one, &[]).ok();
    fixture.sealed.finish();
}

#[test]
fn dependencies_are_merged_first_and_what_is_merged_already_is_the_base() {
    let fixture = Fixture::new("integrate: merge");
    let one = fixture.add("one", &commit("one.txt", "one"), &[]);
    let two = fixture.add("two", &commit("two.txt", "two"), &[one]);
    fixture.run_all();
    assert_eq!(fixture.show(two)["integration"]["state"], "merged", "{:#}", fixture.show(two));
    assert_eq!(fixture.repo.show("main", "two.txt").as_deref(), Some("two\n"));
    let main = fixture.show(one)["integration"]["commit"].as_str().expect("a commit").to_owned();
    assert_eq!(fixture.show(two)["evidence"]["base"].as_str(), Some(&*main), "it began from the base");
    fixture.sealed.finish();
}

#[test]
fn a_merge_of_a_dependent_waits_for_the_merge_of_what_it_holds() {
    let mut fixture = Fixture::new("integrate: branch");
    let one = fixture.add("one", &commit("one.txt", "one"), &[]);
    let two = fixture.add("two", &commit("two.txt", "two"), &[one]);
    fixture.run_all();
    fixture.sealed.serve();
    let id = two.to_string();
    let asked = fixture.sealed.run_program(ORCH).args(["task", "merge", &id, "--no-wait"]).deadline(RUN).run();
    assert!(asked.code.is_some(), "{asked}");
    wait_until("the dependent to be held", RUN, || fixture.show(two)["hold"]["reason"] == "dependency");
    let hold = fixture.show(two)["hold"]["detail"].as_str().expect("words").to_owned();
    assert!(hold.contains(&format!("orch task merge {one}")), "{hold}");
    assert_eq!(fixture.repo.show("main", "one.txt"), None, "nothing is merged unasked");
    fixture.sealed.finish();
}

#[test]
fn a_dependent_is_held_when_the_first_is_taken_back() {
    let mut fixture = Fixture::new("integrate: merge");
    let one = fixture.add("one", &commit("one.txt", "one"), &[]);
    fixture.run_all();
    fixture.sealed.serve();
    fixture.task("revert", one, &[]).ok();
    let two = fixture.add("two", &commit("two.txt", "two"), &[one]);
    wait_until("the dependent to be held", RUN, || fixture.show(two)["hold"]["reason"] == "dependency");
    let hold = fixture.show(two)["hold"]["detail"].as_str().expect("words").to_owned();
    assert!(hold.contains("its merge was taken back"), "{hold}");
    assert_eq!(fixture.show(two)["status"], "blocked");
    fixture.sealed.finish();
}
