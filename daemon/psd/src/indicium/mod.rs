//! Indicium layouts behind a plug.
//!
//! A layout is one file and one line in [`FORMATS`]; nobody else knows its bytes. The encoder runs in the core for every piece; decoder
//! and comparison serve `psdctl`, the SDK and inspectors. The signature is made by the token; here is only what it covers.

mod address;
mod compare;
mod details;
pub mod ibi;
mod recorded;
pub mod voucher;
mod zips;

pub use address::{AddressError, Destination, LicensingZip, RateCategory};
pub use compare::{Issuer, Known, Mismatch, compare};
pub use details::{
    DecodedDetails, DecodedPostal, DecodedVoucher, Details, Holder, Kind, Postal, Validity, Voucher, VoucherError,
    VoucherKind,
};
pub use recorded::{RecordedError, decode_recorded};
pub use zips::ZipRange;

use crate::currency::Currency;
use crate::id::PsdId;
use crate::money::PostageAmount;
use crate::register::Registers;

/// Everything that goes into an indicium before it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// The device.
    pub psd: PsdId,
    /// Serial of the certificate of the key that will sign.
    pub certificate_serial: u32,
    /// Registers *after* this piece.
    pub registers: Registers,
    /// Postage of this piece, or the value of this voucher.
    pub postage: PostageAmount,
    /// What the amounts count.
    pub currency: Currency,
    /// ZIP of the licence.
    pub licensing_zip: LicensingZip,
    /// Software that made it.
    pub software_id: [u8; 6],
    /// Whether nothing may be posted with it; the layout says it in the signed bytes.
    pub specimen: bool,
    /// What the piece says of itself.
    pub details: &'a Details,
}

/// What a decoder reads. Nothing here is proven until the signature is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// Name of the layout.
    pub format: &'static str,
    /// Serial of the certificate.
    pub certificate_serial: u32,
    /// Device ID as printed for people. Not always a valid [`PsdId`]: other vendors' marks are read too.
    pub device: String,
    /// The device ID, where it is one of ours in form.
    pub psd: Option<PsdId>,
    /// Ascending register, mills.
    pub ascending: PostageAmount,
    /// Descending register, mills.
    pub descending: PostageAmount,
    /// Postage, or the value of a voucher, mills.
    pub postage: PostageAmount,
    /// What the amounts count: said by the mark, or by its layout.
    pub currency: Currency,
    /// Date of mailing, or first day of a voucher, as a number, YYYYMMDD.
    pub date: u32,
    /// What else it says.
    pub details: DecodedDetails,
    /// The bytes the signature covers.
    pub signed: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// Special-purpose data after the signature, not covered by it.
    pub special: Vec<u8>,
    /// Whether the signed bytes say that it is a specimen.
    pub specimen: bool,
}

/// A field of a symbol, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Where it begins in the symbol.
    pub offset: usize,
    /// How many bytes it has.
    pub length: usize,
    /// Its name.
    pub name: &'static str,
    /// What the bytes say.
    pub meaning: Meaning,
}

/// What a field says; the one who shows it chooses the form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// Words.
    Text(String),
    /// Bytes that are printable as a rule.
    Ascii(Vec<u8>),
    /// An amount, with words to follow it.
    Amount(PostageAmount, &'static str),
    /// A day, YYYYMMDD.
    Day(u32),
    /// A licensing ZIP.
    Zip(u32),
    /// A destination.
    Destination(u64),
}

/// A field does not fit the layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field} does not fit the {format} layout")]
pub struct Unencodable {
    /// The layout.
    pub format: &'static str,
    /// The field.
    pub field: &'static str,
}

/// The bytes are no indicium of this layout.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Too few bytes.
    #[error("{have} bytes are too few for an {format} indicium; it has {need} or more")]
    TooShort {
        /// The layout.
        format: &'static str,
        /// Bytes given.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// Not of the form.
    #[error("not a {format}: {what}")]
    Malformed {
        /// The layout.
        format: &'static str,
        /// What is wrong.
        what: &'static str,
    },
}

/// A layout.
pub trait Format: Sync {
    /// The name it is selected by in a licence.
    fn name(&self) -> &'static str;
    /// The kind of details it takes.
    fn kind(&self) -> Kind;
    /// Whether its marks can be of a device whose registers count this currency.
    fn counts(&self, currency: Currency) -> bool;
    /// Appends the bytes to sign. On error nothing is appended.
    fn encode_unsigned(&self, fields: &Fields<'_>, out: &mut Vec<u8>) -> Result<(), Unencodable>;
    /// The largest ascending and the largest descending register there is room for.
    fn largest_registers(&self) -> (PostageAmount, PostageAmount);
    /// Joins signed bytes and signature to the bytes of the symbol.
    fn join(&self, signed: &[u8], signature: &[u8]) -> Vec<u8>;
    /// Whether a symbol looks like one of this layout: for those who do not know of which it is.
    fn recognises(&self, symbol: &[u8]) -> bool;
    /// Reads a symbol.
    fn decode(&self, bytes: &[u8]) -> Result<Decoded, DecodeError>;
    /// The fields of a symbol in their order, every byte in one of them.
    fn parts(&self, bytes: &[u8]) -> Result<Vec<Part>, DecodeError>;
    /// Compares what only this layout says with what is known; [`compare`] does the rest.
    fn compare_own(&self, mark: &Decoded, known: &Known<'_>) -> Result<(), Mismatch>;
    /// The ascending register inside bytes to sign, or `None` where they are not of this layout. The token worker
    /// compares it with the last committed one before it signs.
    fn committed_ascending(&self, signed: &[u8]) -> Option<PostageAmount>;
    /// Whether some reader might take a message for bytes to sign of this layout, however it is encoded. Keys of other roles never
    /// sign such a message.
    fn resembles(&self, message: &[u8]) -> bool;
}

/// All layouts. IBI, which has no mark of its own that other vendors' symbols share, recognises everything and stands last.
pub const FORMATS: &[&dyn Format] = &[&voucher::Vouchers, &ibi::Ibi];

/// The layout of that name.
pub fn format_named(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// Reads a symbol of any layout.
pub fn decode(symbol: &[u8]) -> Result<Decoded, DecodeError> {
    let format = FORMATS.iter().find(|format| format.recognises(symbol)).copied().unwrap_or(&ibi::Ibi);
    format.decode(symbol)
}

/// The ascending register inside bytes to sign, for the first layout that knows them as its own.
pub fn committed_ascending(signed: &[u8]) -> Option<PostageAmount> {
    FORMATS.iter().find_map(|format| format.committed_ascending(signed))
}

/// Whether some reader might take a message for an indicium of any layout.
pub fn resembles_indicium(message: &[u8]) -> bool {
    FORMATS.iter().any(|format| format.resembles(message))
}
