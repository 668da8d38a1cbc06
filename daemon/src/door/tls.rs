//! TLS of a door as it is now: for connections to come, and what open ones are judged by.

use psdd_tls::ServerTls;
use std::sync::Arc;
use tokio::sync::watch;

/// TLS of one door; a reload replaces it.
pub struct DoorTls(watch::Sender<Arc<ServerTls>>);

impl DoorTls {
    /// What was read at the start.
    pub fn new(tls: ServerTls) -> Self {
        Self(watch::Sender::new(Arc::new(tls)))
    }

    /// Puts another in force. Every open connection judges its client by it at once.
    pub fn replace(&self, tls: ServerTls) {
        self.0.send_replace(Arc::new(tls));
    }

    /// What is in force.
    pub fn now(&self) -> Arc<ServerTls> {
        Arc::clone(&self.0.borrow())
    }

    pub(super) fn watch(&self) -> watch::Receiver<Arc<ServerTls>> {
        self.0.subscribe()
    }
}
