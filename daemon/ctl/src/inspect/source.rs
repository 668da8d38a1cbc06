//! The authority door as a source of the log for a mirror.

use psdd_client::{AuthorityClient, ClientError};
use psdd_inspector::{FetchError, Source};
use tokio::runtime::Handle;

/// Fetches over the door, and waits for it. Not from inside the runtime.
pub(super) struct Door {
    pub(super) client: AuthorityClient,
    pub(super) runtime: Handle,
}

impl Source for Door {
    fn fetch(&mut self, path: &str) -> Result<Vec<u8>, FetchError> {
        let fetched = self.runtime.block_on(self.client.fetch(&format!("/log/{path}")));
        fetched.map(Vec::from).map_err(|error| match &error {
            // What the door does not publish it does not have, whatever it signed.
            ClientError::Refused(problem) if problem.facts.code == "not-published" => FetchError::NotFound,
            _ => FetchError::Failed(Box::new(error)),
        })
    }
}
