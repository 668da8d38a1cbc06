//! Chains made by a real CA library: what leads to the root, and every way in which one does not.

use psd::UnixMillis;
use psdd_wire::certificate::{ChainError, verify_chain, verify_end_entity};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
    date_time_ymd,
};

const NOW: UnixMillis = UnixMillis(1_795_176_000_000);

fn params(name: &str, serial: &[u8]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

fn ca(name: &str, path: Option<u8>) -> CertificateParams {
    let mut params = params(name, &[1]);
    params.is_ca = IsCa::Ca(path.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn end_entity() -> CertificateParams {
    let mut params = params("PS010001000001", &[0x12, 0x34, 0x56, 0x78]);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

/// Root, one issuer, one end entity, each as the test wants it.
struct Chain {
    root: CertificateParams,
    issuer: CertificateParams,
    leaf: CertificateParams,
    algorithm: &'static rcgen::SignatureAlgorithm,
    leaf_algorithm: &'static rcgen::SignatureAlgorithm,
}

impl Default for Chain {
    fn default() -> Self {
        let (root, issuer) = (ca("Root", None), ca("Issuer", Some(0)));
        let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
        Self { root, issuer, leaf: end_entity(), algorithm: p256, leaf_algorithm: p256 }
    }
}

impl Chain {
    /// End entity, issuer, root, as DER; and the end entity's SPKI.
    fn made(self) -> ([Vec<u8>; 3], Vec<u8>) {
        let key = |algorithm| KeyPair::generate_for(algorithm).unwrap();
        let (root_key, issuer_key, leaf_key) = (key(self.algorithm), key(self.algorithm), key(self.leaf_algorithm));
        let root = self.root.self_signed(&root_key).unwrap();
        let by_root = Issuer::from_params(&self.root, &root_key);
        let issuer = self.issuer.signed_by(&issuer_key, &by_root).unwrap();
        let by_issuer = Issuer::from_params(&self.issuer, &issuer_key);
        let leaf = self.leaf.signed_by(&leaf_key, &by_issuer).unwrap();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&leaf_key);
        ([leaf.der().to_vec(), issuer.der().to_vec(), root.der().to_vec()], spki)
    }

    fn verdict(self) -> Result<(), ChainError> {
        let ([leaf, issuer, root], _) = self.made();
        verify_chain(&[&leaf, &issuer], &root, NOW).map(drop)
    }
}

#[test]
fn a_chain_to_the_root_gives_key_and_serial() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let ([leaf, issuer, root], spki) = Chain { algorithm, ..Chain::default() }.made();
        let key = verify_chain(&[&leaf, &issuer], &root, NOW).unwrap();
        assert_eq!((key.serial(), key.spki()), (0x1234_5678, &spki[..]));
        assert_eq!(key.psd().unwrap().to_string(), "PS010001000001");
        assert_eq!(key.window(), (UnixMillis(1_767_225_600_000), UnixMillis(1_798_761_600_999)));
    }
}

#[test]
fn a_key_on_p384_is_certified_like_one_on_p256() {
    let ([leaf, issuer, root], spki) =
        Chain { leaf_algorithm: &rcgen::PKCS_ECDSA_P384_SHA384, ..Chain::default() }.made();
    assert_eq!(verify_end_entity(&[&leaf, &issuer], &root, NOW).unwrap().spki, spki);
}

#[test]
fn what_is_not_as_it_must_be_is_refused_and_named() {
    type Change = fn(&mut Chain);
    type Wanted = fn(&ChainError) -> bool;
    let critical = |params: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 36], vec![0x30, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    };
    let refused: Vec<(&str, Change, Wanted)> = vec![
        ("no CA", |c| c.issuer.is_ca = IsCa::ExplicitNoCa, |e| matches!(e, ChainError::NotAnIssuer { .. })),
        ("no basic constraints", |c| c.issuer.is_ca = IsCa::NoCa, |e| matches!(e, ChainError::NotAnIssuer { .. })),
        (
            "no keyCertSign",
            |c| c.issuer.key_usages = vec![KeyUsagePurpose::CrlSign],
            |e| matches!(e, ChainError::NotAnIssuer { .. }),
        ),
        (
            "no key usage of the issuer",
            |c| c.issuer.key_usages.clear(),
            |e| matches!(e, ChainError::NotAnIssuer { .. }),
        ),
        (
            "path length",
            |c| c.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)),
            |e| matches!(e, ChainError::NotAnIssuer { rule, .. } if rule.contains("path length")),
        ),
        (
            "a CA as end entity",
            |c| c.leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            |e| matches!(e, ChainError::NotAPsdKey { .. }),
        ),
        (
            "no digitalSignature",
            |c| c.leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement],
            |e| matches!(e, ChainError::NotAPsdKey { .. }),
        ),
        ("no key usage", |c| c.leaf.key_usages.clear(), |e| matches!(e, ChainError::NotAPsdKey { .. })),
        (
            "another curve",
            |c| c.leaf_algorithm = &rcgen::PKCS_ECDSA_P521_SHA512,
            |e| matches!(e, ChainError::NotAPsdKey { .. }),
        ),
        (
            "a long serial",
            |c| c.leaf.serial_number = Some(SerialNumber::from_slice(&[1, 0, 0, 0, 0])),
            |e| matches!(e, ChainError::Serial { .. }),
        ),
        ("expired", |c| c.leaf.not_after = date_time_ymd(2026, 6, 1), |e| matches!(e, ChainError::NotValid { .. })),
        (
            "not yet valid",
            |c| c.leaf.not_before = date_time_ymd(2026, 12, 1),
            |e| matches!(e, ChainError::NotValid { .. }),
        ),
        (
            "an expired issuer",
            |c| c.issuer.not_after = date_time_ymd(2026, 6, 1),
            |e| matches!(e, ChainError::NotValid { .. }),
        ),
        (
            "an expired root",
            |c| c.root.not_after = date_time_ymd(2026, 6, 1),
            |e| matches!(e, ChainError::NotValid { .. }),
        ),
    ];
    for (what, change, named) in refused {
        let mut chain = Chain::default();
        change(&mut chain);
        let error = chain.verdict().err().unwrap_or_else(|| panic!("{what}: accepted"));
        assert!(named(&error), "{what}: {error}");
    }
    for at in 0..3 {
        let mut chain = Chain::default();
        critical([&mut chain.leaf, &mut chain.issuer, &mut chain.root][at]);
        assert!(matches!(chain.verdict(), Err(ChainError::CriticalExtension { .. })), "certificate {at}");
    }
}

#[test]
fn links_must_meet() {
    let ([leaf, issuer, root], _) = Chain::default().made();
    let ([_, other_issuer, other_root], _) = Chain::default().made();
    let mut renamed = Chain::default();
    renamed.issuer.distinguished_name.push(DnType::OrganizationName, "Other");
    let ([_, renamed_issuer, _], _) = renamed.made();
    let verdict = |chain: &[&[u8]], root: &[u8]| verify_chain(chain, root, NOW).map(drop);
    // Names meet, keys do not.
    assert!(matches!(verdict(&[&leaf, &issuer], &other_root), Err(ChainError::Signature { .. })));
    assert!(matches!(verdict(&[&leaf, &other_issuer], &root), Err(ChainError::Signature { .. })));
    assert!(matches!(verdict(&[&leaf, &renamed_issuer], &root), Err(ChainError::Issuer { .. })));
    assert!(matches!(verdict(&[&leaf], &root), Err(ChainError::Issuer { .. })));
    assert!(matches!(verdict(&[], &root), Err(ChainError::Empty)));
    assert!(matches!(verdict(&[&leaf[..]; 5], &root), Err(ChainError::TooLong(5))));
    assert!(matches!(verdict(&[&leaf, &issuer], &leaf), Err(ChainError::NotAnIssuer { .. })));
    assert!(matches!(verdict(&[&leaf, &issuer], &issuer), Err(ChainError::NotARoot { .. })));
    assert!(matches!(verdict(&[&issuer, &leaf], &root), Err(ChainError::Issuer { .. })));
}

/// No byte of a chain can be changed, added or taken away.
#[test]
fn every_bit_counts() {
    let ([leaf, issuer, root], _) = Chain::default().made();
    for at in 0..leaf.len() {
        let mut changed = leaf.clone();
        changed[at] ^= 1;
        assert!(verify_chain(&[&changed, &issuer], &root, NOW).is_err(), "byte {at}");
    }
    for bytes in [[&leaf[..], &[0]].concat(), leaf[..leaf.len() - 1].to_vec(), Vec::new()] {
        assert!(matches!(verify_chain(&[&bytes, &issuer], &root, NOW), Err(ChainError::Malformed(_))));
    }
}

#[test]
fn an_authoritys_own_certificate_may_have_a_long_serial() {
    let mut chain = Chain::default();
    chain.leaf.serial_number = Some(SerialNumber::from_slice(&[7; 20]));
    let ([leaf, issuer, root], spki) = chain.made();
    let key = verify_end_entity(&[&leaf, &issuer], &root, NOW).unwrap();
    assert_eq!((key.serial, key.spki), (None, spki));
    assert!(matches!(verify_end_entity(&[&leaf, &issuer], &root, UnixMillis(0)), Err(ChainError::NotValid { .. })));
    let ([leaf, issuer, root], _) = Chain::default().made();
    assert_eq!(verify_end_entity(&[&leaf, &issuer], &root, NOW).unwrap().serial, Some(0x1234_5678));
}
