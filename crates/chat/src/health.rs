//! What is wrong with a chat now, for whoever asks (`orch channel list`), and once for the log.

use orch_core::channel::ChannelKind;
use std::sync::{Arc, Mutex, PoisonError};

/// Which way something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What people say comes in.
    In,
    /// What they are told goes out.
    Out,
}

/// What is wrong, by the way it goes. Cheap to clone: all show the same.
#[derive(Debug, Clone)]
pub struct Health {
    channel: ChannelKind,
    ways: Arc<Mutex<[Option<String>; 2]>>,
}

impl Health {
    /// Of a channel with which nothing is wrong.
    pub fn new(channel: ChannelKind) -> Self {
        Self { channel, ways: Arc::default() }
    }

    /// It works, or it does not and why.
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

    /// What is wrong with one way; `None`: nothing.
    pub fn of(&self, way: Way) -> Option<String> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)[way as usize].clone()
    }

    /// What is wrong; `None`: nothing.
    pub fn trouble(&self) -> Option<String> {
        let all = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let told: Vec<&str> = all.iter().flatten().map(String::as_str).collect();
        (!told.is_empty()).then(|| told.join("; "))
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
        assert_eq!(health.of(Way::Out).as_deref(), Some("no such chat"));
        health.set(Way::In, None);
        health.set(Way::Out, None);
        assert_eq!(health.trouble(), None);
    }
}
