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

struct Shop {
    sealed: SealedBox,
    repo: Repo,
}

impl Shop {
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
    let shop = Shop::new("integrate: branch");
    let one = shop.add("one", &commit("one.txt", "one"), &[]);
    // Each run of it has something to commit.
    let again = "DO: cat one.txt\nDO: echo two >> two.txt; git add .; git commit -qm 'Change two.txt'";
    let two = shop.add("two", again, &[one]);
    shop.run_all();
    let (first, second) = (shop.show(one), shop.show(two));
    assert_eq!((first["status"].as_str(), second["status"].as_str()), (Some("done"), Some("done")), "{second:#}");
    assert_eq!(shop.file(two, "one.txt").as_deref(), Some("one\n"), "it holds the first one's work");
    let accepted = first["integration"]["commit"].as_str().expect("a commit");
    assert_eq!(second["began_from"][0]["task"].as_u64(), Some(one));
    assert_eq!(second["began_from"][0]["commit"].as_str(), Some(accepted));
    let evidence = &second["evidence"];
    assert_eq!(evidence["base"].as_str(), Some(accepted));
    assert_eq!((evidence["commits"].as_array().map(Vec::len), evidence["files"].as_u64()), (Some(1), Some(1)));
    assert!(shop.task("show", two, &[]).ok().stdout.contains(&format!("began from  #{one} at")));
    let diff = shop.task("diff", two, &["--stat", "--json"]).ok().json();
    assert_eq!((diff["commits"].as_u64(), diff["files"].as_array().map(Vec::len)), (Some(1), Some(1)), "{diff:#}");
    // One begun again goes on from the same place.
    shop.task("retry", two, &[]).ok();
    shop.run_all();
    assert_eq!(shop.show(two)["evidence"]["base"].as_str(), Some(accepted));
    shop.sealed.finish();
}

#[test]
fn several_dependencies_are_merged_and_checked_first() {
    let shop = Shop::new("integrate: branch, checks: ['! test -e broken']");
    let one = shop.add("one", &commit("one.txt", "one"), &[]);
    let two = shop.add("two", &commit("two.txt", "two"), &[]);
    let both = shop.add("both", &commit("both.txt", "both"), &[one, two]);
    shop.run_all();
    assert_eq!(shop.show(both)["status"], "done", "{:#}", shop.show(both));
    for path in ["one.txt", "two.txt", "both.txt"] {
        assert!(shop.file(both, path).is_some(), "{path}");
    }
    assert_eq!(shop.show(both)["evidence"]["files"].as_u64(), Some(1), "only its own is judged");
    assert_eq!(shop.show(both)["began_from"].as_array().map(Vec::len), Some(2));
    shop.sealed.finish();
}

#[test]
fn work_that_does_not_fit_together_is_asked_about_before_an_agent_begins() {
    let shop = Shop::new("integrate: branch");
    let one = shop.add("one", &commit("same.txt", "one"), &[]);
    let two = shop.add("two", &commit("same.txt", "two"), &[]);
    let both = shop.add("both", &commit("both.txt", "both"), &[one, two]);
    shop.run_all();
    let task = shop.show(both);
    let question = task["question"].as_str().expect("a question");
    assert!(question.contains("conflicts in same.txt") && question.contains(&format!("#{one}")), "{question}");
    assert_eq!((task["status"].as_str(), task["attempts"].as_u64()), (Some("needs_review"), Some(0)));
    shop.task("merge", one, &[]).ok();
    shop.sealed.finish();
}

#[test]
fn dependencies_are_merged_first_and_what_is_merged_already_is_the_base() {
    let shop = Shop::new("integrate: merge");
    let one = shop.add("one", &commit("one.txt", "one"), &[]);
    let two = shop.add("two", &commit("two.txt", "two"), &[one]);
    shop.run_all();
    assert_eq!(shop.show(two)["integration"]["state"], "merged", "{:#}", shop.show(two));
    assert_eq!(shop.repo.show("main", "two.txt").as_deref(), Some("two\n"));
    let main = shop.show(one)["integration"]["commit"].as_str().expect("a commit").to_owned();
    assert_eq!(shop.show(two)["evidence"]["base"].as_str(), Some(&*main), "it began from the base");
    shop.sealed.finish();
}

#[test]
fn a_merge_of_a_dependent_waits_for_the_merge_of_what_it_holds() {
    let mut shop = Shop::new("integrate: branch");
    let one = shop.add("one", &commit("one.txt", "one"), &[]);
    let two = shop.add("two", &commit("two.txt", "two"), &[one]);
    shop.run_all();
    shop.sealed.serve();
    let id = two.to_string();
    let asked = shop.sealed.run_program(ORCH).args(["task", "merge", &id, "--no-wait"]).deadline(RUN).run();
    assert!(asked.code.is_some(), "{asked}");
    wait_until("the dependent to be held", RUN, || shop.show(two)["hold"]["reason"] == "dependency");
    let hold = shop.show(two)["hold"]["detail"].as_str().expect("words").to_owned();
    assert!(hold.contains(&format!("orch task merge {one}")), "{hold}");
    assert_eq!(shop.repo.show("main", "one.txt"), None, "nothing is merged unasked");
    shop.sealed.finish();
}

#[test]
fn a_dependent_is_held_when_the_first_is_taken_back() {
    let mut shop = Shop::new("integrate: merge");
    let one = shop.add("one", &commit("one.txt", "one"), &[]);
    shop.run_all();
    shop.sealed.serve();
    shop.task("revert", one, &[]).ok();
    let two = shop.add("two", &commit("two.txt", "two"), &[one]);
    wait_until("the dependent to be held", RUN, || shop.show(two)["hold"]["reason"] == "dependency");
    let hold = shop.show(two)["hold"]["detail"].as_str().expect("words").to_owned();
    assert!(hold.contains("its merge was taken back"), "{hold}");
    assert_eq!(shop.show(two)["status"], "blocked");
    shop.sealed.finish();
}
