//! Probes the providers of the agents' models in the background, and records what probes and runs show. The engine never
//! waits for it and uses what is known. Providers are probed once at the start, and then only while there is work to do.

use super::Setup;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use orch_config::home::Home;
use orch_config::resolved::Config;
use orch_core::base::names::provider_in;
use orch_core::models::agents::provider_of;
use orch_core::models::availability::{Probe, Probes, State as Standing};
use orch_core::models::resolve::Needs;
use orch_core::planning::plan::status_in;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task::Status;
use orch_engine::handle::{EngineHandle, View};
use orch_engine::{ModelBook, Settings, Sources};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::probes;
use orch_sys::provider_api::Request;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The shortest time between two rounds.
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// How often a failing provider is probed while there is work to do.
const FAILING_INTERVAL: Duration = Duration::from_secs(10);

/// The time to the next round when there is no provider to probe.
const IDLE_INTERVAL: SignedDuration = SignedDuration::from_secs(300);

/// The background service.
pub(super) struct Providers {
    sources: Sources,
    engine: EngineHandle,
    /// Notified when the settings may have changed.
    changed: Arc<Notify>,
    closing: CancellationToken,
}

/// The providers whose models the settings and the installed agents can use.
enum Used {
    /// All of them: an agent has models of every provider.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Used {
    fn contains(&self, provider: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(providers) => providers.contains(provider),
        }
    }
}

/// The state between rounds.
#[derive(Default)]
struct RoundState {
    settings: Option<Settings>,
    /// When the first answer expires.
    good_until: Option<Timestamp>,
    /// Whether a provider in use fails.
    is_failing: bool,
}

/// The inputs of one round, which are read on a blocking thread.
struct Round {
    settings: Settings,
    /// The providers whose last answer has expired.
    due: Vec<(String, Request)>,
    known: Probes,
    /// Whether a provider in use fails.
    is_failing: bool,
    /// When the first of the other answers expires.
    good_until: Option<Timestamp>,
}

impl Providers {
    async fn run(self) {
        let observed = self.engine.observed();
        let mut feed = self.engine.follow();
        let mut state = RoundState::default();
        loop {
            let again = self.round(&mut state).await;
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = tokio::time::sleep(MIN_INTERVAL) => {}
            }
            if !feed.is_empty() {
                // All that happened meanwhile is one reason for a round.
                feed = feed.resubscribe();
                continue;
            }
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.changed.notified() => state = RoundState::default(),
                () = observed.news() => {}
                // Missed entries are a reason, too; and when the engine is gone, `closing` follows soon.
                _ = feed.recv() => {}
                () = tokio::time::sleep(FAILING_INTERVAL), if again => {}
            }
        }
    }

    /// Records what runs have shown, and probes the providers that are due. Returns whether a failing provider holds up work.
    async fn round(&self, state: &mut RoundState) -> bool {
        let noted = self.engine.observed().take();
        if !noted.is_empty() {
            self.record(noted).await;
        }
        let is_at_work = self.engine.snapshot().await.is_ok_and(|view| is_at_work(&view));
        let now = SystemClock.now();
        let is_first = state.settings.is_none();
        if !is_first && (!is_at_work || state.good_until.is_some_and(|until| now < until)) {
            return state.is_failing && is_at_work;
        }
        let (sources, known) = (self.sources.clone(), state.settings.take());
        let round = tokio::task::spawn_blocking(move || Round::read(&sources, known, now));
        let Ok(round) = round.await else { return false };
        let asked = round.due.iter().map(async |(provider, request)| (provider.clone(), request.probe().await));
        let answered: Probes = tokio::select! {
            () = self.closing.cancelled() => return false,
            answered = join_all(asked) => answered.into_iter().collect(),
        };
        let fails = |probe: &Probe| probe.verdict.state != Standing::Available;
        answered.iter().for_each(|(provider, probe)| log_failure(provider, probe, round.known.get(provider)));
        let is_changed =
            answered.iter().any(|(provider, probe)| fails(probe) || round.known.get(provider).is_some_and(fails));
        let good = answered.values().map(|probe| probe.verdict.fresh_until(probe.at)).chain(round.good_until).min();
        *state = RoundState {
            settings: Some(round.settings),
            is_failing: round.is_failing || answered.values().any(fails),
            good_until: good.or_else(|| now.checked_add(IDLE_INTERVAL).ok()),
        };
        if !answered.is_empty() {
            self.record(answered).await;
        }
        if is_changed && let Err(error) = self.engine.refresh_providers().await {
            tracing::debug!(%error, "the engine cannot be notified of providers");
        }
        state.is_failing && is_at_work
    }

    async fn record(&self, probes: Probes) {
        let home = self.sources.home.clone();
        let written = tokio::task::spawn_blocking(move || record(&home, probes)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "the answers of providers cannot be recorded");
        }
    }
}

fn record(home: &Home, probes: Probes) -> Result<Probes, orch_sys::fs::FsError> {
    probes::record(&home.providers_file(), &home.providers_lock(), probes)
}

/// Returns whether any open task does not wait for a person.
fn is_at_work(view: &View) -> bool {
    let is_open = |status: Status| !status.is_final() && status != Status::NeedsReview;
    view.tasks.keys().any(|id| status_in(&view.tasks, &view.settled, *id).is_some_and(is_open))
}

/// Logs a failure when it begins, and when it changes.
fn log_failure(provider: &str, probe: &Probe, before: Option<&Probe>) {
    let (verdict, known) = (&probe.verdict, before.map(|before| (before.verdict.state, before.verdict.why.as_str())));
    if verdict.state != Standing::Available && known != Some((verdict.state, verdict.why.as_str())) {
        tracing::info!(provider, state = verdict.state.as_str(), why = verdict.why, "a provider fails");
    }
}

impl Round {
    fn read(sources: &Sources, settings: Option<Settings>, now: Timestamp) -> Self {
        let settings = settings.unwrap_or_else(|| sources.load(&[], None));
        let known = probes::load(&sources.home.providers_file());
        // Without readable settings no provider is probed.
        if settings.unread.is_some() || !settings.config.router.probes {
            return Self { settings, due: Vec::new(), known, is_failing: false, good_until: None };
        }
        let (config, environment) = (&settings.config, &sources.environment);
        let book = ModelBook::load(config, environment, known.clone(), now, &|id, _| id.to_owned());
        let used = used(config, &settings.installed, &book);
        let mut due = book.questions(environment, |provider| used.contains(provider));
        let mut good_until: Option<Timestamp> = None;
        due.retain(|(provider, request)| {
            let known = known.get(provider).filter(|probe| probe.asked == request.asked());
            let fresh = known.filter(|probe| probe.verdict.is_fresh(probe.at, now));
            let until = fresh.map(|probe| probe.verdict.fresh_until(probe.at));
            good_until = good_until.into_iter().chain(until).min();
            until.is_none()
        });
        let is_failing = book.failing.keys().any(|provider| used.contains(provider));
        Self { settings, due, known, is_failing, good_until }
    }
}

/// Returns the providers of the agents that tasks may go to.
fn used(config: &Config, installed: &[String], book: &ModelBook) -> Used {
    let rungs = || {
        let chains = Complexity::ALL.into_iter().flat_map(|complexity| config.fallback.chain(complexity));
        config.escalation.ladder.iter().chain(chains)
    };
    let named = rungs().map(|rung| &rung.agent).chain(&config.router.agents).chain([&config.router.agent]);
    let agents: BTreeSet<&String> = named.filter(|agent| installed.contains(agent)).collect();
    let mut providers = BTreeSet::new();
    for agent in &agents {
        let Some(kind) = config.agent(agent).map(|agent| agent.kind) else { continue };
        match provider_of(kind, agent) {
            Some(provider) => providers.insert(provider.to_owned()),
            None if kind == orch_core::models::agents::DialectKind::Opencode => return Used::All,
            None => continue,
        };
    }
    let mapped = agents.iter().flat_map(|agent| {
        Complexity::ALL.into_iter().filter_map(|complexity| config.model_for(complexity, agent).map(str::to_owned))
    });
    let models = mapped.chain(rungs().filter_map(|rung| rung.model.clone()));
    let resolver = book.resolver();
    providers.extend(models.filter_map(|model| {
        let found = resolver.resolve(&model, &Needs::default()).map(|found| found.model.id.provider.clone());
        // The provider of a model that is in no list yet is probed for it.
        found.ok().or_else(|| provider_in(&model).map(str::to_owned))
    }));
    Used::Only(providers)
}

impl Setup {
    /// Starts the service, which runs until `closing`.
    pub(super) fn watch_providers(
        &self,
        engine: EngineHandle,
        changed: Arc<Notify>,
        closing: CancellationToken,
    ) -> JoinHandle<()> {
        let sources = Sources::new(self.home.clone(), self.environment.clone(), self.flags.clone());
        tokio::spawn(Providers { sources, engine, changed, closing }.run())
    }
}
