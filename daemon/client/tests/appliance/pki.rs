//! Certificates of a test: the postal authority's, a foreign authority's, and those of the door.

use super::{PSD, key_pair};
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine;
use psdd_client::{ClientConfig, Files};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub const SERIAL: u32 = 0x0a0b_0c0d;

pub struct Pki {
    dir: TempDir,
    pub root: Vec<u8>,
    pub chain: Vec<Vec<u8>>,
    pub foreign_chain: Vec<Vec<u8>>,
    indicium: KeyPair,
    foreign: KeyPair,
    log: KeyPair,
    device: KeyPair,
    door: CertifiedIssuer<'static, KeyPair>,
}

type Ca = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub fn ca(name: &str) -> Ca {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ca::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn below(name: &str, above: &Ca) -> Ca {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ca::signed_by(params, KeyPair::generate().unwrap(), above).unwrap()
}

fn leaf(issuer: &Ca, key: &KeyPair) -> Vec<u8> {
    let mut params = params(PSD);
    params.serial_number = Some(SerialNumber::from_slice(&SERIAL.to_be_bytes()));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.signed_by(key, issuer).unwrap().der().to_vec()
}

fn pem(der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

impl Pki {
    pub fn new() -> Self {
        let [indicium, foreign, log, device] = [(); 4].map(|()| KeyPair::generate().unwrap());
        let root = ca("Test Postal Authority");
        let issuing = below("Test PSD CA", &root);
        let other_root = ca("Test Postal Authority");
        let chain = vec![leaf(&issuing, &indicium), issuing.der().to_vec()];
        let foreign_chain = vec![leaf(&other_root, &foreign)];
        let door = ca("Test Vendor Door");
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("root.pem", &root.pem());
        write("other-root.pem", &other_root.pem());
        write("bundle.pem", &[issuing.pem(), pem(&chain[0])].concat());
        write("door.pem", &door.pem());
        for (name, issuer) in [("client", &door), ("stranger", &ca("Stranger"))] {
            let key = KeyPair::generate().unwrap();
            let certificate = params(name).signed_by(&key, issuer).unwrap();
            write(&format!("{name}.pem"), &certificate.pem());
            write(&format!("{name}.key"), &key.serialize_pem());
        }
        Self { dir, root: root.der().to_vec(), chain, foreign_chain, indicium, foreign, log, device, door }
    }

    pub fn server(&self) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.door.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate: CertificateDer<'static> = params.signed_by(&key, &self.door).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    pub fn config(&self, address: std::net::SocketAddr) -> ClientConfig {
        let files = Files {
            server_ca: self.file("door.pem"),
            client_cert: self.file("client.pem"),
            client_key: self.file("client.key"),
            authority_root: Some(self.file("root.pem")),
        };
        let mut config = ClientConfig::new(address.to_string(), "localhost", files);
        config.deadline = Duration::from_secs(2);
        config
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn indicium_key(&self) -> EcdsaKeyPair {
        key_pair(&self.indicium.serialize_der())
    }

    pub fn foreign_key(&self) -> EcdsaKeyPair {
        key_pair(&self.foreign.serialize_der())
    }

    pub fn device_key(&self) -> EcdsaKeyPair {
        key_pair(&self.device.serialize_der())
    }

    pub fn log_key(&self) -> EcdsaKeyPair {
        key_pair(&self.log.serialize_der())
    }
}

/// SPKI of an uncompressed point on P-256.
pub fn spki(point: &[u8]) -> Vec<u8> {
    const HEAD: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    [&HEAD[..], point].concat()
}
