//! The current problems of a chat channel, for `orch channel list`; each change is logged once.

use orch_core::operations::channel::ChannelKind;
use std::sync::{Arc, Mutex, PoisonError};

/// A direction of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Messages from people.
    In,
    /// Messages to people.
    Out,
}

/// The current problem of each direction. Cheap to clone; clones share their state.
#[derive(Debug, Clone)]
pub struct Health {
    channel: ChannelKind,
    ways: Arc<Mutex<[Option<String>; 2]>>,
}

impl Health {
    /// Creates the state of a channel without problems.
    pub fn new(channel: ChannelKind) -> Self {
        Self { channel, ways: Arc::default() }
    }

    /// Sets or clears the problem of a direction.
    pub fn set(&self, way: Way, trouble: Option<String>) {
        let mut all = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut all[way as usize];
        if *place != trouble {
            match &trouble {
                Some(trouble) => tracing::warn!(channel = %self.channel, ?way, trouble, "a channel does not work"),
                None => tracing::info!(channel = %self.channel, ?way, "a channel works again"),
            }
            *place = trouble;
        }
    }

    /// Returns the problem of one direction.
    pub fn get(&self, way: Way) -> Option<String> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)[way as usize].clone()
    }

    /// Returns all problems; `None`: there are none.
    pub fn trouble(&self) -> Option<String> {
        let all = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let problems: Vec<&str> = all.iter().flatten().map(String::as_str).collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_has_its_own_trouble() {
        let health = Health::new(ChannelKind::Telegram);
        health.set(Way::In, Some("somebody else polls".to_owned()));
        health.clone().set(Way::Out, Some("no such chat".to_owned()));
        assert_eq!(health.trouble().as_deref(), Some("somebody else polls; no such chat"));
        assert_eq!(health.get(Way::Out).as_deref(), Some("no such chat"));
        health.set(Way::In, None);
        health.set(Way::Out, None);
        assert_eq!(health.trouble(), None);
    }
}
