//! Records where the API listens besides its socket, for `/v1/status`. The composition root sets it.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where, or why not.
#[derive(Debug, Default)]
pub struct Listening(Mutex<Place>);

#[derive(Debug, Clone, Default)]
enum Place {
    #[default]
    Nowhere,
    At(SocketAddr),
    Failed(String),
}

impl Listening {
    /// Records that the server listens at `address`.
    pub fn open(&self, address: SocketAddr) {
        *self.locked() = Place::At(address);
    }

    /// Records that the server cannot listen, and why.
    pub fn failed(&self, why: String) {
        *self.locked() = Place::Failed(why);
    }

    /// Records that the server does not listen.
    pub fn closed(&self) {
        *self.locked() = Place::Nowhere;
    }

    /// The address to ask at.
    pub fn url(&self) -> Option<String> {
        match &*self.locked() {
            Place::At(address) => Some(format!("http://{address}")),
            Place::Nowhere | Place::Failed(_) => None,
        }
    }

    /// Why it does not listen though it should.
    pub fn problem(&self) -> Option<String> {
        match &*self.locked() {
            Place::Failed(why) => Some(why.clone()),
            Place::Nowhere | Place::At(_) => None,
        }
    }

    fn locked(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
