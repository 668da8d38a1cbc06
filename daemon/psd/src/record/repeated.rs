//! What many records of a fleet say alike, in memory once.

use super::{Event, Record};
use crate::id::{LicenceNumber, TenantName};
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Names, tokens and issuers' certificates of records that were read.
///
/// Each record is decoded by itself and brings its own copies, which the state rebuilt of it would hold for as long as it lives: for
/// 10,000 PSDs, the same issuer 20,000 times.
#[derive(Default, Debug)]
pub struct Repeated {
    tenants: HashSet<TenantName>,
    licences: HashSet<LicenceNumber>,
    tokens: HashSet<Arc<str>>,
    issuers: HashSet<Arc<[u8]>>,
}

impl Repeated {
    /// Puts what an earlier record said in the place of a record's own copies. The record is equal to what it was.
    pub fn share(&mut self, record: &mut Record) {
        match &mut record.event {
            Event::PsdCreated { tenant, licence, .. } => {
                kept(&mut self.tenants, tenant);
                kept(&mut self.licences, licence);
            }
            Event::RunOpened { tenant, .. } | Event::RunClosed { tenant, .. } => kept(&mut self.tenants, tenant),
            Event::KeyCreated { token, .. } => kept(&mut self.tokens, token),
            // A key's own certificate comes first, and but once.
            Event::CertificateInstalled { chain, .. } => {
                chain.iter_mut().skip(1).for_each(|issuer| kept(&mut self.issuers, issuer));
            }
            Event::Genesis(_)
            | Event::KeyStateChanged { .. }
            | Event::LifecycleChanged { .. }
            | Event::ValueRequested { .. }
            | Event::ValueApplied { .. }
            | Event::ValueVoided { .. }
            | Event::Withdrawn { .. }
            | Event::StateDigest { .. }
            | Event::Started { .. }
            | Event::AuthorityKeyInstalled { .. }
            | Event::InstructionTaken { .. }
            | Event::CeilingSet { .. }
            | Event::InspectionPeriodsSet { .. }
            | Event::AuditAccepted { .. }
            | Event::KeyChangeOrdered { .. }
            | Event::AuthorityPolicySet { .. }
            | Event::CeremonyBegun { .. }
            | Event::CeremonyStep { .. }
            | Event::CeremonyEnded { .. }
            | Event::OperatorsChanged { .. }
            | Event::Revoked { .. }
            | Event::RefusalsNoted { .. }
            | Event::Indicium(_)
            | Event::Certification(_)
            | Event::RatesTaken(_)
            | Event::ScaleRegistered(_)
            | Event::ScaleRemoved { .. } => {}
        }
    }
}

fn kept<T: Clone + Eq + Hash>(before: &mut HashSet<T>, here: &mut T) {
    match before.get(here) {
        Some(before) => *here = before.clone(),
        None => drop(before.insert(here.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ClockReading, ClockSource};
    use crate::id::PsdId;
    use crate::record::Stamp;
    use crate::register::Registers;
    use crate::time::UnixMillis;

    fn installed(serial: u32) -> Record {
        let psd = PsdId::new(*b"PS", *b"01", serial).unwrap();
        let stamp = Stamp { psd, sequence: 4, registers: Registers::default() };
        let chain: Vec<Arc<[u8]>> = [[7; 40], [9; 40]].map(|der| Arc::from(der.as_slice())).into();
        let at = ClockReading { time: UnixMillis(1), source: ClockSource::Development, error_ms: 0, epoch: 1 };
        Record { at, event: Event::CertificateInstalled { stamp, key_id: Arc::from([1]), serial, chain } }
    }

    fn chain(record: &Record) -> &[Arc<[u8]>] {
        let Event::CertificateInstalled { chain, .. } = &record.event else { panic!("{record:?}") };
        chain
    }

    #[test]
    fn issuers_are_in_memory_once_and_certificates_of_keys_are_left_alone() {
        let (mut one, mut other) = (installed(1), installed(2));
        let before = [one.clone(), other.clone()];
        let mut repeated = Repeated::default();
        repeated.share(&mut one);
        repeated.share(&mut other);
        assert!(Arc::ptr_eq(&chain(&one)[1], &chain(&other)[1]));
        assert!(!Arc::ptr_eq(&chain(&one)[0], &chain(&other)[0]));
        assert_eq!([one, other], before);
    }
}
