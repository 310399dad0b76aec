//! How this engine comes and goes: what it takes over, what it writes down, when it leaves, and that it starts itself
//! anew when it has grown too large.

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::engine::manifest::{self, UnderWay};
use crate::engine::mode::Mode;
use crate::engine::signals::EngineExit;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::{LeftBehind, RunFact, ServiceFact};
use orch_core::operations::service::{
    Cause, Departure, ServiceEntry, ServiceKind, ShutdownMode, lost, respawn_not_before,
};
use orch_core::tasks::task::{Phase, Run};
use orch_store::journal::Write;
use orch_sys::process::resident_memory;
use std::time::Duration;

/// How long each of the last writes may take: the process leaves within seconds, even if something hangs.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Engine {
    /// Reads what the engine before left, before anything happens.
    pub(crate) async fn read_manifest(&mut self) {
        if self.lifetime.takes_over() {
            let path = self.deps.home.recovery();
            let read = tokio::task::spawn_blocking(move || manifest::read(&path)).await;
            self.lifetime.inherit(read.unwrap_or_default());
        }
    }

    /// Writes down, in its first turn, that it began and what it takes over.
    pub(crate) fn arrive(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        if !self.lifetime.is_arriving() || !self.lifetime.takes_over() {
            return;
        }
        if self.lifetime.mode() == Mode::Once && self.lifetime.left_behind().is_none() {
            // A pass every minute takes the same runs over, each time.
            return;
        }
        let left = self.lifetime.left_behind().map(|left| LeftBehind {
            at: left.written_at,
            version: left.orch_version.clone(),
            pid: left.pid,
            why: left.why.clone(),
        });
        if self.lifetime.mode() == Mode::Serve {
            self.note_start(change_set, now);
        }
        let running: Vec<_> = self.state.runs.values().filter(|run| run.phase == Phase::Running).cloned().collect();
        for run in running {
            let fact = RunFact::Adopted { agent: run.agent, left: left.clone() };
            change_set.note(&mut self.state, now, Some(run.task), Some(run.id), fact);
        }
    }

    fn note_start(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        if let Some(lost) = lost(&self.state.service, now) {
            let fact = ServiceFact::Lost { version: lost.version.clone(), pid: lost.pid, why: lost.why.clone() };
            change_set.note(&mut self.state, now, None, None, fact);
            change_set.put_service(&mut self.state, lost);
        }
        let respawned = self.state.service.last().filter(|last| {
            // The same process, with the program as it is now.
            last.kind == ServiceKind::Respawn && last.pid == std::process::id()
        });
        let (cause, why) = match respawned {
            Some(last) => (last.cause, "respawned".to_owned()),
            None => (Cause::Command, "orch serve".to_owned()),
        };
        let start = self.service_entry(ServiceKind::Start, cause, why, now);
        change_set.put_service(&mut self.state, start);
    }

    fn service_entry(&self, kind: ServiceKind, cause: Cause, why: String, now: Timestamp) -> ServiceEntry {
        let lasted = i64::try_from(self.lifetime.lasted(self.deps.clock.instant()).as_secs()).unwrap_or(i64::MAX);
        ServiceEntry {
            at: now,
            kind,
            cause,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            why,
            lasted_seconds: (kind != ServiceKind::Start).then_some(lasted),
            memory_bytes: resident_memory(),
        }
    }

    /// What was left behind is taken over, and that is on disk.
    pub(crate) fn forget_what_was_left(&mut self) {
        if self.lifetime.forget_left_behind() {
            manifest::remove(&self.deps.home.recovery());
        }
    }

    /// Returns whether it is on its way out and there.
    pub(crate) fn departed(&self) -> bool {
        match self.lifetime.leaving() {
            None => false,
            Some(ShutdownMode::Stop | ShutdownMode::Respawn) => true,
            Some(ShutdownMode::Drain) => self.is_quiet() && self.state.runs.is_empty() && !self.checks_results(),
            Some(ShutdownMode::Now) => {
                self.lifetime.is_overdue(self.deps.clock.instant())
                    || (self.state.runs.is_empty() && self.file.is_written())
            }
        }
    }

    /// Writes a view of what is under way for the next engine, and a line in the daemon's history.
    pub(crate) async fn depart(&mut self) -> EngineExit {
        let usual = || Departure::new(ShutdownMode::Stop, Cause::Command, "nothing is left to do");
        let (requested, ordered) = self.lifetime.take_order();
        let departure = requested.unwrap_or_else(usual);
        let damage = self.storage.take_damage();
        let (person_needed, respawns) =
            (self.person_needed(), departure.how == ShutdownMode::Respawn && damage.is_none());
        let unwritten = self.file.unwritten().map(str::to_owned);
        let exit = EngineExit { person_needed, respawns, damage, unwritten, ordered };
        // What is damaged is not written to: the next engine that opens it rebuilds it.
        if exit.damage.is_some() || !matches!(self.lifetime.mode(), Mode::Serve | Mode::UntilIdle) {
            return exit;
        }
        let now = self.deps.clock.now();
        self.write_manifest(&departure, now).await;
        if self.lifetime.mode() == Mode::Serve {
            let kind = if exit.respawns { ServiceKind::Respawn } else { ServiceKind::Stop };
            let entry = self.service_entry(kind, departure.cause, departure.why, now);
            let stored = self.deps.journal.commit(vec![Write::Service(entry)]);
            match tokio::time::timeout(LAST_WORDS, stored).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the end of this daemon is not written down"),
                Err(_) => tracing::warn!("the end of this daemon is not written down: the journal hangs"),
            }
        }
        exit
    }

    async fn write_manifest(&mut self, departure: &Departure, now: Timestamp) {
        let place_of = |run: &Run| self.state.tasks.get(&run.task).and_then(|task| task.place.as_deref());
        let runs = self.state.runs.values().map(|run| (run, place_of(run)));
        let under_way = UnderWay::from_state(runs, self.state.tasks.values().map(AsRef::as_ref));
        let (deps, departure) = (self.deps.clone(), departure.clone());
        let written = tokio::task::spawn_blocking(move || manifest::write(&deps, &departure, under_way, now));
        match tokio::time::timeout(LAST_WORDS, written).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the recovery manifest is not written"),
            Ok(Err(error)) => tracing::warn!(%error, "the recovery manifest is not written"),
            Err(_) => tracing::warn!("the recovery manifest is not written: the disk hangs"),
        }
    }

    /// Starts itself anew when it has grown too large: in a quiet moment, unless it is far too large, and seldom.
    pub(crate) fn watch_memory(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        let limit = self.settings.config.engine.self_memory_limit_mb.saturating_mul(1_000_000);
        if self.lifetime.mode() != Mode::Serve || limit == 0 || self.lifetime.departure().is_some() {
            return;
        }
        let Some(used) = resident_memory() else { return };
        self.lifetime.set_memory_problem(None);
        if used <= limit {
            return;
        }
        let (used_mb, limit_mb) = (used / 1_000_000, limit / 1_000_000);
        let message = format!("orch uses {used_mb} MB of memory, engine.self_memory_limit_mb is {limit_mb}");
        if let Some(at) = respawn_not_before(&self.state.service, now).filter(|at| *at > now) {
            let problem = format!("{message}; it started itself anew a short while ago, and again at {at}");
            self.lifetime.set_memory_problem(Some(problem));
            return;
        }
        let is_at_work = self.jobs.is_any_under_way(|key| {
            matches!(key, JobKey::Start(_) | JobKey::Judge(_) | JobKey::Integrate(_) | JobKey::TryRoute(_))
        });
        if is_at_work && used < limit.saturating_mul(2) {
            return;
        }
        change_set.note(&mut self.state, now, None, None, ServiceFact::Respawns { used_mb, limit_mb });
        let departure = Departure::new(ShutdownMode::Respawn, Cause::Memory, message);
        self.lifetime.leave_by(departure, self.deps.clock.instant());
    }
}
