//! What is signed about keys: the status list, the countersignature of a genesis file, revocation lists. Each wrong thing by name.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as SigningPair};
use psd::UnixMillis;
use psd::custody::RevocationReason;
use psd::record::Environment;
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::cose::Sign1;
use psdd_wire::countersignature::{Countersignature, CountersignatureError, GENESIS_COUNTERSIGNATURE, claims_over};
use psdd_wire::crl::{Crl, CrlError};
use psdd_wire::status::{KeyState, StatusEntry, StatusError, StatusList};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason as Code,
    RevokedCertParams, SerialNumber, date_time_ymd,
};

/// 2026-11-20T12:00:00Z.
const NOW: UnixMillis = UnixMillis(1_795_176_000_000);
const DAY_MS: u64 = 86_400_000;

fn list() -> StatusList {
    let entry = |state, reason: Option<&str>| StatusEntry {
        psd: "PS010000000001".parse().unwrap(),
        since: NOW.0 - DAY_MS,
        state,
        key_id: vec![1, 2, 3],
        reason: reason.map(str::to_owned),
        serial: Some(1000),
    };
    let entries = vec![entry(KeyState::Revoked, Some("keyCompromise")), entry(KeyState::Active, None)];
    StatusList { time: NOW.0, tenant: None, entries, appliance: "post-1".to_owned(), next_update: NOW.0 + DAY_MS }
}

#[test]
fn a_status_list_is_read_under_either_kind_of_log_key() {
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let spki = AsDer::as_der(p256.public_key()).unwrap().as_ref().to_vec();
    let edwards = AsDer::as_der(ed25519.public_key()).unwrap().as_ref().to_vec();
    let message = list().unsigned(&edwards).unwrap();
    let signature = ed25519.sign(&message.to_be_signed()).as_ref().to_vec();
    assert_eq!(StatusList::verify(&message.with_signature(&signature), &edwards, None, NOW).unwrap(), list());

    let signed = |list: &StatusList| {
        let message = list.unsigned(&spki).unwrap();
        let signature = p256.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        message.with_signature(signature.as_ref())
    };
    let read = StatusList::verify(&signed(&list()), &spki, Some("post-1"), NOW).unwrap();
    assert_eq!(read.entries[0].revoked(), Some(RevocationReason::KeyCompromise));
    assert_eq!(read.entries[1].revoked(), None);

    type Wanted = fn(&StatusError) -> bool;
    type Spoil = fn(&mut StatusList);
    let rows: [(&str, Spoil, Wanted); 6] = [
        ("appliance", |l| l.appliance = "post-2".to_owned(), |e| matches!(e, StatusError::Appliance(_))),
        ("stale", |l| l.next_update = NOW.0 - 1, |e| matches!(e, StatusError::Stale { .. })),
        ("ahead", |l| l.time = NOW.0 + 300_001, |e| matches!(e, StatusError::Ahead { .. })),
        ("no reason", |l| l.entries[0].reason = None, |e| matches!(e, StatusError::Entry { index: 0, .. })),
        (
            "a hold",
            |l| l.entries[0].reason = Some("certificateHold".to_owned()),
            |e| matches!(e, StatusError::Entry { index: 0, .. }),
        ),
        (
            "a reason without revocation",
            |l| l.entries[1].reason = Some("superseded".to_owned()),
            |e| matches!(e, StatusError::Entry { index: 1, .. }),
        ),
    ];
    for (name, spoil, wanted) in rows {
        let mut list = list();
        spoil(&mut list);
        let error = StatusList::verify(&signed(&list), &spki, Some("post-1"), NOW).expect_err(name);
        assert!(wanted(&error), "{name}: {error}");
    }
    let error = StatusList::verify(&signed(&list()), &edwards, None, NOW).unwrap_err();
    assert!(matches!(error, StatusError::Signature(_)), "{error}");
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2036, 1, 1));
    params
}

#[test]
fn a_countersignature_is_of_one_file_by_the_root() {
    let key = KeyPair::generate().unwrap();
    let root = AuthorityRoot::from_der(ca("Root").self_signed(&key).unwrap().der()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
    let signed = |content_type: &str, permit| {
        let claims = claims_over(b"a genesis file", ("post-1", Environment::Production), permit, NOW);
        let message = Sign1::unsigned(content_type, None, psdd_wire::encode(&claims));
        let signature = pair.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        message.with_signature(signature.as_ref())
    };
    let subject = ("post-1", Environment::Production);
    for permit in [false, true] {
        let bytes = signed(GENESIS_COUNTERSIGNATURE, permit);
        let read = Countersignature::verify(&bytes, &root, b"a genesis file", subject).unwrap();
        assert_eq!(read, Countersignature { time: NOW, permit_software_token: permit });
    }
    let bytes = signed(GENESIS_COUNTERSIGNATURE, false);
    let verdict = |bytes: &[u8], root, file: &[u8], subject| Countersignature::verify(bytes, root, file, subject);
    let other = AuthorityRoot::from_der(ca("Root").self_signed(&KeyPair::generate().unwrap()).unwrap().der()).unwrap();
    let error = verdict(&bytes, &root, b"a genesis file\n", subject).unwrap_err();
    assert!(matches!(error, CountersignatureError::Digest), "{error}");
    let error = verdict(&bytes, &other, b"a genesis file", subject).unwrap_err();
    assert!(matches!(error, CountersignatureError::Signature { .. }), "{error}");
    let error = verdict(&bytes, &root, b"a genesis file", ("post-2", Environment::Production)).unwrap_err();
    assert!(matches!(error, CountersignatureError::Appliance { .. }), "{error}");
    let error = verdict(&bytes, &root, b"a genesis file", ("post-1", Environment::Development)).unwrap_err();
    assert!(matches!(error, CountersignatureError::Environment { .. }), "{error}");
    let foreign = signed("application/psdd-genesis-approval+cbor", false);
    let error = verdict(&foreign, &root, b"a genesis file", subject).unwrap_err();
    assert!(matches!(error, CountersignatureError::Signature { .. }), "{error}");
}

fn revoked(serial: u64, reason: Option<Code>) -> RevokedCertParams {
    let (revocation_time, date) = (date_time_ymd(2026, 11, 10), date_time_ymd(2026, 11, 5));
    let invalidity_date = (reason == Some(Code::KeyCompromise)).then_some(date);
    RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time,
        reason_code: reason,
        invalidity_date,
    }
}

fn crl() -> CertificateRevocationListParams {
    CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 11, 19),
        next_update: date_time_ymd(2026, 12, 19),
        crl_number: SerialNumber::from(7u64),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked(1000, Some(Code::KeyCompromise)), revoked(1001, None), revoked(1 << 32, None)],
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

#[test]
fn a_revocation_list_is_read_under_its_issuer_and_nothing_that_is_not_understood_is() {
    let (root_key, ca_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (root, issuer) = (ca("Root"), ca("PSD CA"));
    let pinned = AuthorityRoot::from_der(root.self_signed(&root_key).unwrap().der()).unwrap();
    let issuer_der = issuer.signed_by(&ca_key, &Issuer::from_params(&root, &root_key)).unwrap().der().to_vec();
    let by = Issuer::from_params(&issuer, &ca_key);
    let read = |params: CertificateRevocationListParams, now| {
        let der = params.signed_by(&by).unwrap();
        Crl::verify(der.der(), &[&issuer_der], &pinned, now)
    };
    let list = read(crl(), NOW).unwrap();
    assert_eq!(list.revoked.keys().copied().collect::<Vec<_>>(), [1000, 1001]);
    let compromised = list.revoked[&1000];
    assert_eq!(compromised.reason, RevocationReason::KeyCompromise);
    assert_eq!(compromised.since.0, 1_794_268_800_000);
    assert_eq!(compromised.invalid_since, Some(UnixMillis(1_794_268_800_000 - 5 * DAY_MS)));
    assert_eq!(list.revoked[&1001].reason, RevocationReason::Unspecified);
    let empty = CertificateRevocationListParams { revoked_certs: Vec::new(), ..crl() };
    assert!(read(empty.clone(), NOW).unwrap().revoked.is_empty());
    let of_root = empty.signed_by(&Issuer::from_params(&root, &root_key)).unwrap();
    let none: [Vec<u8>; 0] = [];
    assert!(Crl::verify(of_root.der(), &none, &pinned, NOW).is_ok(), "the root's own list needs no other certificate");

    let hold =
        CertificateRevocationListParams { revoked_certs: vec![revoked(5, Some(Code::CertificateHold))], ..crl() };
    assert_eq!(read(hold, NOW), Err(CrlError::Reason(5)));
    let point = CrlDistributionPoint { uris: vec!["http://post.example/crl".to_owned()] };
    let partial = CrlIssuingDistributionPoint { distribution_point: point, scope: None };
    let partial = CertificateRevocationListParams { issuing_distribution_point: Some(partial), ..crl() };
    assert!(matches!(read(partial, NOW), Err(CrlError::Critical(_))));
    assert!(matches!(read(crl(), UnixMillis(NOW.0 + 60 * DAY_MS)), Err(CrlError::Stale { .. })));
    let der = crl().signed_by(&by).unwrap().der().to_vec();
    assert!(matches!(Crl::verify(&der, &none, &pinned, NOW), Err(CrlError::UnknownIssuer(_))));
    let strange =
        AuthorityRoot::from_der(ca("Root").self_signed(&KeyPair::generate().unwrap()).unwrap().der()).unwrap();
    assert!(matches!(Crl::verify(&der, &[&issuer_der], &strange, NOW), Err(CrlError::Issuer(_))));
    let forged = crl().signed_by(&Issuer::from_params(&issuer, KeyPair::generate().unwrap())).unwrap();
    let verdict = Crl::verify(forged.der(), &[&issuer_der], &pinned, NOW);
    assert!(matches!(verdict, Err(CrlError::Signature(_))), "{verdict:?}");
    for bit in 0..der.len() * 8 {
        let mut changed = der.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(Crl::verify(&changed, &[&issuer_der], &pinned, NOW).is_err(), "bit {bit}");
    }
}
