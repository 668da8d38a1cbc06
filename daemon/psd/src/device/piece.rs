//! The debit: from an accepted item to the exact bytes to sign.

use super::Psd;
use crate::clock::{ClockReading, ClockStop};
use crate::id::{PieceKey, TenantName};
use crate::indicium::{Details, Fields, Format};
use crate::key::{Key, Role};
use crate::lifecycle::Lifecycle;
use crate::money::PostageAmount;
use crate::record::{Environment, Event, Indicium, Record};
use crate::refusal::Refusal;
use crate::register::RegisterError;
use crate::time::MailingDate;
use std::sync::Arc;

/// One item of a sign request, valid in itself.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The client's idempotency key.
    pub key: PieceKey,
    /// SHA-256 of the content as received, before a PSD is selected.
    pub digest: [u8; 32],
    /// Postage of the piece, or value of the voucher.
    pub postage: PostageAmount,
    /// What the mark says beyond that.
    pub details: Details,
    /// Salted hash of the recipient, if one was given.
    pub recipient: Option<[u8; 32]>,
    /// The client's own reference.
    pub reference: Option<Arc<str>>,
    /// Weight in grams.
    pub weight_g: Option<u64>,
}

/// Days of mailing, and first days of vouchers, accepted, relative to the day of the clock reading in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DateWindow {
    /// Days into the past.
    pub back_days: u16,
    /// Days ahead.
    pub ahead_days: u16,
}

/// What a piece is judged under, the same for all pieces of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct PieceContext<'a> {
    /// The scope of the keys.
    pub tenant: &'a TenantName,
    /// The time, or why there is none.
    pub clock: Result<ClockReading, ClockStop>,
    /// Days accepted.
    pub window: DateWindow,
    /// Of the appliance; development marks are specimens.
    pub environment: Environment,
}

/// A piece that is debited in memory and waits for its signature.
///
/// It must become a record or be dropped together with everything after it on this PSD.
#[must_use = "a prepared piece is a debit: sign and commit it, or restore the PSD"]
#[derive(Clone)]
pub struct PreparedPiece {
    at: ClockReading,
    format: &'static dyn Format,
    unsigned: Indicium,
}

impl Psd {
    /// Judges a piece, then debits it. The order of checks is that of the variants of [`Refusal`].
    pub fn prepare(&mut self, piece: &Piece, context: &PieceContext<'_>) -> Result<PreparedPiece, Refusal> {
        let state = self.state();
        if state.lifecycle != Lifecycle::Active {
            return Err(Refusal::NotActive(state.lifecycle));
        }
        if !state.locks.is_empty() {
            return Err(Refusal::Locked(state.locks));
        }
        if state.is_withdrawing() {
            return Err(Refusal::Withdrawing);
        }
        let at = context.clock?;
        let in_use = state.key_in_use(Role::Indicium).and_then(|certified| certified.key.certificate_serial);
        let certificate_serial = in_use.ok_or(Refusal::NoCertifiedKey)?;
        let (takes, asked) = (self.identity.format.kind(), piece.details.kind());
        if takes != asked {
            return Err(Refusal::WrongKind { format: self.identity.format.name(), takes, asked });
        }
        context.window.admit(piece.details.first_day(), at)?;
        self.within_limits(piece.postage)?;
        let (registers, short) = match state.registers.debited(piece.postage) {
            Ok(registers) => (registers, false),
            // Judged as if there were funds, so that shortage is the last thing told.
            Err(RegisterError::InsufficientFunds) => (state.registers, true),
            Err(RegisterError::Overflow | RegisterError::ControlTotal) => {
                return Err(Refusal::Unencodable { format: self.identity.format.name(), field: "a register" });
            }
        };
        let fields = Fields {
            psd: self.identity.psd,
            certificate_serial,
            registers,
            postage: piece.postage,
            currency: self.identity.currency,
            licensing_zip: self.identity.licensing_zip,
            software_id: self.identity.software_id,
            specimen: context.environment.makes_specimens(),
            details: &piece.details,
        };
        let mut message = Vec::with_capacity(64);
        self.identity
            .format
            .encode_unsigned(&fields, &mut message)
            .map_err(|e| Refusal::Unencodable { format: e.format, field: e.field })?;
        if short {
            return Err(Refusal::InsufficientFunds { postage: piece.postage, descending: registers.descending() });
        }
        // From here on nothing fails.
        self.state.registers = registers;
        let stamp = self.next_stamp();
        let unsigned = Indicium {
            stamp,
            tenant: context.tenant.clone(),
            key: piece.key,
            digest: piece.digest,
            postage: piece.postage,
            indicium: message,
            recipient: piece.recipient,
            reference: piece.reference.clone(),
            weight_g: piece.weight_g,
        };
        Ok(PreparedPiece { at, format: self.identity.format, unsigned })
    }

    /// The largest postage that registers and layout have room for, whatever state, limits and clock say.
    pub fn spendable(&self) -> PostageAmount {
        let registers = &self.state.registers;
        let (largest_ascending, largest_descending) = self.identity.format.largest_registers();
        if registers.descending() > largest_descending {
            return PostageAmount::ZERO;
        }
        let room = largest_ascending.checked_sub(registers.ascending()).unwrap_or(PostageAmount::ZERO);
        registers.descending().min(room)
    }

    /// The key that signs this PSD's indicia now.
    pub fn signing_key(&self) -> Option<&Key> {
        self.key_in_use(Role::Indicium).map(|certified| &certified.key)
    }

    fn within_limits(&self, postage: PostageAmount) -> Result<(), Refusal> {
        let limits = &self.identity.limits;
        if postage < limits.smallest_postage {
            return Err(Refusal::PostageTooSmall { postage, smallest: limits.smallest_postage });
        }
        if postage > limits.largest_postage {
            return Err(Refusal::PostageTooLarge { postage, largest: limits.largest_postage });
        }
        Ok(())
    }
}

impl PreparedPiece {
    /// The bytes to sign.
    pub fn message(&self) -> &[u8] {
        &self.unsigned.indicium
    }

    /// The client's key.
    pub fn key(&self) -> PieceKey {
        self.unsigned.key
    }

    /// Puts the signature to the message; the outcome is what the ledger stores.
    pub fn signed(self, signature: &[u8]) -> Record {
        let symbol = self.format.join(&self.unsigned.indicium, signature);
        Record { at: self.at, event: Event::Indicium(Indicium { indicium: symbol, ..self.unsigned }) }
    }
}

impl DateWindow {
    fn admit(self, date: MailingDate, at: ClockReading) -> Result<(), Refusal> {
        let today = MailingDate::of(at.time).map_or(0, MailingDate::day_number);
        let (first, last) = (today - i64::from(self.back_days), today + i64::from(self.ahead_days));
        if (first..=last).contains(&date.day_number()) {
            return Ok(());
        }
        let day = |number| MailingDate::from_day_number(number).unwrap_or(date);
        Err(Refusal::DateOutOfWindow { date, from: day(first), to: day(last) })
    }
}
