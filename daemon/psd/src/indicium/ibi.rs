//! The IBI layout (DOMAIN.md, "Indicium layouts"): 49 bytes, a signature of 64, then special-purpose data.
//!
//! Integers are little-endian; registers and postage are in mills (1/10 cent). The signature, ECDSA P-256 over SHA-256,
//! covers the first 49 bytes. Both registers are those *after* the piece.

use super::{DecodeError, Decoded, Fields, Format, Unencodable};
use crate::id::PsdId;
use crate::money::PostageAmount;

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

    fn encode_unsigned(&self, fields: &Fields, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let ascending = fit::<5>(fields.registers.ascending().mills(), "the ascending register")?;
        let postage = fit::<3>(fields.postage.mills(), "postage")?;
        let destination = fit::<5>(fields.destination.number(), "the destination")?;
        let descending = fit::<4>(fields.registers.descending().mills(), "the descending register")?;
        out.extend([VERSION, ECDSA_P256]);
        out.extend(fields.certificate_serial.to_le_bytes());
        out.extend(fields.psd.manufacturer());
        out.extend(fields.psd.model());
        out.extend(fields.psd.serial().to_le_bytes());
        out.extend(ascending);
        out.extend(postage);
        out.extend(fields.date.yyyymmdd().to_le_bytes());
        out.extend(fields.licensing_zip.number().to_le_bytes());
        out.extend(destination);
        out.extend(fields.software_id);
        out.extend(descending);
        out.extend(fields.rate.as_bytes());
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

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, DecodeError> {
        let need = SIGNED_LEN + SIGNATURE_LEN;
        if bytes.len() < need {
            return Err(DecodeError::TooShort { format: NAME, have: bytes.len(), need });
        }
        let (signed, rest) = bytes.split_at(SIGNED_LEN);
        let (signature, special) = rest.split_at(SIGNATURE_LEN);
        let serial = u32_at(signed, 10);
        let (manufacturer, model) = ([signed[6], signed[7]], [signed[8], signed[9]]);
        let software_id = array_at(signed, 35);
        let psd = PsdId::new(manufacturer, model, serial);
        let foreign = || format!("{}{}{serial:010}", printable(&manufacturer), printable(&model));
        Ok(Decoded {
            format: NAME,
            version: signed[0],
            algorithm: signed[1],
            certificate_serial: u32_at(signed, 2),
            device: psd.map_or_else(foreign, |psd| psd.text().as_str().to_owned()),
            psd,
            ascending: amount_at::<5>(signed, 14),
            postage: amount_at::<3>(signed, 19),
            date: u32_at(signed, 22),
            licensing_zip: u32_at(signed, 26),
            destination: integer_at::<5>(signed, 30),
            software_id,
            descending: amount_at::<4>(signed, 41),
            rate: array_at(signed, 45),
            signed: signed.to_vec(),
            signature: signature.to_vec(),
            special: special.to_vec(),
            specimen: software_id == SPECIMEN,
        })
    }

    fn committed_ascending(&self, signed: &[u8]) -> Option<PostageAmount> {
        let ours = signed.len() == SIGNED_LEN && signed[0] == VERSION && signed[1] == ECDSA_P256;
        ours.then(|| amount_at::<5>(signed, 14))
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
    use proptest::prelude::*;

    fn fields(ascending: u64, descending: u64, postage: u64) -> Fields {
        let amount = |mills| PostageAmount::from_mills(mills).unwrap();
        Fields {
            psd: "062S0007358267".parse().unwrap(),
            certificate_serial: 0x0102_0304,
            registers: Registers::from_parts(amount(ascending), amount(descending), amount(ascending + descending), 9)
                .unwrap(),
            postage: amount(postage),
            date: "2026-11-20".parse().unwrap(),
            licensing_zip: "94301".parse().unwrap(),
            destination: "20500-0003".parse().unwrap(),
            rate: "FCL".parse().unwrap(),
            software_id: *b"psdd01",
        }
    }

    fn encoded(fields: &Fields) -> Result<Vec<u8>, Unencodable> {
        let mut out = Vec::new();
        Ibi.encode_unsigned(fields, &mut out).map(|()| out)
    }

    #[test]
    fn the_bytes_stand_where_the_layout_says() {
        let bytes = encoded(&fields(0x0102030405, 0x11223344, 730)).unwrap();
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
        let field =
            |ascending, descending, postage| encoded(&fields(ascending, descending, postage)).unwrap_err().field;
        assert_eq!(field(1 << 40, 0, 1), "the ascending register");
        assert_eq!(field(1, 1 << 32, 1), "the descending register");
        assert_eq!(field(1, 1, 1 << 24), "postage");
        assert!(encoded(&fields((1 << 40) - 1, (1 << 32) - 1, (1 << 24) - 1)).is_ok());
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(a in 0u64..1 << 40, d in 0u64..1 << 32, p in 0u64..1 << 24, special: Vec<u8>) {
            let fields = fields(a, d, p);
            let signed = encoded(&fields).unwrap();
            let mut symbol = Ibi.join(&signed, &[7; SIGNATURE_LEN]);
            symbol.extend(&special);
            let decoded = Ibi.decode(&symbol).unwrap();
            prop_assert_eq!(decoded.psd, Some(fields.psd));
            prop_assert_eq!(&decoded.device, "062S0007358267");
            prop_assert_eq!(decoded.ascending.mills(), a);
            prop_assert_eq!(decoded.descending.mills(), d);
            prop_assert_eq!(decoded.postage.mills(), p);
            prop_assert_eq!(decoded.destination, fields.destination.number());
            prop_assert_eq!(decoded.special, special);
            prop_assert_eq!(Ibi.committed_ascending(&signed).unwrap().mills(), a);
        }

        #[test]
        fn no_bytes_make_the_decoder_fail_that_are_long_enough(bytes: Vec<u8>) {
            prop_assert_eq!(Ibi.decode(&bytes).is_ok(), bytes.len() >= SIGNED_LEN + SIGNATURE_LEN);
        }
    }
}
