//! What the settings have asked of paid models beside the work itself: the routing question and the second agent's review. In
//! words, for who sets orch up.

use crate::catalog::credentials::Environment;
use crate::settings::may_review;
use orch_config::{Config, RouterMode};
use orch_core::base::money::Usd;
use orch_core::models::agents::api;
use orch_core::models::catalog::Catalog;
use orch_core::models::provider_access::ProviderAccess;
use orch_core::models::resolve::{Needs, Records, Resolver};
use orch_core::tasks::review::ReviewMode;
use std::collections::BTreeSet;

/// How many tokens a run takes, estimated.
struct Tokens {
    read: i64,
    written: i64,
}

/// The tokens of a routing question.
const ROUTING: Tokens = Tokens { read: 6_000, written: 300 };
/// The tokens of the review of a change of middle size.
const REVIEW: Tokens = Tokens { read: 40_000, written: 2_000 };

/// Returns what is asked beside the work, one sentence each. `installed`: the agents whose program is found.
pub fn overhead(config: &Config, environment: &Environment, installed: &[String]) -> Vec<String> {
    [routing(config, installed), review(config, environment, installed)].into_iter().flatten().collect()
}

fn routing(config: &Config, installed: &[String]) -> Option<String> {
    let router = &config.router;
    let listed: BTreeSet<&String> = router.agents.iter().collect();
    let answers = router.agent == api::NAME || installed.contains(&router.agent);
    if router.mode != RouterMode::Llm || listed.len() < 2 || !answers {
        return None;
    }
    let price = price(config, &router.model, ROUTING);
    let (agent, model) = (&router.agent, &router.model);
    Some(format!(
        "routing: {agent} ({model}) is asked once for each task that names no agent{price}; router.mode: round_robin asks nobody"
    ))
}

fn review(config: &Config, environment: &Environment, installed: &[String]) -> Option<String> {
    let reviewers = may_review(config, installed);
    let looks = match config.workflow.review {
        ReviewMode::Auto => reviewers.len() > 1,
        ReviewMode::Agent | ReviewMode::AgentHuman => !reviewers.is_empty(),
        ReviewMode::Off | ReviewMode::Human => false,
    };
    // Without a login no agent can review.
    let can = |name: &&String| {
        config
            .agent(name)
            .is_some_and(|agent| !matches!(crate::catalog::credentials::login_of(environment, agent), Some(Err(_))))
    };
    let first = reviewers.iter().filter(can).find_map(|agent| Some((agent, config.review_model(agent)?)));
    let price = first.map(|(_, model)| price(config, model, REVIEW)).unwrap_or_default();
    looks.then(|| {
        let who = reviewers.join(" or ");
        format!("review: another agent than the author's ({who}) looks at each change{price}; workflow.review: off asks nobody")
    })
}

/// `, about $0.01`, or nothing where the price is not known.
fn price(config: &Config, model: &str, tokens: Tokens) -> String {
    let catalog = Catalog::with(&config.model_additions());
    let (usability, records) = (ProviderAccess::default(), Records::default());
    let selection = &config.model_selection.0;
    let resolver = Resolver { catalog: &catalog, usability: &usability, selection, records: &records };
    let found = resolver.resolve(model, &Needs::default()).ok().map(|found| found.model.facts());
    let prices = found.and_then(|facts| Some((facts.input_price?, facts.output_price?)));
    let cost =
        |(input, output): (Usd, Usd)| (input.micros() * tokens.read + output.micros() * tokens.written) / 1_000_000;
    prices.map(|prices| format!(", about {}", Usd::from_micros(cost(prices)))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_config::layers::{Layer, load};

    fn overhead_of(config: &str, installed: &[&str]) -> Vec<String> {
        let config = load(&[Layer::Global { path: "c".into(), text: config.to_owned() }]).expect(config).config;
        let installed: Vec<String> = installed.iter().map(|&name| name.to_owned()).collect();
        overhead(&config, &Environment::new(), &installed)
    }

    #[test]
    fn what_is_asked_beside_the_work_is_told_with_its_price_and_with_what_turns_it_off() {
        let both = overhead_of("", &["claude", "codex"]);
        let [routing, review] = both.as_slice() else { panic!("{both:?}") };
        assert!(
            routing.starts_with("routing: claude (haiku) is asked once") && routing.contains("about $0.00"),
            "{routing}"
        );
        assert!(review.contains("(claude or codex)") && review.contains("workflow.review: off"), "{review}");
        assert_eq!(overhead_of("", &["claude"]).len(), 1, "nobody else can review");
        assert_eq!(
            overhead_of("router: {mode: round_robin}\nworkflow: {review: 'off'}\n", &["claude", "codex"]),
            [""; 0]
        );
        let bot = "agents: {bot: {kind: command, command: bot}}\nrouter: {agents: [bot]}\n";
        assert_eq!(overhead_of(bot, &["bot", "claude", "codex"]), [""; 0], "nobody outside the list is asked anything");
    }
}
