//! One record: whether it is one, whether it follows from those before it, and how to go on where it does not.

use super::{Fold, FoldError, Job, mark_digest};
use crate::finding::Code;
use crate::mirror::Mirror;
use psd::appliance::{Appliance, FollowError};
use psd::clock::ClockReading;
use psd::device::ReplayError;
use psd::record::{Claim, Event, Record, RecordError, Stamp};
use psd::{PostageAmount, PsdId, Registers, UnixMillis};

impl Fold {
    /// Takes in the next record, and says whose it is. What is wrong with it becomes findings.
    pub(super) fn take(
        &mut self,
        leaf: u64,
        bytes: &[u8],
        mirror: &mut Mirror,
        jobs: &mut Vec<Job>,
    ) -> Result<Option<PsdId>, FoldError> {
        let mut record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(error) => {
                self.malformed(leaf, bytes, &error);
                return Ok(None);
            }
        };
        self.repeated.share(&mut record);
        self.clock(leaf, record.at);
        if self.appliance.is_none() {
            self.appliance = Some(Appliance::born(&record)?);
        } else {
            let before = self.appliance.as_ref().and_then(|appliance| appliance.standing(&record.event));
            self.digest(leaf, &record);
            self.follow(leaf, &record);
            let psd = record.event.stamp().map(|stamp| stamp.psd);
            if let Err(what) = self.instructed.admit(&record.event, before.as_ref()) {
                self.find(Code::Instruction, psd, &[leaf], record.at.time, format!("record {leaf}: {what}"));
            }
            match &record.event {
                Event::Indicium(piece) => {
                    jobs.extend(self.symbol(leaf, record.at.time, piece));
                    // What it signs is known of the symbol alone, whatever else is wrong with it.
                    let signed = psd::indicium::decode(&piece.indicium).map(|decoded| decoded.signed);
                    self.pieces.push(leaf, piece, mark_digest(&signed.unwrap_or_default()));
                }
                Event::Certification(piece) => {
                    jobs.extend(self.certification(leaf, record.at.time, piece));
                    self.piece_of_run(leaf, record.at.time, piece);
                    self.pieces.push_certified(leaf, piece);
                    self.payments.push(leaf, record.at.time, piece);
                }
                event => {
                    self.payments.note(leaf, event);
                    self.announced(leaf, &record);
                    self.run(leaf, &record);
                    self.signed(leaf, &record, mirror)?;
                }
            }
        }
        self.facts.note(leaf, &record.event);
        if let Some(stamp) = record.event.stamp() {
            self.tallies.entry(stamp.psd).or_default().note(leaf, &record);
        }
        self.fleet.note(leaf, &record);
        self.latest = Some((leaf, record.at));
        Ok(record.event.stamp().map(|stamp| stamp.psd))
    }

    /// Each step back is one finding; after it, time goes on from there.
    fn clock(&mut self, leaf: u64, at: ClockReading) {
        let Some((before, latest)) = self.latest else { return };
        if (at.epoch, at.time) >= (latest.epoch, latest.time) {
            return;
        }
        let says = format!("record {leaf} is of {at}, record {before} before it of {latest}");
        self.find(Code::TimeBackwards, None, &[before, leaf], at.time, says);
        if let Some(appliance) = &mut self.appliance {
            appliance.latest = at;
        }
    }

    fn digest(&mut self, leaf: u64, record: &Record) {
        let Event::StateDigest { digest, psds } = &record.event else { return };
        if self.facts.digest() != *digest || u64::try_from(self.facts.psds.len()) != Ok(*psds) {
            let says = format!("the state digest at record {leaf} is not that of the records before it");
            self.find(Code::StateDigest, None, &[leaf], record.at.time, says);
        }
    }

    fn follow(&mut self, leaf: u64, record: &Record) {
        let Some(appliance) = &mut self.appliance else { return };
        let stamp = record.event.stamp().copied();
        let before = stamp.and_then(|stamp| appliance.psds.get(&stamp.psd)).map(psd::Psd::stamp);
        let Err(error) = appliance.follow(record) else { return };
        match error {
            // There is nothing to go on from.
            FollowError::Genesis | FollowError::Psd(ReplayError::UnknownPsd(_)) => {}
            // The record is taken at its word from here on, so that what comes after it is judged by itself.
            FollowError::Time { .. }
            | FollowError::StateDigest
            | FollowError::Instruction { .. }
            | FollowError::Governance(_)
            | FollowError::Ceiling(_)
            | FollowError::Loaded
            | FollowError::NotDue(_)
            | FollowError::Policy(_)
            | FollowError::Certifying(_)
            | FollowError::PaidByRefunded(_)
            | FollowError::Psd(_) => drop(appliance.fold(record)),
        }
        let last = stamp.and_then(|stamp| self.tallies.get(&stamp.psd)).map(|tally| tally.last_leaf);
        let both: Vec<u64> = last.into_iter().chain([leaf]).collect();
        let (code, leaves, says) = match &error {
            FollowError::Psd(ReplayError::Sequence { found, expected, .. }) => {
                let says = format!("record {leaf} is number {found} of the PSD where {expected} must follow");
                (Code::SequenceGap, both, says)
            }
            FollowError::Psd(ReplayError::Registers { .. }) => {
                let (code, says) = registers(leaf, &record.event, before);
                (code, both, says)
            }
            FollowError::Instruction { .. } => (Code::Instruction, vec![leaf], format!("record {leaf}: {error}")),
            FollowError::PaidByRefunded(_) => (Code::PaidAndRefunded, vec![leaf], format!("record {leaf}: {error}")),
            FollowError::Genesis
            | FollowError::Time { .. }
            | FollowError::StateDigest
            | FollowError::Governance(_)
            | FollowError::Ceiling(_)
            | FollowError::Loaded
            | FollowError::NotDue(_)
            | FollowError::Policy(_)
            | FollowError::Certifying(_)
            | FollowError::Psd(ReplayError::UnknownPsd(_) | ReplayError::Contradiction { .. }) => {
                (Code::NotPermitted, vec![leaf], format!("record {leaf}: {error}"))
            }
        };
        self.find(code, stamp.map(|stamp| stamp.psd), &leaves, record.at.time, says);
    }

    /// Bytes that are no record: the registers may be what is wrong, and they are told.
    fn malformed(&mut self, leaf: u64, bytes: &[u8], error: &RecordError) {
        let time = self.latest.map_or(UnixMillis(0), |(_, at)| at.time);
        let claim = Claim::read(bytes);
        let psd = claim.map(|claim| claim.psd);
        match claim.filter(|claim| *error == RecordError::BadValue(5) && !claim.adds_up()) {
            Some(Claim { registers: [ascending, descending, control_total, _], .. }) => {
                let says = format!(
                    "record {leaf}: ascending {} + descending {} is not the control total {}",
                    Mills(ascending),
                    Mills(descending),
                    Mills(control_total)
                );
                self.find(Code::ControlTotal, psd, &[leaf], time, says);
            }
            None => self.find(Code::Malformed, psd, &[leaf], time, format!("record {leaf} is no record: {error}")),
        }
        let Some(Claim { psd, sequence, registers: [ascending, descending, _, pieces], .. }) = claim else { return };
        let amount = PostageAmount::from_mills;
        let sum = ascending.checked_add(descending).and_then(amount);
        let (Some(sum), Some(ascending), Some(descending)) = (sum, amount(ascending), amount(descending)) else {
            return;
        };
        let known = self.facts.psds.get_mut(&psd).filter(|facts| facts.sequence.checked_add(1) == Some(sequence));
        if let (Some(facts), Ok(registers)) = (known, Registers::from_parts(ascending, descending, sum, pieces)) {
            (facts.sequence, facts.registers) = (sequence, registers);
            self.set(psd, sequence, registers);
            self.tallies.entry(psd).or_default().last_leaf = leaf;
        }
    }
}

/// What is wrong with registers that add up and do not follow.
fn registers(leaf: u64, event: &Event, before: Option<Stamp>) -> (Code, String) {
    let (Some(now), Some(before)) = (event.stamp(), before) else {
        return (Code::Registers, format!("record {leaf}: the registers do not follow from the record before it"));
    };
    let (now, before) = (now.registers, before.registers);
    let moves_value = matches!(event, Event::ValueApplied { .. } | Event::Withdrawn { .. });
    if !moves_value && now.control_total() != before.control_total() {
        let (now, before) = (now.control_total(), before.control_total());
        let says = format!("record {leaf} moves the control total from {before} to {now} without authorised value");
        return (Code::ControlTotal, says);
    }
    let says = format!(
        "record {leaf}: ascending {}, descending {}, {} pieces do not follow from {}, {}, {}",
        now.ascending(),
        now.descending(),
        now.piece_count(),
        before.ascending(),
        before.descending(),
        before.piece_count()
    );
    (Code::Registers, says)
}

/// Mills that need be no amount.
struct Mills(u64);

impl std::fmt::Display for Mills {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match PostageAmount::from_mills(self.0) {
            Some(amount) => write!(f, "{amount}"),
            None => write!(f, "{} mills", self.0),
        }
    }
}
