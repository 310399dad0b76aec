//! Asks the providers of the agents' models in the background whether they answer, and writes down what they and the runs
//! say. Nobody waits for it: what is known is used, and what is not known is found out beside the work. They are asked once at
//! the start, and then only while there is work to do.

use super::Setup;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use orch_config::home::Home;
use orch_config::resolved::Config;
use orch_core::agents::provider_of;
use orch_core::availability::{Listed, Probe, Probes, State as Standing, judge};
use orch_core::plan::status_in;
use orch_core::provider_cooldown::provider_in;
use orch_core::resolve::Needs;
use orch_core::route::Complexity;
use orch_core::task::Status;
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

/// The shortest time between two rounds, whatever happens meanwhile.
const APART: Duration = Duration::from_secs(5);
/// How soon a provider that fails is asked again, while something is to be done.
const AGAIN: Duration = Duration::from_secs(10);

/// How long nothing is looked at where there is nobody to ask.
const LONG: SignedDuration = SignedDuration::from_secs(300);

/// Who asks them.
pub(super) struct Providers {
    sources: Sources,
    engine: EngineHandle,
    /// The settings may have changed.
    changed: Arc<Notify>,
    closing: CancellationToken,
}

/// Whose models the settings and the agents that are installed can lead to.
enum Used {
    /// Everybody's: an agent has models of all.
    All,
    /// Theirs.
    Of(BTreeSet<String>),
}

impl Used {
    fn is(&self, provider: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(providers) => providers.contains(provider),
        }
    }
}

/// What is kept from one round to the next.
#[derive(Default)]
struct Kept {
    settings: Option<Settings>,
    /// Every answer is good until then.
    good_until: Option<Timestamp>,
    /// Somebody who is used fails.
    is_failing: bool,
}

/// What one round is made of, read beside the runtime.
struct Stand {
    settings: Settings,
    /// Those whose last answer is too old.
    due: Vec<(String, Request)>,
    known: Probes,
    /// Somebody of those who are used fails.
    is_failing: bool,
    /// The answers of the others are good until then.
    good_until: Option<Timestamp>,
}

impl Providers {
    async fn keep(self) {
        let observed = self.engine.observed();
        let mut feed = self.engine.follow();
        let mut kept = Kept::default();
        loop {
            let again = self.round(&mut kept).await;
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = tokio::time::sleep(APART) => {}
            }
            if !feed.is_empty() {
                // Whatever happened meanwhile is one reason to look.
                feed = feed.resubscribe();
                continue;
            }
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.changed.notified() => kept = Kept::default(),
                () = observed.news() => {}
                // Missed entries are a reason, too; and an engine that is gone closes this soon.
                _ = feed.recv() => {}
                () = tokio::time::sleep(AGAIN), if again => {}
            }
        }
    }

    /// Writes down what runs have shown, and asks whom it is time to ask. Whether somebody fails for whom there is work.
    async fn round(&self, kept: &mut Kept) -> bool {
        let noted = self.engine.observed().take();
        if !noted.is_empty() {
            self.record(noted).await;
        }
        let is_at_work = self.engine.look().await.is_ok_and(|view| is_at_work(&view));
        let now = SystemClock.now();
        let is_first = kept.settings.is_none();
        if !is_first && (!is_at_work || kept.good_until.is_some_and(|until| now < until)) {
            return kept.is_failing && is_at_work;
        }
        let (sources, known) = (self.sources.clone(), kept.settings.take());
        let stand = tokio::task::spawn_blocking(move || Stand::look(&sources, known, now));
        let Ok(stand) = stand.await else { return false };
        let asked = stand.due.iter().map(|(provider, request)| ask(provider, request));
        let answered: Probes = tokio::select! {
            () = self.closing.cancelled() => return false,
            answered = join_all(asked) => answered.into_iter().collect(),
        };
        let fails = |probe: &Probe| probe.verdict.state != Standing::Available;
        answered.iter().for_each(|(provider, probe)| tell(provider, probe, stand.known.get(provider)));
        let is_news =
            answered.iter().any(|(provider, probe)| fails(probe) || stand.known.get(provider).is_some_and(fails));
        let good = answered.values().map(|probe| probe.verdict.fresh_until(probe.at)).chain(stand.good_until).min();
        *kept = Kept {
            settings: Some(stand.settings),
            is_failing: stand.is_failing || answered.values().any(fails),
            good_until: good.or_else(|| now.checked_add(LONG).ok()),
        };
        if !answered.is_empty() {
            self.record(answered).await;
        }
        if is_news && let Err(error) = self.engine.mind_providers().await {
            tracing::debug!(%error, "the engine does not hear of providers any more");
        }
        kept.is_failing && is_at_work
    }

    async fn record(&self, probes: Probes) {
        let home = self.sources.home.clone();
        let written = tokio::task::spawn_blocking(move || record(&home, probes)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "what providers answered is not kept");
        }
    }
}

fn record(home: &Home, probes: Probes) -> Result<Probes, orch_sys::fs::FsError> {
    probes::record(&home.providers_file(), &home.providers_lock(), probes)
}

/// Something is to be done that does not wait for a person.
fn is_at_work(view: &View) -> bool {
    let is_open = |status: Option<Status>| match status {
        Some(Status::New | Status::Routed | Status::InProgress | Status::InReview | Status::Blocked) => true,
        Some(Status::NeedsReview | Status::Done | Status::Cancelled) | None => false,
    };
    view.tasks.keys().any(|id| is_open(status_in(&view.tasks, &view.settled, *id)))
}

async fn ask(provider: &str, request: &Request) -> (String, Probe) {
    let reply = request.models().await;
    let at = SystemClock.now();
    let verdict = judge(&reply.outcome, at);
    let listed = (verdict.state == Standing::Available).then_some(Listed { at, models: reply.models });
    let took_ms = u64::try_from(reply.took.as_millis()).unwrap_or(u64::MAX);
    (provider.to_owned(), Probe { asked: request.asked(), at, verdict, took_ms, listed })
}

/// A failure goes into the log when it begins, and when it becomes another one.
fn tell(provider: &str, probe: &Probe, before: Option<&Probe>) {
    let (verdict, known) = (&probe.verdict, before.map(|before| (before.verdict.state, before.verdict.why.as_str())));
    if verdict.state != Standing::Available && known != Some((verdict.state, verdict.why.as_str())) {
        tracing::info!(provider, state = verdict.state.as_str(), why = verdict.why, "a provider fails");
    }
}

impl Stand {
    fn look(sources: &Sources, settings: Option<Settings>, now: Timestamp) -> Self {
        let settings = settings.unwrap_or_else(|| sources.load(&[], None));
        let known = probes::load(&sources.home.providers_file());
        // While nothing is known of the settings, nobody is asked in their name.
        if settings.unread.is_some() || !settings.config.router.probes {
            return Self { settings, due: Vec::new(), known, is_failing: false, good_until: None };
        }
        let (config, environment) = (&settings.config, &sources.environment);
        let book = ModelBook::look(config, environment, known.clone(), now, &|id, _| id.to_owned());
        let used = used(config, &settings.installed, &book);
        let mut due = book.questions(environment, |provider| used.is(provider));
        let mut good_until: Option<Timestamp> = None;
        due.retain(|(provider, request)| {
            let known = known.get(provider).filter(|probe| probe.asked == request.asked());
            let fresh = known.filter(|probe| probe.verdict.is_fresh(probe.at, now));
            let until = fresh.map(|probe| probe.verdict.fresh_until(probe.at));
            good_until = good_until.into_iter().chain(until).min();
            until.is_none()
        });
        let is_failing = book.failing.keys().any(|provider| used.is(provider));
        Self { settings, due, known, is_failing, good_until }
    }
}

/// Whom the agents that tasks may go to are served by.
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
            None if kind == orch_core::agents::DialectKind::Opencode => return Used::All,
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
        // A model that no list shows yet: its provider is the one to be asked for it.
        found.ok().or_else(|| provider_in(&model).map(str::to_owned))
    }));
    Used::Of(providers)
}

impl Setup {
    /// Watches providers as long as the engine is there.
    pub(super) fn watch_providers(
        &self,
        engine: EngineHandle,
        changed: Arc<Notify>,
        closing: CancellationToken,
    ) -> JoinHandle<()> {
        let sources = Sources::new(self.home.clone(), self.environment.clone(), self.flags.clone());
        tokio::spawn(Providers { sources, engine, changed, closing }.keep())
    }
}
