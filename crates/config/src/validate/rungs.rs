//! Checks the rungs of the escalation ladder and the fallback chains: known agents, models that can be passed to a program.

use super::Check;
use crate::origin::Origins;
use crate::problem::ConfigProblem;
use crate::raw::RawConfig;
use orch_core::tasks::escalation::Rung;
use orch_core::tasks::fallback::DEPTH;

/// Checks that every rung can be parsed.
pub(super) fn check_syntax(raw: &RawConfig, origins: &Origins) -> Vec<ConfigProblem> {
    let ladder = raw.escalation.as_ref().and_then(|escalation| escalation.ladder.as_ref());
    let chain = |pick: fn(&crate::raw::RawFallback) -> &Option<Vec<String>>| {
        raw.fallback.as_ref().and_then(|f| pick(f).as_ref())
    };
    let all = [
        ("escalation.ladder", ladder),
        ("fallback.simple", chain(|chains| &chains.simple)),
        ("fallback.medium", chain(|chains| &chains.medium)),
        ("fallback.complex", chain(|chains| &chains.complex)),
    ];
    let mut problems = Vec::new();
    for (key, rung) in all.into_iter().flat_map(|(key, rungs)| rungs.into_iter().flatten().map(move |rung| (key, rung)))
    {
        if let Err(problem) = rung.parse::<Rung>() {
            problems.push(ConfigProblem::new(origins.near(key).clone(), format!("{key}: {problem}")));
        }
    }
    problems
}

impl Check<'_> {
    pub(super) fn rungs(&mut self) {
        let (ladder, chains) = (&self.config.escalation.ladder, &self.config.fallback);
        let chains = [
            ("fallback.simple", &chains.simple),
            ("fallback.medium", &chains.medium),
            ("fallback.complex", &chains.complex),
        ];
        for (key, rungs) in chains.into_iter().chain([("escalation.ladder", ladder)]) {
            for rung in rungs {
                if self.config.agent(&rung.agent).is_none() {
                    self.wrong(key, format_args!("no agent is called {:?}", rung.agent));
                }
                if let Some(model) = &rung.model {
                    self.model(key, model);
                }
            }
        }
        for (key, rungs) in chains {
            if rungs.len() > DEPTH {
                let count = rungs.len();
                self.wrong(key, format_args!("{count} rungs, of which only {DEPTH} would ever be tried"));
            }
        }
    }
}
