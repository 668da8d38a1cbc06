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
use psd::indicium::{Decoded, DecodedDetails, Destination, LicensingZip, Voucher};

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
    /// `$0.73`, `$0.545` where there are half cents, `25.00 EUR`.
    pub postage: String,
    /// `NOV 20 2026`, or `UNTIL NOV 20 2027`; the bare number where it is no day.
    pub date: String,
    /// Device ID.
    pub device: String,
    /// Further lines in small print, of at most 28 characters each.
    pub small: Vec<String>,
    /// Whether nothing may be posted with it.
    pub specimen: bool,
}

impl Legend {
    /// The lines of a mark.
    pub fn of(mark: &Decoded) -> Self {
        let (heading, date, small) = match &mark.details {
            DecodedDetails::Postal(postal) => {
                let rate = printable(&postal.rate);
                let rate = (!rate.is_empty()).then(|| format!("RATE {rate}"));
                let small = [format!("MAILED FROM ZIP {}", zip(postal.licensing_zip))].into_iter().chain(rate);
                ("US POSTAGE", day(mark.date), small.collect())
            }
            DecodedDetails::Voucher(voucher) => {
                let Voucher { kind, holder, validity } = &voucher.details;
                let holder = holder.as_ref().map(|holder| holder.as_str().to_owned());
                let small = [kind.to_string()].into_iter().chain(holder).chain([format!("FROM {}", day(mark.date))]);
                ("VOUCHER", format!("UNTIL {}", day(validity.until().yyyymmdd())), small.map(shortened).collect())
            }
        };
        let (postage, device) = (priced(mark.postage, mark.currency), mark.device.clone());
        Self { heading, postage, date, device, small, specimen: mark.specimen }
    }
}

/// What fits beside a symbol; the mark itself has the whole text.
fn shortened(text: String) -> String {
    const MOST: usize = 28;
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST - 3).chain(['.'; 3]).collect() }
}

/// The day or days that a mark speaks of, for people.
pub fn days(mark: &Decoded) -> String {
    match &mark.details {
        DecodedDetails::Postal(_) => day(mark.date),
        DecodedDetails::Voucher(voucher) => {
            format!("{} to {}", day(mark.date), day(voucher.details.validity.until().yyyymmdd()))
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
    use psd::indicium::voucher::Vouchers;
    use psd::indicium::{Details, Fields, Format, Postal};
    use psd::indicium::{Validity, Voucher};
    use psd::{Currency, PostageAmount, Registers};
    use std::sync::Arc;

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
            currency: Currency::USD,
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

    /// A voucher with any signature, as large as they come or as small.
    pub(crate) fn voucher(large: bool, specimen: bool) -> (Vec<u8>, Decoded) {
        let amount = |mills| PostageAmount::from_mills(mills).unwrap();
        let validity = Validity::new("2026-11-20".parse().unwrap(), "2027-11-20".parse().unwrap()).unwrap();
        let (kind, holder) = if large { ("k".repeat(32), Some("h".repeat(64))) } else { ("ticket".to_owned(), None) };
        let holder = holder.map(|holder| holder.parse().unwrap());
        let details = Details::Voucher(Arc::new(Voucher { kind: kind.parse().unwrap(), holder, validity }));
        let most = if large { PostageAmount::MAX.mills() } else { 100_000 };
        let fields = Fields {
            psd: "PS010000000001".parse().unwrap(),
            certificate_serial: if large { u32::MAX } else { 7 },
            registers: Registers::from_parts(
                amount(most - 1),
                amount(1),
                amount(most),
                if large { u64::MAX } else { 9 },
            )
            .unwrap(),
            postage: amount(if large { most - 1 } else { 25_000 }),
            currency: "EUR".parse().unwrap(),
            licensing_zip: "94301".parse().unwrap(),
            software_id: *b"psdd01",
            specimen,
            details: &details,
        };
        let mut signed = Vec::new();
        Vouchers.encode_unsigned(&fields, &mut signed).unwrap();
        let signature: Vec<u8> = (0..64u8).map(|n| n.wrapping_mul(73).wrapping_add(29)).collect();
        let bytes = Vouchers.join(&signed, &signature);
        let decoded = decode(&Mark { from: "test".to_owned(), bytes: bytes.clone() }).unwrap();
        (bytes, decoded)
    }

    #[test]
    fn a_voucher_says_what_it_is_good_for_and_when() {
        let mark = voucher(false, true).1;
        let expected = Legend {
            heading: "VOUCHER",
            postage: "25.00 EUR".to_owned(),
            date: "UNTIL NOV 20 2027".to_owned(),
            device: "PS010000000001".to_owned(),
            small: vec!["ticket".to_owned(), "FROM NOV 20 2026".to_owned()],
            specimen: true,
        };
        assert_eq!(Legend::of(&mark), expected);
        assert_eq!(days(&mark), "NOV 20 2026 to NOV 20 2027");
        let small = Legend::of(&voucher(true, true).1).small;
        assert_eq!(small[1], format!("{}...", "h".repeat(25)));
        assert!(small.iter().all(|line| line.chars().count() <= 28));
    }

    #[test]
    fn the_legend_says_what_the_symbol_says() {
        let legend = Legend::of(&mark(545, true).1);
        let expected = Legend {
            heading: "US POSTAGE",
            postage: "$0.545".to_owned(),
            date: "NOV 20 2026".to_owned(),
            device: "062S0007358267".to_owned(),
            small: vec!["MAILED FROM ZIP 94301".to_owned(), "RATE FCL".to_owned()],
            specimen: true,
        };
        assert_eq!(legend, expected);
        assert_eq!(day(20_261_399), "20261399");
    }
}
