//! The profile of a PSD key's certificate: what is accepted, and each wrong thing by its own error.

use psd::UnixMillis;
use psd::key::Role;
use psdd_wire::certificate::{AuthorityRoot, ChainError};
use psdd_wire::profile::{Lifetime, ProfileError, WantedKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SerialNumber, date_time_ymd,
};

const PSD: &str = "PS010000000001";
const NOW: UnixMillis = UnixMillis(1_795_176_000_000);

/// A certificate as it must be, to be spoilt.
struct Case {
    leaf: CertificateParams,
    algorithm: &'static rcgen::SignatureAlgorithm,
    role: Role,
    generation: u8,
    now: UnixMillis,
    foreign_root: bool,
    foreign_key: bool,
}

fn subject(attributes: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, text) in attributes {
        name.push(kind.clone(), DnValue::Utf8String((*text).to_owned()));
    }
    name
}

fn serial_number() -> DnType {
    DnType::CustomDnType(vec![2, 5, 4, 5])
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = subject(&[(DnType::CommonName, name)]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2040, 1, 1));
    params
}

impl Case {
    fn new(role: Role) -> Self {
        let mut leaf = CertificateParams::new(Vec::new()).unwrap();
        leaf.distinguished_name =
            subject(&[(DnType::CommonName, PSD), (DnType::OrganizationalUnitName, &role.to_string())]);
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.serial_number = Some(SerialNumber::from(1000u64));
        (leaf.not_before, leaf.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2029, 1, 1));
        let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
        Self { leaf, algorithm, role, generation: 1, now: NOW, foreign_root: false, foreign_key: false }
    }

    fn verdict(self) -> Result<u32, ProfileError> {
        let (root_key, issuer_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let leaf_key = KeyPair::generate_for(self.algorithm).unwrap();
        let (root, issuer) = (ca("Root"), ca("PSD CA"));
        let by_root = Issuer::from_params(&root, &root_key);
        let issuer_certificate = issuer.signed_by(&issuer_key, &by_root).unwrap();
        let leaf = self.leaf.signed_by(&leaf_key, &Issuer::from_params(&issuer, &issuer_key)).unwrap();
        let pinned_key = if self.foreign_root { KeyPair::generate().unwrap() } else { root_key };
        let pinned = AuthorityRoot::from_der(root.self_signed(&pinned_key).unwrap().der()).unwrap();
        let held = if self.foreign_key { KeyPair::generate().unwrap() } else { leaf_key };
        let spki = held.subject_public_key_info();
        let wanted = WantedKey { psd: PSD.parse().unwrap(), role: self.role, generation: self.generation, spki: &spki };
        let chain = [leaf.der().to_vec(), issuer_certificate.der().to_vec()];
        let profiled = pinned.profile(&chain, &wanted, &Lifetime { now: self.now, most_years: 5 })?;
        assert!(profiled.not_before <= NOW && NOW <= profiled.not_after);
        Ok(profiled.serial)
    }
}

#[test]
fn a_certificate_as_it_must_be_gives_its_serial() {
    for role in Role::CERTIFIED {
        assert_eq!(Case::new(role).verdict(), Ok(1000));
    }
    let p384 = Case { algorithm: &rcgen::PKCS_ECDSA_P384_SHA384, ..Case::new(Role::Certification) };
    assert_eq!(p384.verdict(), Ok(1000));
    let mut second = Case { generation: 2, ..Case::new(Role::Indicium) };
    second.leaf.distinguished_name.push(serial_number(), "2");
    assert_eq!(second.verdict(), Ok(1000));
}

#[test]
fn each_wrong_thing_has_its_own_error() {
    type Spoil = fn(&mut Case);
    type Wanted = fn(&ProfileError) -> bool;
    let rows: Vec<(&str, Spoil, Wanted)> = vec![
        ("another key", |c| c.foreign_key = true, |e| matches!(e, ProfileError::Key { .. })),
        (
            "P-384 for indicia",
            |c| c.algorithm = &rcgen::PKCS_ECDSA_P384_SHA384,
            |e| matches!(e, ProfileError::KeyKind { .. }),
        ),
        ("Ed25519", |c| c.algorithm = &rcgen::PKCS_ED25519, |e| matches!(e, ProfileError::KeyKind { .. })),
        (
            "another PSD",
            |c| c.leaf.distinguished_name.push(DnType::CommonName, "PS010000000002"),
            |e| matches!(e, ProfileError::Subject { .. }),
        ),
        ("another role", |c| c.role = Role::Device, |e| matches!(e, ProfileError::Subject { .. })),
        ("a generation too late", |c| c.generation = 2, |e| matches!(e, ProfileError::Subject { .. })),
        (
            "a generation too early",
            |c| c.leaf.distinguished_name.push(serial_number(), "2"),
            |e| matches!(e, ProfileError::Subject { .. }),
        ),
        (
            "another root",
            |c| c.foreign_root = true,
            |e| matches!(e, ProfileError::Issuer(ChainError::Signature { .. })),
        ),
        (
            "a CA",
            |c| c.leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            |e| matches!(e, ProfileError::Usage { rule: "it is a CA's", .. }),
        ),
        ("no usage", |c| c.leaf.key_usages.clear(), |e| matches!(e, ProfileError::Usage { rule: "it says none", .. })),
        (
            "key agreement",
            |c| c.leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement],
            |e| matches!(e, ProfileError::Usage { .. }),
        ),
        (
            "certificates too",
            |c| c.leaf.key_usages.push(KeyUsagePurpose::KeyCertSign),
            |e| matches!(e, ProfileError::Usage { rule: "it allows more than digital signatures", .. }),
        ),
        (
            "a long serial",
            |c| c.leaf.serial_number = Some(SerialNumber::from(1u64 << 32)),
            |e| matches!(e, ProfileError::Serial { .. }),
        ),
        (
            "not yet valid",
            |c| c.leaf.not_before = date_time_ymd(2026, 12, 1),
            |e| matches!(e, ProfileError::NotYetValid { .. }),
        ),
        ("expired", |c| c.now = UnixMillis(1_861_920_001_000), |e| matches!(e, ProfileError::Expired { .. })),
        (
            "for ever",
            |c| c.leaf.not_after = date_time_ymd(2031, 2, 1),
            |e| matches!(e, ProfileError::TooLong { most_years: 5, .. }),
        ),
    ];
    for (name, spoil, wanted) in rows {
        let mut case = Case::new(Role::Indicium);
        spoil(&mut case);
        let error = case.verdict().expect_err(name);
        assert!(wanted(&error), "{name}: {error}");
    }
    let case = Case::new(Role::Log);
    assert!(matches!(case.verdict(), Err(ProfileError::KeyKind { .. })), "log keys are never certified");
    let root = ca("Root").self_signed(&KeyPair::generate().unwrap()).unwrap();
    let wanted = WantedKey { psd: PSD.parse().unwrap(), role: Role::Indicium, generation: 1, spki: &[] };
    let none: [Vec<u8>; 0] = [];
    let verdict =
        AuthorityRoot::from_der(root.der()).unwrap().profile(&none, &wanted, &Lifetime { now: NOW, most_years: 5 });
    assert_eq!(verdict, Err(ProfileError::Malformed(ChainError::Empty)));
}
