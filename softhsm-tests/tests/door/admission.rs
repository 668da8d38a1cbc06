//! Who gets in: TLS 1.3, a client certificate of the door's own CA that names one tenant and one client, and no session twice.

use crate::client::Caller;
use crate::{run, shared};
use psdctl::dev::{ClientIdentity, Layout};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A client certificate as a good one is.
pub fn good(serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, "client");
    params.distinguished_name.push(DnType::OrganizationName, "acme");
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::hours(1), now + Duration::days(1));
    params.serial_number = Some(SerialNumber::from(serial));
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

pub fn issuer(layout: &Layout, ca: &str) -> Issuer<'static, KeyPair> {
    let read = |kind: &str| std::fs::read_to_string(layout.pki().join(format!("{ca}.{kind}"))).expect("a CA");
    Issuer::from_ca_cert_pem(&read("pem"), KeyPair::from_pem(&read("key")).expect("a key")).expect("a CA")
}

pub fn issue(layout: &Layout, name: &str, ca: Option<&str>, params: &CertificateParams) -> ClientIdentity {
    let key = KeyPair::generate().expect("a key");
    let certificate = match ca {
        Some(ca) => params.signed_by(&key, &issuer(layout, ca)),
        None => params.self_signed(&key),
    };
    let file = |kind: &str| layout.pki().join(format!("test-{name}.{kind}"));
    let identity = ClientIdentity { certificate: file("pem"), key: file("key") };
    std::fs::write(&identity.certificate, certificate.expect("a certificate").pem()).expect("written");
    std::fs::write(&identity.key, key.serialize_pem()).expect("written");
    identity
}

/// Whether this client gets in, and if not, why.
pub async fn admitted(caller: &Caller, identity: Option<&ClientIdentity>) -> Result<(), String> {
    caller.try_connect(caller.tls(identity, &[&TLS13])).await.map(|_wire| ())
}

/// This client never gets in, and is told why. An alert can be lost on the way, because what the client has already sent meets a
/// closed socket (RFC 8446 §6.1), so it is asked for more than once.
pub async fn assert_refused(caller: &Caller, identity: Option<&ClientIdentity>, name: &str, why: &str) {
    let mut told = Vec::new();
    for _ in 0..20 {
        let error = admitted(caller, identity).await.err().unwrap_or_else(|| panic!("{name}: got in"));
        if error.contains(why) {
            return;
        }
        told.push(error);
    }
    panic!("{name}: {why} was never told: {told:?}");
}

#[test]
fn only_a_certified_client_of_this_door_gets_in() {
    let shared = shared();
    let caller = shared.caller();
    let layout = &caller.layout;
    let now = OffsetDateTime::now_utc();
    let changed = |serial: u64, change: &dyn Fn(&mut CertificateParams)| {
        let mut params = good(serial);
        change(&mut params);
        params
    };
    let named = |serial: u64, names: &[(DnType, &str)]| {
        changed(serial, &|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            names.iter().for_each(|(kind, text)| params.distinguished_name.push(kind.clone(), *text));
        })
    };
    let (cn, o, ou) = (DnType::CommonName, DnType::OrganizationName, DnType::OrganizationalUnitName);
    let vendor = Some("vendor-ca");
    let expired = changed(401, &|params| {
        (params.not_before, params.not_after) = (now - Duration::days(2), now - Duration::days(1))
    });
    let early = changed(402, &|params| {
        (params.not_before, params.not_after) = (now + Duration::days(1), now + Duration::days(2))
    });
    let a_ca = changed(406, &|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let rows: Vec<(&str, Option<&str>, CertificateParams, &str)> = vec![
        ("expired", vendor, expired, "CertificateExpired"),
        ("not valid yet", vendor, early, ""),
        ("of the server's CA", Some("server-ca"), good(403), "UnknownCA"),
        ("of the postal authority's root", Some("../authority/root/authority-root"), good(404), "UnknownCA"),
        ("self-signed", None, good(405), "UnknownCA"),
        ("a CA itself", vendor, a_ca, ""),
        (
            "for servers",
            vendor,
            changed(407, &|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            "",
        ),
        ("without a tenant", vendor, named(408, &[(cn.clone(), "client")]), ""),
        ("without a client", vendor, named(409, &[(o.clone(), "acme")]), ""),
        ("with an empty client", vendor, named(410, &[(cn.clone(), ""), (o.clone(), "acme")]), ""),
        ("with the tenant as a unit", vendor, named(411, &[(cn.clone(), "client"), (ou, "acme")]), ""),
        ("with a tenant of other characters", vendor, named(412, &[(cn.clone(), "client"), (o.clone(), "ac me")]), ""),
        ("with a tenant that breaks out", vendor, named(413, &[(cn.clone(), "client"), (o.clone(), "acme\"}")]), ""),
        ("with no name at all", vendor, named(414, &[]), ""),
    ];
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(name, ca, params, why)| (name, issue(layout, &name.replace(' ', "-"), ca, &params), why))
        .collect();
    let plain = issue(layout, "good", vendor, &good(400));
    run(async {
        admitted(&caller, Some(&plain)).await.expect("a good certificate");
        assert_refused(&caller, None, "no certificate", "CertificateRequired").await;
        for (name, identity, why) in &rows {
            assert_refused(&caller, Some(identity), name, why).await;
        }
        // A certificate with another's key never gets to a handshake that ends.
        let mixed = ClientIdentity { certificate: caller.identity.certificate.clone(), key: plain.key.clone() };
        let chain = std::panic::catch_unwind(|| caller.tls(Some(&mixed), &[&TLS13]));
        assert!(chain.is_err(), "rustls itself refuses a key of another certificate");
        let tls12 = caller.tls_stream(caller.tls(Some(&plain), &[&TLS12]), "h2").await.expect_err("TLS 1.2");
        assert!(tls12.to_string().contains("ProtocolVersion"), "{tls12}");
        let alpn =
            caller.tls_stream(caller.tls(Some(&plain), &[&TLS13]), "spdy/3").await.expect_err("another protocol");
        assert!(alpn.to_string().contains("NoApplicationProtocol"), "{alpn}");
        // Plain HTTP at a TLS door.
        let mut tcp = tokio::net::TcpStream::connect(&caller.address).await.expect("TCP");
        tcp.write_all(b"GET /v1/psds HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("written");
        let mut answer = Vec::new();
        if let Err(error) = tcp.read_to_end(&mut answer).await {
            eprintln!("plain HTTP: {error}");
        }
        assert!(!answer.starts_with(b"HTTP"), "plain HTTP was answered");
        admitted(&caller, Some(&plain)).await.expect("the door still opens");
    });
}

#[test]
fn no_session_is_resumed() {
    let shared = shared();
    let caller = shared.caller();
    run(async {
        // One configuration, so one store of sessions, for all connections.
        let mut config = caller.tls(Some(&caller.identity), &[&TLS13]);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        for nth in 0..3 {
            let tcp = tokio::net::TcpStream::connect(&caller.address).await.expect("TCP");
            let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
            let mut stream =
                tokio_rustls::TlsConnector::from(Arc::clone(&config)).connect(name, tcp).await.expect("TLS");
            // Tickets come after the handshake, so an answer is read first.
            stream
                .write_all(b"GET /v1/appliance HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await
                .expect("written");
            let answer = crate::client::read_to_end(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:.100}");
            let tls = stream.get_ref().1;
            assert_ne!(tls.handshake_kind(), Some(HandshakeKind::Resumed), "connection {nth}");
            assert_eq!(tls.tls13_tickets_received(), 0, "connection {nth}");
            assert_eq!(tls.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        }
    });
}
