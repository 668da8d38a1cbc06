//! What makes an answer believable.
//!
//! Owns every judgement on what comes back; does no IO. [`AuthorityRoot`], [`CertifiedKey`] and [`offline`] are public, so that
//! marks can be judged without any connection.

mod book;
mod chain;
mod checkpoints;
pub(crate) mod history;
pub mod offline;
mod piece;
mod revocation;

pub use chain::{AuthorityRoot, CertifiedKey, ChainError};
pub use revocation::Revocations;

pub(crate) use book::Book;
pub(crate) use checkpoints::Checkpoints;
pub(crate) use history::History;
pub(crate) use piece::{Proven, fields_match, registers_of, registers_of_view, verify_signatures};

use psd::indicium::{DecodeError, Mismatch};
use psd::{PieceKey, PsdId, UnixMillis};
use psdd_wire::checkpoint::CheckpointError;
use psdd_wire::cose::CoseError;

/// What is wrong with an answer that keeps the contract.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// A result carries another key than the item it answers.
    #[error("result {index} carries key {told}, item {index} has {asked}")]
    Key {
        /// Index in the request.
        index: usize,
        /// The item's key.
        asked: PieceKey,
        /// The result's key, hex.
        told: String,
    },
    /// Another PSD signed.
    #[error("piece {key} was signed by {told}, asked for was {asked}")]
    Psd {
        /// The piece.
        key: PieceKey,
        /// Asked for.
        asked: PsdId,
        /// Told.
        told: PsdId,
    },
    /// A PSD of another licence signed.
    #[error("piece {key} was signed by {psd} of licence {told:?}, asked for was {asked:?}")]
    Licence {
        /// The piece.
        key: PieceKey,
        /// The device.
        psd: PsdId,
        /// Asked for.
        asked: String,
        /// Told.
        told: String,
    },
    /// The registers told do not add up.
    #[error("registers of {psd} at sequence {sequence}: ascending + descending is not the control total")]
    ControlTotal {
        /// The device.
        psd: PsdId,
        /// Of its records.
        sequence: u64,
    },
    /// The registers did not move by the postage from one result to another.
    #[error("registers of {psd} from sequence {from} to {to}: {what}")]
    Movement {
        /// The device.
        psd: PsdId,
        /// The earlier record.
        from: u64,
        /// The later record.
        to: u64,
        /// What does not hold.
        what: &'static str,
    },
    /// One debit was told for two pieces, or two debits for one piece.
    #[error("sequence {sequence} of {psd} was told for piece {before} and now for {now}: a replay")]
    Replayed {
        /// The device.
        psd: PsdId,
        /// Of its records.
        sequence: u64,
        /// The piece it was told for before.
        before: PieceKey,
        /// The piece it is told for now.
        now: PieceKey,
    },
    /// A repetition gave other bytes than the first answer.
    #[error("piece {key} was answered twice with different results")]
    Changed {
        /// The piece.
        key: PieceKey,
    },
    /// The bytes are no indicium of the PSD's layout.
    #[error("indicium of piece {key}: {source}")]
    Indicium {
        /// The piece.
        key: PieceKey,
        /// What the decoder says.
        source: DecodeError,
    },
    /// A field of the indicium is not what was asked or told.
    #[error("indicium of piece {key}: {mismatch}")]
    Field {
        /// The piece.
        key: PieceKey,
        /// The field, in the indicium and as asked or told.
        mismatch: Mismatch,
    },
    /// A digital token is not one, is missing, or was not asked for.
    #[error("digital token of piece {key}: {what}")]
    Token {
        /// The piece.
        key: PieceKey,
        /// What is wrong.
        what: String,
    },
    /// A certification is not one, or says something else than was asked or told.
    #[error("certification of piece {key}: {what}")]
    Certification {
        /// The piece.
        key: PieceKey,
        /// What is wrong.
        what: &'static str,
    },
    /// What is told of a run is not so, or not what was asked.
    #[error("run {run}: {what}")]
    Run {
        /// The run.
        run: String,
        /// What is wrong.
        what: &'static str,
    },
    /// What a number leads to has no key.
    #[error("number {number}: its certification has the key {told}, which is no UUID of version 7")]
    Number {
        /// The number.
        number: String,
        /// The key told, hex.
        told: String,
    },
    /// A receipt does not prove that the record of the piece stands in the log.
    #[error("receipt of piece {key}: {source}")]
    Receipt {
        /// The piece.
        key: PieceKey,
        /// What is wrong.
        source: psdd_wire::receipt::ReceiptError,
    },
    /// The signature is not of the certified key.
    #[error("piece {key}: the signature does not verify under certificate {serial}")]
    Signature {
        /// The piece.
        key: PieceKey,
        /// Serial in what was signed.
        serial: u32,
    },
    /// The PSD has no certificate with the serial in the indicium.
    #[error("piece {key}: {psd} has no certificate with serial {serial} for a key that signs such pieces")]
    UnknownCertificate {
        /// The piece.
        key: PieceKey,
        /// The device.
        psd: PsdId,
        /// Serial in what was signed.
        serial: u32,
    },
    /// The certificate was not valid when the piece was signed.
    #[error("piece {key}: certificate {serial} was not valid at {at}")]
    NotValidAt {
        /// The piece.
        key: PieceKey,
        /// Serial in what was signed.
        serial: u32,
        /// Time of signing as told.
        at: UnixMillis,
    },
    /// A certificate does not lead to the pinned root.
    #[error("certificate {serial} of {psd}: {source}")]
    Chain {
        /// The device.
        psd: PsdId,
        /// Serial as told.
        serial: u32,
        /// Why.
        source: ChainError,
    },
    /// The appliance serves another authority than the one pinned.
    #[error("the appliance names another postal authority than the root pinned in the configuration")]
    OtherAuthority,
    /// The appliance's name or log key changed under a running client.
    #[error("the appliance's name or log key is not the one it had when this client connected")]
    OtherLog,
    /// A checkpoint does not verify.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The log is shorter than one seen before.
    #[error("the log was rolled back: {}, seen before was {seen}", size_told(*.told))]
    RolledBack {
        /// Size told, if a checkpoint came at all.
        told: Option<u64>,
        /// Size of the newest checkpoint seen.
        seen: u64,
    },
    /// Two checkpoints of one size differ.
    #[error("the log has two different roots for size {size}: it was forked or rewritten")]
    Forked {
        /// Tree size.
        size: u64,
    },
    /// A value request is not signed by the PSD's device key.
    #[error("value request of {psd}: {source}")]
    ValueRequest {
        /// The device.
        psd: PsdId,
        /// Why.
        source: CoseError,
    },
    /// A value request or its effect says something else than was asked or authorised.
    #[error("value download of {psd}: {what} is {told}, expected {expected}")]
    Value {
        /// The device.
        psd: PsdId,
        /// What differs.
        what: &'static str,
        /// Told.
        told: String,
        /// Asked or authorised.
        expected: String,
    },
}

fn size_told(size: Option<u64>) -> String {
    size.map_or_else(|| "no checkpoint came".to_owned(), |size| format!("size {size}"))
}
