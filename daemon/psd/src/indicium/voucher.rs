//! The voucher layout: value other than postage (docs/protocol.md, "Vouchers").
//!
//! A tagged COSE_Sign1 (RFC 9052 §4.2) over `voucher-claims` of daemon/wire/psdd.cddl, which signs its Sig_structure (§4.4) with ECDSA
//! P-256 and SHA-256. Every voucher has one encoding, and nothing else is read: what a reader passed over could say something else to
//! another reader. Registers and count are those *after* the piece.

use super::details::{DecodedDetails, DecodedVoucher, Details, Holder, Kind, Validity, Voucher, VoucherKind};
use super::{DecodeError, Decoded, Fields, Format, Known, Meaning, Mismatch, Part, Unencodable};
use crate::claims::{ClaimsReader, ClaimsWriter, put_bytes};
use crate::currency::Currency;
use crate::id::PsdId;
use crate::money::PostageAmount;
use crate::register::Registers;
use crate::time::MailingDate;
use minicbor::Decoder;
use std::str::FromStr;

/// Content type in the protected header. No key but an indicium key signs a structure that names it.
pub const CONTENT_TYPE: &str = "application/psdd-voucher+cbor";

const NAME: &str = "voucher";
/// Bytes of an ECDSA P-256 signature, r‖s.
const SIGNATURE_LEN: usize = 64;

/// How every Sig_structure begins: context, protected header {1: −7, 3: [`CONTENT_TYPE`]}, no external data; the payload follows.
const SIGNED_HEAD: &[u8] = b"\x84\x6aSignature1\x58\x23\xa2\x01\x26\x03\x78\x1dapplication/psdd-voucher+cbor\x40";
/// How every symbol begins: tag, protected header, empty unprotected header; payload and signature follow.
const SYMBOL_HEAD: &[u8] = b"\xd2\x84\x58\x23\xa2\x01\x26\x03\x78\x1dapplication/psdd-voucher+cbor\xa0";
/// Tag 18 and an array of four, which no IBI mark begins with.
const COSE_SIGN1: &[u8] = b"\xd2\x84";

/// The layout.
#[derive(Debug)]
pub struct Vouchers;

impl Format for Vouchers {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Voucher
    }

    /// The claims name the currency.
    fn counts(&self, _currency: Currency) -> bool {
        true
    }

    /// Amounts are text: there is room for all.
    fn largest_registers(&self) -> (PostageAmount, PostageAmount) {
        (PostageAmount::MAX, PostageAmount::MAX)
    }

    fn encode_unsigned(&self, fields: &Fields<'_>, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let Details::Voucher(voucher) = fields.details else {
            return Err(Unencodable { format: NAME, field: "a postal item" });
        };
        let claims = Claims {
            psd: fields.psd,
            kind: voucher.kind.as_str(),
            value: fields.postage,
            holder: voucher.holder.as_ref().map(Holder::as_str),
            currency: fields.currency,
            specimen: fields.specimen,
            registers: fields.registers,
            validity: voucher.validity,
            certificate: fields.certificate_serial,
        };
        out.extend_from_slice(SIGNED_HEAD);
        put_bytes(out, &claims.write());
        Ok(())
    }

    fn join(&self, signed: &[u8], signature: &[u8]) -> Vec<u8> {
        let payload = signed.get(SIGNED_HEAD.len()..).unwrap_or_default();
        let mut symbol = Vec::with_capacity(SYMBOL_HEAD.len() + payload.len() + signature.len() + 2);
        symbol.extend_from_slice(SYMBOL_HEAD);
        symbol.extend_from_slice(payload);
        put_bytes(&mut symbol, signature);
        symbol
    }

    fn recognises(&self, symbol: &[u8]) -> bool {
        symbol.starts_with(COSE_SIGN1)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, DecodeError> {
        let (payload, signature) = taken_apart(bytes)?;
        let claims = Claims::read(payload)?;
        let voucher = DecodedVoucher {
            details: claims.details().map_err(malformed)?,
            control_total: claims.registers.control_total(),
            pieces: claims.registers.piece_count(),
        };
        Ok(Decoded {
            format: NAME,
            certificate_serial: claims.certificate,
            device: claims.psd.text().as_str().to_owned(),
            psd: Some(claims.psd),
            ascending: claims.registers.ascending(),
            descending: claims.registers.descending(),
            postage: claims.value,
            currency: claims.currency,
            date: claims.validity.from().yyyymmdd(),
            details: DecodedDetails::Voucher(Box::new(voucher)),
            signed: signed_over(payload),
            signature: signature.to_vec(),
            special: Vec::new(),
            specimen: claims.specimen,
        })
    }

    fn parts(&self, bytes: &[u8]) -> Result<Vec<Part>, DecodeError> {
        let (payload, _) = taken_apart(bytes)?;
        let claims = Claims::read(payload)?;
        let end = bytes.len() - SIGNATURE_LEN - 2;
        let begin = end - payload.len();
        let text = |text: &str| Meaning::Text(text.to_owned());
        let mut parts = vec![
            Part { offset: 0, length: SYMBOL_HEAD.len(), name: "COSE header", meaning: text("ES256, psdd-voucher") },
            Part {
                offset: SYMBOL_HEAD.len(),
                length: begin + 1 - SYMBOL_HEAD.len(),
                name: "claims",
                meaning: Meaning::Text(format!("{} bytes", payload.len())),
            },
        ];
        let mut decoder = Decoder::new(payload);
        let entries = decoder.map().ok().flatten().unwrap_or_default();
        for _ in 0..entries {
            let from = decoder.position();
            let key = decoder.str().ok().ok_or(malformed("keys are text"))?;
            decoder.skip().ok().ok_or(malformed("a claim has no value"))?;
            let (name, meaning) = claims.meaning_of(key);
            parts.push(Part { offset: begin + from, length: decoder.position() - from, name, meaning });
        }
        parts.push(Part {
            offset: end,
            length: bytes.len() - end,
            name: "signature",
            meaning: text("r‖s, over the Sig_structure"),
        });
        Ok(parts)
    }

    fn compare_own(&self, mark: &Decoded, known: &Known<'_>) -> Result<(), Mismatch> {
        let DecodedDetails::Voucher(found) = &mark.details else {
            return Mismatch::unless("format", &mark.format, &NAME, false);
        };
        let (total, pieces) = (known.registers.control_total(), known.registers.piece_count());
        Mismatch::unless("control total", &found.control_total, &total, found.control_total == total)?;
        Mismatch::unless("piece count", &found.pieces, &pieces, found.pieces == pieces)?;
        if let Some(issuer) = known.issuer {
            Mismatch::unless("specimen", &mark.specimen, &issuer.specimen, mark.specimen == issuer.specimen)?;
        }
        let asked = match known.details {
            None => return Ok(()),
            Some(Details::Voucher(asked)) => asked,
            Some(other) => return Mismatch::unless("item", &Kind::Voucher, &other.kind(), false),
        };
        let Voucher { kind, holder, validity } = &found.details;
        let text = |holder: &Option<Holder>| {
            holder.as_ref().map_or_else(|| "none".to_owned(), |holder| holder.as_str().to_owned())
        };
        let (from, until) = (validity.from(), validity.until());
        Mismatch::unless("kind", kind, &asked.kind, *kind == asked.kind)?;
        Mismatch::unless("holder", &text(holder), &text(&asked.holder), *holder == asked.holder)?;
        Mismatch::unless("first day", &from, &asked.validity.from(), from == asked.validity.from())?;
        Mismatch::unless("last day", &until, &asked.validity.until(), until == asked.validity.until())
    }

    fn committed_ascending(&self, signed: &[u8]) -> Option<PostageAmount> {
        let mut rest = Decoder::new(signed.strip_prefix(SIGNED_HEAD)?);
        let payload = rest.bytes().ok()?;
        let claims = Claims::read(payload).ok()?;
        // Whatever was written in another way, or follows, shows in the comparison.
        (signed_over(payload) == signed).then(|| claims.registers.ascending())
    }

    fn resembles(&self, message: &[u8]) -> bool {
        message.windows(CONTENT_TYPE.len()).any(|window| window == CONTENT_TYPE.as_bytes())
    }
}

const fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { format: NAME, what }
}

/// The Sig_structure over a payload.
fn signed_over(payload: &[u8]) -> Vec<u8> {
    let mut signed = Vec::with_capacity(SIGNED_HEAD.len() + payload.len() + 3);
    signed.extend_from_slice(SIGNED_HEAD);
    put_bytes(&mut signed, payload);
    signed
}

/// Payload and signature of a symbol that has the one form.
fn taken_apart(symbol: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let rest = symbol.strip_prefix(SYMBOL_HEAD).ok_or(malformed("it does not begin with the header of a voucher"))?;
    let mut decoder = Decoder::new(rest);
    let mut next = || decoder.bytes().ok();
    let (payload, signature) = next().zip(next()).ok_or(malformed("payload and signature are not two byte strings"))?;
    if signature.len() != SIGNATURE_LEN {
        return Err(malformed("the signature has not 64 bytes"));
    }
    let again = Vouchers.join(&signed_over(payload), signature);
    if again == symbol { Ok((payload, signature)) } else { Err(malformed("the encoding is not the deterministic one")) }
}

/// The claims, in the order of deterministic encoding (RFC 8949 §4.2.1).
struct Claims<'a> {
    psd: PsdId,
    kind: &'a str,
    value: PostageAmount,
    holder: Option<&'a str>,
    currency: Currency,
    specimen: bool,
    registers: Registers,
    validity: Validity,
    certificate: u32,
}

impl<'a> Claims<'a> {
    fn write(&self) -> Vec<u8> {
        let mut map = ClaimsWriter::begin(11 + u64::from(self.holder.is_some()) + u64::from(self.specimen));
        map.text("psd", self.psd.text().as_str());
        map.text("kind", self.kind);
        map.uint("count", self.registers.piece_count());
        map.text("value", &self.value.to_string());
        if let Some(holder) = self.holder {
            map.text("holder", holder);
        }
        map.text("currency", self.currency.as_str());
        if self.specimen {
            map.truth("specimen");
        }
        map.text("ascending", &self.registers.ascending().to_string());
        map.text("descending", &self.registers.descending().to_string());
        map.text("valid_from", &self.validity.from().to_string());
        map.uint("certificate", u64::from(self.certificate));
        map.text("valid_until", &self.validity.until().to_string());
        map.text("control_total", &self.registers.control_total().to_string());
        map.finish()
    }

    fn read(payload: &'a [u8]) -> Result<Self, DecodeError> {
        Self::read_map(payload).map_err(malformed)
    }

    fn read_map(payload: &'a [u8]) -> Result<Self, &'static str> {
        let mut map = ClaimsReader::begin(payload)?;
        let psd = map.parsed("psd")?;
        let kind = map.text("kind")?;
        let pieces = map.uint("count")?;
        let value = map.parsed("value")?;
        let holder = if map.next_is("holder") { Some(map.text("holder")?) } else { None };
        let currency = map.parsed("currency")?;
        let specimen = map.next_is("specimen") && map.truth("specimen")?;
        let ascending = map.parsed("ascending")?;
        let descending = map.parsed("descending")?;
        let from: MailingDate = map.parsed("valid_from")?;
        let certificate = map.uint("certificate")?;
        let until: MailingDate = map.parsed("valid_until")?;
        let control_total = map.parsed("control_total")?;
        let registers = Registers::from_parts(ascending, descending, control_total, pieces);
        let claims = Self {
            psd,
            kind,
            value,
            holder,
            currency,
            specimen,
            registers: registers.ok().ok_or("ascending + descending is not the control total")?,
            validity: Validity::new(from, until).ok().ok_or("no such validity is issued")?,
            certificate: u32::try_from(certificate).ok().ok_or("the certificate's serial has 32 bits")?,
        };
        claims.details()?;
        // Other forms of a number, of an amount or of a length, and what follows, show in the comparison.
        if claims.write() == payload { Ok(claims) } else { Err("the claims are not in deterministic encoding") }
    }

    fn details(&self) -> Result<Voucher, &'static str> {
        let kind = VoucherKind::from_str(self.kind).ok().ok_or("no such kind is issued")?;
        let holder = self.holder.map(Holder::from_str).transpose();
        let holder = holder.ok().ok_or("no such holder reference is issued")?;
        Ok(Voucher { kind, holder, validity: self.validity })
    }

    fn meaning_of(&self, key: &str) -> (&'static str, Meaning) {
        let text = |text: &str| Meaning::Text(text.to_owned());
        match key {
            "psd" => ("device", text(self.psd.text().as_str())),
            "kind" => ("kind", text(self.kind)),
            "count" => ("piece count", Meaning::Text(self.registers.piece_count().to_string())),
            "value" => ("value", Meaning::Amount(self.value, "")),
            "holder" => ("holder", text(self.holder.unwrap_or_default())),
            "currency" => ("currency", text(self.currency.as_str())),
            "specimen" => ("specimen", text("worth nothing")),
            "ascending" => ("ascending register", Meaning::Amount(self.registers.ascending(), "ever used")),
            "descending" => ("descending register", Meaning::Amount(self.registers.descending(), "left")),
            "valid_from" => ("first day", Meaning::Day(self.validity.from().yyyymmdd())),
            "certificate" => ("certificate serial", Meaning::Text(format!("{} (0x{0:08x})", self.certificate))),
            "valid_until" => ("last day", Meaning::Day(self.validity.until().yyyymmdd())),
            _ => ("control total", Meaning::Amount(self.registers.control_total(), "ever loaded")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicium::{Issuer, compare, decode};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn amount(mills: u64) -> PostageAmount {
        PostageAmount::from_mills(mills).unwrap()
    }

    fn details(kind: &str, holder: Option<&str>, until: &str) -> Details {
        let validity = Validity::new("2026-11-20".parse().unwrap(), until.parse().unwrap()).unwrap();
        let holder = holder.map(|holder| holder.parse().unwrap());
        Details::Voucher(Arc::new(Voucher { kind: kind.parse().unwrap(), holder, validity }))
    }

    fn ticket() -> Details {
        details("ticket", Some("seat 12 B"), "2027-11-20")
    }

    fn fields(details: &Details, ascending: u64, descending: u64, value: u64) -> Fields<'_> {
        let total = amount(ascending + descending);
        Fields {
            psd: "PS010000000001".parse().unwrap(),
            certificate_serial: 0x0102_0304,
            registers: Registers::from_parts(amount(ascending), amount(descending), total, 9).unwrap(),
            postage: amount(value),
            currency: "EUR".parse().unwrap(),
            licensing_zip: "94301".parse().unwrap(),
            software_id: *b"psdd01",
            specimen: true,
            details,
        }
    }

    fn signed(fields: &Fields<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        Vouchers.encode_unsigned(fields, &mut out).unwrap();
        out
    }

    fn symbol(fields: &Fields<'_>) -> Vec<u8> {
        Vouchers.join(&signed(fields), &[7; SIGNATURE_LEN])
    }

    /// As RFC 8949 §4.2.1 and RFC 9052 §4.4 have it, written by hand.
    #[test]
    fn the_bytes_stand_where_the_standards_say() {
        let details = details("ticket", None, "2027-11-20");
        let fields = Fields { specimen: false, ..fields(&details, 12_500, 100_000, 2_500) };
        let text = |text: &str| [&[0x60 | u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
        let claims = [
            &[0xab][..],
            &[text("psd"), text("PS010000000001"), text("kind"), text("ticket"), text("count"), vec![9]].concat(),
            &[text("value"), text("2.50"), text("currency"), text("EUR"), text("ascending"), text("12.50")].concat(),
            &[text("descending"), text("100.00"), text("valid_from"), text("2026-11-20")].concat(),
            &[text("certificate"), vec![0x1a, 1, 2, 3, 4], text("valid_until"), text("2027-11-20")].concat(),
            &[text("control_total"), text("112.50")].concat(),
        ]
        .concat();
        let header = [&[0xa2, 1, 0x26, 3, 0x78, 29][..], CONTENT_TYPE.as_bytes()].concat();
        let header = [&[0x58, u8::try_from(header.len()).unwrap()][..], &header].concat();
        let payload = [&[0x58, u8::try_from(claims.len()).unwrap()][..], &claims].concat();
        let structure = [&[0x84][..], &text("Signature1"), &header, &[0x40], &payload].concat();
        assert_eq!(signed(&fields), structure);
        let message = [&[0xd2, 0x84][..], &header, &[0xa0], &payload, &[0x58, 64], &[7; 64]].concat();
        assert_eq!(symbol(&fields), message);
    }

    #[test]
    fn every_field_that_differs_is_named() {
        let asked = ticket();
        let fields = fields(&asked, 5_000, 1_000, 730);
        let (registers, postage, currency) = (fields.registers, Some(fields.postage), Some(fields.currency));
        let issuer = Issuer { licensing_zip: fields.licensing_zip, software_id: fields.software_id, specimen: true };
        let (issuer, psd) = (Some(issuer), fields.psd);
        let known = Known { psd, registers: &registers, postage, currency, issuer, details: Some(&asked) };
        let moved = |a, d, n| Registers::from_parts(amount(a), amount(d), amount(a + d), n).unwrap();
        let others = [
            details("tickets", Some("seat 12 B"), "2027-11-20"),
            details("ticket", None, "2027-11-20"),
            details("ticket", Some("seat 12 B"), "2027-11-21"),
        ];
        let later = Validity::new("2026-11-21".parse().unwrap(), "2027-11-20".parse().unwrap()).unwrap();
        let holder = Some("seat 12 B".parse().unwrap());
        let later = Details::Voucher(Arc::new(Voucher { kind: "ticket".parse().unwrap(), holder, validity: later }));
        let rows = [
            (Fields { psd: "PS010000000002".parse().unwrap(), ..fields }, "device"),
            (Fields { registers: moved(5_001, 999, 9), ..fields }, "ascending register"),
            (Fields { registers: moved(5_000, 999, 9), ..fields }, "descending register"),
            (Fields { postage: amount(731), ..fields }, "postage"),
            (Fields { currency: Currency::USD, ..fields }, "currency"),
            (Fields { registers: moved(5_000, 1_000, 8), ..fields }, "piece count"),
            (Fields { specimen: false, ..fields }, "specimen"),
            (Fields { details: &others[0], ..fields }, "kind"),
            (Fields { details: &others[1], ..fields }, "holder"),
            (Fields { details: &later, ..fields }, "first day"),
            (Fields { details: &others[2], ..fields }, "last day"),
        ];
        let judged = |fields: &Fields<'_>| compare(&Vouchers, &decode(&symbol(fields)).unwrap(), &known);
        assert_eq!(judged(&fields), Ok(()));
        for (fields, field) in rows {
            assert_eq!(judged(&fields).map_err(|mismatch| mismatch.field), Err(field));
        }
    }

    #[test]
    fn nothing_but_the_one_encoding_is_read() {
        let details = ticket();
        let good = symbol(&fields(&details, 5_000, 1_000, 730));
        assert!(decode(&good).is_ok());
        let find = |what: &[u8]| good.windows(what.len()).position(|window| window == what).unwrap();
        let replaced = |what: &[u8], by: &[u8]| {
            let at = find(what);
            [&good[..at], by, &good[at + what.len()..]].concat()
        };
        // Of the same length, so that nothing else shows.
        let rows = [
            ("another amount's form", replaced(b"\x640.73", b"\x6400.7")),
            ("an amount that is none", replaced(b"\x640.73", b"\x640,73")),
            ("a key out of its place", replaced(b"count", b"value")),
            ("an unknown key", replaced(b"holder", b"bearer")),
            ("no day", replaced(b"2027-11-20", b"2027-11-31")),
            ("a last day before the first", replaced(b"2027-11-20", b"2026-11-19")),
            ("registers that do not add up", replaced(b"6.00", b"7.00")),
            ("a specimen that is none", replaced(b"specimen\xf5", b"specimen\xf4")),
            ("a kind in capitals", replaced(b"ticket", b"TICKET")),
            ("a control character", replaced(b"seat 12 B", b"seat\n12 B")),
            ("another algorithm", replaced(&[1, 0x26, 3], &[1, 0x27, 3])),
            ("another content type", replaced(b"voucher+cbor", b"coucher+cbor")),
            ("an unprotected header", replaced(b"+cbor\xa0", b"+cbor\xa1")),
            ("another tag", replaced(b"\xd2\x84", b"\xd1\x84")),
            ("a signature of 63 bytes", replaced(&[0x58, 64, 7], &[0x58, 63])),
            ("bytes after the end", [&good[..], &[0]].concat()),
        ];
        for (what, bytes) in rows {
            assert!(Vouchers.decode(&bytes).is_err(), "{what}");
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(
            a in 0u64..1 << 62, d in 0u64..1 << 60, v in 0u64..1 << 60,
            kind in "[a-z][a-z0-9-]{0,31}", holder in prop::option::of("[ -~é]{1,32}"), days in 0i64..=3_653, specimen: bool,
        ) {
            let from: MailingDate = "2026-11-20".parse().unwrap();
            let until = MailingDate::from_day_number(from.day_number() + days).unwrap().to_string();
            let details = details(&kind, holder.as_deref(), &until);
            let fields = Fields { specimen, ..fields(&details, a, d, v) };
            let symbol = symbol(&fields);
            let mark = decode(&symbol).unwrap();
            let issuer = Issuer { licensing_zip: fields.licensing_zip, software_id: fields.software_id, specimen };
            let (registers, postage, currency) = (&fields.registers, Some(fields.postage), Some(fields.currency));
            let known = Known { psd: fields.psd, registers, postage, currency, issuer: Some(issuer), details: Some(&details) };
            prop_assert_eq!(compare(&Vouchers, &mark, &known), Ok(()));
            prop_assert_eq!(mark.certificate_serial, fields.certificate_serial);
            prop_assert_eq!(Vouchers.committed_ascending(&mark.signed).unwrap().mills(), a);
            prop_assert!(Vouchers.resembles(&mark.signed));
            prop_assert_eq!(Vouchers.join(&mark.signed, &mark.signature), symbol.clone());
            let parts = Vouchers.parts(&symbol).unwrap();
            prop_assert!(parts.windows(2).all(|two| two[0].offset + two[0].length == two[1].offset));
            prop_assert_eq!(parts.last().map(|part| part.offset + part.length), Some(symbol.len()));
        }

        /// Whatever is changed or cut, the symbol is no voucher any more, or not the one that was signed.
        #[test]
        fn every_change_shows(at: prop::sample::Index, bit in 0u32..8) {
            let details = ticket();
            let good = symbol(&fields(&details, 5_000, 1_000, 730));
            let mark = decode(&good).unwrap();
            let at = at.index(good.len());
            prop_assert!(decode(&good[..at]).is_err());
            let mut changed = good.clone();
            changed[at] ^= 1 << bit;
            if let Ok(other) = Vouchers.decode(&changed) {
                prop_assert!(other.signed != mark.signed || other.signature != mark.signature);
            }
            let mut message = mark.signed.clone();
            let at = at.min(message.len() - 1);
            prop_assert_eq!(Vouchers.committed_ascending(&message[..at]), None);
            message[at] ^= 1 << bit;
            if let Some(ascending) = Vouchers.committed_ascending(&message) {
                prop_assert_eq!(signed_over(&message[message.len() - payload_len(&message)..]), message.clone());
                prop_assert!(ascending <= PostageAmount::MAX);
            }
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, head: bool) {
            let symbol = if head { [SYMBOL_HEAD, &bytes].concat() } else { bytes.clone() };
            prop_assert!(Vouchers.decode(&symbol).is_err());
            prop_assert!(Vouchers.parts(&symbol).is_err());
            prop_assert_eq!(Vouchers.committed_ascending(&[SIGNED_HEAD, &bytes].concat()), None);
        }
    }

    fn payload_len(message: &[u8]) -> usize {
        Decoder::new(&message[SIGNED_HEAD.len()..]).bytes().unwrap().len()
    }
}
