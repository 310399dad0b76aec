//! Warns about an unusual model that a person requests for a task, when the task is written and not when a run starts.
//! Pure. It refuses nothing: programs know more names than the catalog.

use super::agent_model::Reach;
use super::resolve::{Needs, Resolver, parse};

/// Returns the warning, if any. `reach` is the model as the agent can reach it. `is_known`: the person's settings
/// contain the name, so that it is not a typo.
pub fn model_warning(
    resolver: Resolver<'_>,
    reach: Option<Reach<'_>>,
    said: &str,
    needs: &Needs,
    is_known: &dyn Fn(&str) -> bool,
) -> Option<String> {
    if let Err(error) = parse(said) {
        return Some(format!("{error}; {}", error.hint()));
    }
    let unknown = || {
        let error = resolver.resolve(said, &Needs::default()).err()?;
        let is_odd = error.names_nothing() && !is_known(said);
        is_odd.then(|| format!("{error}; {}; only an agent's own program may know it", error.hint()))
    };
    match reach {
        // The server is unknown, or has models of many providers.
        Some(reach) if reach.provider.is_none() || reach.is_elsewhere => None,
        Some(reach) => match reach.name(resolver, said, needs) {
            Ok(named) if named.model.is_none() => unknown(),
            Ok(_) => None,
            Err(misfit) => Some(format!("{}; {}", misfit.reason, misfit.hint)),
        },
        None => match resolver.resolve(said, &Needs::default()) {
            Err(error) if error.is_cycle() => Some(format!("{error}; {}", error.hint())),
            Ok(_) | Err(_) => unknown(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::agent_model::tests::CLAUDE;
    use crate::models::catalog::{Additions, Catalog};
    use crate::models::provider_access::ProviderAccess;
    use crate::models::resolve::{Records, Selection};
    use std::collections::BTreeMap;

    const CODEX: Reach<'_> = Reach { agent: "codex", provider: Some("openai"), ..CLAUDE };
    const OPENCODE: Reach<'_> = Reach { agent: "opencode", provider: None, full_names: true, ..CLAUDE };

    fn text(reach: Option<Reach<'_>>, said: &str) -> Option<String> {
        let aliases = [("mine", "opus"), ("round", "ring"), ("ring", "round"), ("lost", "nope-9")];
        let aliases: BTreeMap<String, String> = aliases.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        let catalog = Catalog::with(&Additions { aliases, ..Additions::default() });
        let (usability, selection, records) = (ProviderAccess::default(), Selection::default(), Records::default());
        let resolver = Resolver { catalog: &catalog, usability: &usability, selection: &selection, records: &records };
        model_warning(resolver, reach, said, &Needs::default(), &|name| name == "house-model")
    }

    #[test]
    fn what_is_a_slip_of_the_hand_is_told_with_what_was_meant() {
        for (reach, said, parts) in [
            (None, "auto:visoin", ["there is no tag \"auto:visoin\"", "auto:vision"]),
            (None, "tier:prp", ["there is no \"tier:prp\"", "tier:pro"]),
            (None, "claude-sonet-4-6", ["no model is called \"claude-sonet-4-6\"", "claude-sonnet-4-6"]),
            (None, "antropic/claude-opus-4-6", ["there is no provider \"antropic\"", "anthropic"]),
            (None, "round", ["leads back to itself", "model_aliases"]),
            (None, "lost", ["lost → nope-9", "no model is called"]),
            (Some(CLAUDE), "sonet", ["no model is called \"sonet\"", "sonnet"]),
            (Some(CODEX), "opus", ["codex has those of openai only", "another agent"]),
            (Some(OPENCODE), "auto:fsat", ["there is no tag", "auto:fast"]),
        ] {
            let odd = text(reach, said).expect(said);
            parts.iter().for_each(|part| assert!(odd.contains(part), "{said}: {odd}"));
        }
    }

    #[test]
    fn what_can_be_meant_is_left_alone() {
        for (reach, said) in [
            (None, "sonnet"),
            (None, "auto:fast"),
            (None, "tier:opus"),
            (None, "mine"),
            (None, "house-model"),
            (Some(CLAUDE), "house-model"),
            (Some(CLAUDE), "tier:opus"),
            (Some(OPENCODE), "local/coder"),
            (Some(Reach { is_elsewhere: true, ..CLAUDE }), "whatever"),
        ] {
            assert_eq!(text(reach, said), None, "{said}");
        }
    }
}
