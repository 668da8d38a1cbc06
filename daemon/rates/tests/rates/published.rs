//! Tables that the authority signed, and those that somebody else did.

use crate::tables::POSTLAND;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use psd::UnixMillis;
use psdd_rates::{CONTENT_TYPE, Published, PublishedError, Table, Trust};
use psdd_wire::cose::{INSTRUCTION, Sign1};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData};

/// In the middle of what rcgen makes valid.
const NOW: UnixMillis = UnixMillis(1_795_176_000_000);

/// An authority with its root and the key of one purpose.
pub struct Post {
    pub root: Vec<u8>,
    pub certificate: Vec<u8>,
    pub spki: Vec<u8>,
    key: EcdsaKeyPair,
}

impl Post {
    pub fn new(unit: &str) -> Self {
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.distinguished_name.push(DnType::CommonName, "Post Root");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate().unwrap();
        let root = ca.self_signed(&root_key).unwrap().der().to_vec();
        let issuer = Issuer::new(ca, root_key);
        let mut leaf = CertificateParams::new(Vec::<String>::new()).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "Post policy");
        leaf.distinguished_name.push(DnType::OrganizationalUnitName, unit);
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let pair = KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&pair, &issuer).unwrap().der().to_vec();
        let spki = pair.subject_public_key_info();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der()).unwrap();
        Self { root, certificate, spki, key }
    }

    pub fn sign(&self, content_type: &str, text: &str) -> Vec<u8> {
        let message = Sign1::unsigned(content_type, Some(&self.certificate), text.as_bytes().to_vec());
        let signature = self.key.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        message.with_signature(signature.as_ref())
    }

    pub fn publish(&self, text: &str) -> Published {
        Published::open(&self.sign(CONTENT_TYPE, text), &self.installed()).unwrap()
    }

    fn installed(&self) -> Trust<'_> {
        Trust::Installed { certificate: &self.certificate, spki: &self.spki }
    }

    fn by_root(&self) -> Trust<'_> {
        Trust::Root { root: &self.root, at: NOW }
    }
}

#[test]
fn a_signed_table_is_the_table_that_was_signed() {
    let post = Post::new("policy");
    let bytes = post.sign(CONTENT_TYPE, POSTLAND);
    for trust in [post.installed(), post.by_root()] {
        let published = Published::open(&bytes, &trust).unwrap();
        assert_eq!(*published.table(), Table::parse(POSTLAND).unwrap());
        assert_eq!(*published.table().digest(), psdd_wire::sha256(POSTLAND.as_bytes()));
        assert_eq!(published.bytes(), bytes);
    }
}

#[test]
fn nobody_else_publishes_a_table() {
    let (post, other, funds) = (Post::new("policy"), Post::new("policy"), Post::new("funds"));
    let signed = post.sign(CONTENT_TYPE, POSTLAND);
    let refused = |bytes: &[u8], trust: Trust<'_>| Published::open(bytes, &trust).unwrap_err();
    assert!(matches!(refused(&signed, other.installed()), PublishedError::OtherKey));
    assert!(matches!(refused(&signed, other.by_root()), PublishedError::Signer(_)));
    let by_funds = funds.sign(CONTENT_TYPE, POSTLAND);
    let said = refused(&by_funds, funds.by_root()).to_string();
    assert!(said.ends_with("is not a certificate for OU=policy, the authority's policy key"), "{said}");
    let long_ago = Trust::Root { root: &post.root, at: UnixMillis(0) };
    assert!(matches!(refused(&signed, long_ago), PublishedError::Signer(_)));
    // Signed by a stranger's key under the certificate of the right one.
    let mut forged = Post::new("policy");
    (forged.certificate, forged.spki) = (post.certificate.clone(), post.spki.clone());
    for trust in [post.installed(), post.by_root()] {
        assert!(matches!(refused(&forged.sign(CONTENT_TYPE, POSTLAND), trust), PublishedError::Signature(_)));
    }
}

#[test]
fn what_is_signed_is_a_table_and_nothing_else() {
    let post = Post::new("policy");
    let refused = |bytes: &[u8]| Published::open(bytes, &post.installed()).unwrap_err();
    assert!(matches!(refused(POSTLAND.as_bytes()), PublishedError::Form(_)));
    assert!(
        matches!(refused(&post.sign(INSTRUCTION, POSTLAND)), PublishedError::Signature(_)),
        "of another content type"
    );
    let message = Sign1::unsigned(CONTENT_TYPE, None, POSTLAND.as_bytes().to_vec());
    assert!(matches!(refused(&message.with_signature(&[1; 64])), PublishedError::NoCertificate));
    let said = refused(&post.sign(CONTENT_TYPE, &POSTLAND.replace("version = 1", "version = 0"))).to_string();
    assert!(said.starts_with("the table is signed, but not in order:\nline 3: version: version 0"), "{said}");
    let mut changed = post.sign(CONTENT_TYPE, POSTLAND);
    let at = changed.windows(4).position(|bytes| bytes == b"0.65").unwrap();
    changed[at] = b'1';
    assert!(matches!(refused(&changed), PublishedError::Signature(_)));
}
