//! Sentences of routing, runs, reviews and integration.

use super::{first_line, named, standing, with_model};
use crate::audit::history::{
    Beginning, Choice, Death, IntegrationFact, Landing, LeftBehind, NotIntegrated, ReviewFact, RouteFact, RunEnd,
    RunFact,
};
use crate::base::count;
use crate::base::health::format_span;
use crate::base::ids::TaskId;
use crate::base::time::to_the_second;
use crate::tasks::review;
use crate::tasks::review_decision::short;
use jiff::SignedDuration;

pub(super) fn route(fact: &RouteFact) -> String {
    match fact {
        RouteFact::Asked => "asking the router".to_owned(),
        RouteFact::Started { agent, model } => with_model(agent, model.as_deref()),
        RouteFact::Chosen(Choice { agent, model, complexity, reason, warning }) => {
            let warning = warning.as_deref().map(|w| format!(" (warning: {w})")).unwrap_or_default();
            format!("{}, {complexity}: {reason}{warning}", with_model(agent, model.as_deref()))
        }
        RouteFact::Impossible { reason } | RouteFact::ModelRefused { reason } => reason.clone(),
        RouteFact::Postponed { until } => format!("the router is asked again at {}", to_the_second(*until)),
        RouteFact::Rerouted { class: _, choice: Some(Choice { agent, model, reason, .. }) } => {
            format!("{}: {reason}", with_model(agent, model.as_deref()))
        }
        RouteFact::Rerouted { class, choice: None } => format!("its provider fails ({class}); it is routed again"),
    }
}

pub(super) fn run(fact: &RunFact) -> String {
    match fact {
        RunFact::Launched { attempt, from: Beginning::Prompt } => format!("attempt {attempt} begins"),
        RunFact::Launched { attempt, from: Beginning::Shutdown } => {
            format!("attempt {attempt} goes on where the shutdown of orch interrupted it")
        }
        RunFact::Launched { attempt, from: Beginning::Parts } => {
            format!("attempt {attempt} goes on with what became of its parts")
        }
        RunFact::Placed { branch, worktree } => format!("{branch} in {}", worktree.display()),
        RunFact::Started { agent, model } => with_model(agent, model.as_deref()),
        RunFact::LaunchFailed { then } | RunFact::NotJudged { then } | RunFact::PartFailed { part: _, then } => {
            standing(then)
        }
        RunFact::Ended { end, then } => format!("{}; {}", ended(end), standing(then)),
        RunFact::Warned { warning } => warning.clone(),
        RunFact::Adopted { agent, left } => adopted(agent, left.as_ref()),
        RunFact::Judged { accepted: Some(why), then, .. } => format!("{why}; {}", standing(then)),
        RunFact::Judged { accepted: None, commits, files, insertions, deletions, then } => {
            let (commits, files) = (count::plural(*commits, "commit"), count::plural(*files, "file"));
            format!("{commits}, +{insertions} −{deletions} in {files}; {}", standing(then))
        }
        RunFact::HandedOn { made, awaited } => handed_on(made, awaited),
        RunFact::Recovered { silent_seconds } => format!("at work again, after {}", lasting(*silent_seconds)),
        RunFact::Silent { seconds } => format!("quiet for {}: no output, no processor time", lasting(*seconds)),
        RunFact::Died(Death::Gone { seconds }) => format!("its process is gone for {}", lasting(*seconds)),
        RunFact::Died(Death::Reported { why }) => why.clone(),
        RunFact::AskedAgent { text } => format!("orch asks: {text}"),
    }
}

pub(in crate::audit::history) fn ended(end: &RunEnd) -> String {
    match end {
        RunEnd::Finished { summary } => format!("the agent reports: {summary}"),
        RunEnd::Failed { class, detail } => format!("{class}: {detail}"),
        RunEnd::Cancelled { detail } => format!("stopped: {detail}"),
    }
}

fn adopted(agent: &str, left: Option<&LeftBehind>) -> String {
    match left {
        Some(LeftBehind { at, version, pid, why }) => {
            let at = to_the_second(*at);
            format!("taken over with {agent}; left at {at} by orch {version} (pid {pid}): {why}")
        }
        None => format!("taken over with {agent}; no daemon left word of it"),
    }
}

fn handed_on(made: &[TaskId], awaited: &[TaskId]) -> String {
    match made {
        [] => format!("its work is good, and waits for open parts: {}", named(awaited)),
        _ => format!("hands work on to {}; waits for {}", named(made), named(awaited)),
    }
}

fn lasting(seconds: i64) -> String {
    format_span(SignedDuration::from_secs(seconds))
}

pub(super) fn review(fact: &ReviewFact) -> String {
    match fact {
        ReviewFact::Asked { review } => format!("as run {review}"),
        ReviewFact::Started { agent, model } => with_model(agent, model.as_deref()),
        ReviewFact::Postponed { detail, until } => format!("{detail}; again at {}", to_the_second(*until)),
        ReviewFact::Made { reviewer, decision, issues, then } => {
            format!("{}; {}", review::summary(reviewer, *decision, *issues), standing(then))
        }
        ReviewFact::Failed { agent, class, detail, then } => {
            format!("{agent}: {class}: {detail}; {}", standing(then))
        }
    }
}

pub(super) fn integration(fact: &IntegrationFact) -> String {
    match fact {
        IntegrationFact::Done(Landing::Kept { commit }) => format!("{} is kept on its branch", ten(commit.as_deref())),
        IntegrationFact::Done(Landing::Merged { commit, base }) => {
            let base = base.as_deref().map(|base| format!(" into {base}")).unwrap_or_default();
            format!("merged{base} as {}", ten(commit.as_deref()))
        }
        IntegrationFact::Reverted { commit } => format!("its merge was taken back by {}", ten(commit.as_deref())),
        IntegrationFact::Failed(NotIntegrated::Waits { reason: _, detail }) => format!("waits: {detail}"),
        IntegrationFact::Failed(NotIntegrated::Stopped { then }) => standing(then),
        IntegrationFact::Due => "trying to integrate again".to_owned(),
        IntegrationFact::Approved { commit, by } => {
            format!("{} accepts it as it is at {}", person(by.as_deref()), short(commit))
        }
        IntegrationFact::MergeAsked { commit, by } => {
            format!("{} wants {} merged now", person(by.as_deref()), short(commit))
        }
        IntegrationFact::RevertAsked { by } => format!("{} wants its merge taken back", person(by.as_deref())),
        IntegrationFact::Rejected { reason, by } => {
            format!("{} sends it back: {}", person(by.as_deref()), first_line(reason))
        }
    }
}

fn ten(commit: Option<&str>) -> &str {
    commit.map_or("nothing", |commit| commit.get(..10).unwrap_or(commit))
}

fn person(by: Option<&str>) -> String {
    by.map_or_else(|| "a person".to_owned(), |by| format!("a person ({by})"))
}
