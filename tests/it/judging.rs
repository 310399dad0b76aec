//! Tests that reported is not accepted: a corpus of run endings, each labelled as done or not, and orch's verdicts. The
//! endings are data (`tests/fixtures/endings.yml`); small programs and the three real CLIs play them in real git. The
//! tables are in docs/reference/judging-results.md.

mod endings;
mod page;
mod review;

use crate::kit::clis::Agent;
use crate::kit::model_server::ModelServer;
use crate::kit::model_server::script::{Action, Rule, Script};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::RUN;
use endings::{Corpus, Ending};
use page::Played;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A home with the repositories of the corpus, each of which is made when the first ending plays there.
struct Court {
    sealed: SealedBox,
    corpus: Corpus,
    repos: BTreeMap<String, Repo>,
    /// Lines of `tasks.yml`.
    tasks: Vec<String>,
}

impl Court {
    fn new(sealed: SealedBox, corpus: Corpus) -> Self {
        for (name, script) in &corpus.programs {
            sealed.program(name, &format!("#!/bin/sh\n{script}"));
        }
        Self { sealed, corpus, repos: BTreeMap::new(), tasks: Vec::new() }
    }

    /// The repository in which an ending plays.
    fn repo(&mut self, ending: &Ending, number: usize) -> &Repo {
        let name = if ending.alone { format!("{}-{number}", ending.repository) } else { ending.repository.clone() };
        let repository = &self.corpus.repositories[&ending.repository];
        self.repos.entry(name.clone()).or_insert_with(|| {
            let repo = self.sealed.repo(&name);
            let checks = serde_json::to_string(&repository.checks).expect("text");
            let base = if repository.away { ", base_branch: main" } else { "" };
            repo.write(".orch.yml", &format!("workflow: {{checks: {checks}{base}}}\n"));
            for (files, subject) in [(&repository.files, "The question"), (&repository.then, "What came later")] {
                files.iter().for_each(|(path, text)| repo.write(path, text));
                if !files.is_empty() {
                    repo.commit(subject);
                }
            }
            if let Some(branch) = &repository.branch {
                repo.git(["branch", branch]);
                if repository.away {
                    repo.git(["switch", "--quiet", branch]);
                }
            }
            self.sealed.orch_in(repo.dir(), ["init"]).ok();
            repo
        })
    }

    /// Writes the task of an ending for an agent down, and returns its id.
    fn add(&mut self, ending: &Ending, number: usize, agent: &str, body: &str) -> String {
        let dir = self.repo(ending, number).dir().to_owned();
        let labels: Vec<String> = ending.labels.iter().cloned().chain([format!("agent:{agent}")]).collect();
        let id = self.tasks.len() + 1;
        let task = json!({"id": id, "title": ending.name, "body": body, "dir": dir, "labels": labels});
        self.tasks.push(format!("  - {task}\n"));
        id.to_string()
    }

    fn run(&self, times: u32, code: i32) {
        self.sealed.write_tasks(&format!("tasks:\n{}", self.tasks.concat()));
        self.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * times).run().code_is(code);
    }

    /// All tasks as they are now.
    fn tasks(&self) -> Vec<Value> {
        let list = self.sealed.orch(["task", "list", "--all", "--json"]).ok().json();
        list.as_array().cloned().unwrap_or_default()
    }

    /// What orch concluded of a task.
    fn played<'a>(&self, ending: &'a Ending, by: &'a str, task: &Value, wrong: &mut Vec<String>) -> Played<'a> {
        let question = task["question"].as_str().unwrap_or_default();
        let said = if task["status"] == "done" { String::new() } else { format!("{}: {question}", task["status"]) };
        let played = Played { ending, by, said };
        if !played.is_as_expected() {
            let shown = self.sealed.orch(["task", "show", &task["id"].to_string(), "--json"]).ok().json();
            wrong.push(format!(
                "{} ({by}): {:?} expected, {:?}, evidence {}",
                ending.name, ending.orch, played.said, shown["evidence"]
            ));
        }
        played
    }
}

/// The task with this id.
fn task<'a>(tasks: &'a [Value], id: &str) -> &'a Value {
    tasks.iter().find(|task| task["id"].as_u64() == id.parse().ok()).expect("a task of the corpus")
}

/// A program that plays an ending.
fn program(ending: &Ending) -> String {
    let answer = ending.answer().to_string();
    format!(
        "#!/bin/sh\ncat > /dev/null\nB=$(git rev-parse --abbrev-ref HEAD)\n{}\ncat <<'ANSWER'\n{answer}\nANSWER\n",
        ending.work
    )
}

const LIMITS: &str =
    "workflow: {review: off, max_attempts: 1, max_file_mb: 1}\nengine: {max_parallel: 3}\nbreaker: {failures: 0}\n";

#[test]
fn what_is_not_done_is_not_accepted_whatever_the_agent_says() {
    let corpus = Corpus::read();
    let endings = corpus.endings.clone();
    let mut sealed = SealedBox::new();
    let mut agents = String::from("agents:\n");
    for (number, ending) in endings.iter().enumerate() {
        sealed.program(&format!("a{number}"), &program(ending));
        agents.push_str(&format!("  a{number}: {{kind: command, command: a{number}}}\n"));
    }
    sealed.config(&format!("{agents}{LIMITS}"));
    // The worst that a person's own PATH can hold.
    let path = sealed.env().into_iter().find(|(name, _)| name == "PATH").expect("a PATH").1;
    sealed.set("PATH", format!(".:{}", path.display()));
    let mut court = Court::new(sealed, corpus);
    let ids: Vec<String> =
        endings.iter().enumerate().map(|(number, one)| court.add(one, number, &format!("a{number}"), "")).collect();
    court.run(8, 5);
    let (mut wrong, tasks) = (Vec::new(), court.tasks());
    let played: Vec<Played<'_>> = endings
        .iter()
        .zip(&ids)
        .map(|(ending, id)| court.played(ending, "program", task(&tasks, id), &mut wrong))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    page::must_hold("programs", &page::of_programs(&played));
}

/// Returns the rule of the scripted model for an ending: it works by the shell, and then answers. Told that its answer
/// is unreadable, it repeats it.
fn rule(ending: &Ending, number: usize) -> Rule {
    let answer = match &ending.prose {
        Some(prose) => Action::Text(prose.clone()),
        None => Action::Report(ending.answer()),
    };
    let mut rule = Rule::on(&format!("SCENARIO:ending-{number}"));
    rule.steps = vec![Action::Command(ending.work.clone()), answer];
    rule
}

#[test]
fn what_the_real_agents_have_not_done_is_not_accepted_either() {
    let corpus = Corpus::read();
    let endings = corpus.real.clone();
    let rules = endings.iter().enumerate().map(|(number, ending)| rule(ending, number)).collect();
    let server = ModelServer::start(Script { rules, ..Script::standard() });
    let mut sealed = SealedBox::new();
    sealed.with_agents(&Agent::ALL, &server, LIMITS);
    let mut court = Court::new(sealed, corpus);
    let pairs = || Agent::ALL.into_iter().flat_map(|agent| endings.iter().enumerate().map(move |pair| (agent, pair)));
    let ids: Vec<String> = pairs()
        .map(|(agent, (number, one))| court.add(one, number, agent.name(), &format!("SCENARIO:ending-{number}")))
        .collect();
    court.run(8, 5);
    let (mut wrong, tasks) = (Vec::new(), court.tasks());
    let played: Vec<Played<'_>> = pairs()
        .zip(&ids)
        .map(|((agent, (_, ending)), id)| court.played(ending, agent.name(), task(&tasks, id), &mut wrong))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    page::must_hold("real agents", &page::of_clis(&played));
}

#[test]
fn a_flaky_check_is_reported_and_one_that_failed_before_is_not_blamed_on_the_agent() {
    let sealed = SealedBox::new();
    sealed.program("mend", "#!/bin/sh\ncat > /dev/null\necho 42 > answer; git commit -qam mend\necho '{\"status\":\"done\",\"summary\":\"did it\"}'\n");
    let mark = sealed.base().join("seen");
    // The first check fails once and then never again; the last one is red on the base and stays so.
    let flaky = format!("test -e '{0}' || {{ touch '{0}'; exit 1; }}", mark.display());
    let checks = serde_json::to_string(&[flaky.as_str(), "grep -qx 42 answer", "test -e never"]).expect("text");
    sealed.config(&format!("agents: {{mend: {{kind: command, command: mend}}}}\nworkflow: {{checks: {checks}}}\n"));
    let repo = sealed.repo("shop");
    repo.write("answer", "7\n");
    repo.commit("The question");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "Find the answer", "-l", "agent:mend"]).ok();
    sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run().code_is(0);
    let task = sealed.orch(["task", "show", "1", "--json"]).ok().json();
    let checks = task["evidence"]["checks"].as_array().cloned().unwrap_or_default();
    assert_eq!(checks.len(), 3, "{task}");
    assert_eq!((&checks[0]["state"], &checks[0]["flaky"]), (&"passed".into(), &true.into()));
    assert_eq!((&checks[2]["state"], &checks[2]["on_base"]), (&"failed".into(), &"failed".into()));
    let page = sealed.orch(["task", "evidence", "1"]).ok().stdout;
    assert!(page.contains("(flaky)") && page.contains("as it does on the base"), "{page}");
}

#[test]
fn the_page_of_evidence_opens_in_the_persons_viewer_or_the_error_names_its_file() {
    let sealed = SealedBox::new();
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "Find the answer"]).ok();
    for opener in ["xdg-open", "open"] {
        sealed.program(opener, "#!/bin/sh\nexit 3\n");
    }
    // What is there cannot open it, and there is no terminal for a pager.
    let ran = sealed.orch(["task", "evidence", "1", "--open"]);
    assert!(ran.code != Some(0) && ran.stderr.contains(".orch/evidence/task-1.md"), "{ran}");
    let seen = sealed.base().join("seen");
    for opener in ["xdg-open", "open"] {
        sealed.program(opener, &format!("#!/bin/sh\ncat \"$1\" > '{}'\n", seen.display()));
    }
    let ran = sealed.orch(["task", "evidence", "1", "--open"]).ok();
    assert_eq!(ran.stdout, "");
    assert!(crate::kit::read_file(&seen).starts_with("# Evidence of task 1: Find the answer\n"));
    let answer = sealed.orch(["task", "evidence", "1", "--open", "--json"]).ok().json();
    let file = std::path::PathBuf::from(answer["file"].as_str().expect("a path"));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o077, 0, "it is the person's alone");
}
