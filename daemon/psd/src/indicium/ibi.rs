//! The IBI layout (DOMAIN.md, "Indicium layouts"): 49 bytes, a signature of 64, then special-purpose data.
//!
//! Integers are little-endian; registers and postage are in mills (1/10 cent). The signature, ECDSA P-256 over SHA-256,
//! covers the first 49 bytes. Both registers are those *after* the piece.

use super::{
    DecodeError, Decoded, DecodedDetails, DecodedPostal, Details, Fields, Format, Kind, Known, Meaning, Mismatch, Part,
    Unencodable,
};
use crate::currency::Currency;
use crate::id::PsdId;
use crate::money::PostageAmount;
use std::fmt;

/// Bytes that the signature covers.
pub const SIGNED_LEN: usize = 49;
/// Bytes of an ECDSA P-256 signature, r‖s.
pub const SIGNATURE_LEN: usize = 64;
/// Version byte of the marks made here.
pub const VERSION: u8 = 1;
/// Algorithm byte of ECDSA P-256 with SHA-256. The published layouts leave the value open; this one is ours.
pub const ECDSA_P256: u8 = 4;
/// The software ID that says, under the signature, that a mark is worth nothing.
pub const SPECIMEN: [u8; 6] = *b"SPECIM";

/// The layout.
#[derive(Debug)]
pub struct Ibi;

const NAME: &str = "ibi";

impl Format for Ibi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Postal
    }

    /// The layout has no room for a currency: it is that of the United States' postal service.
    fn counts(&self, currency: Currency) -> bool {
        currency == Currency::USD
    }

    fn encode_unsigned(&self, fields: &Fields<'_>, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let Details::Postal(postal) = fields.details else {
            return Err(Unencodable { format: NAME, field: "a voucher item" });
        };
        let ascending = fit::<5>(fields.registers.ascending().mills(), "the ascending register")?;
        let postage = fit::<3>(fields.postage.mills(), "postage")?;
        let destination = fit::<5>(postal.destination.number(), "the destination")?;
        let descending = fit::<4>(fields.registers.descending().mills(), "the descending register")?;
        out.extend([VERSION, ECDSA_P256]);
        out.extend(fields.certificate_serial.to_le_bytes());
        out.extend(fields.psd.manufacturer());
        out.extend(fields.psd.model());
        out.extend(fields.psd.serial().to_le_bytes());
        out.extend(ascending);
        out.extend(postage);
        out.extend(postal.date.yyyymmdd().to_le_bytes());
        out.extend(fields.licensing_zip.number().to_le_bytes());
        out.extend(destination);
        out.extend(software_id(fields.software_id, fields.specimen));
        out.extend(descending);
        out.extend(postal.rate.as_bytes());
        Ok(())
    }

    fn largest_registers(&self) -> (PostageAmount, PostageAmount) {
        (amount_at::<5>(&[0xff; 5], 0), amount_at::<4>(&[0xff; 4], 0))
    }

    fn join(&self, signed: &[u8], signature: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(signed.len() + signature.len());
        bytes.extend_from_slice(signed);
        bytes.extend_from_slice(signature);
        bytes
    }

    fn recognises(&self, _symbol: &[u8]) -> bool {
        true
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, DecodeError> {
        let need = SIGNED_LEN + SIGNATURE_LEN;
        if bytes.len() < need {
            return Err(DecodeError::TooShort { format: NAME, have: bytes.len(), need });
        }
        let (signed, rest) = bytes.split_at(SIGNED_LEN);
        let (signature, special) = rest.split_at(SIGNATURE_LEN);
        let serial = u32_at(signed, 10);
        let (manufacturer, model) = ([signed[6], signed[7]], [signed[8], signed[9]]);
        let psd = PsdId::new(manufacturer, model, serial);
        let foreign = || format!("{}{}{serial:010}", printable(&manufacturer), printable(&model));
        Ok(Decoded {
            format: NAME,
            certificate_serial: u32_at(signed, 2),
            device: psd.map_or_else(foreign, |psd| psd.text().as_str().to_owned()),
            psd,
            ascending: amount_at::<5>(signed, 14),
            descending: amount_at::<4>(signed, 41),
            postage: amount_at::<3>(signed, 19),
            currency: Currency::USD,
            date: u32_at(signed, 22),
            details: DecodedDetails::Postal(DecodedPostal {
                licensing_zip: u32_at(signed, 26),
                destination: integer_at::<5>(signed, 30),
                rate: array_at(signed, 45),
            }),
            signed: signed.to_vec(),
            signature: signature.to_vec(),
            special: special.to_vec(),
            specimen: software_id_at(signed) == SPECIMEN,
        })
    }

    fn parts(&self, bytes: &[u8]) -> Result<Vec<Part>, DecodeError> {
        let mark = self.decode(bytes)?;
        let DecodedDetails::Postal(postal) = mark.details else { return Ok(Vec::new()) };
        let signed = mark.signed.as_slice();
        let ascii = |from: usize, to: usize| Meaning::Ascii(signed[from..to].to_vec());
        let text = |text: &dyn fmt::Display| Meaning::Text(text.to_string());
        let algorithm = if signed[1] == ECDSA_P256 { "ECDSA P-256, SHA-256" } else { "not known" };
        let serial = format!("{} (0x{0:08x})", mark.certificate_serial);
        let fields = [
            ("version", 1, text(&signed[0])),
            ("algorithm", 1, text(&algorithm)),
            ("certificate serial", 4, Meaning::Text(serial)),
            ("manufacturer", 2, ascii(6, 8)),
            ("model", 2, ascii(8, 10)),
            ("device serial", 4, Meaning::Text(format!("{:010}", u32_at(signed, 10)))),
            ("ascending register", 5, Meaning::Amount(mark.ascending, "ever used")),
            ("postage", 3, Meaning::Amount(mark.postage, "")),
            ("date of mailing", 4, Meaning::Day(mark.date)),
            ("licensing ZIP", 4, Meaning::Zip(postal.licensing_zip)),
            ("destination", 5, Meaning::Destination(postal.destination)),
            ("software ID", 6, ascii(35, 41)),
            ("descending register", 4, Meaning::Amount(mark.descending, "left")),
            ("rate category", 4, ascii(45, 49)),
            ("signature", SIGNATURE_LEN, text(&"r‖s, over the first 49 bytes")),
            ("special purpose", mark.special.len(), text(&"not signed")),
        ];
        let mut offset = 0;
        let placed = fields.into_iter().filter(|(_, length, _)| *length > 0).map(|(name, length, meaning)| {
            offset += length;
            Part { offset: offset - length, length, name, meaning }
        });
        Ok(placed.collect())
    }

    fn compare_own(&self, mark: &Decoded, known: &Known<'_>) -> Result<(), Mismatch> {
        let DecodedDetails::Postal(found) = &mark.details else {
            return Mismatch::unless("format", &mark.format, &NAME, false);
        };
        if let Some(issuer) = known.issuer {
            let [id, expected] = [software_id_at(&mark.signed), software_id(issuer.software_id, issuer.specimen)];
            Mismatch::unless("software ID", &Hex(&id), &Hex(&expected), id == expected)?;
            let (zip, expected) = (found.licensing_zip, issuer.licensing_zip.number());
            Mismatch::unless("licensing ZIP", &zip, &expected, zip == expected)?;
        }
        let asked = match known.details {
            None => return Ok(()),
            Some(Details::Postal(asked)) => asked,
            Some(other) => return Mismatch::unless("item", &Kind::Postal, &other.kind(), false),
        };
        let (date, destination) = (asked.date.yyyymmdd(), asked.destination.number());
        let rate = String::from_utf8_lossy(&found.rate);
        Mismatch::unless("date", &mark.date, &date, mark.date == date)?;
        Mismatch::unless("destination", &found.destination, &destination, found.destination == destination)?;
        Mismatch::unless("rate", &rate, &asked.rate, found.rate == *asked.rate.as_bytes())
    }

    fn committed_ascending(&self, signed: &[u8]) -> Option<PostageAmount> {
        let ours = signed.len() == SIGNED_LEN && signed[0] == VERSION && signed[1] == ECDSA_P256;
        ours.then(|| amount_at::<5>(signed, 14))
    }

    /// It has one encoding.
    fn resembles(&self, message: &[u8]) -> bool {
        self.committed_ascending(message).is_some()
    }
}

/// The software ID of a mark: the licence's, or the word that says it is worth nothing.
fn software_id(licensed: [u8; 6], specimen: bool) -> [u8; 6] {
    if specimen { SPECIMEN } else { licensed }
}

fn software_id_at(signed: &[u8]) -> [u8; 6] {
    array_at(signed, 35)
}

/// Bytes in hex.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn fit<const N: usize>(value: u64, field: &'static str) -> Result<[u8; N], Unencodable> {
    let bytes = value.to_le_bytes();
    if bytes[N..].iter().any(|b| *b != 0) {
        return Err(Unencodable { format: NAME, field });
    }
    Ok(array_at(&bytes, 0))
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

fn integer_at<const N: usize>(bytes: &[u8], offset: usize) -> u64 {
    bytes[offset..offset + N].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

fn amount_at<const N: usize>(bytes: &[u8], offset: usize) -> PostageAmount {
    // Five bytes at most: always below the largest amount.
    PostageAmount::from_mills(integer_at::<N>(bytes, offset)).unwrap_or(PostageAmount::MAX)
}

fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registers;
    use crate::indicium::{Issuer, Postal, compare};
    use proptest::prelude::*;

    fn details() -> Details {
        Details::Postal(Postal {
            date: "2026-11-20".parse().unwrap(),
            destination: "20500-0003".parse().unwrap(),
            rate: "FCL".parse().unwrap(),
        })
    }

    fn fields(details: &Details, ascending: u64, descending: u64, postage: u64) -> Fields<'_> {
        let amount = |mills| PostageAmount::from_mills(mills).unwrap();
        Fields {
            psd: "062S0007358267".parse().unwrap(),
            certificate_serial: 0x0102_0304,
            registers: Registers::from_parts(amount(ascending), amount(descending), amount(ascending + descending), 9)
                .unwrap(),
            postage: amount(postage),
            currency: Currency::USD,
            licensing_zip: "94301".parse().unwrap(),
            software_id: *b"psdd01",
            specimen: false,
            details,
        }
    }

    fn encoded(fields: &Fields<'_>) -> Result<Vec<u8>, Unencodable> {
        let mut out = Vec::new();
        Ibi.encode_unsigned(fields, &mut out).map(|()| out)
    }

    #[test]
    fn the_bytes_stand_where_the_layout_says() {
        let bytes = encoded(&fields(&details(), 0x0102030405, 0x11223344, 730)).unwrap();
        let expected: Vec<u8> = [
            &[1, 4][..],
            &[4, 3, 2, 1],
            b"062S",
            &7_358_267u32.to_le_bytes(),
            &[5, 4, 3, 2, 1],
            &[0xda, 2, 0],
            &20_261_120u32.to_le_bytes(),
            &94_301u32.to_le_bytes(),
            &20_500_000_300u64.to_le_bytes()[..5],
            b"psdd01",
            &[0x44, 0x33, 0x22, 0x11],
            b"FCL ",
        ]
        .concat();
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), SIGNED_LEN);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_named() {
        let field = |ascending, descending, postage| {
            encoded(&fields(&details(), ascending, descending, postage)).unwrap_err().field
        };
        assert_eq!(field(1 << 40, 0, 1), "the ascending register");
        assert_eq!(field(1, 1 << 32, 1), "the descending register");
        assert_eq!(field(1, 1, 1 << 24), "postage");
        assert!(encoded(&fields(&details(), (1 << 40) - 1, (1 << 32) - 1, (1 << 24) - 1)).is_ok());
    }

    #[test]
    fn every_field_that_differs_is_named() {
        let details = details();
        let fields = fields(&details, 5_000, 1_000, 730);
        let mark = |fields: &Fields<'_>| Ibi.decode(&Ibi.join(&encoded(fields).unwrap(), &[7; SIGNATURE_LEN])).unwrap();
        let issuer = Issuer { licensing_zip: fields.licensing_zip, software_id: fields.software_id, specimen: false };
        let (registers, postage) = (fields.registers, Some(fields.postage));
        let known = Known {
            psd: fields.psd,
            registers: &registers,
            postage,
            currency: Some(Currency::USD),
            issuer: Some(issuer),
            details: Some(&details),
        };
        let amount = |mills| PostageAmount::from_mills(mills).unwrap();
        let moved = |a, d| Registers::from_parts(amount(a), amount(d), amount(a + d), 9).unwrap();
        let Details::Postal(postal) = details else { panic!() };
        let other = |postal: Postal| Details::Postal(postal);
        let date = other(Postal { date: "2026-11-21".parse().unwrap(), ..postal });
        let destination = other(Postal { destination: "20500".parse().unwrap(), ..postal });
        let rate = other(Postal { rate: "PRES".parse().unwrap(), ..postal });
        let rows = [
            (Fields { psd: "062S0007358268".parse().unwrap(), ..fields }, "device"),
            (Fields { registers: moved(5_001, 1_000), ..fields }, "ascending register"),
            (Fields { registers: moved(5_000, 1_001), ..fields }, "descending register"),
            (Fields { postage: amount(731), ..fields }, "postage"),
            (Fields { software_id: *b"psdd02", ..fields }, "software ID"),
            (Fields { specimen: true, ..fields }, "software ID"),
            (Fields { licensing_zip: "94302".parse().unwrap(), ..fields }, "licensing ZIP"),
            (Fields { details: &date, ..fields }, "date"),
            (Fields { details: &destination, ..fields }, "destination"),
            (Fields { details: &rate, ..fields }, "rate"),
        ];
        assert_eq!(compare(&Ibi, &mark(&fields), &known), Ok(()));
        for (fields, field) in rows {
            assert_eq!(compare(&Ibi, &mark(&fields), &known).map_err(|mismatch| mismatch.field), Err(field));
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(a in 0u64..1 << 40, d in 0u64..1 << 32, p in 0u64..1 << 24, special: Vec<u8>) {
            let details = details();
            let fields = fields(&details, a, d, p);
            let signed = encoded(&fields).unwrap();
            let mut symbol = Ibi.join(&signed, &[7; SIGNATURE_LEN]);
            symbol.extend(&special);
            let decoded = Ibi.decode(&symbol).unwrap();
            prop_assert_eq!(decoded.psd, Some(fields.psd));
            prop_assert_eq!(&decoded.device, "062S0007358267");
            prop_assert_eq!(decoded.ascending.mills(), a);
            prop_assert_eq!(decoded.descending.mills(), d);
            prop_assert_eq!(decoded.postage.mills(), p);
            let known = Known {
                psd: fields.psd,
                registers: &fields.registers,
                postage: Some(fields.postage),
                currency: Some(Currency::USD),
                issuer: Some(Issuer { licensing_zip: fields.licensing_zip, software_id: fields.software_id, specimen: false }),
                details: Some(&details),
            };
            prop_assert_eq!(compare(&Ibi, &decoded, &known), Ok(()));
            let parts = Ibi.parts(&symbol).unwrap();
            prop_assert!(parts.windows(2).all(|two| two[0].offset + two[0].length == two[1].offset));
            prop_assert_eq!(parts.last().map(|part| part.offset + part.length), Some(symbol.len()));
            prop_assert_eq!(decoded.special, special);
            prop_assert_eq!(Ibi.committed_ascending(&signed).unwrap().mills(), a);
        }

        #[test]
        fn no_bytes_make_the_decoder_fail_that_are_long_enough(bytes: Vec<u8>) {
            prop_assert_eq!(Ibi.decode(&bytes).is_ok(), bytes.len() >= SIGNED_LEN + SIGNATURE_LEN);
        }
    }
}
