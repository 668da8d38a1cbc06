//! Indicium layouts behind a plug.
//!
//! A layout is one file and one line in [`FORMATS`]. The encoder runs in the core for every piece; decoder and verifier
//! serve `psdctl`, the SDK and inspectors. The signature is made by the token; here is only what it covers.

mod address;
pub mod ibi;
mod zips;

pub use address::{AddressError, Destination, LicensingZip, RateCategory};
pub use zips::ZipRange;

use crate::id::PsdId;
use crate::money::PostageAmount;
use crate::register::Registers;
use crate::time::MailingDate;

/// Everything that goes into an indicium before it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// The device.
    pub psd: PsdId,
    /// Serial of the certificate of the key that will sign.
    pub certificate_serial: u32,
    /// Registers *after* this piece.
    pub registers: Registers,
    /// Postage of this piece.
    pub postage: PostageAmount,
    /// Day of mailing.
    pub date: MailingDate,
    /// ZIP of the licence.
    pub licensing_zip: LicensingZip,
    /// Where the piece goes.
    pub destination: Destination,
    /// Rate category.
    pub rate: RateCategory,
    /// Software that made it; [`ibi::SPECIMEN`] where nothing may be posted with it.
    pub software_id: [u8; 6],
}

/// What a decoder reads. Nothing here is proven until the signature is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// Name of the layout.
    pub format: &'static str,
    /// Version byte.
    pub version: u8,
    /// Algorithm byte.
    pub algorithm: u8,
    /// Serial of the certificate.
    pub certificate_serial: u32,
    /// Device ID as printed for people. Not always a valid [`PsdId`]: other vendors' marks are read too.
    pub device: String,
    /// The device ID, where it is one of ours in form.
    pub psd: Option<PsdId>,
    /// Ascending register, mills.
    pub ascending: PostageAmount,
    /// Postage, mills.
    pub postage: PostageAmount,
    /// Date of mailing as the number in the mark, YYYYMMDD.
    pub date: u32,
    /// Licensing ZIP as the number in the mark.
    pub licensing_zip: u32,
    /// Destination as the number in the mark.
    pub destination: u64,
    /// Software ID.
    pub software_id: [u8; 6],
    /// Descending register, mills.
    pub descending: PostageAmount,
    /// Rate category.
    pub rate: [u8; 4],
    /// The bytes the signature covers.
    pub signed: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// Special-purpose data after the signature, not covered by it.
    pub special: Vec<u8>,
    /// Whether the signed bytes say that it is a specimen.
    pub specimen: bool,
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
}

/// A layout.
pub trait Format: Sync {
    /// The name it is selected by in a licence.
    fn name(&self) -> &'static str;
    /// Appends the bytes to sign. On error nothing is appended.
    fn encode_unsigned(&self, fields: &Fields, out: &mut Vec<u8>) -> Result<(), Unencodable>;
    /// The largest ascending and the largest descending register there is room for.
    fn largest_registers(&self) -> (PostageAmount, PostageAmount);
    /// Joins signed bytes and signature to the bytes of the symbol.
    fn join(&self, signed: &[u8], signature: &[u8]) -> Vec<u8>;
    /// Reads a symbol.
    fn decode(&self, bytes: &[u8]) -> Result<Decoded, DecodeError>;
    /// The ascending register inside bytes to sign, or `None` where they are not of this layout. The token worker
    /// compares it with the last committed one before it signs.
    fn committed_ascending(&self, signed: &[u8]) -> Option<PostageAmount>;
}

/// All layouts.
pub const FORMATS: &[&dyn Format] = &[&ibi::Ibi];

/// The layout of that name.
pub fn format_named(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// The ascending register inside bytes to sign, for the first layout that knows them as its own.
pub fn committed_ascending(signed: &[u8]) -> Option<PostageAmount> {
    FORMATS.iter().find_map(|format| format.committed_ascending(signed))
}
