//! Certifications of corrected mail (DOMAIN.md, "Certification of corrected mail"; docs/certification.md).
//!
//! A certification says what a piece owes by a rate table, what was paid for it before, and that the difference is debited. It is proven in one
//! of two ways: as a tagged COSE_Sign1 (RFC 9052 §4.2) over `certification-claims` of daemon/wire/psdd.cddl by the PSD's certification key, with
//! ES256 or ES384; or as these claims alone, without a certificate, in a record that a receipt of the log proves (RFC 9942). A certification
//! has one encoding, and nothing else is read. Registers and count are those *after* the debit. What is due is
//! computed by the caller; here is only what follows from it.

mod recorded;

pub use recorded::{RecordedError, decode_recorded, of_own_record};

use crate::claims::{ClaimsReader, ClaimsWriter, put_bytes};
use crate::currency::Currency;
use crate::id::{PsdId, RateName, RunId, ScaleId};
use crate::indicium::Destination;
use crate::key::Algorithm;
use crate::money::PostageAmount;
use crate::register::Registers;
use crate::time::{MailingDate, UnixMillis};
use minicbor::{Decoder, Encoder};

/// Content type in the protected header.
pub const CONTENT_TYPE: &str = "application/psdd-certification+cbor";

/// How every symbol of a COSE_Sign1 begins: tag 18 and an array of four.
const COSE_SIGN1: &[u8] = b"\xd2\x84";
/// How every Sig_structure begins: an array of four and its context.
const SIGNATURE1: &[u8] = b"\x84\x6aSignature1";
/// COSE algorithms (RFC 9053 §2.1).
const ES256: i64 = -7;
const ES384: i64 = -35;

/// What is to be certified, valid in itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certification {
    /// Day of mailing.
    pub date: MailingDate,
    /// Where the piece goes.
    pub destination: Destination,
    /// What was weighed, where and when.
    pub weighed: Weighed,
    /// By which prices.
    pub rated: Rated,
    /// What the piece owes.
    pub due: PostageAmount,
    /// What was paid for it before.
    pub paid: Paid,
    /// The mail run it is part of, whose tariff it was rated by.
    pub run: Option<RunId>,
    /// What shall prove it.
    pub proof: Proof,
}

/// What proves a certification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// A signature of the PSD's certification key.
    Signature,
    /// A receipt: that its record stands in the log, whose root is signed for many at once.
    Receipt,
}

/// Why a piece cannot be certified as it was asked: told once it is known that its key was not used for it before.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{says}")]
pub struct NotCertifiable {
    /// The stable code on the wire.
    pub code: &'static str,
    /// What is wrong, and what to do.
    pub says: String,
}

/// A reading of a scale that was accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weighed {
    /// Milligrams.
    pub weight_mg: u64,
    /// Which scale.
    pub scale: ScaleId,
    /// When it was read.
    pub taken: UnixMillis,
}

/// Which price of which table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rated {
    /// Name of the table.
    pub rates: RateName,
    /// Its version.
    pub version: u64,
    /// SHA-256 of the table as published.
    pub digest: [u8; 32],
    /// Class of mail in it.
    pub class: RateName,
    /// Tariff of the class: the full one, or one the piece qualified for.
    pub tariff: RateName,
}

/// What was paid for a piece before it is certified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Paid {
    /// Nothing.
    Nothing,
    /// So much stands printed on it, and nothing but that proves it.
    Imprint(PostageAmount),
    /// The postage of an indicium that was verified.
    Mark(PayingMark),
}

/// An indicium that paid for a piece: it pays for one certification and no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PayingMark {
    /// Which.
    pub id: MarkId,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Its postage.
    pub postage: PostageAmount,
}

/// Which indicium: its PSD and the ascending register in it, which no other indicium of that PSD with a postage has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MarkId {
    /// The device that signed it.
    pub psd: PsdId,
    /// The ascending register after it.
    pub ascending: PostageAmount,
}

impl Paid {
    /// How much.
    pub const fn amount(&self) -> PostageAmount {
        match self {
            Paid::Nothing => PostageAmount::ZERO,
            Paid::Imprint(amount) => *amount,
            Paid::Mark(mark) => mark.postage,
        }
    }

    /// The indicium, where it was one.
    pub const fn mark(&self) -> Option<&PayingMark> {
        match self {
            Paid::Mark(mark) => Some(mark),
            Paid::Nothing | Paid::Imprint(_) => None,
        }
    }
}

impl Certification {
    /// What is to be debited: the shortfall, and nothing where more was paid than is due. Overpayment is said, never kept or given back.
    pub fn shortfall(&self) -> PostageAmount {
        self.due.checked_sub(self.paid.amount()).unwrap_or(PostageAmount::ZERO)
    }
}

/// Who certifies, and what only the device knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Certifier {
    /// The device.
    pub psd: PsdId,
    /// Serial of the certificate of its certification key, where that signs.
    pub certificate_serial: Option<u32>,
    /// Registers after the debit.
    pub registers: Registers,
    /// What the amounts count.
    pub currency: Currency,
    /// Whether it proves nothing, because the appliance is one for development.
    pub specimen: bool,
}

/// A certification as read. Nothing here is proven until the signature is verified, or the receipt of its record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certified {
    /// Who certified.
    pub certifier: Certifier,
    /// What.
    pub certification: Certification,
    /// How it is signed, where it is.
    pub signature: Option<Signature>,
}

/// The signature of a certification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    /// Serial of the certificate of the key.
    pub certificate_serial: u32,
    /// How it is signed.
    pub algorithm: Algorithm,
    /// The bytes the signature covers.
    pub signed: Vec<u8>,
    /// The signature.
    pub bytes: Vec<u8>,
}

/// The bytes are no certification.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a certification: {0}")]
pub struct CertificationError(pub &'static str);

/// A certification that a receipt is to prove: its claims, deterministically encoded.
pub fn claims(certifier: &Certifier, certification: &Certification) -> Vec<u8> {
    write(certifier, certification)
}

/// What proves a certification, by how it begins. Whether it is one is not looked at.
pub fn proof_of(bytes: &[u8]) -> Proof {
    if bytes.starts_with(COSE_SIGN1) { Proof::Signature } else { Proof::Receipt }
}

/// The bytes to sign: the Sig_structure (RFC 9052 §4.4). `None` where keys of the algorithm sign no certifications.
pub fn to_be_signed(certifier: &Certifier, certification: &Certification, algorithm: Algorithm) -> Option<Vec<u8>> {
    let header = protected_header(algorithm)?;
    Some(structure(&header, &write(certifier, certification)))
}

/// Joins signed bytes and signature to the message; nothing where the bytes are no Sig_structure.
pub fn join(signed: &[u8], signature: &[u8]) -> Vec<u8> {
    let Some((header, payload)) = parts_of_structure(signed) else { return Vec::new() };
    message(header, payload, signature)
}

/// Reads a certification.
///
/// # Errors
///
/// Where the bytes are not the one encoding of one; the error says what is wrong.
pub fn decode(bytes: &[u8]) -> Result<Certified, CertificationError> {
    decoded(bytes).map_err(CertificationError)
}

/// Whether signed bytes are those of a certification.
pub fn is_signed_form(signed: &[u8]) -> bool {
    let Some((header, payload)) = parts_of_structure(signed) else { return false };
    let names_a_key = |(certifier, _): (Certifier, Certification)| certifier.certificate_serial.is_some();
    algorithm_of(header).is_some() && read(payload).is_ok_and(names_a_key) && structure(header, payload) == signed
}

fn decoded(bytes: &[u8]) -> Result<Certified, &'static str> {
    let Some(rest) = bytes.strip_prefix(COSE_SIGN1) else {
        let (certifier, certification) = read(bytes)?;
        return match certifier.certificate_serial {
            None => Ok(Certified { certifier, certification, signature: None }),
            Some(_) => Err("the claims name a certificate, and nothing is signed"),
        };
    };
    let [header, payload, signature] = parts_of_message(rest)?;
    let algorithm = algorithm_of(header).ok_or("the protected header is not that of a certification")?;
    if signature.len() != algorithm.signature_len() {
        return Err("the signature has not the length of its algorithm");
    }
    let (certifier, certification) = read(payload)?;
    let certificate_serial = certifier.certificate_serial.ok_or("the claims name no certificate")?;
    if message(header, payload, signature) != bytes {
        return Err("the encoding is not the deterministic one");
    }
    let signed = structure(header, payload);
    let signature = Signature { certificate_serial, algorithm, signed, bytes: signature.to_vec() };
    Ok(Certified { certifier, certification, signature: Some(signature) })
}

/// Protected header, payload and signature of a COSE_Sign1 behind its beginning.
fn parts_of_message(rest: &[u8]) -> Result<[&[u8]; 3], &'static str> {
    let mut decoder = Decoder::new(rest);
    let header = decoder.bytes().ok().ok_or("it has no protected header")?;
    let empty = decoder.map().is_ok_and(|entries| entries == Some(0));
    let mut next = || decoder.bytes().ok().filter(|_| empty);
    let (payload, signature) = next().zip(next()).ok_or("payload and signature are not two byte strings")?;
    Ok([header, payload, signature])
}

/// {1: algorithm, 3: content type}, encoded.
fn protected_header(algorithm: Algorithm) -> Option<Vec<u8>> {
    let number = match algorithm {
        Algorithm::EcdsaP256 => ES256,
        Algorithm::EcdsaP384 => ES384,
        Algorithm::Ed25519 | Algorithm::HmacSha256 => return None,
    };
    let mut header = Vec::with_capacity(48);
    let mut encoder = Encoder::new(&mut header);
    let written = encoder.map(2).and_then(|e| e.u8(1)?.i64(number)?.u8(3)?.str(CONTENT_TYPE)).map(drop);
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    Some(header)
}

fn algorithm_of(header: &[u8]) -> Option<Algorithm> {
    let algorithms = [Algorithm::EcdsaP256, Algorithm::EcdsaP384];
    algorithms.into_iter().find(|algorithm| protected_header(*algorithm).as_deref() == Some(header))
}

fn structure(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut signed = Vec::with_capacity(SIGNATURE1.len() + header.len() + payload.len() + 8);
    signed.extend_from_slice(SIGNATURE1);
    put_bytes(&mut signed, header);
    put_bytes(&mut signed, &[]);
    put_bytes(&mut signed, payload);
    signed
}

fn message(header: &[u8], payload: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len() + payload.len() + signature.len() + 12);
    out.extend_from_slice(COSE_SIGN1);
    put_bytes(&mut out, header);
    out.push(0xa0);
    put_bytes(&mut out, payload);
    put_bytes(&mut out, signature);
    out
}

/// Protected header and payload of a Sig_structure.
fn parts_of_structure(signed: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut decoder = Decoder::new(signed.strip_prefix(SIGNATURE1)?);
    let header = decoder.bytes().ok()?;
    decoder.bytes().ok().filter(|external| external.is_empty())?;
    Some((header, decoder.bytes().ok()?))
}

/// The claims, in the order of deterministic encoding.
fn write(certifier: &Certifier, certification: &Certification) -> Vec<u8> {
    // What proves it shows in the certificate's being there or not.
    let Certification { date, destination, weighed, rated, due, paid, run, proof: _ } = certification;
    let Certifier { psd, certificate_serial, registers, currency, specimen } = certifier;
    let mark = paid.mark();
    let imprint = matches!(paid, Paid::Imprint(_));
    let optional = [
        mark.is_some(),
        mark.is_some(),
        mark.is_some(),
        run.is_some(),
        imprint,
        *specimen,
        certificate_serial.is_some(),
    ];
    let optional: u64 = optional.into_iter().map(u64::from).sum();
    let mut map = ClaimsWriter::begin(19 + optional);
    map.text("due", &due.to_string());
    map.text("psd", psd.text().as_str());
    if let Some(run) = run {
        map.text("run", run.as_str());
    }
    map.text("date", &date.to_string());
    if let Some(mark) = mark {
        map.bytes("mark", &mark.digest);
    }
    map.text("paid", &paid.amount().to_string());
    map.text("class", rated.class.as_str());
    map.uint("count", registers.piece_count());
    map.text("rates", rated.rates.as_str());
    map.text("scale", weighed.scale.as_str());
    map.text("tariff", rated.tariff.as_str());
    map.uint("weight", weighed.weight_mg);
    map.text("debited", &certification.shortfall().to_string());
    if imprint {
        map.truth("imprint");
    }
    map.uint("version", rated.version);
    map.uint("weighed", weighed.taken.0);
    map.text("currency", currency.as_str());
    if let Some(mark) = mark {
        map.text("mark_psd", mark.id.psd.text().as_str());
    }
    if *specimen {
        map.truth("specimen");
    }
    map.text("ascending", &registers.ascending().to_string());
    map.text("descending", &registers.descending().to_string());
    if let Some(serial) = certificate_serial {
        map.uint("certificate", u64::from(*serial));
    }
    map.text("destination", &destination.to_string());
    map.bytes("rates_digest", &rated.digest);
    map.text("control_total", &registers.control_total().to_string());
    if let Some(mark) = mark {
        map.text("mark_ascending", &mark.id.ascending.to_string());
    }
    map.finish()
}

fn read(payload: &[u8]) -> Result<(Certifier, Certification), &'static str> {
    let (certifier, certification) = read_in_any_form(payload)?;
    // Other forms of a number, of an amount or of a length, and what follows, show in the comparison.
    if write(&certifier, &certification) == payload {
        Ok((certifier, certification))
    } else {
        Err("the claims are not in deterministic encoding")
    }
}

/// Reads claims and leaves open whether their encoding is the deterministic one. Records of one's own have no other.
fn read_in_any_form(payload: &[u8]) -> Result<(Certifier, Certification), &'static str> {
    let mut map = ClaimsReader::begin(payload)?;
    let due = map.parsed("due")?;
    let psd = map.parsed("psd")?;
    let run = if map.next_is("run") { Some(map.parsed("run")?) } else { None };
    let date = map.parsed("date")?;
    let digest = if map.next_is("mark") { Some(digest(map.bytes("mark")?)?) } else { None };
    let paid: PostageAmount = map.parsed("paid")?;
    let class = map.parsed("class")?;
    let pieces = map.uint("count")?;
    let rates = map.parsed("rates")?;
    let scale = map.parsed("scale")?;
    let tariff = map.parsed("tariff")?;
    let weight_mg = map.uint("weight")?;
    let debited: PostageAmount = map.parsed("debited")?;
    let imprint = map.next_is("imprint") && map.truth("imprint")?;
    let version = map.uint("version")?;
    let taken = UnixMillis(map.uint("weighed")?);
    let currency = map.parsed("currency")?;
    let mark_psd = if map.next_is("mark_psd") { Some(map.parsed("mark_psd")?) } else { None };
    let specimen = map.next_is("specimen") && map.truth("specimen")?;
    let ascending = map.parsed("ascending")?;
    let descending = map.parsed("descending")?;
    let certificate = if map.next_is("certificate") { Some(map.uint("certificate")?) } else { None };
    let destination = map.parsed("destination")?;
    let rates_digest = self::digest(map.bytes("rates_digest")?)?;
    let control_total = map.parsed("control_total")?;
    let mark_ascending = if map.next_is("mark_ascending") { Some(map.parsed("mark_ascending")?) } else { None };
    let paid = match (digest, mark_psd, mark_ascending, imprint) {
        (None, None, None, false) if paid == PostageAmount::ZERO => Paid::Nothing,
        (None, None, None, true) => Paid::Imprint(paid),
        (Some(digest), Some(psd), Some(ascending), false) => {
            Paid::Mark(PayingMark { id: MarkId { psd, ascending }, digest, postage: paid })
        }
        _ => return Err("how it was paid does not add up"),
    };
    let registers = Registers::from_parts(ascending, descending, control_total, pieces);
    let certifier = Certifier {
        psd,
        certificate_serial: certificate
            .map(|serial| u32::try_from(serial).ok().ok_or("the certificate's serial has 32 bits"))
            .transpose()?,
        registers: registers.ok().ok_or("ascending + descending is not the control total")?,
        currency,
        specimen,
    };
    let rated = Rated { rates, version, digest: rates_digest, class, tariff };
    let weighed = Weighed { weight_mg, scale, taken };
    let proof = if certificate.is_some() { Proof::Signature } else { Proof::Receipt };
    let certification = Certification { date, destination, weighed, rated, due, paid, run, proof };
    if certification.shortfall() != debited {
        return Err("what was debited is not the shortfall");
    }
    Ok((certifier, certification))
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], &'static str> {
    bytes.try_into().ok().ok_or("a digest has 32 bytes")
}

#[cfg(test)]
mod tests;
