//! The model name that an agent's program is given for the requested model. PURE: [`Resolver`] finds the model; this
//! module checks that the agent can use it, and writes the name as its program does.
//!
//! A tag, a tier and a person's alias are unknown to every program: they are resolved to a model, or nothing starts. A
//! plain name that the catalog lacks may be known to the program: it is passed on unchanged, with a warning.

use super::catalog::{Capability, ModelRef, Tier};
use super::provider_access::{ProviderAccess, Way};
use super::resolve::{Needs, Reference, Resolution, ResolveError, Resolver, parse};
use crate::tasks::task::Spec;
use crate::tasks::task_type::{Proof, TaskType};
use crate::text::images;

/// The longest model name, in bytes.
const LONGEST: usize = 200;

/// Providers that resell models under the names of their makers.
const RESELLERS: [&str; 2] = ["opencode", "openrouter"];

/// The models that an agent's program can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach<'a> {
    /// The agent's name.
    pub agent: &'a str,
    /// The only provider whose models the agent can use; `None` means any.
    pub provider: Option<&'a str>,
    /// Short names that the program itself resolves.
    pub own_names: &'static [&'static str],
    /// The model of each tier, for a program that lists its models.
    pub first_of_tier: &'static [(Tier, &'static str)],
    /// Whether the program writes models as `provider/model`.
    pub full_names: bool,
    /// Whether it talks to another server than its provider's, where the meaning of names is unknown.
    pub is_elsewhere: bool,
    /// Whether orch calls the provider itself with a key, without a program, and so must know the provider.
    pub by_key: bool,
}

/// A model name for an agent's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name as the program writes it.
    pub name: String,
    /// The model in the catalog; `None` if the catalog lacks it.
    pub model: Option<ModelRef>,
    /// Why this model was chosen, if the request was more than its name.
    pub reason: Option<String>,
    /// Warnings about the choice.
    pub warnings: Vec<String>,
}

/// Why an agent cannot use a model, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Misfit {
    /// The reason.
    pub reason: String,
    /// What the person can do.
    pub hint: String,
    /// Whether the agent may use its default because nothing that its program lists fits the request.
    pub leaves_choice: bool,
}

/// The model that is passed to an agent's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// This model.
    Named(Named),
    /// No model: the program uses its default. The reason, if a model was requested.
    OwnDefault(Option<String>),
}

impl Chosen {
    /// Returns the model, if there is one.
    pub fn named(self) -> Option<Named> {
        match self {
            Self::Named(named) => Some(named),
            Self::OwnDefault(_) => None,
        }
    }
}

/// Returns the needs given by the labels `needs:vision`, `needs:web` and so on. Other labels are ignored.
pub fn needs_of_labels(labels: &[String]) -> Needs {
    let word = |label: &String| {
        let (key, word) = label.split_once(':')?;
        let word = word.trim().to_lowercase().replace('-', "_");
        let known = || Capability::ALL.into_iter().find(|capability| capability.as_str() == word);
        key.trim().eq_ignore_ascii_case("needs").then(known)?
    };
    Needs { capabilities: labels.iter().filter_map(word).collect(), ..Needs::default() }
}

/// Returns a task's needs by its labels, by its type (all but text tasks need tools), and by the images that it refers
/// to, unless a label says that they need not be seen.
pub fn needs_of_task(spec: &Spec) -> Needs {
    let changes_files = TaskType::from_spec(spec).proof() != Proof::Text;
    let is_of_text = spec.labels.iter().any(|label| is_text_only_label(label));
    let refers = || images::find_image(&spec.title).or_else(|| images::find_image(&spec.body)).is_some();
    Needs { changes_files, sees_images: !is_of_text && refers(), ..needs_of_labels(&spec.labels) }
}

/// Returns whether the label is `needs:text`: images that the task refers to need not be seen.
pub fn is_text_only_label(label: &str) -> bool {
    let Some((key, word)) = label.split_once(':') else { return false };
    key.trim().eq_ignore_ascii_case("needs") && word.trim().eq_ignore_ascii_case("text")
}

/// Checks that a text can be a program's argument without being read as something else.
///
/// # Errors
/// The text is empty, too long, contains white space, or looks like an option.
pub fn check_word(text: &str) -> Result<(), Misfit> {
    let is_plain = !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if is_plain && !text.starts_with('-') && text.len() <= LONGEST {
        return Ok(());
    }
    let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    Err(Misfit {
        leaves_choice: false,
        reason: format!("{shown:?} is not the name of a model"),
        hint: "write it as the agent's CLI does, as provider/model, or as a tag such as auto:fast".to_owned(),
    })
}

impl Reach<'_> {
    /// Returns the name of the model that `reference` means for this agent.
    ///
    /// # Errors
    /// The reference means nothing, nothing that this agent can use, or nothing that meets the needs.
    pub fn name(&self, resolver: Resolver<'_>, reference: &str, needs: &Needs) -> Result<Named, Misfit> {
        check_word(reference)?;
        let named = self.find(resolver, reference, needs)?;
        // The name becomes an argument of a program, and providers' lists are untrusted data.
        check_word(&named.name)?;
        Ok(named)
    }

    fn find(&self, resolver: Resolver<'_>, reference: &str, needs: &Needs) -> Result<Named, Misfit> {
        let usability = self.within(resolver.usability);
        let resolver = Resolver { usability: &usability, ..resolver };
        let listed = self.first_of(reference, &usability);
        let reference = listed.unwrap_or(reference);
        let mut named = self.resolve(resolver, reference, needs)?;
        if let Some(name) = listed {
            named.reason = Some(format!("{} lists {name}", self.agent));
            named.warnings.clear();
        }
        named.warnings.extend(self.unlisted(&usability, &named.name));
        Ok(named)
    }

    fn resolve(&self, resolver: Resolver<'_>, reference: &str, needs: &Needs) -> Result<Named, Misfit> {
        let parsed = parse(reference).map_err(Misfit::from)?;
        let is_own_alias = matches!(&parsed, Reference::Name(name) if resolver.catalog.own_alias(name).is_some());
        let found = resolver.resolve(reference, needs);
        if self.by_key {
            return self.resolve_for_direct_call(reference, &parsed, found);
        }
        match (parsed, found) {
            (Reference::Name(name), Ok(found)) if !is_own_alias => self.resolve_name(name, &found),
            (Reference::Explicit { .. }, Ok(found)) => self.resolve_explicit(reference.trim(), &found),
            (Reference::Name(_) | Reference::Tag(_) | Reference::Tier(_), Ok(found)) => self.resolve_indirect(&found),
            (Reference::Name(name), Err(error)) if !is_own_alias => self.pass_on_unknown(name, true, error, needs),
            (Reference::Explicit { .. }, Err(error)) => {
                let may_be_its_own = self.provider.is_none() || self.is_elsewhere;
                self.pass_on_unknown(reference.trim().to_owned(), may_be_its_own, error, needs)
            }
            (Reference::Name(_) | Reference::Tag(_) | Reference::Tier(_), Err(error)) => {
                Err(self.nothing_listed(resolver.usability, error))
            }
        }
    }

    /// Returns the model of a tier that the program itself lists.
    fn first_of<'r>(&'r self, reference: &str, usability: &ProviderAccess) -> Option<&'r str> {
        let Ok(Reference::Tier(tier)) = parse(reference) else { return None };
        let (_, name) = self.first_of_tier.iter().find(|(of, _)| *of == tier)?;
        usability.only()?.models.contains(*name).then_some(*name)
    }

    /// Leaves the choice to the program where its own list has nothing that fits.
    fn nothing_listed(&self, usability: &ProviderAccess, error: ResolveError) -> Misfit {
        let misfit = Misfit::from(error);
        match usability.only() {
            Some(list) => Misfit { reason: format!("{}; {}", list.why, misfit.reason), leaves_choice: true, ..misfit },
            None => misfit,
        }
    }

    /// Warns about a name that the program does not list.
    fn unlisted(&self, usability: &ProviderAccess, name: &str) -> Option<String> {
        let list = usability.only().filter(|list| !list.models.is_empty() && !list.models.contains(name))?;
        let names = list.models.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Some(format!("{} does not list {name} and may do worse with it; it lists {names}", self.agent))
    }

    /// Checks that the program's default model will do. It is unknown, so it does only where nothing is needed.
    ///
    /// # Errors
    /// The task needs a capability.
    pub fn own_choice(&self, needs: &Needs) -> Result<(), Misfit> {
        let Some(capability) = needs.capabilities.first() else { return Ok(()) };
        Err(Misfit {
            leaves_choice: false,
            reason: format!("the task needs {capability}, and which model {} takes by itself is not known", self.agent),
            hint: format!("name one: orch task edit ID --model auto:{capability}, or model_map"),
        })
    }

    /// Returns the providers that this agent can use. It is installed, so its own provider counts as usable.
    fn within(&self, all: &ProviderAccess) -> ProviderAccess {
        let by_login = || Way::LoggedIn { agent: self.agent.to_owned(), by: "its program is installed".to_owned() };
        let mut own = all.for_program(self.agent);
        match self.provider {
            Some(provider) => {
                own.retain(|id, _| id == provider);
                own.allow(provider, by_login());
            }
            // orch cannot use the login of a program.
            None if self.by_key => own.retain(|_, way| matches!(way, Way::Key(_) | Way::Declared)),
            // This agent cannot use the login of another agent's program.
            None => own.retain(|_, way| !matches!(way, Way::LoggedIn { .. })),
        }
        own
    }

    fn has(&self, id: &ModelRef) -> bool {
        self.provider.is_none_or(|provider| provider == id.provider)
    }

    /// Resolves a plain name to its provider's name for the model. Where the program's naming is unknown, the typed
    /// name is passed on.
    fn resolve_name(&self, name: String, found: &Resolution<'_>) -> Result<Named, Misfit> {
        if !self.has(&found.model.id) && !self.is_elsewhere {
            // A reseller's catalog entry does not say whose model it is.
            if !RESELLERS.contains(&found.model.id.provider.as_str()) {
                return Err(self.wrong_provider(found));
            }
            let warnings = vec![format!(
                "{name} is in the catalog as {} only: the agent's program may not know it",
                found.model.id
            )];
            return Ok(Named { name, model: None, reason: None, warnings });
        }
        let id = &found.model.id;
        let given = if self.is_elsewhere || self.own_names.contains(&name.as_str()) {
            name.clone()
        } else if self.full_names {
            id.to_string()
        } else if self.provider.is_some() {
            id.model.clone()
        } else {
            name.clone()
        };
        let is_other = given != name && id.model != name;
        let reason = is_other.then(|| found.reason.clone());
        Ok(Named { name: given, model: Some(id.clone()), reason, warnings: Vec::new() })
    }

    fn resolve_explicit(&self, reference: &str, found: &Resolution<'_>) -> Result<Named, Misfit> {
        let model = &found.model.id;
        let name = match (self.provider, self.has(model)) {
            (Some(_), true) => model.model.clone(),
            (Some(_), false) if !self.is_elsewhere => return Err(self.wrong_provider(found)),
            (Some(_), false) => reference.to_owned(),
            (None, _) if self.full_names => model.to_string(),
            (None, _) => reference.to_owned(),
        };
        Ok(Named { name, model: Some(model.clone()), reason: None, warnings: Vec::new() })
    }

    fn resolve_indirect(&self, found: &Resolution<'_>) -> Result<Named, Misfit> {
        let model = &found.model.id;
        if !self.has(model) {
            return Err(self.wrong_provider(found));
        }
        let name = if self.provider.is_some() { model.model.clone() } else { model.to_string() };
        let warnings = found.warnings.clone();
        Ok(Named { name, model: Some(model.clone()), reason: Some(found.reason.clone()), warnings })
    }

    /// Passes on a name that the catalog lacks, which may be the program's own. Its capabilities are unknown.
    fn pass_on_unknown(
        &self,
        name: String,
        may_pass: bool,
        error: ResolveError,
        needs: &Needs,
    ) -> Result<Named, Misfit> {
        let is_unknown = matches!(error, ResolveError::UnknownModel { .. } | ResolveError::UnknownProvider { .. });
        if !is_unknown || !may_pass {
            return Err(error.into());
        }
        if let Some(capability) = needs.capabilities.first() {
            return Err(Misfit {
                leaves_choice: false,
                reason: format!("the task needs {capability}, and nothing is known of the model {name}"),
                hint: format!("if it has that: models.PROVIDER/{name}.{capability}: true; else auto:{capability}"),
            });
        }
        let warnings = vec![format!("{name} is not in the catalog: the agent's program may not know it")];
        Ok(Named { name, model: None, reason: None, warnings })
    }

    /// Resolves a model for direct calls: its provider must be known, the model itself need not.
    fn resolve_for_direct_call(
        &self,
        reference: &str,
        parsed: &Reference,
        found: Result<Resolution<'_>, ResolveError>,
    ) -> Result<Named, Misfit> {
        match (parsed, found) {
            (_, Ok(found)) => self.resolve_indirect(&found),
            (Reference::Explicit { .. }, Err(error @ ResolveError::UnknownModel { .. })) => {
                self.pass_on_unknown(reference.trim().to_owned(), true, error, &Needs::default())
            }
            (_, Err(error)) => Err(error.into()),
        }
    }

    fn wrong_provider(&self, found: &Resolution<'_>) -> Misfit {
        let (id, agent, own) = (&found.model.id, self.agent, self.provider.unwrap_or_default());
        Misfit {
            leaves_choice: false,
            reason: format!("{id} is a model of {}, and {agent} has those of {own} only", id.provider),
            hint: format!("name one of {own}, or another agent; orch models list shows them"),
        }
    }
}

impl From<ResolveError> for Misfit {
    fn from(error: ResolveError) -> Self {
        Self { leaves_choice: false, reason: error.to_string(), hint: error.hint() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::models::catalog::{Additions, Catalog, Model};
    use crate::models::resolve::{Records, Selection};
    use std::collections::BTreeMap;

    pub(in crate::models) const CLAUDE: Reach<'_> = Reach {
        agent: "claude",
        provider: Some("anthropic"),
        own_names: &["haiku", "sonnet", "opus"],
        first_of_tier: &[],
        full_names: false,
        is_elsewhere: false,
        by_key: false,
    };
    const CODEX: Reach<'_> = Reach { agent: "codex", provider: Some("openai"), own_names: &[], ..CLAUDE };
    const OPENCODE: Reach<'_> = Reach { agent: "opencode", provider: None, full_names: true, ..CODEX };
    const BOT: Reach<'_> = Reach { agent: "bot", full_names: false, ..OPENCODE };

    fn asked(reach: Reach<'_>, reference: &str, labels: &[&str]) -> Result<Named, Misfit> {
        let aliases =
            BTreeMap::from([("work".to_owned(), "sonnet".to_owned()), ("cheap".to_owned(), "auto:fast".to_owned())]);
        let catalog = Catalog::with(&Additions { aliases, ..Additions::default() });
        let mut usability = ProviderAccess::default();
        usability.allow("openai", Way::Key("OPENAI_API_KEY".to_owned()));
        usability.allow("anthropic", Way::LoggedIn { agent: "claude".to_owned(), by: "a file".to_owned() });
        let (selection, records) = (Selection::default(), Records::default());
        let resolver = Resolver { catalog: &catalog, usability: &usability, selection: &selection, records: &records };
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        reach.name(resolver, reference, &needs_of_labels(&labels))
    }

    #[track_caller]
    fn name(reach: Reach<'_>, reference: &str) -> String {
        asked(reach, reference, &[]).expect(reference).name
    }

    #[track_caller]
    fn refused(reach: Reach<'_>, reference: &str, labels: &[&str], why: &str) {
        let misfit = asked(reach, reference, labels).expect_err(reference);
        assert!(misfit.reason.contains(why), "{misfit:?}");
        assert!(!misfit.hint.is_empty(), "{misfit:?}");
    }

    #[test]
    fn names_that_a_program_has_are_passed_on_as_they_are() {
        assert_eq!(name(CLAUDE, "sonnet"), "sonnet");
        assert_eq!(name(CODEX, "gpt-5.2"), "gpt-5.2");
        // One of the models that codex is given where nobody says anything; the catalog has it at a reseller's.
        let resold = asked(CODEX, "gpt-5.1-codex-mini", &[]).expect("passed on");
        assert_eq!((resold.name.as_str(), &resold.model), ("gpt-5.1-codex-mini", &None));
        assert!(resold.warnings[0].contains("opencode/gpt-5.1-codex-mini"), "{resold:?}");
        assert_eq!(name(CLAUDE, "anthropic/claude-sonnet-4-6"), "claude-sonnet-4-6");
        assert_eq!(name(OPENCODE, "openai/gpt-5.2"), "openai/gpt-5.2");
        assert_eq!(name(OPENCODE, "gpt-5.2"), "openai/gpt-5.2", "it knows no short names");
        assert_eq!(name(BOT, "openai/gpt-5.2"), "openai/gpt-5.2");
    }

    #[test]
    fn the_program_gets_the_model_that_was_resolved_and_not_the_word_that_led_to_it() {
        let found = asked(CLAUDE, "sonnet-4.5", &[]).expect("a model");
        assert_eq!(found.name, "claude-sonnet-4-5", "anthropic knows no sonnet-4.5");
        assert_eq!(found.model.as_ref().map(|id| id.model.as_str()), Some("claude-sonnet-4-5"));
        assert!(found.reason.is_some(), "{found:?}");
        assert_eq!(name(Reach { is_elsewhere: true, ..CLAUDE }, "sonnet-4.5"), "sonnet-4.5");
        assert!(name(OPENCODE, "sonnet").contains("/claude-sonnet-"), "it knows no short names");
        assert_eq!(name(BOT, "sonnet-4.5"), "sonnet-4.5", "nothing is known of its language");
    }

    #[test]
    fn tags_tiers_and_aliases_become_a_model_of_the_agents_provider() {
        for reference in ["auto:fast", "node:fast", "tier:haiku", "cheap"] {
            let found = asked(CLAUDE, reference, &[]).expect(reference);
            assert!(found.name.starts_with("claude-"), "{found:?}");
            assert!(found.reason.is_some() && found.model.is_some(), "{found:?}");
            assert!(name(CODEX, reference).starts_with("gpt-"), "{reference}");
            assert!(name(OPENCODE, reference).starts_with("openai/"), "claude's login is none of opencode's");
        }
        assert!(name(CLAUDE, "work").starts_with("claude-sonnet-"));
        refused(CODEX, "work", &[], "is a model of anthropic, and codex has those of openai only");
    }

    #[test]
    fn what_the_catalog_does_not_have_may_be_the_programs_own() {
        let own = asked(CLAUDE, "small", &[]).expect("passed on");
        assert_eq!((own.name.as_str(), own.model), ("small", None));
        assert!(own.warnings[0].contains("not in the catalog"), "{:?}", own.warnings);
        assert_eq!(name(OPENCODE, "local/coder"), "local/coder");
        refused(CLAUDE, "anthropic/sonet-9", &[], "no model is called \"sonet-9\" at anthropic");
        for name in ["--help", "a b", "", "a\u{1b}b", &"x".repeat(201)] {
            refused(CLAUDE, name, &[], "is not the name of a model");
        }
        refused(CLAUDE, "auto:fsat", &[], "there is no tag");
        refused(CLAUDE, "tier:best", &[], "there is no");
    }

    #[test]
    fn a_model_of_another_provider_is_refused_unless_the_program_speaks_with_another_server() {
        refused(CODEX, "opus", &[], "codex has those of openai only");
        refused(CLAUDE, "openai/gpt-5.2", &[], "claude has those of anthropic only");
        let elsewhere = Reach { is_elsewhere: true, ..CLAUDE };
        assert_eq!(name(elsewhere, "openai/gpt-5.2"), "openai/gpt-5.2");
        assert_eq!(name(elsewhere, "gpt-5.2"), "gpt-5.2");
    }

    #[test]
    fn what_is_needed_is_asked_of_every_model_however_it_was_found() {
        let vision = &["needs:vision"];
        assert_eq!(asked(CLAUDE, "sonnet", vision).expect("it has").name, "sonnet");
        refused(CLAUDE, "small", vision, "the task needs vision, and nothing is known of the model small");
        refused(OPENCODE, "deepseek", vision, "vision");
        assert!(CLAUDE.own_choice(&needs_of_labels(&["Needs: Vision".to_owned()])).is_err());
        assert!(CLAUDE.own_choice(&needs_of_labels(&["needs:attention".to_owned()])).is_ok());
    }

    #[test]
    fn work_that_asks_for_a_text_alone_needs_no_tools() {
        let needs = |label: &str| needs_of_task(&Spec { labels: vec![label.to_owned()], ..Spec::default() });
        for (label, changes_files) in [
            ("backend", true),
            ("type:feature", true),
            ("type:docs", true),
            ("type:ops", true),
            ("type:own-word", true),
            ("type:research", false),
            ("type:analysis", false),
            ("type:review", false),
        ] {
            assert_eq!(needs(label).changes_files, changes_files, "{label}");
        }
        assert!(!needs("needs:vision").capabilities.is_empty());
    }

    #[test]
    fn a_task_that_refers_to_an_image_gets_no_model_that_cannot_see() {
        let catalog = Catalog::built_in();
        let mut usability = ProviderAccess::default();
        ["openai", "anthropic", "deepseek"].into_iter().for_each(|id| usability.allow(id, Way::Declared));
        let (selection, records) = (Selection::default(), Records::default());
        let resolver = Resolver { catalog: &catalog, usability: &usability, selection: &selection, records: &records };
        let is_blind = |model: &&Model| model.id.provider == "deepseek" && model.surely_cannot(Capability::Vision);
        let blind = catalog.models().iter().find(is_blind).expect("one without vision");
        let ask = |reference: &str, body: &str, labels: &[&str]| {
            let labels = labels.iter().map(|&label| label.to_owned()).collect();
            let spec = Spec { title: "Mend the page".into(), body: body.into(), labels, ..Spec::default() };
            OPENCODE.name(resolver, reference, &needs_of_task(&spec))
        };
        let named = blind.id.to_string();
        assert!(ask(&named, "no picture", &[]).is_ok());
        let misfit = ask(&named, "see ![it](shot.png)", &[]).expect_err("it cannot look at it");
        assert!(misfit.reason.contains("has no vision, and the task refers to an image"), "{misfit:?}");
        assert!(ask(&named, "see ![it](shot.png)", &["needs:text"]).is_ok());
        // Nothing is known of it: nothing is held against it, as with tools.
        assert!(ask("local/coder", "see shot.png", &[]).is_ok());
        for reference in ["tier:opus", "tier:sonnet", "auto:fast", "auto:cheap"] {
            let found = ask(reference, "see shot.png", &[]).expect(reference);
            let model = catalog.model(found.model.as_ref().expect("of the catalog")).expect("there");
            assert!(model.surely_can(Capability::Vision), "{reference}: {}", model.id);
        }
        assert!(OPENCODE.own_choice(&needs_of_task(&Spec { body: "x.png".into(), ..Spec::default() })).is_ok());
    }
}
