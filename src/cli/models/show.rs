//! Renders models for a person. PURE.

use super::set::one;
use crate::cli::ui::paint::{Paint, Role};
use crate::cli::ui::table::{Cell, Column, Width, cell, render};
use crate::cli::ui::text;
use crate::cli::ui::time::Now;
use orch_api::availability::{LeftAloneView, ProviderView, ProvidersView};
use orch_api::models::{ModelView, ResolutionView};
use orch_api::status::StatusView;
use orch_core::base::money::Usd;
use orch_core::models::availability::State;

const HEAD: [Column; 8] = [
    Column::new("provider", Width::Whole),
    Column::new("model", Width::Whole),
    Column::new("tier", Width::Whole),
    Column::new("capabilities", Width::Whole),
    Column::number("context"),
    Column::number("$/M in"),
    Column::number("$/M out"),
    Column::new("usable", Width::Rest(12)),
];

/// The text for unknown values.
const UNKNOWN: &str = "?";

/// The explanation of the sign before a guessed fact.
const GUESSED: &str =
    "~ guessed from its name, which is not enough for a task that needs it; declare it under models in config.yml\n";

/// Renders the list of models.
pub fn listed(models: &[ModelView], usable: bool, columns: usize, paint: Paint) -> String {
    if models.is_empty() && usable {
        return "no model is usable; `orch models list` shows what each provider lacks, and `orch doctor` how to log in with an agent\n"
            .to_owned();
    }
    if models.is_empty() {
        return "there is no such model\n".to_owned();
    }
    let rows: Vec<[Cell<'_>; 8]> = models
        .iter()
        .map(|model| {
            let (word, role) = if model.usable { ("yes", Role::Good) } else { ("no", Role::Faint) };
            [
                cell(model.provider.as_str()),
                cell(model.model.as_str()),
                cell(fact(model, "tier", model.tier.map(|tier| tier.as_str().to_owned()))),
                cell(capabilities(model)),
                cell(model.context_window.map_or(UNKNOWN.to_owned(), tokens)),
                cell(price(model.input_usd_per_mtok)),
                cell(price(model.output_usd_per_mtok)),
                (format!("{word}: {}", text::line(&model.why)).into(), Some(role)),
            ]
        })
        .collect();
    let any = models.iter().any(is_guessed_in_part);
    render(&HEAD, &rows, columns, paint) + if any { GUESSED } else { "" }
}

/// Returns whether some of the printed facts are guessed.
fn is_guessed_in_part(model: &ModelView) -> bool {
    fact(model, "tier", model.tier.map(|tier| tier.as_str().to_owned())).starts_with('~')
        || capabilities(model).contains('~')
}

/// Renders the overrides and cooldowns of a running daemon.
pub fn decided(status: &StatusView, now: &Now) -> String {
    let set = status.set_models.iter().map(|set| format!("set while the daemon runs: {}\n", one(set)));
    let rests = status.left_alone.iter().map(|rest| format!("cooldown: {}\n", left_alone(rest, now)));
    set.chain(rests).collect()
}

/// Describes a cooldown in one line.
pub fn left_alone(rest: &LeftAloneView, now: &Now) -> String {
    text::line(&format!("{} until {}: {}", rest.who(), now.until(rest.until), rest.detail)).into_owned()
}

/// Renders a fact; one that is guessed from the name has a `~` before it.
fn fact(model: &ModelView, name: &str, value: Option<String>) -> String {
    let guessed = model.sources.get(name).is_some_and(|source| source.as_str() == "inferred");
    value.map_or(UNKNOWN.to_owned(), |value| if guessed { format!("~{value}") } else { value })
}

fn capabilities(model: &ModelView) -> String {
    let has = |(name, value): (&String, &Option<bool>)| {
        // Nearly all of them stream.
        let shown = *value == Some(true) && name != "streaming";
        shown.then(|| fact(model, name, Some(name.clone())))
    };
    model.capabilities.iter().filter_map(has).collect::<Vec<_>>().join(" ")
}

/// Renders `200k`, `1M`.
fn tokens(count: u64) -> String {
    match count {
        count if count >= 1_000_000 => format!("{}M", tenths(count / 100_000)),
        count if count >= 1_000 => format!("{}k", count / 1_000),
        count => count.to_string(),
    }
}

fn tenths(count: u64) -> String {
    if count.is_multiple_of(10) { (count / 10).to_string() } else { format!("{}.{}", count / 10, count % 10) }
}

fn price(price: Option<Usd>) -> String {
    let dollars = |price: Usd| {
        let cents = price.micros() % 10_000 == 0;
        if cents { format!("{:.2}", price.dollars()) } else { format!("{:.3}", price.dollars()) }
    };
    price.map_or(UNKNOWN.to_owned(), dollars)
}

/// Renders a resolved reference.
pub fn resolved(view: &ResolutionView) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(&format!("{name:<13} {}\n", text::line(value)));
        }
    };
    let (policy, model) = (&view.policy, &view.metadata.about);
    line("model", &view.resolved_model.to_string());
    line("reason", &view.reason);
    view.warnings.iter().for_each(|warning| line("warning", warning));
    let limit = policy.max_cost_per_1k_tokens.map(|limit| format!(", at most {} per 1,000 tokens", limit.exactly()));
    let preferred = Some(&policy.preferred_providers).filter(|list| !list.is_empty());
    let preferred = preferred.map(|list| format!(", {} preferred", list.join(", ")));
    let required = Some(&policy.required).filter(|list| !list.is_empty());
    let required = required.map(|list| {
        let words: Vec<&str> = list.iter().map(|capability| capability.as_str()).collect();
        format!(", needs {}", words.join(", "))
    });
    let context = policy.min_context.map(|tokens| format!(", context of at least {tokens}"));
    let rest = [limit, preferred, required, context].into_iter().flatten().collect::<String>();
    line("policy", &format!("{} providers, {}{rest}", policy.providers, policy.mode.as_str()));
    line("tier", &fact(model, "tier", model.tier.map(|tier| tier.as_str().to_owned())));
    line("capabilities", &capabilities(model));
    let window = model.context_window.map_or(UNKNOWN.to_owned(), |count| count.to_string());
    let output = model.max_output_tokens.map_or(UNKNOWN.to_owned(), |count| count.to_string());
    line("limits", &format!("context {window} tokens, answer {output} tokens"));
    line(
        "price",
        &format!(
            "{} in, {} out, dollars per million tokens",
            price(model.input_usd_per_mtok),
            price(model.output_usd_per_mtok)
        ),
    );
    line("usable", &format!("{}: {}", if model.usable { "yes" } else { "no" }, model.why));
    let terms = view.metadata.score.terms.iter().map(|term| format!("{} {:+}", term.what, term.milli as f64 / 1e3));
    let terms = terms.collect::<Vec<_>>().join(", ");
    let terms = if terms.is_empty() { String::new() } else { format!(" ({terms})") };
    line("score", &format!("{}{terms}", view.metadata.score.describe()));
    let others = view.alternatives.iter().map(|other| format!("{} ({})", other.model, other.score.describe()));
    line("alternatives", &others.collect::<Vec<_>>().join(", "));
    line("catalog", &view.metadata.catalog);
    if is_guessed_in_part(model) {
        out.push_str(GUESSED);
    }
    out
}

const CHECK_HEAD: [Column; 5] = [
    Column::new("provider", Width::Whole),
    Column::new("state", Width::Whole),
    Column::number("models"),
    Column::new("asked", Width::Whole),
    Column::new("why", Width::Whole),
];

/// Renders the states of providers.
pub fn checked(view: &ProvidersView, now: &Now, columns: usize, paint: Paint) -> String {
    if view.providers.is_empty() {
        return "no provider has a key or a login; `orch models list` shows what each lacks, and `orch doctor` how to log in with an agent\n"
            .to_owned();
    }
    let row = |provider: &ProviderView| {
        let role = if provider.state == State::Available { Role::Good } else { Role::Bad };
        let asked = match (provider.checked_at, provider.cached) {
            (Some(at), true) => format!("{} ago", now.age(at)),
            (Some(_), false) => "now".to_owned(),
            (None, _) => "-".to_owned(),
        };
        [
            cell(provider.provider.clone()),
            (provider.state.as_str().into(), Some(role)),
            cell(provider.models.map_or("-".to_owned(), |count| count.to_string())),
            cell(asked),
            cell(text::line(&sentence(provider, now)).into_owned()),
        ]
    };
    render(&CHECK_HEAD, &view.providers.iter().map(row).collect::<Vec<_>>(), columns, paint)
}

/// Describes why a provider has its state, until when, what uses it, and what to do.
fn sentence(provider: &ProviderView, now: &Now) -> String {
    let until = provider.until.map(|until| format!(" until {}", now.until(until))).unwrap_or_default();
    let by = provider.by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
    let remedy = provider.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    format!("{}{until}{by}{remedy}", provider.why)
}

/// Renders models side by side: one column each, with `more` rows below.
pub fn compared(references: &[String], models: &[ModelView], more: &[(&'static str, Vec<String>)]) -> String {
    let word = |yes: Option<bool>| match yes {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
        None => UNKNOWN.to_owned(),
    };
    let number = |count: Option<u64>| count.map_or(UNKNOWN.to_owned(), |count| count.to_string());
    let each = |value: &dyn Fn(&ModelView) -> String| models.iter().map(value).collect::<Vec<_>>();
    let mut rows: Vec<(&str, Vec<String>)> = vec![
        ("", references.iter().map(|reference| text::line(reference).into_owned()).collect()),
        ("model", each(&|m| m.id.to_string())),
        ("tier", each(&|m| fact(m, "tier", m.tier.map(|tier| tier.as_str().to_owned())))),
        ("$/M in", each(&|m| price(m.input_usd_per_mtok))),
        ("$/M out", each(&|m| price(m.output_usd_per_mtok))),
        ("context", each(&|m| number(m.context_window))),
        ("answer", each(&|m| number(m.max_output_tokens))),
    ];
    for name in models.first().iter().flat_map(|first| first.capabilities.keys()) {
        rows.push((name, each(&|m| fact(m, name, m.capabilities.get(name).map(|yes| word(*yes))))));
    }
    rows.push(("released", each(&|m| m.released.clone().unwrap_or(UNKNOWN.to_owned()))));
    rows.push(("usable", each(&|m| if m.usable { "yes".to_owned() } else { "no".to_owned() })));
    rows.extend(more.iter().cloned());
    laid_out(&rows)
}

fn laid_out(rows: &[(&str, Vec<String>)]) -> String {
    let first = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let columns = rows.first().map_or(0, |(_, cells)| cells.len());
    let widest = |at: usize| rows.iter().filter_map(|(_, cells)| cells.get(at)).map(|cell| text::width(cell)).max();
    let widths: Vec<usize> = (0..columns).map(|at| widest(at).unwrap_or_default()).collect();
    let mut out = String::new();
    for (name, cells) in rows {
        let mut line = format!("{name:<first$}");
        for (cell, width) in cells.iter().zip(&widths) {
            line.push_str(&format!("  {cell}{}", " ".repeat(width.saturating_sub(text::width(cell)))));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use orch_core::models::availability::{Asked, Probe, Verdict};
    use orch_core::models::catalog::{Catalog, ModelRef};
    use orch_core::models::provider_access::{ProviderAccess, Way};

    fn views() -> Vec<ModelView> {
        let catalog = Catalog::built_in();
        let mut usability = ProviderAccess::default();
        usability.allow("openai", Way::Key("OPENAI_API_KEY".to_owned()));
        usability.refuse("opencode", "OPENCODE_API_KEY is not set".to_owned());
        let ids = [("openai", "gpt-5.2"), ("opencode", "big-pickle")];
        let model = |(provider, model)| catalog.model(&ModelRef::new(provider, model)).expect("built in");
        ids.into_iter().map(|id| ModelView::new(model(id), &usability)).collect()
    }

    #[test]
    fn a_list_shows_what_is_known_and_leaves_the_rest_open() {
        let text = listed(&views(), false, 140, Paint::OFF);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected = "openai gpt-5.2 sonnet reasoning tools vision 400k 1.75 14.00 yes: OPENAI_API_KEY is set";
        assert_eq!(lines[1].join(" "), expected, "{text}");
        let expected = "opencode big-pickle ? reasoning tools 200k ? ? no: OPENCODE_API_KEY is not set";
        assert_eq!(lines[2].join(" "), expected, "{text}");
        assert!(listed(&[], true, 80, Paint::OFF).contains("orch doctor"));
    }

    #[test]
    fn a_comparison_has_a_column_for_each() {
        let text = compared(&["gpt-5.2".to_owned(), "big-pickle".to_owned()], &views(), &[]);
        let row = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).expect("there");
            line.split_whitespace().skip(name.split_whitespace().count()).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(row("model"), ["openai/gpt-5.2", "opencode/big-pickle"], "{text}");
        assert_eq!(row("$/M out"), ["14.00", "?"], "{text}");
        assert_eq!(row("vision"), ["yes", "no"], "{text}");
        assert_eq!(row("web"), ["?", "?"], "{text}");
    }

    #[test]
    fn providers_are_reported_with_age_end_and_what_to_do() {
        let now = crate::cli::fixture::now();
        let at = |seconds| now.at + SignedDuration::from_secs(seconds);
        let probe = |state, until| Probe {
            asked: Asked { address: String::new(), key: String::new() },
            at: at(-40),
            verdict: Verdict { until, ..Verdict::new(state, "says so") },
            took_ms: 1,
            listed: None,
        };
        let way = Way::Key("A_KEY".to_owned());
        let limited = probe(State::RateLimited, Some(at(300)));
        let view = |providers| checked(&ProvidersView { code: 0, providers }, &now, 80, Paint { on: false });
        let text = view(vec![
            ProviderView::asked("a", &limited, true, Some(&way), now.at),
            ProviderView::unasked("b", Verdict::new(State::InvalidKey, "has no key"), None)
                .with(Some("set it".to_owned())),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].contains("40s ago") && lines[1].ends_with("says so until 13:05 (in 5m) (A_KEY is set)"),
            "{text}"
        );
        assert!(lines[2].contains("invalid_key") && lines[2].ends_with("has no key; set it"), "{text}");
        assert!(view(Vec::new()).contains("orch doctor"));
    }

    #[test]
    fn what_is_only_guessed_is_marked_and_the_mark_explained() {
        let [mut sure, mut guessed] = views().try_into().expect("two");
        sure.sources.insert("vision".to_owned(), orch_core::models::catalog::Source::Catalog);
        guessed.capabilities.insert("vision".to_owned(), Some(true));
        guessed.sources.insert("vision".to_owned(), orch_core::models::catalog::Source::Inferred);
        assert!(!listed(&[sure.clone()], false, 140, Paint::OFF).contains('~'));
        let text = listed(&[sure, guessed], false, 140, Paint::OFF);
        assert!(text.contains("~vision") && text.ends_with(GUESSED), "{text}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([tokens(999), tokens(200_000), tokens(1_000_000), tokens(1_050_000)], ["999", "200k", "1M", "1M"]);
        assert_eq!(tokens(1_500_000), "1.5M");
        assert_eq!(price(Some(Usd::from_micros(75_000))), "0.075");
    }
}
