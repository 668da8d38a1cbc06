//! Spot checks of the token's work: a module that returns garbage must not debit for it.
//!
//! Verifying every signature would cost more than making it on a software token, so one signature of every larger frame and
//! of every sixteenth small one is verified before the debit. The SDK and every verifier verify all of them afterwards.

use crate::core::{ChunkId, KeyNews};
use psd::digital_token::Party;
use psd::key::Role;
use psdd_hsm::link::{SignFrame, Signatures};
use psdd_wire::spki::PublicKey;
use std::collections::HashMap;
use std::sync::Arc;

/// Frames of so many messages are always checked.
const LARGE: usize = 64;
/// Of smaller ones each such.
const EVERY: usize = 16;

/// A chunk whose frame is in the token.
pub(super) struct InToken {
    pub(super) chunk: ChunkId,
    pub(super) asked: Asked,
}

/// What a frame is to bring.
pub(super) enum Asked {
    /// Signatures, of which one is verified.
    Signatures(Option<Sample>),
    /// A party's halves of digital tokens. Nobody but the token can verify a MAC.
    Halves(Party),
}

/// One message of a frame, and the key it is signed with.
pub(super) struct Sample {
    spki: Arc<[u8]>,
    index: usize,
    message: Box<[u8]>,
}

pub(super) struct SpotCheck {
    keys: HashMap<Arc<[u8]>, Arc<[u8]>>,
    frames: usize,
}

impl SpotCheck {
    pub(super) fn new(keys: HashMap<Arc<[u8]>, Arc<[u8]>>) -> Self {
        Self { keys, frames: 0 }
    }

    /// A key came or went.
    pub(super) fn note(&mut self, news: &KeyNews) {
        match news {
            KeyNews::Made { key_id, role: Role::Indicium | Role::Certification, spki, .. } => {
                self.keys.insert(Arc::clone(key_id), Arc::clone(spki));
            }
            KeyNews::Made { .. } | KeyNews::Ended { .. } => {}
            KeyNews::Destroyed { key_id } => {
                self.keys.remove(key_id);
            }
        }
    }

    /// The message to check of this frame, if it is one to be checked. The first frame of a run always is.
    pub(super) fn sample(&mut self, frame: &SignFrame) -> Option<Sample> {
        let number = self.frames;
        self.frames = number.wrapping_add(1);
        let signs_pieces = matches!(frame.role, Role::Indicium | Role::Certification);
        let checked = signs_pieces && (frame.messages.len() >= LARGE || number.is_multiple_of(EVERY));
        let spki = Arc::clone(self.keys.get(&frame.key_id).filter(|_| checked)?);
        let index = number % frame.messages.len().max(1);
        Some(Sample { spki, index, message: frame.messages.get(index)?.into() })
    }
}

impl Sample {
    pub(super) fn holds(&self, signatures: &Signatures) -> bool {
        let Some(key) = PublicKey::of_spki(&self.spki) else { return false };
        signatures.iter().nth(self.index).is_some_and(|signature| key.signed(&self.message, signature))
    }
}
