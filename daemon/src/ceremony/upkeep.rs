//! What the custodian of keys does with them: the same changes that ceremonies make, without an order, each a record of its own.

use super::perform::{destroy, next_key, step_of};
use super::requests::request_of;
use super::steps::newest_generation;
use super::{Ceremonies, CeremonyFailure};
use crate::core::{Change, Sight, View};
use aws_lc_rs::digest::{SHA256, digest};
use psd::PsdId;
use psd::custody::KeyStep;
use psd::device::CertifiedKey;
use psd::key::{Key, Role};
use psdd_hsm::link::SignFrame;
use psdd_hsm::protocol::{Form, Messages};
use psdd_wire::cose::{ENROLMENT, Sign1};
use psdd_wire::enrolment::EnrolmentClaims;
use psdd_wire::spki::PublicKey;
use rand::RngCore;
use std::sync::Arc;
use std::time::Duration;

const SIGN_PATIENCE: Duration = Duration::from_secs(30);

/// What the authority's CA wants to see before it certifies a key.
pub struct Enrolment {
    /// PKCS#10, DER.
    pub csr: Vec<u8>,
    /// COSE_Sign1 by the PSD's device key over it.
    pub statement: Vec<u8>,
}

impl Ceremonies {
    /// Committed state of all PSDs.
    pub fn view(&self) -> Result<View, CeremonyFailure> {
        self.0.view(Sight::All)
    }

    /// Makes the next key of a role, like the one before: same token, algorithm, residence. Gives its generation.
    pub fn make_next_key(&self, psd: PsdId, role: Role) -> Result<u8, CeremonyFailure> {
        let generation = newest_generation(&self.0.state(psd)?, role).checked_add(1);
        let generation =
            generation.ok_or_else(|| CeremonyFailure::Refused(format!("{psd} has had 255 {role} keys")))?;
        let change = next_key(&self.0, (psd, role, generation))?;
        self.0.change(Change::Psd { psd, changes: vec![change], step: None })?;
        Ok(generation)
    }

    /// Lets a key take over, or retires it.
    pub fn step_key(&self, psd: PsdId, key_id: &Arc<[u8]>, step: KeyStep) -> Result<(), CeremonyFailure> {
        let changes = vec![(step_of(Arc::clone(key_id), step, None), None)];
        self.0.change(Change::Psd { psd, changes, step: None }).map(drop)
    }

    /// Destroys a key that was retired, in its token and then in the records.
    pub fn destroy_key(&self, psd: PsdId, certified: &CertifiedKey) -> Result<(), CeremonyFailure> {
        destroy(&self.0, certified)?;
        self.step_key(psd, &certified.key.key_id, KeyStep::Destroyed)
    }

    /// A certification request with the statement of the device key in use over it.
    pub fn enrolment(&self, psd: PsdId, device: &Key, key: &Key) -> Result<Enrolment, CeremonyFailure> {
        let csr = request_of(self, psd, key)?;
        let unreadable = || CeremonyFailure::Refused(format!("the device key of {psd} cannot be read"));
        let kind = PublicKey::of_spki(&device.spki).ok_or_else(unreadable)?.kind();
        let mut nonce = [0; 16];
        rand::rng().fill_bytes(&mut nonce);
        let mut csr_digest = [0; 32];
        csr_digest.copy_from_slice(digest(&SHA256, &csr).as_ref());
        let claims = EnrolmentClaims {
            psd,
            role: key.role.to_string(),
            time: self.0.view(Sight::Appliance)?.clock?.time.0,
            nonce,
            appliance: self.0.appliance.to_string(),
            csr_digest,
            generation: key.key_id.last().copied().unwrap_or(1),
        };
        let message = Sign1::unsigned_by(kind, ENROLMENT, None, psdd_wire::encode(&claims));
        let mut messages = Messages::with_capacity(1, 512);
        messages.push(&message.to_be_signed());
        let key_id = Arc::clone(&device.key_id);
        let frame = SignFrame { key_id, role: Role::Device, form: Form::CoseSign1, floor: 0, messages };
        let signatures = self.0.link_named(&device.token)?.blocking().sign(&frame, SIGN_PATIENCE)?;
        let signature = signatures.iter().next().unwrap_or_default();
        Ok(Enrolment { csr, statement: message.with_signature(signature) })
    }
}
