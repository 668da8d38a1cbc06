//! Digital tokens of a chunk: the MACs of its pieces, made beside their signatures.
//!
//! Both halves of all tokens of a chunk are a frame each, on their way together with the frame of signatures, so a chunk waits for the
//! slowest of the three and not for their sum. It is signed when all are there; what fails one of them fails the chunk.

use super::engine::{Device, Engine};
use super::pipeline::{Stage, Work};
use super::turn::Draft;
use super::{Action, ChunkId, Fault, TokenIndex};
use psd::device::{Piece, PreparedPiece};
use psd::digital_token::{DigitalToken, Lengths, Party};
use psd::key::Algorithm;
use psd::mac::MAC_LENGTH;
use psdd_hsm::link::{SignFrame, Signatures};
use psdd_hsm::protocol::{Form, Messages};
use std::sync::Arc;

/// Bytes of a message, about.
const MESSAGE_LENGTH: usize = 96;

/// What came so far of a chunk whose pieces are to have digital tokens.
#[derive(Default)]
pub(super) struct Gathering {
    pub(super) signatures: Option<Signatures>,
    vendor: Option<Signatures>,
    postal: Option<Signatures>,
}

impl Gathering {
    fn half(&mut self, party: Party) -> &mut Option<Signatures> {
        match party {
            Party::Vendor => &mut self.vendor,
            Party::Postal => &mut self.postal,
        }
    }

    /// Signatures and tokens, once all are there.
    pub(super) fn complete(&mut self) -> Option<(Signatures, Vec<DigitalToken>)> {
        let (Some(_), Some(vendor), Some(postal)) = (&self.signatures, &self.vendor, &self.postal) else { return None };
        let halves = vendor.iter().zip(postal.iter());
        let token = |(vendor, postal): (&[u8], &[u8])| {
            Some(DigitalToken::of_macs(vendor.try_into().ok()?, postal.try_into().ok()?, Lengths::default()))
        };
        let tokens = halves.map(token).collect::<Option<_>>()?;
        Some((self.signatures.take()?, tokens))
    }
}

/// How many of the pieces are to have a token.
pub(super) fn wanted(prepared: &[PreparedPiece]) -> usize {
    prepared.iter().filter(|piece| piece.token_data().is_some()).count()
}

/// Puts tokens to the pieces that are to have one, in their order.
pub(super) fn put(prepared: Vec<PreparedPiece>, tokens: Vec<DigitalToken>) -> Vec<PreparedPiece> {
    let mut tokens = tokens.into_iter();
    let with = |piece: PreparedPiece| match piece.token_data().is_some().then(|| tokens.next()).flatten() {
        Some(token) => piece.with_token(token),
        None => piece,
    };
    prepared.into_iter().map(with).collect()
}

impl Engine {
    /// Why a token cannot be made of a piece at present, though the PSD has the keys.
    pub(super) fn lacks_mac_token(&self, device: &Device, piece: &Piece) -> Option<Fault> {
        piece.token?;
        let keys = Party::BOTH.into_iter().filter_map(|party| device.psd.signing_key(party.role()));
        let down = |token: &str| !self.token_named(token).is_some_and(|token| self.is_up(token));
        let mut silent = keys.filter(|key| down(&key.token));
        silent.next().map(|key| Fault::Token(format!("{}, which has its {} key, does not answer", key.token, key.role)))
    }

    /// Asks for both halves of the tokens of a draft; none where no piece of it is to have one.
    pub(super) fn ask_for_tokens(&mut self, draft: &Draft) -> Option<Box<Gathering>> {
        let count = wanted(&draft.prepared);
        if count == 0 {
            return None;
        }
        for party in Party::BOTH {
            let role = party.role();
            let mut messages = Messages::with_capacity(count, MESSAGE_LENGTH);
            let data = draft.prepared.iter().filter_map(PreparedPiece::token_data);
            data.for_each(|data| messages.push(&data.message(party)));
            // A piece with a token was prepared, so there is a key.
            let key = self.devices[draft.device].psd.signing_key(role);
            let token = key.and_then(|key| self.token_named(&key.token));
            let key_id = key.map_or_else(|| Arc::from([]), |key| Arc::clone(&key.key_id));
            let frame = SignFrame { key_id, role, form: Form::TokenMac, floor: 0, messages };
            self.actions.push(Action::Mac(draft.id, party, token.unwrap_or(TokenIndex(usize::MAX)), frame));
        }
        Some(Box::default())
    }

    /// The MACs of a party came.
    pub(super) fn maced(&mut self, id: ChunkId, party: Party, macs: Signatures, monotonic_ms: u64) {
        // A chunk that was dropped meanwhile is not known any more.
        let Some(chunk) = self.chunks.get_mut(&id).filter(|chunk| matches!(chunk.stage, Stage::Signing)) else {
            return;
        };
        let Work::Pieces { prepared, gathering: Some(gathering), .. } = &mut chunk.work else { return };
        let whole = macs.iter().all(|mac| mac.len() == MAC_LENGTH);
        debug_assert_eq!(Algorithm::HmacSha256.signature_len(), MAC_LENGTH);
        if macs.len() != wanted(prepared) || !whole {
            return self.incomplete(id, monotonic_ms);
        }
        *gathering.half(party) = Some(macs);
        self.gathered(id);
    }
}
