//! The authority door as a source of the log for a mirror.

use psdd_client::{AuthorityClient, ClientError};
use psdd_inspector::{FetchError, Source};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long a place at a busy door is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(250);

/// Fetches over the door, and waits for it. Not from inside the runtime.
pub(super) struct Door {
    pub(super) client: AuthorityClient,
    pub(super) runtime: Handle,
}

impl Source for Door {
    fn fetch(&mut self, path: &str) -> Result<Vec<u8>, FetchError> {
        let begun = Instant::now();
        let fetched = loop {
            let fetched = self.runtime.block_on(self.client.fetch(&format!("/log/{path}")));
            match &fetched {
                // Others are served at the moment.
                Err(ClientError::Refused(problem))
                    if problem.facts.code == "overloaded" && begun.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(PAUSE);
                }
                _ => break fetched,
            }
        };
        fetched.map(Vec::from).map_err(|error| match &error {
            // What the door does not publish it does not have, whatever it signed.
            ClientError::Refused(problem) if problem.facts.code == "not-published" => FetchError::NotFound,
            _ => FetchError::Failed(Box::new(error)),
        })
    }
}
