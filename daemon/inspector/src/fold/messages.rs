//! Everything signed but indicia: certificates, and what device keys and the authority said of value.

use super::{Fold, FoldError};
use crate::finding::Code;
use crate::mirror::Mirror;
use psd::authority::Act;
use psd::device::{Purpose, Spoiled};
use psd::evidence::{Answer, AuthorityKey, Statement, ValueFacts};
use psd::key::Role;
use psd::record::{Applied, AuthorityPurpose, Event, Indicium, Record, Stamp};
use psd::{PostageAmount, UnixMillis};
use psdd_wire::certificate::verify_end_entity;
use psdd_wire::evidence::{verify_answer, verify_instruction, verify_statement};
use std::sync::Arc;

/// The value that a record moves, or wants to.
#[derive(Clone, Copy)]
struct Value {
    stamp: Stamp,
    sequence: u64,
    amount: PostageAmount,
    at: UnixMillis,
}

impl Fold {
    /// Judges what is signed in a record.
    pub(super) fn signed(&mut self, leaf: u64, record: &Record, mirror: &mut Mirror) -> Result<(), FoldError> {
        let psd = record.event.stamp().map(|stamp| stamp.psd);
        let time = record.at.time;
        if let Err(what) = self.keep_certificate(&record.event, time) {
            self.find(Code::Certificate, psd, &[leaf], time, format!("the certificate at record {leaf}: {what}"));
        }
        if matches!(record.event, Event::InstructionTaken { .. }) {
            match self.instruction(record) {
                Ok((purpose, act)) => self.instructed.note(purpose, act),
                Err(what) => {
                    let says = format!("the instruction at record {leaf}: {what}");
                    self.find(Code::Instruction, None, &[leaf], time, says);
                }
            }
        }
        let spoiled = match spoiled(leaf, &record.event, mirror)? {
            Ok(spoiled) => spoiled,
            Err(what) => {
                self.find(Code::NotPermitted, psd, &[leaf], time, format!("record {leaf}: {what}"));
                None
            }
        };
        if let Err(what) = self.value(&record.event, time, spoiled.as_ref()) {
            self.find(Code::ValueUnproven, psd, &[leaf], time, format!("record {leaf}: {what}"));
        }
        Ok(())
    }

    /// Keeps the key of a certificate that leads to the pinned root and is that of its record.
    pub(super) fn keep_certificate(&mut self, event: &Event, at: UnixMillis) -> Result<(), String> {
        match event {
            Event::CertificateInstalled { stamp, key_id, serial, chain } => {
                let certified = self.root.certify(chain).map_err(|error| error.to_string())?;
                if !certified.valid_at(at) {
                    return Err(format!("it, or an issuer of it, was not valid at {at}"));
                }
                let psd = self.appliance.as_ref().and_then(|appliance| appliance.psds.get(&stamp.psd));
                let key = psd.and_then(|psd| psd.state().key(key_id)).ok_or("it is for a key that was never made")?;
                if *key.key.spki != *certified.spki() {
                    return Err("its public key is not that of the record".to_owned());
                }
                if certified.serial() != *serial {
                    return Err(format!("its serial number is {}, by the record it is {serial}", certified.serial()));
                }
                if let Some(named) = certified.psd().filter(|named| *named != stamp.psd) {
                    return Err(format!("it names device {named}"));
                }
                let role = key.key.role;
                if matches!(role, Role::Indicium | Role::Certification) {
                    self.certificates.insert((stamp.psd, role, *serial), Arc::new(certified));
                }
                Ok(())
            }
            Event::AuthorityKeyInstalled { purpose, certificate } => {
                let chain: [&[u8]; 1] = [certificate];
                let key = verify_end_entity(&chain, self.root.der(), at).map_err(|error| error.to_string())?;
                let key = AuthorityKey { certificate: Arc::clone(certificate), spki: key.spki.into() };
                self.authority.insert(purpose.number(), key);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What the instruction in a record wants, if the authority signed it.
    pub(super) fn instruction(&self, record: &Record) -> Result<(AuthorityPurpose, Act), String> {
        let Event::InstructionTaken { purpose, number, instruction } = &record.event else {
            return Err("it is none".to_owned());
        };
        let key = self.authority.get(&purpose.number()).ok_or("there is no such key of the authority")?;
        let appliance = self.appliance.as_ref().ok_or("there is no genesis")?;
        let judged = verify_instruction(instruction, key, &appliance.genesis.appliance, record.at.time);
        let (told, act) = judged.map_err(|error| error.to_string())?;
        if told != *number {
            return Err(format!("its number is {told}, by the record it is {number}"));
        }
        Ok((*purpose, act))
    }

    /// Signed messages that value moves by.
    fn value(&self, event: &Event, at: UnixMillis, spoiled: Option<&(u64, Indicium)>) -> Result<(), String> {
        match event {
            Event::ValueRequested { stamp, value_sequence, amount, request, purpose, .. } => {
                let statement = match purpose {
                    Purpose::Withdrawal => Statement::WithdrawalRequest,
                    Purpose::Download | Purpose::Refund(_) => Statement::Request,
                };
                let value = Value { stamp: *stamp, sequence: *value_sequence, amount: *amount, at };
                self.by_device_key(statement, request, value, spoiled)
            }
            Event::ValueVoided { stamp, value_sequence, amount, statement, .. } => {
                let value = Value { stamp: *stamp, sequence: *value_sequence, amount: *amount, at };
                self.by_device_key(Statement::Void, statement, value, spoiled)
            }
            Event::ValueApplied { stamp, value_sequence, amount, authorisation, .. } => {
                let value = Value { stamp: *stamp, sequence: *value_sequence, amount: *amount, at };
                self.by_the_authority(Answer::Authorisation, authorisation, value, spoiled)
            }
            Event::Withdrawn { stamp, value_sequence, amount, acknowledgement, report, .. } => {
                let value = Value { stamp: *stamp, sequence: *value_sequence, amount: *amount, at };
                self.by_the_authority(Answer::Acknowledgement, acknowledgement, value, spoiled)?;
                self.by_device_key(Statement::WithdrawalReport, report, value, spoiled)
            }
            _ => Ok(()),
        }
    }

    fn by_the_authority(
        &self,
        answer: Answer,
        message: &[u8],
        value: Value,
        spoiled: Option<&(u64, Indicium)>,
    ) -> Result<(), String> {
        let key = self.authority.get(&AuthorityPurpose::Funds.number());
        let key = key.ok_or("value moves, and there is no funds key of the authority")?;
        let facts = self.facts_of(value, spoiled)?;
        verify_answer(answer, message, key, &facts).map_err(|error| format!("the authority's answer: {error}"))
    }

    /// While keys change, the older generation may still have signed.
    fn by_device_key(
        &self,
        statement: Statement,
        message: &[u8],
        value: Value,
        spoiled: Option<&(u64, Indicium)>,
    ) -> Result<(), String> {
        let facts = self.facts_of(value, spoiled)?;
        let psd = self.appliance.as_ref().and_then(|appliance| appliance.psds.get(&value.stamp.psd));
        let keys = psd.into_iter().flat_map(|psd| psd.state().keys.iter().rev());
        let keys = keys.filter(|key| key.key.role == Role::Device && key.life.activated.is_some());
        let mut verdict = Err("there is no device key that could have signed its statement".to_owned());
        for key in keys {
            match verify_statement(statement, message, &key.key.spki, &facts) {
                Ok(()) => return Ok(()),
                Err(error) => verdict = Err(format!("the device key's statement: {error}")),
            }
        }
        verdict
    }

    fn facts_of<'a>(
        &'a self,
        value: Value,
        spoiled: Option<&'a (u64, Indicium)>,
    ) -> Result<ValueFacts<'a>, &'static str> {
        let appliance = self.appliance.as_ref().ok_or("there is no genesis")?;
        let Value { stamp, sequence, amount, at } = value;
        Ok(ValueFacts {
            appliance: &appliance.genesis.appliance,
            psd: stamp.psd,
            sequence,
            amount,
            refund: spoiled.map(|(leaf, piece)| (*leaf, piece)),
            registers: stamp.registers,
            at,
        })
    }
}

/// The spoiled mark of a refund as it stands in the log; inside, what is wrong with it.
fn spoiled(
    leaf: u64,
    event: &Event,
    mirror: &mut Mirror,
) -> Result<Result<Option<(u64, Indicium)>, String>, FoldError> {
    let (stamp, amount, piece) = match event {
        Event::ValueRequested { stamp, amount, purpose: Purpose::Refund(spoiled), .. }
        | Event::ValueApplied { stamp, amount, applied: Applied::Refund(spoiled), .. } => (stamp, amount, *spoiled),
        _ => return Ok(Ok(None)),
    };
    let Spoiled { leaf: piece, ascending } = piece;
    if piece >= leaf {
        return Ok(Err(format!("the refunded piece at record {piece} comes later")));
    }
    let wrong = |what: &str| Ok(Err(format!("the refunded piece at record {piece} {what}")));
    match Record::decode(mirror.entry(piece)?).map(|record| record.event) {
        Ok(Event::Indicium(spoiled)) if spoiled.stamp.psd != stamp.psd => wrong("is of another PSD"),
        Ok(Event::Indicium(spoiled)) if spoiled.postage != *amount => wrong("has another postage"),
        Ok(Event::Indicium(spoiled)) if spoiled.stamp.registers.ascending() != ascending => {
            wrong("has another ascending register")
        }
        Ok(Event::Indicium(spoiled)) => Ok(Ok(Some((piece, spoiled)))),
        Ok(_) | Err(_) => wrong("is no indicium"),
    }
}
