//! The desk of ceremonies: what every part of one reaches the core, the tokens and the log key by.

use super::CeremonyFailure;
use super::board::Board;
use super::signer::Signer;
use super::status::Signed;
use crate::config::{Rotation, TokenConfig, rule_for};
use crate::core::{Change, ChangeCommand, Sight, TokenIndex, ValueReply, View};
use crate::spine::{Handle, Unavailable};
use psd::device::{CertifiedKey, Identity};
use psd::governance::Subject;
use psd::key::Role;
use psd::rotation::lacks_acknowledgement;
use psd::{ApplianceId, PsdId, State, TenantName, UnixMillis};
use psdd_hsm::link::{Link, SignFrame};
use psdd_hsm::protocol::{Form, Messages};
use psdd_ledger::Durable;
use psdd_wire::ceremony::{Operator, P256PublicKey, Situation};
use psdd_wire::cose::CoseError;
use psdd_wire::receipt::to_be_signed;
use psdd_wire::spki::{KeyKind, PublicKey};
use psdd_wire::tlog::Hash;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What the desk is given.
pub struct CeremonyParts {
    /// Into the core.
    pub core: Handle,
    /// Links of all tokens.
    pub links: Arc<OnceLock<Vec<Link>>>,
    /// Their configurations, in the same order.
    pub tokens: Vec<TokenConfig>,
    /// The appliance's name.
    pub appliance: ApplianceId,
    /// SHA-256 of the bytes of record 0.
    pub genesis: [u8; 32],
    /// The key that signs for the appliance.
    pub log_key: LogKeyParts,
    /// Where the ledger lies.
    pub state_dir: PathBuf,
    /// The rules of rotation, which may demand that verifiers acknowledge a key first.
    pub rotations: Vec<Rotation>,
}

/// The log key, as leaf 0 names it.
pub struct LogKeyParts {
    /// CKA_ID.
    pub key_id: Arc<[u8]>,
    /// Its public half, SPKI DER.
    pub spki: Arc<[u8]>,
    /// Where it lives.
    pub token: TokenIndex,
}

pub(super) struct Desk {
    pub(super) core: Handle,
    links: Arc<OnceLock<Vec<Link>>>,
    tokens: Vec<TokenConfig>,
    pub(super) appliance: ApplianceId,
    genesis: [u8; 32],
    log_key: LogKeyParts,
    pub(super) state_dir: PathBuf,
    rotations: Vec<Rotation>,
    /// How far the newest ceremony is.
    pub(super) board: Board,
    /// Held while a file is judged and its beginning recorded.
    pub(super) judging: Mutex<()>,
    /// The newest status list.
    kept: Mutex<HashMap<Option<TenantName>, Signed>>,
    /// Held while a batch of certificates is installed.
    pub(super) installing: Mutex<()>,
}

/// Ceremonies of a running daemon; cheap to clone.
#[derive(Clone)]
pub struct Ceremonies(pub(super) Arc<Desk>);

impl Ceremonies {
    /// A desk without work.
    pub fn new(parts: CeremonyParts) -> Self {
        let CeremonyParts { core, links, tokens, appliance, genesis, log_key, state_dir, rotations } = parts;
        let (board, judging, kept, installing) = (Board::default(), Mutex::new(()), Mutex::default(), Mutex::new(()));
        Self(Arc::new(Desk {
            core,
            links,
            tokens,
            appliance,
            genesis,
            log_key,
            state_dir,
            rotations,
            board,
            judging,
            kept,
            installing,
        }))
    }

    /// The log key's kind and its signature over a root of the log, for receipts. It blocks on the token.
    pub fn sign_root(&self, root: &Hash, patience: Duration) -> Result<(KeyKind, Vec<u8>), CeremonyFailure> {
        self.0.sign_root(root, patience)
    }

    /// The MAC of a message by a MAC key, which is named by its CKA_ID and the token's name. It blocks on the token.
    pub fn mac(
        &self,
        key_id: &Arc<[u8]>,
        token: &str,
        message: &[u8],
        patience: Duration,
    ) -> Result<[u8; 32], CeremonyFailure> {
        self.0.mac(key_id, token, message, patience)
    }

    /// Whether the configuration names this token.
    pub fn has_token(&self, token: &str) -> bool {
        self.0.tokens.iter().any(|configured| configured.name == token)
    }

    /// SHA-256 of record 0.
    pub fn genesis(&self) -> [u8; 32] {
        self.0.genesis
    }
}

impl Desk {
    pub(super) fn kept(&self) -> MutexGuard<'_, HashMap<Option<TenantName>, Signed>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn view(&self, sight: Sight) -> Result<View, CeremonyFailure> {
        let answer = self.core.view(sight)?;
        answer.blocking_recv().ok().ok_or(CeremonyFailure::Unavailable(Unavailable::Stopping))
    }

    pub(super) fn psd(&self, psd: PsdId) -> Result<(Arc<Identity>, State), CeremonyFailure> {
        let found = self.view(Sight::Psd(psd))?.psds.into_iter().next();
        found.ok_or_else(|| CeremonyFailure::Refused(format!("there is no PSD {psd}")))
    }

    pub(super) fn state(&self, psd: PsdId) -> Result<State, CeremonyFailure> {
        self.psd(psd).map(|(_, state)| state)
    }

    /// Whether the rule for a key keeps it from taking over until verifiers have acknowledged it.
    pub(super) fn lacks_acknowledgement(&self, identity: &Identity, certified: &CertifiedKey) -> bool {
        let rule = rule_for(&self.rotations, &identity.licence, certified.key.role);
        rule.is_some_and(|rule| lacks_acknowledgement(rule, certified))
    }

    /// Makes a change, durably.
    pub(super) fn change(&self, change: Change) -> Result<Vec<Durable>, CeremonyFailure> {
        self.begin_change(change).and_then(Self::end_change)
    }

    /// Hands a change to the core, and does not wait for it.
    pub(super) fn begin_change(&self, change: Change) -> Result<oneshot::Receiver<ValueReply>, CeremonyFailure> {
        Ok(self.core.change(ChangeCommand { request: self.core.next_request(), change })?)
    }

    /// Waits until a change is durable, or refused.
    pub(super) fn end_change(answer: oneshot::Receiver<ValueReply>) -> Result<Vec<Durable>, CeremonyFailure> {
        match answer.blocking_recv() {
            Ok(ValueReply::Changed(durable)) => Ok(durable),
            Ok(other) => Err(CeremonyFailure::of_reply(other)),
            Err(_gone) => Err(CeremonyFailure::Unavailable(Unavailable::Stopping)),
        }
    }

    fn link(&self, token: TokenIndex) -> Result<&Link, CeremonyFailure> {
        let link = self.links.get().and_then(|links| links.get(token.0));
        link.ok_or_else(|| CeremonyFailure::NoSuchToken(format!("no. {}", token.0)))
    }

    pub(super) fn link_named(&self, token: &str) -> Result<&Link, CeremonyFailure> {
        let index = self.tokens.iter().position(|config| config.name == token);
        self.link(TokenIndex(index.ok_or_else(|| CeremonyFailure::NoSuchToken(token.to_owned()))?))
    }

    /// A message of the log key, COSE_Sign1. What the token gives is verified under the key that leaf 0 names before anybody has it.
    pub(super) fn sign_as_log(
        &self,
        content_type: &str,
        payload: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, CeremonyFailure> {
        let LogKeyParts { key_id, spki, token } = &self.log_key;
        let signer = Signer { role: Role::Log, key_id, spki };
        signer.sign(self.link(*token)?, signer.message(content_type, payload)?, patience)
    }

    /// The log key's kind, and its signature over a root of the log as receipts have it; verified before anybody has it.
    pub(super) fn sign_root(&self, root: &Hash, patience: Duration) -> Result<(KeyKind, Vec<u8>), CeremonyFailure> {
        let LogKeyParts { key_id, spki, token } = &self.log_key;
        let unreadable = || CeremonyFailure::Refused("the public half of the log key cannot be read".to_owned());
        let key = PublicKey::of_spki(spki).ok_or_else(unreadable)?;
        let structure = to_be_signed(key.kind(), root);
        let signer = Signer { role: Role::Log, key_id, spki };
        let signature = signer.sign_structure(self.link(*token)?, &structure, patience)?;
        let verified = key.signed(&structure, &signature);
        verified.then_some((key.kind(), signature)).ok_or(CeremonyFailure::WrongSignature(CoseError::Signature))
    }

    fn mac(
        &self,
        key_id: &Arc<[u8]>,
        token: &str,
        message: &[u8],
        patience: Duration,
    ) -> Result<[u8; 32], CeremonyFailure> {
        let link = self.link_named(token)?;
        let mut messages = Messages::with_capacity(1, message.len());
        messages.push(message);
        let role = key_id.first().copied().and_then(Role::from_number).filter(|role| role.is_mac());
        let role = role.ok_or_else(|| CeremonyFailure::Refused("no MAC key has this CKA_ID".to_owned()))?;
        let key_id = Arc::clone(key_id);
        let frame = SignFrame { key_id, role, form: Form::TokenMac, floor: 0, messages };
        let macs = link.blocking().sign(&frame, patience)?;
        let mac = macs.iter().next().and_then(|mac| mac.try_into().ok());
        mac.ok_or_else(|| CeremonyFailure::Refused("the token's MAC has not 32 bytes".to_owned()))
    }

    pub(super) fn situation<'a>(
        &'a self,
        view: &View,
        operators: &'a [Operator],
    ) -> Result<Situation<'a>, CeremonyFailure> {
        Ok(Situation {
            appliance: &self.appliance,
            genesis: self.genesis,
            last_number: view.governance.newest(),
            operators,
            quorum: view.governance.quorum(),
            now: UnixMillis(view.clock?.time.0),
        })
    }
}

/// The operators as approvals are judged by.
pub(super) fn operators(view: &View) -> Vec<Operator> {
    let sound = |operator: &psd::governance::Operator| {
        let key = P256PublicKey::from_spki(&operator.spki).ok()?;
        let revoked = view.governance.revocation(&Subject::Operator(operator.name.clone())).is_some();
        Some(Operator { name: operator.name.clone(), key, revoked })
    };
    view.governance.operators().iter().filter_map(sound).collect()
}
