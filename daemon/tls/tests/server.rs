//! A listener's TLS from files that were issued for the test.

use psdd_tls::{CertificateDer, ServerFiles, ServerTls, TlsError, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use std::path::Path;
use std::time::Duration as Std;
use time::OffsetDateTime;

struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
}

fn now(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Std::from_secs(u64::try_from(1_800_000_000 + seconds).unwrap()))
}

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (at(-1_000), at(9_000));
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Ca { issuer: Issuer::from_ca_cert_pem(&pem, key).unwrap(), pem }
}

fn leaf(by: &Ca, serial: u64, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (at(-1_000), at(5_000));
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, &by.issuer).unwrap(), key)
}

fn crl(by: &Ca, revoked: &[u64], ends: i64) -> String {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: at(-10),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: at(-100),
        next_update: at(ends),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&by.issuer).unwrap().pem().unwrap()
}

fn files(dir: &Path) -> ServerFiles {
    let file = |name: &str| dir.join(name);
    ServerFiles {
        certificate: file("server.pem"),
        key: file("server.key"),
        client_ca: file("ca.pem"),
        client_crl: file("ca.crl"),
    }
}

fn write(dir: &Path, by: &Ca, list: &str) {
    let (server, key) = leaf(by, 1, ExtendedKeyUsagePurpose::ServerAuth);
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    put("server.pem", &server.pem());
    put("server.key", &key.serialize_pem());
    put("ca.pem", &by.pem);
    put("ca.crl", list);
}

#[test]
fn a_chain_is_judged_by_ca_list_and_time() {
    let (dir, ours, others) = (tempfile::tempdir().unwrap(), ca("ours"), ca("others"));
    write(dir.path(), &ours, &crl(&ours, &[7], 4_000));
    let tls = ServerTls::read(&files(dir.path())).unwrap();
    let chain = |by: &Ca, serial| -> [CertificateDer<'static>; 1] {
        [leaf(by, serial, ExtendedKeyUsagePurpose::ClientAuth).0.der().clone()]
    };
    tls.admits(&chain(&ours, 8), now(0)).unwrap();
    let why = |chain: &[CertificateDer<'_>], at| tls.admits(chain, now(at)).unwrap_err().to_string();
    assert!(why(&chain(&ours, 7), 0).contains("Revoked"));
    assert!(why(&chain(&others, 8), 0).contains("UnknownIssuer"));
    assert!(why(&chain(&ours, 8), 4_500).contains("xpired"), "the list has ended");
    assert!(why(&chain(&ours, 8), 6_000).contains("xpired"));
    assert!(why(&[], 0).contains("BadEncoding"));
}

#[test]
fn what_ends_first_is_told() {
    let (dir, ours) = (tempfile::tempdir().unwrap(), ca("ours"));
    // Two lists in one file: the first to end counts.
    write(dir.path(), &ours, &(crl(&ours, &[], 4_000) + &crl(&ours, &[], 3_000)));
    let lifetimes = ServerTls::read(&files(dir.path())).unwrap().lifetimes();
    assert_eq!((lifetimes.certificate, lifetimes.client_ca, lifetimes.crl), (now(5_000), now(9_000), now(3_000)));
}

#[test]
fn a_file_at_fault_is_named() {
    let (dir, ours) = (tempfile::tempdir().unwrap(), ca("ours"));
    for name in ["server.pem", "server.key", "ca.pem", "ca.crl"] {
        write(dir.path(), &ours, &crl(&ours, &[], 4_000));
        std::fs::write(dir.path().join(name), "").unwrap();
        let error = ServerTls::read(&files(dir.path())).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert!(matches!(error, TlsError::Empty { .. } | TlsError::Pem { .. }), "{error:?}");
    }
}

#[test]
fn a_client_ca_under_another_name_is_still_the_same() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, others) = (ca("ours"), ca("others"));
    write(a.path(), &ours, &crl(&ours, &[], 4_000));
    write(b.path(), &others, &crl(&others, &[], 4_000));
    let read = |dir: &Path| ServerTls::read(&files(dir)).unwrap();
    assert!(!read(a.path()).shares_a_client_ca_with(&read(b.path())));
    std::fs::write(b.path().join("ca.pem"), others.pem.clone() + &ours.pem).unwrap();
    assert!(read(a.path()).shares_a_client_ca_with(&read(b.path())));
    assert!(read(b.path()).shares_a_client_ca_with(&read(a.path())));
}
