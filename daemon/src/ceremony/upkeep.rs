//! What the custodian of keys does with them: the same changes that ceremonies make, without an order, each a record of its own.

use super::perform::{destroy, next_key, step_of};
use super::requests::request_of;
use super::signer::Signer;
use super::steps::newest_generation;
use super::{Ceremonies, CeremonyFailure, Standing};
use crate::core::{Change, Sight, View};
use psd::PsdId;
use psd::custody::KeyStep;
use psd::device::CertifiedKey;
use psd::key::{Key, Role};
use psdd_wire::ceremony::{Act, Ceremony};
use psdd_wire::cose::{ENROLMENT, Sign1};
use psdd_wire::enrolment::EnrolmentClaims;
use rand::RngCore;
use std::sync::{Arc, MutexGuard, PoisonError};
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
    ///
    /// # Errors
    ///
    /// [`CeremonyFailure::UnderWay`] while a ceremony has not ended, here and below: what its operators approved stays as they knew it.
    pub fn make_next_key(&self, psd: PsdId, role: Role) -> Result<u8, CeremonyFailure> {
        let _turn = self.apart()?;
        let generation = newest_generation(&self.0.state(psd)?, role).checked_add(1);
        let generation =
            generation.ok_or_else(|| CeremonyFailure::Refused(format!("{psd} has had 255 {role} keys")))?;
        let change = next_key(&self.0, (psd, role, generation))?;
        self.0.change(Change::Psd { psd, changes: vec![change], step: None })?;
        Ok(generation)
    }

    /// Lets a key take over, or retires it.
    pub fn step_key(&self, psd: PsdId, key_id: &Arc<[u8]>, step: KeyStep) -> Result<(), CeremonyFailure> {
        let _turn = self.apart()?;
        self.stepped(psd, key_id, step)
    }

    fn stepped(&self, psd: PsdId, key_id: &Arc<[u8]>, step: KeyStep) -> Result<(), CeremonyFailure> {
        let changes = vec![(step_of(Arc::clone(key_id), step, None), None)];
        self.0.change(Change::Psd { psd, changes, step: None }).map(drop)
    }

    /// Destroys a key that was retired, in its token and then in the records.
    pub fn destroy_key(&self, psd: PsdId, certified: &CertifiedKey) -> Result<(), CeremonyFailure> {
        let _turn = self.apart()?;
        destroy(&self.0, certified)?;
        self.stepped(psd, &certified.key.key_id, KeyStep::Destroyed)
    }

    /// Keeps ceremonies from beginning for as long as it is held; refused while one has not ended.
    fn apart(&self) -> Result<MutexGuard<'_, ()>, CeremonyFailure> {
        let turn = self.0.judging.lock().unwrap_or_else(PoisonError::into_inner);
        match self.0.view(Sight::Appliance)?.governance.open() {
            Some(open) => Err(CeremonyFailure::UnderWay(open.number)),
            None => Ok(turn),
        }
    }

    /// Goes on with the ceremony that waits for a certificate or for its acknowledgement, if that is there now.
    pub fn go_on_certified(&self, view: &View) -> Result<(), CeremonyFailure> {
        let Some(open) = view.governance.open() else { return Ok(()) };
        let stopped = self.progress(open.number).map(|progress| progress.standing);
        let Some(Standing::Stopped(hindrance)) = stopped else { return Ok(()) };
        let for_certificate = hindrance.code == CeremonyFailure::AWAITING_CERTIFICATE;
        if !for_certificate && hindrance.code != CeremonyFailure::AWAITING_ACKNOWLEDGEMENT {
            return Ok(());
        }
        let ceremony = Ceremony::read(&open.file)?;
        let Act::RotateKey(rotate) = ceremony.act() else { return Ok(()) };
        let (identity, state) = self.0.psd(rotate.psd)?;
        let next = state.keys.iter().rev().find(|certified| certified.key.role == rotate.role);
        let ready = next.is_some_and(|next| {
            // What it lacks after its certificate the ceremony finds out and tells.
            next.is_certified() && (for_certificate || !self.0.lacks_acknowledgement(&identity, next))
        });
        if ready { self.go_on() } else { Ok(()) }
    }

    /// A message of a device key of a PSD. It blocks on the token.
    pub fn sign_as_device(&self, device: &Key, message: Sign1) -> Result<Vec<u8>, CeremonyFailure> {
        let signer = Signer { role: Role::Device, key_id: &device.key_id, spki: &device.spki };
        signer.sign(self.0.link_named(&device.token)?, message, SIGN_PATIENCE)
    }

    /// A certification request with the statement of the device key in use over it.
    pub fn enrolment(&self, psd: PsdId, device: &Key, key: &Key) -> Result<Enrolment, CeremonyFailure> {
        let csr = request_of(self, psd, key)?;
        let mut nonce = [0; 16];
        rand::rng().fill_bytes(&mut nonce);
        let claims = EnrolmentClaims {
            psd,
            role: key.role.to_string(),
            time: self.0.view(Sight::Appliance)?.clock?.time.0,
            nonce,
            appliance: self.0.appliance.to_string(),
            csr_digest: psdd_wire::sha256(&csr),
            generation: key.generation(),
        };
        let signer = Signer { role: Role::Device, key_id: &device.key_id, spki: &device.spki };
        let link = self.0.link_named(&device.token)?;
        let statement = signer.sign(link, signer.message(ENROLMENT, psdd_wire::encode(&claims))?, SIGN_PATIENCE)?;
        Ok(Enrolment { csr, statement })
    }
}
