//! What a message must look like before a key of a role signs it.
//!
//! Owns the forms, and which role may sign which. Refuses anything else: psdd sends messages and never digests, so a
//! psdd that was taken over cannot get, say, an indicium signed by the device key, nor an indicium below the ascending
//! register that was committed. The forms of different roles cannot be taken for one another.

use crate::protocol::{Form, TOKEN_MAC_DOMAIN};
use crate::role::Role;
use psd::digital_token::Party;
use x509_cert::der::{Decode, Encode};
use x509_cert::request::CertReqInfo;

/// Why a message is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Keys of this role never sign this form.
    #[error("a {role} key does not sign {}", form.name())]
    RoleMismatch {
        /// The key's role.
        role: Role,
        /// The form asked for.
        form: Form,
    },
    /// The message is not of the form.
    #[error("not {}: {problem}", form.name())]
    Mismatch {
        /// The form asked for.
        form: Form,
        /// What is wrong.
        problem: &'static str,
    },
    /// The ascending register is not above what was committed.
    #[error("ascending register {ascending} is not above {floor}")]
    BelowFloor {
        /// In the message.
        ascending: u64,
        /// Committed.
        floor: u64,
    },
}

impl FormError {
    /// The code psdd gets.
    pub const fn code(&self) -> &'static str {
        match self {
            FormError::RoleMismatch { .. } => "role-mismatch",
            FormError::Mismatch { .. } => "form-mismatch",
            FormError::BelowFloor { .. } => "ar-below-floor",
        }
    }
}

/// What is known of the key that is to sign.
#[derive(Clone, Copy)]
pub struct Signer<'k> {
    /// Its role.
    pub role: Role,
    /// Its SubjectPublicKeyInfo, DER.
    pub spki: &'k [u8],
    /// The highest ascending register known to be committed.
    pub floor: u64,
}

/// Whether keys of the role sign messages of the form.
pub fn is_allowed(role: Role, form: Form) -> bool {
    match (role, form) {
        (Role::Indicium, Form::Indicium)
        | (Role::Certification | Role::Device, Form::CoseSign1)
        // Receipts are COSE signatures of the log over the root that its checkpoint states (RFC 9942).
        | (Role::Log, Form::Checkpoint | Form::CoseSign1)
        | (Role::Indicium | Role::Certification | Role::Device | Role::Log, Form::CertificationRequest)
        | (Role::TokenMac | Role::PostalMac, Form::TokenMac) => true,
        (Role::Indicium, Form::CoseSign1 | Form::Checkpoint | Form::TokenMac)
        | (Role::Certification | Role::Device, Form::Indicium | Form::Checkpoint | Form::TokenMac)
        | (Role::Log, Form::Indicium | Form::TokenMac)
        // A MAC is no signature.
        | (
            Role::TokenMac | Role::PostalMac,
            Form::Indicium | Form::CoseSign1 | Form::Checkpoint | Form::CertificationRequest,
        ) => false,
    }
}

/// Judges one message; for indicia, gives the ascending register in it.
///
/// # Errors
///
/// When the key must not sign it.
pub fn check(form: Form, signer: Signer<'_>, message: &[u8]) -> Result<Option<u64>, FormError> {
    if !is_allowed(signer.role, form) {
        return Err(FormError::RoleMismatch { role: signer.role, form });
    }
    let outcome = match form {
        Form::Indicium => {
            let ascending = ascending_register(message).map_err(|problem| FormError::Mismatch { form, problem })?;
            if ascending <= signer.floor {
                return Err(FormError::BelowFloor { ascending, floor: signer.floor });
            }
            return Ok(Some(ascending));
        }
        Form::CoseSign1 => sig_structure(message),
        Form::Checkpoint => checkpoint(message),
        Form::CertificationRequest => certification_request(message, signer.spki),
        Form::TokenMac => token_mac(signer.role, message),
    };
    outcome.map(|()| None).map_err(|problem| FormError::Mismatch { form, problem })
}

/// The ascending register of an indicium message, in mills. The one place that asks where it is.
fn ascending_register(message: &[u8]) -> Result<u64, &'static str> {
    match psd::indicium::committed_ascending(message) {
        Some(ascending) => Ok(ascending.mills()),
        None => Err("no layout knows it as its own"),
    }
}

/// RFC 9052 §4.4: `["Signature1", body_protected, external_aad, payload]`. Some indicia are such structures too; they move registers,
/// so that only indicium keys sign them, as indicia.
fn sig_structure(message: &[u8]) -> Result<(), &'static str> {
    if psd::indicium::resembles_indicium(message) {
        return Err("an indicium, which has a form of its own");
    }
    let mut decoder = minicbor::Decoder::new(message);
    if !matches!(decoder.array(), Ok(Some(4))) {
        return Err("not an array of 4");
    }
    if !matches!(decoder.str(), Ok("Signature1")) {
        return Err("the context is not Signature1");
    }
    for _ in 0..3 {
        if decoder.bytes().is_err() {
            return Err("protected header, external data and payload are byte strings");
        }
    }
    if decoder.position() != message.len() {
        return Err("bytes after the end");
    }
    Ok(())
}

/// C2SP tlog-checkpoint: origin, size and root hash, each on a line; extension lines are not used here.
fn checkpoint(message: &[u8]) -> Result<(), &'static str> {
    let Ok(text) = str::from_utf8(message) else {
        return Err("not UTF-8");
    };
    let Some(body) = text.strip_suffix('\n') else {
        return Err("does not end with a newline");
    };
    let lines: Vec<&str> = body.split('\n').collect();
    let [origin, size, root] = lines.as_slice() else {
        return Err("not three lines");
    };
    if origin.is_empty() || origin.chars().any(char::is_control) {
        return Err("no origin");
    }
    let plain_number = size.bytes().all(|b| b.is_ascii_digit()) && (*size == "0" || !size.starts_with('0'));
    if !plain_number || size.parse::<u64>().is_err() {
        return Err("the size is not a decimal number");
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    match root.as_bytes().split_last() {
        Some((b'=', hash)) if hash.len() == 43 && hash.iter().all(|byte| is_base64(*byte)) => Ok(()),
        Some(_) | None => Err("the root is not 32 bytes in base64"),
    }
}

/// The domain of MAC keys and behind it what is MACed (docs/certification.md). The domain is what keeps MACs apart: a MAC has no
/// structure. Of a digital token each half is made by keys of its own role, and a postal MAC key makes nothing else.
fn token_mac(role: Role, message: &[u8]) -> Result<(), &'static str> {
    match message.strip_prefix(TOKEN_MAC_DOMAIN) {
        Some([_, ..]) => {}
        Some([]) => return Err("nothing after the domain of MAC keys"),
        None => return Err("does not begin with the domain of MAC keys"),
    }
    match Party::of_message(message).transpose()? {
        Some(party) if party.role() == role => Ok(()),
        Some(Party::Vendor) => Err("the vendor's half of a digital token, which a token-mac key makes"),
        Some(Party::Postal) => Err("the post's half of a digital token, which a postal-mac key makes"),
        None if role == Role::PostalMac => Err("a postal-mac key makes halves of digital tokens and nothing else"),
        None => Ok(()),
    }
}

/// RFC 2986 §4.1, for the very key that is asked to sign.
fn certification_request(message: &[u8], spki: &[u8]) -> Result<(), &'static str> {
    let Ok(info) = CertReqInfo::from_der(message) else {
        return Err("not a CertificationRequestInfo");
    };
    match info.public_key.to_der() {
        Ok(own) if own == spki => Ok(()),
        Ok(_) => Err("the public key is not that of the signing key"),
        Err(_) => Err("the public key cannot be encoded"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use psd::digital_token::{AddressCode, MESSAGE_PURPOSE, TokenData};
    use psd::indicium::voucher::Vouchers;
    use psd::indicium::{Details, Fields, Format, Validity, Voucher};
    use psd::{Currency, PostageAmount, Registers};
    use std::sync::Arc;

    fn indicium(ascending: u64) -> Vec<u8> {
        let mut message = vec![1; 49];
        message[1] = psd::indicium::ibi::ECDSA_P256;
        message[14..19].copy_from_slice(&ascending.to_le_bytes()[..5]);
        message
    }

    /// A voucher of 0.010 that leaves this ascending register.
    fn voucher(ascending: u64) -> Vec<u8> {
        let amount = |mills| PostageAmount::from_mills(mills).expect("an amount");
        let (from, until) = ("2026-11-20".parse().expect("a day"), "2027-11-20".parse().expect("a day"));
        let details = Details::Voucher(Arc::new(Voucher {
            kind: "ticket".parse().expect("a kind"),
            holder: None,
            validity: Validity::new(from, until).expect("a year"),
        }));
        let fields = Fields {
            psd: "PS010000000001".parse().expect("a device ID"),
            certificate_serial: 7,
            registers: Registers::from_parts(amount(ascending), amount(5), amount(ascending + 5), 1)
                .expect("they add up"),
            postage: amount(10),
            currency: Currency::USD,
            licensing_zip: "94301".parse().expect("a ZIP"),
            software_id: *b"psdd01",
            specimen: false,
            details: &details,
        };
        let mut message = Vec::new();
        Vouchers.encode_unsigned(&fields, &mut message).expect("it fits");
        message
    }

    fn cose() -> Vec<u8> {
        let mut message = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut message);
        let written = encoder.array(4).and_then(|e| e.str("Signature1")).and_then(|e| e.bytes(b"p"));
        written.and_then(|e| e.bytes(b"")).and_then(|e| e.bytes(b"payload")).expect("memory");
        message
    }

    fn note() -> Vec<u8> {
        format!("example.org/log\n20852163\n{}=\n", "A".repeat(43)).into_bytes()
    }

    fn half(party: Party) -> Vec<u8> {
        let (date, destination) = ("2026-11-20".parse().expect("a day"), "20500".parse().expect("a ZIP"));
        let (psd, address) = ("PS010000000001".parse().expect("a PSD"), AddressCode::of_address("1 Main St"));
        let postage = PostageAmount::from_mills(730).expect("an amount");
        let data = TokenData::new((psd, 7), postage, date, destination, address.expect("a code"));
        data.expect("data").message(party)
    }

    fn token_input() -> Vec<u8> {
        [TOKEN_MAC_DOMAIN, b"mail piece 7"].concat()
    }

    fn judge(role: Role, form: Form, message: &[u8]) -> Result<Option<u64>, &'static str> {
        check(form, Signer { role, spki: b"", floor: 100 }, message).map_err(|error| error.code())
    }

    #[test]
    fn each_form_is_signed_by_its_roles_only() {
        let messages = [
            (Form::Indicium, indicium(101)),
            (Form::Indicium, voucher(101)),
            (Form::CoseSign1, cose()),
            (Form::Checkpoint, note()),
            (Form::TokenMac, token_input()),
        ];
        let roles = [Role::Indicium, Role::Certification, Role::TokenMac, Role::Device, Role::Log, Role::PostalMac];
        for (form, message) in &messages {
            for role in roles {
                let expected = match (form, role) {
                    (Form::Indicium, Role::Indicium) => Ok(Some(101)),
                    (Form::CoseSign1, Role::Certification | Role::Device | Role::Log)
                    | (Form::Checkpoint, Role::Log)
                    | (Form::TokenMac, Role::TokenMac) => Ok(None),
                    (Form::TokenMac, Role::PostalMac) => Err("form-mismatch"),
                    _ => Err("role-mismatch"),
                };
                assert_eq!(judge(role, *form, message), expected, "{role} {}", form.name());
            }
        }
    }

    /// What the two keys of a PSD are two for: whoever has one of them makes one half.
    #[test]
    fn each_half_of_a_digital_token_is_made_by_keys_of_its_own_role() {
        let numbers = [TOKEN_MAC_DOMAIN, b"psdd-certification-number-1\x82dtest\x01"].concat();
        let rows = [
            (Role::TokenMac, half(Party::Vendor), Ok(None)),
            (Role::TokenMac, half(Party::Postal), Err("form-mismatch")),
            (Role::TokenMac, numbers.clone(), Ok(None)),
            (Role::PostalMac, half(Party::Postal), Ok(None)),
            (Role::PostalMac, half(Party::Vendor), Err("form-mismatch")),
            (Role::PostalMac, numbers, Err("form-mismatch")),
            (Role::PostalMac, token_input(), Err("form-mismatch")),
        ];
        for (role, message, expected) in rows {
            assert_eq!(judge(role, Form::TokenMac, &message), expected, "{role} {}", message.escape_ascii());
        }
        // Whatever begins like a half is one, or is MACed by nobody.
        for message in Party::BOTH.map(half) {
            let spoiled = [
                message[..message.len() - 1].to_vec(),
                [&message[..], &[0]].concat(),
                message[..TOKEN_MAC_DOMAIN.len() + MESSAGE_PURPOSE.len()].to_vec(),
                message.escape_ascii().to_string().replace("vendor", "Vendor").into_bytes(),
                [&message[..TOKEN_MAC_DOMAIN.len() + MESSAGE_PURPOSE.len()], &[0x98, 7][..]].concat(),
            ];
            for (role, message) in
                [Role::TokenMac, Role::PostalMac].iter().flat_map(|r| spoiled.iter().map(move |m| (r, m)))
            {
                assert_eq!(
                    judge(*role, Form::TokenMac, message),
                    Err("form-mismatch"),
                    "{role} {}",
                    message.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn a_message_of_one_form_is_never_one_of_another() {
        let messages = [
            (Form::Indicium, indicium(101)),
            (Form::Indicium, voucher(101)),
            (Form::CoseSign1, cose()),
            (Form::Checkpoint, note()),
            (Form::TokenMac, token_input()),
        ];
        let rows = [
            (Form::Indicium, Role::Indicium),
            (Form::CoseSign1, Role::Device),
            (Form::Checkpoint, Role::Log),
            (Form::CertificationRequest, Role::Device),
            (Form::TokenMac, Role::TokenMac),
        ];
        for (form, role) in rows {
            for (of, message) in messages.iter().filter(|(of, _)| *of != form) {
                assert_eq!(judge(role, form, message), Err("form-mismatch"), "{} as {}", of.name(), form.name());
            }
        }
    }

    #[test]
    fn the_ascending_register_must_rise() {
        for (ascending, expected) in [(101, Ok(Some(101))), (100, Err("ar-below-floor")), (0, Err("ar-below-floor"))] {
            assert_eq!(judge(Role::Indicium, Form::Indicium, &indicium(ascending)), expected);
            assert_eq!(judge(Role::Indicium, Form::Indicium, &voucher(ascending)), expected);
        }
        let largest = (1 << 40) - 1;
        assert_eq!(judge(Role::Indicium, Form::Indicium, &indicium(largest)), Ok(Some(largest)));
    }

    #[test]
    fn malformed_messages_are_refused() {
        let with = |message: Vec<u8>, byte: u8| [message, vec![byte]].concat();
        let text = |text: &str| text.as_bytes().to_vec();
        let root = format!("{}=", "A".repeat(43));
        let rows: Vec<(Role, Form, Vec<u8>)> = vec![
            (Role::Indicium, Form::Indicium, Vec::new()),
            (Role::Indicium, Form::Indicium, with(indicium(101), 0)),
            (Role::Indicium, Form::Indicium, [vec![0], indicium(101)[1..].to_vec()].concat()),
            (Role::Indicium, Form::Indicium, with(voucher(101), 0)),
            (Role::Indicium, Form::Indicium, voucher(101)[..voucher(101).len() - 1].to_vec()),
            (Role::Indicium, Form::Indicium, with(voucher(101)[..voucher(101).len() - 1].to_vec(), b'x')),
            // Another encoding of the same structure, which some reader takes for a voucher.
            (Role::Indicium, Form::Indicium, [&[0x98, 4][..], &voucher(101)[1..]].concat()),
            (Role::Device, Form::CoseSign1, [&[0x98, 4][..], &voucher(101)[1..]].concat()),
            (Role::Device, Form::CoseSign1, with(cose(), 0)),
            (Role::Device, Form::CoseSign1, cose()[..cose().len() - 1].to_vec()),
            (Role::Device, Form::CoseSign1, String::from_utf8_lossy(&cose()).replace('1', "2").into_bytes()),
            (Role::Log, Form::Checkpoint, text(&format!("o\n1\n{root}"))),
            (Role::Log, Form::Checkpoint, text(&format!("o\n01\n{root}\n"))),
            (Role::Log, Form::Checkpoint, text(&format!("o\n-1\n{root}\n"))),
            (Role::Log, Form::Checkpoint, text(&format!("\n1\n{root}\n"))),
            (Role::Log, Form::Checkpoint, text(&format!("o\n1\n{root}\nmore\n"))),
            (Role::Log, Form::Checkpoint, text("o\n1\nAAAA\n")),
            (Role::Device, Form::CertificationRequest, vec![0x30, 0]),
            (Role::TokenMac, Form::TokenMac, TOKEN_MAC_DOMAIN.to_vec()),
            (Role::TokenMac, Form::TokenMac, crate::protocol::KEY_CHECK.to_vec()),
            (Role::TokenMac, Form::TokenMac, with(crate::protocol::KEY_CHECK.to_vec(), 0)),
        ];
        for (role, form, message) in rows {
            assert_eq!(judge(role, form, &message), Err("form-mismatch"), "{role} {message:02x?}");
        }
    }
}
