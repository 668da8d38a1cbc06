use super::*;
use proptest::prelude::*;

fn amount(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).unwrap()
}

fn certifier(ascending: u64, descending: u64) -> Certifier {
    Certifier {
        psd: "PS010000000001".parse().unwrap(),
        certificate_serial: Some(9),
        registers: Registers::from_parts(amount(ascending), amount(descending), amount(ascending + descending), 12)
            .unwrap(),
        currency: Currency::USD,
        specimen: true,
    }
}

fn certification(due: u64, paid: Paid) -> Certification {
    Certification {
        date: "2026-11-27".parse().unwrap(),
        destination: "20500-0003".parse().unwrap(),
        weighed: Weighed { weight_mg: 28_350, scale: "dock-3".parse().unwrap(), taken: UnixMillis(1_795_000_000_000) },
        rated: Rated {
            rates: "postland".parse().unwrap(),
            version: 3,
            digest: [7; 32],
            class: "letter".parse().unwrap(),
            tariff: "full".parse().unwrap(),
        },
        due: amount(due),
        paid,
        run: None,
        proof: Proof::Signature,
    }
}

fn mark(postage: u64) -> Paid {
    let id = MarkId { psd: "PS010000000002".parse().unwrap(), ascending: amount(5_000) };
    Paid::Mark(PayingMark { id, digest: [3; 32], postage: amount(postage) })
}

fn symbol(certifier: &Certifier, certification: &Certification, algorithm: Algorithm) -> Vec<u8> {
    let signed = to_be_signed(certifier, certification, algorithm).unwrap();
    assert!(is_signed_form(&signed));
    join(&signed, &vec![5; algorithm.signature_len()])
}

#[test]
fn the_shortfall_is_debited_and_an_overpayment_is_not_given_back() {
    let debited = |due, paid| certification(due, paid).shortfall().mills();
    assert_eq!(debited(730, Paid::Nothing), 730);
    assert_eq!(debited(730, Paid::Imprint(amount(500))), 230);
    assert_eq!(debited(730, mark(730)), 0);
    assert_eq!(debited(730, mark(731)), 0);
}

/// As RFC 8949 §4.2.1 orders them: shorter keys first, then by their bytes.
#[test]
fn claims_stand_in_the_order_of_deterministic_encoding() {
    let certification = Certification { run: Some("autumn-7".parse().unwrap()), ..certification(730, mark(500)) };
    let bytes = symbol(&certifier(5_000, 1_000), &certification, Algorithm::EcdsaP256);
    let read = decode(&bytes).unwrap();
    let (_, payload) = parts_of_structure(&read.signature.as_ref().unwrap().signed).unwrap();
    let mut decoder = Decoder::new(payload);
    let entries = decoder.map().unwrap().unwrap();
    let mut keys = Vec::new();
    for _ in 0..entries {
        keys.push(decoder.str().unwrap().to_owned());
        decoder.skip().unwrap();
    }
    let mut sorted = keys.clone();
    sorted.sort_by_key(|key| (key.len(), key.clone()));
    assert_eq!((keys, decoder.position()), (sorted, payload.len()));
}

#[test]
fn nothing_but_the_one_encoding_is_read() {
    let good = symbol(&certifier(5_000, 1_000), &certification(730, mark(500)), Algorithm::EcdsaP256);
    assert!(decode(&good).is_ok());
    let replaced = |what: &[u8], by: &[u8]| {
        let at = good.windows(what.len()).position(|window| window == what).unwrap();
        [&good[..at], by, &good[at + what.len()..]].concat()
    };
    let rows = [
        ("another amount's form", replaced(b"\x640.73", b"\x6400.7")),
        ("a debit that is not the shortfall", replaced(b"\x640.23", b"\x640.24")),
        ("registers that do not add up", replaced(b"6.00", b"7.00")),
        ("a key out of its place", replaced(b"count", b"value")),
        ("an unknown key", replaced(b"tariff", b"tarifg")),
        ("a specimen that is none", replaced(b"specimen\xf5", b"specimen\xf4")),
        ("a mark without its PSD", replaced(b"mark_psd", b"mark_pse")),
        ("another content type", replaced(b"certification+cbor", b"cortification+cbor")),
        ("an unknown algorithm", replaced(&[1, 0x26, 3], &[1, 0x27, 3])),
        ("an unprotected header", replaced(b"+cbor\xa0", b"+cbor\xa1")),
        ("a signature of 63 bytes", replaced(&[0x58, 64, 5], &[0x58, 63])),
        ("bytes after the end", [&good[..], &[0]].concat()),
    ];
    for (what, bytes) in rows {
        assert!(decode(&bytes).is_err(), "{what}");
    }
}

/// Claims that name a key are signed by it, and claims without one are in no signature's form: neither passes for the other.
#[test]
fn claims_of_the_one_kind_of_proof_do_not_pass_for_the_other() {
    let signed = certification(730, mark(500));
    let with_key = certifier(5_000, 1_000);
    let bare = claims(&with_key, &signed);
    assert!(decode(&bare).is_err(), "a certificate is named, and nothing is signed");
    let receipted = Certification { proof: Proof::Receipt, ..signed };
    let without = Certifier { certificate_serial: None, ..with_key };
    assert!(decode(&claims(&without, &receipted)).is_ok());
    let structure = to_be_signed(&without, &receipted, Algorithm::EcdsaP256).unwrap();
    assert!(!is_signed_form(&structure), "no key is to sign what names none");
    assert!(decode(&join(&structure, &[5; 64])).is_err());
}

#[test]
fn keys_that_do_not_sign_certifications_are_given_nothing_to_sign() {
    let (certifier, certification) = (certifier(1, 1), certification(730, Paid::Nothing));
    for algorithm in [Algorithm::Ed25519, Algorithm::HmacSha256] {
        assert_eq!(to_be_signed(&certifier, &certification, algorithm), None);
    }
}

fn any_paid() -> impl Strategy<Value = Paid> {
    prop_oneof![
        Just(Paid::Nothing),
        (0u64..1 << 40).prop_map(|mills| Paid::Imprint(amount(mills))),
        (0u64..1 << 40).prop_map(mark),
    ]
}

proptest! {
    #[test]
    fn decoding_gives_back_what_was_encoded(
        a in 0u64..1 << 62, d in 0u64..1 << 60, due in 0u64..1 << 50, paid in any_paid(), specimen: bool, p384: bool,
        weight_mg: u64, version: u64,
    ) {
        let certifier = Certifier { specimen, ..certifier(a, d) };
        let mut certification = certification(due, paid);
        certification.weighed.weight_mg = weight_mg;
        certification.rated.version = version;
        let algorithm = if p384 { Algorithm::EcdsaP384 } else { Algorithm::EcdsaP256 };
        let bytes = symbol(&certifier, &certification, algorithm);
        let read = decode(&bytes).unwrap();
        let signature = read.signature.unwrap();
        prop_assert_eq!(join(&signature.signed, &signature.bytes), bytes);
        prop_assert_eq!((signature.certificate_serial, signature.algorithm), (9, algorithm));
        prop_assert_eq!((&read.certifier, &read.certification), (&certifier, &certification));

        let certifier = Certifier { certificate_serial: None, ..certifier };
        let certification = Certification { proof: Proof::Receipt, ..certification };
        let bytes = claims(&certifier, &certification);
        prop_assert_eq!(proof_of(&bytes), Proof::Receipt);
        prop_assert_eq!(decode(&bytes).unwrap(), Certified { certifier, certification, signature: None });
    }

    /// Whatever is changed or cut, it is no certification any more, or not the one that was signed.
    #[test]
    fn every_change_shows(at: prop::sample::Index, bit in 0u32..8) {
        let good = symbol(&certifier(5_000, 1_000), &certification(730, mark(500)), Algorithm::EcdsaP384);
        let read = decode(&good).unwrap();
        let at = at.index(good.len());
        prop_assert!(decode(&good[..at]).is_err());
        let mut changed = good.clone();
        changed[at] ^= 1 << bit;
        if let Ok(other) = decode(&changed) {
            prop_assert!(other.signature != read.signature);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, head: bool) {
        let bytes = if head { [COSE_SIGN1, &bytes].concat() } else { bytes };
        prop_assert!(decode(&bytes).is_err());
        prop_assert!(!is_signed_form(&bytes) && !is_signed_form(&[SIGNATURE1, &bytes].concat()));
    }
}
