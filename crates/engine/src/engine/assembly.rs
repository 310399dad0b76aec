//! Builds an engine, and the handle by which all other code reaches it.

use crate::deps::Deps;
use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::engine::file_sync::FileSync;
use crate::engine::in_flight::JobsInFlight;
use crate::engine::inputs::Inputs;
use crate::engine::lifetime::Lifetime;
use crate::engine::metrics::Metrics;
use crate::engine::mode::Mode;
use crate::engine::models::Models;
use crate::engine::planner::Planner;
use crate::engine::signals::Signals;
use crate::engine::storage::Storage;
use crate::engine::timetable::Timetable;
use crate::engine::watch::RunWatch;
use crate::settings::Settings;
use crate::state::EngineState;
use crate::state::alarm::{Alarm, Watched};
use crate::state::archive::Archive;
use orch_core::audit::actor::Actor;
use orch_store::journal::Loaded;
use orch_stream::Hub;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

impl Engine {
    /// An engine, and a handle to it.
    pub(crate) fn new(
        deps: Arc<Deps>,
        mut loaded: Loaded,
        archive: Arc<dyn Archive>,
        settings: Settings,
        mode: Mode,
        signals: Signals,
    ) -> (Self, EngineHandle) {
        let (sender, commands) = mpsc::channel(256);
        let (feed, _) = broadcast::channel(4096);
        let metrics = Arc::new(Metrics::new(loaded.live_runs.iter().map(|run| &run.id)));
        let alarm = Alarm::new(signals.damaged.clone());
        let archive = Arc::new(Watched { archive, alarm: alarm.clone() });
        let handle = EngineHandle {
            actor: Actor::Orch,
            commands: sender,
            feed: feed.clone(),
            journal: deps.journal.clone(),
            runs_dir: deps.home.runs(),
            commands_dir: deps.home.jobs_dir(),
            hub: Hub::default(),
            metrics: Arc::clone(&metrics),
            alarm: alarm.clone(),
            observed: Arc::default(),
        };
        let file = FileSync::new(loaded.agreed, std::mem::take(&mut loaded.missing));
        let now = deps.clock.instant();
        let mut engine = Self {
            state: EngineState::from_journal(loaded, archive),
            settings: Arc::new(settings),
            file,
            jobs: JobsInFlight::default(),
            inputs: Inputs::new(commands, signals.wake, signals.files, Instant::from_std(now)),
            lifetime: Lifetime::new(mode, now, signals.shutdown, signals.word),
            storage: Storage::new(feed, metrics, alarm, signals.damaged),
            planner: Planner::default(),
            models: Models::new(Arc::clone(&handle.observed)),
            watch: RunWatch::default(),
            timetable: Timetable::default(),
            deps,
        };
        engine.apply_pauses(engine.deps.clock.now());
        (engine, handle)
    }
}
