//! What limits starts now, from the settings, the breakers and how the machine stands. The machine is looked at only
//! when something wants to begin: an idle daemon looks at nothing.

use super::main_loop::Engine;
use crate::adapters::clock::instant;
use crate::adapters::machine;
use crate::config::raw::Adaptive;
use crate::domain::admission::{Governor, shortage};
use crate::domain::breaker::StateName;
use crate::domain::plan::Room;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The shortest time between two looks at the machine.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// What is known of the machine. Nothing of it is stored.
#[derive(Debug, Default)]
pub(super) struct Machine {
    governor: Governor,
    /// Bytes free on the disks of these directories.
    free: Vec<(PathBuf, Option<u64>)>,
    looked: Option<Instant>,
}

impl Engine {
    /// What limits starts, by what is known now.
    pub(super) fn room(&self, now: Timestamp) -> Room {
        let config = &self.settings.config;
        let engine = &config.engine;
        let agents = config.agents.iter();
        let breakers = self.world.breakers.values().filter(|breaker| breaker.state_name() != StateName::Closed);
        Room {
            max_parallel: engine.max_parallel as usize,
            pace: self.machine.governor.pace(engine.rule()),
            disk: shortage(&self.machine.free, engine.min_free_disk_mb),
            agents: agents.filter_map(|(name, agent)| Some((name.to_owned(), agent.max_parallel? as usize))).collect(),
            projects: self.settings.project_limits(),
            meetings: self.meetings(),
            breakers: if config.breaker.failures == 0 { Vec::new() } else { breakers.cloned().collect() },
            purse: self.purse(&config.budget.rules(), now),
            prices: BTreeMap::new(),
            unread: self.settings.unread.clone(),
            unread_projects: self.settings.unread_projects.clone(),
            unapproved_projects: self.settings.unapproved_projects(),
            unserved: BTreeMap::new(),
        }
    }

    /// Looks at the machine, unless that was just done, or nothing depends on it. Returns whether it looked.
    pub(super) fn look_at_machine(&mut self, now: Timestamp) -> bool {
        let engine = &self.settings.config.engine;
        let depends = engine.adaptive != Adaptive::None || engine.min_free_disk_mb > 0;
        let looked = instant();
        if !depends || self.machine.looked.is_some_and(|at| looked.duration_since(at) < BETWEEN_LOOKS) {
            return false;
        }
        let home = &self.doors.home;
        let dirs = [home.root().to_owned(), home.worktrees().to_owned()];
        self.machine.free = dirs.map(|dir| (machine::free_bytes(&dir), dir)).map(|(free, dir)| (dir, free)).to_vec();
        self.machine.governor = self.machine.governor.observe(machine::sample(), now);
        self.machine.looked = Some(looked);
        true
    }
}
