//! What a verification may find.

use psd::appliance::FollowError;
use psd::certification::{self, MarkId};
use psd::certifying::Unfounded;
use psd::indicium::RecordedError;
use psd::record::RecordError;
use psd::tree::Hash;
use psd::{PsdId, Registers, RunId};
use std::fmt;

/// The first thing that does not hold.
#[derive(Debug, thiserror::Error)]
#[error("{}{fault}", place(*.leaf))]
pub struct Finding {
    /// The record it was found at, where it is about one.
    pub leaf: Option<u64>,
    /// What does not hold.
    #[source]
    pub fault: Fault,
}

fn place(leaf: Option<u64>) -> String {
    leaf.map_or_else(String::new, |leaf| format!("record {leaf}: "))
}

/// What does not hold, with what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No head: leaf 0 was never committed.
    #[error("the ledger has no genesis: the appliance was never born")]
    NoGenesis,
    /// A record is missing.
    #[error("it is missing; the next one there is {}", shown(*.found))]
    Missing {
        /// The next leaf there is.
        found: Option<u64>,
    },
    /// A record beyond the head, or below zero.
    #[error("it lies outside the {size} records of the head")]
    Surplus {
        /// Size in the head.
        size: u64,
    },
    /// A record is damaged.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A record does not follow from those before it.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Leaf 0 names another authority root than the one given.
    #[error("leaf 0 names another authority root than the one given")]
    AuthorityRoot,
    /// A certificate does not chain to the root.
    #[error("the certificate does not hold: {0}")]
    Certificate(#[source] super::Refuted),
    /// A certificate is not for the key or the serial the record names.
    #[error("the certificate's {what} is not that of the record")]
    CertificateDiffers {
        /// Which.
        what: &'static str,
    },
    /// A COSE message does not hold.
    #[error("the signed message does not hold: {0}")]
    Message(#[source] super::Refuted),
    /// The spoiled mark is not what the refund says.
    #[error("the piece at leaf {leaf}, whose postage comes back, {what}")]
    Refund {
        /// The piece.
        leaf: u64,
        /// What does not hold.
        what: &'static str,
    },
    /// An instruction of the authority and its effect do not belong together.
    #[error("{0}")]
    Instruction(&'static str),
    /// No key that could have signed the message.
    #[error("there is no {0} that could have signed the message")]
    NoKey(&'static str),
    /// The symbol is not that of its record.
    #[error(transparent)]
    Symbol(#[from] RecordedError),
    /// The certification is not that of its record.
    #[error(transparent)]
    Certification(#[from] certification::RecordedError),
    /// The certification rests on a scale or a table that was not in force.
    #[error("the certification, or the run announced, does not rest on what was in force: {0}")]
    Unfounded(#[from] Unfounded),
    /// The symbol names a certificate that this PSD never had for a key of the role that signs it.
    #[error("the symbol names certificate {0}, which no key of the PSD that signs such pieces ever had")]
    UnknownCertificate(u32),
    /// The symbol names a certificate whose key was not the one in use.
    #[error("the symbol names certificate {0}, whose key was not in use at this record")]
    NotInUse(u32),
    /// The symbol's signature does not verify.
    #[error("the symbol's signature does not verify under certificate {0}")]
    Signature(u32),
    /// The row of the idempotency key.
    #[error("the index of keys has {} for its key, expected leaf {expected}", shown(*.found))]
    Piece {
        /// Leaf in the row, if there is one.
        found: Option<u64>,
        /// Its leaf.
        expected: u64,
    },
    /// The row of an indicium that paid for a certification.
    #[error(
        "the indicium of {} with ascending register {} pays here, and its row names {}: it paid twice, or the index was altered",
        .mark.psd, .mark.ascending, shown(*.found)
    )]
    Mark {
        /// Which.
        mark: MarkId,
        /// Leaf in the row, if there is one.
        found: Option<u64>,
    },
    /// A piece is not of its run, or a run is closed with another sum.
    #[error("run {run}: {what}")]
    Run {
        /// Which.
        run: RunId,
        /// What does not hold.
        what: &'static str,
    },
    /// Rows of pieces that are of no run.
    #[error("the index of pieces of runs has {rows} rows, the records name {expected}")]
    RunSurplus {
        /// There are.
        rows: i64,
        /// By the records.
        expected: u64,
    },
    /// Rows of indicia that paid for no certification.
    #[error("the index of paying indicia has {rows} rows, the records name {expected}")]
    MarkSurplus {
        /// There are.
        rows: i64,
        /// By the records.
        expected: u64,
    },
    /// The row of a piece with a digital token.
    #[error("piece {pieces} of {psd} has its digital token here, and its row names {}: the index was altered", shown(*.found))]
    Token {
        /// The PSD.
        psd: PsdId,
        /// Number of the piece among those of the PSD.
        pieces: u64,
        /// Leaf in the row, if there is one.
        found: Option<u64>,
    },
    /// Rows of pieces that have no digital token.
    #[error("the index of digital tokens has {rows} rows, the records name {expected}")]
    TokenSurplus {
        /// There are.
        rows: i64,
        /// By the records.
        expected: u64,
    },
    /// A row of the index without a record.
    #[error("the index of keys has a row (tenant {tenant}, key {key}) that no record has")]
    PieceSurplus {
        /// Number of the tenant.
        tenant: i64,
        /// Hex.
        key: String,
    },
    /// A personal field does not match its hash.
    #[error("the personal field kept beside it is not the one its record commits to")]
    Body,
    /// A tile is missing or wrong.
    #[error("tile {number} of level {level} {}", if *.missing { "is missing" } else { "is not that of the records" })]
    Tile {
        /// Level.
        level: u8,
        /// From the left.
        number: u64,
        /// Or wrong.
        missing: bool,
    },
    /// A tile that the records do not fill.
    #[error("there is a tile {number} of level {level}, which the records do not fill")]
    TileSurplus {
        /// Level.
        level: i64,
        /// From the left.
        number: i64,
    },
    /// The head's root or time.
    #[error("the head's {what} is {found}, by the records it is {expected}")]
    Head {
        /// Which.
        what: &'static str,
        /// In the head.
        found: String,
        /// By the records.
        expected: String,
    },
    /// A checkpoint's signature or text.
    #[error("the checkpoint of size {size} does not verify under the log key of leaf 0")]
    Checkpoint {
        /// By the table.
        size: u64,
    },
    /// A checkpoint's root.
    #[error("the checkpoint of size {size} has root {}, by the records it is {}", Hex(.found), Hex(.expected))]
    CheckpointRoot {
        /// Its size.
        size: u64,
        /// Signed.
        found: Hash,
        /// By the records.
        expected: Hash,
    },
    /// A checkpoint of more records than there are.
    #[error("a signed checkpoint covers {signed} records, the ledger has {size}: it was rolled back")]
    RolledBack {
        /// Signed.
        signed: u64,
        /// There are.
        size: u64,
    },
    /// The leaf noted for the last state digest.
    #[error("the last state digest is noted at {}, by the records it is {}", shown(*.found), shown(*.expected))]
    DigestLeaf {
        /// In `meta`.
        found: Option<u64>,
        /// By the records.
        expected: Option<u64>,
    },
    /// A row of registers.
    #[error("the row of PSD {psd} in {table} is {}, by its records it is {}", row(.found.as_ref()), row(.expected.as_ref()))]
    Registers {
        /// `register` or `snapshot`.
        table: &'static str,
        /// The PSD.
        psd: PsdId,
        /// Sequence and registers in the row, if there is one that adds up.
        found: Option<(u64, Registers)>,
        /// By the records; `None` if there is no such PSD.
        expected: Option<(u64, Registers)>,
    },
    /// A live row is missing.
    #[error("the live row ({psd:?}, {slot:?}) of it is missing")]
    LiveMissing {
        /// Text of the device ID; empty for the appliance.
        psd: String,
        /// The slot.
        slot: String,
    },
    /// A live row too many.
    #[error("there is a live row ({psd:?}, {slot:?}) of it, though it is not live")]
    LiveSurplus {
        /// Text of the device ID; empty for the appliance.
        psd: String,
        /// The slot.
        slot: String,
    },
}

/// Bytes in hex.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn shown(leaf: Option<u64>) -> String {
    leaf.map_or_else(|| "none".to_owned(), |leaf| format!("leaf {leaf}"))
}

fn row(row: Option<&(u64, Registers)>) -> String {
    let Some((sequence, registers)) = row else { return "not there".to_owned() };
    let (ascending, descending) = (registers.ascending(), registers.descending());
    let (total, pieces) = (registers.control_total(), registers.piece_count());
    format!("(sequence {sequence}: {ascending} + {descending} = {total}, {pieces} pieces)")
}
