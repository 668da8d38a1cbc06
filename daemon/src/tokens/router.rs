//! Links to all tokens, and what they report, on its way to the core.
//!
//! A token counts as up only when every key that the ledger knows of it is there, usable and the same: a stale handle can
//! point at another key, and an empty token must never pass for a healthy one. A key that is retired or revoked may be gone: it
//! is destroyed before that is recorded.

use crate::core::{Event, KeyNews, TokenIndex};
use crate::spine::{FrameEvent, Handle};
use crossbeam_channel::Sender;
use psdd_hsm::link::{Link, LinkConfig, LinkEvent, StartError};
use psdd_hsm::protocol::{KeyEntry, Welcome};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A key that the ledger knows.
#[derive(Clone, Debug)]
pub struct ExpectedKey {
    /// CKA_ID.
    pub key_id: Arc<[u8]>,
    /// Its public half, SPKI DER.
    pub spki: Arc<[u8]>,
    /// Whether it is retired or revoked: it signs nothing more, and need not be there.
    pub ended: bool,
}

/// What is known of one token now.
#[derive(Clone, Debug)]
enum Standing {
    Unknown,
    Up(Arc<Welcome>),
    Down(String),
}

/// Where links report to.
pub struct Router {
    standings: Mutex<Vec<Standing>>,
    /// By token, then by CKA_ID.
    expected: Mutex<Vec<BTreeMap<Arc<[u8]>, ExpectedKey>>>,
    core: OnceLock<(Sender<FrameEvent>, Handle)>,
}

/// The links of all tokens.
pub struct Tokens {
    /// By [`TokenIndex`]; shared with the spine.
    pub links: Arc<OnceLock<Vec<Link>>>,
    /// Where they report.
    pub router: Arc<Router>,
}

/// Why the tokens are not ready.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// No thread.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It does not answer, or not with the keys it must have.
    #[error("token {token}: {reason}")]
    NotReady {
        /// Its name.
        token: String,
        /// Why.
        reason: String,
    },
}

impl Tokens {
    /// Starts a link to each token.
    pub fn start(configs: Vec<LinkConfig>, expected: Vec<Vec<ExpectedKey>>) -> Result<Self, TokensError> {
        let by_id = |keys: Vec<ExpectedKey>| keys.into_iter().map(|key| (Arc::clone(&key.key_id), key)).collect();
        let expected = expected.into_iter().map(by_id).collect();
        let router = Arc::new(Router {
            standings: Mutex::new(vec![Standing::Unknown; configs.len()]),
            expected: Mutex::new(expected),
            core: OnceLock::new(),
        });
        let mut started = Vec::new();
        for (index, config) in configs.into_iter().enumerate() {
            let (token, to) = (TokenIndex(index), Arc::clone(&router));
            started.push(Link::start(config, move |event| to.take(token, event))?);
        }
        let links = Arc::new(OnceLock::new());
        let set = links.set(started);
        debug_assert!(set.is_ok());
        Ok(Self { links, router })
    }

    /// The link of a token.
    pub fn link(&self, token: TokenIndex) -> Option<&Link> {
        self.links.get().and_then(|links| links.get(token.0))
    }

    /// Waits until every token is up with all its keys.
    pub fn wait_ready(&self, names: &[String], patience: Duration) -> Result<Vec<Arc<Welcome>>, TokensError> {
        let deadline = Instant::now() + patience;
        loop {
            match self.ready(names) {
                Err(_) if Instant::now() <= deadline => std::thread::sleep(Duration::from_millis(5)),
                told => return told,
            }
        }
    }

    /// What each token has said, if every one is up with all its keys.
    pub fn ready(&self, names: &[String]) -> Result<Vec<Arc<Welcome>>, TokensError> {
        let told = self.router.standings().into_iter().enumerate().map(|(index, standing)| {
            let reason = match standing {
                Standing::Up(welcome) => return Ok(welcome),
                Standing::Down(reason) => reason,
                Standing::Unknown => "psdd-hsm does not answer".to_owned(),
            };
            Err(TokensError::NotReady { token: names.get(index).cloned().unwrap_or_default(), reason })
        });
        told.collect()
    }
}

impl Router {
    /// Connects the core; it is told at once which tokens are up.
    pub fn connect(&self, frames: Sender<FrameEvent>, core: Handle) {
        let standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, standing) in standings.iter().enumerate() {
            if let Standing::Up(_) = standing {
                tell(&core, Event::TokenUp(TokenIndex(index)));
            }
        }
        let first = self.core.set((frames, core)).is_ok();
        debug_assert!(first);
    }

    /// A key came, ended or went: from the next connection of the worker on, it must or need not be there.
    pub fn note(&self, news: &KeyNews) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            KeyNews::Made { key_id, token: Some(token), spki, resident: true, .. } => {
                if let Some(keys) = expected.get_mut(token.0) {
                    let key = ExpectedKey { key_id: Arc::clone(key_id), spki: Arc::clone(spki), ended: false };
                    keys.insert(Arc::clone(key_id), key);
                }
            }
            KeyNews::Made { .. } => {}
            KeyNews::Ended { key_id } => {
                expected.iter_mut().filter_map(|keys| keys.get_mut(key_id)).for_each(|key| key.ended = true);
            }
            KeyNews::Destroyed { key_id } => {
                expected.iter_mut().for_each(|keys| drop(keys.remove(key_id)));
            }
        }
    }

    /// One line on each token that is not up.
    pub fn troubles(&self, names: &[String]) -> Vec<String> {
        let described = self.standings().into_iter().zip(names).filter_map(|(standing, name)| match standing {
            Standing::Up(_) => None,
            Standing::Unknown => Some(format!("token {name}: no answer yet")),
            Standing::Down(reason) => Some(format!("token {name}: {reason}")),
        });
        described.collect()
    }

    fn standings(&self) -> Vec<Standing> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, token: TokenIndex, event: LinkEvent) {
        match event {
            LinkEvent::Signed { request, signatures } => self.frame(FrameEvent::Signed(token, request, signatures)),
            LinkEvent::Failed { request, fault } => self.frame(FrameEvent::Failed(token, request, fault)),
            LinkEvent::Up(welcome) => match self.compare(token, &welcome) {
                Ok(()) => self.stand(token, Standing::Up(welcome)),
                Err(reason) => {
                    tracing::error!(token = token.0, reason, "a token without the keys it must have is not used");
                    self.stand(token, Standing::Down(reason));
                }
            },
            LinkEvent::Down { reason } => {
                tracing::warn!(token = token.0, reason, "token down");
                self.stand(token, Standing::Down(reason));
            }
            LinkEvent::Latched { reason, clear } => {
                tracing::error!(token = token.0, reason, clear, "token latched: no further login without an operator");
                self.stand(token, Standing::Down(format!("{reason}; clear with: {clear}")));
            }
        }
    }

    fn frame(&self, frame: FrameEvent) {
        if let Some((frames, _)) = self.core.get()
            && frames.send(frame).is_err()
        {
            tracing::debug!("the core has gone");
        }
    }

    fn stand(&self, token: TokenIndex, standing: Standing) {
        let mut standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
        let event = match standing {
            Standing::Up(_) => Event::TokenUp(token),
            Standing::Unknown | Standing::Down(_) => Event::TokenDown(token),
        };
        standings[token.0] = standing;
        if let Some((_, core)) = self.core.get() {
            tell(core, event);
        }
    }

    fn compare(&self, token: TokenIndex, welcome: &Welcome) -> Result<(), String> {
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        check(expected.get(token.0).into_iter().flat_map(BTreeMap::values), &welcome.keys)
    }
}

/// Whether a token has the keys it must have; what it lacks, in words.
fn check<'e>(expected: impl IntoIterator<Item = &'e ExpectedKey>, keys: &[KeyEntry]) -> Result<(), String> {
    let found: HashMap<&[u8], &KeyEntry> = keys.iter().map(|key| (key.key_id.as_slice(), key)).collect();
    for expected in expected {
        let id: String = expected.key_id.iter().map(|b| format!("{b:02x}")).collect();
        match found.get(&*expected.key_id) {
            None if expected.ended => {}
            None => return Err(format!("key {id} is not in the token")),
            // Half of it may be destroyed already.
            Some(KeyEntry { unusable: Some(_), .. }) if expected.ended => {}
            Some(KeyEntry { unusable: Some(reason), .. }) => {
                return Err(format!("key {id} must not be used: {reason}"));
            }
            Some(key) if *key.spki != *expected.spki => {
                return Err(format!("key {id} is not the one recorded: its public half differs"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn tell(core: &Handle, event: Event) {
    if core.tell(event).is_err() {
        tracing::debug!("the core has gone");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use psdd_hsm::role::{Algorithm, Role};

    fn expected(ended: bool) -> ExpectedKey {
        ExpectedKey { key_id: [4, 1].into(), spki: [7].into(), ended }
    }

    fn key(spki: &[u8], unusable: Option<&str>) -> KeyEntry {
        let (role, algorithm) = (Role::Device, Algorithm::EcdsaP256);
        KeyEntry { key_id: vec![4, 1], role, algorithm, spki: spki.to_vec(), unusable: unusable.map(str::to_owned) }
    }

    #[test]
    fn a_key_that_may_sign_must_be_there_and_one_that_has_ended_may_be_half_destroyed() {
        let half = || key(&[], Some("0 public keys have this CKA_ID"));
        for (keys, sound, ended) in [
            (vec![key(&[7], None)], Ok(()), Ok(())),
            (vec![], Err("is not in the token"), Ok(())),
            (vec![half()], Err("0 public keys"), Ok(())),
            (vec![key(&[7], Some("it is extractable"))], Err("it is extractable"), Ok(())),
            (vec![key(&[8], None)], Err("its public half differs"), Err("its public half differs")),
        ] {
            for (of_key, wanted) in [(false, sound), (true, ended)] {
                match (check(&[expected(of_key)], &keys), wanted) {
                    (Ok(()), Ok(())) => {}
                    (Err(why), Err(wanted)) => assert!(why.contains(wanted), "{why}"),
                    (other, wanted) => panic!("{keys:?}: {other:?}, not {wanted:?}"),
                }
            }
        }
    }
}
