//! Parses the YAML document of a routing policy into [`Policy`]. A missing key has the value of the default policy. An
//! unknown key is an error.

use super::yaml;
use orch_core::base::money::Usd;
use orch_core::economics::policy::{Gate, Learning, Order, Policy, PolicyError, Worth};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Largest document that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Why a document is not a valid policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// It is not YAML, or has unknown keys or wrong types.
    #[error(transparent)]
    Yaml(#[from] yaml::YamlError),
    /// Its values are invalid.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    order: Option<RawOrder>,
    ladder: Option<Vec<String>>,
    groups: BTreeMap<String, Vec<String>>,
    gate: Option<RawGate>,
    stop: RawStop,
    second_opinion: Option<bool>,
    explore: Option<f64>,
    learning: RawLearning,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawOrder {
    Fixed,
    Learned,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawGate {
    false_accept: Option<f64>,
    false_reject: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawStop {
    worth: Option<Vec<RawWorth>>,
    never: bool,
    max_tries: Option<usize>,
    max_cost_usd: Option<f64>,
    confidence: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWorth {
    errors: f64,
    worth: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLearning {
    own: Option<f64>,
    effort: Option<f64>,
    group: Option<f64>,
}

/// A parsed policy document.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedPolicy {
    /// The policy.
    pub policy: Policy,
    /// Whether the document sets `gate`, the error rates of the gate.
    pub has_gate: bool,
}

/// Parses a policy; an empty document is the default policy.
///
/// # Errors
/// The document is not YAML of this shape (with line and column), or a value is invalid (with the key).
pub fn parse_policy(text: &str) -> Result<ParsedPolicy, PolicyFileError> {
    let raw: Raw = yaml::read_or_default(text)?;
    let usual = Policy::default();
    let has_gate = raw.gate.is_some();
    let own = raw.gate.unwrap_or_default();
    let gate = Gate::new(
        own.false_accept.unwrap_or(usual.gate.false_accept),
        own.false_reject.unwrap_or(usual.gate.false_reject),
    )?;
    let points = |list: Vec<RawWorth>| Worth::new(list.into_iter().map(|one| (one.errors, one.worth)).collect());
    let worth = raw.stop.worth.map(points).transpose()?.or(usual.worth).filter(|_| !raw.stop.never);
    let budget = raw.stop.max_cost_usd.map(|most| Usd::from_dollars(most).ok_or(PolicyError::Budget)).transpose()?;
    let policy = Policy {
        order: match raw.order {
            Some(RawOrder::Fixed) => Order::Fixed,
            Some(RawOrder::Learned) | None => Order::Learned,
        },
        ladder: raw.ladder.unwrap_or_default(),
        groups: raw.groups,
        gate,
        worth,
        max_tries: raw.stop.max_tries.unwrap_or(usual.max_tries),
        budget,
        confidence: raw.stop.confidence.unwrap_or(usual.confidence),
        second_opinion: raw.second_opinion.unwrap_or(usual.second_opinion),
        explore: raw.explore.unwrap_or(usual.explore),
        learning: Learning {
            own: raw.learning.own.unwrap_or(usual.learning.own),
            effort: raw.learning.effort.unwrap_or(usual.learning.effort),
            group: raw.learning.group.unwrap_or(usual.learning.group),
        },
    };
    policy.check()?;
    Ok(ParsedPolicy { policy, has_gate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_document_is_the_default_policy() {
        let written = parse_policy("# nothing\n").expect("the default");
        assert_eq!(written, ParsedPolicy { policy: Policy::default(), has_gate: false });
    }

    #[test]
    fn the_document_on_the_page_is_the_default_policy() {
        let page = include_str!("../../../docs/reference/routing-economics.md");
        let document = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a document");
        assert_eq!(parse_policy(document).expect("a policy").policy, Policy::default());
    }

    #[test]
    fn every_key_takes_effect() {
        let text = "order: fixed\nladder: [a, b]\ngroups: {django: [b]}\ngate: {false_accept: 0.1, false_reject: 0.05}\n\
                    stop:\n  worth: [{errors: 0, worth: 3}]\n  max_tries: 2\n  max_cost_usd: 1.5\n  confidence: 0.4\n\
                    second_opinion: false\nexplore: 0.05\nlearning: {own: 0.1, effort: 0.2, group: 5}\n";
        let ParsedPolicy { policy, has_gate } = parse_policy(text).expect("a policy");
        assert!(has_gate);
        let expected = Policy {
            order: Order::Fixed,
            ladder: vec!["a".to_owned(), "b".to_owned()],
            groups: BTreeMap::from([("django".to_owned(), vec!["b".to_owned()])]),
            gate: Gate { false_accept: 0.1, false_reject: 0.05 },
            worth: Some(Worth::level(3.0).expect("a worth")),
            max_tries: 2,
            budget: Some(Usd::from_micros(1_500_000)),
            confidence: 0.4,
            second_opinion: false,
            explore: 0.05,
            learning: Learning { own: 0.1, effort: 0.2, group: 5.0 },
        };
        assert_eq!(policy, expected);
        assert_eq!(parse_policy("stop: {never: true}").expect("a policy").policy.worth, None);
    }

    #[test]
    fn half_a_gate_has_the_other_half_of_the_default_policy() {
        let gate = |text: &str| parse_policy(text).expect(text).policy.gate;
        let usual = Policy::default().gate;
        assert_eq!(gate("gate: {false_accept: 0.3}"), Gate { false_accept: 0.3, ..usual });
        assert_eq!(gate("gate: {false_reject: 0.3}"), Gate { false_reject: 0.3, ..usual });
    }

    #[test]
    fn an_invalid_policy_is_reported_with_its_place() {
        for (text, expected) in [
            ("ladder: [a, a]", "ladder names the model `a` twice"),
            ("order: fixed", "ladder names no model"),
            ("groups: {x: []}", "groups.x names no model"),
            (
                "gate: {false_accept: 1.2, false_reject: 0}",
                "the false accept rate 1.2 is not between 0 and 1 (1 excluded)",
            ),
            (
                "gate: {false_accept: .nan, false_reject: 0}",
                "the false accept rate NaN is not between 0 and 1 (1 excluded)",
            ),
            ("stop: {worth: []}", "stop.worth has no point"),
            (
                "stop: {worth: [{errors: 0, worth: 1}, {errors: 0, worth: 2}]}",
                "stop.worth has two points for errors of 0",
            ),
            ("stop: {max_tries: 0}", "stop.max_tries is 0: nothing could ever be tried"),
            ("stop: {max_cost_usd: -1}", "stop.max_cost_usd is not above 0: nothing could ever be tried"),
            ("stop: {confidence: 7}", "stop.confidence is 7, expected 0 to 1"),
            ("learning: {group: 0.5}", "learning.group is 0.5, expected 1 to 1000"),
        ] {
            assert_eq!(parse_policy(text).expect_err(text).to_string(), expected);
        }
        let unknown = parse_policy("order: learned\nladders: [a]\n").expect_err("no such key").to_string();
        assert!(unknown.starts_with("line 2, column 1: ") && unknown.contains("ladders"), "{unknown}");
        assert!(parse_policy("order: cheapest").expect_err("no such order").to_string().contains("line 1"));
        assert!(parse_policy("ladder: [").is_err());
    }
}
