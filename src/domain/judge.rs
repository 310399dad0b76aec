//! Reported is not accepted: evidence in, verdict out, with the reason in words.

use super::answer::{Answer, AnswerStatus};
use super::evidence::{Check, CheckState, Evidence};
use super::outcome::{Failure, FailureClass};

/// What orch concludes from a run that ended well by its own word.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The work is what was asked for, as far as orch can see.
    Accept,
    /// It is not; the failure says why, and goes back to the agent.
    Fail(Failure),
    /// Only a person can go on.
    Ask {
        /// What they are asked.
        question: String,
    },
}

/// Judges a finished run. The rules are tried in this order; the first that speaks decides.
pub fn judge(answer: &Answer, evidence: &Evidence) -> Verdict {
    outside_changes(evidence)
        .or_else(|| agent_asks(answer))
        .or_else(|| unfinished(answer))
        .or_else(|| nothing_changed(evidence))
        .or_else(|| failed_checks(&evidence.checks))
        .unwrap_or(Verdict::Accept)
}

/// Whatever else it did: an agent that reached out of its worktree has not done what it was asked.
fn outside_changes(evidence: &Evidence) -> Option<Verdict> {
    (!evidence.violations.is_empty())
        .then(|| Verdict::Fail(Failure::new(FailureClass::SandboxViolation, evidence.violations.join("\n"))))
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
    Some(Verdict::Ask { question: format!("{lead}: {}", parts.join("; ")) })
}

fn unfinished(answer: &Answer) -> Option<Verdict> {
    (answer.status == AnswerStatus::InProgress).then(|| {
        let rest = if answer.remaining.is_empty() { answer.summary.clone() } else { answer.remaining.join("\n") };
        Verdict::Fail(Failure::new(FailureClass::Incomplete, rest))
    })
}

fn nothing_changed(evidence: &Evidence) -> Option<Verdict> {
    (evidence.commits.is_empty() || evidence.files == 0).then(|| {
        let detail = "reported as done, but no file differs from the base";
        Verdict::Fail(Failure::new(FailureClass::NoChange, detail))
    })
}

/// The failure that the first check which did not pass amounts to.
pub fn failed_checks(checks: &[Check]) -> Option<Verdict> {
    let check = checks.iter().find(|c| c.state != CheckState::Passed)?;
    let how = match (check.state, check.exit_code) {
        (CheckState::Passed, _) => return None,
        (CheckState::Failed, Some(code)) => format!("failed with exit code {code}"),
        (CheckState::Failed, None) => "was ended by a signal".to_owned(),
        (CheckState::TimedOut, _) => format!("did not end within {} s", check.duration_ms / 1000),
        (CheckState::NotStarted, _) => "could not be started".to_owned(),
    };
    let detail = format!("check `{}` {how}\n{}", check.command, check.output_tail);
    Some(Verdict::Fail(Failure::new(FailureClass::ChecksFailed, detail.trim_end())))
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
        }
    }

    fn evidence() -> Evidence {
        Evidence { commits: vec!["c1".into()], files: 1, ..Evidence::default() }
    }

    fn class(verdict: &Verdict) -> Option<FailureClass> {
        match verdict {
            Verdict::Fail(failure) => Some(failure.class),
            Verdict::Accept | Verdict::Ask { .. } => None,
        }
    }

    #[test]
    fn done_with_a_commit_and_passing_checks_is_accepted() {
        assert_eq!(judge(&answer(AnswerStatus::Done), &evidence()), Verdict::Accept);
    }

    #[test]
    fn done_without_a_change_is_not_done() {
        let verdict = judge(&answer(AnswerStatus::Done), &Evidence::default());
        assert_eq!(class(&verdict), Some(FailureClass::NoChange));
        let empty_commit = Evidence { files: 0, ..evidence() };
        assert_eq!(class(&judge(&answer(AnswerStatus::Done), &empty_commit)), Some(FailureClass::NoChange));
    }

    #[test]
    fn every_check_that_does_not_pass_fails_the_run_and_hands_on_its_output() {
        for state in [CheckState::Failed, CheckState::TimedOut, CheckState::NotStarted] {
            let check = Check {
                command: "cargo test".into(),
                state,
                exit_code: None,
                duration_ms: 5000,
                output_tail: "assertion failed".into(),
            };
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
            Verdict::Ask { question: "the agent asks for a decision: which database?".into() }
        );
        let mut half = answer(AnswerStatus::InProgress);
        half.remaining = vec!["tests".into()];
        assert_eq!(judge(&half, &evidence()), Verdict::Fail(Failure::new(FailureClass::Incomplete, "tests")));
    }

    #[test]
    fn a_change_outside_the_worktree_outweighs_everything() {
        let verdict = judge(
            &answer(AnswerStatus::NeedsReview),
            &Evidence { violations: vec!["main checkout: README.md changed".into()], ..evidence() },
        );
        assert_eq!(class(&verdict), Some(FailureClass::SandboxViolation));
    }
}
