//! The debit: from an accepted item to the exact bytes to sign.

use super::Psd;
use crate::certification::{Certifier, Proof, claims, join, to_be_signed};
use crate::clock::{ClockReading, ClockStop};
use crate::digital_token::{AddressCode, DigitalToken, Party, TokenData, TokenDataError};
use crate::id::{PieceKey, TenantName};
use crate::indicium::{Details, Fields, Format};
use crate::key::{Algorithm, Key, Role};
use crate::lifecycle::Lifecycle;
use crate::money::PostageAmount;
use crate::record::{CertifiedPiece, Environment, Event, Indicium, Record, Stamp};
use crate::refusal::Refusal;
use crate::register::{RegisterError, Registers};
use crate::time::MailingDate;
use std::sync::Arc;

/// One item of a sign request, valid in itself.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The client's idempotency key.
    pub key: PieceKey,
    /// SHA-256 of the content as received, before a PSD is selected.
    pub digest: [u8; 32],
    /// Postage of the piece, value of the voucher, or shortfall of what is certified.
    pub postage: PostageAmount,
    /// What the mark says beyond that.
    pub details: Details,
    /// Salted hash of the recipient, if one was given.
    pub recipient: Option<[u8; 32]>,
    /// The client's own reference.
    pub reference: Option<Arc<str>>,
    /// Weight in grams.
    pub weight_g: Option<u64>,
    /// The recipient's address code, where a digital token is asked for.
    pub token: Option<AddressCode>,
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
    unsigned: Unsigned,
}

/// The record to be, with the bytes to sign where the signed ones will stand.
#[derive(Clone)]
enum Unsigned {
    /// With what its digital token is made of, where one was asked for.
    Indicium(&'static dyn Format, Indicium, Option<Box<TokenData>>),
    Certification(CertifiedPiece),
    /// Complete as it is: a receipt is to prove it.
    Proven(CertifiedPiece),
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
        let signer = piece.details.signed_by().map(|role| self.signer(role)).transpose()?;
        if piece.token.is_some() {
            self.has_token_keys()?;
        }
        match &piece.details {
            Details::Certification(what, dues) => {
                let run = self.in_run(what, dues.as_ref())?;
                let certifier = |registers| Certifier {
                    psd: self.identity.psd,
                    certificate_serial: signer.map(|(serial, _)| serial),
                    registers,
                    currency: self.identity.currency,
                    specimen: context.environment.makes_specimens(),
                };
                let message = |registers| {
                    let unencodable = Refusal::Unencodable { format: "certification", field: "the key's algorithm" };
                    let certifier = certifier(registers);
                    match signer {
                        Some((_, algorithm)) => to_be_signed(&certifier, what, algorithm).ok_or(unencodable),
                        None => Ok(claims(&certifier, what)),
                    }
                };
                let (registers, certification) = self.judged(piece, context, at, message)?;
                // From here on nothing fails.
                let stamp = self.debit(registers);
                let piece = CertifiedPiece {
                    stamp,
                    tenant: context.tenant.clone(),
                    key: piece.key,
                    digest: piece.digest,
                    debited: piece.postage,
                    certification,
                    reference: piece.reference.clone(),
                    mark: piece.details.paying_mark(),
                    run,
                };
                let unsigned = match what.proof {
                    Proof::Signature => Unsigned::Certification(piece),
                    Proof::Receipt => Unsigned::Proven(piece),
                };
                Ok(PreparedPiece { at, unsigned })
            }
            Details::NotCertifiable(.., not) => Err(Refusal::NotCertifiable(Arc::clone(not))),
            details @ (Details::Postal(_) | Details::Voucher(_)) => {
                let (certificate_serial, _) = signer.ok_or(Refusal::NoCertifiedKey(Role::Indicium))?;
                let (format, asked) = (self.identity.format, details.kind());
                if format.kind() != asked {
                    return Err(Refusal::WrongKind { format: format.name(), takes: format.kind(), asked });
                }
                let fields = |registers| Fields {
                    psd: self.identity.psd,
                    certificate_serial,
                    registers,
                    postage: piece.postage,
                    currency: self.identity.currency,
                    licensing_zip: self.identity.licensing_zip,
                    software_id: self.identity.software_id,
                    specimen: context.environment.makes_specimens(),
                    details,
                };
                let message = |registers| {
                    let mut message = Vec::with_capacity(64);
                    let encoded = format.encode_unsigned(&fields(registers), &mut message);
                    encoded.map_err(|e| Refusal::Unencodable { format: e.format, field: e.field })?;
                    Ok(message)
                };
                let (registers, indicium) = self.judged(piece, context, at, message)?;
                let token = self.token_data(piece, registers)?;
                // From here on nothing fails.
                let stamp = self.debit(registers);
                let unsigned = Indicium {
                    stamp,
                    tenant: context.tenant.clone(),
                    key: piece.key,
                    digest: piece.digest,
                    postage: piece.postage,
                    indicium,
                    recipient: piece.recipient,
                    reference: piece.reference.clone(),
                    weight_g: piece.weight_g,
                    token: None,
                };
                Ok(PreparedPiece { at, unsigned: Unsigned::Indicium(format, unsigned, token) })
            }
        }
    }

    /// What every piece is judged by in the end: its day, the limits, the registers. Gives the registers after it and the bytes to sign.
    fn judged(
        &self,
        piece: &Piece,
        context: &PieceContext<'_>,
        at: ClockReading,
        message: impl FnOnce(Registers) -> Result<Vec<u8>, Refusal>,
    ) -> Result<(Registers, Vec<u8>), Refusal> {
        context.window.admit(piece.details.first_day(), at)?;
        self.within_limits(piece)?;
        let before = self.state.registers;
        let (registers, short) = match before.debited(piece.postage) {
            Ok(registers) => (registers, false),
            // Judged as if there were funds, so that shortage is the last thing told.
            Err(RegisterError::InsufficientFunds) => (before, true),
            Err(RegisterError::Overflow | RegisterError::ControlTotal) => {
                return Err(Refusal::Unencodable { format: self.identity.format.name(), field: "a register" });
            }
        };
        let message = message(registers)?;
        if short {
            return Err(Refusal::InsufficientFunds { postage: piece.postage, descending: before.descending() });
        }
        Ok((registers, message))
    }

    fn debit(&mut self, registers: Registers) -> Stamp {
        self.state.registers = registers;
        self.next_stamp()
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

    /// The key of this role that signs this PSD's pieces now.
    pub fn signing_key(&self, role: Role) -> Option<&Key> {
        self.key_in_use(role).map(|certified| &certified.key)
    }

    /// Serial and algorithm of the key of this role, if it is certified.
    fn signer(&self, role: Role) -> Result<(u32, Algorithm), Refusal> {
        let of_key = |key: &Key| Some((key.certificate_serial?, key.algorithm));
        self.signing_key(role).and_then(of_key).ok_or(Refusal::NoCertifiedKey(role))
    }

    /// Whether both halves of a digital token can be made.
    fn has_token_keys(&self) -> Result<(), Refusal> {
        let mut roles = Party::BOTH.into_iter().map(Party::role);
        let missing = roles.find(|role| self.signing_key(*role).is_none());
        missing.map_or(Ok(()), |role| Err(Refusal::NoTokenKey(role)))
    }

    /// What the digital token of a piece is made of, with its number among the PSD's pieces: the piece count after it.
    fn token_data(&self, piece: &Piece, after: Registers) -> Result<Option<Box<TokenData>>, Refusal> {
        let (Some(recipient), Details::Postal(postal)) = (piece.token, &piece.details) else { return Ok(None) };
        let number = (self.identity.psd, after.piece_count());
        let data = TokenData::new(number, piece.postage, postal.date, postal.destination, recipient);
        // Whoever reads items takes the delivery point from the destination, so it lies there.
        let elsewhere = Refusal::Unencodable { format: "digital token", field: "the recipient" };
        data.map(|data| Some(Box::new(data))).map_err(|TokenDataError::Elsewhere { .. }| elsewhere)
    }

    /// A certification debits what is still owed, however little that is.
    fn within_limits(&self, piece: &Piece) -> Result<(), Refusal> {
        let (limits, postage) = (&self.identity.limits, piece.postage);
        if piece.details.signed_by() == Some(Role::Indicium) && postage < limits.smallest_postage {
            return Err(Refusal::PostageTooSmall { postage, smallest: limits.smallest_postage });
        }
        if postage > limits.largest_postage {
            return Err(Refusal::PostageTooLarge { postage, largest: limits.largest_postage });
        }
        Ok(())
    }
}

impl PreparedPiece {
    /// The bytes to sign; of a piece that a receipt is to prove, its claims.
    pub fn message(&self) -> &[u8] {
        match &self.unsigned {
            Unsigned::Indicium(_, unsigned, _) => &unsigned.indicium,
            Unsigned::Certification(unsigned) | Unsigned::Proven(unsigned) => &unsigned.certification,
        }
    }

    /// The client's key.
    pub fn key(&self) -> PieceKey {
        match &self.unsigned {
            Unsigned::Indicium(_, unsigned, _) => unsigned.key,
            Unsigned::Certification(unsigned) | Unsigned::Proven(unsigned) => unsigned.key,
        }
    }

    /// What its digital token is made of, where it is to have one.
    pub fn token_data(&self) -> Option<&TokenData> {
        match &self.unsigned {
            Unsigned::Indicium(_, _, token) => token.as_deref(),
            Unsigned::Certification(_) | Unsigned::Proven(_) => None,
        }
    }

    /// Puts its digital token to a piece that is to have one; others stay as they are.
    pub fn with_token(mut self, made: DigitalToken) -> Self {
        if let Unsigned::Indicium(_, unsigned, token) = &mut self.unsigned
            && token.take().is_some()
        {
            unsigned.token = Some(made);
        }
        self
    }

    /// The record of a piece that a receipt is to prove. One that is to be signed is incomplete without its signature.
    pub fn recorded(self) -> Record {
        debug_assert!(matches!(self.unsigned, Unsigned::Proven(_)), "a piece without its signature");
        self.signed(&[])
    }

    /// Puts the signature to the message; the outcome is what the ledger stores. A piece that is to have a digital token has it by now.
    pub fn signed(self, signature: &[u8]) -> Record {
        debug_assert!(self.token_data().is_none(), "a piece without its digital token");
        let event = match self.unsigned {
            Unsigned::Indicium(format, unsigned, _) => {
                let symbol = format.join(&unsigned.indicium, signature);
                Event::Indicium(Indicium { indicium: symbol, ..unsigned })
            }
            Unsigned::Certification(unsigned) => {
                let certification = join(&unsigned.certification, signature);
                Event::Certification(CertifiedPiece { certification, ..unsigned })
            }
            Unsigned::Proven(piece) => Event::Certification(piece),
        };
        Record { at: self.at, event }
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
