//! Judges a finished run: evidence in, verdict with its reason out. An agent's report alone is never accepted.

use super::answer::{Answer, AnswerStatus, Delegation};
use super::change::{Finding, FindingKind, PROJECT_FILE};
use super::evidence::{Check, CheckState, Evidence};
use super::outcome::{Failure, FailureClass};
use super::question::QuestionKind;
use super::task_type::{Proof, TaskType};
use crate::base::count::named;

/// The conclusion about a run that reported success.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// As far as orch can see, the work is what was asked for.
    Accept,
    /// The work is not accepted; the failure says why and goes back to the agent.
    Fail(Failure),
    /// Subtasks must be done first.
    HandOn {
        /// The delegated subtasks.
        delegations: Vec<Delegation>,
    },
    /// A person must decide.
    Ask {
        /// The question to the person.
        question: String,
        /// The subject: the agent's own question, work that orch does not accept by itself, or a setup that prevents a
        /// judgement.
        kind: QuestionKind,
    },
}

/// What is judged: the agent's report and the evidence.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The agent's report.
    pub answer: &'a Answer,
    /// What orch observed.
    pub evidence: &'a Evidence,
    /// The type of the task.
    pub task_type: &'a TaskType,
}

/// Judges a finished run. The rules are tried in this order; the first that matches decides.
pub fn judge(case: &Case<'_>) -> Verdict {
    let checks = &case.evidence.checks;
    verdict_before_checks(case)
        .or_else(|| broken_setup(checks))
        .or_else(|| failed_checks(checks, case.task_type).map(Verdict::Fail))
        .or_else(|| unapproved_checks(&case.evidence.unapproved))
        .or_else(|| checks_rewritten_by_change(checks))
        .or_else(|| inconclusive_checks(checks))
        .or_else(|| fix_without_code_change(case))
        .or_else(|| only_weaker_tests(case))
        .or_else(|| reverted_base_work(&case.evidence.findings))
        .or_else(|| changed_settings(&case.evidence.findings))
        .unwrap_or(Verdict::Accept)
}

/// Applies the rules that do not depend on the checks.
fn verdict_before_checks(case: &Case<'_>) -> Option<Verdict> {
    let evidence = case.evidence;
    outside_changes(evidence)
        .or_else(|| delegated_work(case.answer))
        .or_else(|| agent_asks(case.answer))
        .or_else(|| unfinished(case.answer))
        .or_else(|| uncommitted_files(evidence))
        .or_else(|| unexpected_change(case))
        .or_else(|| missing_result(case))
        .or_else(|| unacceptable_change(&evidence.findings))
}

/// Returns whether running the checks can still change the verdict.
pub fn depends_on_checks(case: &Case<'_>) -> bool {
    !case.evidence.commits.is_empty() && verdict_before_checks(case).is_none()
}

/// Describes why work is accepted: its size and its checks.
pub fn accepted_because(case: &Case<'_>) -> String {
    let evidence = case.evidence;
    let count = |number: u64, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    let mut parts = Vec::new();
    if evidence.commits.is_empty() {
        parts.push(format!("a text of {}", count(case.answer.result.trim().chars().count() as u64, "character")));
    } else {
        parts.push(format!(
            "{}, +{} \u{2212}{} in {}",
            count(evidence.commits.len() as u64, "commit"),
            evidence.insertions,
            evidence.deletions,
            count(evidence.files, "file")
        ));
    }
    parts.extend(evidence.checks.iter().map(|check| format!("`{}` {}", check.command, check.describe_result())));
    if evidence.checks.is_empty() && !evidence.commits.is_empty() {
        parts.push("no check is configured".to_owned());
    }
    parts.join("; ")
}

/// Rejects a run that changed anything outside its worktree, whatever else it did.
fn outside_changes(evidence: &Evidence) -> Option<Verdict> {
    let violations = evidence.violations.join("\n");
    let has_moved_base = evidence.take_back.as_ref().map(|take_back| {
        // The next run would start from there.
        let question = format!(
            "the agent moved the base branch itself, and nothing has judged what it put there: {take_back}\n{violations}"
        );
        Verdict::Ask { question, kind: QuestionKind::Setup }
    });
    let failed = || Verdict::Fail(Failure::new(FailureClass::SandboxViolation, violations.as_str()));
    has_moved_base.or_else(|| (!violations.is_empty()).then(failed))
}

/// Delegates, unless the agent asks a person: the answer may change what is to be delegated.
fn delegated_work(answer: &Answer) -> Option<Verdict> {
    let delegated_work = !answer.delegations.is_empty() && answer.status != AnswerStatus::NeedsReview;
    delegated_work.then(|| Verdict::HandOn { delegations: answer.delegations.clone() })
}

fn agent_asks(answer: &Answer) -> Option<Verdict> {
    let lead = match answer.status {
        AnswerStatus::NeedsReview => "the agent asks for a decision",
        AnswerStatus::Blocked => "the agent cannot go on",
        AnswerStatus::Done | AnswerStatus::InProgress => return None,
    };
    let mut parts: Vec<&str> = vec![answer.reason.trim()];
    parts.extend(answer.blockers.iter().map(|b| b.trim()));
    parts.retain(|p| !p.is_empty());
    if parts.is_empty() {
        parts.push(answer.summary.trim());
    }
    Some(Verdict::Ask { question: format!("{lead}: {}", parts.join("; ")), kind: QuestionKind::Question })
}

fn unfinished(answer: &Answer) -> Option<Verdict> {
    (answer.status == AnswerStatus::InProgress).then(|| {
        let rest = if answer.remaining.is_empty() { answer.summary.clone() } else { answer.remaining.join("\n") };
        Verdict::Fail(Failure::new(FailureClass::Incomplete, rest))
    })
}

/// Rejects files that are neither committed nor ignored, because they would be lost.
fn uncommitted_files(evidence: &Evidence) -> Option<Verdict> {
    (!evidence.uncommitted.is_empty()).then(|| {
        let detail = format!(
            "the worktree holds what is not committed and would be lost:\n{}\nWhat to do: commit it, delete it, or add it to \
             .gitignore. Finish or abort a merge or rebase that is in progress. A git repository inside the worktree cannot \
             be committed with its files: remove its .git directory, so that the files become part of the work, or delete it.",
            evidence.uncommitted.join("\n")
        );
        Verdict::Fail(Failure::new(FailureClass::Incomplete, detail))
    })
}

/// Rejects a change by a task that was to produce a text only.
fn unexpected_change(case: &Case<'_>) -> Option<Verdict> {
    let is_change = case.evidence.files > 0;
    (case.task_type.proof() == Proof::Text && is_change).then(|| {
        let detail = format!(
            "a task of the type {} changes nothing: take the change of {} file(s) back, so that no file differs from the \
             base, and put what you found into `result`",
            case.task_type, case.evidence.files
        );
        Verdict::Fail(Failure::new(FailureClass::Unacceptable, detail))
    })
}

/// Rejects "done" without a result: a change or, where the task asks for one, a text.
fn missing_result(case: &Case<'_>) -> Option<Verdict> {
    let has_change = !case.evidence.commits.is_empty() && case.evidence.files > 0;
    let has_text = !case.answer.result.trim().is_empty();
    let (is_there, class, detail) = match case.task_type.proof() {
        Proof::Change => (has_change, FailureClass::NoChange, "reported as done, but no file differs from the base"),
        Proof::Text => (has_text, FailureClass::Incomplete, "reported as done, but `result` holds no text"),
        Proof::Either => (
            has_change || has_text,
            FailureClass::NoChange,
            "reported as done, with neither a change nor a text in `result`",
        ),
    };
    (!is_there).then(|| Verdict::Fail(Failure::new(class, detail)))
}

/// Rejects a change with contents that are never accepted, with a remedy for each.
fn unacceptable_change(findings: &[Finding]) -> Option<Verdict> {
    let refused: Vec<&Finding> = findings.iter().filter(|finding| finding.kind.is_rejected()).collect();
    let mut lines: Vec<String> = refused.iter().map(ToString::to_string).collect();
    let mut kinds: Vec<FindingKind> = refused.iter().map(|finding| finding.kind).collect();
    kinds.dedup();
    let mut remedies: Vec<&str> = kinds.into_iter().map(FindingKind::remedy).collect();
    remedies.dedup();
    lines.extend(remedies.into_iter().map(|remedy| format!("What to do: {remedy}.")));
    (!refused.is_empty()).then(|| Verdict::Fail(Failure::new(FailureClass::Unacceptable, lines.join("\n"))))
}

/// Asks the person about a setup that fails on the base too: no check has said anything.
fn broken_setup(checks: &[Check]) -> Option<Verdict> {
    let check = checks.iter().find(|check| check.is_broken_setup())?;
    let (command, went, output) = (&check.command, check.describe_result(), check.output_tail.trim_end());
    let question = format!(
        "`{command}` of workspace.setup {went}; nothing could be checked. Mend it in .orch.yml or in the project, and \
         `orch init` approves the file\n{output}"
    );
    Some(Verdict::Ask { question, kind: QuestionKind::Setup })
}

/// Returns the failure of the first check that did not pass. A check that also fails on the base is not blamed on the
/// work, unless fixing it was the task.
pub fn failed_checks(checks: &[Check], task_type: &TaskType) -> Option<Failure> {
    let is_blamed = |check: &Check| !check.is_broken_setup() && (task_type.mends() || !check.fails_on_base());
    let failed = |check: &&Check| check.state != CheckState::Passed && is_blamed(check);
    let check = checks.iter().find(failed)?;
    let within = match check.state {
        CheckState::TimedOut => format!(" ({} s)", check.duration_ms / 1000),
        CheckState::Passed | CheckState::Failed | CheckState::NotStarted => String::new(),
    };
    let detail = format!("check `{}` {}{within}\n{}", check.command, check.describe_result(), check.output_tail);
    Some(Failure::new(FailureClass::ChecksFailed, detail.trim_end()))
}

/// Asks for approval of the project's checks that did not run, whatever else passes.
fn unapproved_checks(unapproved: &[String]) -> Option<Verdict> {
    let first = unapproved.first()?;
    let more = match unapproved.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    let question = format!(
        "the project's own checks did not run, because its .orch.yml is not approved (`{first}`{more}); read that file, and \
         `orch init` in the repository approves it"
    );
    Some(Verdict::Ask { question, kind: QuestionKind::Setup })
}

/// Asks about a check that passes only because the change rewrote it.
fn checks_rewritten_by_change(checks: &[Check]) -> Option<Verdict> {
    let check = checks.iter().find(|check| check.passes_only_with_changed_files())?;
    let question = format!(
        "check `{}` passes, but only with the files that the agent has changed for it; with those of the base it does not",
        check.command
    );
    Some(Verdict::Ask { question, kind: QuestionKind::Ready })
}

/// Asks about a fix in which only white space and comments differ, even if the checks pass.
fn fix_without_code_change(case: &Case<'_>) -> Option<Verdict> {
    let only_form = case.evidence.findings.iter().any(|finding| finding.kind == FindingKind::OnlyForm);
    (only_form && case.task_type.mends()).then(|| {
        let question = "the task is to mend something, and only blank space and comments differ: is that all of it?";
        Verdict::Ask { question: question.to_owned(), kind: QuestionKind::Ready }
    })
}

/// Asks about a change of nothing but tests and expected values if it removes something: what the tests expected before
/// may be what is broken. A `fix` repairs tested code, so any change of tests alone is asked about.
fn only_weaker_tests(case: &Case<'_>) -> Option<Verdict> {
    let found = |kind: FindingKind| case.evidence.findings.iter().filter(move |finding| finding.kind == kind);
    let takes_back = case.evidence.deletions > 0 || found(FindingKind::TestsWeakened).next().is_some();
    let first = found(FindingKind::OnlyExpectations).next()?;
    let is_asked = *case.task_type != TaskType::Test && (takes_back || case.task_type.mends());
    is_asked.then(|| {
        let question = format!(
            "only tests and expected values differ ({}), and they may expect less than before: is that what was asked for?",
            first.path
        );
        Verdict::Ask { question, kind: QuestionKind::Ready }
    })
}

/// Asks about a change of the settings that decide how later work is judged.
fn changed_settings(findings: &[Finding]) -> Option<Verdict> {
    let is_settings = |finding: &Finding| finding.kind == FindingKind::ChecksChanged && finding.path == PROJECT_FILE;
    findings.iter().any(is_settings).then(|| {
        let question = format!(
            "the change is of {PROJECT_FILE} as well, which says how later work is checked and what becomes of it: is that \
             what was asked for?"
        );
        Verdict::Ask { question, kind: QuestionKind::Ready }
    })
}

/// Asks about a merge commit that reverts commits of the base. Only a person may accept that.
fn reverted_base_work(findings: &[Finding]) -> Option<Verdict> {
    let undone: Vec<&str> =
        findings.iter().filter(|one| one.kind == FindingKind::Undone).map(|one| one.path.as_str()).collect();
    (!undone.is_empty()).then(|| {
        let question = format!(
            "the branch contains the newer commits of its base, but not what they changed in {}: merged, it takes \
             that back; is that what was asked for?",
            named(undone)
        );
        Verdict::Ask { question, kind: QuestionKind::Ready }
    })
}

/// Asks where every check failed before the change and still does: nothing tells whether the work is good.
fn inconclusive_checks(checks: &[Check]) -> Option<Verdict> {
    let first = checks.iter().find(|check| check.state != CheckState::Passed)?;
    checks.iter().all(|check| check.state != CheckState::Passed).then(|| {
        let (command, went, output) = (&first.command, first.describe_result(), first.output_tail.trim_end());
        let question = format!(
            "no check can tell whether this is done: `{command}` {went}, without the change. Where it needs what git does \
             not bring (packages, .env), `workspace:` in .orch.yml brings it; where it is the wrong check, mend it there: \
             `orch init --try` proposes the lines, approves the file and tries each check on the base\n{output}"
        );
        Verdict::Ask { question: question.trim_end().to_owned(), kind: QuestionKind::Setup }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: AnswerStatus) -> Answer {
        Answer {
            status,
            summary: "did it".into(),
            accomplished: vec![],
            remaining: vec![],
            files_changed: vec![],
            blockers: vec![],
            reason: String::new(),
            learnings: vec![],
            delegations: vec![],
            result: String::new(),
        }
    }

    fn evidence() -> Evidence {
        Evidence { commits: vec!["c1".into()], files: 1, ..Evidence::default() }
    }

    /// The verdict on a task of a type.
    fn of_type(word: &str, answer: &Answer, evidence: &Evidence) -> Verdict {
        super::judge(&Case { answer, evidence, task_type: &TaskType::parse(word) })
    }

    fn judge(answer: &Answer, evidence: &Evidence) -> Verdict {
        of_type("feature", answer, evidence)
    }

    fn check(state: CheckState) -> Check {
        Check::new("make test", state)
    }

    fn checked(check: Check) -> Evidence {
        Evidence { checks: vec![check], ..evidence() }
    }

    fn class(verdict: &Verdict) -> Option<FailureClass> {
        match verdict {
            Verdict::Fail(failure) => Some(failure.class),
            Verdict::Accept | Verdict::HandOn { .. } | Verdict::Ask { .. } => None,
        }
    }

    #[test]
    fn done_with_a_commit_and_passing_checks_is_accepted() {
        assert_eq!(judge(&answer(AnswerStatus::Done), &evidence()), Verdict::Accept);
    }

    #[test]
    fn work_is_not_accepted_where_the_checks_are_there_and_not_approved() {
        let unapproved = vec!["make test".to_owned(), "make lint".to_owned()];
        let unchecked = Evidence { unapproved: unapproved.clone(), ..evidence() };
        let verdict = judge(&answer(AnswerStatus::Done), &unchecked);
        let Verdict::Ask { question, kind: QuestionKind::Setup } = verdict else { panic!("{verdict:?}") };
        assert!(question.contains("`make test` and 1 more") && question.contains("`orch init`"), "{question}");
        let red = Evidence { unapproved, ..checked(check(CheckState::Failed)) };
        assert_eq!(class(&judge(&answer(AnswerStatus::Done), &red)), Some(FailureClass::ChecksFailed));
    }

    #[test]
    fn done_without_a_change_is_not_done() {
        let verdict = judge(&answer(AnswerStatus::Done), &Evidence::default());
        assert_eq!(class(&verdict), Some(FailureClass::NoChange));
        let empty_commit = Evidence { files: 0, ..evidence() };
        assert_eq!(class(&judge(&answer(AnswerStatus::Done), &empty_commit)), Some(FailureClass::NoChange));
    }

    #[test]
    fn nothing_is_accepted_beside_what_is_not_committed() {
        let evidence = Evidence { uncommitted: vec!["sub/ is a git repository of its own".into()], ..evidence() };
        let Verdict::Fail(failure) = judge(&answer(AnswerStatus::Done), &evidence) else { panic!("it was accepted") };
        assert_eq!(failure.class, FailureClass::Incomplete);
        assert!(failure.detail.contains("sub/") && failure.detail.contains("What to do"), "{}", failure.detail);
        assert!(
            matches!(judge(&answer(AnswerStatus::NeedsReview), &evidence), Verdict::Ask { .. }),
            "a question is heard"
        );
    }

    #[test]
    fn every_check_that_does_not_pass_fails_the_run_and_hands_on_its_output() {
        for state in [CheckState::Failed, CheckState::TimedOut, CheckState::NotStarted] {
            let output_tail = "assertion failed".to_owned();
            let check = Check { duration_ms: 5000, output_tail, ..Check::new("cargo test", state) };
            let verdict = judge(&answer(AnswerStatus::Done), &Evidence { checks: vec![check], ..evidence() });
            let Verdict::Fail(failure) = verdict else { panic!("{state:?} was accepted") };
            assert_eq!(failure.class, FailureClass::ChecksFailed);
            assert!(failure.detail.contains("cargo test") && failure.detail.ends_with("assertion failed"));
        }
    }

    #[test]
    fn an_agent_that_asks_is_heard_and_one_that_is_not_finished_goes_on() {
        let mut asking = answer(AnswerStatus::NeedsReview);
        asking.reason = "which database?".into();
        assert_eq!(
            judge(&asking, &evidence()),
            Verdict::Ask {
                question: "the agent asks for a decision: which database?".into(),
                kind: QuestionKind::Question
            }
        );
        let mut half = answer(AnswerStatus::InProgress);
        half.remaining = vec!["tests".into()];
        assert_eq!(judge(&half, &evidence()), Verdict::Fail(Failure::new(FailureClass::Incomplete, "tests")));
    }

    #[test]
    fn an_agent_that_hands_work_on_is_not_done_and_one_that_asks_is_heard_first() {
        let delegations = vec![Delegation { title: "Write the tests".into(), ..Delegation::default() }];
        for status in [AnswerStatus::Done, AnswerStatus::InProgress, AnswerStatus::Blocked] {
            let handing = Answer { delegations: delegations.clone(), ..answer(status) };
            let verdict = judge(&handing, &Evidence::default());
            assert_eq!(verdict, Verdict::HandOn { delegations: delegations.clone() }, "{status:?}");
            let outside = Evidence { violations: vec!["README.md changed".into()], ..evidence() };
            assert_eq!(class(&judge(&handing, &outside)), Some(FailureClass::SandboxViolation));
        }
        let asking = Answer { delegations, ..answer(AnswerStatus::NeedsReview) };
        assert!(matches!(judge(&asking, &evidence()), Verdict::Ask { .. }));
    }

    #[test]
    fn a_change_outside_the_worktree_outweighs_everything() {
        let verdict = judge(
            &answer(AnswerStatus::NeedsReview),
            &Evidence { violations: vec!["main checkout: README.md changed".into()], ..evidence() },
        );
        assert_eq!(class(&verdict), Some(FailureClass::SandboxViolation));
    }

    #[test]
    fn nothing_goes_on_from_a_base_that_a_run_has_moved_before_a_person_has_looked() {
        let evidence = Evidence {
            violations: vec!["refs/heads/main moved".into()],
            take_back: Some("`git reset --keep abc` takes it back".into()),
            ..evidence()
        };
        let verdict = judge(&answer(AnswerStatus::Done), &evidence);
        let Verdict::Ask { question, kind: QuestionKind::Setup } = verdict else { panic!("{verdict:?}") };
        assert!(question.contains("refs/heads/main moved") && question.contains("git reset --keep"), "{question}");
    }

    #[test]
    fn the_projects_own_settings_are_changed_by_nobody_but_a_person() {
        let changed = |path: &str| {
            let findings = vec![Finding::new(FindingKind::ChecksChanged, path, "it decides")];
            judge(&answer(AnswerStatus::Done), &Evidence { findings, ..evidence() })
        };
        let verdict = changed(PROJECT_FILE);
        assert!(
            matches!(&verdict, Verdict::Ask { question, kind: QuestionKind::Ready } if question.contains(".orch.yml"))
        );
        assert_eq!(changed("Makefile"), Verdict::Accept);
    }

    #[test]
    fn work_of_others_is_taken_back_by_a_person_only() {
        let undone = |count| (0..count).map(|n| Finding::new(FindingKind::Undone, format!("f{n}"), "gone"));
        let verdict = judge(&answer(AnswerStatus::Done), &Evidence { findings: undone(7).collect(), ..evidence() });
        let Verdict::Ask { question, kind: QuestionKind::Ready } = verdict else { panic!("{verdict:?}") };
        assert!(question.contains("f0, f1, f2, f3, f4 and 2 more"), "{question}");
    }

    #[test]
    fn a_check_that_was_red_before_is_nobodys_fault_unless_to_mend_it_was_the_task() {
        let fails_on_base = Check { on_base: Some(CheckState::Failed), ..check(CheckState::Failed) };
        let green = check(CheckState::Passed);
        let both = Evidence { checks: vec![fails_on_base.clone(), green], ..evidence() };
        assert_eq!(judge(&answer(AnswerStatus::Done), &both), Verdict::Accept);
        assert_eq!(class(&of_type("fix", &answer(AnswerStatus::Done), &both)), Some(FailureClass::ChecksFailed));
        let broke = Check { on_base: Some(CheckState::Passed), ..check(CheckState::Failed) };
        assert_eq!(class(&judge(&answer(AnswerStatus::Done), &checked(broke))), Some(FailureClass::ChecksFailed));
        let alone = judge(&answer(AnswerStatus::Done), &checked(fails_on_base));
        assert!(
            matches!(&alone, Verdict::Ask { question, kind: QuestionKind::Setup } if question.contains("no check can tell")),
            "{alone:?}"
        );
    }

    #[test]
    fn a_check_that_passes_only_by_the_agents_own_rules_is_shown_to_a_person() {
        let own = Check { by_base_rules: Some(CheckState::Failed), ..check(CheckState::Passed) };
        let verdict = judge(&answer(AnswerStatus::Done), &checked(own));
        assert!(
            matches!(&verdict, Verdict::Ask { question, .. } if question.contains("only with the files")),
            "{verdict:?}"
        );
        let honest = Check { by_base_rules: Some(CheckState::Passed), ..check(CheckState::Passed) };
        assert_eq!(judge(&answer(AnswerStatus::Done), &checked(honest)), Verdict::Accept);
    }

    #[test]
    fn a_flaky_check_counts_as_passed_and_is_not_hidden() {
        let flaky = Check { flaky: true, ..check(CheckState::Passed) };
        let (answer, evidence) = (answer(AnswerStatus::Done), checked(flaky));
        let case = Case { answer: &answer, evidence: &evidence, task_type: &TaskType::Feature };
        assert_eq!(super::judge(&case), Verdict::Accept);
        assert!(accepted_because(&case).ends_with("`make test` passed when it was run once more (flaky)"));
    }

    #[test]
    fn what_no_change_may_hold_goes_back_with_what_to_do_about_it() {
        let found = |kind| Finding::new(kind, "a", "found");
        for kind in [FindingKind::Secret, FindingKind::TestsSkipped, FindingKind::ConflictMarkers] {
            let verdict = judge(&answer(AnswerStatus::Done), &Evidence { findings: vec![found(kind)], ..evidence() });
            let Verdict::Fail(failure) = verdict else { panic!("{kind:?} was accepted") };
            assert_eq!(failure.class, FailureClass::Unacceptable);
            assert!(failure.detail.starts_with("a: found\n") && failure.detail.contains(kind.remedy()));
        }
        let ci_only = Evidence { findings: vec![found(FindingKind::CiChanged)], ..evidence() };
        assert_eq!(judge(&answer(AnswerStatus::Done), &ci_only), Verdict::Accept);
    }

    #[test]
    fn a_fix_of_blank_space_and_comments_is_shown_to_a_person_and_other_work_may_be_that() {
        let findings = vec![Finding::new(FindingKind::OnlyForm, "", "only blank space and comments differ")];
        let formal = Evidence { findings, checks: vec![check(CheckState::Passed)], ..evidence() };
        let verdict = of_type("fix", &answer(AnswerStatus::Done), &formal);
        assert!(matches!(verdict, Verdict::Ask { question, .. } if question.contains("only blank space")));
        assert_eq!(judge(&answer(AnswerStatus::Done), &formal), Verdict::Accept);
        let red = Evidence { checks: vec![check(CheckState::Failed)], ..formal };
        assert_eq!(class(&of_type("fix", &answer(AnswerStatus::Done), &red)), Some(FailureClass::ChecksFailed));
    }

    #[test]
    fn a_change_whose_only_effect_is_a_weaker_test_is_shown_to_a_person() {
        let only = Finding::new(FindingKind::OnlyExpectations, "tests/a.sh", "only expectations were changed");
        let weaker = Finding::new(FindingKind::TestsWeakened, "tests/a.sh", "1 expectation less than before");
        let green = checked(check(CheckState::Passed));
        let alone = Evidence { findings: vec![only.clone()], ..green.clone() };
        let rewritten = Evidence { deletions: 1, ..alone.clone() };
        let weakened = Evidence { findings: vec![weaker.clone(), only], ..green.clone() };
        let asks = |word: &str, evidence: &Evidence| {
            let verdict = of_type(word, &answer(AnswerStatus::Done), evidence);
            matches!(verdict, Verdict::Ask { question, kind: QuestionKind::Ready } if question.contains("only tests and expected"))
        };
        for word in ["feature", "fix", "refactor", "docs", "ops", "anything"] {
            assert!(asks(word, &rewritten) && asks(word, &weakened), "{word}");
            assert_eq!(asks(word, &alone), word == "fix", "{word}");
            assert_eq!(of_type("test", &answer(AnswerStatus::Done), &rewritten), Verdict::Accept);
        }
        let beside_work = Evidence { findings: vec![weaker], deletions: 1, ..green };
        assert_eq!(judge(&answer(AnswerStatus::Done), &beside_work), Verdict::Accept);
    }

    #[test]
    fn research_needs_a_text_and_no_change_and_code_needs_a_change() {
        let mut reported = answer(AnswerStatus::Done);
        reported.result = "It uses port 8080.".to_owned();
        assert_eq!(of_type("research", &reported, &Evidence::default()), Verdict::Accept);
        let silent = of_type("research", &answer(AnswerStatus::Done), &Evidence::default());
        assert_eq!(class(&silent), Some(FailureClass::Incomplete));
        assert_eq!(class(&of_type("research", &reported, &evidence())), Some(FailureClass::Unacceptable));
        assert_eq!(class(&of_type("fix", &reported, &Evidence::default())), Some(FailureClass::NoChange));
        assert_eq!(of_type("ops", &reported, &Evidence::default()), Verdict::Accept);
        assert_eq!(
            class(&of_type("ops", &answer(AnswerStatus::Done), &Evidence::default())),
            Some(FailureClass::NoChange)
        );
    }

    #[test]
    fn checks_run_only_where_they_can_change_the_verdict() {
        let depends = |answer: &Answer, evidence: &Evidence| {
            depends_on_checks(&Case { answer, evidence, task_type: &TaskType::Feature })
        };
        assert!(depends(&answer(AnswerStatus::Done), &evidence()));
        assert!(!depends(&answer(AnswerStatus::InProgress), &evidence()));
        assert!(!depends(&answer(AnswerStatus::Done), &Evidence::default()));
    }
}
