//! Certificates of PSD keys, once they have led to the pinned root.

use super::VerificationError;
use super::chain::{AuthorityRoot, CertifiedKey};
use crate::error::{ClientError, ContractError};
use psd::PsdId;
use psd::key::Role;
use psdd_wire::message::{CertificatesResponse, KeyView};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What was proven so far.
pub(crate) struct Book {
    root: AuthorityRoot,
    keys: RwLock<HashMap<(PsdId, Role, u32), Arc<CertifiedKey>>>,
}

impl Book {
    pub(crate) fn new(root: AuthorityRoot) -> Self {
        Self { root, keys: RwLock::new(HashMap::new()) }
    }

    /// Whether the appliance serves the authority pinned.
    pub(crate) fn is_under(&self, authority_root: &[u8]) -> Result<(), VerificationError> {
        if authority_root == self.root.der() { Ok(()) } else { Err(VerificationError::OtherAuthority) }
    }

    /// The key of this role that the certificate with this serial is for.
    pub(crate) fn key(&self, psd: PsdId, role: Role, serial: u32) -> Option<Arc<CertifiedKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&(psd, role, serial)).cloned()
    }

    /// Takes in what the appliance lists for a PSD; every certificate of a key that signs pieces must lead to the root.
    pub(crate) fn learn(&self, told: &CertificatesResponse) -> Result<(), ClientError> {
        self.is_under(&told.authority_root)?;
        for view in told.keys.iter().filter(|view| !view.chain.is_empty()) {
            let role = Role::certified_named(&view.role);
            let Some(role @ (Role::Indicium | Role::Certification)) = role else { continue };
            let certified = Arc::new(self.certify(told.psd, view)?);
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            keys.insert((told.psd, role, certified.serial()), certified);
        }
        Ok(())
    }

    /// Follows the chain of one key to the root, and compares it with what else is told of the key.
    pub(crate) fn certify(&self, psd: PsdId, view: &KeyView) -> Result<CertifiedKey, ClientError> {
        let serial = view.serial.unwrap_or_default();
        let certified = self.root.certify(&view.chain);
        let certified = certified.map_err(|source| VerificationError::Chain { psd, serial, source })?;
        if certified.spki() != view.spki || Some(certified.serial()) != view.serial {
            let key_id = view.key_id.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(ContractError::CertificateOfOtherKey { key_id }.into());
        }
        if let Some(named) = certified.psd().filter(|named| *named != psd) {
            let (asked, told) = (psd.to_string(), named.to_string());
            return Err(ContractError::OtherSubject { what: "the device named in a certificate", asked, told }.into());
        }
        Ok(certified)
    }
}
