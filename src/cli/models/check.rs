//! `orch models check`: checks whether providers are usable. Requests the model lists of those with a key,
//! concurrently, unless a recent answer is known; a provider whose agent is logged in without a key is not asked.
//!
//! Examines the keys of the terminal's own environment on purpose, as `orch doctor` does.

use super::show;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings;
use futures::future::join_all;
use jiff::Timestamp;
use orch_api::availability::{CheckView, ProviderView};
use orch_config::home::Home;
use orch_core::base::nearest::nearest;
use orch_core::models::availability::{Listed, Probe, Probes, State, Verdict, judge};
use orch_core::models::catalog::Provider;
use orch_core::models::provider_access::Way;
use orch_engine::{LOGIN_OF_CLI, ModelBook, address_place, key_of, list_request};
use orch_sys::probes;
use orch_sys::provider_api::{AddressError, Request};

/// Arguments of `orch models check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The provider; by default all with a key, a login or an entry under providers
    provider: Option<String>,
    /// Ignore answers of the last minutes; also fetches the provider's list of models
    #[arg(long)]
    refresh: bool,
}

/// How to check one provider.
enum Plan {
    /// By a request.
    Ask(Box<Request>),
    /// It cannot be asked.
    Cannot(AddressError),
    /// There is a login, and no key to ask with.
    LoggedIn,
    /// There is neither a key nor a login; the text says what is missing.
    NoKey(String),
}

/// Runs the checks.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    let models = load(context, &home)?;
    let wanted = wanted(&models, args.provider.as_deref())?;
    let plans: Vec<(&Provider, Plan)> =
        wanted.into_iter().map(|provider| (provider, plan(&models, context, provider))).collect();
    let now = context.now().at;
    let is_at_hand = |provider: &Provider, request: &Request| {
        let known = models.probes.get(&provider.id).filter(|probe| probe.asked == request.asked());
        !args.refresh && known.is_some_and(|probe| probe.verdict.is_fresh(probe.at, now))
    };
    let questions = plans.iter().filter_map(|(provider, plan)| match plan {
        Plan::Ask(request) if !is_at_hand(provider, request) => Some((provider.id.clone(), request)),
        Plan::Ask(_) | Plan::Cannot(_) | Plan::LoggedIn | Plan::NoKey(_) => None,
    });
    let answered = join_all(questions.map(|(provider, request)| ask(context, provider, request))).await;
    let answered: Probes = answered.into_iter().collect();
    let now = context.now().at;
    let known = record(context, &home, &models, &answered);
    let views = plans.iter().map(|(provider, plan)| {
        let cached = !answered.contains_key(&provider.id);
        view(&models, provider, plan, &known, cached, now)
    });
    let providers: Vec<ProviderView> = views.collect();
    // No provider at all counts like a missing key.
    let code = providers.iter().map(|view| view.code).max().unwrap_or(State::InvalidKey.code());
    print(&CheckView { code, providers }, context)
}

/// Returns the models as this terminal has them.
fn load(context: &Context, home: &Home) -> Result<ModelBook, CliError> {
    let loaded = settings::global(context, home)?;
    loaded.warnings.iter().for_each(|warning| context.ui.warning(&warning.to_string()));
    let (known, now) = (probes::load(&home.providers_file()), context.now().at);
    let failing = |id: &str, probe: &Probe| format!("{id} {}", probe.verdict.why);
    Ok(ModelBook::load(&loaded.config, &context.environment, known, now, &failing))
}

fn print(view: &CheckView, context: &Context) -> Result<Exit, CliError> {
    let written = if context.ui.is_json() {
        context.ui.json(view)
    } else {
        context.ui.data(&show::checked(view, &context.now(), context.ui.columns(), context.ui.paint()))
    };
    match written {
        Err(error) if !error.is_broken_pipe() => Err(error),
        Ok(()) | Err(_) => Ok(Exit::Answer(view.code)),
    }
}

fn wanted<'s>(models: &'s ModelBook, name: Option<&str>) -> Result<Vec<&'s Provider>, CliError> {
    let all = models.catalog.providers();
    let Some(name) = name else {
        let usable = all.iter().filter(|provider| models.usability.way(&provider.id).is_some());
        return Ok(usable.collect());
    };
    let found = models.catalog.provider(name).map(|provider| vec![provider]);
    found.ok_or_else(|| {
        let ids = || all.iter().map(|provider| provider.id.as_str());
        let meant = nearest(name, ids()).map(|meant| format!("did you mean {meant}? ")).unwrap_or_default();
        let hint = format!("{meant}providers are {}", ids().collect::<Vec<_>>().join(", "));
        CliError::NotFound { message: format!("there is no provider {name:?}"), hint: Some(hint) }
    })
}

fn plan(models: &ModelBook, context: &Context, provider: &Provider) -> Plan {
    let key = key_of(&context.environment, provider);
    match (models.usability.way(&provider.id), &key) {
        (Some(Way::Declared), _) | (_, Some(_)) => {}
        (Some(Way::Key(name)), None) if name != LOGIN_OF_CLI => {
            return Plan::NoKey(format!("{name} is blank"));
        }
        (Some(Way::Key(_) | Way::Stored(_) | Way::LoggedIn { .. }), None) => return Plan::LoggedIn,
        (None, None) => return Plan::NoKey(models.usability.why(&provider.id).err().unwrap_or_default()),
    }
    match list_request(&context.environment, &models.providers, provider, key.map(|(_, key)| key)) {
        Some(Ok(request)) => Plan::Ask(Box::new(request)),
        Some(Err(error)) => Plan::Cannot(error),
        None => Plan::Cannot(AddressError::NotOne),
    }
}

async fn ask(context: &Context, provider: String, request: &Request) -> (String, Probe) {
    let reply = request.models().await;
    let at = context.now().at;
    let verdict = judge(&reply.outcome, at);
    let is_list = verdict.state == State::Available;
    let took_ms = u64::try_from(reply.took.as_millis()).unwrap_or(u64::MAX);
    let listed = is_list.then_some(Listed { at, models: reply.models });
    (provider, Probe { asked: request.asked(), at, verdict, took_ms, listed })
}

/// Stores the answers. If that fails, they are printed anyway.
fn record(context: &Context, home: &Home, models: &ModelBook, answered: &Probes) -> Probes {
    if answered.is_empty() {
        return models.probes.clone();
    }
    probes::record(&home.providers_file(), &home.providers_lock(), answered.clone()).unwrap_or_else(|error| {
        context.ui.warning(&format!("the answers are not kept: {error}"));
        let mut probes = models.probes.clone();
        for (provider, probe) in answered.clone() {
            let probe = probe.following(probes.get(&provider));
            probes.insert(provider, probe);
        }
        probes
    })
}

fn view(
    models: &ModelBook,
    provider: &Provider,
    plan: &Plan,
    known: &Probes,
    cached: bool,
    now: Timestamp,
) -> ProviderView {
    let id = provider.id.as_str();
    let way = models.usability.way(id);
    let unasked = |state, why: String| ProviderView::unasked(id, Verdict::new(state, why), way);
    match (plan, known.get(id)) {
        (Plan::Ask(_), Some(probe)) => {
            let view = ProviderView::asked(id, probe, cached, way, now);
            let remedy = remedy(provider, &view, way);
            view.with(remedy)
        }
        (Plan::Ask(_), None) => unasked(State::Unavailable, "was not asked".to_owned()),
        (Plan::Cannot(error), _) => {
            let place = address_place(&models.providers, id);
            let why = format!("is not asked: {place}: {error}");
            unasked(State::Unavailable, why)
        }
        (Plan::LoggedIn, _) => unasked(State::Available, "is used by its agent's own login".to_owned()),
        (Plan::NoKey(lacks), _) => unasked(State::InvalidKey, format!("has no key: {lacks}"))
            .with(Some("set the variable, or log in with its agent: orch doctor".to_owned())),
    }
}

fn remedy(provider: &Provider, view: &ProviderView, way: Option<&Way>) -> Option<String> {
    match (view.state, way) {
        (State::InvalidKey, Some(Way::Key(variable))) => Some(format!("put a key that is valid into {variable}")),
        (State::InvalidKey, _) => Some(format!("name the variable of its key: providers.{}.key_variable", provider.id)),
        (State::Unavailable, _) if view.cached => {
            Some(format!("orch models check {} --refresh asks again", provider.id))
        }
        (State::Available | State::Unavailable | State::RateLimited, _) => None,
    }
}
