//! Chains to the authority's root, link by link, and verdicts without a connection.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use psd::indicium::ibi::Ibi;
use psd::indicium::{Decoded, Details, Fields, Format, Postal};
use psd::{Currency, PostageAmount, Registers, UnixMillis};
use psdd_client::verify::offline::{Bundle, Verdict};
use psdd_client::verify::{AuthorityRoot, ChainError};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};

const DEVICE: &str = "PS010000000001";
const SERIAL: u32 = 77;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

fn ca_params(name: &str, below: u8) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn root() -> Ca {
    Ca::self_signed(ca_params("Root", 1), KeyPair::generate().unwrap()).unwrap()
}

fn leaf_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.serial_number = Some(SerialNumber::from_slice(&SERIAL.to_be_bytes()));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn below(above: &Ca, params: CertificateParams) -> Ca {
    Ca::signed_by(params, KeyPair::generate().unwrap(), above).unwrap()
}

fn signed(params: &CertificateParams, key: &KeyPair, issuer: &Ca) -> Vec<u8> {
    params.signed_by(key, issuer).unwrap().der().to_vec()
}

fn pinned(root: &Ca) -> AuthorityRoot {
    AuthorityRoot::from_der(root.der()).unwrap()
}

/// A mark of the device, mailed on that day.
fn mark(key: &KeyPair, device: &str, date: &str) -> Decoded {
    let amount = |mills| PostageAmount::from_mills(mills).unwrap();
    let (date, destination) = (date.parse().unwrap(), "20500".parse().unwrap());
    let details = Details::Postal(Postal { date, destination, rate: "FCL".parse().unwrap() });
    let fields = Fields {
        psd: device.parse().unwrap(),
        certificate_serial: SERIAL,
        registers: Registers::from_parts(amount(730), amount(270), amount(1_000), 1).unwrap(),
        postage: amount(730),
        currency: Currency::USD,
        licensing_zip: "94301".parse().unwrap(),
        software_id: *b"psdd01",
        specimen: false,
        details: &details,
    };
    let mut bytes = Vec::new();
    Ibi.encode_unsigned(&fields, &mut bytes).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
    let signature = key.sign(&SystemRandom::new(), &bytes).unwrap();
    Ibi.decode(&Ibi.join(&bytes, signature.as_ref())).unwrap()
}

#[test]
fn a_chain_of_one_or_two_links_is_followed() {
    let (root, key) = (root(), KeyPair::generate().unwrap());
    let issuing = below(&root, ca_params("Issuing", 0));
    let direct = pinned(&root).certify(&[signed(&leaf_params(DEVICE), &key, &root)]).unwrap();
    let chain = [signed(&leaf_params(DEVICE), &key, &issuing), issuing.der().to_vec()];
    let certified = pinned(&root).certify(&chain).unwrap();
    assert_eq!((certified.serial(), certified.spki()), (SERIAL, direct.spki()));
    assert_eq!(certified.psd().unwrap().to_string(), DEVICE);
    let (from, to) = certified.window();
    assert!(certified.valid_at(from) && certified.valid_at(to));
    assert!(!certified.valid_at(UnixMillis(from.0 - 1)) && !certified.valid_at(UnixMillis(to.0 + 1)));
    let good = mark(&key, DEVICE, "2026-11-20");
    assert!(certified.signed(&good));
    assert!(!certified.signed(&Decoded { signed: good.signed.iter().rev().copied().collect(), ..good }));
}

#[test]
fn every_broken_link_is_named() {
    let (root, key) = (root(), KeyPair::generate().unwrap());
    let verdict = |chain: &[Vec<u8>]| pinned(&root).certify(chain).map(drop).unwrap_err();
    let leaf = |issuer: &Ca| signed(&leaf_params(DEVICE), &key, issuer);

    assert_eq!(verdict(&[]), ChainError::Empty);
    assert!(matches!(verdict(&[vec![1, 2, 3]]), ChainError::Malformed(_)));
    assert!(matches!(verdict(&vec![leaf(&root); 5]), ChainError::TooLong(5)));

    let namesake = self::root();
    assert!(matches!(verdict(&[leaf(&namesake)]), ChainError::Signature { .. }));
    let stranger = Ca::self_signed(ca_params("Stranger", 1), KeyPair::generate().unwrap()).unwrap();
    assert!(matches!(verdict(&[leaf(&stranger)]), ChainError::Issuer { .. }));

    let no_ca = below(&root, leaf_params("No CA"));
    assert!(matches!(
        verdict(&[leaf(&no_ca), no_ca.der().to_vec()]),
        ChainError::NotAnIssuer { rule: "it is no CA", .. }
    ));
    let mut idle = ca_params("Idle", 0);
    idle.key_usages = vec![KeyUsagePurpose::CrlSign];
    let idle = below(&root, idle);
    assert!(matches!(verdict(&[leaf(&idle), idle.der().to_vec()]), ChainError::NotAnIssuer { .. }));
    let upper = below(&root, ca_params("Upper", 1));
    let lower = below(&upper, ca_params("Lower", 0));
    let deep = [leaf(&lower), lower.der().to_vec(), upper.der().to_vec()];
    let exceeded = ChainError::NotAnIssuer { subject: "CN=Root".to_owned(), rule: "its path length is exceeded" };
    assert_eq!(verdict(&deep), exceeded);
}

#[test]
fn only_certificates_made_for_a_psd_key_are_taken() {
    let (root, key) = (root(), KeyPair::generate().unwrap());
    let verdict = |params: &CertificateParams, key: &KeyPair| {
        pinned(&root).certify(&[signed(params, key, &root)]).map(drop).unwrap_err()
    };
    let refused = |error| matches!(error, ChainError::NotAPsdKey { .. });
    assert!(refused(verdict(&ca_params(DEVICE, 0), &key)));
    assert!(refused(verdict(&params(DEVICE), &key)));
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert!(refused(verdict(&leaf_params(DEVICE), &ed25519)));
    let mut long = leaf_params(DEVICE);
    long.serial_number = Some(SerialNumber::from_slice(&[1, 2, 3, 4, 5]));
    assert!(matches!(verdict(&long, &key), ChainError::Serial { .. }));
    let mut critical = leaf_params(DEVICE);
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    critical.custom_extensions.push(extension);
    assert!(matches!(verdict(&critical, &key), ChainError::CriticalExtension { .. }));
}

#[test]
fn a_root_is_a_ca_that_signed_itself() {
    let root = root();
    let issuing = below(&root, ca_params("Issuing", 0));
    assert!(matches!(AuthorityRoot::from_der(issuing.der()), Err(ChainError::NotARoot { .. })));
    let own = leaf_params("Leaf").self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert!(matches!(AuthorityRoot::from_der(own.der()), Err(ChainError::NotAnIssuer { .. })));
}

#[test]
fn each_verdict_without_a_connection() {
    let (root, key) = (root(), KeyPair::generate().unwrap());
    let issuing = below(&root, ca_params("Issuing", 0));
    let leaf = signed(&leaf_params(DEVICE), &key, &issuing);
    // Issuers stand in any order, and the root may be among them.
    let bundle = Bundle::new(&[root.der().to_vec(), leaf.clone(), issuing.der().to_vec()], &pinned(&root)).unwrap();
    assert_eq!(bundle.len(), 1);
    let good = mark(&key, DEVICE, "2026-11-20");
    assert_eq!(bundle.judge(&good), Verdict::Valid);
    assert_eq!(bundle.judge(&mark(&key, DEVICE, "2027-01-02")), Verdict::NotValidThen);
    assert_eq!(bundle.judge(&mark(&key, DEVICE, "2025-12-31")), Verdict::NotValidThen);
    assert_eq!(bundle.judge(&mark(&KeyPair::generate().unwrap(), DEVICE, "2026-11-20")), Verdict::BadSignature);
    let other = mark(&key, "PS010000000002", "2026-11-20");
    assert_eq!(bundle.judge(&other), Verdict::OtherDevice(DEVICE.to_owned()));
    assert_eq!(bundle.judge(&Decoded { certificate_serial: 78, ..good.clone() }), Verdict::UnknownCertificate(78));
    let namesake = self::root();
    let foreign = Bundle::new(&[leaf, issuing.der().to_vec()], &pinned(&namesake)).unwrap();
    assert!(matches!(foreign.judge(&good), Verdict::NotFromAuthority(ChainError::Signature { .. })));
}
