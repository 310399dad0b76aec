//! Work in many pieces, as a person walks it: agents that hand work on, tasks with parts, and waiting for them. The agents
//! are small shell programs.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN, SOON};
use serde_json::{Value, json};

/// Commits a file named after its branch.
const GOOD: &str = "#!/bin/sh
cat > /dev/null
name=$(git rev-parse --abbrev-ref HEAD | tr / -)
echo work > \"$name.txt\" && git add . && git commit -q -m work
echo '{\"status\":\"done\",\"summary\":\"I wrote a file\"}'
";

/// Creates two subtasks, and stores their results from the prompt.
const BOSS: &str = "#!/bin/sh
prompt=$(cat)
if printf '%s' \"$prompt\" | grep -q 'What became of them'; then
  printf '%s' \"$prompt\" > told.txt && git add . && git commit -q -m whole
  echo '{\"status\":\"done\",\"summary\":\"the whole is there\"}'
else
  echo '{\"status\":\"blocked\",\"summary\":\"others first\",\"delegations\":[
{\"title\":\"Write the first half\",\"body\":\"With care.\",\"labels\":[\"agent:good\"]},
{\"title\":\"Write the second half\",\"suggested_agent\":\"SECOND\"}]}' | tr -d '\\n'; echo
fi
";

/// Hands on far too much, for ever.
const FLOOD: &str = "#!/bin/sh
cat > /dev/null
printf '{\"status\":\"blocked\",\"summary\":\"all of it\",\"delegations\":['
n=1; while [ $n -lt 500 ]; do printf '{\"title\":\"Piece %s\"},' $n; n=$((n + 1)); done
echo '{\"title\":\"The last\"}]}'
";

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new(agents: &[(&str, &str)], config: &str) -> Self {
        let sealed = SealedBox::new();
        for (name, script) in agents {
            sealed.program(name, script);
        }
        let declared: String =
            agents.iter().map(|(name, _)| format!("  {name}: {{kind: command, command: {name}}}\n")).collect();
        sealed.config(&format!("agents:\n{declared}{config}"));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn add(&self, title: &str, more: &[&str]) -> String {
        let args = ["task", "add", title, "--json"].into_iter().chain(more.iter().copied());
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    fn show(&self, id: &str) -> Value {
        self.sealed.orch(["task", "show", id, "--json"]).ok().json()
    }

    fn until_idle(&self, code: i32) {
        self.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run().code_is(code);
    }
}

#[test]
fn what_an_agent_hands_on_is_done_first_and_the_whole_goes_on_with_what_became_of_it() {
    let boss = BOSS.replace("SECOND", "good");
    let fixture = Fixture::new(&[("boss", &boss), ("good", GOOD)], "router: {agents: [good]}\n");
    let id = fixture.add("Write a book", &["-l", "agent:boss", "--priority", "3"]);
    fixture.until_idle(0);
    let whole = fixture.show(&id);
    assert_eq!((&whole["status"], &whole["children"]), (&json!("done"), &json!([2, 3])), "{whole}");
    assert_eq!((whole["attempts"].as_u64(), whole["runs"].as_array().map(Vec::len)), (Some(1), Some(2)), "{whole}");
    for (part, title) in [("2", "Write the first half"), ("3", "Write the second half")] {
        let part = fixture.show(part);
        assert_eq!((&part["status"], &part["parent"], &part["title"]), (&json!("done"), &json!(1), &json!(title)));
        assert_eq!((&part["dir"], &part["priority"]), (&whole["dir"], &json!(3)), "{part}");
        assert_eq!(part["route"]["agent"], "good", "{part}");
    }
    let text = fixture.repo.git(["show", &format!("{}:told.txt", whole["branch"].as_str().expect("a branch"))]);
    assert!(text.contains("### Part 2: done, its work is on ") && text.contains("I wrote a file"), "{text}");
    assert!(fixture.sealed.read_tasks().contains("parent: 1"));
    let tree = fixture.sealed.orch(["task", "tree", &id]).ok().stdout;
    assert!(tree.starts_with("1 done  Write a book\n├─ 2 done  Write the first half\n└─ 3 done"), "{tree}");
    let tree = fixture.sealed.orch(["task", "tree", &id, "--json"]).ok().json();
    assert_eq!(tree["children"][1]["id"], 3, "{tree}");
    fixture.sealed.finish();
}

#[test]
fn an_agent_that_hands_all_of_it_on_need_not_change_anything_itself() {
    let lead = BOSS.replace("SECOND", "good").replace("&& git add . && git commit -q -m whole", "&& rm told.txt");
    let config = "router: {agents: [good]}\nworkflow: {integrate: merge, max_attempts: 1}\n";
    let fixture = Fixture::new(&[("lead", &lead), ("good", GOOD)], config);
    let id = fixture.add("Write a book", &["-l", "agent:lead"]);
    fixture.until_idle(0);
    let whole = fixture.show(&id);
    assert_eq!((&whole["status"], &whole["evidence"]["files"]), (&json!("done"), &json!(0)), "{whole}");
    let notes = whole["evidence"]["notes"].to_string();
    assert!(notes.contains("the work was done by its subtasks 2, 3"), "{notes}");
    assert_eq!(fixture.repo.subjects("main").iter().filter(|subject| *subject == "work").count(), 2);
    fixture.sealed.finish();
}

#[test]
fn a_part_that_fails_asks_at_the_whole_which_can_go_on_without_it() {
    let boss = BOSS.replace("SECOND", "bad");
    let bad = "#!/bin/sh\ncat > /dev/null\necho 'I cannot do it' >&2; exit 3\n";
    // An agent that a piece only suggests works where the list allows it.
    let config = "router: {agents: [bad]}\nworkflow: {max_attempts: 1}\n";
    let fixture = Fixture::new(&[("boss", &boss), ("good", GOOD), ("bad", bad)], config);
    let id = fixture.add("Write a book", &["-l", "agent:boss"]);
    fixture.until_idle(5);
    let whole = fixture.show(&id);
    assert_eq!(whole["status"], "needs_review", "{whole}");
    assert!(whole["question"].as_str().is_some_and(|q| q.starts_with("its subtask 3 failed")), "{whole}");
    // A message does not decide about the subtask: the question stays, and orch does not loop.
    fixture.sealed.orch(["task", "send", &id, "mind the commas"]).ok();
    fixture.until_idle(5);
    assert_eq!(fixture.show(&id)["question"], whole["question"]);
    // After the cancellation of the subtask, the parent continues, as after `orch task unblock`.
    fixture.sealed.orch(["task", "cancel", "3"]).ok();
    fixture.until_idle(0);
    let whole = fixture.show(&id);
    assert_eq!(whole["status"], "done", "{whole}");
    let text = fixture.repo.git(["show", &format!("{}:told.txt", whole["branch"].as_str().expect("a branch"))]);
    assert!(text.contains("### Part 2: done") && text.contains("### Part 3: cancelled"), "{text}");
    assert!(text.contains("mind the commas"), "{text}");
    fixture.sealed.finish();
}

#[test]
fn five_hundred_pieces_are_refused_with_words_and_make_no_task() {
    let fixture = Fixture::new(&[("flood", FLOOD)], "workflow: {max_attempts: 1}\n");
    let id = fixture.add("Do everything", &["-l", "agent:flood"]);
    fixture.until_idle(5);
    let task = fixture.show(&id);
    assert_eq!((&task["status"], &task["children"]), (&json!("needs_review"), &json!([])), "{task}");
    let question = task["question"].as_str().unwrap_or_default();
    assert!(question.contains("500 subtasks are too many: at most 10"), "{question}");
    fixture.sealed.finish();
}

#[test]
fn a_task_waits_for_parts_that_a_person_has_added_and_parts_make_no_circle() {
    let fixture = Fixture::new(&[("good", GOOD)], "");
    let whole = fixture.add("Redo the shop", &["-l", "agent:good"]);
    let part = fixture.add("Redo the parser", &["-l", "agent:good", "--parent", &whole]);
    let refused = fixture.sealed.orch(["task", "edit", &whole, "--parent", &part]).code_is(2);
    assert!(refused.stderr.contains("1 → 2 → 1"), "{}", refused.stderr);
    let refused = fixture.sealed.orch(["task", "edit", &part, "--depends-on", &whole]).code_is(2);
    assert!(refused.stderr.contains("→"), "{}", refused.stderr);
    let why = fixture.sealed.orch(["why", &whole, "--json"]).ok().json();
    assert_eq!((&why["status"], &why["hold"]["reason"]), (&json!("blocked"), &json!("children")), "{why}");
    fixture.until_idle(0);
    let began = |id: &str| fixture.show(id)["runs"][0]["started_at"].as_str().expect("it ran").to_owned();
    let ended = fixture.show(&part)["runs"][0]["ended_at"].as_str().expect("it ended").to_owned();
    assert!(began(&whole) >= ended);
    fixture.sealed.finish();
}

#[test]
fn waiting_ends_with_a_code_that_says_how_it_ended() {
    let slow = GOOD.replace("cat > /dev/null", "cat > /dev/null; while [ ! -e $HOME/go ]; do sleep 0.05; done");
    let mut fixture = Fixture::new(&[("slow", &slow)], "");
    let id = fixture.add("Take your time", &["-l", "agent:slow"]);
    let other = fixture.add("Never", &["-l", "agent:slow"]);
    fixture.sealed.orch(["task", "cancel", &other]).ok();
    fixture.sealed.orch(["task", "wait", "99"]).code_is(3);
    let alone = fixture.sealed.orch(["task", "wait", &id]).code_is(4);
    assert!(alone.stderr.contains("no daemon runs") && alone.stderr.contains("orch serve"), "{}", alone.stderr);
    fixture.sealed.orch(["task", "wait", &other]).code_is(1);
    fixture.sealed.orch(["task", "wait", &id, "--until", "soon"]).code_is(2);
    fixture.sealed.serve();
    wait::wait_until("the agent to work", SOON, || fixture.show(&id)["status"] == "in_progress");
    fixture.sealed.orch(["task", "wait", &id, "--until", "in_progress"]).ok();
    let over = fixture.sealed.orch(["task", "wait", &id, "--timeout", "200ms", "--json"]).code_is(6);
    assert_eq!(over.json()[0]["reached"], Value::Null, "{}", over.stdout);
    std::fs::write(fixture.sealed.home().join("go"), "").expect("written");
    let done = fixture.sealed.orch(["wait", &id, "--timeout", "60s", "--json"]).ok().json();
    assert_eq!((&done[0]["status"], &done[0]["reached"]), (&json!("done"), &json!(true)), "{done}");
    assert_eq!(fixture.sealed.orch(["task", "wait", &id, &other]).code_is(1).stdout.lines().count(), 2);
    fixture.sealed.finish();
}

#[test]
fn a_task_that_somebody_else_has_claimed_is_neither_begun_nor_taken_without_force() {
    let mut fixture = Fixture::new(&[("good", GOOD)], "");
    fixture.sealed.set("ORCH_IDENTITY", "ada");
    let [theirs, mine] = ["Theirs", "Mine"].map(|title| fixture.add(title, &["-l", "agent:good"]));
    let claimed = fixture.sealed.orch(["task", "claim", &theirs, "--as", "bob", "--json"]).ok().json();
    assert_eq!((&claimed["assignee"], claimed["claimed_at"].is_string()), (&json!("bob"), true), "{claimed}");
    assert!(fixture.sealed.read_tasks().contains("assignee: bob"), "{}", fixture.sealed.read_tasks());
    for refused in [["claim", &theirs], ["unclaim", &theirs], ["run", &theirs]] {
        let refused = fixture.sealed.orch(["task"].into_iter().chain(refused)).code_is(7);
        let text = &refused.stderr;
        assert!(text.contains("claimed by bob since") && text.contains("--force"), "{text}");
    }
    fixture.until_idle(5);
    assert_eq!((&fixture.show(&mine)["status"], &fixture.show(&mine)["assignee"]), (&json!("done"), &json!("ada")));
    assert!(!fixture.sealed.read_tasks().contains("assignee: ada"), "what orch begins by itself is not written there");
    let why = fixture.sealed.orch(["why", &theirs, "--json"]).ok().json();
    assert_eq!(why["hold"]["reason"], "claimed", "{why}");
    assert!(why["hold"]["detail"].as_str().is_some_and(|text| text.contains("this orch is ada")), "{why}");
    fixture.sealed.orch(["task", "claim", &theirs, "--force"]).ok();
    fixture.until_idle(0);
    assert_eq!(fixture.show(&theirs)["status"], "done");
    fixture.sealed.orch(["task", "claim", &theirs]).code_is(7);
    fixture.sealed.finish();
}

#[test]
fn of_two_processes_that_claim_a_task_at_once_exactly_one_gets_it() {
    let fixture = Fixture::new(&[("good", GOOD)], "");
    for round in 0..5 {
        let id = fixture.add(&format!("Race {round}"), &["-l", "agent:good"]);
        let claims = ["ada", "bob"].map(|name| {
            let program = fixture.sealed.run_program(ORCH).args(["task", "claim", &id, "--as", name, "--json"]);
            std::thread::spawn(move || program.deadline(SOON).run())
        });
        let mut codes = claims.map(|claim| claim.join().expect("it ran").code);
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(7)], "round {round}");
        assert!(["ada", "bob"].map(Value::from).contains(&fixture.show(&id)["assignee"]));
    }
    fixture.sealed.finish();
}

#[test]
fn a_task_may_wait_for_one_of_another_project_and_a_circle_over_both_is_named() {
    let fixture = Fixture::new(&[("good", GOOD)], "");
    let other = fixture.sealed.repo("library");
    fixture.sealed.orch_in(other.dir(), ["init"]).ok();
    let args = ["task", "add", "Release the library", "-l", "agent:good", "--json"];
    let library = fixture.sealed.orch_in(other.dir(), args).ok().json()["id"].to_string();
    let application = fixture.add("Use its new version", &["-l", "agent:good", "--depends-on", &library]);
    assert_ne!(fixture.show(&application)["project"], fixture.show(&library)["project"]);
    let refused = fixture.sealed.orch(["task", "edit", &library, "--depends-on", &application]).code_is(2);
    assert!(refused.stderr.contains(&format!("{library} → {application} → {library}")), "{}", refused.stderr);
    fixture.until_idle(0);
    let time = |id: &str, key: &str| fixture.show(id)["runs"][0][key].as_str().expect("a time").to_owned();
    assert!(time(&application, "started_at") >= time(&library, "ended_at"));
    fixture.sealed.finish();
}
