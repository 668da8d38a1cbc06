//! Marks as a person sees them: a Data Matrix symbol (ISO/IEC 16022, ECC 200) with its human-readable lines.
//!
//! Owns the drawing. What is drawn is decoded from the symbol's bytes, so the lines can never say something else than the symbol.

pub mod png;
pub mod sheet;
pub mod svg;
mod symbol;
pub mod text;

pub use symbol::{MODULE_MM, QUIET_MODULES, Symbol};

use crate::output::priced;
use psd::MailingDate;
use psd::indicium::{Decoded, DecodedDetails, Destination, LicensingZip};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// A mark that cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// No symbol holds so many bytes.
    #[error("{bytes} bytes do not fit a Data Matrix symbol")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// The PNG encoder failed.
    #[error("cannot encode the PNG")]
    Png(#[from] ::png::EncodingError),
}

/// The lines beside the symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Legend {
    /// What the amount is.
    pub heading: &'static str,
    /// `$0.73`, or `$0.545` where there are half cents.
    pub postage: String,
    /// `NOV 20 2026`; the bare number where it is no day.
    pub date: String,
    /// Device ID.
    pub device: String,
    /// Two further lines in small print; an empty one is left out.
    pub small: [String; 2],
    /// Whether nothing may be posted with it.
    pub specimen: bool,
}

impl Legend {
    /// The lines of a mark.
    pub fn of(mark: &Decoded) -> Self {
        let DecodedDetails::Postal(postal) = &mark.details;
        let rate = printable(&postal.rate);
        let rate = if rate.is_empty() { rate } else { format!("RATE {rate}") };
        Self {
            heading: "US POSTAGE",
            postage: priced(mark.postage, mark.currency),
            date: day(mark.date),
            device: mark.device.clone(),
            small: [format!("MAILED FROM ZIP {}", zip(postal.licensing_zip)), rate],
            specimen: mark.specimen,
        }
    }
}

/// A day for people, from the number in a mark.
pub fn day(yyyymmdd: u32) -> String {
    let Some(date) = MailingDate::from_yyyymmdd(yyyymmdd) else { return yyyymmdd.to_string() };
    let number = date.yyyymmdd();
    let month = usize::try_from(number / 100 % 100).ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
    format!("{} {:02} {}", month.unwrap_or(&"?"), number % 100, number / 10_000)
}

/// A licensing ZIP for people; the bare number where it is none.
pub fn zip(number: u32) -> String {
    LicensingZip::from_number(number).map_or_else(|| number.to_string(), |zip| zip.to_string())
}

/// A destination for people; the bare number where it is none.
pub fn destination(number: u64) -> String {
    Destination::from_number(number).map_or_else(|| number.to_string(), |destination| destination.to_string())
}

/// ASCII as it stands, anything else as a middle dot; blanks at the end left out.
pub fn printable(bytes: &[u8]) -> String {
    let text: String =
        bytes.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '·' }).collect();
    text.trim_end().to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::input::{Mark, decode};
    use psd::indicium::ibi::Ibi;
    use psd::indicium::{Details, Fields, Format, Postal};
    use psd::{PostageAmount, Registers};

    /// A mark with any signature; `postage` in mills.
    pub(crate) fn mark(postage: u64, specimen: bool) -> (Vec<u8>, Decoded) {
        let amount = |mills| PostageAmount::from_mills(mills).unwrap();
        let (date, destination) = ("2026-11-20".parse().unwrap(), "20500-0003".parse().unwrap());
        let details = Details::Postal(Postal { date, destination, rate: "FCL".parse().unwrap() });
        let fields = Fields {
            psd: "062S0007358267".parse().unwrap(),
            certificate_serial: 0x0102_0304,
            registers: Registers::from_parts(amount(1_000_000), amount(5_000), amount(1_005_000), 9).unwrap(),
            postage: amount(postage),
            licensing_zip: "94301".parse().unwrap(),
            software_id: *b"psdd01",
            specimen,
            details: &details,
        };
        let mut bytes = Vec::new();
        Ibi.encode_unsigned(&fields, &mut bytes).unwrap();
        // Every byte value occurs, so that no encodation is favoured.
        bytes.extend((0..64u8).map(|n| n.wrapping_mul(73).wrapping_add(29)));
        let decoded = decode(&Mark { from: "test".to_owned(), bytes: bytes.clone() }).unwrap();
        (bytes, decoded)
    }

    #[test]
    fn the_legend_says_what_the_symbol_says() {
        let legend = Legend::of(&mark(545, true).1);
        let expected = Legend {
            heading: "US POSTAGE",
            postage: "$0.545".to_owned(),
            date: "NOV 20 2026".to_owned(),
            device: "062S0007358267".to_owned(),
            small: ["MAILED FROM ZIP 94301".to_owned(), "RATE FCL".to_owned()],
            specimen: true,
        };
        assert_eq!(legend, expected);
        assert_eq!(day(20_261_399), "20261399");
    }
}
